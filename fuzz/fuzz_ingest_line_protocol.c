/* Line protocol. A point written out again and read again is the same point; a body without quotes
 * costs the line behind it nothing, whatever it is; what is refused and what is taken is what is
 * there; and every value that the book makes of it is possible for its metric. */
#include "base/text.h"
#include "ingest/influx.h"
#include "ingest/series_book.h"

#include "check_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1 << 18, BOOK_BYTES = 1 << 20 };

static struct schema schema;
static struct series_rules *rules;
static struct sample_batch *batch;
static struct line_decoder *decoder, *second;
static struct fw_buf again;

struct totals {
    size_t points, faults, fields, last_line;
    const struct line_point *expected; /* of the reprint */
};

/* ---- written out again ---- */

static void put_escaped(const char *text, size_t len, const char *escaped)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\0' && strchr(escaped, text[i]) != NULL)
            fw_buf_putc(&again, '\\');
        fw_buf_putc(&again, text[i]);
    }
}

/* A backslash that stays before what it could escape cannot be written. */
static bool writable(const char *text, size_t len, const char *escaped)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\\' &&
            (i + 1 == len || strchr(escaped, text[i + 1]) != NULL || text[i + 1] == '"'))
            return false;
    return true;
}

static bool print_point(const struct line_point *p)
{
    bool good = writable(p->measurement, p->measurement_len, ",= ") && p->measurement[0] != '#' &&
                p->measurement[0] != '\t';
    fw_buf_reset(&again);
    put_escaped(p->measurement, p->measurement_len, ",= ");
    for (size_t i = 0; i < p->tag_count && good; i++) {
        const struct raw_label *tag = &p->tags[i];
        good = writable(tag->name, tag->name_len, ",= ") &&
               writable(tag->value, tag->value_len, ",= ");
        fw_buf_putc(&again, ',');
        put_escaped(tag->name, tag->name_len, ",= ");
        fw_buf_putc(&again, '=');
        put_escaped(tag->value, tag->value_len, ",= ");
    }
    for (size_t i = 0; i < p->field_count && good; i++) {
        const struct line_field *field = &p->fields[i];
        good = writable(field->key, field->key_len, ",= ");
        fw_buf_putc(&again, i > 0 ? ',' : ' ');
        put_escaped(field->key, field->key_len, ",= ");
        fw_buf_putc(&again, '=');
        if (field->type == LINE_STRING) {
            fw_buf_putc(&again, '"');
            put_escaped(field->text, field->text_len, "\"\\");
            fw_buf_putc(&again, '"');
        } else if (field->type == LINE_BOOLEAN) {
            fw_buf_putc(&again, field->number > 0 ? 't' : 'f');
        } else {
            fw_buf_printf(&again, "%.17g", field->number);
        }
    }
    fw_buf_printf(&again, " %lld", (long long)p->time_ms);
    return good && !again.failed;
}

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static enum fw_status compare(void *ctx, const struct line_point *p)
{
    struct totals *totals = ctx;
    const struct line_point *q = totals->expected;
    totals->points++;
    require(same_text(p->measurement, p->measurement_len, q->measurement, q->measurement_len));
    require(p->tag_count == q->tag_count && p->field_count == q->field_count);
    require(p->time_ms == q->time_ms);
    for (size_t i = 0; i < p->tag_count; i++)
        require(
            same_text(p->tags[i].name, p->tags[i].name_len, q->tags[i].name, q->tags[i].name_len) &&
            same_text(p->tags[i].value, p->tags[i].value_len, q->tags[i].value,
                      q->tags[i].value_len));
    for (size_t i = 0; i < p->field_count; i++) {
        const struct line_field *a = &p->fields[i], *b = &q->fields[i];
        require(same_text(a->key, a->key_len, b->key, b->key_len));
        require(memcmp(&a->number, &b->number, sizeof a->number) == 0 || a->number == b->number);
        require(same_text(a->text, a->text_len, b->text, b->text_len));
    }
    return FW_OK;
}

static enum fw_status count_fault(void *ctx, const struct line_fault *fault)
{
    struct totals *totals = ctx;
    totals->faults++;
    require(fault->text != NULL && fault->excerpt_len <= 64 && fault->line > totals->last_line);
    totals->last_line = fault->line;
    return FW_OK;
}

static enum fw_status count_point(void *ctx, const struct line_point *p)
{
    struct totals *totals = ctx;
    totals->points++;
    totals->fields += p->field_count;
    require(p->line > totals->last_line && p->field_count > 0 && p->measurement_len > 0);
    totals->last_line = p->line;
    require(fw_utf8_valid(p->measurement, p->measurement_len));
    for (size_t i = 0; i < p->field_count; i++)
        require(isfinite(p->fields[i].number));
    if (!print_point(p))
        return FW_OK;
    struct totals one = {.expected = p};
    const struct line_visitor visitor = {
        .ctx = &one, .precision = LINE_MS, .point = compare, .fault = count_fault};
    require(line_protocol_read(second, again.data, again.len, &visitor) == FW_OK);
    require(one.points == 1 && one.faults == 0);
    return FW_OK;
}

static struct totals walk(const char *body, size_t size, enum line_precision precision)
{
    struct totals totals = {0};
    const struct line_visitor visitor = {.ctx = &totals,
                                         .precision = precision,
                                         .now_ms = 5,
                                         .point = count_point,
                                         .fault = count_fault};
    require(line_protocol_read(decoder, body, size, &visitor) == FW_OK);
    return totals;
}

/* ---- through the book ---- */

static void put(struct series_book *book, const char *body, size_t size,
                enum line_precision precision, const struct totals *totals)
{
    struct series_gather gather;
    struct influx_refusal first;
    batch_reset(batch);
    series_gather_init(&gather, rules, &schema, batch);
    require(influx_read(&gather, body, size, precision, 1, &first, NULL) == FW_OK);
    require(batch->rejected[BATCH_BAD_RECORD] == totals->faults);
    require((first.line == 0) == (batch_rejected_total(batch) == 0));
    require(gather.sample_count + batch_rejected_total(batch) <= totals->fields + totals->faults);
    require(series_book_take(book, &gather, 0, batch) == FW_OK);
    check_rows(batch, &schema);
    series_gather_fini(&gather);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char body[BODY_MAX + 8];
    if (rules == NULL) {
        schema_default(&schema);
        rules = series_rules_new(&schema);
        batch = batch_new();
        decoder = line_decoder_new();
        second = line_decoder_new();
        fw_buf_init(&again, 4 * BODY_MAX);
        require(rules != NULL && batch != NULL && decoder != NULL && second != NULL);
        keep_labels(batch);
    }
    if (size == 0 || size > BODY_MAX)
        return 0;
    const enum line_precision precision = data[0] % (LINE_H + 1);
    memcpy(body, data + 1, --size);
    const struct totals whole = walk(body, size, precision);
    if (memchr(body, '"', size) == NULL) {
        memcpy(body + size, "\nm v=1", 6);
        const struct totals more = walk(body, size + 6, precision);
        require(more.points == whole.points + 1 && more.faults == whole.faults);
    }
    struct series_book *book =
        series_book_new(&(struct series_book_options){.bytes_max = BOOK_BYTES});
    require(book != NULL);
    put(book, body, size, precision, &whole);
    put(book, body, size, precision, &whole);
    series_book_free(book);
    return 0;
}
