#include "base/text.h"

#include <stdio.h>

static bool continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t fw_utf8_length(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    if (len == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return len >= 2 && continuation(s[1]) ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        if (len < 3 || !continuation(s[1]) || !continuation(s[2]))
            return 0;
        if (s[0] == 0xe0 && s[1] < 0xa0)
            return 0; /* overlong */
        if (s[0] == 0xed && s[1] >= 0xa0)
            return 0; /* surrogate */
        return 3;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        if (len < 4 || !continuation(s[1]) || !continuation(s[2]) || !continuation(s[3]))
            return 0;
        if (s[0] == 0xf0 && s[1] < 0x90)
            return 0; /* overlong */
        if (s[0] == 0xf4 && s[1] >= 0x90)
            return 0; /* above U+10FFFF */
        return 4;
    }
    return 0;
}

bool fw_utf8_valid(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        if ((unsigned char)text[i] < 0x80) { /* nearly always */
            i++;
            continue;
        }
        const size_t size = fw_utf8_length(text + i, len - i);
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

static uint32_t decode(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    switch (size) {
    case 1:
        return s[0];
    case 2:
        return (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    case 3:
        return (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    default:
        return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 |
               (uint32_t)(s[2] & 0x3f) << 6 | (s[3] & 0x3f);
    }
}

/* Characters that move the cursor, break lines or reorder what is around them. */
static bool unprintable(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

bool fw_name_valid(const char *text, size_t len, size_t max)
{
    if (len == 0 || len > max || text[0] == ' ' || text[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len;) {
        const size_t size = fw_utf8_length(text + i, len - i);
        if (size == 0 || unprintable(decode(text + i, size)))
            return false;
        i += size;
    }
    return true;
}

bool fw_glob_match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* Howard Hinnant's day counts (public domain note "chrono-compatible low-level date algorithms"):
 * years start in March, so that the leap day is the last of its year. */
int64_t fw_days_from_civil(int year, int month, int day)
{
    const int64_t y = (int64_t)year - (month <= 2);
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t year_of_era = y - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void fw_civil_from_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t day_of_era = days - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

struct cursor {
    const char *at, *end;
};

static bool number(struct cursor *c, int width, int *out)
{
    int value = 0;
    if (c->end - c->at < width)
        return false;
    for (int i = 0; i < width; i++) {
        const char digit = *c->at++;
        if (digit < '0' || digit > '9')
            return false;
        value = value * 10 + (digit - '0');
    }
    *out = value;
    return true;
}

static bool literal(struct cursor *c, char expected)
{
    if (c->at == c->end || *c->at != expected)
        return false;
    c->at++;
    return true;
}

static bool date(struct cursor *c, int64_t *days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!number(c, 4, &year) || !literal(c, '-') || !number(c, 2, &month) || !literal(c, '-') ||
        !number(c, 2, &day))
        return false;
    if (year < 1970 || month < 1 || month > 12)
        return false;
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > lengths[month - 1] + (month == 2 && leap))
        return false;
    *days = fw_days_from_civil(year, month, day);
    return true;
}

static bool time_of_day(struct cursor *c, int64_t *ms)
{
    int hour, minute, second = 0, fraction = 0;
    if (!number(c, 2, &hour) || !literal(c, ':') || !number(c, 2, &minute) || hour > 23 ||
        minute > 59)
        return false;
    if (literal(c, ':')) {
        if (!number(c, 2, &second) || second > 60)
            return false;
        if (literal(c, '.') || literal(c, ',')) {
            int digits = 0;
            for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, digits++)
                if (digits < 3)
                    fraction = fraction * 10 + (*c->at - '0');
            if (digits == 0 || digits > 12)
                return false;
            for (; digits < 3; digits++)
                fraction *= 10;
        }
    }
    *ms = ((int64_t)hour * 3600 + minute * 60 + second) * 1000 + fraction;
    return true;
}

static bool zone(struct cursor *c, int64_t *offset_ms)
{
    int hours, minutes = 0;
    *offset_ms = 0;
    if (c->at == c->end || literal(c, 'Z') || literal(c, 'z'))
        return true;
    const bool west = *c->at == '-';
    if (!literal(c, west ? '-' : '+') || !number(c, 2, &hours))
        return false;
    const bool colon = literal(c, ':');
    if ((colon || c->at < c->end) && !number(c, 2, &minutes))
        return false;
    if (hours > 18 || minutes > 59)
        return false;
    *offset_ms = ((int64_t)hours * 60 + minutes) * 60000 * (west ? -1 : 1);
    return true;
}

bool fw_time_parse(const char *text, size_t len, int64_t *ms)
{
    struct cursor c = {text, text + len};
    int64_t days, in_day = 0, offset = 0;
    if (!date(&c, &days))
        return false;
    if (c.at < c.end) {
        if (!literal(&c, 'T') && !literal(&c, 't') && !literal(&c, ' '))
            return false;
        if (!time_of_day(&c, &in_day) || !zone(&c, &offset))
            return false;
    }
    if (c.at != c.end)
        return false;
    const int64_t result = days * 86400000 + in_day - offset;
    if (result < 0)
        return false;
    *ms = result;
    return true;
}

/* Date and time to the second; returns its length. */
static size_t format_seconds(int64_t ms, char out[FW_TIME_SIZE], int *millisecond)
{
    const int64_t days = ms >= 0 ? ms / 86400000 : (ms - 86399999) / 86400000;
    const int64_t in_day = ms - days * 86400000;
    int year, month, day;
    fw_civil_from_days(days, &year, &month, &day);
    *millisecond = (int)(in_day % 1000);
    const int len =
        snprintf(out, FW_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day,
                 (int)(in_day / 3600000), (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60));
    return len < 0 ? 0 : (size_t)len < FW_TIME_SIZE ? (size_t)len : FW_TIME_SIZE - 1;
}

void fw_time_format(int64_t ms, char out[FW_TIME_SIZE])
{
    int millisecond;
    const size_t len = format_seconds(ms, out, &millisecond);
    snprintf(out + len, FW_TIME_SIZE - len, ".%06d", millisecond * 1000);
}

void fw_time_format_z(int64_t ms, char out[FW_TIME_SIZE])
{
    int millisecond;
    const size_t len = format_seconds(ms, out, &millisecond);
    if (millisecond == 0)
        snprintf(out + len, FW_TIME_SIZE - len, "Z");
    else
        snprintf(out + len, FW_TIME_SIZE - len, ".%03dZ", millisecond);
}

bool fw_duration_parse(const char *text, int64_t *ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {
        {'s', 1000     },
        {'m', 60000    },
        {'h', 3600000  },
        {'d', 86400000 },
        {'w', 604800000}
    };
    const int64_t most_ms = INT64_C(3660) * 86400000;
    int64_t n = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        n = n * 10 + (text[i] - '0');
        if (n > most_ms / 1000)
            return false;
    }
    if (n == 0 || text[i] == '\0' || text[i + 1] != '\0')
        return false;
    for (size_t k = 0; k < sizeof units / sizeof units[0]; k++) {
        if (units[k].unit != text[i] || n > most_ms / units[k].ms)
            continue;
        *ms = n * units[k].ms;
        return true;
    }
    return false;
}
