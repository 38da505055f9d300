#include "tft/calendar.h"

#include "base/text.h"

#include <assert.h>
#include <string.h>

enum { MS_PER_HOUR = 3600000, MS_PER_DAY = 86400000 };

enum tft_calendar tft_calendar_kind(const char *name)
{
    static const char *const names[] = {"", "hour", "day_of_week", "month", "is_weekend"};
    for (int kind = TFT_HOUR; kind <= TFT_IS_WEEKEND; kind++) {
        if (strcmp(name, names[kind]) == 0)
            return (enum tft_calendar)kind;
    }
    return TFT_NO_CALENDAR;
}

static int day_of_week(int64_t days)
{
    const int64_t from_monday = (days + 3) % 7; /* 1970-01-01 was a Thursday */
    return (int)(from_monday < 0 ? from_monday + 7 : from_monday);
}

static double value(enum tft_calendar kind, int64_t time_ms)
{
    assert(kind != TFT_NO_CALENDAR);
    const int64_t days = time_ms / MS_PER_DAY - (time_ms % MS_PER_DAY < 0);
    int year, month, day;
    switch (kind) {
    case TFT_HOUR:
        return (int)((time_ms - days * MS_PER_DAY) / MS_PER_HOUR); /* whole hours */
    case TFT_DAY_OF_WEEK:
        return day_of_week(days);
    case TFT_MONTH:
        fw_civil_from_days(days, &year, &month, &day);
        return month;
    case TFT_IS_WEEKEND:
        return day_of_week(days) >= 5 ? 1.0 : 0.0;
    case TFT_NO_CALENDAR:
        break;
    }
    return 0.0;
}

void tft_calendar_fill(enum tft_calendar kind, size_t n, const int64_t *time_ms, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = value(kind, time_ms[i]);
}
