#include "backfill/rows.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

static int by_server_newest_first(const void *a, const void *b)
{
    const struct sample_row *x = a, *y = b;
    if (x->name != y->name)
        return x->name < y->name ? -1 : 1;
    if (x->time_ms != y->time_ms)
        return x->time_ms > y->time_ms ? -1 : 1;
    return x->record < y->record ? -1 : x->record > y->record; /* a later value comes later */
}

enum fw_status backfill_rows_finish(struct backfill_rows *rows, struct sample_batch *batch)
{
    rows->gone = 0;
    rows->a_gone[0] = '\0';
    rows->first_ms = rows->last_ms = 0;
    if (batch->row_count == 0)
        return FW_OK;
    int64_t *newest_ms = fw_calloc(batch->name_count, sizeof *newest_ms);
    if (newest_ms == NULL)
        return FW_ENOMEM;
    for (size_t i = 0; i < batch->row_count; i++)
        if (batch->rows[i].time_ms > newest_ms[batch->rows[i].name])
            newest_ms[batch->rows[i].name] = batch->rows[i].time_ms;
    for (size_t i = 0; i < batch->name_count; i++) {
        if (newest_ms[i] == 0 || newest_ms[i] >= rows->alive_ms)
            continue;
        if (rows->gone++ == 0)
            snprintf(rows->a_gone, sizeof rows->a_gone, "%s", batch->names[i].text);
    }
    for (size_t i = 0; i < batch->row_count; i++) {
        struct sample_row *row = &batch->rows[i];
        if (row->time_ms < rows->begin_ms || newest_ms[row->name] < rows->alive_ms) {
            row->value_count = 0;
            continue;
        }
        if (rows->first_ms == 0 || row->time_ms < rows->first_ms)
            rows->first_ms = row->time_ms;
        if (row->time_ms > rows->last_ms)
            rows->last_ms = row->time_ms;
    }
    fw_free(newest_ms);
    batch_compact(batch);
    if (batch->row_count > 1)
        qsort(batch->rows, batch->row_count, sizeof batch->rows[0], by_server_newest_first);
    return FW_OK;
}
