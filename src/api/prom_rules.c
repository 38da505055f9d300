/* GET /api/v1/rules: our alerts as a Prometheus that evaluated them would show them, for Grafana's
 * list of alerts. Two rules, whatever the schema: a threshold that is forecast to be passed, and
 * silence. */
#include "api/prom.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { THRESHOLD, SILENT, RULES };

static const struct {
    const char *name, *query, *summary;
} rules[RULES] = {
    {"ForewarnThresholdForecast", "forewarn_crossing_probability",
     "A metric passes, or is forecast to pass, its threshold."                              },
    {"ForewarnServerSilent",      "forewarn_observed",             "A server sends nothing."},
};

static bool belongs(const struct alert *alert, int rule)
{
    return (alert->metric == ALERT_METRIC_SILENT) == (rule == SILENT) &&
           alert->state != ALERT_RESOLVED;
}

static void put_pair(struct fw_buf *buf, const char *key, const char *value, bool more)
{
    fw_buf_json_key(buf, key);
    fw_buf_json_string(buf, value, strlen(value));
    fw_buf_puts(buf, more ? "," : "");
}

static void put_alert(struct fw_buf *buf, const struct schema *schema, const struct alert *alert,
                      const struct label_source *labels, const char *rule)
{
    struct label_set set;
    char since[FW_TIME_SIZE], text[SERVER_NAME_MAX + SCHEMA_METRIC_NAME_MAX + 96];
    const char *metric = alert_metric_name(schema, alert->metric);
    const double value =
        isnan(alert->probability) ? 1.0 : (double)alert->probability; /* of silence: it is there */
    fw_time_format_z(alert->pending_since_ms, since);
    if (alert->metric == ALERT_METRIC_SILENT)
        snprintf(text, sizeof text, "%s: no data arrives", alert->server);
    else
        snprintf(text, sizeof text, "%s: %s, now %.4g, threshold %.4g", alert->server, metric,
                 (double)alert->current, (double)alert->threshold);
    fw_buf_puts(buf, "{\"labels\":{");
    put_pair(buf, "alertname", rule, true);
    if (label_source_read(labels, alert->server, &set)) {
        label_set_put_members(buf, &set);
        fw_buf_putc(buf, ',');
    }
    put_pair(buf, "metric", metric, true);
    put_pair(buf, "server", alert->server, true);
    put_pair(buf, "severity", alert_severity_name(alert->severity), false);
    fw_buf_puts(buf, "},\"annotations\":{");
    put_pair(buf, "summary", text, false);
    fw_buf_puts(buf, "},");
    put_pair(buf, "state", alert_state_name(alert->state), true);
    put_pair(buf, "activeAt", since, true);
    fw_buf_printf(buf, "\"value\":\"%.4g\"}", value);
}

/* "firing" when one of its alerts is, "pending" when one is that, "inactive" without any. */
static const char *put_alerts(struct fw_buf *buf, const struct outlook *outlook,
                              const struct label_source *labels, int rule)
{
    const char *state = "inactive";
    bool any = false;
    fw_buf_puts(buf, "\"alerts\":[");
    for (size_t i = 0; outlook != NULL && i < outlook->alerts->count; i++) {
        const struct alert *alert = &outlook->alerts->items[i];
        if (!belongs(alert, rule))
            continue;
        fw_buf_puts(buf, any ? "," : "");
        any = true;
        put_alert(buf, outlook->schema, alert, labels, rules[rule].name);
        if (alert->state == ALERT_FIRING || strcmp(state, "inactive") == 0)
            state = alert_state_name(alert->state);
    }
    fw_buf_puts(buf, "],");
    return state;
}

void prom_answer_rules(struct prom_request *r)
{
    const struct outlook *outlook = outlook_board_current(r->api->parts.board);
    const uint32_t step_s = fleet_options(r->api->parts.fleet)->step_s;
    struct fw_buf buf;
    char made[FW_TIME_SIZE];
    fw_time_format_z(outlook != NULL ? outlook->made_ms : 0, made);
    prom_begin(&buf);
    fw_buf_printf(&buf,
                  "{\"groups\":[{\"name\":\"forewarn\",\"file\":\"forewarn\",\"interval\":%u,"
                  "\"lastEvaluation\":\"%s\",\"evaluationTime\":0,\"rules\":[",
                  (unsigned)step_s, made);
    for (int i = 0; i < RULES; i++) {
        fw_buf_puts(&buf, i > 0 ? ",{" : "{");
        put_pair(&buf, "name", rules[i].name, true);
        put_pair(&buf, "query", rules[i].query, true);
        fw_buf_puts(&buf, "\"duration\":0,\"labels\":{},\"annotations\":{");
        put_pair(&buf, "summary", rules[i].summary, false);
        fw_buf_puts(&buf, "},");
        const char *state = put_alerts(&buf, outlook, &r->api->labels, i);
        put_pair(&buf, "state", state, true);
        fw_buf_printf(&buf,
                      "\"health\":\"ok\",\"evaluationTime\":0,\"lastEvaluation\":\"%s\","
                      "\"type\":\"alerting\"}",
                      made);
    }
    fw_buf_puts(&buf, "]}]}");
    outlook_release(outlook);
    prom_reply(r, &buf);
}
