#include "api/text.h"

#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const struct api_zone api_zone_naive = {.offset_ms = 0};

static bool word_is(const char *text, const char *word)
{
    for (; *text != '\0' && *word != '\0'; text++, word++) {
        const char lower = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
        if (lower != *word)
            return false;
    }
    return *text == *word;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A '+' in a query is a blank for some clients, so both are taken. */
static bool parse_offset(const char *text, struct api_zone *zone)
{
    const bool east = text[0] == '+' || text[0] == ' ';
    if ((!east && text[0] != '-') || strlen(text) != 6 || !digit(text[1]) || !digit(text[2]) ||
        text[3] != ':' || !digit(text[4]) || !digit(text[5]))
        return false;
    const int hours = (text[1] - '0') * 10 + text[2] - '0';
    const int minutes = (text[4] - '0') * 10 + text[5] - '0';
    if (hours > 14 || minutes > 59)
        return false;
    const int64_t offset_ms = (int64_t)(hours * 60 + minutes) * 60000;
    zone->offset_ms = east ? offset_ms : -offset_ms;
    memcpy(zone->suffix, text, 7);
    zone->suffix[0] = east ? '+' : '-';
    return true;
}

enum fw_status api_zone_parse(const char *text, struct api_zone *zone, struct fw_error *err)
{
    *zone = api_zone_naive;
    if (word_is(text, "naive"))
        return FW_OK;
    if (word_is(text, "utc") || word_is(text, "z")) {
        memcpy(zone->suffix, "Z", 2);
        return FW_OK;
    }
    return parse_offset(text, zone) ? FW_OK : fw_zone_find(text, &zone->rules, err);
}

const char *api_zone_name(const struct api_zone *zone)
{
    return zone->rules != NULL ? fw_zone_name(zone->rules) : zone->suffix;
}

/* `digits` decimal digits of `value`, with leading zeros. */
static char *write_padded(char *at, uint64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

/* What the rules give at that moment, in whole minutes. */
static struct api_zone zone_at(const struct fw_zone *rules, int64_t ms)
{
    const int64_t minutes = fw_zone_offset_ms(rules, ms) / 60000;
    const uint64_t size = (uint64_t)(minutes < 0 ? -minutes : minutes);
    struct api_zone zone = {.offset_ms = minutes * 60000, .suffix = "+00:00"};
    if (minutes < 0)
        zone.suffix[0] = '-';
    (void)write_padded(zone.suffix + 1, size / 60, 2);
    (void)write_padded(zone.suffix + 4, size % 60, 2);
    return zone;
}

/* As fw_time_format() has it, but without its printf: a full body holds hundred thousand times. */
void api_put_time(struct fw_buf *buf, int64_t ms, const struct api_zone *zone)
{
    enum { DAY_MS = 86400000 };
    const int64_t end_ms = INT64_C(253402300800000); /* the year 10000 */
    struct api_zone then;
    if (zone->rules != NULL && ms >= 0 && ms < end_ms) {
        then = zone_at(zone->rules, ms);
        zone = &then;
    }
    if (ms < 0 || ms >= end_ms || ms + zone->offset_ms < 0 || ms + zone->offset_ms >= end_ms) {
        fw_buf_puts(buf, "null");
        return;
    }
    const int64_t local = ms + zone->offset_ms;
    char *const begin = fw_buf_reserve(buf, 48);
    if (begin == NULL)
        return;
    int year, month, day;
    fw_civil_from_days(local / DAY_MS, &year, &month, &day);
    const uint64_t left = (uint64_t)(local % DAY_MS);
    char *at = begin;
    *at++ = '"';
    at = write_padded(at, (uint64_t)year, 4);
    *at++ = '-';
    at = write_padded(at, (uint64_t)month, 2);
    *at++ = '-';
    at = write_padded(at, (uint64_t)day, 2);
    *at++ = 'T';
    at = write_padded(at, left / 3600000, 2);
    *at++ = ':';
    at = write_padded(at, left / 60000 % 60, 2);
    *at++ = ':';
    at = write_padded(at, left / 1000 % 60, 2);
    *at++ = '.';
    at = write_padded(at, left % 1000 * 1000, 6);
    for (const char *c = zone->suffix; *c != '\0'; c++)
        *at++ = *c;
    *at++ = '"';
    buf->len += (size_t)(at - begin);
}

void api_put_time_pair(struct fw_buf *buf, const char *key, int64_t ms, const struct api_zone *zone)
{
    fw_buf_putc(buf, '"');
    fw_buf_puts(buf, key);
    fw_buf_puts(buf, "\":");
    if (ms == 0)
        fw_buf_puts(buf, "null");
    else
        api_put_time(buf, ms, zone);
    fw_buf_puts(buf, ",\"");
    fw_buf_puts(buf, key);
    fw_buf_puts(buf, "_unix\":");
    if (ms == 0)
        fw_buf_puts(buf, "null");
    else
        fw_buf_put_i64(buf, ms / 1000);
}

static int count_digits(uint64_t value)
{
    int n = 1;
    for (; value >= 10000; value /= 10000)
        n += 4;
    return n + (value >= 10) + (value >= 100) + (value >= 1000);
}

/* Digits of `scaled` with the last `decimals` behind a point; at least `keep` decimals stay. */
static char *write_scaled(char *at, uint64_t scaled, int decimals, int keep)
{
    while (decimals > keep && scaled % 10 == 0) {
        scaled /= 10;
        decimals--;
    }
    int digits = count_digits(scaled);
    if (digits <= decimals)
        digits = decimals + 1; /* "0.05" */
    char *const end = at + digits + (decimals > 0);
    char *head = end;
    for (int i = 0; i < decimals; i++) {
        *--head = (char)('0' + scaled % 10);
        scaled /= 10;
    }
    if (decimals > 0)
        *--head = '.';
    while (head > at) {
        *--head = (char)('0' + scaled % 10);
        scaled /= 10;
    }
    return end;
}

/* The eight digits of a number below 10^8, the first in the lowest byte: halves, quarters and
 * digits by multiplication, all of a kind at once. */
static uint64_t eight_digits(uint32_t value)
{
    uint64_t x = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t tens = x * 10486 >> 20 & UINT64_C(0x7f0000007f); /* by 100, below 10^4 */
    x = tens | (x - 100 * tens) << 16;
    tens = x * 103 >> 10 & UINT64_C(0x000f000f000f000f); /* by 10, below 100 */
    return tens | (x - 10 * tens) << 8;
}

/* Eight bytes, of which the caller counts the first few. */
static void store_digits(char *at, uint64_t digits)
{
    digits |= UINT64_C(0x3030303030303030);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    digits = __builtin_bswap64(digits);
#endif
    memcpy(at, &digits, sizeof digits);
}

/* write_scaled() for a number below 10^8 with less than eight decimals. */
static char *write_short(char *at, uint32_t scaled, int decimals)
{
    const uint64_t digits = eight_digits(scaled);
    const int whole = 8 - decimals;
    const int zeros = digits != 0 ? __builtin_ctzll(digits) / 8 : whole;
    const int first = zeros < whole ? zeros : whole - 1; /* "0.05" */
    store_digits(at, digits >> 8 * first);
    at += whole - first;
    if (decimals == 0)
        return at;
    const uint64_t behind = digits >> 8 * whole;
    *at++ = '.';
    store_digits(at, behind);
    return at + (behind != 0 ? 8 - __builtin_clzll(behind) / 8 : 1);
}

char *api_number_write(char *at, double value, int decimals)
{
    static const double powers[API_DECIMALS_MAX + 1] = {1,   1e1, 1e2, 1e3, 1e4,
                                                        1e5, 1e6, 1e7, 1e8, 1e9};
    assert(decimals >= API_DECIMALS_AUTO && decimals <= API_DECIMALS_MAX);
    if (!isfinite(value)) {
        for (const char *c = "null"; *c != '\0'; c++)
            *at++ = *c; /* no terminator is wanted */
        return at;
    }
    const double magnitude = fabs(value);
    if (decimals == API_DECIMALS_AUTO)
        decimals = magnitude >= 10.0 ? 3 : magnitude >= 1.0 ? 4 : 5;
    if (magnitude * powers[decimals] >= 9007199254740992.0)
        return at + snprintf(at, API_NUMBER_SIZE, "%.17g", value);
    const uint64_t scaled = (uint64_t)(magnitude * powers[decimals] + 0.5);
    if (value < 0 && scaled != 0)
        *at++ = '-';
    if (scaled < 100000000 && decimals < 8)
        return write_short(at, (uint32_t)scaled, decimals);
    return write_scaled(at, scaled, decimals, decimals > 0 ? 1 : 0);
}

void api_put_number(struct fw_buf *buf, double value, int decimals)
{
    char *at = fw_buf_reserve(buf, API_NUMBER_SIZE);
    if (at != NULL)
        buf->len += (size_t)(api_number_write(at, value, decimals) - at);
}

void api_put_one(struct fw_buf *buf, double value)
{
    api_put_number(buf, value, 1);
}

void api_put_numbers(struct fw_buf *buf, const float *values, size_t n, int decimals)
{
    char *const begin = fw_buf_reserve(buf, n * (API_NUMBER_SIZE + 1) + 2);
    if (begin == NULL)
        return;
    char *at = begin;
    *at++ = '[';
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *at++ = ',';
        at = api_number_write(at, (double)values[i], decimals);
    }
    *at++ = ']';
    buf->len += (size_t)(at - begin);
}

void api_put_text(struct fw_buf *buf, const char *key, const char *text)
{
    fw_buf_json_key(buf, key);
    fw_buf_json_string(buf, text, strlen(text));
}

void api_put_int(struct fw_buf *buf, const char *key, int64_t value)
{
    fw_buf_json_key(buf, key);
    fw_buf_put_i64(buf, value);
}

void api_put_bool(struct fw_buf *buf, const char *key, bool value)
{
    fw_buf_json_key(buf, key);
    fw_buf_json_bool(buf, value);
}
