/* Anchored regular expressions for label matchers: the part of RE2's syntax that labels need
 * (literals, ., classes, groups, |, *, +, ?, {n}, {n,}, {n,m}, \d \w \s and their opposites),
 * matched over bytes in linear time, whatever the pattern. */
#ifndef FW_QUERY_REGEX_H
#define FW_QUERY_REGEX_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { QUERY_REGEX_BYTES_MAX = 4096, QUERY_REGEX_STATES_MAX = 4096, QUERY_REGEX_DEPTH_MAX = 64 };

struct query_regex;

/* FW_EINVAL: err->text says what is wrong, err->offset where; FW_ELIMIT: too long, too deep or too
 * many states; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status query_regex_new(const char *pattern, size_t len,
                                             struct query_regex **out, struct fw_error *err);
void query_regex_free(struct query_regex *regex); /* NULL does nothing */
/* Whether all of the text fits. Not from two threads at once: it works in the regex's memory. */
bool query_regex_match(struct query_regex *regex, const char *text, size_t len);

#endif
