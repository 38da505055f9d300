#include "api/render.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int64_t api_outlook_find(const struct outlook *outlook, const char *name)
{
    size_t low = 0, high = outlook->set->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(outlook->set->items[middle]->name, name);
        if (order == 0)
            return (int64_t)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* Values that the contract promises as numbers; an alert about silence has none of its own. */
static void put_value(struct fw_buf *buf, const char *key, float value)
{
    fw_buf_json_key(buf, key);
    api_put_number(buf, isfinite(value) ? (double)value : 0.0, 4);
    fw_buf_putc(buf, ',');
}

static void put_ahead(struct fw_buf *buf, uint32_t steps, uint32_t step_s)
{
    const int64_t seconds = (int64_t)steps * step_s;
    api_put_int(buf, "steps_ahead", steps);
    fw_buf_putc(buf, ',');
    /* Whole minutes, as the reference has them; seconds_ahead is exact. */
    api_put_int(buf, "minutes_ahead", (seconds + 30) / 60);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "seconds_ahead", seconds);
    fw_buf_putc(buf, ',');
}

static void put_message(struct fw_buf *buf, const char *server, const char *metric, double value,
                        uint32_t steps, bool silent)
{
    char number[API_NUMBER_SIZE + 1], text[SERVER_NAME_MAX + SCHEMA_METRIC_NAME_MAX + 128];
    *api_number_write(number, value, 1) = '\0';
    if (silent)
        snprintf(text, sizeof text, "%s: no data arrives", server);
    else if (steps == 0)
        snprintf(text, sizeof text, "%s: %s has reached %s", server, metric, number);
    else
        snprintf(text, sizeof text, "%s: %s predicted to reach %s", server, metric, number);
    api_put_text(buf, "message", text);
}

static void put_time_to_issue(struct fw_buf *buf, uint32_t steps, uint32_t step_s)
{
    const uint64_t seconds = (uint64_t)steps * step_s;
    char text[32];
    if (seconds == 0)
        snprintf(text, sizeof text, "now");
    else if (seconds < 90 && seconds != 60)
        snprintf(text, sizeof text, "%d seconds", (int)seconds);
    else
        snprintf(text, sizeof text, "%d minute%s", (int)((seconds + 30) / 60),
                 seconds == 60 ? "" : "s");
    api_put_text(buf, "time_to_issue", text);
}

/* "db-1: far from its forecasts: cpu_user_pct 87.1 (12.1 to 15.8), ...". */
static void put_unusual_message(struct fw_buf *buf, const struct schema *schema,
                                const struct alert *alert)
{
    char text[SERVER_NAME_MAX + ALERT_REASONS_MAX * (SCHEMA_METRIC_NAME_MAX + 64) + 64];
    int len = snprintf(text, sizeof text, "%s: far from its forecasts", alert->server);
    for (size_t i = 0; i < alert->reason_count; i++) {
        const struct surprise_reason *r = &alert->reasons[i];
        len += snprintf(text + len, sizeof text - (size_t)len, "%s %s %.4g (%.4g to %.4g)",
                        i == 0 ? ":" : ",", schema->metrics[r->metric].name, (double)r->value,
                        (double)r->p10, (double)r->p90);
        assert(len > 0 && (size_t)len < sizeof text);
    }
    api_put_text(buf, "message", text);
}

/* Which metrics made it unusual: only alerts to unusual behaviour have it. */
static void put_reasons(struct fw_buf *buf, const struct schema *schema, const struct alert *alert)
{
    fw_buf_puts(buf, ",\"reasons\":[");
    for (size_t i = 0; i < alert->reason_count; i++) {
        const struct surprise_reason *r = &alert->reasons[i];
        fw_buf_puts(buf, i == 0 ? "{" : ",{");
        api_put_text(buf, "metric", schema->metrics[r->metric].name);
        fw_buf_putc(buf, ',');
        put_value(buf, "value", r->value);
        put_value(buf, "p10", r->p10);
        put_value(buf, "p90", r->p90);
        fw_buf_json_key(buf, "widths");
        api_put_number(buf, (double)r->widths, 2);
        fw_buf_putc(buf, '}');
    }
    fw_buf_putc(buf, ']');
}

/* The top three reasons of the server's score. */
static void put_explanation(struct fw_buf *buf, const struct outlook *outlook,
                            const struct alert *alert)
{
    fw_buf_puts(buf, "\"explanation\":");
    const int64_t index = api_outlook_find(outlook, alert->server);
    if (index < 0) {
        fw_buf_puts(buf, "[]");
        return;
    }
    struct risk top = outlook->risks[index];
    if (top.driver_count > 3)
        top.driver_count = 3;
    api_render_drivers(buf, outlook->schema, &top);
}

const char *api_alert_state(const struct alert *alert, const struct alert_mark *mark)
{
    if (alert->state == ALERT_FIRING && mark != NULL && mark->silenced_by[0] != '\0')
        return "silenced";
    if (alert->state == ALERT_FIRING && mark != NULL && mark->acknowledged)
        return "acknowledged";
    return alert_state_name(alert->state);
}

static void put_text_or_null(struct fw_buf *buf, const char *key, const char *text)
{
    if (text[0] != '\0') {
        api_put_text(buf, key, text);
        return;
    }
    fw_buf_json_key(buf, key);
    fw_buf_puts(buf, "null");
}

