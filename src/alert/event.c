#include "alert/event.h"

#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {"escalation", "de-escalation", "resolved"};

const char *alert_event_type_name(enum alert_event_type type)
{
    assert((size_t)type < COUNT(type_names));
    return type_names[type];
}

static const char *note_of(enum alert_reason reason)
{
    switch (reason) {
    case ALERT_REASON_SERVER_GONE:
        return "no data for so long that the server was forgotten";
    case ALERT_REASON_METRIC_GONE:
        return "the metric is no longer sent";
    default:
        return "";
    }
}

static void put_string(struct fw_buf *out, const char *key, const char *text)
{
    fw_buf_json_key(out, key);
    fw_buf_json_string(out, text, strlen(text));
    fw_buf_putc(out, ',');
}

static void put_number(struct fw_buf *out, const char *key, double value, int decimals)
{
    fw_buf_json_key(out, key);
    fw_buf_json_number(out, value, decimals);
    fw_buf_putc(out, ',');
}

static void put_int(struct fw_buf *out, const char *key, int64_t value)
{
    fw_buf_json_key(out, key);
    fw_buf_put_i64(out, value);
    fw_buf_putc(out, ',');
}

void alert_event_encode(const struct alert_event *event, const char *server, struct fw_buf *out)
{
    fw_buf_putc(out, '{');
    put_string(out, "server_name", server);
    put_string(out, "event_type", alert_event_type_name(event->type));
    put_string(out, "previous_level", risk_level_style(event->previous_level)->name);
    put_string(out, "new_level", risk_level_style(event->new_level)->name);
    put_number(out, "risk_score", event->risk_score, 1);
    put_string(out, "metrics_snapshot", event->snapshot);
    if (event->resolved_at_ms != 0) {
        char text[FW_TIME_SIZE];
        fw_time_format(event->resolved_at_ms, text);
        put_string(out, "resolved_at", text);
    } else {
        fw_buf_puts(out, "\"resolved_at\":null,");
    }
    put_number(out, "resolution_duration_minutes", event->duration_minutes, 2);
    fw_buf_puts(out, "\"caused_incident\":");
    fw_buf_json_bool(out, event->caused_incident);
    fw_buf_putc(out, ',');
    put_string(out, "notes", note_of(event->reason));
    fw_buf_printf(out, "\"alert_id\":\"%016llx\",", (unsigned long long)event->alert_id);
    put_string(out, "metric", event->metric);
    put_number(out, "threshold", event->threshold, 4);
    put_number(out, "predicted_value", event->predicted, 4);
    put_number(out, "probability", event->probability, 4);
    put_int(out, "steps_ahead", event->steps_ahead);
    put_int(out, "starts_at_ms", event->starts_ms);
    put_int(out, "resolved_at_ms", event->resolved_at_ms);
    put_string(out, "reason", alert_reason_name(event->reason));
    out->len -= out->len > 0; /* the last comma */
    fw_buf_putc(out, '}');
}

static double get_number(struct fw_json_value object, const char *key)
{
    struct fw_json_value value;
    double number = (double)NAN;
    if (fw_json_get(object, key, &value))
        (void)fw_json_number(value, &number); /* null stays NaN */
    return number;
}

static bool get_int(struct fw_json_value object, const char *key, int64_t *out)
{
    struct fw_json_value value;
    return fw_json_get(object, key, &value) && fw_json_int64(value, out);
}

static const char *get_string(struct fw_json_value object, const char *key)
{
    struct fw_json_value value;
    size_t len;
    return fw_json_get(object, key, &value) ? fw_json_string(value, &len) : NULL;
}

static bool copy_string(struct fw_json_value object, const char *key, char *out, size_t size)
{
    const char *text = get_string(object, key);
    if (text == NULL || strlen(text) >= size)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool get_level(struct fw_json_value object, const char *key, enum risk_level *out)
{
    const char *text = get_string(object, key);
    for (int level = 0; text != NULL && level < RISK_LEVEL_COUNT; level++) {
        if (strcmp(text, risk_level_style((enum risk_level)level)->name) == 0) {
            *out = (enum risk_level)level;
            return true;
        }
    }
    return false;
}

static bool get_type(struct fw_json_value object, enum alert_event_type *out)
{
    const char *text = get_string(object, "event_type");
    for (size_t i = 0; text != NULL && i < COUNT(type_names); i++) {
        if (strcmp(text, type_names[i]) == 0) {
            *out = (enum alert_event_type)i;
            return true;
        }
    }
    return false;
}

static bool get_reason(struct fw_json_value object, enum alert_reason *out)
{
    const char *text = get_string(object, "reason");
    for (int i = 0; text != NULL && i < ALERT_REASON_COUNT; i++) {
        if (strcmp(text, alert_reason_name((enum alert_reason)i)) == 0) {
            *out = (enum alert_reason)i;
            return true;
        }
    }
    return false;
}

enum fw_status alert_event_decode(struct fw_json_parser *parser, const void *data, size_t len,
                                  struct alert_event *event, struct fw_error *err)
{
    struct fw_json_value root, value;
    const enum fw_status status = fw_json_parse(parser, data, len, &root, err);
    if (status != FW_OK)
        return status;
    *event = (struct alert_event){0};
    int64_t steps = 0;
    const char *id = get_string(root, "alert_id");
    const bool whole =
        id != NULL && get_type(root, &event->type) && get_reason(root, &event->reason) &&
        get_level(root, "previous_level", &event->previous_level) &&
        get_level(root, "new_level", &event->new_level) &&
        copy_string(root, "metric", event->metric, sizeof event->metric) &&
        copy_string(root, "metrics_snapshot", event->snapshot, sizeof event->snapshot) &&
        get_int(root, "steps_ahead", &steps) && get_int(root, "starts_at_ms", &event->starts_ms) &&
        get_int(root, "resolved_at_ms", &event->resolved_at_ms) &&
        fw_json_get(root, "caused_incident", &value) &&
        fw_json_bool(value, &event->caused_incident);
    if (!whole)
        return fw_fail(err, FW_EINVAL, "not a row of the alert history");
    event->alert_id = strtoull(id, NULL, 16);
    event->steps_ahead = steps >= 0 && steps <= FORECAST_HORIZON ? (uint32_t)steps : 0;
    event->risk_score = get_number(root, "risk_score");
    event->duration_minutes = get_number(root, "resolution_duration_minutes");
    event->threshold = get_number(root, "threshold");
    event->predicted = get_number(root, "predicted_value");
    event->probability = get_number(root, "probability");
    return FW_OK;
}
