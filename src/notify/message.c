/* The bytes of messages: what an alert is called and said to be, in the words of Alertmanager. */
#include "notify/notify_internal.h"

#include "base/hash.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_text(struct fw_buf *out, const char *key, const char *text)
{
    fw_buf_json_key(out, key);
    fw_buf_json_string(out, text, strlen(text));
}

static void put_member(struct fw_buf *out, const char *key, const char *text)
{
    fw_buf_putc(out, ',');
    put_text(out, key, text);
}

static void put_time(struct fw_buf *out, const char *key, int64_t ms)
{
    char text[FW_TIME_SIZE];
    fw_time_format_z(ms, text);
    put_member(out, key, text);
}

static bool is_silence(const struct notify_entry *e)
{
    return strcmp(e->metric, "server_silent") == 0;
}

static bool is_unusual(const struct notify_entry *e)
{
    return strcmp(e->metric, "unusual_behaviour") == 0;
}

static const char *alert_name(const struct notify_entry *e)
{
    if (is_unusual(e))
        return "ForewarnUnusualBehaviour";
    return is_silence(e) ? "ForewarnServerSilent" : "ForewarnThresholdForecast";
}

/* The server's, and of the constant ones those that it does not have itself. */
static void put_other_labels(struct fw_buf *out, const struct notify_context *context,
                             const struct label_set *labels)
{
    for (size_t i = 0; i < context->labels->count; i++)
        if (labels == NULL || label_set_get(labels, context->labels->items[i].name) == NULL)
            put_member(out, context->labels->items[i].name, context->labels->items[i].value);
    if (labels != NULL) {
        fw_buf_putc(out, ',');
        label_set_put_members(out, labels);
    }
}

/* What identifies an alert; nothing in it changes while the alert lives. */
static void put_labels(struct fw_buf *out, const struct notify_context *context,
                       const struct notify_entry *e)
{
    fw_buf_putc(out, '{');
    put_text(out, "alertname", alert_name(e));
    put_other_labels(out, context, e->labels);
    put_member(out, "metric", e->metric);
    put_member(out, "profile", profile_name(e->alert.profile));
    put_member(out, "server", e->alert.server);
    put_member(out, "severity", alert_severity_name(e->alert.severity));
    fw_buf_putc(out, '}');
}

/* "12.5", or "unknown". */
static void number_text(char *out, size_t size, double value)
{
    if (isfinite(value))
        snprintf(out, size, "%.4g", value);
    else
        snprintf(out, size, "unknown");
}

static void put_number(struct fw_buf *out, const char *key, double value)
{
    char text[32];
    if (!isfinite(value))
        return;
    number_text(text, sizeof text, value);
    put_member(out, key, text);
}

static void put_summary(struct fw_buf *out, const struct notify_context *context,
                        const struct notify_entry *e)
{
    char text[SERVER_NAME_MAX + SCHEMA_METRIC_NAME_MAX + 128], value[32];
    const struct alert *a = &e->alert;
    const uint64_t minutes = ((uint64_t)a->steps_ahead * context->step_s + 30) / 60;
    number_text(value, sizeof value, (double)a->predicted);
    if (is_silence(e))
        snprintf(text, sizeof text, "%s: no data arrives", a->server);
    else if (is_unusual(e))
        snprintf(text, sizeof text, "%s: behaves as it was not forecast to", a->server);
    else if (a->steps_ahead == 0)
        snprintf(text, sizeof text, "%s: %s has reached %s", a->server, e->metric, value);
    else
        snprintf(text, sizeof text, "%s: %s predicted to reach %s in %" PRIu64 " minute%s",
                 a->server, e->metric, value, minutes, minutes == 1 ? "" : "s");
    put_text(out, "summary", text);
}

