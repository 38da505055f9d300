#include "query/query_internal.h"

#include "base/alloc.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct query *query;
    const char *begin, *at, *end;
    int depth;
    enum fw_status status;
    struct fw_error *err;
};

static const char supported[] =
    "here are selectors with offset, numbers, + - * / between a number and series, and "
    "sum, avg, min, max, count [by (...)] and topk";

static int fail(struct parser *p, enum fw_status status, const char *format, ...) FW_PRINTF(3, 4);

static int fail(struct parser *p, enum fw_status status, const char *format, ...)
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

/* ---- words ---- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
    if (p->at < p->end && *p->at == '#') { /* a comment */
        while (p->at < p->end && *p->at != '\n')
            p->at++;
        skip(p);
    }
}

static bool take(struct parser *p, char c)
{
    skip(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static bool expect(struct parser *p, char c)
{
    if (take(p, c))
        return true;
    if (p->at == p->end)
        fail(p, FW_EINVAL, "expected \"%c\", the query ends", c);
    else
        fail(p, FW_EINVAL, "expected \"%c\"", c);
    return false;
}

/* The identifier here, without taking it; 0: none. */
static size_t peek_word(struct parser *p)
{
    skip(p);
    size_t len = 0;
    while ((size_t)(p->end - p->at) > len &&
           (is_letter(p->at[len]) || (len > 0 && is_digit(p->at[len]))))
        len++;
    return len;
}

static bool is_word(const char *at, size_t len, const char *word)
{
    if (strlen(word) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((at[i] | 0x20) != word[i])
            return false;
    return true;
}

static bool take_word(struct parser *p, const char *word)
{
    const size_t len = peek_word(p);
    if (!is_word(p->at, len, word))
        return false;
    p->at += len;
    return true;
}

/* A copy in the query; texts are no longer than what they were read from. */
static const char *keep(struct parser *p, const char *text, size_t len)
{
    struct query *q = p->query;
    if (q->texts_cap - q->texts_used < len + 1) {
        fail(p, FW_ELIMIT, "too long");
        return "";
    }
    char *to = q->texts + q->texts_used;
    memcpy(to, text, len);
    to[len] = '\0';
    q->texts_used += len + 1;
    return to;
}

static int new_node(struct parser *p, enum query_kind kind)
{
    if (p->query->count == QUERY_NODES_MAX)
        return fail(p, FW_ELIMIT, "too many parts");
    p->query->nodes[p->query->count] = (struct query_node){.kind = kind};
    return p->query->count++;
}

/* ---- strings, numbers, durations ---- */

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
static const char *parse_string(struct parser *p)
{
    struct query *q = p->query;
    char *text = q->texts + q->texts_used;
    size_t len = 0;
    skip(p);
    const char quote = p->at < p->end ? *p->at : '\0';
    if (quote != '"' && quote != '\'' && quote != '`') {
        fail(p, FW_EINVAL, "expected a text in quotes");
        return "";
    }
    for (p->at++; p->at < p->end && *p->at != quote;) {
        int byte = (unsigned char)*p->at++;
        if (byte == '\\' && quote != '`')
            byte = get_escape(p, quote);
        if (byte <= 0) {
            fail(p, FW_EINVAL, "an escape that is not known, or a NUL");
            return "";
        }
        if (q->texts_used + len + 1 >= q->texts_cap) {
            fail(p, FW_ELIMIT, "too long");
            return "";
        }
        text[len++] = (char)byte;
    }
    if (!expect(p, quote))
        return "";
    if (!fw_utf8_valid(text, len)) {
        fail(p, FW_EINVAL, "a text that is not UTF-8");
        return "";
    }
    text[len] = '\0';
    q->texts_used += len + 1;
    return text;
}

static size_t number_length(const char *at, const char *end)
{
    const char *p = at;
    while (p < end && (is_digit(*p) || *p == '.'))
        p++;
    if (p < end && p > at && (*p == 'e' || *p == 'E')) {
        const char *exponent = p + 1;
        exponent += exponent < end && (*exponent == '+' || *exponent == '-');
        if (exponent < end && is_digit(*exponent)) {
            for (p = exponent; p < end && is_digit(*p);)
                p++;
        }
    }
    return (size_t)(p - at);
}

static int parse_number(struct parser *p)
{
    char copy[64], *end;
    const size_t len = number_length(p->at, p->end);
    if (len >= sizeof copy)
        return fail(p, FW_EINVAL, "too long a number");
    memcpy(copy, p->at, len);
    copy[len] = '\0';
    const double number = strtod(copy, &end);
    if (end != copy + len || (p->at + len < p->end && is_letter(p->at[len])))
        return fail(p, FW_EINVAL, "no number");
    p->at += len;
    const int node = new_node(p, QUERY_NUMBER);
    p->query->nodes[node].number = number;
    p->query->nodes[node].scalar = true;
    return node;
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
        const size_t digits = number_length(at, end);
        if (digits == 0 || digits >= sizeof copy)
            return false;
        memcpy(copy, at, digits);
        copy[digits] = '\0';
        const double number = strtod(copy, &stop);
        if (stop != copy + digits)
            return false;
        at += digits;
        size_t letters = 0;
        while (at + letters < end && is_letter(at[letters]))
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

/* ---- selectors ---- */

static void add_matcher(struct parser *p, struct query_selector *selector, enum query_match match,
                        const char *label, const char *value)
{
    if (p->status != FW_OK)
        return;
    if (selector->count == QUERY_MATCHERS_MAX) {
        fail(p, FW_ELIMIT, "more than %d conditions", QUERY_MATCHERS_MAX);
        return;
    }
    struct query_matcher *matcher = &selector->matchers[selector->count++];
    *matcher = (struct query_matcher){match, label, value, NULL};
    if (match == QUERY_FITS || match == QUERY_FITS_NOT)
        p->status = query_regex_new(value, strlen(value), &matcher->regex, p->err);
}

static bool parse_match(struct parser *p, enum query_match *match)
{
    skip(p);
    const size_t left = (size_t)(p->end - p->at);
    if (left >= 2 && memcmp(p->at, "!=", 2) == 0)
        *match = QUERY_NOT_EQUAL;
    else if (left >= 2 && memcmp(p->at, "=~", 2) == 0)
        *match = QUERY_FITS;
    else if (left >= 2 && memcmp(p->at, "!~", 2) == 0)
        *match = QUERY_FITS_NOT;
    else if (left >= 1 && *p->at == '=')
        *match = QUERY_EQUAL;
    else
        return fail(p, FW_EINVAL, "expected =, !=, =~ or !~") != 0;
    p->at += *match == QUERY_EQUAL ? 1 : 2;
    return true;
}

static void parse_matchers(struct parser *p, struct query_selector *selector)
{
    while (p->status == FW_OK && !take(p, '}')) {
        enum query_match match = QUERY_EQUAL;
        const size_t len = peek_word(p);
        if (len == 0) {
            fail(p, FW_EINVAL, "expected a label's name");
            return;
        }
        const char *label = keep(p, p->at, len);
        p->at += len;
        if (!parse_match(p, &match))
            return;
        const char *value = parse_string(p);
        add_matcher(p, selector, match, label, value);
        if (!take(p, ',') && p->status == FW_OK && (p->at == p->end || *p->at != '}'))
            fail(p, FW_EINVAL, "expected \",\" or \"}\"");
    }
}

static void parse_offset(struct parser *p, struct query_selector *selector)
{
    const bool ahead = take(p, '-');
    skip(p);
    size_t len = 0;
    while ((size_t)(p->end - p->at) > len && (is_letter(p->at[len]) || is_digit(p->at[len])))
        len++;
    if (!query_duration(p->at, len, &selector->offset_ms)) {
        fail(p, FW_EINVAL, "expected a duration behind offset, as in 5m");
        return;
    }
    if (ahead)
        selector->offset_ms = -selector->offset_ms;
    p->at += len;
}

/* As in Prometheus: a selector that every series fits is a mistake. */
static bool chooses(const struct query_selector *selector)
{
    for (size_t i = 0; i < selector->count; i++) {
        const struct query_matcher *m = &selector->matchers[i];
        if (m->match == QUERY_EQUAL      ? m->value[0] != '\0'
            : m->match == QUERY_FITS     ? !query_regex_match(m->regex, "", 0)
            : m->match == QUERY_FITS_NOT ? query_regex_match(m->regex, "", 0)
                                         : m->value[0] == '\0')
            return true;
    }
    return false;
}

static int parse_selector(struct parser *p)
{
    const int node = new_node(p, QUERY_SELECT);
    struct query_selector *selector = fw_calloc(1, sizeof *selector);
    if (selector == NULL || p->status != FW_OK) {
        fw_free(selector);
        return fail(p, FW_ENOMEM, "out of memory");
    }
    p->query->nodes[node].selector = selector;
    const size_t len = peek_word(p);
    if (len > 0) {
        add_matcher(p, selector, QUERY_EQUAL, "__name__", keep(p, p->at, len));
        p->at += len;
    }
    if (take(p, '{'))
        parse_matchers(p, selector);
    if (p->status == FW_OK && !chooses(selector))
        return fail(p, FW_EINVAL, "a selector needs a condition that not every series fits");
    skip(p);
    if (p->at < p->end && *p->at == '[')
        return fail(p, FW_ENOTFOUND,
                    "range vectors are not known here: ask Prometheus for raw data");
    if (take_word(p, "offset"))
        parse_offset(p, selector);
    if (p->at < p->end && *p->at == '@')
        return fail(p, FW_ENOTFOUND, "@ is not known here");
    return node;
}

/* ---- expressions ---- */

static int parse_sum(struct parser *p);

static bool find_aggregate(const char *at, size_t len, enum query_aggregate *aggregate)
{
    static const char *const names[] = {[QUERY_SUM] = "sum",
                                        [QUERY_AVG] = "avg",
                                        [QUERY_MIN] = "min",
                                        [QUERY_MAX] = "max",
                                        [QUERY_COUNT] = "count"};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!is_word(at, len, names[i]))
            continue;
        *aggregate = (enum query_aggregate)i;
        return true;
    }
    return false;
}

/* ["by" "(" LABEL, ... ")"]; true when it was there. */
static bool parse_by(struct parser *p, struct query_node *node)
{
    if (take_word(p, "without"))
        return fail(p, FW_ENOTFOUND, "without is not known here") != 0;
    if (!take_word(p, "by") || !expect(p, '('))
        return false;
    while (p->status == FW_OK && !take(p, ')')) {
        const size_t len = peek_word(p);
        if (len == 0 || node->by_count == QUERY_LABELS_MAX)
            return fail(p, FW_EINVAL, "expected at most %d labels' names", QUERY_LABELS_MAX) != 0;
        node->by[node->by_count++] = keep(p, p->at, len);
        p->at += len;
        if (!take(p, ',') && (p->at == p->end || *p->at != ')'))
            return fail(p, FW_EINVAL, "expected \",\" or \")\"") != 0;
    }
    return true;
}

static int parse_aggregate(struct parser *p, enum query_aggregate aggregate)
{
    struct query_node node = {.kind = QUERY_AGGREGATE, .aggregate = aggregate};
    const bool by = parse_by(p, &node);
    if (p->status != FW_OK || !expect(p, '('))
        return 0;
    node.left = parse_sum(p);
    if (p->status != FW_OK || !expect(p, ')'))
        return 0;
    if (!by)
        parse_by(p, &node);
    if (p->status == FW_OK && p->query->nodes[node.left].scalar)
        return fail(p, FW_EINVAL, "a number has nothing to aggregate");
    const int at = new_node(p, QUERY_AGGREGATE);
    if (p->status == FW_OK)
        p->query->nodes[at] = node;
    return at;
}

static int parse_topk(struct parser *p)
{
    if (!expect(p, '('))
        return 0;
    skip(p);
    const int number = parse_number(p);
    if (p->status != FW_OK || !expect(p, ','))
        return 0;
    const int left = parse_sum(p);
    if (p->status != FW_OK || !expect(p, ')'))
        return 0;
    const double n = p->query->nodes[number].number;
    if (!(n >= 1 && n <= 1000))
        return fail(p, FW_EINVAL, "topk takes 1 to 1000");
    if (p->query->nodes[left].scalar)
        return fail(p, FW_EINVAL, "a number has nothing to choose from");
    const int at = new_node(p, QUERY_TOPK);
    p->query->nodes[at].left = left;
    p->query->nodes[at].number = floor(n);
    return at;
}

static int parse_word(struct parser *p, size_t len)
{
    enum query_aggregate aggregate;
    const char *word = p->at;
    if (is_word(word, len, "inf") || is_word(word, len, "nan")) {
        p->at += len;
        const int node = new_node(p, QUERY_NUMBER);
        p->query->nodes[node].number = is_word(word, len, "inf") ? (double)INFINITY : (double)NAN;
        p->query->nodes[node].scalar = true;
        return node;
    }
    p->at += len;
    skip(p);
    const bool call = p->at < p->end && *p->at == '(';
    const bool by = is_word(p->at, peek_word(p), "by") || is_word(p->at, peek_word(p), "without");
    if (find_aggregate(word, len, &aggregate) && (call || by))
        return parse_aggregate(p, aggregate);
    if (is_word(word, len, "topk") && call)
        return parse_topk(p);
    if (call || by)
        return fail(p, FW_ENOTFOUND, "the function \"%.*s\" is not known here",
                    len < 40 ? (int)len : 40, word);
    p->at = word;
    return parse_selector(p);
}

static int parse_primary(struct parser *p)
{
    const size_t len = peek_word(p);
    if (p->at == p->end)
        return fail(p, FW_EINVAL, "the query ends where something is expected");
    if (take(p, '(')) {
        const int inner = parse_sum(p);
        if (p->status == FW_OK && expect(p, ')') && p->at < p->end && *p->at == '[')
            return fail(p, FW_ENOTFOUND, "subqueries are not known here");
        return inner;
    }
    if (is_digit(*p->at) || *p->at == '.')
        return parse_number(p);
    if (len > 0)
        return parse_word(p, len);
    if (*p->at == '{')
        return parse_selector(p);
    return fail(p, FW_EINVAL, "expected a selector, a number or (");
}

static int parse_unary(struct parser *p)
{
    if (++p->depth > QUERY_DEPTH_MAX)
        return fail(p, FW_ELIMIT, "too deep");
    int node;
    if (take(p, '-')) {
        const int left = parse_unary(p);
        node = new_node(p, QUERY_NEGATE);
        p->query->nodes[node].left = left;
        p->query->nodes[node].scalar = p->query->nodes[left].scalar;
    } else if (take(p, '+')) {
        node = parse_unary(p);
    } else {
        node = parse_primary(p);
    }
    p->depth--;
    return node;
}

static int operate(struct parser *p, char op, int left, int right)
{
    const struct query_node *nodes = p->query->nodes;
    if (p->status != FW_OK)
        return 0;
    if (!nodes[left].scalar && !nodes[right].scalar)
        return fail(p, FW_ENOTFOUND, "operations between two sets of series are not known here");
    const bool scalar = nodes[left].scalar && nodes[right].scalar;
    const int node = new_node(p, QUERY_OPERATE);
    struct query_node *n = &p->query->nodes[node];
    n->op = op;
    n->left = left;
    n->right = right;
    n->scalar = scalar;
    return node;
}

static int parse_product(struct parser *p)
{
    int node = parse_unary(p);
    for (bool more = true; more && p->status == FW_OK;) {
        if (take(p, '*'))
            node = operate(p, '*', node, parse_unary(p));
        else if (take(p, '/'))
            node = operate(p, '/', node, parse_unary(p));
        else
            more = false;
    }
    return node;
}

static int parse_sum(struct parser *p)
{
    int node = parse_product(p);
    for (bool more = true; more && p->status == FW_OK;) {
        if (take(p, '+'))
            node = operate(p, '+', node, parse_product(p));
        else if (take(p, '-'))
            node = operate(p, '-', node, parse_product(p));
        else
            more = false;
    }
    return node;
}

/* What may not follow, told apart: what PromQL has, and what nothing has. */
static void check_end(struct parser *p)
{
    static const char *const words[] = {"and", "or", "unless", "on", "ignoring", "bool", "offset"};
    const size_t len = peek_word(p);
    if (p->status != FW_OK || p->at == p->end)
        return;
    for (size_t i = 0; i < COUNT(words); i++)
        if (is_word(p->at, len, words[i])) {
            fail(p, FW_ENOTFOUND, "\"%s\" is not known here", words[i]);
            return;
        }
    if (strchr("<>=!%^@[", *p->at) != NULL)
        fail(p, FW_ENOTFOUND, "\"%c\" is not known here", *p->at);
    else
        fail(p, FW_EINVAL, "something behind the end of the query");
}

static enum fw_status parse(const char *text, size_t len, bool selector, struct query **out,
                            struct fw_error *err)
{
    *out = NULL;
    if (len > QUERY_BYTES_MAX)
        return fw_fail(err, FW_ELIMIT, "a query has more than %d bytes", QUERY_BYTES_MAX);
    struct query *query = fw_calloc(1, sizeof *query);
    if (query == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    struct parser p = {
        .query = query, .begin = text, .at = text, .end = text + len, .status = FW_OK, .err = err};
    query->texts_cap = 2 * len + 16; /* each with its terminator */
    query->texts = fw_malloc(query->texts_cap);
    if (query->texts == NULL)
        fail(&p, FW_ENOMEM, "out of memory");
    else
        query->root = selector ? parse_selector(&p) : parse_sum(&p);
    check_end(&p);
    if (p.status == FW_OK)
        *out = query;
    else
        query_free(query);
    return p.status;
}

enum fw_status query_parse(const char *text, size_t len, struct query **out, struct fw_error *err)
{
    return parse(text, len, false, out, err);
}

enum fw_status query_parse_selector(const char *text, size_t len, struct query **out,
                                    struct fw_error *err)
{
    return parse(text, len, true, out, err);
}

const struct query_selector *query_selector(const struct query *query)
{
    return query->nodes[query->root].selector;
}

void query_free(struct query *query)
{
    if (query == NULL)
        return;
    for (int i = 0; i < query->count; i++) {
        struct query_selector *selector = query->nodes[i].selector;
        for (size_t k = 0; selector != NULL && k < selector->count; k++)
            query_regex_free(selector->matchers[k].regex);
        fw_free(selector);
    }
    fw_free(query->texts);
    fw_free(query);
}
