/* The book on disk: entries as blobs, the history as events (docs/alerts.md, "What is kept"). */
#include "alert/alert_internal.h"
#include "alert/codec.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENTRY_VERSION = 1,
    BLOB_MAX = 16 << 10,
    OPEN_ROWS_MAX = 64, /* of one alert: the opening and its changes of severity */
    DAY_MS = 86400 * 1000,
};

static void put_latch(struct fw_buf *out, const struct alert_latch *latch)
{
    fw_buf_printf(out,
                  "{\"on\":%s,\"held\":%u,\"clear\":%u,\"held_at\":%" PRId64
                  ",\"clear_at\":%" PRId64 "}",
                  latch->on ? "true" : "false", latch->held, latch->clear, latch->held_origin_ms,
                  latch->clear_origin_ms);
}

void alert_entry_encode(const struct schema *schema, const struct alert_entry *entry,
                        struct fw_buf *out)
{
    fw_buf_printf(out, "{\"v\":%d,", ENTRY_VERSION);
    alert_put_members(out, &entry->alert, alert_metric_name(schema, entry->alert.metric));
    fw_buf_puts(out, ",\"warning\":");
    put_latch(out, &entry->latches[ALERT_WARNING]);
    fw_buf_puts(out, ",\"critical\":");
    put_latch(out, &entry->latches[ALERT_CRITICAL]);
    fw_buf_putc(out, '}');
}

static bool get_latch(struct fw_json_value object, const char *key, struct alert_latch *latch)
{
    struct fw_json_value value, on;
    int64_t held, clear;
    if (!fw_json_get(object, key, &value) || !fw_json_get(value, "on", &on) ||
        !fw_json_bool(on, &latch->on) || !alert_get_int(value, "held", 0, UINT32_MAX, &held) ||
        !alert_get_int(value, "clear", 0, UINT32_MAX, &clear) ||
        !alert_get_int(value, "held_at", INT64_MIN, INT64_MAX, &latch->held_origin_ms) ||
        !alert_get_int(value, "clear_at", INT64_MIN, INT64_MAX, &latch->clear_origin_ms))
        return false;
    latch->held = (uint32_t)held;
    latch->clear = (uint32_t)clear;
    return true;
}

enum fw_status alert_entry_decode(const struct schema *schema, struct fw_json_parser *parser,
                                  const void *data, size_t len, struct alert_entry *entry,
                                  char metric[SCHEMA_METRIC_NAME_MAX + 1], struct fw_error *err)
{
    struct fw_json_value root;
    const enum fw_status status = fw_json_parse(parser, data, len, &root, err);
    if (status != FW_OK)
        return status;
    *entry = (struct alert_entry){0};
    int64_t version;
    if (!alert_get_int(root, "v", ENTRY_VERSION, ENTRY_VERSION, &version) ||
        !alert_get_members(root, &entry->alert, metric) ||
        !get_latch(root, "warning", &entry->latches[ALERT_WARNING]) ||
        !get_latch(root, "critical", &entry->latches[ALERT_CRITICAL]))
        return fw_fail(err, FW_EINVAL, "not an alert of version %d", ENTRY_VERSION);
    struct alert *a = &entry->alert;
    static const uint16_t others[] = {ALERT_METRIC_SILENT, ALERT_METRIC_UNUSUAL};
    for (size_t i = 0; i < COUNT(others); i++) {
        if (strcmp(metric, alert_metric_name(schema, others[i])) == 0) {
            a->metric = others[i];
            return FW_OK;
        }
    }
    const int index = schema_find(schema, metric, strlen(metric));
    if (index < 0)
        return FW_ENOTFOUND;
    a->metric = (uint16_t)index;
    return FW_OK;
}

static void entry_key(char out[ALERT_NAMESPACE_KEY_MAX], const char *metric, const char *server)
{
    /* No metric's name has a blank, so the key is unique. */
    const int len = snprintf(out, ALERT_NAMESPACE_KEY_MAX, "%s %s", metric, server);
    assert(len > 0 && len < ALERT_NAMESPACE_KEY_MAX);
    (void)len;
}

/* Visitors may not write, so the rows to close are gathered first. */
struct open_rows {
    struct fw_json_parser *parser;
    uint64_t alert_id;
    size_t count;
    bool failed; /* out of memory */
    struct {
        int64_t id;
        struct alert_event *event;
    } rows[OPEN_ROWS_MAX];
};

static bool gather_open_row(void *ctx, const struct store_state_event *stored)
{
    struct open_rows *open = ctx;
    struct alert_event *event = fw_malloc(sizeof *event);
    if (event == NULL) {
        open->failed = true;
        return false;
    }
    if (alert_event_decode(open->parser, stored->data, stored->len, event, NULL) != FW_OK ||
        event->alert_id != open->alert_id || event->resolved_at_ms != 0) {
        fw_free(event);
        return true;
    }
    open->rows[open->count].id = stored->id;
    open->rows[open->count].event = event;
    open->count++;
    return open->count < OPEN_ROWS_MAX;
}

