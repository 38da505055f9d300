/* Every record of a body that is taken is a row or a counted refusal; every value is possible for
 * its metric; and the rows, printed as a body again and decoded, are the same rows. A body that is
 * taken is JSON for the second reader, too. */
#include "base/buf.h"
#include "base/json_locate.h"
#include "base/text.h"
#include "ingest/json.h"

#include "check_labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1 << 20 };

static struct schema schema;
static struct ingest_decoder *decoder;
static struct sample_batch *first, *second;
static struct fw_buf body;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void print(const struct sample_batch *batch)
{
    fw_buf_reset(&body);
    fw_buf_puts(&body, "{\"records\":[");
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct sample_row *row = &batch->rows[i];
        const struct batch_name *name = &batch->names[row->name];
        char time[FW_TIME_SIZE];
        fw_time_format_z(row->time_ms, time);
        fw_buf_puts(&body, i == 0 ? "{\"server_name\":" : ",{\"server_name\":");
        fw_buf_json_string(&body, name->text, name->len);
        fw_buf_printf(&body, ",\"timestamp\":\"%s\",\"status\":\"%s\"", time,
                      server_status_name((enum server_status)row->status));
        if (row->profile != PROFILE_UNKNOWN)
            fw_buf_printf(&body, ",\"profile\":\"%s\"", profile_name((enum profile)row->profile));
        for (size_t k = 0; k < row->value_count; k++) {
            const struct sample_value *v = &batch->values[row->first_value + k];
            fw_buf_printf(&body, ",\"%s\":%.9g", schema.metrics[v->metric].name, (double)v->value);
        }
        fw_buf_putc(&body, '}');
    }
    fw_buf_puts(&body, "]}");
}

static void check_rows(const struct sample_batch *batch)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct sample_row *row = &batch->rows[i];
        require(row->name < batch->name_count && row->value_count > 0);
        require(server_name_valid(batch->names[row->name].text, batch->names[row->name].len));
        require(row->time_ms >= 0 && row->time_ms < BATCH_TIME_END_MS);
        for (size_t k = 0; k < row->value_count; k++) {
            const struct sample_value *v = &batch->values[row->first_value + k];
            double value = (double)v->value;
            require(schema_accept(&schema.metrics[v->metric], &value));
        }
    }
}

static void check_same(void)
{
    require(first->row_count == second->row_count);
    for (size_t i = 0; i < first->row_count; i++) {
        const struct sample_row *a = &first->rows[i], *b = &second->rows[i];
        require(strcmp(first->names[a->name].text, second->names[b->name].text) == 0);
        require(a->time_ms == b->time_ms && a->status == b->status && a->profile == b->profile);
        require(a->value_count == b->value_count);
        for (size_t k = 0; k < a->value_count; k++) {
            const struct sample_value *x = &first->values[a->first_value + k];
            const struct sample_value *y = &second->values[b->first_value + k];
            require(x->metric == y->metric && x->value == y->value);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ingest_request_errors errors;
    if (decoder == NULL) {
        schema_default(&schema);
        decoder = ingest_decoder_new(&schema, BODY_MAX);
        first = batch_new();
        second = batch_new();
        keep_labels(first);
        fw_buf_init(&body, 64 << 20);
    }
    if (size == 0 || size > BODY_MAX)
        return 0;
    /* The first byte picks the form; the rest is the body. */
    const enum ingest_json_form form = data[0] & 1 ? INGEST_JSON_LINES : INGEST_JSON_ANY;
    const char *text = (const char *)data + 1;
    batch_reset(first);
    const enum fw_status status = ingest_json(decoder, text, size - 1, form, first, &errors);
    require((errors.count > 0) == (status != FW_OK));
    require(first->row_count + batch_rejected_total(first) == first->records);
    if (status != FW_OK) {
        require(first->records == 0 && first->row_count == 0);
        require(!errors.entries[0].has_offset || errors.entries[0].offset <= size - 1);
        return 0;
    }
    check_rows(first);
    check_labels(first);
    print(first);
    require(!body.failed);
    size_t offset;
    const char *reason;
    require(fw_json_locate(body.data, body.len, INGEST_JSON_DEPTH, &offset, &reason));
    batch_reset(second);
    require(ingest_json(decoder, body.data, body.len, INGEST_JSON_ANY, second, &errors) == FW_OK);
    check_same();
    return 0;
}
