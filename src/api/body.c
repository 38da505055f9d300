#include "api/predictions.h"

#include <string.h>

/* Left free for what follows the servers in a body that is cut. */
enum { TAIL_ROOM = 4096 };

void api_empty_outlook(struct outlook *outlook, const struct schema *schema, uint32_t step_s,
                       int64_t now_ms, uint64_t records)
{
    static const struct forecast_set no_servers;
    static const struct alert_list no_alerts;
    memset(outlook, 0, sizeof *outlook);
    outlook->made_ms = now_ms;
    outlook->step_s = step_s;
    outlook->schema = schema;
    outlook->risk_model = "none";
    memcpy(outlook->model_type, "none", 5);
    memcpy(outlook->model_name, "none", 5);
    outlook->set = &no_servers;
    outlook->alerts = &no_alerts;
    outlook->environment.fleet_health = "unknown";
    outlook->records = records;
}

static void put_head(struct fw_buf *buf, const struct api_body_plan *plan)
{
    const struct outlook *outlook = plan->outlook;
    fw_buf_putc(buf, '{');
    if (plan->records < API_RECORDS_MIN) {
        fw_buf_puts(buf, "\"error\":\"insufficient_data\",\"message\":\"Need at least ");
        fw_buf_put_i64(buf, API_RECORDS_MIN);
        fw_buf_puts(buf, " records, have ");
        fw_buf_put_i64(buf, (int64_t)plan->records);
        fw_buf_puts(buf, "\",");
    } else if (outlook->set->count == 0) {
        fw_buf_puts(buf, "\"error\":\"insufficient_data\","
                         "\"message\":\"The first forecast is being made\",");
    }
    api_put_time_pair(buf, "timestamp", outlook->made_ms, &plan->view.zone);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "step_seconds", outlook->step_s);
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "stale", api_outlook_stale(outlook));
}

static bool planned(const struct api_body_plan *plan, const char *server)
{
    if (plan->alert_servers == NULL)
        return true;
    const int64_t index = api_outlook_find(plan->outlook, server);
    size_t low = 0, high = plan->count;
    while (low < high && index >= 0) {
        const size_t middle = low + (high - low) / 2;
        if (plan->alert_servers[middle] == (uint64_t)index)
            return true;
        if (plan->alert_servers[middle] < (uint64_t)index)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void put_alerts(struct fw_buf *buf, const struct api_body_plan *plan)
{
    const struct alert_list *list = plan->outlook->alerts;
    bool first = true;
    fw_buf_puts(buf, ",\"alerts\":[");
    for (size_t i = 0; i < list->count; i++) {
        const struct alert *alert = &list->items[i];
        if (alert->state == ALERT_RESOLVED || !planned(plan, alert->server))
            continue;
        if (!first)
            fw_buf_putc(buf, ',');
        first = false;
        api_render_alert(buf, plan->outlook, alert, plan->marks != NULL ? &plan->marks[i] : NULL,
                         &plan->labels, &plan->view.zone);
    }
    fw_buf_putc(buf, ']');
}

static void put_page(struct fw_buf *buf, const struct api_body_plan *plan)
{
    fw_buf_puts(buf, ",\"page\":{");
    api_put_int(buf, "total", (int64_t)plan->total);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "offset", (int64_t)plan->offset);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "limit", (int64_t)plan->limit);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "count", (int64_t)plan->count);
    fw_buf_putc(buf, '}');
}

/* The same server in the earlier body, if its forecast is the very same object. Walks forward when
 * asked in ascending order of names, so a whole fleet costs one pass. */
static const struct api_fragment *unchanged(const struct api_body_plan *plan, size_t index,
                                            size_t *at)
{
    if (plan->earlier == NULL)
        return NULL;
    if (plan->earlier == plan->outlook)
        return index < plan->earlier_count ? &plan->earlier_fragments[index] : NULL;
    const struct forecast *forecast = plan->outlook->set->items[index];
    const struct forecast_set *set = plan->earlier->set;
    while (*at < plan->earlier_count && strcmp(set->items[*at]->name, forecast->name) < 0)
        ++*at;
    return *at < plan->earlier_count && set->items[*at] == forecast ? &plan->earlier_fragments[*at]
                                                                    : NULL;
}

static void put_server(struct fw_buf *buf, const struct api_body_plan *plan, size_t index,
                       size_t *earlier_at)
{
    const struct forecast *forecast = plan->outlook->set->items[index];
    const struct api_fragment *copy = unchanged(plan, index, earlier_at);
    if (copy != NULL) {
        fw_buf_put(buf, plan->earlier_bytes + copy->at, copy->len);
        return;
    }
    fw_buf_json_key(buf, forecast->name);
    api_render_server(buf, plan->outlook, index, &plan->labels, &plan->view);
}

/* True when the server went in whole; otherwise the buffer is as it was. */
static bool try_server(struct fw_buf *buf, const struct api_body_plan *plan, size_t n,
                       struct api_fragment *fragments, size_t *earlier_at)
{
    const size_t before = buf->len;
    if (n > 0)
        fw_buf_putc(buf, ',');
    const size_t at = buf->len;
    put_server(buf, plan, plan->order != NULL ? plan->order[n] : n, earlier_at);
    if (!buf->failed && buf->max - buf->len >= TAIL_ROOM) {
        if (fragments != NULL)
            fragments[n] = (struct api_fragment){at, (uint32_t)(buf->len - at)};
        return true;
    }
    /* Only the ceiling is forgiven; without memory the whole body fails. */
    const bool ceiling = buf->max - before < ((size_t)1 << 20) || !buf->failed;
    buf->len = before;
    buf->failed = !ceiling;
    return false;
}

void api_render_body(struct fw_buf *buf, const struct api_body_plan *plan,
                     struct api_fragment *fragments, size_t *written)
{
    put_head(buf, plan);
    if (plan->fields & API_FIELD_SUMMARY) {
        fw_buf_puts(buf, ",\"summary\":");
        api_render_summary(buf, plan->outlook, &plan->view);
    }
    if (plan->fields & API_FIELD_ENVIRONMENT) {
        fw_buf_puts(buf, ",\"environment\":");
        api_render_environment(buf, plan->outlook);
    }
    if (plan->fields & API_FIELD_METADATA) {
        fw_buf_puts(buf, ",\"metadata\":");
        api_render_metadata(buf, plan->outlook, plan->model_dir, &plan->view);
    }
    if (plan->fields & API_FIELD_ALERTS)
        put_alerts(buf, plan);
    if (plan->paged)
        put_page(buf, plan);
    size_t n = 0, earlier_at = 0;
    if (plan->fields & API_FIELD_PREDICTIONS) {
        fw_buf_puts(buf, ",\"predictions\":{");
        while (n < plan->count && !buf->failed && try_server(buf, plan, n, fragments, &earlier_at))
            n++;
        fw_buf_putc(buf, '}');
        if (n < plan->count) {
            fw_buf_puts(buf, ",\"truncated\":true,");
            api_put_int(buf, "next_offset", (int64_t)(plan->offset + n));
        }
    }
    fw_buf_putc(buf, '}');
    if (written != NULL)
        *written = n;
}