static void put_description(struct fw_buf *out, const struct notify_entry *e)
{
    char text[512], current[32], threshold[32], peak[32];
    const struct alert *a = &e->alert;
    number_text(current, sizeof current, (double)a->current);
    number_text(threshold, sizeof threshold, (double)a->threshold);
    number_text(peak, sizeof peak, (double)a->peak);
    if (is_silence(e))
        snprintf(text, sizeof text,
                 "The server has sent nothing for several steps; its other alerts are held.");
    else if (is_unusual(e))
        snprintf(text, sizeof text, "What it reports is far from what was forecast for it.");
    else
        snprintf(text, sizeof text,
                 "%s is %s now; the %s threshold is %s. Worst median of the forecast: %s. Chance "
                 "of crossing within the horizon: %.0f %%.",
                 e->metric, current, alert_severity_name(a->severity), threshold, peak,
                 isfinite(a->probability) ? (double)a->probability * 100.0 : 0.0);
    put_member(out, "description", text);
}

/* What may change; every value as text. */
static void put_annotations(struct fw_buf *out, const struct notify_context *context,
                            const struct notify_entry *e)
{
    fw_buf_putc(out, '{');
    put_summary(out, context, e);
    put_description(out, e);
    put_number(out, "current_value", (double)e->alert.current);
    put_number(out, "predicted_value", (double)e->alert.predicted);
    put_number(out, "threshold", (double)e->alert.threshold);
    put_number(out, "probability", (double)e->alert.probability);
    put_number(out, "risk_score", (double)e->alert.risk_score);
    if (!is_silence(e) && !is_unusual(e))
        put_number(out, "seconds_ahead", (double)e->alert.steps_ahead * context->step_s);
    if (e->acknowledged)
        put_member(out, "acknowledged_by", e->acknowledged_by);
    fw_buf_putc(out, '}');
}

static void put_source(struct fw_buf *out, const struct notify_context *context,
                       const struct notify_entry *e)
{
    static const char hex[] = "0123456789ABCDEF";
    char url[NOTIFY_TEXT_MAX + 3 * SERVER_NAME_MAX + 32];
    size_t len = (size_t)snprintf(url, sizeof url, "%s/servers/", context->external_url);
    for (const unsigned char *at = (const unsigned char *)e->alert.server; *at != '\0'; at++) {
        const bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                           (*at >= '0' && *at <= '9') || strchr("-._~", *at) != NULL;
        if (plain) {
            url[len++] = (char)*at;
        } else {
            url[len++] = '%';
            url[len++] = hex[*at >> 4];
            url[len++] = hex[*at & 15];
        }
    }
    url[len] = '\0';
    put_member(out, "generatorURL", url);
}

/* When it began; Alertmanager refuses what begins no earlier than it ends. */
static int64_t begin_ms(const struct notify_entry *e, int64_t end_ms)
{
    return e->alert.starts_ms < end_ms ? e->alert.starts_ms : end_ms - 1;
}

void notify_put_alertmanager(struct fw_buf *out, const struct notify_context *context,
                             struct notify_entry *const *batch, size_t n, int64_t now_ms)
{
    fw_buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        const struct notify_entry *e = batch[i];
        /* Missing four resends ends it there; an end lies in the past already. */
        int64_t end_ms = e->over ? e->over_ms : now_ms + 4 * context->resend_ms;
        if (e->over && end_ms > now_ms)
            end_ms = now_ms;
        fw_buf_puts(out, i > 0 ? ",{\"labels\":" : "{\"labels\":");
        put_labels(out, context, e);
        fw_buf_puts(out, ",\"annotations\":");
        put_annotations(out, context, e);
        put_time(out, "startsAt", begin_ms(e, end_ms));
        put_time(out, "endsAt", end_ms);
        put_source(out, context, e);
        fw_buf_putc(out, '}');
    }
    fw_buf_putc(out, ']');
}

/* ---- webhook ---- */

