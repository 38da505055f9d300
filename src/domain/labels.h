/* Labels of a server ("datacenter", "role", ...): which are kept, and a bounded set of them.
 *
 * Everything a sender says of a server could be a label, so only names on a list are. A set is flat
 * text, ascending by name: it is copied, compared and written as it stands. Pure functions. */
#ifndef FW_DOMAIN_LABELS_H
#define FW_DOMAIN_LABELS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LABELS_MAX = 16,         /* of one server */
    LABEL_NAME_MAX = 63,     /* bytes of [a-zA-Z_][a-zA-Z0-9_]* */
    LABEL_VALUE_MAX = 127,   /* bytes of printable UTF-8 */
    LABEL_SET_BYTES = 1024,  /* names and values of one server, a byte behind each */
    LABEL_RULES_MAX = 32,    /* names that are kept */
    LABEL_RULES_TEXT = 1023, /* bytes of the list as text */
};

/* The names that are kept, ascending. */
struct label_rules {
    size_t count;
    char names[LABEL_RULES_MAX][LABEL_NAME_MAX + 1];
};

/* What is kept unless the operator says otherwise, as the text of label_rules_parse(). */
extern const char label_rules_default[];
/* A comma list, "" for none; "default" in it stands for all of label_rules_default. FW_EINVAL: err
 * says which name is no label's, is one of our own (label_name_reserved()) or is one too many;
 * *rules is then of no use. */
FW_MUST_CHECK enum fw_status label_rules_parse(struct label_rules *rules, const char *list,
                                               struct fw_error *err);
/* The kept name that `name` is, or NULL. Dots, dashes and slashes count as "_", as Prometheus
 * writes the attributes of OpenTelemetry: "service.name" is service_name. */
const char *label_rules_find(const struct label_rules *rules, const char *name, size_t len);

bool label_name_valid(const char *name, size_t len);
bool label_value_valid(const char *value, size_t len);
/* Names that our own series and alerts use, or that name the server: "server", "quantile",
 * "alertname", "instance", "host", ... */
bool label_name_reserved(const char *name);

struct label_set {
    uint16_t count;
    uint16_t used;              /* bytes of `text` */
    char text[LABEL_SET_BYTES]; /* name, NUL, value, NUL, ...; ascending by name */
};

/* Bytes of the struct that matter: a copy may be so short. */
static inline size_t label_set_size(const struct label_set *set)
{
    return offsetof(struct label_set, text) + set->used;
}
void label_set_clear(struct label_set *set);
void label_set_copy(struct label_set *to, const struct label_set *from);
bool label_set_equal(const struct label_set *a, const struct label_set *b);
/* Adds or replaces. False: no valid name or value, or no room; nothing changed. */
bool label_set_put(struct label_set *set, const char *name, size_t name_len, const char *value,
                   size_t value_len);
void label_set_remove(struct label_set *set, const char *name);
/* NULL: the set has no such label. */
const char *label_set_get(const struct label_set *set, const char *name);
/* One after the other: *at begins as 0. */
bool label_set_next(const struct label_set *set, size_t *at, const char **name, const char **value);

/* "name":"value",... without braces. */
struct fw_buf;
void label_set_put_members(struct fw_buf *out, const struct label_set *set);

/* Whoever knows the labels of servers. `read` may be NULL: nobody does. */
struct label_source {
    /* False: no such server, or it has none; *out is then empty. Any thread. */
    bool (*read)(void *ctx, const char *server, struct label_set *out);
    void *ctx;
};
bool label_source_read(const struct label_source *source, const char *server,
                       struct label_set *out);

#endif
