/* Two questions, chosen by the first byte. A snappy block: does it give what a second, naive
 * decoder gives, and never more than it may? A WriteRequest: are samples taken, refused and dropped
 * as many as are in it, do cuts of it hold nothing more, is memory bounded by the input, and is
 * every value that the book makes of it, once and again, possible for its metric? */
#include "base/text.h"
#include "ingest/series_book.h"

#include "check_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { UNPACKED_MAX = 1 << 20, BOOK_BYTES = 1 << 20 };

static struct schema schema;
static struct series_rules *rules;
static struct sample_batch *batch;
static struct fw_buf body;
static unsigned char naive[UNPACKED_MAX];

/* ---- snappy, byte by byte ---- */

struct input {
    const uint8_t *at, *end;
};

static bool take(struct input *in, size_t n, uint32_t *value)
{
    *value = 0;
    if ((size_t)(in->end - in->at) < n)
        return false;
    for (size_t i = 0; i < n; i++)
        *value |= (uint32_t)*in->at++ << 8 * i;
    return true;
}

static bool copy(size_t *len, size_t wanted, uint32_t offset, uint32_t n)
{
    if (offset == 0 || offset > *len || n > wanted - *len)
        return false;
    for (uint32_t i = 0; i < n; i++, ++*len)
        naive[*len] = naive[*len - offset];
    return true;
}

static bool literal(struct input *in, size_t *len, size_t wanted, uint32_t tag)
{
    uint32_t n = tag >> 2;
    if (n >= 60 && !take(in, n - 59, &n))
        return false;
    const uint64_t bytes = (uint64_t)n + 1;
    if (bytes > (uint64_t)(in->end - in->at) || bytes > wanted - *len)
        return false;
    memcpy(naive + *len, in->at, bytes);
    in->at += bytes;
    *len += bytes;
    return true;
}

/* *wanted: what the block says it holds. */
static bool naive_unpack(const uint8_t *data, size_t size, uint32_t *wanted)
{
    struct input in = {data, data + size};
    uint32_t byte = 0x80, tag, low;
    size_t len = 0;
    *wanted = 0;
    for (unsigned shift = 0; byte & 0x80; shift += 7) {
        if (shift > 28 || !take(&in, 1, &byte) || (shift == 28 && (byte & 0x7f) > 15))
            return false;
        *wanted |= (byte & 0x7f) << shift;
    }
    if (*wanted > UNPACKED_MAX)
        return false;
    while (in.at < in.end) {
        bool good = take(&in, 1, &tag);
        if ((tag & 3) == 0)
            good = literal(&in, &len, *wanted, tag);
        else if ((tag & 3) == 1)
            good = take(&in, 1, &low) &&
                   copy(&len, *wanted, (tag >> 5) << 8 | low, (tag >> 2 & 7) + 4);
        else
            good =
                take(&in, (tag & 3) == 2 ? 2 : 4, &low) && copy(&len, *wanted, low, (tag >> 2) + 1);
        if (!good)
            return false;
    }
    return len == *wanted;
}

static void check_block(const uint8_t *data, size_t size)
{
    struct fw_error err;
    uint32_t wanted;
    const enum fw_status status = remote_write_unpack(data, size, UNPACKED_MAX, &body, &err);
    const bool same = naive_unpack(data, size, &wanted);
    require(body.cap <= 2 * UNPACKED_MAX);
    if (status == FW_OK)
        require(same && body.len == wanted &&
                (wanted == 0 || memcmp(body.data, naive, wanted) == 0));
    else if (status == FW_EINVAL)
        require(!same);
    else /* what says too much; by ratio it may be whole, but no compressor makes such a block */
        require(status == FW_ELIMIT && (wanted > UNPACKED_MAX || wanted / 32 > size));
}

/* ---- a WriteRequest ---- */

struct totals {
    size_t series, samples, faulty;
};

static enum fw_status count(void *ctx, const struct remote_write_series *series)
{
    struct totals *totals = ctx;
    struct remote_write_sample sample;
    size_t walked = 0;
    totals->series++;
    for (const unsigned char *at = NULL; remote_write_next(series, &at, &sample);)
        walked++;
    require(walked == series->sample_count);
    if (series->fault != REMOTE_WRITE_FINE) {
        totals->faulty++;
        return FW_OK;
    }
    totals->samples += walked;
    require(series->id.name_len > 0 && fw_utf8_valid(series->id.name, series->id.name_len));
    require(series->id.label_count <= RAW_SERIES_LABELS_MAX);
    for (size_t i = 0; i < series->id.label_count; i++)
        require(fw_utf8_valid(series->id.labels[i].name, series->id.labels[i].name_len) &&
                fw_utf8_valid(series->id.labels[i].value, series->id.labels[i].value_len));
    return FW_OK;
}

/* One pass through the book. */
static void put(struct series_book *book, const uint8_t *data, size_t size,
                const struct totals *totals)
{
    struct series_gather gather;
    struct series_counts counts;
    batch_reset(batch);
    series_gather_init(&gather, rules, &schema, batch);
    gather.oldest_ms = 1000000000000; /* as in the daemon, the past is refused: year 2001 */
    const enum fw_status status = series_gather_read(&gather, data, size, NULL);
    require(status == FW_OK || status == FW_ELIMIT);
    if (status == FW_OK) {
        const size_t refused = batch_rejected_total(batch) - totals->faulty;
        /* Stale markers of series with state are among the samples, others are not. */
        const uint64_t dropped =
            gather.unmapped + gather.ignored + gather.not_finite + gather.no_server;
        require(gather.sample_count + refused + dropped <= totals->samples);
        require(gather.sample_count + refused + dropped + gather.stale >= totals->samples);
        /* A sample takes 40 bytes and came in nine at least: what a time of today needs. */
        require(gather.sample_count * sizeof gather.samples[0] <= 5 * size);
        require(series_book_take(book, &gather, 0, batch) == FW_OK);
        series_book_counts(book, &counts);
        require(counts.bytes <= BOOK_BYTES + SERIES_PARTS_MAX * 128);
        check_rows(batch, &schema);
    }
    series_gather_fini(&gather);
}

static void check_request(const uint8_t *data, size_t size)
{
    struct totals whole = {0}, part = {0};
    const enum fw_status status = remote_write_read(data, size, count, &whole, NULL);
    const enum fw_status half = remote_write_read(data, size / 2, count, &part, NULL);
    require((half == FW_OK || half == FW_EINVAL) && part.series <= whole.series);
    if (status != FW_OK)
        return;
    struct series_book *book =
        series_book_new(&(struct series_book_options){.bytes_max = BOOK_BYTES});
    require(book != NULL);
    put(book, data, size, &whole);
    put(book, data, size, &whole);
    series_book_free(book);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (rules == NULL) {
        schema_default(&schema);
        rules = series_rules_new(&schema);
        batch = batch_new();
        fw_buf_init(&body, UNPACKED_MAX);
        require(rules != NULL && batch != NULL);
        keep_labels(batch);
    }
    if (size == 0 || size > UNPACKED_MAX)
        return 0;
    if (data[0] & 1)
        check_block(data + 1, size - 1);
    else
        check_request(data + 1, size - 1);
    return 0;
}
