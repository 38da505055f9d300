/* Influx line protocol, as InfluxDB reads it, with unsigned integers and carriage returns before
 * the end of a line besides:
 *
 *   MEASUREMENT[,TAG=VALUE...] FIELD=VALUE[,FIELD=VALUE...] [TIME]
 *
 * Read in place; only what is escaped is copied. A line with a fault is reported and passed over,
 * its neighbours are read all the same. A backslash before a character that it could not escape
 * stays. Pure functions over bytes from the network; a decoder per thread. */
#ifndef FW_INGEST_LINE_PROTOCOL_H
#define FW_INGEST_LINE_PROTOCOL_H

#include "base/status.h"
#include "ingest/raw_series.h"

#include <stdbool.h>

enum {
    LINE_FIELDS_MAX = 4096,
    LINE_BYTES_MAX = 1 << 20, /* of one line */
};

enum line_type { LINE_FLOAT, LINE_INTEGER, LINE_UNSIGNED, LINE_BOOLEAN, LINE_STRING };

struct line_field {
    const char *key;
    uint32_t key_len;
    enum line_type type;
    double number;    /* of numbers, finite; 0 or 1 of booleans */
    const char *text; /* of strings */
    uint32_t text_len;
};

/* Valid inside the visit. */
struct line_point {
    size_t line; /* from 1; of its first byte */
    const char *measurement;
    uint32_t measurement_len;
    size_t tag_count;
    const struct raw_label *tags; /* names differ */
    size_t field_count;           /* at least 1 */
    const struct line_field *fields;
    int64_t time_ms;
};

struct line_fault {
    size_t line;
    const char *text;    /* a literal: "missing fields" */
    const char *excerpt; /* the line's beginning; any bytes */
    size_t excerpt_len;  /* at most 64 */
};

/* The unit of times. */
enum line_precision { LINE_NS, LINE_US, LINE_MS, LINE_S, LINE_M, LINE_H };
/* "n", "ns", "u", "us", "µ", "ms", "s", "m", "h", and "" for ns; false: none of them. */
bool line_precision_parse(const char *text, enum line_precision *precision);

struct line_visitor {
    void *ctx;
    enum line_precision precision;
    int64_t now_ms; /* the time of lines without one */
    /* What it returns other than FW_OK ends the walk and is returned. */
    enum fw_status (*point)(void *ctx, const struct line_point *point);
    enum fw_status (*fault)(void *ctx, const struct line_fault *fault);
};

struct line_decoder;
struct line_decoder *line_decoder_new(void); /* NULL when out of memory */
void line_decoder_free(struct line_decoder *decoder);

/* Walks a body. FW_ENOMEM, or what the visitor returned. */
FW_MUST_CHECK enum fw_status line_protocol_read(struct line_decoder *decoder, const char *body,
                                                size_t len, const struct line_visitor *visitor);

#endif