/* What people said, and what follows from other alerts. */
static void put_mark(struct fw_buf *buf, const struct alert_mark *mark, const struct api_zone *zone)
{
    char cause[17] = "";
    if (mark != NULL && mark->acknowledged) {
        fw_buf_puts(buf, "\"ack\":{");
        api_put_text(buf, "by", mark->acknowledged_by);
        fw_buf_putc(buf, ',');
        api_put_time_pair(buf, "at", mark->acknowledged_ms, zone);
        fw_buf_putc(buf, ',');
        api_put_text(buf, "comment", mark->acknowledged_comment);
        fw_buf_puts(buf, "},");
    } else {
        fw_buf_puts(buf, "\"ack\":null,");
    }
    if (mark != NULL && mark->inhibited_by != 0)
        snprintf(cause, sizeof cause, "%016llx", (unsigned long long)mark->inhibited_by);
    put_text_or_null(buf, "acknowledged_by",
                     mark != NULL && mark->acknowledged ? mark->acknowledged_by : "");
    fw_buf_putc(buf, ',');
    put_text_or_null(buf, "silenced_by", mark != NULL ? mark->silenced_by : "");
    fw_buf_putc(buf, ',');
    put_text_or_null(buf, "inhibited_by", cause);
    fw_buf_putc(buf, ',');
}

void api_put_labels(struct fw_buf *buf, const struct label_source *labels, const char *server)
{
    struct label_set set;
    (void)label_source_read(labels, server, &set);
    fw_buf_puts(buf, "\"labels\":{");
    label_set_put_members(buf, &set);
    fw_buf_puts(buf, "},");
}

static void put_life(struct fw_buf *buf, const struct alert *alert, const struct alert_mark *mark,
                     const struct api_zone *zone)
{
    fw_buf_printf(buf, "\"id\":\"%016llx\",", (unsigned long long)alert->id);
    api_put_text(buf, "state", api_alert_state(alert, mark));
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "held", alert->held);
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "crossed", alert->crossed);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "resolved_reason", alert_reason_name(alert->reason));
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "pending_since", alert->pending_since_ms, zone);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "starts_at", alert->starts_ms, zone);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "ends_at", alert->ends_ms, zone);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "updated_at", alert->updated_ms, zone);
    fw_buf_putc(buf, ',');
    put_mark(buf, mark, zone);
}

void api_render_alert_open(struct fw_buf *buf, const struct outlook *outlook,
                           const struct alert *alert, const struct alert_mark *mark,
                           const struct label_source *labels, const struct api_zone *zone)
{
    const char *metric = alert_metric_name(outlook->schema, alert->metric);
    const char *severity = alert_severity_name(alert->severity);
    const bool silent = alert->metric == ALERT_METRIC_SILENT,
               unusual = alert->metric == ALERT_METRIC_UNUSUAL;
    fw_buf_putc(buf, '{');
    api_put_text(buf, "server", alert->server);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "server_name", alert->server);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "metric", metric);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "severity", severity);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "level", severity);
    fw_buf_putc(buf, ',');
    put_value(buf, "predicted_value", alert->predicted);
    put_value(buf, "threshold", alert->threshold);
    put_ahead(buf, alert->steps_ahead, outlook->step_s);
    if (unusual)
        put_unusual_message(buf, outlook->schema, alert);
    else
        put_message(buf, alert->server, metric, (double)alert->predicted, alert->steps_ahead,
                    silent);
    fw_buf_putc(buf, ',');
    put_time_to_issue(buf, alert->steps_ahead, outlook->step_s);
    fw_buf_putc(buf, ',');
    put_value(buf, "current_value", alert->current);
    put_value(buf, "peak_value", alert->peak);
    api_put_int(buf, "peak_minutes", ((int64_t)alert->peak_steps * outlook->step_s + 30) / 60);
    fw_buf_putc(buf, ',');
    put_value(buf, "probability", alert->probability);
    put_life(buf, alert, mark, zone);
    api_put_labels(buf, labels, alert->server);
    fw_buf_puts(buf, "\"risk_score\":");
    api_put_one(buf, isfinite(alert->risk_score) ? (double)alert->risk_score : 0.0);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "profile", profile_display(alert->profile));
    fw_buf_putc(buf, ',');
    put_explanation(buf, outlook, alert);
    if (unusual)
        put_reasons(buf, outlook->schema, alert);
}

void api_render_alert(struct fw_buf *buf, const struct outlook *outlook, const struct alert *alert,
                      const struct alert_mark *mark, const struct label_source *labels,
                      const struct api_zone *zone)
{
    api_render_alert_open(buf, outlook, alert, mark, labels, zone);
    fw_buf_putc(buf, '}');
}

void api_render_legacy_alert(struct fw_buf *buf, const struct schema *schema, uint32_t step_s,
                             const char *server, const struct alert_legacy_item *item)
{
    const char *metric = schema->metrics[item->metric].name;
    fw_buf_putc(buf, '{');
    api_put_text(buf, "server", server);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "metric", metric);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "severity", alert_severity_name(item->severity));
    fw_buf_putc(buf, ',');
    put_value(buf, "predicted_value", item->predicted);
    put_value(buf, "threshold", item->threshold);
    put_ahead(buf, item->steps_ahead, step_s);
    put_message(buf, server, metric, (double)item->predicted, item->steps_ahead, false);
    fw_buf_putc(buf, '}');
}
