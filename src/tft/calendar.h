/* Calendar inputs, by the names and conventions of pandas: all UTC, Monday = 0, Saturday and Sunday
 * are the weekend. */
#ifndef FW_TFT_CALENDAR_H
#define FW_TFT_CALENDAR_H

#include <stddef.h>
#include <stdint.h>

enum tft_calendar {
    TFT_NO_CALENDAR,
    TFT_HOUR,        /* "hour": 0 to 23 */
    TFT_DAY_OF_WEEK, /* "day_of_week": 0 to 6 */
    TFT_MONTH,       /* "month": 1 to 12 */
    TFT_IS_WEEKEND,  /* "is_weekend": 0 or 1 */
};

/* What an input of that name is; TFT_NO_CALENDAR for any other name. */
enum tft_calendar tft_calendar_kind(const char *name);

/* n values for n times (milliseconds since 1970, any sign). The kind is not TFT_NO_CALENDAR
 * (asserted). */
void tft_calendar_fill(enum tft_calendar kind, size_t n, const int64_t *time_ms, double *out);

#endif
