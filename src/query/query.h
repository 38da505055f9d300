/* The part of the Prometheus query language that drawing observed and forecast values needs
 * (docs/grafana.md):
 *
 *   expr     = term {("+" | "-") term}          term = unary {("*" | "/") unary}
 *   unary    = ["-" | "+"] primary
 *   primary  = NUMBER | "(" expr ")" | selector
 *            | ("sum" | "avg" | "min" | "max" | "count") ["by" labels] "(" expr ")" ["by" labels]
 *            | "topk" "(" NUMBER "," expr ")"
 *   selector = [NAME] ["{" [matcher {"," matcher}] "}"] ["offset" ["-"] DURATION]
 *   matcher  = LABEL ("=" | "!=" | "=~" | "!~") STRING
 *
 * An operation takes two numbers, or a number and series. Where series come from is the caller's
 * (struct query_source). A query belongs to one thread at a time. */
#ifndef FW_QUERY_QUERY_H
#define FW_QUERY_QUERY_H

#include "base/status.h"
#include "query/regex.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QUERY_BYTES_MAX = 8192,
    QUERY_DEPTH_MAX = 32,
    QUERY_NODES_MAX = 256,
    QUERY_MATCHERS_MAX = 32, /* of one selector */
    QUERY_LABELS_MAX = 24,   /* of one series, and behind one `by` */
    QUERY_POINTS_MAX = 11000,
};

/* ---- selectors ---- */

enum query_match { QUERY_EQUAL, QUERY_NOT_EQUAL, QUERY_FITS, QUERY_FITS_NOT };

struct query_matcher {
    enum query_match match;
    const char *label; /* "__name__" for the name before the braces */
    const char *value;
    struct query_regex *regex;
};

struct query_selector {
    size_t count;
    struct query_matcher matchers[QUERY_MATCHERS_MAX];
    int64_t offset_ms; /* into the past */
};

/* Whether all matchers of the label agree to a value; "" for a label that is not there. */
bool query_selector_fits(const struct query_selector *selector, const char *label,
                         const char *value);
/* The first label that the selector asks for and that is none of `known`; NULL: there is none. Such
 * a label has the value "" in every series. */
bool query_selector_fits_rest(const struct query_selector *selector, const char *const *known,
                              size_t n);

/* ---- results ---- */

struct query_label {
    const char *name, *value; /* `name` outlives the set; `value` is copied */
};

struct query_series {
    size_t label_count;
    struct query_label labels[QUERY_LABELS_MAX]; /* by name; "__name__" among them when there is one
                                                  */
    double *values;                              /* (points); NaN: nothing at that time */
};

struct query_times {
    int64_t start_ms, step_ms;
    size_t points; /* 1 to QUERY_POINTS_MAX */
};

/* Zeroed, but for `times` and `bytes_max`, it is empty. */
struct query_set {
    struct query_times times;
    size_t bytes_max, bytes; /* of everything below */
    bool scalar;             /* one series without labels */
    size_t count, cap;
    struct query_series *series;
    struct query_chunk *chunks; /* private */
};
void query_set_fini(struct query_set *set);

/* Adds a series (labels are sorted here); its values are all NaN. NULL: out of memory or beyond
 * bytes_max. Pointers into the set's series do not outlive it; `values` do. */
double *query_set_add(struct query_set *set, const struct query_label *labels, size_t n);
/* The value of a label; "" when there is none. */
const char *query_series_label(const struct query_series *series, const char *name);

/* ---- queries ---- */

struct query;

/* FW_EINVAL: no such query, err->offset says where; FW_ENOTFOUND: it asks for what this language
 * does not have, err->text says what it has; FW_ELIMIT: too long, too deep; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status query_parse(const char *text, size_t len, struct query **out,
                                         struct fw_error *err);
/* A selector alone, as match[] has it. */
FW_MUST_CHECK enum fw_status query_parse_selector(const char *text, size_t len, struct query **out,
                                                  struct fw_error *err);
/* Of query_parse_selector(). */
const struct query_selector *query_selector(const struct query *query);
void query_free(struct query *query); /* NULL does nothing */

/* Adds to *set every series that the selector fits, with its values at set->times less the offset
 * (times are moved already: `times`). FW_ELIMIT, FW_ENOMEM. */
struct query_source {
    void *ctx;
    enum fw_status (*select)(void *ctx, const struct query_selector *selector,
                             const struct query_times *times, struct query_set *set,
                             struct fw_error *err);
};

/* Evaluates at set->times into *set, which is empty. FW_ELIMIT: beyond set->bytes_max;
 * FW_ENOTFOUND: two series in one operation; FW_ENOMEM; what the source returned. */
FW_MUST_CHECK enum fw_status query_run(const struct query *query, const struct query_source *source,
                                       struct query_set *set, struct fw_error *err);

/* "5m", "1h30m", "90" (seconds), "1.5"; false: no duration, or beyond ten years. */
bool query_duration(const char *text, size_t len, int64_t *ms);

#endif
