#include "agent/feed.h"

#include "base/text.h"

#include <string.h>

enum { DECIMALS = 4 };

void agent_feed_begin(struct fw_buf *body)
{
    fw_buf_puts(body, "{\"records\":[");
}

void agent_feed_end(struct fw_buf *body)
{
    fw_buf_puts(body, "]}");
}

static void put_head(struct fw_buf *body, const char *server_name, size_t len, int64_t time_ms)
{
    char time[FW_TIME_SIZE];
    fw_time_format_z(time_ms, time);
    if (body->len > 0 && body->data[body->len - 1] == '}')
        fw_buf_putc(body, ',');
    fw_buf_puts(body, "{\"timestamp\":\"");
    fw_buf_puts(body, time);
    fw_buf_puts(body, "\",\"server_name\":");
    fw_buf_json_string(body, server_name, len);
}

static void put_metric(struct fw_buf *body, const struct schema_metric *metric, float value)
{
    fw_buf_putc(body, ',');
    fw_buf_json_key(body, metric->name);
    fw_buf_json_number(body, (double)value, metric->integer ? 0 : DECIMALS);
}

static void put_word(struct fw_buf *body, const char *key, const char *word)
{
    fw_buf_putc(body, ',');
    fw_buf_json_key(body, key);
    fw_buf_json_string(body, word, strlen(word));
}

static void put_labels(struct fw_buf *body, const struct label_set *labels)
{
    if (labels == NULL || labels->count == 0)
        return;
    fw_buf_puts(body, ",\"labels\":{");
    label_set_put_members(body, labels);
    fw_buf_putc(body, '}');
}

void agent_feed_reading(struct fw_buf *body, const char *server_name,
                        const struct label_set *labels, const struct agent_reading *reading)
{
    struct schema schema;
    schema_default(&schema);
    put_head(body, server_name, strlen(server_name), reading->time_ms);
    put_labels(body, labels);
    for (int m = 0; m < METRIC_CANONICAL_COUNT; m++)
        if (agent_reading_has(reading, (enum metric_index)m))
            put_metric(body, &schema.metrics[m], reading->values[m]);
    fw_buf_putc(body, '}');
}

void agent_feed_row(struct fw_buf *body, const struct sample_batch *batch,
                    const struct schema *schema, size_t index, const struct label_set *labels)
{
    const struct sample_row *row = &batch->rows[index];
    const struct batch_name *name = &batch->names[row->name];
    put_head(body, name->text, name->len, row->time_ms);
    put_labels(body, labels);
    if (row->status != STATUS_UNKNOWN)
        put_word(body, "status", server_status_name((enum server_status)row->status));
    if (row->profile != PROFILE_UNKNOWN)
        put_word(body, "profile", profile_name((enum profile)row->profile));
    for (size_t v = 0; v < row->value_count; v++) {
        const struct sample_value *value = &batch->values[row->first_value + v];
        put_metric(body, &schema->metrics[value->metric], value->value);
    }
    fw_buf_putc(body, '}');
}

void agent_feed_rows(struct fw_buf *body, const struct sample_batch *batch,
                     const struct schema *schema, size_t first, size_t count)
{
    for (size_t i = first; i < first + count && i < batch->row_count; i++)
        agent_feed_row(body, batch, schema, i, NULL);
}
