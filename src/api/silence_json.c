#include "api/silence_json.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* ---- reading ---- */

struct reading {
    struct alert_silence *silence;
    struct silence_fault *fault;
    int64_t now_ms, duration_ms; /* 0: none given */
    bool has_end, recurs;
};

static bool wrong(struct reading *r, const char *prefix, const char *key, const char *expected)
{
    snprintf(r->fault->where, sizeof r->fault->where, "%s%.40s", prefix, key);
    snprintf(r->fault->text, sizeof r->fault->text, "%s", expected);
    return false;
}

static const char *text_of(struct fw_json_value value)
{
    size_t len;
    const char *text = fw_json_string(value, &len);
    return text != NULL && strlen(text) == len ? text : NULL;
}

/* Text of at most size - 1 bytes without control characters. */
static bool read_text(struct fw_json_value value, char *out, size_t size)
{
    const char *text = text_of(value);
    if (text == NULL || strlen(text) >= size)
        return false;
    if (text[0] != '\0' && !fw_name_valid(text, strlen(text), size - 1))
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* A time as text, or as Unix seconds. */
static bool read_time(struct fw_json_value value, int64_t *ms)
{
    const int64_t most_s = INT64_C(253402300799); /* the end of the year 9999 */
    int64_t seconds;
    if (fw_json_int64(value, &seconds) && seconds >= 0 && seconds <= most_s) {
        *ms = seconds * 1000;
        return true;
    }
    const char *text = text_of(value);
    return text != NULL && fw_time_parse(text, strlen(text), ms);
}

/* "22:30" */
static bool read_minute(struct fw_json_value value, uint16_t *minute)
{
    const char *text = text_of(value);
    unsigned hours, minutes;
    char more;
    if (text == NULL || strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789:") != 5 ||
        sscanf(text, "%2u:%2u%c", &hours, &minutes, &more) != 2 || hours > 23 || minutes > 59)
        return false;
    *minute = (uint16_t)(hours * 60 + minutes);
    return true;
}

static bool read_days(struct fw_json_value value, uint8_t *days)
{
    struct fw_json_iter iter = fw_json_walk(value);
    struct fw_json_value day;
    *days = 0;
    if (fw_json_type(value) != FW_JSON_ARRAY)
        return false;
    while (fw_json_next(&iter, &day)) {
        const char *text = text_of(day);
        size_t at = 0;
        while (text != NULL && at < COUNT(day_names) && strcmp(text, day_names[at]) != 0)
            at++;
        if (text == NULL || at == COUNT(day_names))
            return false;
        *days |= (uint8_t)(1u << at);
    }
    return *days != 0;
}

static bool read_zone(struct reading *r, struct fw_json_value value)
{
    struct api_zone zone = api_zone_naive;
    struct fw_error err = {0};
    char expected[sizeof err.text + 64];
    const char *text = text_of(value);
    const enum fw_status status = text != NULL ? api_zone_parse(text, &zone, &err) : FW_EINVAL;
    if (status == FW_EINVAL)
        return wrong(r, "recurrence.", "zone",
                     "utc, an offset, for instance +01:00, or a name, for instance Europe/Berlin");
    if (status != FW_OK) {
        snprintf(expected, sizeof expected, "a time zone that is there: %s", err.text);
        return wrong(r, "recurrence.", "zone", expected);
    }
    r->silence->zone = zone.rules;
    r->silence->zone_minutes = (int16_t)(zone.offset_ms / 60000);
    snprintf(r->silence->zone_name, sizeof r->silence->zone_name, "%s",
             zone.rules != NULL ? fw_zone_name(zone.rules) : "");
    return true;
}

static bool read_window(struct reading *r, struct fw_json_value value)
{
    static const char prefix[] = "recurrence.";
    struct alert_silence *s = r->silence;
    struct fw_json_iter iter = fw_json_walk(value);
    struct fw_json_value member;
    const char *key;
    size_t len;
    int64_t ms = 0;
    bool has_from = false;
    if (fw_json_type(value) != FW_JSON_OBJECT)
        return wrong(r, "", "recurrence", "an object with days, from, duration and zone");
    while (fw_json_next_member(&iter, &key, &len, &member)) {
        if (strcmp(key, "days") == 0) {
            if (!read_days(member, &s->days))
                return wrong(r, prefix, key, "a list of mon, tue, wed, thu, fri, sat, sun");
        } else if (strcmp(key, "from") == 0) {
            has_from = read_minute(member, &s->from_minute);
            if (!has_from)
                return wrong(r, prefix, key, "a time of day, for instance 22:30");
        } else if (strcmp(key, "duration") == 0) {
            const char *text = text_of(member);
            if (text == NULL || !fw_duration_parse(text, &ms) || ms < 60000 || ms > 86400000)
                return wrong(r, prefix, key, "a minute to a day, for instance 90m or 3h");
        } else if (strcmp(key, "zone") == 0) {
            if (!read_zone(r, member))
                return false;
        } else {
            return wrong(r, prefix, key, "one of days, from, duration and zone");
        }
    }
    if (s->days == 0)
        return wrong(r, prefix, "days", "present");
    if (!has_from)
        return wrong(r, prefix, "from", "present");
    if (ms == 0)
        return wrong(r, prefix, "duration", "present");
    s->length_minutes = (uint16_t)(ms / 60000);
    r->recurs = true;
    return true;
}

static bool read_labels(struct reading *r, struct fw_json_value value)
{
    static const char prefix[] = "labels.";
    struct fw_json_iter iter = fw_json_walk(value);
    struct fw_json_value member;
    const char *key;
    size_t len;
    if (fw_json_type(value) != FW_JSON_OBJECT)
        return wrong(r, "", "labels", "an object of names and patterns");
    while (fw_json_next_member(&iter, &key, &len, &member)) {
        const char *text = text_of(member);
        if (!label_name_valid(key, len))
            return wrong(r, prefix, key, "a label's name, letters, digits and _");
        if (text == NULL || !label_set_put(&r->silence->labels, key, len, text, strlen(text)))
            return wrong(r, prefix, key, "a value or pattern of 1 to 127 bytes, up to 8 of them");
    }
    return true;
}

static bool read_choice(struct reading *r, const char *key, struct fw_json_value value)
{
    struct alert_silence *s = r->silence;
    const char *text = text_of(value);
    if (strcmp(key, "profile") == 0) {
        s->profile = text != NULL ? profile_parse(text, strlen(text)) : PROFILE_UNKNOWN;
        return s->profile != PROFILE_UNKNOWN ||
               wrong(r, "", key, "a profile, for instance database");
    }
    for (int i = ALERT_WARNING; i <= ALERT_CRITICAL && text != NULL; i++)
        if (strcmp(text, alert_severity_name((enum alert_severity)i)) == 0)
            s->severity = i;
    return s->severity >= 0 || wrong(r, "", key, "warning or critical");
}

static bool read_member(struct reading *r, const char *key, struct fw_json_value value)
{
    struct alert_silence *s = r->silence;
    if (fw_json_type(value) == FW_JSON_NULL)
        return true; /* as if it were not there */
    if (strcmp(key, "server") == 0)
        return read_text(value, s->server, sizeof s->server) ||
               wrong(r, "", key, "a name or pattern of up to 128 bytes");
    if (strcmp(key, "metric") == 0)
        return read_text(value, s->metric, sizeof s->metric) ||
               wrong(r, "", key, "a metric or pattern of up to 63 bytes");
    if (strcmp(key, "labels") == 0)
        return read_labels(r, value);
    if (strcmp(key, "profile") == 0 || strcmp(key, "severity") == 0)
        return read_choice(r, key, value);
    if (strcmp(key, "created_by") == 0)
        return read_text(value, s->created_by, sizeof s->created_by) ||
               wrong(r, "", key, "up to 64 bytes");
    if (strcmp(key, "comment") == 0)
        return read_text(value, s->comment, sizeof s->comment) ||
               wrong(r, "", key, "one line of up to 512 bytes");
    if (strcmp(key, "starts_at") == 0)
        return read_time(value, &s->starts_ms) ||
               wrong(r, "", key, "an ISO 8601 time, or Unix seconds");
    if (strcmp(key, "ends_at") == 0) {
        r->has_end = read_time(value, &s->ends_ms);
        return r->has_end || wrong(r, "", key, "an ISO 8601 time, or Unix seconds");
    }
    if (strcmp(key, "duration") == 0) {
        const char *text = text_of(value);
        return (text != NULL && fw_duration_parse(text, &r->duration_ms)) ||
               wrong(r, "", key, "for instance 90s, 45m, 2h, 7d or 1w");
    }
    if (strcmp(key, "recurrence") == 0)
        return read_window(r, value);
    return wrong(r, "", key,
                 "one of server, labels, metric, profile, severity, starts_at, ends_at, "
                 "duration, recurrence, created_by and comment");
}

/* An end is said once: as a time, as a duration, or not at all when the silence recurs. */
static bool settle_end(struct reading *r)
{
    struct alert_silence *s = r->silence;
    if (r->has_end && r->duration_ms != 0)
        return wrong(r, "", "duration", "not to stand beside ends_at");
    if (r->duration_ms != 0)
        s->ends_ms = s->starts_ms + r->duration_ms;
    else if (!r->has_end && !r->recurs)
        return wrong(r, "", "ends_at", "present, or duration, or recurrence");
    else if (!r->has_end)
        s->ends_ms = INT64_MAX;
    if (s->ends_ms <= r->now_ms)
        return wrong(r, "", "ends_at", "a time to come");
    return true;
}

bool silence_read(struct fw_json_value root, int64_t now_ms, struct alert_silence *silence,
                  struct silence_fault *fault)
{
    struct reading r = {.silence = silence, .fault = fault, .now_ms = now_ms};
    struct fw_json_iter iter = fw_json_walk(root);
    struct fw_json_value value;
    const char *key;
    size_t len;
    *silence = (struct alert_silence){
        .profile = PROFILE_UNKNOWN, .severity = -1, .starts_ms = now_ms, .ends_ms = INT64_MAX};
    if (fw_json_type(root) != FW_JSON_OBJECT)
        return wrong(&r, "", "body", "an object");
    while (fw_json_next_member(&iter, &key, &len, &value))
        if (!read_member(&r, key, value))
            return false;
    if (!settle_end(&r))
        return false;
    struct fw_error err = {0};
    if (alert_silence_check(silence, &err) == FW_OK)
        return true;
    const size_t name = strcspn(err.text, ":");
    err.text[name] = '\0';
    return wrong(&r, "", err.text, err.text + name + 2);
}

/* ---- writing ---- */

const char *silence_state(const struct alert_silence *silence, int64_t now_ms)
{
    int64_t changes_ms;
    if (alert_silence_holds(silence, now_ms, &changes_ms))
        return "active";
    if (alert_silence_lacks_zone(silence) && now_ms < silence->ends_ms)
        return "pending"; /* for its zone */
    return changes_ms != INT64_MAX ? "pending" : "expired";
}

static void put_or_null(struct fw_buf *out, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        api_put_text(out, key, text);
    } else {
        fw_buf_json_key(out, key);
        fw_buf_puts(out, "null");
    }
    fw_buf_putc(out, ',');
}

