#include "query/regex.h"

#include "base/alloc.h"

#include <string.h>

/* A state either takes one byte of a set and goes on to `out`, or goes on to both `out` and `out2`
 * without one. Patterns are compiled backwards: a piece is made with its continuation known, so no
 * lists of loose ends are needed; repetitions are compiled as often as they are counted. */
enum { MATCH = 0 /* the state number of the end */ };

struct state {
    unsigned char set[32]; /* bit per byte */
    bool splits;
    int out, out2; /* out2 < 0: none */
};

struct query_regex {
    struct state *states;
    int count, start;
    int *current, *next, *stack; /* (QUERY_REGEX_STATES_MAX) */
    unsigned *seen;              /* the round in which a state was added last */
    unsigned round;
};

/* The pattern as a tree of nodes, in one array. */
enum kind { EMPTY, SET, CONCAT, ALTERNATE, REPEAT };
struct node {
    enum kind kind;
    int left, right;       /* CONCAT, ALTERNATE; REPEAT: left */
    int least, most;       /* REPEAT; most < 0: no end */
    unsigned char set[32]; /* SET */
};

struct parser {
    const char *begin, *at, *end;
    struct node *nodes;
    int count;
    int depth;
    struct fw_error *err;
    enum fw_status status;
};

static int fail(struct parser *p, enum fw_status status, const char *why)
{
    if (p->status == FW_OK)
        p->status = fw_fail_at(p->err, status, (uint64_t)(p->at - p->begin),
                               "regular expression: %s at byte %td", why, p->at - p->begin);
    return 0;
}

static int new_node(struct parser *p, enum kind kind, int left, int right)
{
    if (p->count == QUERY_REGEX_STATES_MAX)
        return fail(p, FW_ELIMIT, "too long");
    p->nodes[p->count] = (struct node){.kind = kind, .left = left, .right = right};
    return p->count++;
}

static void set_bit(unsigned char set[32], unsigned byte)
{
    set[byte / 8] = (unsigned char)(set[byte / 8] | 1u << byte % 8);
}

static void set_range(unsigned char set[32], unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to; c++)
        set_bit(set, c);
}

static void invert(unsigned char set[32])
{
    for (int i = 0; i < 32; i++)
        set[i] = (unsigned char)~set[i];
}

/* \d, \w, \s and their opposites into `set`; false: c is none of them. */
static bool put_class(unsigned char set[32], char c)
{
    unsigned char own[32] = {0};
    switch (c) {
    case 'd':
    case 'D':
        set_range(own, '0', '9');
        break;
    case 'w':
    case 'W':
        set_range(own, '0', '9');
        set_range(own, 'a', 'z');
        set_range(own, 'A', 'Z');
        set_bit(own, '_');
        break;
    case 's':
    case 'S':
        set_range(own, '\t', '\r');
        set_bit(own, ' ');
        break;
    default:
        return false;
    }
    if (c < 'a')
        invert(own);
    for (int i = 0; i < 32; i++)
        set[i] |= own[i];
    return true;
}

/* The byte that an escape stands for; -1: none. */
static int escaped(char c)
{
    static const char letters[] = "ntrfav", bytes[] = "\n\t\r\f\a\v";
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    if (letter != NULL)
        return bytes[letter - letters];
    const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return word ? -1 : (unsigned char)c;
}

static int parse_class(struct parser *p)
{
    const int node = new_node(p, SET, 0, 0);
    unsigned char *set = p->nodes[node].set;
    const bool inverted = p->at < p->end && *p->at == '^';
    p->at += inverted;
    for (bool first = true;; first = false) {
        if (p->at == p->end)
            return fail(p, FW_EINVAL, "missing ]");
        if (*p->at == ']' && !first)
            break;
        int from = (unsigned char)*p->at++;
        if (from == '\\') {
            if (p->at == p->end)
                return fail(p, FW_EINVAL, "a backslash at the end");
            if (put_class(set, *p->at)) {
                p->at++;
                continue;
            }
            if ((from = escaped(*p->at++)) < 0)
                return fail(p, FW_EINVAL, "an escape that is not known");
        }
        int to = from;
        if (p->end - p->at >= 2 && *p->at == '-' && p->at[1] != ']') {
            to = (unsigned char)p->at[1];
            p->at += 2;
            if (to == '\\' && (p->at == p->end || (to = escaped(*p->at++)) < 0))
                return fail(p, FW_EINVAL, "an escape that is not known");
            if (to < from)
                return fail(p, FW_EINVAL, "a range the wrong way round");
        }
        set_range(set, (unsigned)from, (unsigned)to);
    }
    p->at++;
    if (inverted)
        invert(set);
    return node;
}

static int parse_alternatives(struct parser *p);

