#include "query/query_internal.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- selectors ---- */

static bool fits(const struct query_matcher *m, const char *value)
{
    switch (m->match) {
    case QUERY_EQUAL:
        return strcmp(value, m->value) == 0;
    case QUERY_NOT_EQUAL:
        return strcmp(value, m->value) != 0;
    case QUERY_FITS:
        return query_regex_match(m->regex, value, strlen(value));
    case QUERY_FITS_NOT:
        return !query_regex_match(m->regex, value, strlen(value));
    }
    return false;
}

bool query_selector_fits(const struct query_selector *selector, const char *label,
                         const char *value)
{
    for (size_t i = 0; i < selector->count; i++)
        if (strcmp(selector->matchers[i].label, label) == 0 && !fits(&selector->matchers[i], value))
            return false;
    return true;
}

bool query_selector_fits_rest(const struct query_selector *selector, const char *const *known,
                              size_t n)
{
    for (size_t i = 0; i < selector->count; i++) {
        size_t k = 0;
        while (k < n && strcmp(known[k], selector->matchers[i].label) != 0)
            k++;
        if (k == n && !fits(&selector->matchers[i], ""))
            return false;
    }
    return true;
}

/* ---- sets ---- */

enum { CHUNK_BYTES = 256 << 10 };
struct query_chunk {
    struct query_chunk *next;
    size_t used, size;
    max_align_t bytes[];
};

static void *take(struct query_set *set, size_t size)
{
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (set->chunks == NULL || set->chunks->size - set->chunks->used < size) {
        const size_t wanted = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        if (set->bytes + wanted > set->bytes_max)
            return NULL;
        struct query_chunk *chunk = fw_malloc(sizeof *chunk + wanted);
        if (chunk == NULL)
            return NULL;
        chunk->next = set->chunks;
        chunk->used = 0;
        chunk->size = wanted;
        set->chunks = chunk;
        set->bytes += wanted;
    }
    void *memory = (char *)set->chunks->bytes + set->chunks->used;
    set->chunks->used += size;
    return memory;
}

void query_set_fini(struct query_set *set)
{
    while (set->chunks != NULL) {
        struct query_chunk *next = set->chunks->next;
        fw_free(set->chunks);
        set->chunks = next;
    }
    fw_free(set->series);
    set->series = NULL;
    set->count = set->cap = set->bytes = 0;
}

static struct query_series *new_series(struct query_set *set)
{
    if (set->count == set->cap) {
        const size_t cap = set->cap == 0 ? 64 : set->cap * 2;
        const size_t more_bytes = (cap - set->cap) * sizeof *set->series;
        if (set->bytes + more_bytes > set->bytes_max)
            return NULL;
        void *more = fw_realloc_array(set->series, cap, sizeof *set->series);
        if (more == NULL)
            return NULL;
        set->series = more;
        set->cap = cap;
        set->bytes += more_bytes;
    }
    return &set->series[set->count];
}

double *query_set_add(struct query_set *set, const struct query_label *labels, size_t n)
{
    assert(n <= QUERY_LABELS_MAX);
    struct query_series *series = new_series(set);
    double *values = series != NULL ? take(set, set->times.points * sizeof *values) : NULL;
    if (values == NULL)
        return NULL;
    *series = (struct query_series){.values = values};
    for (size_t i = 0; i < n; i++) {
        const size_t size = strlen(labels[i].value) + 1;
        char *value = take(set, size);
        if (value == NULL)
            return NULL;
        memcpy(value, labels[i].value, size);
        size_t at = series->label_count++;
        for (; at > 0 && strcmp(series->labels[at - 1].name, labels[i].name) > 0; at--)
            series->labels[at] = series->labels[at - 1];
        series->labels[at] = (struct query_label){labels[i].name, value};
    }
    for (size_t i = 0; i < set->times.points; i++)
        values[i] = (double)NAN;
    set->count++;
    return values;
}

const char *query_series_label(const struct query_series *series, const char *name)
{
    for (size_t i = 0; i < series->label_count; i++)
        if (strcmp(series->labels[i].name, name) == 0)
            return series->labels[i].value;
    return "";
}

/* ---- evaluation ---- */

struct run {
    const struct query *query;
    const struct query_source *source;
    struct query_times times;
    size_t bytes_max;
    struct fw_error *err;
};

