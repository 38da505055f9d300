#include "outlook/past.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ORIGINS_MAX = 8640, LATE_MAX = 3 /* origins that a run may still add to */ };

static const unsigned leads[OUTLOOK_PAST_LEADS] = {1, 6, 12, FORECAST_HORIZON};

struct past_path {
    uint16_t metric;
    float values[OUTLOOK_PAST_LEADS][OUTLOOK_PAST_QUANTILES];
};

struct past_server {
    uint64_t key; /* keyed hash of the name */
    uint32_t first, count;
    float score;
};

/* Everything forecast from one origin. Immutable; replaced as a whole. */
struct past_origin {
    int64_t step;
    size_t bytes, server_count, path_count;
    struct past_server *servers; /* ascending by key */
    struct past_path *paths;
};

struct outlook_past {
    pthread_rwlock_t lock;
    size_t bytes, bytes_max, count;
    _Atomic uint32_t step_s;
    _Atomic uint64_t failures;
    struct past_origin *origins[ORIGINS_MAX]; /* ascending by step */
};

struct outlook_past *outlook_past_new(size_t bytes_max)
{
    struct outlook_past *past = fw_calloc(1, sizeof *past);
    if (past == NULL)
        return NULL;
    pthread_rwlock_init(&past->lock, NULL);
    past->bytes_max = bytes_max;
    return past;
}

void outlook_past_free(struct outlook_past *past)
{
    if (past == NULL)
        return;
    for (size_t i = 0; i < past->count; i++)
        fw_free(past->origins[i]);
    pthread_rwlock_destroy(&past->lock);
    fw_free(past);
}

unsigned outlook_past_lead(size_t index)
{
    assert(index < OUTLOOK_PAST_LEADS);
    return leads[index];
}

/* ---- taking ---- */

struct entry {
    uint64_t key;
    const struct forecast *forecast;
    float score;
};

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static int64_t origin_of(const struct forecast *forecast, uint32_t step_s)
{
    return forecast->origin_ms / ((int64_t)step_s * 1000);
}

static struct past_origin *new_origin(int64_t step, size_t servers, size_t paths)
{
    struct past_origin *origin = NULL;
    const size_t bytes =
        sizeof *origin + servers * sizeof *origin->servers + paths * sizeof *origin->paths;
    origin = fw_malloc(bytes);
    if (origin == NULL)
        return NULL;
    *origin = (struct past_origin){.step = step, .bytes = bytes};
    origin->servers = (struct past_server *)(origin + 1);
    origin->paths = (struct past_path *)(origin->servers + servers);
    return origin;
}

static void add_forecast(struct past_origin *origin, const struct entry *entry)
{
    const struct forecast *f = entry->forecast;
    origin->servers[origin->server_count++] = (struct past_server){
        entry->key, (uint32_t)origin->path_count, (uint32_t)f->path_count, entry->score};
    for (size_t i = 0; i < f->path_count; i++) {
        struct past_path *to = &origin->paths[origin->path_count++];
        to->metric = f->paths[i].metric;
        for (size_t k = 0; k < OUTLOOK_PAST_LEADS; k++) {
            to->values[k][0] = f->paths[i].p10[leads[k] - 1];
            to->values[k][1] = f->paths[i].p50[leads[k] - 1];
            to->values[k][2] = f->paths[i].p90[leads[k] - 1];
        }
    }
}

static void add_kept(struct past_origin *origin, const struct past_origin *old, size_t i)
{
    struct past_server server = old->servers[i];
    memcpy(origin->paths + origin->path_count, old->paths + server.first,
           server.count * sizeof *origin->paths);
    server.first = (uint32_t)origin->path_count;
    origin->path_count += server.count;
    origin->servers[origin->server_count++] = server;
}

/* What was known of an origin with what is known now; both are ascending. */
static struct past_origin *merge(int64_t step, const struct past_origin *old,
                                 const struct entry *entries, size_t n)
{
    size_t servers = n, paths = 0, k = 0;
    for (size_t i = 0; i < n; i++)
        paths += entries[i].forecast->path_count;
    if (old != NULL) {
        servers += old->server_count;
        paths += old->path_count;
    }
    struct past_origin *origin = new_origin(step, servers, paths);
    if (origin == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        for (; old != NULL && k < old->server_count && old->servers[k].key < entries[i].key; k++)
            add_kept(origin, old, k);
        if (old != NULL && k < old->server_count && old->servers[k].key == entries[i].key)
            k++;
        add_forecast(origin, &entries[i]);
    }
    for (; old != NULL && k < old->server_count; k++)
        add_kept(origin, old, k);
    return origin;
}