static int parse_group(struct parser *p)
{
    if (p->end - p->at >= 2 && p->at[0] == '?') {
        if (p->at[1] != ':')
            return fail(p, FW_EINVAL, "only groups like (...) and (?:...) are known");
        p->at += 2;
    }
    if (++p->depth > QUERY_REGEX_DEPTH_MAX)
        return fail(p, FW_ELIMIT, "too many groups in each other");
    const int inner = parse_alternatives(p);
    p->depth--;
    if (p->status == FW_OK && (p->at == p->end || *p->at != ')'))
        return fail(p, FW_EINVAL, "missing )");
    p->at++;
    return inner;
}

static int parse_atom(struct parser *p)
{
    const char c = *p->at++;
    if (c == '(')
        return parse_group(p);
    if (c == '[')
        return parse_class(p);
    if (c == '*' || c == '+' || c == '?' || c == '{') {
        p->at--;
        return fail(p, FW_EINVAL, "nothing to repeat");
    }
    if (c == '^' || c == '$')
        return new_node(p, EMPTY, 0, 0); /* anchored as it is */
    const int node = new_node(p, SET, 0, 0);
    unsigned char *set = p->nodes[node].set;
    if (c == '.') {
        memset(set, 0xff, 32);
        set['\n' / 8] = (unsigned char)(set['\n' / 8] & ~(1u << '\n' % 8));
        return node;
    }
    int byte = (unsigned char)c;
    if (c == '\\') {
        if (p->at == p->end)
            return fail(p, FW_EINVAL, "a backslash at the end");
        const char letter = *p->at++;
        if (put_class(set, letter))
            return node;
        if ((byte = escaped(letter)) < 0)
            return fail(p, FW_EINVAL, "an escape that is not known");
    }
    set_bit(set, (unsigned)byte);
    return node;
}

static bool get_count(struct parser *p, int *count)
{
    *count = 0;
    const char *begin = p->at;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9' && *count <= 1000; p->at++)
        *count = *count * 10 + (*p->at - '0');
    return p->at > begin && *count <= 1000;
}

/* {n}, {n,}, {n,m}: behind the brace. */
static bool get_bounds(struct parser *p, int *least, int *most)
{
    if (!get_count(p, least) || p->at == p->end)
        return false;
    *most = *least;
    if (*p->at == ',') {
        p->at++;
        *most = -1;
        if (p->at < p->end && *p->at != '}' && (!get_count(p, most) || *most < *least))
            return false;
    }
    return p->at < p->end && *p->at++ == '}';
}

static int parse_repeated(struct parser *p)
{
    const int node = parse_atom(p);
    int repeated = node;
    while (p->status == FW_OK && p->at < p->end && strchr("*+?{", *p->at) != NULL) {
        if (repeated != node)
            return fail(p, FW_EINVAL, "a repetition of a repetition");
        int least = *p->at == '+', most = *p->at == '?' ? 1 : -1;
        if (*p->at++ == '{' && !get_bounds(p, &least, &most))
            return fail(p, FW_EINVAL, "expected {n}, {n,} or {n,m}, up to 1000");
        if (p->at < p->end && *p->at == '?')
            p->at++; /* lazy: the same for a whole match */
        repeated = new_node(p, REPEAT, node, 0);
        p->nodes[repeated].least = least;
        p->nodes[repeated].most = most;
    }
    return repeated;
}

static int parse_sequence(struct parser *p)
{
    int node = new_node(p, EMPTY, 0, 0);
    while (p->status == FW_OK && p->at < p->end && *p->at != '|' && *p->at != ')') {
        const int next = parse_repeated(p);
        node = new_node(p, CONCAT, node, next);
    }
    return node;
}

static int parse_alternatives(struct parser *p)
{
    int node = parse_sequence(p);
    while (p->status == FW_OK && p->at < p->end && *p->at == '|') {
        p->at++;
        const int next = parse_sequence(p);
        node = new_node(p, ALTERNATE, node, next);
    }
    return node;
}

/* ---- nodes to states ---- */

struct builder {
    const struct node *nodes;
    struct query_regex *regex;
    bool full;
};

static int add_state(struct builder *b, const struct state *state)
{
    struct query_regex *r = b->regex;
    if (r->count == QUERY_REGEX_STATES_MAX) {
        b->full = true;
        return MATCH;
    }
    r->states[r->count] = *state;
    return r->count++;
}

static int split(struct builder *b, int out, int out2)
{
    const struct state state = {.splits = true, .out = out, .out2 = out2};
    return add_state(b, &state);
}

/* The state where a node begins whose end goes on to `out`. As deep as the tree: a sequence is a
 * chain to the left, which the loop follows. */
