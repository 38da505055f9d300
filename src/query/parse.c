/* From the text of a query to its nodes, by recursive descent. */
#include "query/parse_internal.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int new_node(struct parser *p, enum query_kind kind)
{
    if (p->query->count == QUERY_NODES_MAX)
        return parse_fail(p, FW_ELIMIT, "too many parts");
    p->query->nodes[p->query->count] = (struct query_node){.kind = kind};
    return p->query->count++;
}

static int parse_number(struct parser *p)
{
    char copy[64], *end;
    const size_t len = parse_number_length(p->at, p->end);
    if (len >= sizeof copy)
        return parse_fail(p, FW_EINVAL, "too long a number");
    memcpy(copy, p->at, len);
    copy[len] = '\0';
    const double number = strtod(copy, &end);
    if (end != copy + len || (p->at + len < p->end && parse_is_letter(p->at[len])))
        return parse_fail(p, FW_EINVAL, "no number");
    p->at += len;
    const int node = new_node(p, QUERY_NUMBER);
    p->query->nodes[node].number = number;
    p->query->nodes[node].scalar = true;
    return node;
}

/* ---- selectors ---- */

static void add_matcher(struct parser *p, struct query_selector *selector, enum query_match match,
                        const char *label, const char *value)
{
    if (p->status != FW_OK)
        return;
    if (selector->count == QUERY_MATCHERS_MAX) {
        parse_fail(p, FW_ELIMIT, "more than %d conditions", QUERY_MATCHERS_MAX);
        return;
    }
    struct query_matcher *matcher = &selector->matchers[selector->count++];
    *matcher = (struct query_matcher){match, label, value, NULL};
    if (match == QUERY_FITS || match == QUERY_FITS_NOT)
        p->status = query_regex_new(value, strlen(value), &matcher->regex, p->err);
}

static bool parse_match(struct parser *p, enum query_match *match)
{
    parse_skip(p);
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
        return parse_fail(p, FW_EINVAL, "expected =, !=, =~ or !~") != 0;
    p->at += *match == QUERY_EQUAL ? 1 : 2;
    return true;
}

static void parse_matchers(struct parser *p, struct query_selector *selector)
{
    while (p->status == FW_OK && !parse_take(p, '}')) {
        enum query_match match = QUERY_EQUAL;
        const size_t len = parse_peek_word(p);
        if (len == 0) {
            parse_fail(p, FW_EINVAL, "expected a label's name");
            return;
        }
        const char *label = parse_keep(p, p->at, len);
        p->at += len;
        if (!parse_match(p, &match))
            return;
        const char *value = parse_string(p);
        add_matcher(p, selector, match, label, value);
        if (!parse_take(p, ',') && p->status == FW_OK && (p->at == p->end || *p->at != '}'))
            parse_fail(p, FW_EINVAL, "expected \",\" or \"}\"");
    }
}

static void parse_offset(struct parser *p, struct query_selector *selector)
{
    const bool ahead = parse_take(p, '-');
    parse_skip(p);
    size_t len = 0;
    while ((size_t)(p->end - p->at) > len &&
           (parse_is_letter(p->at[len]) || parse_is_digit(p->at[len])))
        len++;
    if (!query_duration(p->at, len, &selector->offset_ms)) {
        parse_fail(p, FW_EINVAL, "expected a duration behind offset, as in 5m");
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
        return parse_fail(p, FW_ENOMEM, "out of memory");
    }
    p->query->nodes[node].selector = selector;
    const size_t len = parse_peek_word(p);
    if (len > 0) {
        add_matcher(p, selector, QUERY_EQUAL, "__name__", parse_keep(p, p->at, len));
        p->at += len;
    }
    if (parse_take(p, '{'))
        parse_matchers(p, selector);
    if (p->status == FW_OK && !chooses(selector))
        return parse_fail(p, FW_EINVAL, "a selector needs a condition that not every series fits");
    parse_skip(p);
    if (p->at < p->end && *p->at == '[')
        return parse_fail(p, FW_ENOTFOUND,
                          "range vectors are not known here: ask Prometheus for raw data");
    if (parse_take_word(p, "offset"))
        parse_offset(p, selector);
    if (p->at < p->end && *p->at == '@')
        return parse_fail(p, FW_ENOTFOUND, "@ is not known here");
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
        if (!parse_is_word(at, len, names[i]))
            continue;
        *aggregate = (enum query_aggregate)i;
        return true;
    }
    return false;
}

/* ["by" "(" LABEL, ... ")"]; true when it was there. */
static bool parse_by(struct parser *p, struct query_node *node)
{
    if (parse_take_word(p, "without"))
        return parse_fail(p, FW_ENOTFOUND, "without is not known here") != 0;
    if (!parse_take_word(p, "by") || !parse_expect(p, '('))
        return false;
    while (p->status == FW_OK && !parse_take(p, ')')) {
        const size_t len = parse_peek_word(p);
        if (len == 0 || node->by_count == QUERY_LABELS_MAX)
            return parse_fail(p, FW_EINVAL, "expected at most %d labels' names",
                              QUERY_LABELS_MAX) != 0;
        node->by[node->by_count++] = parse_keep(p, p->at, len);
        p->at += len;
        if (!parse_take(p, ',') && (p->at == p->end || *p->at != ')'))
            return parse_fail(p, FW_EINVAL, "expected \",\" or \")\"") != 0;
    }
    return true;
}