static void put_zone(struct fw_buf *out, const struct alert_silence *s)
{
    const int minutes = s->zone_minutes < 0 ? -s->zone_minutes : s->zone_minutes;
    if (s->zone_name[0] != '\0')
        api_put_text(out, "zone", s->zone_name);
    else
        fw_buf_printf(out, "\"zone\":\"%c%02d:%02d\"", s->zone_minutes < 0 ? '-' : '+',
                      minutes / 60, minutes % 60);
}

static void put_recurrence(struct fw_buf *out, const struct alert_silence *s)
{
    const char *comma = "";
    fw_buf_puts(out, "\"recurrence\":");
    if (s->days == 0) {
        fw_buf_puts(out, "null,");
        return;
    }
    fw_buf_puts(out, "{\"days\":[");
    for (unsigned i = 0; i < COUNT(day_names); i++) {
        if ((s->days >> i & 1) == 0)
            continue;
        fw_buf_printf(out, "%s\"%s\"", comma, day_names[i]);
        comma = ",";
    }
    const bool hours = s->length_minutes % 60u == 0;
    fw_buf_printf(out, "],\"from\":\"%02u:%02u\",\"duration\":\"%u%c\",", s->from_minute / 60u,
                  s->from_minute % 60u, hours ? s->length_minutes / 60u : s->length_minutes + 0u,
                  hours ? 'h' : 'm');
    put_zone(out, s);
    fw_buf_puts(out, "},");
}