static int build(struct builder *b, int at, int out)
{
    for (; b->nodes[at].kind == CONCAT && !b->full; at = b->nodes[at].left)
        out = build(b, b->nodes[at].right, out);
    const struct node *node = &b->nodes[at];
    if (b->full || node->kind == EMPTY || node->kind == CONCAT)
        return out;
    if (node->kind == SET) {
        struct state state = {.out = out, .out2 = -1};
        memcpy(state.set, node->set, sizeof state.set);
        return add_state(b, &state);
    }
    if (node->kind == ALTERNATE) {
        /* A chain to the left as well: what is right of it begins here, the rest goes round. */
        int begin = -1;
        for (; b->nodes[at].kind == ALTERNATE && !b->full; at = b->nodes[at].left) {
            const int right = build(b, b->nodes[at].right, out);
            begin = begin < 0 ? right : split(b, right, begin);
        }
        return split(b, build(b, at, out), begin);
    }
    int begin = out;
    if (node->most < 0) {
        begin = split(b, out, -1); /* the loop: once more, or on */
        const int inner = build(b, node->left, begin);
        if (!b->full)
            b->regex->states[begin].out2 = inner;
    }
    for (int i = node->least; i < node->most && !b->full; i++)
        begin = split(b, build(b, node->left, begin), out);
    for (int i = 0; i < node->least && !b->full; i++) {
        const int inner = build(b, node->left, begin);
        if (inner == begin)
            break; /* of nothing, however often */
        begin = inner;
    }
    return begin;
}

enum fw_status query_regex_new(const char *pattern, size_t len, struct query_regex **out,
                               struct fw_error *err)
{
    enum { STATES = QUERY_REGEX_STATES_MAX };
    struct parser p = {
        .begin = pattern, .at = pattern, .end = pattern + len, .err = err, .status = FW_OK};
    *out = NULL;
    if (len > QUERY_REGEX_BYTES_MAX)
        return fw_fail(err, FW_ELIMIT, "a regular expression has more than %d bytes",
                       QUERY_REGEX_BYTES_MAX);
    struct query_regex *regex = fw_calloc(1, sizeof *regex);
    p.nodes = fw_malloc(STATES * sizeof *p.nodes);
    if (regex != NULL) {
        regex->states = fw_malloc(STATES * sizeof *regex->states);
        regex->current = fw_malloc(3 * STATES * sizeof *regex->current);
        regex->seen = fw_calloc(STATES, sizeof *regex->seen);
    }
    if (regex == NULL || p.nodes == NULL || regex->states == NULL || regex->current == NULL ||
        regex->seen == NULL) {
        p.status = fw_fail(err, FW_ENOMEM, "out of memory");
        goto out;
    }
    regex->next = regex->current + STATES;
    regex->stack = regex->next + STATES;
    const int root = parse_alternatives(&p);
    if (p.status == FW_OK && p.at < p.end)
        fail(&p, FW_EINVAL, "a ) too many");
    if (p.status != FW_OK)
        goto out;
    struct builder b = {.nodes = p.nodes, .regex = regex};
    regex->states[MATCH] = (struct state){.out = -1, .out2 = -1};
    regex->count = 1;
    regex->start = build(&b, root, MATCH);
    if (b.full) {
        p.status = fw_fail(err, FW_ELIMIT, "a regular expression has more than %d states", STATES);
        goto out;
    }
    *out = regex;
    regex = NULL;
out:
    fw_free(p.nodes);
    query_regex_free(regex);
    return p.status;
}

void query_regex_free(struct query_regex *regex)
{
    if (regex == NULL)
        return;
    fw_free(regex->states);
    fw_free(regex->current); /* with next and stack */
    fw_free(regex->seen);
    fw_free(regex);
}

/* Adds a state and all that it splits into. */
static int add(struct query_regex *r, int *list, int count, int state)
{
    int depth = 0;
    r->stack[depth++] = state;
    r->seen[state] = r->round;
    while (depth > 0) {
        const struct state *s = &r->states[r->stack[--depth]];
        if (!s->splits) {
            list[count++] = (int)(s - r->states);
            continue;
        }
        const int outs[2] = {s->out, s->out2};
        for (int i = 0; i < 2; i++) {
            if (outs[i] < 0 || r->seen[outs[i]] == r->round)
                continue;
            r->seen[outs[i]] = r->round; /* so each is on the stack at most once */
            r->stack[depth++] = outs[i];
        }
    }
    return count;
}

static void next_round(struct query_regex *r)
{
    if (++r->round == 0) {
        memset(r->seen, 0, QUERY_REGEX_STATES_MAX * sizeof *r->seen);
        r->round = 1;
    }
}

bool query_regex_match(struct query_regex *r, const char *text, size_t len)
{
    int *current = r->current, *next = r->next;
    next_round(r);
    int count = add(r, current, 0, r->start);
    for (size_t i = 0; i < len && count > 0; i++) {
        const unsigned char byte = (unsigned char)text[i];
        int more = 0;
        next_round(r);
        for (int k = 0; k < count; k++) {
            const struct state *s = &r->states[current[k]];
            if (current[k] != MATCH && (s->set[byte / 8] >> byte % 8 & 1) &&
                r->seen[s->out] != r->round)
                more = add(r, next, more, s->out);
        }
        int *swap = current;
        current = next;
        next = swap;
        count = more;
    }
    for (int k = 0; k < count; k++)
        if (current[k] == MATCH)
            return true;
    return false;
}
