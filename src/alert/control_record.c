#include "alert/control_internal.h"

#include "alert/codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_VERSION = 1 };

void alert_put_text(struct fw_buf *out, const char *key, const char *text)
{
    fw_buf_putc(out, ',');
    fw_buf_json_key(out, key);
    fw_buf_json_string(out, text, strlen(text));
}

static void put_int(struct fw_buf *out, const char *key, int64_t value)
{
    fw_buf_putc(out, ',');
    fw_buf_json_key(out, key);
    fw_buf_put_i64(out, value);
}

void alert_silence_put(struct fw_buf *out, const struct alert_silence *s)
{
    fw_buf_printf(out, "{\"v\":%d", RECORD_VERSION);
    alert_put_text(out, "id", s->id);
    alert_put_text(out, "server", s->server);
    alert_put_text(out, "metric", s->metric);
    fw_buf_puts(out, ",\"labels\":{");
    label_set_put_members(out, &s->labels);
    fw_buf_putc(out, '}');
    put_int(out, "profile", s->profile);
    put_int(out, "severity", s->severity);
    put_int(out, "starts", s->starts_ms);
    put_int(out, "ends", s->ends_ms);
    put_int(out, "days", s->days);
    put_int(out, "from", s->from_minute);
    put_int(out, "length", s->length_minutes);
    if (s->zone_name[0] != '\0')
        alert_put_text(out, "zone", s->zone_name);
    else
        put_int(out, "zone", s->zone_minutes);
    put_int(out, "created", s->created_ms);
    alert_put_text(out, "by", s->created_by);
    alert_put_text(out, "comment", s->comment);
    fw_buf_putc(out, '}');
}

/* Minutes, or a name, whose rules are looked for elsewhere. */
static bool get_zone(struct fw_json_value root, struct alert_silence *s)
{
    int64_t minutes;
    if (alert_get_int(root, "zone", INT16_MIN, INT16_MAX, &minutes)) {
        s->zone_minutes = (int16_t)minutes;
        return true;
    }
    return alert_get_text(root, "zone", s->zone_name, sizeof s->zone_name) &&
           fw_zone_name_valid(s->zone_name);
}

bool alert_silence_get(struct fw_json_value root, struct alert_silence *s)
{
    int64_t version, profile, severity, days, from, length;
    *s = (struct alert_silence){0};
    if (!alert_get_int(root, "v", RECORD_VERSION, RECORD_VERSION, &version) ||
        !alert_get_text(root, "id", s->id, sizeof s->id) ||
        !alert_get_text(root, "server", s->server, sizeof s->server) ||
        !alert_get_text(root, "metric", s->metric, sizeof s->metric) ||
        !alert_get_labels(root, &s->labels) ||
        !alert_get_int(root, "profile", 0, PROFILE_UNKNOWN, &profile) ||
        !alert_get_int(root, "severity", -1, ALERT_CRITICAL, &severity) ||
        !alert_get_int(root, "starts", INT64_MIN, INT64_MAX, &s->starts_ms) ||
        !alert_get_int(root, "ends", INT64_MIN, INT64_MAX, &s->ends_ms) ||
        !alert_get_int(root, "days", 0, 127, &days) ||
        !alert_get_int(root, "from", 0, UINT16_MAX, &from) ||
        !alert_get_int(root, "length", 0, UINT16_MAX, &length) || !get_zone(root, s) ||
        !alert_get_int(root, "created", INT64_MIN, INT64_MAX, &s->created_ms) ||
        !alert_get_text(root, "by", s->created_by, sizeof s->created_by) ||
        !alert_get_text(root, "comment", s->comment, sizeof s->comment))
        return false;
    s->profile = (enum profile)profile;
    s->severity = (int)severity;
    s->days = (uint8_t)days;
    s->from_minute = (uint16_t)from;
    s->length_minutes = (uint16_t)length;
    return s->id[0] != '\0';
}

void alert_ack_put(struct fw_buf *out, const struct alert_ack *a)
{
    fw_buf_printf(out, "{\"v\":%d,\"id\":\"%016" PRIx64 "\"", RECORD_VERSION, a->alert_id);
    put_int(out, "severity", a->severity);
    put_int(out, "at", a->at_ms);
    alert_put_text(out, "by", a->by);
    alert_put_text(out, "comment", a->comment);
    fw_buf_putc(out, '}');
}

bool alert_ack_get(struct fw_json_value root, struct alert_ack *a)
{
    char id[17];
    int64_t version, severity;
    *a = (struct alert_ack){0};
    if (!alert_get_int(root, "v", RECORD_VERSION, RECORD_VERSION, &version) ||
        !alert_get_text(root, "id", id, sizeof id) ||
        !alert_get_int(root, "severity", ALERT_WARNING, ALERT_CRITICAL, &severity) ||
        !alert_get_int(root, "at", INT64_MIN, INT64_MAX, &a->at_ms) ||
        !alert_get_text(root, "by", a->by, sizeof a->by) ||
        !alert_get_text(root, "comment", a->comment, sizeof a->comment))
        return false;
    a->alert_id = strtoull(id, NULL, 16);
    a->severity = (enum alert_severity)severity;
    return true;
}
