#include "domain/batch.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/hash.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Name bytes live in blocks that never move, so that batch_name.text stays put while the batch
 * grows. */
struct batch_text {
    struct batch_text *next;
    size_t used, size;
    char bytes[];
};

enum { TEXT_BLOCK = 16384, TABLE_MIN = 64 };

const char *batch_reason_name(enum batch_reason reason)
{
    static const char *const names[BATCH_REASON_COUNT] = {
        [BATCH_OK] = "ok",
        [BATCH_BAD_RECORD] = "bad_record",
        [BATCH_NO_NAME] = "bad_server_name",
        [BATCH_BAD_TIME] = "bad_timestamp",
        [BATCH_BAD_VALUE] = "bad_value",
        [BATCH_NO_VALUES] = "no_known_metric",
        [BATCH_TOO_OLD] = "too_old",
        [BATCH_IN_FUTURE] = "in_future",
        [BATCH_SERVER_LIMIT] = "server_limit",
        [BATCH_SEALED] = "step_sealed",
    };
    return names[reason];
}

struct sample_batch *batch_new(void)
{
    return fw_calloc(1, sizeof(struct sample_batch));
}

void batch_free(struct sample_batch *batch)
{
    if (batch == NULL)
        return;
    while (batch->texts != NULL) {
        struct batch_text *next = batch->texts->next;
        fw_free(batch->texts);
        batch->texts = next;
    }
    fw_free(batch->names);
    fw_free(batch->rows);
    fw_free(batch->values);
    fw_free(batch->name_table);
    batch_labels_reset(batch, false);
    fw_free(batch);
}

static size_t held_bytes(const struct sample_batch *batch)
{
    return batch->name_cap * sizeof *batch->names + batch->row_cap * sizeof *batch->rows +
           batch->value_cap * sizeof *batch->values +
           batch->name_table_size * sizeof *batch->name_table;
}

void batch_reset(struct sample_batch *batch)
{
    batch_labels_reset(batch, true);
    /* One block of name bytes is kept for the next names; the others go. */
    while (batch->texts != NULL && batch->texts->next != NULL) {
        struct batch_text *next = batch->texts->next;
        fw_free(batch->texts);
        batch->texts = next;
    }
    if (batch->texts != NULL)
        batch->texts->used = 0;
    if (held_bytes(batch) > BATCH_KEEP_BYTES) {
        fw_free(batch->names);
        fw_free(batch->rows);
        fw_free(batch->values);
        fw_free(batch->name_table);
        *batch = (struct sample_batch){.texts = batch->texts,
                                       .label_rules = batch->label_rules,
                                       .label_bytes = batch->label_bytes};
        return;
    }
    if (batch->name_table != NULL)
        memset(batch->name_table, 0, batch->name_table_size * sizeof *batch->name_table);
    batch->name_count = batch->row_count = batch->value_count = batch->records = 0;
    batch->received_ms = 0;
    batch->error_count = 0;
    memset(batch->rejected, 0, sizeof batch->rejected);
}

/* Doubles an array's capacity when it is full. */
static bool room(void **array, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return true;
    const size_t more = *cap == 0 ? 64 : *cap * 2;
    void *grown = fw_realloc_array(*array, more, size);
    if (grown == NULL)
        return false;
    *array = grown;
    *cap = more;
    return true;
}

static const char *keep_text(struct sample_batch *batch, const char *text, size_t len)
{
    struct batch_text *block = batch->texts;
    if (block == NULL || block->size - block->used < len + 1) {
        const size_t size = len + 1 > TEXT_BLOCK ? len + 1 : TEXT_BLOCK;
        block = fw_malloc(sizeof *block + size);
        if (block == NULL)
            return NULL;
        *block = (struct batch_text){.next = batch->texts, .size = size};
        batch->texts = block;
    }
    char *copy = block->bytes + block->used;
    memcpy(copy, text, len);
    copy[len] = '\0';
    block->used += len + 1;
    return copy;
}

static size_t table_slot(const struct sample_batch *batch, const char *text, size_t len)
{
    const size_t mask = batch->name_table_size - 1;
    size_t slot = (size_t)fw_hash_keyed(text, len) & mask;
    for (;; slot = (slot + 1) & mask) {
        const uint32_t entry = batch->name_table[slot];
        if (entry == 0)
            return slot;
        const struct batch_name *name = &batch->names[entry - 1];
        if (name->len == len && memcmp(name->text, text, len) == 0)
            return slot;
    }
}

