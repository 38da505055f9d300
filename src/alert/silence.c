/* When a silence holds, and for which alerts. */
#include "alert/control.h"

#include "base/text.h"

#include <string.h>

enum { DAY_MINUTES = 1440 };
#define MINUTE_MS INT64_C(60000)
#define DAY_MS (DAY_MINUTES * MINUTE_MS)

/* 1970-01-01 was a Thursday; bit 0 is Monday. */
static unsigned weekday(int64_t day)
{
    return (unsigned)(((day + 3) % 7 + 7) % 7);
}

static int64_t floor_day(int64_t ms)
{
    return ms >= 0 ? ms / DAY_MS : -((-ms + DAY_MS - 1) / DAY_MS);
}

static int64_t to_local(const struct alert_silence *s, int64_t utc_ms)
{
    return utc_ms +
           (s->zone != NULL ? fw_zone_offset_ms(s->zone, utc_ms) : s->zone_minutes * MINUTE_MS);
}

static int64_t to_utc(const struct alert_silence *s, int64_t local_ms)
{
    return s->zone != NULL ? fw_zone_to_utc_ms(s->zone, local_ms)
                           : local_ms - s->zone_minutes * MINUTE_MS;
}

/* The window of a recurring silence that is open at `now_ms`, or the next one, with those that
 * begin before it ends. A window of a day that began the day before yesterday may be open where
 * yesterday had 23 hours. False: there is none within eight days, which cannot be. */
static bool find_window(const struct alert_silence *s, int64_t now_ms, int64_t *from_ms,
                        int64_t *to_ms)
{
    const int64_t today = floor_day(to_local(s, now_ms));
    bool found = false;
    for (int64_t day = today - 2; day <= today + 8; day++) {
        if ((s->days >> weekday(day) & 1) == 0)
            continue;
        const int64_t begin_ms = to_utc(s, day * DAY_MS + s->from_minute * MINUTE_MS);
        const int64_t end_ms = begin_ms + s->length_minutes * MINUTE_MS;
        if (end_ms <= now_ms)
            continue;
        if (found && begin_ms > *to_ms)
            break;
        if (!found)
            *from_ms = begin_ms;
        *to_ms = end_ms;
        found = true;
    }
    return found;
}

bool alert_silence_holds(const struct alert_silence *s, int64_t now_ms, int64_t *changes_ms)
{
    int64_t from_ms = s->starts_ms, to_ms = s->ends_ms;
    *changes_ms = INT64_MAX;
    if (now_ms >= s->ends_ms || alert_silence_lacks_zone(s))
        return false;
    if (s->days != 0) {
        const int64_t since_ms = now_ms > s->starts_ms ? now_ms : s->starts_ms;
        if (!find_window(s, since_ms, &from_ms, &to_ms))
            return false;
        from_ms = from_ms > s->starts_ms ? from_ms : s->starts_ms;
        to_ms = to_ms < s->ends_ms ? to_ms : s->ends_ms;
        if (from_ms >= s->ends_ms)
            return false;
    }
    *changes_ms = now_ms < from_ms ? from_ms : to_ms;
    return now_ms >= from_ms;
}

enum fw_status alert_silence_find_zone(struct alert_silence *s, struct fw_error *err)
{
    if (s->zone_name[0] == '\0' || s->zone != NULL)
        return FW_OK;
    return fw_zone_find(s->zone_name, &s->zone, err);
}

static bool pattern_fits(const char *pattern, const char *text)
{
    return pattern[0] == '\0' || fw_glob_match(pattern, text);
}

static bool labels_fit(const struct label_set *wanted, const struct label_set *labels)
{
    const char *name, *pattern;
    for (size_t at = 0; label_set_next(wanted, &at, &name, &pattern);) {
        const char *value = label_set_get(labels, name);
        if (value == NULL || !fw_glob_match(pattern, value))
            return false;
    }
    return true;
}

bool alert_silence_fits(const struct alert_silence *s, const struct schema *schema,
                        const struct alert *alert, const struct label_set *labels)
{
    return (s->profile == PROFILE_UNKNOWN || s->profile == alert->profile) &&
           (s->severity < 0 || s->severity == (int)alert->severity) &&
           pattern_fits(s->server, alert->server) &&
           pattern_fits(s->metric, alert_metric_name(schema, alert->metric)) &&
           labels_fit(&s->labels, labels);
}

enum fw_status alert_silence_check(const struct alert_silence *s, struct fw_error *err)
{
    if (s->server[0] == '\0' && s->metric[0] == '\0' && s->profile == PROFILE_UNKNOWN &&
        s->severity < 0 && s->labels.count == 0)
        return fw_fail(
            err, FW_EINVAL,
            "server: give server, labels, metric, profile or severity; \"*\" is every server");
    if (s->labels.count > ALERT_SILENCE_LABELS_MAX)
        return fw_fail(err, FW_EINVAL, "labels: more than %d", ALERT_SILENCE_LABELS_MAX);
    if (s->starts_ms >= s->ends_ms)
        return fw_fail(err, FW_EINVAL, "ends_at: does not lie behind starts_at");
    if (s->days > 127)
        return fw_fail(err, FW_EINVAL, "recurrence.days: no such day");
    if (s->days != 0 && (s->length_minutes < 1 || s->length_minutes > DAY_MINUTES))
        return fw_fail(err, FW_EINVAL, "recurrence.duration: not between a minute and a day");
    if (s->from_minute >= DAY_MINUTES)
        return fw_fail(err, FW_EINVAL, "recurrence.from: not a time of day");
    if (s->zone_minutes < -14 * 60 || s->zone_minutes > 14 * 60)
        return fw_fail(err, FW_EINVAL, "recurrence.zone: beyond 14 hours");
    if (alert_silence_lacks_zone(s))
        return fw_fail(err, FW_EINVAL, "recurrence.zone: no time zone %s here", s->zone_name);
    return FW_OK;
}
