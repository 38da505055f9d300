/* Finds where a text stops being JSON: a second, slower reader beside the parser, asked only after
 * a refusal, for the person who has to mend the text. No recursion, no memory. */
#ifndef FW_BASE_JSON_LOCATE_H
#define FW_BASE_JSON_LOCATE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FW_JSON_LOCATE_DEPTH_MAX = 1024 };
/* The one reason that is no fault of form. */
#define FW_JSON_OUT_OF_RANGE "number out of range"

/* True when `data` is one whole JSON document (RFC 8259) of valid UTF-8, nested at most max_depth
 * (up to FW_JSON_LOCATE_DEPTH_MAX) deep and with numbers that a double can hold. Otherwise
 * *offset is the first byte that does not fit and *reason, a constant text, says why. */
bool fw_json_locate(const char *data, size_t len, size_t max_depth, size_t *offset,
                    const char **reason);

/* Line and column, from 1, of a byte; the column counts bytes. */
void fw_json_line_column(const char *data, size_t offset, size_t *line, size_t *column);

#ifdef __cplusplus
}
#endif

#endif
