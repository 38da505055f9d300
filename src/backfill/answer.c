#include "backfill/answer.h"

#include "base/alloc.h"
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Deep enough for a sample in a matrix, with room for warnings and notes beside it. */
enum { DEPTH_MAX = 16, VALUE_TEXT_MAX = 64 };
#define TIME_END_S 253402300800.0 /* the year 10000 */

struct backfill_reader {
    struct fw_json_parser *parser;
    struct fw_buf series; /* the message under way */
};

struct backfill_reader *backfill_reader_new(void)
{
    struct backfill_reader *reader = fw_calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    fw_buf_init(&reader->series, 2 * (size_t)BACKFILL_ANSWER_MAX);
    reader->parser = fw_json_parser_new(BACKFILL_ANSWER_MAX, DEPTH_MAX);
    if (reader->parser == NULL) {
        fw_free(reader);
        return NULL;
    }
    return reader;
}

void backfill_reader_free(struct backfill_reader *reader)
{
    if (reader == NULL)
        return;
    fw_json_parser_free(reader->parser);
    fw_buf_fini(&reader->series);
    fw_free(reader);
}

static bool is_text(struct fw_json_value value, const char *expected)
{
    size_t len;
    const char *text = fw_json_string(value, &len);
    return text != NULL && len == strlen(expected) && memcmp(text, expected, len) == 0;
}

/* The member "data" of an answer that says success. */
static enum fw_status read_data(struct backfill_reader *reader, const struct fw_buf *answer,
                                struct fw_json_value *data, struct fw_error *err)
{
    struct fw_json_value root, status;
    struct fw_error why = {0};
    const enum fw_status parsed =
        fw_json_parse(reader->parser, answer->data, answer->len, &root, &why);
    if (parsed == FW_ENOMEM)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    if (parsed != FW_OK)
        return fw_fail_at(err, FW_EINVAL, why.offset, "the answer is no JSON: %.180s", why.text);
    if (!fw_json_get(root, "status", &status) || !is_text(status, "success"))
        return fw_fail(err, FW_EINVAL, "the answer has no \"status\": \"success\"");
    if (!fw_json_get(root, "data", data))
        return fw_fail(err, FW_EINVAL, "the answer has no \"data\"");
    return FW_OK;
}

/* ---- a series, as protobuf ---- */

enum {
    TAG_BYTES_1 = 1 << 3 | 2,
    TAG_BYTES_2 = 2 << 3 | 2,
    TAG_DOUBLE_1 = 1 << 3 | 1,
    TAG_INT_2 = 2 << 3
};

static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static void put_bytes(struct fw_buf *out, int tag, const char *text, size_t len)
{
    fw_buf_putc(out, (char)tag);
    fw_buf_put_varint(out, len);
    fw_buf_put(out, text, len);
}

static void put_label(struct fw_buf *out, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    fw_buf_putc(out, TAG_BYTES_1);
    fw_buf_put_varint(out,
                      2 + varint_size(name_len) + name_len + varint_size(value_len) + value_len);
    put_bytes(out, TAG_BYTES_1, name, name_len);
    put_bytes(out, TAG_BYTES_2, value, value_len);
}

static void put_sample(struct fw_buf *out, double value, int64_t time_ms)
{
    fw_buf_putc(out, TAG_BYTES_2);
    fw_buf_put_varint(out, 1 + sizeof value + 1 + varint_size((uint64_t)time_ms));
    fw_buf_putc(out, TAG_DOUBLE_1);
    fw_buf_put(out, &value, sizeof value);
    fw_buf_putc(out, TAG_INT_2);
    fw_buf_put_varint(out, (uint64_t)time_ms);
}

/* ---- a matrix ---- */

/* "12.5", "1e+09", "NaN", "+Inf", "-Inf"; false for anything else. */
static bool read_number(const char *text, size_t len, double *out)
{
    char *end;
    if (len == 0 || len > VALUE_TEXT_MAX || strlen(text) != len)
        return false;
    if (strspn(text, "0123456789+-.eE") == len) {
        *out = strtod(text, &end); /* what is too large becomes infinite, and is dropped as that */
        return end == text + len;
    }
    const char *word = text + (*text == '+' || *text == '-');
    *out = strcmp(word, "NaN") == 0 ? (double)NAN : (double)INFINITY;
    return strcmp(word, "NaN") == 0 || strcmp(word, "Inf") == 0;
}

/* [seconds, "value"] */
static bool read_point(struct fw_json_value point, double *value, int64_t *time_ms)
{
    struct fw_json_iter iter = fw_json_walk(point);
    struct fw_json_value time, text;
    double seconds;
    size_t len;
    if (fw_json_type(point) != FW_JSON_ARRAY || fw_json_count(point) != 2 ||
        !fw_json_next(&iter, &time) || !fw_json_next(&iter, &text) ||
        !fw_json_number(time, &seconds) || !(seconds >= 1.0 && seconds < TIME_END_S))
        return false;
    *time_ms = (int64_t)llround(seconds * 1000.0) - 1;
    const char *number = fw_json_string(text, &len);
    return number != NULL && read_number(number, len, value);
}

