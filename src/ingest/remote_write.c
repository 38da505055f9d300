#include "ingest/remote_write.h"

#include "base/text.h"
#include "ingest/protobuf.h"

#include <snappy-c.h>
#include <string.h>

/* A block's copy of at most 64 bytes costs two bytes at least; no compressor does better. What
 * claims more is a lie that would cost memory. */
enum { SNAPPY_RATIO_MAX = 32 };

const char *remote_write_fault_text(enum remote_write_fault fault)
{
    static const char *const texts[] = {
        [REMOTE_WRITE_FINE] = "",
        [REMOTE_WRITE_TOO_MANY_LABELS] = "a series has more than 64 labels",
        [REMOTE_WRITE_LONG_LABEL] = "a label is too long",
        [REMOTE_WRITE_BAD_UTF8] = "a label is not UTF-8",
        [REMOTE_WRITE_NO_NAME] = "a series has no name",
    };
    return texts[fault];
}

bool remote_write_is_stale(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits == REMOTE_WRITE_STALE;
}

enum fw_status remote_write_unpack(const void *block, size_t len, size_t max, struct fw_buf *out,
                                   struct fw_error *err)
{
    size_t unpacked;
    fw_buf_reset(out);
    if (snappy_uncompressed_length(block, len, &unpacked) != SNAPPY_OK)
        return fw_fail(err, FW_EINVAL, "the body is no snappy block");
    if (unpacked > max || unpacked / SNAPPY_RATIO_MAX > len)
        return fw_fail(err, FW_ELIMIT, "the body says it unpacks to %zu bytes", unpacked);
    if (unpacked == 0)
        return snappy_validate_compressed_buffer(block, len) == SNAPPY_OK
                   ? FW_OK
                   : fw_fail(err, FW_EINVAL, "the snappy block is damaged");
    char *room = fw_buf_reserve(out, unpacked);
    if (room == NULL)
        return fw_fail(err, FW_ENOMEM, "unpacking the body");
    if (snappy_uncompress(block, len, room, &unpacked) != SNAPPY_OK)
        return fw_fail(err, FW_EINVAL, "the snappy block is damaged");
    out->len = unpacked;
    return FW_OK;
}

/* ---- labels and samples ---- */

/* Labels are short and nearly always ASCII: eight bytes at a time, and the slow way for the rest.
 */
static bool utf8(const char *text, size_t len)
{
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            return fw_utf8_valid(text + i, len - i);
    }
    for (size_t k = i; k < len; k++)
        if ((unsigned char)text[k] >= 0x80)
            return fw_utf8_valid(text + i, len - i);
    return true;
}

static enum remote_write_fault check_label(const struct raw_label *label)
{
    if (label->name_len > REMOTE_WRITE_NAME_MAX || label->value_len > REMOTE_WRITE_VALUE_MAX)
        return REMOTE_WRITE_LONG_LABEL;
    if (!utf8(label->name, label->name_len) || !utf8(label->value, label->value_len))
        return REMOTE_WRITE_BAD_UTF8;
    return REMOTE_WRITE_FINE;
}

/* A label as every encoder writes it: name and value in this order, each of less than 128 bytes,
 * nothing else. Half of a request's time goes into labels. */
static bool get_short_label(const unsigned char *at, const unsigned char *end,
                            struct raw_label *label)
{
    const size_t len = (size_t)(end - at);
    if (len < 4 || at[0] != (1 << 3 | PB_BYTES) || at[1] >= 0x80 || len < (size_t)at[1] + 4)
        return false;
    const unsigned char *value = at + 2 + at[1];
    if (value[0] != (2 << 3 | PB_BYTES) || value[1] >= 0x80 || value[1] != len - at[1] - 4)
        return false;
    *label = (struct raw_label){(const char *)at + 2, (const char *)value + 2, at[1], value[1]};
    return true;
}

/* False: the bytes are no Label; *at is where. */
static bool get_label(const unsigned char **at, const unsigned char *end, struct raw_label *label)
{
    struct pb_field field;
    if (get_short_label(*at, end, label))
        return true;
    *label = (struct raw_label){"", "", 0, 0};
    while (*at < end) {
        if (!pb_get_field(at, end, &field))
            return false;
        if (pb_is_bytes(&field, 1)) {
            label->name = (const char *)field.bytes;
            label->name_len = (uint32_t)(*at - field.bytes);
        } else if (pb_is_bytes(&field, 2)) {
            label->value = (const char *)field.bytes;
            label->value_len = (uint32_t)(*at - field.bytes);
        }
    }
    return true;
}

