/* WriteRequests by hand: a protobuf writer of its own, so that the decoder is not its own judge. */
#ifndef FW_TESTS_UNIT_INGEST_WRITE_REQUEST_H
#define FW_TESTS_UNIT_INGEST_WRITE_REQUEST_H

#include "base/buf.h"

#include "support.h"

#include <stdlib.h>

static inline void pb_varint(struct fw_buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        fw_buf_putc(out, (char)(value | 0x80));
    fw_buf_putc(out, (char)value);
}

static inline void pb_bytes(struct fw_buf *out, unsigned field, const void *data, size_t len)
{
    pb_varint(out, field << 3 | 2);
    pb_varint(out, len);
    fw_buf_put(out, data, len);
}

static inline void pb_text(struct fw_buf *out, unsigned field, const char *text)
{
    pb_bytes(out, field, text, strlen(text));
}

static inline void pb_double(struct fw_buf *out, unsigned field, double value)
{
    pb_varint(out, field << 3 | 1);
    fw_buf_put(out, &value, sizeof value);
}

static inline void pb_label(struct fw_buf *series, const char *name, const char *value)
{
    struct fw_buf label;
    fw_buf_init(&label, 1 << 20);
    pb_text(&label, 1, name);
    pb_text(&label, 2, value);
    pb_bytes(series, 1, label.data, label.len);
    fw_buf_fini(&label);
}

static inline void pb_sample(struct fw_buf *series, double value, int64_t time_ms)
{
    struct fw_buf sample;
    fw_buf_init(&sample, 64);
    pb_double(&sample, 1, value);
    pb_varint(&sample, 2 << 3);
    pb_varint(&sample, (uint64_t)time_ms);
    pb_bytes(series, 2, sample.data, sample.len);
    fw_buf_fini(&sample);
}

/* A series from text like `node_load1{instance="a:1",job="x"}`; values without quotes inside. */
static inline void pb_labels(struct fw_buf *series, const char *text)
{
    char name[128], value[256];
    const size_t len = strcspn(text, "{");
    snprintf(name, sizeof name, "%.*s", (int)len, text);
    pb_label(series, "__name__", name);
    for (const char *at = text + len; *at == '{' || *at == ',';) {
        int used = 0;
        assert_int_equal(sscanf(at + 1, "%127[^=]=\"%255[^\"]\"%n", name, value, &used), 2);
        pb_label(series, name, value);
        at += 1 + used;
    }
}

/* One series with one sample onto a request. */
static inline void pb_put(struct fw_buf *request, const char *labels, double value, int64_t time_ms)
{
    struct fw_buf series;
    fw_buf_init(&series, 1 << 20);
    pb_labels(&series, labels);
    pb_sample(&series, value, time_ms);
    pb_bytes(request, 1, series.data, series.len);
    fw_buf_fini(&series);
}

static inline double pb_nan(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
