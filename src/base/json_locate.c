#include "base/json_locate.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scanner {
    const char *data;
    size_t at, len;
    const char *reason; /* NULL while all is well */
    size_t depth, max_depth;
    bool object[FW_JSON_LOCATE_DEPTH_MAX + 1]; /* by depth: inside an object, not an array */
};

static bool fail_at(struct scanner *s, size_t at, const char *reason)
{
    s->at = at;
    s->reason = reason;
    return false;
}

static bool fail(struct scanner *s, const char *reason)
{
    return fail_at(s, s->at, reason);
}

static void skip_blanks(struct scanner *s)
{
    while (s->at < s->len && memchr(" \t\n\r", s->data[s->at], 4) != NULL)
        s->at++;
}

static int peek(const struct scanner *s)
{
    return s->at < s->len ? (unsigned char)s->data[s->at] : -1;
}

static bool hex4(const struct scanner *s, size_t at, unsigned *unit)
{
    *unit = 0;
    if (s->len - at < 4)
        return false;
    for (size_t i = at; i < at + 4; i++) {
        const char c = s->data[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return false;
        *unit = *unit << 4 | (unsigned)digit;
    }
    return true;
}

/* Behind a backslash. */
static bool escape(struct scanner *s)
{
    const size_t start = s->at - 1;
    unsigned unit;
    const int c = peek(s);
    if (c < 0)
        return fail(s, "unterminated string");
    if (memchr("\"\\/bfnrt", c, 8) != NULL) {
        s->at++;
        return true;
    }
    if (c != 'u' || !hex4(s, s->at + 1, &unit))
        return fail_at(s, start, "invalid escape");
    s->at += 5;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    /* A high surrogate needs its low one. */
    if (unit >= 0xdc00 || s->len - s->at < 6 || s->data[s->at] != '\\' ||
        s->data[s->at + 1] != 'u' || !hex4(s, s->at + 2, &unit) || unit < 0xdc00 || unit > 0xdfff)
        return fail_at(s, start, "lone surrogate");
    s->at += 6;
    return true;
}

static bool string(struct scanner *s)
{
    const size_t start = s->at++;
    for (;;) {
        const int c = peek(s);
        if (c < 0)
            return fail_at(s, start, "unterminated string");
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20)
            return fail(s, "control character in a string");
        if (c == '\\') {
            s->at++;
            if (!escape(s))
                return false;
            continue;
        }
        const size_t size = fw_utf8_length(s->data + s->at, s->len - s->at);
        if (size == 0)
            return fail(s, "invalid UTF-8");
        s->at += size;
    }
}

static bool digits(struct scanner *s)
{
    const size_t start = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at > start || fail(s, "expecting a digit");
}

static bool fits_double(const char *text, size_t len)
{
    char copy[512];
    if (len >= sizeof copy)
        return true; /* the parser has the last word on such a number */
    memcpy(copy, text, len);
    copy[len] = '\0';
    return isfinite(strtod(copy, NULL));
}

static bool number(struct scanner *s)
{
    const size_t start = s->at;
    if (peek(s) == '-')
        s->at++;
    if (peek(s) == '0')
        s->at++;
    else if (!digits(s))
        return false;
    if (peek(s) == '.') {
        s->at++;
        if (!digits(s))
            return false;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!digits(s))
            return false;
    }
    return fits_double(s->data + start, s->at - start) || fail_at(s, start, FW_JSON_OUT_OF_RANGE);
}

static bool word(struct scanner *s, const char *text)
{
    const size_t len = strlen(text);
    if (s->len - s->at < len || memcmp(s->data + s->at, text, len) != 0)
        return fail(s, "expecting value");
    s->at += len;
    return true;
}

static bool key(struct scanner *s)
{
    skip_blanks(s);
    if (peek(s) != '"')
        return fail(s, "expecting property name enclosed in double quotes");
    if (!string(s))
        return false;
    skip_blanks(s);
    if (peek(s) != ':')
        return fail(s, "expecting ':' delimiter");
    s->at++;
    return true;
}

/* Opens an array or object. *empty: it is closed already. */
static bool open_group(struct scanner *s, bool object, bool *empty)
{
    if (s->depth == s->max_depth)
        return fail(s, "nested too deep");
    s->object[++s->depth] = object;
    s->at++;
    skip_blanks(s);
    *empty = peek(s) == (object ? '}' : ']');
    if (*empty) {
        s->at++;
        s->depth--;
        return true;
    }
    return !object || key(s);
}

/* Behind a whole value: closes what ends here. *more: another value follows. */
static bool after_value(struct scanner *s, bool *more)
{
    for (;;) {
        skip_blanks(s);
        *more = false;
        if (s->depth == 0)
            return true;
        const bool object = s->object[s->depth];
        const int c = peek(s);
        if (c == ',') {
            s->at++;
            *more = true;
            return !object || key(s);
        }
        if (c != (object ? '}' : ']'))
            return fail(s, "expecting ',' delimiter");
        s->at++;
        s->depth--;
    }
}

/* A scalar, or the opening of a group; *open: its first value follows. */
static bool value(struct scanner *s, bool *open)
{
    bool empty = false;
    *open = false;
    skip_blanks(s);
    const int c = peek(s);
    switch (c) {
    case '{':
    case '[':
        if (!open_group(s, c == '{', &empty))
            return false;
        *open = !empty;
        return true;
    case '"':
        return string(s);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return number(s);
        return fail(s, "expecting value");
    }
}

bool fw_json_locate(const char *data, size_t len, size_t max_depth, size_t *offset,
                    const char **reason)
{
    struct scanner s = {.data = data, .len = len};
    s.max_depth = max_depth < FW_JSON_LOCATE_DEPTH_MAX ? max_depth : FW_JSON_LOCATE_DEPTH_MAX;
    bool more = true;
    while (more) {
        bool open;
        if (!value(&s, &open))
            break;
        if (!open && !after_value(&s, &more))
            break;
    }
    if (s.reason == NULL && s.at < len)
        fail(&s, "extra data");
    *offset = s.at;
    *reason = s.reason;
    return s.reason == NULL;
}

void fw_json_line_column(const char *data, size_t offset, size_t *line, size_t *column)
{
    *line = 1;
    size_t start = 0;
    for (size_t i = 0; i < offset; i++) {
        if (data[i] == '\n') {
            ++*line;
            start = i + 1;
        }
    }
    *column = offset - start + 1;
}
