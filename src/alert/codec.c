#include "alert/codec.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put_number(struct fw_buf *out, const char *key, double value)
{
    fw_buf_putc(out, ',');
    fw_buf_json_key(out, key);
    fw_buf_json_number(out, value, 6);
}

void alert_put_members(struct fw_buf *out, const struct alert *a, const char *metric)
{
    fw_buf_printf(out, "\"id\":\"%016" PRIx64 "\",\"server\":", a->id);
    fw_buf_json_string(out, a->server, strlen(a->server));
    fw_buf_printf(out,
                  ",\"metric\":\"%s\",\"state\":%d,\"severity\":%d,\"reason\":%d,\"held\":%d,"
                  "\"crossed\":%d,\"starts\":%" PRId64 ",\"ends\":%" PRId64 ",\"updated\":%" PRId64
                  ",\"pending_since\":%" PRId64 ",\"steps\":%u,\"peak_steps\":%u,\"profile\":%d",
                  metric, (int)a->state, (int)a->severity, (int)a->reason, a->held, a->crossed,
                  a->starts_ms, a->ends_ms, a->updated_ms, a->pending_since_ms, a->steps_ahead,
                  a->peak_steps, (int)a->profile);
    put_number(out, "threshold", (double)a->threshold);
    put_number(out, "predicted", (double)a->predicted);
    put_number(out, "peak", (double)a->peak);
    put_number(out, "probability", (double)a->probability);
    put_number(out, "current", (double)a->current);
    put_number(out, "risk", (double)a->risk_score);
}

bool alert_get_int(struct fw_json_value object, const char *key, int64_t least, int64_t most,
                   int64_t *out)
{
    struct fw_json_value value;
    return fw_json_get(object, key, &value) && fw_json_int64(value, out) && *out >= least &&
           *out <= most;
}

static float get_float(struct fw_json_value object, const char *key)
{
    struct fw_json_value value;
    double number = (double)NAN;
    if (fw_json_get(object, key, &value))
        (void)fw_json_number(value, &number); /* null stays NaN */
    return (float)number;
}

bool alert_get_text(struct fw_json_value object, const char *key, char *out, size_t size)
{
    struct fw_json_value value;
    size_t len;
    if (!fw_json_get(object, key, &value))
        return false;
    const char *text = fw_json_string(value, &len);
    if (text == NULL || len >= size || strlen(text) != len)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

bool alert_get_labels(struct fw_json_value root, struct label_set *labels)
{
    struct fw_json_value object, value;
    const char *key, *text;
    size_t key_len, len;
    label_set_clear(labels);
    if (!fw_json_get(root, "labels", &object))
        return true;
    struct fw_json_iter members = fw_json_walk(object);
    while (fw_json_next_member(&members, &key, &key_len, &value))
        if ((text = fw_json_string(value, &len)) == NULL ||
            !label_set_put(labels, key, key_len, text, len))
            return false;
    return true;
}

bool alert_get_members(struct fw_json_value root, struct alert *a,
                       char metric[SCHEMA_METRIC_NAME_MAX + 1])
{
    char id[17];
    int64_t state, severity, reason, held, crossed, steps, peak_steps, profile;
    if (!alert_get_text(root, "id", id, sizeof id) ||
        !alert_get_text(root, "server", a->server, sizeof a->server) ||
        !alert_get_text(root, "metric", metric, SCHEMA_METRIC_NAME_MAX + 1) ||
        !alert_get_int(root, "state", ALERT_PENDING, ALERT_RESOLVED, &state) ||
        !alert_get_int(root, "severity", ALERT_WARNING, ALERT_CRITICAL, &severity) ||
        !alert_get_int(root, "reason", 0, ALERT_REASON_COUNT - 1, &reason) ||
        !alert_get_int(root, "held", 0, 1, &held) ||
        !alert_get_int(root, "crossed", 0, 1, &crossed) ||
        !alert_get_int(root, "starts", INT64_MIN, INT64_MAX, &a->starts_ms) ||
        !alert_get_int(root, "ends", INT64_MIN, INT64_MAX, &a->ends_ms) ||
        !alert_get_int(root, "updated", INT64_MIN, INT64_MAX, &a->updated_ms) ||
        !alert_get_int(root, "pending_since", INT64_MIN, INT64_MAX, &a->pending_since_ms) ||
        !alert_get_int(root, "steps", 0, FORECAST_HORIZON, &steps) ||
        !alert_get_int(root, "peak_steps", 0, FORECAST_HORIZON, &peak_steps) ||
        !alert_get_int(root, "profile", 0, PROFILE_UNKNOWN, &profile))
        return false;
    a->id = strtoull(id, NULL, 16);
    a->state = (enum alert_state)state;
    a->severity = (enum alert_severity)severity;
    a->reason = (enum alert_reason)reason;
    a->held = held != 0;
    a->crossed = crossed != 0;
    a->steps_ahead = (uint32_t)steps;
    a->peak_steps = (uint32_t)peak_steps;
    a->profile = (enum profile)profile;
    a->threshold = get_float(root, "threshold");
    a->predicted = get_float(root, "predicted");
    a->peak = get_float(root, "peak");
    a->probability = get_float(root, "probability");
    a->current = get_float(root, "current");
    a->risk_score = get_float(root, "risk");
    return true;
}