/* Why a silence that is not over does not and will not hold. */
static void put_reason(struct fw_buf *out, const struct alert_silence *s, int64_t now_ms)
{
    char reason[FW_ZONE_NAME_MAX + 64] = "";
    if (alert_silence_lacks_zone(s) && now_ms < s->ends_ms)
        snprintf(reason, sizeof reason, "no time zone %s on this machine", s->zone_name);
    put_or_null(out, "reason", reason);
}

void silence_put(struct fw_buf *out, const struct alert_silence *s, int64_t now_ms,
                 const struct api_zone *zone)
{
    int64_t changes_ms;
    (void)alert_silence_holds(s, now_ms, &changes_ms);
    fw_buf_putc(out, '{');
    api_put_text(out, "id", s->id);
    fw_buf_putc(out, ',');
    api_put_text(out, "state", silence_state(s, now_ms));
    fw_buf_putc(out, ',');
    put_or_null(out, "server", s->server);
    fw_buf_puts(out, "\"labels\":{");
    label_set_put_members(out, &s->labels);
    fw_buf_puts(out, "},");
    put_or_null(out, "metric", s->metric);
    put_or_null(out, "profile", s->profile != PROFILE_UNKNOWN ? profile_name(s->profile) : NULL);
    put_or_null(out, "severity",
                s->severity >= 0 ? alert_severity_name((enum alert_severity)s->severity) : NULL);
    api_put_time_pair(out, "starts_at", s->starts_ms, zone);
    fw_buf_putc(out, ',');
    api_put_time_pair(out, "ends_at", s->ends_ms == INT64_MAX ? 0 : s->ends_ms, zone);
    fw_buf_putc(out, ',');
    put_recurrence(out, s);
    put_reason(out, s, now_ms);
    api_put_time_pair(out, "changes_at", changes_ms == INT64_MAX ? 0 : changes_ms, zone);
    fw_buf_putc(out, ',');
    api_put_text(out, "created_by", s->created_by);
    fw_buf_putc(out, ',');
    api_put_time_pair(out, "created_at", s->created_ms, zone);
    fw_buf_putc(out, ',');
    api_put_text(out, "comment", s->comment);
    fw_buf_putc(out, '}');
}
