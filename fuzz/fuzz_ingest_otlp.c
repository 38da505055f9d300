/* OTLP, as protobuf or as JSON by the first byte: what is taken, refused and dropped is bounded by
 * what is there, damage never counts, half of a body holds no more than all of it, memory is
 * bounded by the input, and every value that the book makes of it, once and again, is possible for
 * its metric. */
#include "ingest/otlp.h"
#include "ingest/series_book.h"

#include "check_rows.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1 << 18, BOOK_BYTES = 1 << 20 };

static struct schema schema;
static struct series_rules *rules;
static struct sample_batch *batch;

/* How many points were seen, however they ended; SIZE_MAX: no such body. */
static size_t put(struct series_book *book, bool json, const char *body, size_t size)
{
    struct series_gather gather;
    struct fw_error err = {0};
    batch_reset(batch);
    series_gather_init(&gather, rules, &schema, batch);
    gather.oldest_ms = 1000000000000; /* as in the daemon, the past is refused: year 2001 */
    const enum fw_status status = json ? otlp_read_json(&gather, body, size, "10.0.0.1", &err)
                                       : otlp_read_protobuf(&gather, body, size, "10.0.0.1", &err);
    require(status == FW_OK || status == FW_EINVAL || status == FW_ELIMIT);
    require((status == FW_OK) == (err.text[0] == '\0') && err.offset <= size);
    size_t points = SIZE_MAX;
    if (status == FW_OK) {
        points = gather.sample_count + batch_rejected_total(batch) + gather.unmapped +
                 gather.ignored + gather.not_finite + gather.no_server;
        require(points <= size / 2); /* an empty point has two bytes at least */
        require(gather.sample_count * sizeof gather.samples[0] <= 5 * size);
        require(series_book_take(book, &gather, 0, batch) == FW_OK);
        check_rows(batch, &schema);
    }
    series_gather_fini(&gather);
    return points;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (rules == NULL) {
        schema_default(&schema);
        rules = series_rules_new(&schema);
        batch = batch_new();
        require(rules != NULL && batch != NULL);
        keep_labels(batch);
    }
    if (size == 0 || size > BODY_MAX)
        return 0;
    const bool json = data[0] & 1;
    const char *body = (const char *)data + 1;
    struct series_book *book =
        series_book_new(&(struct series_book_options){.bytes_max = BOOK_BYTES});
    require(book != NULL);
    const size_t whole = put(book, json, body, --size);
    require(put(book, json, body, size) == whole);
    const size_t half = put(book, json, body, size / 2);
    require(whole == SIZE_MAX || half == SIZE_MAX || half <= whole);
    series_book_free(book);
    return 0;
}