static bool table_grow(struct sample_batch *batch)
{
    if (batch->name_table != NULL && batch->name_count * 2 < batch->name_table_size)
        return true;
    const size_t size = batch->name_table_size == 0 ? TABLE_MIN : batch->name_table_size * 2;
    uint32_t *table = fw_calloc(size, sizeof *table);
    if (table == NULL)
        return false;
    fw_free(batch->name_table);
    batch->name_table = table;
    batch->name_table_size = size;
    for (size_t i = 0; i < batch->name_count; i++)
        table[table_slot(batch, batch->names[i].text, batch->names[i].len)] = (uint32_t)i + 1;
    return true;
}

enum fw_status batch_name(struct sample_batch *batch, const char *text, size_t len, uint32_t *index)
{
    /* Rows of one server mostly stand together. */
    if (batch->row_count > 0) {
        const struct batch_name *last = &batch->names[batch->rows[batch->row_count - 1].name];
        if (last->len == len && memcmp(last->text, text, len) == 0) {
            *index = (uint32_t)(last - batch->names);
            return FW_OK;
        }
    }
    if (!table_grow(batch))
        return FW_ENOMEM;
    const size_t slot = table_slot(batch, text, len);
    if (batch->name_table[slot] != 0) {
        *index = batch->name_table[slot] - 1;
        return FW_OK;
    }
    if (!room((void **)&batch->names, &batch->name_cap, batch->name_count, sizeof *batch->names))
        return FW_ENOMEM;
    const char *copy = keep_text(batch, text, len);
    if (copy == NULL)
        return FW_ENOMEM;
    batch->names[batch->name_count] = (struct batch_name){copy, (uint32_t)len, 0};
    *index = (uint32_t)batch->name_count++;
    batch->name_table[slot] = *index + 1;
    return FW_OK;
}

enum fw_status batch_row_begin(struct sample_batch *batch, const struct sample_row *head)
{
    assert(head->name < batch->name_count);
    if (!room((void **)&batch->rows, &batch->row_cap, batch->row_count, sizeof *batch->rows))
        return FW_ENOMEM;
    struct sample_row *row = &batch->rows[batch->row_count++];
    *row = *head;
    row->first_value = (uint32_t)batch->value_count;
    row->value_count = 0;
    return FW_OK;
}

enum fw_status batch_value(struct sample_batch *batch, int metric, float value)
{
    assert(batch->row_count > 0 && metric >= 0 && metric < SCHEMA_METRICS_MAX && isfinite(value));
    struct sample_row *row = &batch->rows[batch->row_count - 1];
    for (size_t i = row->first_value; i < batch->value_count; i++) {
        if (batch->values[i].metric == metric) {
            batch->values[i].value = value; /* named twice in one record: the last wins */
            return FW_OK;
        }
    }
    if (!room((void **)&batch->values, &batch->value_cap, batch->value_count,
              sizeof *batch->values))
        return FW_ENOMEM;
    batch->values[batch->value_count++] = (struct sample_value){(uint16_t)metric, value};
    row->value_count++;
    return FW_OK;
}

enum fw_status batch_row_put(struct sample_batch *batch, const struct sample_row *head,
                             const struct sample_value *values, size_t count)
{
    assert(count > 0 && count <= SCHEMA_METRICS_MAX);
    const enum fw_status status = batch_row_begin(batch, head);
    if (status != FW_OK)
        return status;
    /* Capacities double from 64 on, so one doubling is always room for one row. */
    if (!room((void **)&batch->values, &batch->value_cap, batch->value_count + count - 1,
              sizeof *batch->values)) {
        batch_row_drop(batch);
        return FW_ENOMEM;
    }
    memcpy(batch->values + batch->value_count, values, count * sizeof *values);
    batch->value_count += count;
    batch->rows[batch->row_count - 1].value_count = (uint16_t)count;
    return FW_OK;
}

void batch_row_drop(struct sample_batch *batch)
{
    assert(batch->row_count > 0);
    batch->value_count = batch->rows[--batch->row_count].first_value;
}

bool batch_row_end(struct sample_batch *batch)
{
    if (batch->rows[batch->row_count - 1].value_count > 0)
        return true;
    batch_row_drop(batch);
    return false;
}

