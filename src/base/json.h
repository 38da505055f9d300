/* Reading JSON: strict (RFC 8259), whole document in memory, bounded depth. simdjson does the
 * parsing; json_locate.h names the place of a syntax error, in a second pass after a refusal.
 *
 * Values are two words that point into the parser's document: they die with the next parse, and so
 * do the strings that they give out. One parser serves one thread at a time. */
#ifndef FW_BASE_JSON_H
#define FW_BASE_JSON_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fw_json_parser;

enum fw_json_type {
    FW_JSON_NULL,
    FW_JSON_BOOL,
    FW_JSON_NUMBER,
    FW_JSON_STRING,
    FW_JSON_ARRAY,
    FW_JSON_OBJECT
};

struct fw_json_value {
    const void *doc;
    size_t at;
};

/* Walks an array's or an object's members in order. */
struct fw_json_iter {
    struct fw_json_value here, end;
    bool object;
};

/* max_bytes: longest document; max_depth: groups within each other (one more
 * passes when it is empty). NULL when out of memory. */
struct fw_json_parser *fw_json_parser_new(size_t max_bytes, size_t max_depth);
void fw_json_parser_free(struct fw_json_parser *parser);

/* Parses `len` bytes (copied where needed; `data` may go away after the call). FW_EINVAL: not JSON,
 * err->offset is the byte where it goes wrong (0 when unknown) and err->text says what, with line
 * and column; FW_ELIMIT: too long or too deep; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status fw_json_parse(struct fw_json_parser *parser, const char *data,
                                           size_t len, struct fw_json_value *root,
                                           struct fw_error *err);

enum fw_json_type fw_json_type(struct fw_json_value value);
/* "null", "bool", "number", "string", "array", "object": for error texts. */
const char *fw_json_type_name(enum fw_json_type type);

/* False (and *out untouched) when the value is of another type. A number is always finite.
 * fw_json_int64 takes numbers written without fraction and exponent only. Strings are valid UTF-8,
 * may hold NUL, and are terminated. */
bool fw_json_bool(struct fw_json_value value, bool *out);
bool fw_json_number(struct fw_json_value value, double *out);
bool fw_json_int64(struct fw_json_value value, int64_t *out);
const char *fw_json_string(struct fw_json_value value, size_t *len);

/* Members of an array or object; 0 for anything else. Counts up to 2^24 - 1. */
size_t fw_json_count(struct fw_json_value value);
/* An iterator over nothing when the value is neither array nor object. */
struct fw_json_iter fw_json_walk(struct fw_json_value value);
bool fw_json_next(struct fw_json_iter *iter, struct fw_json_value *value);
/* For objects: the key as well. Duplicate keys are all given. */
bool fw_json_next_member(struct fw_json_iter *iter, const char **key, size_t *key_len,
                         struct fw_json_value *value);

/* The first member of that name; false when there is none or `object` is no object. */
bool fw_json_get(struct fw_json_value object, const char *key, struct fw_json_value *value);

#ifdef __cplusplus
}
#endif

#endif