static enum fw_status put_labels(struct backfill_reader *reader, struct fw_json_value labels,
                                 const char *name, size_t at, struct fw_error *err)
{
    struct fw_json_iter iter = fw_json_walk(labels);
    struct fw_json_value value;
    const char *key;
    size_t key_len, len;
    if (fw_json_type(labels) != FW_JSON_OBJECT)
        return fw_fail(err, FW_EINVAL, "data.result[%zu].metric is not an object", at);
    put_label(&reader->series, "__name__", 8, name, strlen(name));
    while (fw_json_next_member(&iter, &key, &key_len, &value)) {
        const char *text = fw_json_string(value, &len);
        if (text == NULL)
            return fw_fail(err, FW_EINVAL,
                           "data.result[%zu].metric: the label %.60s is not a string", at, key);
        if (key_len != 8 || memcmp(key, "__name__", 8) != 0)
            put_label(&reader->series, key, key_len, text, len);
    }
    return FW_OK;
}

static enum fw_status put_points(struct backfill_reader *reader, struct fw_json_value points,
                                 size_t at, size_t *samples, struct fw_error *err)
{
    struct fw_json_iter iter = fw_json_walk(points);
    struct fw_json_value point;
    double value;
    int64_t time_ms;
    if (fw_json_type(points) != FW_JSON_ARRAY)
        return fw_fail(err, FW_EINVAL, "data.result[%zu].values is not an array", at);
    for (size_t i = 0; fw_json_next(&iter, &point); i++) {
        if (!read_point(point, &value, &time_ms))
            return fw_fail(err, FW_EINVAL, "data.result[%zu].values[%zu] is not [time, \"value\"]",
                           at, i);
        put_sample(&reader->series, value, time_ms);
        ++*samples;
    }
    return FW_OK;
}

/* One series. Native histograms have no "values", and mean nothing here. */
static enum fw_status put_series(struct backfill_reader *reader, struct fw_json_value one,
                                 const char *name, size_t at, struct fw_buf *request,
                                 size_t *samples, struct fw_error *err)
{
    struct fw_json_value labels, points;
    fw_buf_reset(&reader->series);
    if (!fw_json_get(one, "metric", &labels))
        return fw_fail(err, FW_EINVAL, "data.result[%zu] has no \"metric\"", at);
    enum fw_status status = put_labels(reader, labels, name, at, err);
    if (status == FW_OK && fw_json_get(one, "values", &points))
        status = put_points(reader, points, at, samples, err);
    if (status != FW_OK)
        return status;
    put_bytes(request, TAG_BYTES_1, reader->series.data, reader->series.len);
    return reader->series.failed || request->failed
               ? fw_fail(err, FW_ELIMIT, "the answer is too long")
               : FW_OK;
}

enum fw_status backfill_read_matrix(struct backfill_reader *reader, const struct fw_buf *answer,
                                    const char *name, struct fw_buf *request, size_t *series,
                                    size_t *samples, struct fw_error *err)
{
    struct fw_json_value data, type, result, one;
    enum fw_status status = read_data(reader, answer, &data, err);
    if (status != FW_OK)
        return status;
    if (!fw_json_get(data, "resultType", &type) || !is_text(type, "matrix"))
        return fw_fail(err, FW_EINVAL, "data.resultType is not \"matrix\"");
    if (!fw_json_get(data, "result", &result) || fw_json_type(result) != FW_JSON_ARRAY)
        return fw_fail(err, FW_EINVAL, "data.result is not an array");
    struct fw_json_iter iter = fw_json_walk(result);
    for (size_t at = 0; status == FW_OK && fw_json_next(&iter, &one); at++) {
        status = put_series(reader, one, name, at, request, samples, err);
        *series += status == FW_OK;
    }
    return status;
}

enum fw_status backfill_read_values(struct backfill_reader *reader, const struct fw_buf *answer,
                                    bool (*take)(void *ctx, const char *text, size_t len),
                                    void *ctx, struct fw_error *err)
{
    struct fw_json_value data, value;
    size_t len;
    const enum fw_status status = read_data(reader, answer, &data, err);
    if (status != FW_OK)
        return status;
    /* Old servers say null for none. */
    if (fw_json_type(data) != FW_JSON_ARRAY && fw_json_type(data) != FW_JSON_NULL)
        return fw_fail(err, FW_EINVAL, "data is not an array");
    struct fw_json_iter iter = fw_json_walk(data);
    for (size_t at = 0; fw_json_next(&iter, &value); at++) {
        const char *text = fw_json_string(value, &len);
        if (text == NULL)
            return fw_fail(err, FW_EINVAL, "data[%zu] is not a string", at);
        if (!take(ctx, text, len))
            return fw_fail(err, FW_ENOMEM, "out of memory");
    }
    return FW_OK;
}

void backfill_read_reason(struct backfill_reader *reader, const struct fw_buf *answer,
                          char out[BACKFILL_REASON_MAX])
{
    struct fw_json_value root, error;
    const char *text = NULL;
    size_t len = 0;
    if (fw_json_parse(reader->parser, answer->data, answer->len, &root, NULL) == FW_OK &&
        fw_json_get(root, "error", &error))
        text = fw_json_string(error, &len);
    if (text == NULL) {
        text = answer->data;
        len = answer->len;
    }
    if (len > BACKFILL_REASON_MAX - 1)
        len = BACKFILL_REASON_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        out[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    while (len > 0 && out[len - 1] == ' ')
        len--;
    out[len] = '\0';
}