static enum fw_status close_rows(struct store_state *state, struct open_rows *open,
                                 const struct alert_op *op, struct fw_buf *buf,
                                 struct fw_error *err)
{
    const struct store_state_event_query query = {
        .kind = ALERT_EVENT_KIND,
        .from_ms = op->event.starts_ms - DAY_MS, /* clocks are put right now and then */
        .to_ms = INT64_MAX,
        .subject = op->server,
        .newest_first = true,
    };
    enum fw_status status = store_state_event_each(state, &query, gather_open_row, open, NULL, err);
    if (status == FW_OK && open->failed)
        status = fw_fail(err, FW_ENOMEM, "close the history of an alert");
    for (size_t i = 0; i < open->count && status == FW_OK; i++) {
        struct alert_event *event = open->rows[i].event;
        event->resolved_at_ms = op->event.resolved_at_ms;
        event->duration_minutes = op->event.duration_minutes;
        event->caused_incident = op->event.caused_incident;
        event->reason = op->event.reason;
        fw_buf_reset(buf);
        alert_event_encode(event, op->server, buf);
        status = buf->failed
                     ? fw_fail(err, FW_ENOMEM, "render the history of an alert")
                     : store_state_event_update(state, open->rows[i].id, buf->data, buf->len, err);
    }
    return status;
}

static enum fw_status run_close(struct store_state *state, struct fw_json_parser *parser,
                                const struct alert_op *op, struct fw_buf *buf, struct fw_error *err)
{
    struct open_rows open = {.parser = parser, .alert_id = op->event.alert_id};
    const enum fw_status status = close_rows(state, &open, op, buf, err);
    for (size_t i = 0; i < open.count; i++)
        fw_free(open.rows[i].event);
    return status;
}

static enum fw_status run_op(struct store_state *state, struct fw_json_parser *parser,
                             const struct alert_op *op, struct fw_buf *buf, struct fw_error *err)
{
    char key[ALERT_NAMESPACE_KEY_MAX];
    switch (op->kind) {
    case ALERT_OP_APPEND:
        fw_buf_reset(buf);
        alert_event_encode(&op->event, op->server, buf);
        if (buf->failed)
            return fw_fail(err, FW_ENOMEM, "render the history of an alert");
        return store_state_event_append(state, ALERT_EVENT_KIND, op->time_ms, op->server, buf->data,
                                        buf->len, NULL, err);
    case ALERT_OP_CLOSE:
        return run_close(state, parser, op, buf, err);
    case ALERT_OP_FORGET:
        entry_key(key, op->event.metric, op->server);
        return store_state_delete(state, "alert", key, err);
    }
    return FW_OK; /* not reached: there are three */
}

static enum fw_status write_entry(struct store_state *state, const struct schema *schema,
                                  const struct alert_entry *entry, struct fw_buf *buf,
                                  struct fw_error *err)
{
    char key[ALERT_NAMESPACE_KEY_MAX];
    entry_key(key, alert_metric_name(schema, entry->alert.metric), entry->alert.server);
    if (entry->remove)
        return store_state_delete(state, "alert", key, err);
    fw_buf_reset(buf);
    alert_entry_encode(schema, entry, buf);
    if (buf->failed)
        return fw_fail(err, FW_ENOMEM, "render an alert");
    return store_state_put(state, "alert", key, buf->data, buf->len, err);
}

enum fw_status alert_persist(struct store_state *state, const struct schema *schema,
                             struct fw_json_parser *parser, struct alert_op *const *ops,
                             size_t op_count, struct alert_entry *const *entries,
                             size_t entry_count, struct fw_error *err)
{
    struct fw_buf buf;
    enum fw_status status = store_state_begin(state, err);
    if (status != FW_OK)
        return status;
    fw_buf_init(&buf, BLOB_MAX);
    for (size_t i = 0; i < op_count && status == FW_OK; i++)
        status = run_op(state, parser, ops[i], &buf, err);
    for (size_t i = 0; i < entry_count && status == FW_OK; i++) {
        if (entries[i]->dirty || entries[i]->remove)
            status = write_entry(state, schema, entries[i], &buf, err);
    }
    fw_buf_fini(&buf);
    if (status == FW_OK)
        return store_state_commit(state, err); /* ends the transaction either way */
    store_state_rollback(state);
    return status;
}

static double current_of(const struct forecast *forecast, int metric)
{
    for (size_t i = 0; i < forecast->path_count; i++) {
        if (forecast->paths[i].metric == metric)
            return (double)forecast->paths[i].current;
    }
    return (double)NAN;
}

void alert_snapshot(const struct schema *schema, const struct forecast *forecast,
                    char out[ALERT_SNAPSHOT_MAX + 1])
{
    struct fw_buf buf;
    fw_buf_init(&buf, ALERT_SNAPSHOT_MAX);
    const double idle = current_of(forecast, METRIC_CPU_IDLE);
    fw_buf_puts(&buf, "{\"cpu\":");
    fw_buf_json_number(&buf, isnan(idle) ? current_of(forecast, METRIC_CPU_USER) : 100.0 - idle, 2);
    fw_buf_puts(&buf, ",\"memory\":");
    fw_buf_json_number(&buf, current_of(forecast, METRIC_MEM_USED), 2);
    for (size_t i = 0; i < forecast->path_count; i++) {
        fw_buf_putc(&buf, ',');
        fw_buf_json_key(&buf, schema->metrics[forecast->paths[i].metric].name);
        fw_buf_json_number(&buf, (double)forecast->paths[i].current, 3);
    }
    fw_buf_putc(&buf, '}');
    /* Without memory the row is written without a snapshot rather than not at all. */
    const size_t len = buf.failed ? 0 : buf.len;
    if (len > 0)
        memcpy(out, buf.data, len);
    out[len] = '\0';
    fw_buf_fini(&buf);
}
