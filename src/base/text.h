/* Small questions about bytes and times as text. */
#ifndef FW_BASE_TEXT_H
#define FW_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length (1 to 4) of the well-formed UTF-8 sequence at `text`, 0 when there is none (RFC 3629: no
 * overlong forms, no surrogates, nothing above U+10FFFF). */
size_t fw_utf8_length(const char *text, size_t len);
bool fw_utf8_valid(const char *text, size_t len);

/* A name that people and other systems will read back: 1 to `max` bytes of UTF-8, no control
 * characters (C0, DEL, C1, line and paragraph separators, bidirectional overrides), no leading or
 * trailing blank. */
bool fw_name_valid(const char *text, size_t len, size_t max);

/* Shell pattern with '*' and '?' against a whole text; linear time, no recursion. */
bool fw_glob_match(const char *pattern, const char *text);

/* ISO 8601 date and time: "2026-11-23T01:56:54[.fraction][Z|+hh:mm|-hhmm]", 'T' or a blank between,
 * date alone (midnight), seconds optional. Without a zone it is UTC. Years 1970 to 9999. False when
 * it is anything else. Fractions beyond milliseconds are cut. A leap second (:60) is the next
 * second. */
bool fw_time_parse(const char *text, size_t len, int64_t *ms);

enum { FW_TIME_SIZE = 40 };
/* "2026-11-23T01:56:54.765000": UTC without a zone, microseconds, as the reference's clients parse
 * it. */
void fw_time_format(int64_t ms, char out[FW_TIME_SIZE]);
/* "2026-11-23T01:56:54.765Z" (RFC 3339); whole seconds drop the fraction. */
void fw_time_format_z(int64_t ms, char out[FW_TIME_SIZE]);

/* "90s", "45m", "2h", "7d", "1w": a whole number of units, more than nothing and at most about ten
 * years. False for anything else. */
bool fw_duration_parse(const char *text, int64_t *ms);

/* Days since 1970-01-01 to a civil date and back (proleptic Gregorian). */
void fw_civil_from_days(int64_t days, int *year, int *month, int *day);
int64_t fw_days_from_civil(int year, int month, int day);

#endif
