/* From a raw request target to decoded path segments and query parameters, and from there to a
 * route. Pure; works in place: decoding never makes text longer. */
#ifndef FW_HTTP_TARGET_H
#define FW_HTTP_TARGET_H

#include "http/guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_TARGET_MAX = 8192, HTTP_SEGMENTS_MAX = 16, HTTP_PARAMETERS_MAX = 64 };

/* Offsets into the decoded text; every piece is terminated. */
struct http_target {
    const char *text;
    unsigned n_segments, n_parameters;
    uint16_t segments[HTTP_SEGMENTS_MAX];
    struct {
        uint16_t name, value;
    } parameters[HTTP_PARAMETERS_MAX];
};

/* `text`: `len` <= HTTP_TARGET_MAX bytes that passed http_guard_target(), plus one for a
 * terminator; overwritten. One slash at the end is ignored; "/" has no segments. Faults: 400 for
 * broken percent-encoding, for control bytes and for what is not UTF-8 once decoded, and for too
 * many parameters; 404 for empty, "." and ".." segments and for too many of them. */
struct http_fault http_target_parse(struct http_target *target, char *text, size_t len);

static inline const char *http_target_segment(const struct http_target *target, size_t index)
{
    return target->text + target->segments[index];
}

/* Does the path fit "/a/{b}/c"? `at` receives the index of the segment of each parameter, in order.
 */
bool http_target_fits(const struct http_target *target, const char *pattern,
                      uint8_t at[HTTP_SEGMENTS_MAX], size_t *n_at);
/* Is it a pattern that http_target_fits understands? "/" and segments of [0-9A-Za-z._-] or {name}.
 */
bool http_pattern_valid(const char *pattern);

#endif
