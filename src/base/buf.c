#include "base/buf.h"

#include "base/alloc.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fw_buf_init(struct fw_buf *buf, size_t max)
{
    *buf = (struct fw_buf){.max = max};
}

void fw_buf_fini(struct fw_buf *buf)
{
    fw_free(buf->data);
    *buf = (struct fw_buf){0};
}

void fw_buf_reset(struct fw_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static bool grow(struct fw_buf *buf, size_t need)
{
    size_t cap = buf->cap < 256 ? 256 : buf->cap;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap > buf->max)
        cap = buf->max;
    char *data = fw_realloc(buf->data, cap);
    if (data == NULL)
        return false;
    buf->data = data;
    buf->cap = cap;
    return true;
}

char *fw_buf_reserve(struct fw_buf *buf, size_t more)
{
    if (buf->failed || more > buf->max - buf->len) {
        buf->failed = true;
        return NULL;
    }
    if ((buf->data == NULL || buf->len + more > buf->cap) && !grow(buf, buf->len + more)) {
        buf->failed = true;
        return NULL;
    }
    return buf->data + buf->len;
}

void fw_buf_put(struct fw_buf *buf, const void *data, size_t len)
{
    char *at = fw_buf_reserve(buf, len);
    if (at == NULL || len == 0)
        return;
    memcpy(at, data, len);
    buf->len += len;
}

void fw_buf_puts(struct fw_buf *buf, const char *text)
{
    fw_buf_put(buf, text, strlen(text));
}

void fw_buf_putc(struct fw_buf *buf, char c)
{
    char *at = fw_buf_reserve(buf, 1);
    if (at == NULL)
        return;
    *at = c;
    buf->len++;
}

void fw_buf_printf(struct fw_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *at = len < 0 ? NULL : fw_buf_reserve(buf, (size_t)len + 1);
    if (at != NULL) {
        vsnprintf(at, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    } else {
        buf->failed = true;
    }
    va_end(again);
}

/* Writes the digits of `value` so that they end before `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return end;
}

void fw_buf_put_i64(struct fw_buf *buf, int64_t value)
{
    char text[24];
    char *end = text + sizeof text;
    char *at = digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0)
        *--at = '-';
    fw_buf_put(buf, at, (size_t)(end - at));
}

void fw_buf_put_varint(struct fw_buf *buf, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (unsigned char)(value | 0x80);
    bytes[n++] = (unsigned char)value;
    fw_buf_put(buf, bytes, n);
}

static void put_escaped(struct fw_buf *buf, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"':
        fw_buf_put(buf, "\\\"", 2);
        return;
    case '\\':
        fw_buf_put(buf, "\\\\", 2);
        return;
    case '\n':
        fw_buf_put(buf, "\\n", 2);
        return;
    default: {
        const char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        fw_buf_put(buf, text, sizeof text);
    }
    }
}

static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

/* Where what may stand in a string as it is ends. */
static size_t plain_run(const char *text, size_t i, size_t len)
{
    while (i < len) {
        const unsigned char c = (unsigned char)text[i];
        const size_t size = c < 0x80 ? plain(c) : fw_utf8_length(text + i, len - i);
        if (size == 0)
            break;
        i += size;
    }
    return i;
}

void fw_buf_put_url(struct fw_buf *buf, const char *text, size_t len)
{
    static const char kept[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\0' && strchr(kept, text[i]) != NULL)
            fw_buf_putc(buf, text[i]);
        else
            fw_buf_printf(buf, "%%%02X", (unsigned)(unsigned char)text[i]);
    }
}

void fw_buf_json_string(struct fw_buf *buf, const char *text, size_t len)
{
    fw_buf_putc(buf, '"');
    size_t i = 0;
    for (;;) {
        const size_t run = plain_run(text, i, len);
        fw_buf_put(buf, text + i, run - i);
        i = run;
        if (i == len)
            break;
        const unsigned char c = (unsigned char)text[i++];
        if (c < 0x80)
            put_escaped(buf, c);
        else
            fw_buf_put(buf, "\xef\xbf\xbd", 3); /* no UTF-8 */
    }
    fw_buf_putc(buf, '"');
}

void fw_buf_json_key(struct fw_buf *buf, const char *key)
{
    fw_buf_json_string(buf, key, strlen(key));
    fw_buf_putc(buf, ':');
}

void fw_buf_json_number(struct fw_buf *buf, double value, int decimals)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    if (!isfinite(value)) {
        fw_buf_put(buf, "null", 4);
        return;
    }
    const double magnitude = fabs(value) * powers[decimals];
    if (magnitude >= 9007199254740992.0) {
        fw_buf_printf(buf, "%.17g", value);
        return;
    }
    uint64_t scaled = (uint64_t)(magnitude + 0.5);
    while (decimals > 0 && scaled % 10 == 0) {
        scaled /= 10;
        decimals--;
    }
    char text[40];
    char *end = text + sizeof text;
    char *at = end;
    const bool negative = value < 0 && scaled != 0;
    for (int i = 0; i < decimals; i++) {
        *--at = (char)('0' + scaled % 10);
        scaled /= 10;
    }
    if (decimals > 0)
        *--at = '.';
    at = digits_before(at, scaled);
    if (negative)
        *--at = '-';
    fw_buf_put(buf, at, (size_t)(end - at));
}

void fw_buf_json_bool(struct fw_buf *buf, bool value)
{
    fw_buf_puts(buf, value ? "true" : "false");
}
