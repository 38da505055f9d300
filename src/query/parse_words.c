/* The words of a query: blanks and comments, names, texts, numbers, durations. */
#include "query/parse_internal.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char supported[] =
    "here are selectors with offset, numbers, + - * / between a number and series, and "
    "sum, avg, min, max, count [by (...)] and topk";

int parse_fail(struct parser *p, enum fw_status status, const char *format, ...)
{
    char text[160];
    va_list args;
    if (p->status != FW_OK)
        return 0;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const uint64_t at = (uint64_t)(p->at - p->begin);
    if (status == FW_ENOTFOUND)
        p->status = fw_fail_at(p->err, status, at, "%s; %s", text, supported);
    else
        p->status = fw_fail_at(p->err, status, at, "at character %llu: %s",
                               (unsigned long long)at + 1, text);
    return 0;
}

void parse_skip(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
    if (p->at < p->end && *p->at == '#') { /* a comment */
        while (p->at < p->end && *p->at != '\n')
            p->at++;
        parse_skip(p);
    }
}

bool parse_take(struct parser *p, char c)
{
    parse_skip(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

bool parse_expect(struct parser *p, char c)
{
    if (parse_take(p, c))
        return true;
    if (p->at == p->end)
        parse_fail(p, FW_EINVAL, "expected \"%c\", the query ends", c);
    else
        parse_fail(p, FW_EINVAL, "expected \"%c\"", c);
    return false;
}

size_t parse_peek_word(struct parser *p)
{
    parse_skip(p);
    size_t len = 0;
    while ((size_t)(p->end - p->at) > len &&
           (parse_is_letter(p->at[len]) || (len > 0 && parse_is_digit(p->at[len]))))
        len++;
    return len;
}

bool parse_is_word(const char *at, size_t len, const char *word)
{
    if (strlen(word) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((at[i] | 0x20) != word[i])
            return false;
    return true;
}

bool parse_take_word(struct parser *p, const char *word)
{
    const size_t len = parse_peek_word(p);
    if (!parse_is_word(p->at, len, word))
        return false;
    p->at += len;
    return true;
}

const char *parse_keep(struct parser *p, const char *text, size_t len)
{
    struct query *q = p->query;
    if (q->texts_cap - q->texts_used < len + 1) {
        parse_fail(p, FW_ELIMIT, "too long");
        return "";
    }
    char *to = q->texts + q->texts_used;
    memcpy(to, text, len);
    to[len] = '\0';
    q->texts_used += len + 1;
    return to;
}

/* ---- texts, numbers, durations ---- */

static int hex(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* Behind a backslash: the byte it stands for, or -1. */
static int get_escape(struct parser *p, char quote)
{
    static const char letters[] = "abfnrtv\\", bytes[] = "\a\b\f\n\r\t\v\\";
    if (p->at == p->end)
        return -1;
    const char c = *p->at++;
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    if (letter != NULL)
        return bytes[letter - letters];
    if (c == quote)
        return quote;
    if (c == 'x' && p->end - p->at >= 2 && hex(p->at[0]) >= 0 && hex(p->at[1]) >= 0) {
        p->at += 2;
        return hex(p->at[-2]) * 16 + hex(p->at[-1]);
    }
    return -1;
}

/* Into the query's texts at once: no text is longer than what it is read from. */
const char *parse_string(struct parser *p)
{
    struct query *q = p->query;
    char *text = q->texts + q->texts_used;
    size_t len = 0;
    parse_skip(p);
    const char quote = p->at < p->end ? *p->at : '\0';
    if (quote != '"' && quote != '\'' && quote != '`') {
        parse_fail(p, FW_EINVAL, "expected a text in quotes");
        return "";
    }
    for (p->at++; p->at < p->end && *p->at != quote;) {
        int byte = (unsigned char)*p->at++;
        if (byte == '\\' && quote != '`')
            byte = get_escape(p, quote);
        if (byte <= 0) {
            parse_fail(p, FW_EINVAL, "an escape that is not known, or a NUL");
            return "";
        }
        if (q->texts_used + len + 1 >= q->texts_cap) {
            parse_fail(p, FW_ELIMIT, "too long");
            return "";
        }
        text[len++] = (char)byte;
    }
    if (!parse_expect(p, quote))
        return "";
    if (!fw_utf8_valid(text, len)) {
        parse_fail(p, FW_EINVAL, "a text that is not UTF-8");
        return "";
    }
    text[len] = '\0';
    q->texts_used += len + 1;
    return text;
}

size_t parse_number_length(const char *at, const char *end)
{
    const char *p = at;
    while (p < end && (parse_is_digit(*p) || *p == '.'))
        p++;
    if (p < end && p > at && (*p == 'e' || *p == 'E')) {
        const char *exponent = p + 1;
        exponent += exponent < end && (*exponent == '+' || *exponent == '-');
        if (exponent < end && parse_is_digit(*exponent)) {
            for (p = exponent; p < end && parse_is_digit(*p);)
                p++;
        }
    }
    return (size_t)(p - at);
}

bool query_duration(const char *text, size_t len, int64_t *ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {
        {"ms", 1        },
        {"s",  1e3      },
        {"m",  6e4      },
        {"h",  3.6e6    },
        {"d",  8.64e7   },
        {"w",  6.048e8  },
        {"y",  3.1536e10},
    };
    const double limit = 3.1536e11;
    const char *at = text, *end = text + len;
    double sum = 0;
    while (at < end) {
        char copy[32], *stop;
        const size_t digits = parse_number_length(at, end);
        if (digits == 0 || digits >= sizeof copy)
            return false;
        memcpy(copy, at, digits);
        copy[digits] = '\0';
        const double number = strtod(copy, &stop);
        if (stop != copy + digits)
            return false;
        at += digits;
        size_t letters = 0;
        while (at + letters < end && parse_is_letter(at[letters]))
            letters++;
        double unit = at == end && at - text == (ptrdiff_t)digits ? 1e3 : 0; /* bare: seconds */
        for (size_t i = 0; i < COUNT(units) && letters > 0; i++)
            if (strlen(units[i].unit) == letters && memcmp(at, units[i].unit, letters) == 0)
                unit = units[i].ms;
        sum += number * unit;
        if (!(unit > 0) || !(sum <= limit))
            return false;
        at += letters;
    }
    *ms = (int64_t)sum;
    return len > 0;
}
