/* Selectors of the Prometheus query language, as text: names, hosts, and what the user narrows them
 * by. Pure functions over text. */
#ifndef FW_BACKFILL_SELECT_H
#define FW_BACKFILL_SELECT_H

#include "base/buf.h"

#include <stddef.h>

/* A list of texts, each once, in order once sorted. */
struct backfill_texts {
    char **items;
    size_t count, cap;
    size_t max; /* of `count` */
};
/* False: out of memory, or more than `max`. */
bool backfill_texts_add(struct backfill_texts *list, const char *text, size_t len);
/* Sorts, and drops repeats. */
void backfill_texts_sort(struct backfill_texts *list);
/* Drops what is not in the other, sorted list. */
void backfill_texts_keep(struct backfill_texts *list, const struct backfill_texts *known);
void backfill_texts_fini(struct backfill_texts *list);

/* The matchers in `{...}`, with or without the braces and blanks around; NULL stands for none.
 * FW_EINVAL: it begins with a name, or the braces do not match. *len may be 0. */
enum { BACKFILL_MATCH_MAX = 1024 };
FW_MUST_CHECK enum fw_status backfill_match(const char *text, const char **inner, size_t *len,
                                            struct fw_error *err);

/* label=~"a|b", with what means something in a regular expression escaped, for items [first, first
 * + count). */
void backfill_put_one_of(struct fw_buf *out, const char *label, const struct backfill_texts *list,
                         size_t first, size_t count);
/* label="text" */
void backfill_put_is(struct fw_buf *out, const char *label, const char *text);

#endif