void batch_reject(struct sample_batch *batch, size_t record, enum batch_reason reason,
                  const char *field, const char *server_name, size_t server_name_len,
                  const char *format, ...)
{
    batch->rejected[reason]++;
    if (batch->error_count == BATCH_ERRORS_MAX)
        return;
    struct batch_error *error = &batch->errors[batch->error_count++];
    memset(error, 0, sizeof *error);
    error->record = (uint32_t)record;
    error->reason = reason;
    if (field != NULL)
        snprintf(error->field, sizeof error->field, "%s", field);
    if (server_name != NULL && server_name_len <= SERVER_NAME_MAX)
        memcpy(error->server_name, server_name, server_name_len);
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
}

size_t batch_rejected_total(const struct sample_batch *batch)
{
    size_t total = 0;
    for (size_t i = BATCH_OK + 1; i < BATCH_REASON_COUNT; i++)
        total += batch->rejected[i];
    return total;
}

void batch_compact(struct sample_batch *batch)
{
    size_t kept = 0;
    for (size_t i = 0; i < batch->row_count; i++)
        if (batch->rows[i].value_count > 0)
            batch->rows[kept++] = batch->rows[i];
    batch->row_count = kept;
}

/* ---- the journal's body; docs/formats/batch.md has the bytes ---- */

/* What has no label changes is written as version 1: nothing about it has changed. */
enum { BODY_VERSION = 1, BODY_VERSION_LABELS = 2 };

static void put_row(const struct sample_batch *batch, const struct sample_row *row,
                    int64_t *last_ms, struct fw_buf *out)
{
    uint64_t mask = 0;
    float by_metric[SCHEMA_METRICS_MAX];
    for (size_t i = 0; i < row->value_count; i++) {
        const struct sample_value *v = &batch->values[row->first_value + i];
        mask |= (uint64_t)1 << v->metric;
        by_metric[v->metric] = v->value;
    }
    fw_buf_put_varint(out, row->name);
    fw_buf_put_varint(out, fw_zigzag(row->time_ms - *last_ms));
    *last_ms = row->time_ms;
    fw_buf_putc(out, (char)row->status);
    fw_buf_putc(out, (char)row->profile);
    fw_buf_put(out, &mask, sizeof mask);
    float packed[SCHEMA_METRICS_MAX];
    size_t n = 0;
    for (; mask != 0; mask &= mask - 1)
        /* cppcheck-suppress uninitvar; each bit of the mask is set with its place above */
        packed[n++] = by_metric[__builtin_ctzll(mask)];
    fw_buf_put(out, packed, n * sizeof packed[0]);
}

void batch_encode(const struct sample_batch *batch, const struct schema *schema, struct fw_buf *out)
{
    const bool labels = batch_label_changes(batch) > 0;
    fw_buf_putc(out, labels ? BODY_VERSION_LABELS : BODY_VERSION);
    fw_buf_put_varint(out, fw_zigzag(batch->received_ms));
    fw_buf_put_varint(out, schema->count);
    for (size_t i = 0; i < schema->count; i++) {
        const size_t len = strlen(schema->metrics[i].name);
        fw_buf_put_varint(out, len);
        fw_buf_put(out, schema->metrics[i].name, len);
    }
    fw_buf_put_varint(out, batch->name_count);
    for (size_t i = 0; i < batch->name_count; i++) {
        fw_buf_put_varint(out, batch->names[i].len);
        fw_buf_put(out, batch->names[i].text, batch->names[i].len);
    }
    fw_buf_put_varint(out, batch->row_count);
    int64_t last_ms = 0;
    for (size_t i = 0; i < batch->row_count; i++)
        put_row(batch, &batch->rows[i], &last_ms, out);
    if (labels)
        batch_label_changes_encode(batch, out);
}

/* The writer's metric numbers to ours; -1 where we have no such metric. */
static bool get_metric_map(struct fw_bytes *r, const struct schema *schema,
                           int map[SCHEMA_METRICS_MAX])
{
    const uint64_t count = fw_bytes_varint(r);
    if (count > SCHEMA_METRICS_MAX)
        return false;
    for (size_t i = 0; i < SCHEMA_METRICS_MAX; i++)
        map[i] = -1;
    for (size_t i = 0; i < count && !r->bad; i++) {
        const uint64_t len = fw_bytes_varint(r);
        const char *name = len <= SCHEMA_METRIC_NAME_MAX ? fw_bytes_take(r, (size_t)len) : NULL;
        if (name == NULL)
            return false;
        map[i] = schema_find(schema, name, (size_t)len);
    }
    return !r->bad;
}

