/* Any bytes as a journal body: refused, or a batch whose rows are sane and whose encoding decodes
 * to itself. */
#include "base/buf.h"
#include "domain/batch.h"

#include <stdlib.h>
#include <string.h>

static struct schema schema;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_rows(const struct sample_batch *batch)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct sample_row *row = &batch->rows[i];
        require(row->name < batch->name_count && row->value_count > 0);
        require(row->time_ms >= 0 && row->time_ms < BATCH_TIME_END_MS);
        require(row->status < STATUS_COUNT);
        require(row->profile < PROFILE_COUNT || row->profile == PROFILE_UNKNOWN);
        for (size_t k = 0; k < row->value_count; k++) {
            const struct sample_value *v = &batch->values[row->first_value + k];
            double value = (double)v->value;
            require(v->metric < schema.count && schema_accept(&schema.metrics[v->metric], &value));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fw_error err;
    struct fw_buf once, twice;
    if (schema.count == 0)
        schema_default(&schema);
    struct sample_batch *batch = batch_new(), *back = batch_new();
    require(batch != NULL && back != NULL);
    if (batch_decode(data, size, &schema, batch, &err) == FW_OK) {
        check_rows(batch);
        fw_buf_init(&once, 16 << 20);
        fw_buf_init(&twice, 16 << 20);
        batch_encode(batch, &schema, &once);
        require(!once.failed);
        require(batch_decode(once.data, once.len, &schema, back, &err) == FW_OK);
        batch_encode(back, &schema, &twice);
        require(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
        fw_buf_fini(&once);
        fw_buf_fini(&twice);
    }
    batch_free(batch);
    batch_free(back);
    return 0;
}