static enum fw_status too_much(const struct run *run)
{
    return fw_fail(run->err, FW_ELIMIT,
                   "the result needs more than %zu MiB; ask for fewer series or fewer points",
                   run->bytes_max >> 20);
}

static struct query_set empty_set(const struct run *run)
{
    return (struct query_set){.times = run->times, .bytes_max = run->bytes_max};
}

static double operate(char op, double a, double b)
{
    switch (op) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    default:
        return a / b;
    }
}

/* The result of an operation is no longer what its name says. */
static void drop_name(struct query_series *series)
{
    for (size_t i = 0; i < series->label_count; i++) {
        if (strcmp(series->labels[i].name, "__name__") != 0)
            continue;
        memmove(&series->labels[i], &series->labels[i + 1],
                (series->label_count - i - 1) * sizeof series->labels[0]);
        series->label_count--;
        return;
    }
}

static enum fw_status run_node(const struct run *run, int at, struct query_set *out);

static enum fw_status run_number(const struct run *run, double number, struct query_set *out)
{
    double *values = query_set_add(out, NULL, 0);
    if (values == NULL)
        return too_much(run);
    for (size_t i = 0; i < run->times.points; i++)
        values[i] = number;
    out->scalar = true;
    return FW_OK;
}

static enum fw_status run_select(const struct run *run, const struct query_selector *selector,
                                 struct query_set *out)
{
    struct query_times times = run->times;
    times.start_ms -= selector->offset_ms;
    return run->source->select(run->source->ctx, selector, &times, out, run->err);
}

static enum fw_status run_negate(const struct run *run, const struct query_node *node,
                                 struct query_set *out)
{
    const enum fw_status status = run_node(run, node->left, out);
    for (size_t i = 0; i < out->count; i++) {
        drop_name(&out->series[i]);
        for (size_t t = 0; t < run->times.points; t++)
            out->series[i].values[t] = -out->series[i].values[t];
    }
    return status;
}

static enum fw_status run_operate(const struct run *run, const struct query_node *node,
                                  struct query_set *out)
{
    const bool number_left = run->query->nodes[node->left].scalar;
    struct query_set number = empty_set(run);
    enum fw_status status = run_node(run, number_left ? node->right : node->left, out);
    if (status == FW_OK)
        status = run_node(run, number_left ? node->left : node->right, &number);
    for (size_t i = 0; i < out->count && status == FW_OK; i++) {
        double *values = out->series[i].values;
        const double *n = number.series[0].values;
        drop_name(&out->series[i]);
        for (size_t t = 0; t < run->times.points; t++)
            values[t] = number_left ? operate(node->op, n[t], values[t])
                                    : operate(node->op, values[t], n[t]);
    }
    query_set_fini(&number);
    return status;
}

/* ---- aggregation ---- */

struct groups {
    size_t *table; /* open addressing: place in the set + 1 */
    size_t size;
    uint32_t *counts; /* (groups, points) */
};

static bool same_group(const struct query_series *a, const struct query_series *b,
                       const struct query_node *node)
{
    for (size_t i = 0; i < node->by_count; i++)
        if (strcmp(query_series_label(a, node->by[i]), query_series_label(b, node->by[i])) != 0)
            return false;
    return true;
}

static uint64_t group_hash(const struct query_series *series, const struct query_node *node)
{
    uint64_t hashes[QUERY_LABELS_MAX] = {0};
    for (size_t i = 0; i < node->by_count; i++) {
        const char *value = query_series_label(series, node->by[i]);
        hashes[i] = fw_hash_keyed(value, strlen(value));
    }
    return fw_hash_keyed(hashes, sizeof hashes);
}

/* The group of a series, made when it is new; false: no memory. */
static bool find_group(struct groups *g, const struct query_series *series,
                       const struct query_node *node, struct query_set *out, size_t *index)
{
    size_t at = (size_t)group_hash(series, node) % g->size;
    for (; g->table[at] != 0; at = (at + 1) % g->size) {
        *index = g->table[at] - 1;
        if (same_group(series, &out->series[*index], node))
            return true;
    }
    struct query_label labels[QUERY_LABELS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < node->by_count; i++) {
        const char *value = query_series_label(series, node->by[i]);
        bool twice = *value == '\0'; /* an empty label is none */
        for (size_t k = 0; k < i; k++)
            twice = twice || strcmp(node->by[k], node->by[i]) == 0;
        if (!twice)
            labels[n++] = (struct query_label){node->by[i], value};
    }
    *index = out->count;
    g->table[at] = out->count + 1;
    return query_set_add(out, labels, n) != NULL;
}