static enum fw_status get_names(struct fw_bytes *r, struct sample_batch *batch)
{
    const uint64_t count = fw_bytes_varint(r);
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        const uint64_t len = fw_bytes_varint(r);
        const char *name = len <= SERVER_NAME_MAX ? fw_bytes_take(r, (size_t)len) : NULL;
        uint32_t index;
        if (name == NULL || !server_name_valid(name, (size_t)len))
            return FW_ECORRUPT;
        const enum fw_status status = batch_name(batch, name, (size_t)len, &index);
        if (status != FW_OK)
            return status;
        if (index != i)
            return FW_ECORRUPT; /* a name twice */
    }
    return r->bad ? FW_ECORRUPT : FW_OK;
}

static enum fw_status get_row(struct fw_bytes *r, const struct schema *schema,
                              const int map[SCHEMA_METRICS_MAX], int64_t *last_ms,
                              struct sample_batch *batch)
{
    const uint64_t name = fw_bytes_varint(r);
    const uint64_t step = fw_bytes_varint(r);
    const unsigned char *kind = fw_bytes_take(r, 2);
    const void *mask_bytes = fw_bytes_take(r, sizeof(uint64_t));
    if (r->bad || name >= batch->name_count)
        return FW_ECORRUPT;
    uint64_t mask;
    memcpy(&mask, mask_bytes, sizeof mask);
    *last_ms = (int64_t)((uint64_t)*last_ms + (uint64_t)fw_unzigzag(step));
    if (*last_ms < 0 || *last_ms >= BATCH_TIME_END_MS)
        return FW_ECORRUPT;
    const struct sample_row head = {
        .name = (uint32_t)name,
        .record = (uint32_t)batch->row_count,
        .time_ms = *last_ms,
        .status = kind[0] < STATUS_COUNT ? kind[0] : STATUS_UNKNOWN,
        .profile = kind[1] < PROFILE_COUNT ? kind[1] : PROFILE_UNKNOWN,
    };
    enum fw_status status = batch_row_begin(batch, &head);
    for (; mask != 0 && status == FW_OK; mask &= mask - 1) {
        const int metric = map[__builtin_ctzll(mask)];
        const void *bytes = fw_bytes_take(r, sizeof(float));
        float value;
        if (bytes == NULL)
            return FW_ECORRUPT;
        memcpy(&value, bytes, sizeof value);
        double checked = (double)value;
        if (metric >= 0 && schema_accept(&schema->metrics[metric], &checked))
            status = batch_value(batch, metric, (float)checked);
    }
    if (status == FW_OK)
        batch_row_end(batch);
    return status;
}

enum fw_status batch_decode(const void *data, size_t len, const struct schema *schema,
                            struct sample_batch *batch, struct fw_error *err)
{
    assert(data != NULL || len == 0);
    struct fw_bytes r = fw_bytes_of(data, len);
    int map[SCHEMA_METRICS_MAX];
    const unsigned char *version = fw_bytes_take(&r, 1);
    if (version != NULL && *version != BODY_VERSION && *version != BODY_VERSION_LABELS)
        return fw_fail(err, FW_EVERSION, "batch of version %d, this program knows %d and %d",
                       *version, BODY_VERSION, BODY_VERSION_LABELS);
    batch->received_ms = fw_unzigzag(fw_bytes_varint(&r));
    if (batch->received_ms < 0 || batch->received_ms >= BATCH_TIME_END_MS)
        return fw_fail_at(err, FW_ECORRUPT, 1, "batch: received at an impossible time");
    if (version == NULL || !get_metric_map(&r, schema, map))
        return fw_fail_at(err, FW_ECORRUPT, 0, "batch: bad metric table");
    enum fw_status status = get_names(&r, batch);
    if (status != FW_OK)
        return fw_fail_at(err, status, (uint64_t)(r.at - (const unsigned char *)data),
                          "batch: bad server names");
    const uint64_t rows = fw_bytes_varint(&r);
    int64_t last_ms = 0;
    for (uint64_t i = 0; i < rows && status == FW_OK; i++)
        status = r.bad ? FW_ECORRUPT : get_row(&r, schema, map, &last_ms, batch);
    if (status == FW_OK && *version == BODY_VERSION_LABELS)
        status = batch_label_changes_decode(&r, batch);
    if (status == FW_OK && (r.bad || r.at != r.end))
        status = FW_ECORRUPT;
    if (status != FW_OK)
        return fw_fail_at(err, status, (uint64_t)(r.at - (const unsigned char *)data),
                          "batch: bad row or label");
    batch->records = batch->row_count;
    return FW_OK;
}