static int parse_aggregate(struct parser *p, enum query_aggregate aggregate)
{
    struct query_node node = {.kind = QUERY_AGGREGATE, .aggregate = aggregate};
    const bool by = parse_by(p, &node);
    if (p->status != FW_OK || !parse_expect(p, '('))
        return 0;
    node.left = parse_sum(p);
    if (p->status != FW_OK || !parse_expect(p, ')'))
        return 0;
    if (!by)
        parse_by(p, &node);
    if (p->status == FW_OK && p->query->nodes[node.left].scalar)
        return parse_fail(p, FW_EINVAL, "a number has nothing to aggregate");
    const int at = new_node(p, QUERY_AGGREGATE);
    if (p->status == FW_OK)
        p->query->nodes[at] = node;
    return at;
}

static int parse_topk(struct parser *p)
{
    if (!parse_expect(p, '('))
        return 0;
    parse_skip(p);
    const int number = parse_number(p);
    if (p->status != FW_OK || !parse_expect(p, ','))
        return 0;
    const int left = parse_sum(p);
    if (p->status != FW_OK || !parse_expect(p, ')'))
        return 0;
    const double n = p->query->nodes[number].number;
    if (!(n >= 1 && n <= 1000))
        return parse_fail(p, FW_EINVAL, "topk takes 1 to 1000");
    if (p->query->nodes[left].scalar)
        return parse_fail(p, FW_EINVAL, "a number has nothing to choose from");
    const int at = new_node(p, QUERY_TOPK);
    p->query->nodes[at].left = left;
    p->query->nodes[at].number = floor(n);
    return at;
}

static int parse_word(struct parser *p, size_t len)
{
    enum query_aggregate aggregate;
    const char *word = p->at;
    if (parse_is_word(word, len, "inf") || parse_is_word(word, len, "nan")) {
        p->at += len;
        const int node = new_node(p, QUERY_NUMBER);
        p->query->nodes[node].number =
            parse_is_word(word, len, "inf") ? (double)INFINITY : (double)NAN;
        p->query->nodes[node].scalar = true;
        return node;
    }
    p->at += len;
    parse_skip(p);
    const bool call = p->at < p->end && *p->at == '(';
    const bool by = parse_is_word(p->at, parse_peek_word(p), "by") ||
                    parse_is_word(p->at, parse_peek_word(p), "without");
    if (find_aggregate(word, len, &aggregate) && (call || by))
        return parse_aggregate(p, aggregate);
    if (parse_is_word(word, len, "topk") && call)
        return parse_topk(p);
    if (call || by)
        return parse_fail(p, FW_ENOTFOUND, "the function \"%.*s\" is not known here",
                          len < 40 ? (int)len : 40, word);
    p->at = word;
    return parse_selector(p);
}

static int parse_primary(struct parser *p)
{
    const size_t len = parse_peek_word(p);
    if (p->at == p->end)
        return parse_fail(p, FW_EINVAL, "the query ends where something is expected");
    if (parse_take(p, '(')) {
        const int inner = parse_sum(p);
        if (p->status == FW_OK && parse_expect(p, ')') && p->at < p->end && *p->at == '[')
            return parse_fail(p, FW_ENOTFOUND, "subqueries are not known here");
        return inner;
    }
    if (parse_is_digit(*p->at) || *p->at == '.')
        return parse_number(p);
    if (len > 0)
        return parse_word(p, len);
    if (*p->at == '{')
        return parse_selector(p);
    return parse_fail(p, FW_EINVAL, "expected a selector, a number or (");
}

static int parse_unary(struct parser *p)
{
    if (++p->depth > QUERY_DEPTH_MAX)
        return parse_fail(p, FW_ELIMIT, "too deep");
    int node;
    if (parse_take(p, '-')) {
        const int left = parse_unary(p);
        node = new_node(p, QUERY_NEGATE);
        p->query->nodes[node].left = left;
        p->query->nodes[node].scalar = p->query->nodes[left].scalar;
    } else if (parse_take(p, '+')) {
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
        return parse_fail(p, FW_ENOTFOUND,
                          "operations between two sets of series are not known here");
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
        if (parse_take(p, '*'))
            node = operate(p, '*', node, parse_unary(p));
        else if (parse_take(p, '/'))
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
        if (parse_take(p, '+'))
            node = operate(p, '+', node, parse_product(p));
        else if (parse_take(p, '-'))
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
    const size_t len = parse_peek_word(p);
    if (p->status != FW_OK || p->at == p->end)
        return;
    for (size_t i = 0; i < COUNT(words); i++)
        if (parse_is_word(p->at, len, words[i])) {
            parse_fail(p, FW_ENOTFOUND, "\"%s\" is not known here", words[i]);
            return;
        }
    if (strchr("<>=!%^@[", *p->at) != NULL)
        parse_fail(p, FW_ENOTFOUND, "\"%c\" is not known here", *p->at);
    else
        parse_fail(p, FW_EINVAL, "something behind the end of the query");
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
        parse_fail(&p, FW_ENOMEM, "out of memory");
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