static void add_value(enum query_aggregate aggregate, double value, double *sum, uint32_t *count)
{
    if (isnan(value))
        return;
    if (*count == 0)
        *sum = aggregate == QUERY_COUNT ? 1 : value;
    else if (aggregate == QUERY_MIN)
        *sum = fmin(*sum, value);
    else if (aggregate == QUERY_MAX)
        *sum = fmax(*sum, value);
    else
        *sum += aggregate == QUERY_COUNT ? 1 : value;
    ++*count;
}

static enum fw_status aggregate(const struct run *run, const struct query_node *node,
                                const struct query_set *inner, struct query_set *out)
{
    const size_t points = run->times.points;
    struct groups g = {.size = 2 * inner->count + 1};
    enum fw_status status = FW_OK;
    if (inner->count * points * sizeof *g.counts > run->bytes_max)
        return too_much(run);
    g.table = fw_calloc(g.size, sizeof *g.table);
    g.counts = fw_calloc(inner->count * points + 1, sizeof *g.counts);
    if (g.table == NULL || g.counts == NULL)
        status = fw_fail(run->err, FW_ENOMEM, "out of memory");
    for (size_t i = 0; i < inner->count && status == FW_OK; i++) {
        size_t index;
        if (!find_group(&g, &inner->series[i], node, out, &index)) {
            status = too_much(run);
            break;
        }
        for (size_t t = 0; t < points; t++)
            add_value(node->aggregate, inner->series[i].values[t], &out->series[index].values[t],
                      &g.counts[index * points + t]);
    }
    for (size_t i = 0; i < out->count && status == FW_OK && node->aggregate == QUERY_AVG; i++)
        for (size_t t = 0; t < points; t++)
            out->series[i].values[t] /= g.counts[i * points + t]; /* NaN stays */
    fw_free(g.table);
    fw_free(g.counts);
    return status;
}

static enum fw_status run_aggregate(const struct run *run, const struct query_node *node,
                                    struct query_set *out)
{
    struct query_set inner = empty_set(run);
    enum fw_status status = run_node(run, node->left, &inner);
    if (status == FW_OK)
        status = aggregate(run, node, &inner, out);
    query_set_fini(&inner);
    return status;
}

struct ranked {
    double value;
    size_t index;
};

static int by_value(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static enum fw_status run_topk(const struct run *run, const struct query_node *node,
                               struct query_set *out)
{
    enum fw_status status = run_node(run, node->left, out);
    if (status != FW_OK || out->count == 0)
        return status;
    struct ranked *ranked = fw_malloc(out->count * sizeof *ranked);
    if (ranked == NULL)
        return fw_fail(run->err, FW_ENOMEM, "out of memory");
    for (size_t t = 0; t < run->times.points; t++) {
        size_t n = 0;
        for (size_t i = 0; i < out->count; i++)
            if (!isnan(out->series[i].values[t]))
                ranked[n++] = (struct ranked){out->series[i].values[t], i};
        if ((double)n <= node->number)
            continue;
        qsort(ranked, n, sizeof *ranked, by_value);
        for (size_t k = (size_t)node->number; k < n; k++)
            out->series[ranked[k].index].values[t] = (double)NAN;
    }
    fw_free(ranked);
    return FW_OK;
}

static enum fw_status run_node(const struct run *run, int at, struct query_set *out)
{
    const struct query_node *node = &run->query->nodes[at];
    switch (node->kind) {
    case QUERY_NUMBER:
        return run_number(run, node->number, out);
    case QUERY_SELECT:
        return run_select(run, node->selector, out);
    case QUERY_NEGATE:
        return run_negate(run, node, out);
    case QUERY_OPERATE:
        return run_operate(run, node, out);
    case QUERY_AGGREGATE:
        return run_aggregate(run, node, out);
    case QUERY_TOPK:
        return run_topk(run, node, out);
    }
    return FW_OK;
}

enum fw_status query_run(const struct query *query, const struct query_source *source,
                         struct query_set *set, struct fw_error *err)
{
    const struct run run = {query, source, set->times, set->bytes_max, err};
    return run_node(&run, query->root, set);
}
