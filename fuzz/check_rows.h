/* What holds of every batch that a book of raw series filled. */
#ifndef FW_FUZZ_CHECK_ROWS_H
#define FW_FUZZ_CHECK_ROWS_H

#include "check_labels.h"

#include <stdlib.h>

static inline void require(bool holds)
{
    if (!holds)
        abort();
}

/* Rows and refusals are all that was seen; every name, time and value is possible. */
static inline void check_rows(const struct sample_batch *batch, const struct schema *schema)
{
    check_labels(batch);
    require(batch->row_count + batch_rejected_total(batch) == batch->records);
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct sample_row *row = &batch->rows[i];
        require(server_name_valid(batch->names[row->name].text, batch->names[row->name].len));
        require(row->time_ms >= 0 && row->time_ms < BATCH_TIME_END_MS && row->value_count > 0);
        for (size_t k = 0; k < row->value_count; k++) {
            const struct sample_value *v = &batch->values[row->first_value + k];
            double value = (double)v->value;
            require(schema_accept(&schema->metrics[v->metric], &value));
        }
    }
}

#endif