static void put_fingerprint(struct fw_buf *out, const struct notify_context *context,
                            const struct notify_entry *e)
{
    struct fw_buf labels;
    char text[17];
    fw_buf_init(&labels, 16384);
    put_labels(&labels, context, e);
    if (labels.failed)
        out->failed = true;
    else
        snprintf(text, sizeof text, "%016" PRIx64, fw_hash_stable(labels.data, labels.len));
    fw_buf_fini(&labels);
    if (!out->failed)
        put_member(out, "fingerprint", text);
}

static void put_webhook_alert(struct fw_buf *out, const struct notify_context *context,
                              const struct notify_entry *e)
{
    fw_buf_putc(out, '{');
    put_text(out, "status", e->over ? "resolved" : "firing");
    fw_buf_puts(out, ",\"labels\":");
    put_labels(out, context, e);
    fw_buf_puts(out, ",\"annotations\":");
    put_annotations(out, context, e);
    if (e->over) {
        put_time(out, "startsAt", begin_ms(e, e->over_ms));
        put_time(out, "endsAt", e->over_ms);
    } else {
        put_time(out, "startsAt", e->alert.starts_ms);
        put_member(out, "endsAt", "0001-01-01T00:00:00Z"); /* as Alertmanager says "not yet" */
    }
    put_source(out, context, e);
    put_fingerprint(out, context, e);
    fw_buf_putc(out, '}');
}

/* What the server was labelled when each of the alerts began. */
static bool labelled_alike(const struct notify_entry *a, const struct notify_entry *b)
{
    if (a->labels == NULL || b->labels == NULL)
        return a->labels == b->labels;
    return label_set_equal(a->labels, b->labels);
}

/* The labels that all alerts of the batch share. */
static void put_common_labels(struct fw_buf *out, const struct notify_context *context,
                              struct notify_entry *const *batch, size_t n)
{
    bool name = true, metric = true, severity = true, alike = true;
    for (size_t i = 1; i < n; i++) {
        name = name && strcmp(alert_name(batch[i]), alert_name(batch[0])) == 0;
        alike = alike && labelled_alike(batch[i], batch[0]);
        metric = metric && strcmp(batch[i]->metric, batch[0]->metric) == 0;
        severity = severity && batch[i]->alert.severity == batch[0]->alert.severity;
    }
    fw_buf_putc(out, '{');
    put_text(out, "server", batch[0]->alert.server);
    if (alike)
        put_other_labels(out, context, batch[0]->labels);
    if (name)
        put_member(out, "alertname", alert_name(batch[0]));
    if (metric)
        put_member(out, "metric", batch[0]->metric);
    if (severity)
        put_member(out, "severity", alert_severity_name(batch[0]->alert.severity));
    fw_buf_putc(out, '}');
}

void notify_put_webhook(struct fw_buf *out, const struct notify_context *context,
                        struct notify_entry *const *batch, size_t n)
{
    bool firing = false;
    char key[SERVER_NAME_MAX + 32];
    for (size_t i = 0; i < n; i++)
        firing = firing || !batch[i]->over;
    snprintf(key, sizeof key, "{}:{server=\"%s\"}", batch[0]->alert.server);
    fw_buf_puts(out, "{\"version\":\"4\"");
    put_member(out, "groupKey", key);
    fw_buf_puts(out, ",\"truncatedAlerts\":0");
    put_member(out, "status", firing ? "firing" : "resolved");
    put_member(out, "receiver", context->receiver);
    fw_buf_puts(out, ",\"groupLabels\":{");
    put_text(out, "server", batch[0]->alert.server);
    fw_buf_puts(out, "},\"commonLabels\":");
    put_common_labels(out, context, batch, n);
    fw_buf_puts(out, ",\"commonAnnotations\":");
    if (n == 1)
        put_annotations(out, context, batch[0]);
    else
        fw_buf_puts(out, "{}");
    put_member(out, "externalURL", context->external_url);
    fw_buf_puts(out, ",\"alerts\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            fw_buf_putc(out, ',');
        put_webhook_alert(out, context, batch[i]);
    }
    fw_buf_puts(out, "]}");
}
