/* Numbers and times as the API writes them. Pure functions: any thread. */
#ifndef FW_API_TEXT_H
#define FW_API_TEXT_H

#include "base/buf.h"
#include "base/zone.h"

#include <stddef.h>

/* How times are written: the reference's naive form, always UTC, or the same with a zone. */
struct api_zone {
    int64_t offset_ms;           /* added to UTC before the time is written */
    char suffix[8];              /* "", "Z" or "+hh:mm" */
    const struct fw_zone *rules; /* give both for each time; NULL: they are the same for all */
};
extern const struct api_zone api_zone_naive;
/* "naive", "utc" or "z" (any case), "+hh:mm" or "-hh:mm" up to 14 hours, or "Europe/Berlin".
 * FW_EINVAL: none of these; else as fw_zone_find() has it. */
FW_MUST_CHECK enum fw_status api_zone_parse(const char *text, struct api_zone *zone,
                                            struct fw_error *err);
/* "", "Z", "+02:00", "Europe/Berlin": differs where times are written differently. */
const char *api_zone_name(const struct api_zone *zone);

/* A quoted time, for instance "2026-11-23T01:56:54.765000"; null outside of 1970 to 9999. */
void api_put_time(struct fw_buf *buf, int64_t ms, const struct api_zone *zone);
/* Two members, "<key>":<time or null> and "<key>_unix":<seconds or null>, without a comma around
 * them. 0 ms means: never. */
void api_put_time_pair(struct fw_buf *buf, const char *key, int64_t ms,
                       const struct api_zone *zone);

enum {
    API_DECIMALS_AUTO = -1, /* about five significant digits: 3 decimals from 10 on, 4 from 1 on,
                               5 below */
    API_DECIMALS_MAX = 9,
    API_NUMBER_SIZE = 40, /* bytes that one number can take */
};

/* Writes `value` at `at` (room for API_NUMBER_SIZE bytes), returns the end. Trailing zeros are cut
 * to one decimal, so that 96 is written 96.0 as the reference does; with 0 decimals there is no
 * point. Not finite: null. Never "-0". Rounding keeps the order of values. */
char *api_number_write(char *at, double value, int decimals);
void api_put_number(struct fw_buf *buf, double value, int decimals);
/* One decimal, as scores and displays have it. */
void api_put_one(struct fw_buf *buf, double value);
/* [a,b,...] */
void api_put_numbers(struct fw_buf *buf, const float *values, size_t n, int decimals);

/* "<key>":"<text>" with `text` escaped. */
void api_put_text(struct fw_buf *buf, const char *key, const char *text);
/* "<key>":<value> */
void api_put_int(struct fw_buf *buf, const char *key, int64_t value);
void api_put_bool(struct fw_buf *buf, const char *key, bool value);

#endif