/* The place of a step, or where it belongs. */
static size_t place_of(const struct outlook_past *past, int64_t step)
{
    size_t low = 0, high = past->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (past->origins[middle]->step < step)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void drop_oldest(struct outlook_past *past)
{
    past->bytes -= past->origins[0]->bytes;
    fw_free(past->origins[0]);
    memmove(&past->origins[0], &past->origins[1], --past->count * sizeof past->origins[0]);
}

static void put(struct outlook_past *past, struct past_origin *origin)
{
    pthread_rwlock_wrlock(&past->lock);
    if (past->count == ORIGINS_MAX)
        drop_oldest(past);
    const size_t at = place_of(past, origin->step);
    if (at < past->count && past->origins[at]->step == origin->step) {
        past->bytes -= past->origins[at]->bytes;
        fw_free(past->origins[at]);
    } else {
        memmove(&past->origins[at + 1], &past->origins[at],
                (past->count - at) * sizeof past->origins[0]);
        past->count++;
    }
    past->origins[at] = origin;
    past->bytes += origin->bytes;
    while (past->bytes > past->bytes_max && past->count > 0)
        drop_oldest(past);
    pthread_rwlock_unlock(&past->lock);
}

/* Only the publisher changes the list, so it may look without the lock. */
static void take_origin(struct outlook_past *past, const struct outlook *outlook, int64_t step,
                        struct entry *entries)
{
    const struct forecast_set *set = outlook->set;
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct forecast *f = set->items[i];
        if (origin_of(f, outlook->step_s) == step && f->path_count > 0)
            entries[n++] =
                (struct entry){fw_hash_keyed(f->name, strlen(f->name)), f, outlook->risks[i].score};
    }
    if (n == 0)
        return;
    qsort(entries, n, sizeof *entries, by_key);
    const size_t at = place_of(past, step);
    const bool known = at < past->count && past->origins[at]->step == step;
    struct past_origin *origin = merge(step, known ? past->origins[at] : NULL, entries, n);
    if (origin != NULL)
        put(past, origin);
    else
        past->failures++;
}

void outlook_past_take(void *ctx, const struct outlook *outlook)
{
    struct outlook_past *past = ctx;
    int64_t newest = -1;
    for (size_t i = 0; i < outlook->set->count; i++) {
        const int64_t step = origin_of(outlook->set->items[i], outlook->step_s);
        newest = step > newest ? step : newest;
    }
    if (newest < 0)
        return;
    struct entry *entries = fw_malloc(outlook->set->count * sizeof *entries);
    past->step_s = outlook->step_s;
    if (entries == NULL)
        past->failures++;
    for (int64_t back = 0; back < LATE_MAX && entries != NULL; back++)
        take_origin(past, outlook, newest - back, entries);
    fw_free(entries);
}

/* ---- reading ---- */

static const struct past_server *find_server(const struct past_origin *origin, uint64_t key)
{
    size_t low = 0, high = origin->server_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (origin->servers[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < origin->server_count && origin->servers[low].key == key ? &origin->servers[low]
                                                                         : NULL;
}

static const struct past_path *find_path(const struct past_origin *origin, uint64_t key, int metric)
{
    const struct past_server *server = find_server(origin, key);
    for (size_t i = 0; server != NULL && i < server->count; i++)
        if (origin->paths[server->first + i].metric == metric)
            return &origin->paths[server->first + i];
    return NULL;
}

void outlook_past_read(struct outlook_past *past, const char *server, int metric, size_t lead,
                       size_t quantile, int64_t first, size_t n, float *out)
{
    const uint64_t key = fw_hash_keyed(server, strlen(server));
    const int64_t ahead = (int64_t)leads[lead] - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = NAN;
    pthread_rwlock_rdlock(&past->lock);
    for (size_t at = place_of(past, first - ahead); at < past->count; at++) {
        const struct past_origin *origin = past->origins[at];
        const int64_t i = origin->step + ahead - first;
        if (i >= (int64_t)n)
            break;
        const struct past_path *path = find_path(origin, key, metric);
        if (path != NULL)
            out[i] = path->values[lead][quantile];
    }
    pthread_rwlock_unlock(&past->lock);
}

void outlook_past_risk(struct outlook_past *past, const char *server, int64_t first, size_t n,
                       float *out)
{
    const uint64_t key = fw_hash_keyed(server, strlen(server));
    for (size_t i = 0; i < n; i++)
        out[i] = NAN;
    pthread_rwlock_rdlock(&past->lock);
    for (size_t at = place_of(past, first); at < past->count; at++) {
        const int64_t i = past->origins[at]->step - first;
        if (i >= (int64_t)n)
            break;
        const struct past_server *found = find_server(past->origins[at], key);
        if (found != NULL)
            out[i] = found->score;
    }
    pthread_rwlock_unlock(&past->lock);
}

void outlook_past_counts(struct outlook_past *past, struct outlook_past_counts *counts)
{
    pthread_rwlock_rdlock(&past->lock);
    *counts = (struct outlook_past_counts){
        .bytes = past->bytes,
        .bytes_max = past->bytes_max,
        .steps = past->count,
        .oldest_s = past->count > 0 ? past->origins[0]->step * (int64_t)past->step_s : -1,
        .failures = past->failures,
    };
    pthread_rwlock_unlock(&past->lock);
}