static void add_label(struct remote_write_series *series, const struct raw_label *label)
{
    const enum remote_write_fault fault = check_label(label);
    if (series->fault == REMOTE_WRITE_FINE)
        series->fault = fault;
    if (fault != REMOTE_WRITE_FINE)
        return;
    if (label->name_len == 8 && memcmp(label->name, "__name__", 8) == 0) {
        series->id.name = label->value;
        series->id.name_len = label->value_len;
    } else if (series->id.label_count < RAW_SERIES_LABELS_MAX) {
        series->id.labels[series->id.label_count++] = *label;
    } else if (series->fault == REMOTE_WRITE_FINE) {
        series->fault = REMOTE_WRITE_TOO_MANY_LABELS;
    }
}

/* A sample as every encoder writes it: value, then a time of today, which has six bytes. */
static bool get_usual_sample(const unsigned char *at, const unsigned char *end,
                             struct remote_write_sample *sample)
{
    enum { VALUE = 1, TAG = 9, TIME = 10, END = 16 };
    if (end - at != END || at[0] != (1 << 3 | PB_FIXED64) || at[TAG] != (2 << 3 | PB_VARINT))
        return false;
    uint64_t time_ms = 0;
    for (int i = 0; i < END - TIME; i++) {
        if ((at[TIME + i] >= 0x80) != (i < END - TIME - 1))
            return false;
        time_ms |= (uint64_t)(at[TIME + i] & 0x7f) << 7 * i;
    }
    memcpy(&sample->value, at + VALUE, sizeof sample->value);
    sample->time_ms = (int64_t)time_ms;
    return true;
}

static bool get_sample(const unsigned char **at, const unsigned char *end,
                       struct remote_write_sample *sample)
{
    struct pb_field field;
    if (get_usual_sample(*at, end, sample))
        return true;
    *sample = (struct remote_write_sample){0.0, 0};
    while (*at < end) {
        if (!pb_get_field(at, end, &field))
            return false;
        if (field.number == 1 && field.wire == PB_FIXED64)
            memcpy(&sample->value, &field.value, sizeof sample->value);
        else if (field.number == 2 && field.wire == PB_VARINT)
            sample->time_ms = (int64_t)field.value;
    }
    return true;
}

/* Checks the whole series, so that remote_write_next() meets no surprises. */
static bool get_series(const unsigned char **at, const unsigned char *end,
                       struct remote_write_series *series)
{
    struct pb_field field;
    series->fault = REMOTE_WRITE_FINE;
    series->id.name = "";
    series->id.name_len = 0;
    series->id.label_count = series->sample_count = 0;
    series->body = *at;
    series->end = end;
    while (*at < end) {
        if (!pb_get_field(at, end, &field))
            return false;
        const unsigned char *inner = field.bytes;
        if (pb_is_bytes(&field, 1)) {
            struct raw_label label;
            if (!get_label(&inner, *at, &label)) {
                *at = inner;
                return false;
            }
            add_label(series, &label);
        } else if (pb_is_bytes(&field, 2)) {
            struct remote_write_sample sample;
            if (!get_sample(&inner, *at, &sample)) {
                *at = inner;
                return false;
            }
            series->sample_count++;
        }
    }
    if (series->fault == REMOTE_WRITE_FINE && series->id.name_len == 0)
        series->fault = REMOTE_WRITE_NO_NAME;
    return true;
}

enum fw_status remote_write_read(const void *body, size_t len, remote_write_visit visit, void *ctx,
                                 struct fw_error *err)
{
    struct remote_write_series series;
    if (len == 0)
        return FW_OK; /* `body` may be NULL */
    const unsigned char *const begin = body, *at = begin, *const end = begin + len;
    while (at < end) {
        struct pb_field field;
        if (!pb_get_field(&at, end, &field))
            return fw_fail_at(err, FW_EINVAL, (uint64_t)(at - begin),
                              "no protobuf field at byte %td of the unpacked body", at - begin);
        if (!pb_is_bytes(&field, 1))
            continue;
        const unsigned char *inner = field.bytes;
        if (!get_series(&inner, at, &series))
            return fw_fail_at(err, FW_EINVAL, (uint64_t)(inner - begin),
                              "no protobuf field at byte %td of the unpacked body", inner - begin);
        const enum fw_status status = visit(ctx, &series);
        if (status != FW_OK)
            return status;
    }
    return FW_OK;
}

bool remote_write_next(const struct remote_write_series *series, const unsigned char **at,
                       struct remote_write_sample *sample)
{
    struct pb_field field;
    if (*at == NULL)
        *at = series->body;
    while (*at < series->end) {
        if (!pb_get_field(at, series->end, &field))
            return false;
        if (pb_is_bytes(&field, 2)) {
            const unsigned char *inner = field.bytes;
            return get_sample(&inner, *at, sample);
        }
    }
    return false;
}
