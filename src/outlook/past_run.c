#include "outlook/past_internal.h"

#include "base/alloc.h"
#include "base/half.h"
#include "base/hash.h"

#include <math.h>
#include <string.h>

enum { FAR_BITS = 15 }; /* the farthest point comes near the largest half */

uint64_t past_key(const char *server)
{
    return fw_hash_keyed(server, strlen(server));
}

/* ---- making ---- */

size_t past_run_bytes(size_t servers, size_t paths, size_t points)
{
    return sizeof(struct past_run) + servers * sizeof(struct past_server) +
           paths * (sizeof(struct past_path) + points * OUTLOOK_PAST_QUANTILES * sizeof(uint16_t));
}

static struct past_run *allocate(size_t servers, size_t paths, size_t points)
{
    const size_t bytes = past_run_bytes(servers, paths, points);
    struct past_run *run = fw_malloc(bytes);
    if (run == NULL)
        return NULL;
    *run = (struct past_run){.bytes = bytes, .point_count = points};
    run->servers = (struct past_server *)(run + 1);
    run->paths = (struct past_path *)(run->servers + servers);
    run->values = (uint16_t *)(run->paths + paths);
    return run;
}

struct past_run *past_run_blank(size_t servers, size_t paths, size_t points)
{
    return allocate(servers, paths, points);
}

static uint16_t *values_of(const struct past_run *run, size_t path)
{
    return run->values + path * run->point_count * OUTLOOK_PAST_QUANTILES;
}

static void add_path(struct past_run *run, const struct past_points *points,
                     const struct forecast_path *path)
{
    const float *const quantiles[OUTLOOK_PAST_QUANTILES] = {path->p10, path->p50, path->p90};
    const float anchor = path->p50[points->at[0]];
    uint16_t *values = values_of(run, run->path_count);
    float farthest = 0.0f;
    int exponent = 0;
    for (size_t i = 0; i < points->count; i++)
        farthest = fmaxf(
            farthest, fmaxf(anchor - path->p10[points->at[i]], path->p90[points->at[i]] - anchor));
    (void)frexpf(farthest, &exponent);
    exponent -= FAR_BITS;
    for (size_t i = 0; i < points->count; i++)
        for (size_t q = 0; q < OUTLOOK_PAST_QUANTILES; q++)
            *values++ = fw_half_from(ldexpf(quantiles[q][points->at[i]] - anchor, -exponent));
    run->paths[run->path_count++] = (struct past_path){anchor, (int16_t)exponent, path->metric};
}

static void add_entry(struct past_run *run, const struct past_points *points,
                      const struct past_entry *entry)
{
    const struct forecast *forecast = entry->forecast;
    run->servers[run->server_count++] = (struct past_server){
        .key = entry->key,
        .first = (uint32_t)run->path_count,
        .count = (uint32_t)forecast->path_count,
        .late = (uint32_t)(run->step - entry->origin),
        .score = entry->score,
    };
    for (size_t i = 0; i < forecast->path_count; i++)
        add_path(run, points, &forecast->paths[i]);
}

static void add_kept(struct past_run *run, const struct past_run *old, size_t i)
{
    struct past_server server = old->servers[i];
    const size_t numbers = server.count * old->point_count * OUTLOOK_PAST_QUANTILES;
    memcpy(run->paths + run->path_count, old->paths + server.first,
           server.count * sizeof *run->paths);
    memcpy(values_of(run, run->path_count), values_of(old, server.first),
           numbers * sizeof *run->values);
    server.first = (uint32_t)run->path_count;
    run->path_count += server.count;
    run->servers[run->server_count++] = server;
}

/* The next server of the old run, from k on, that comes before `key` and is none of the new ones.
 */
static bool next_kept(const struct past_run *old, size_t *k, const struct past_entry *entry)
{
    if (old == NULL || *k == old->server_count)
        return false;
    if (entry == NULL || old->servers[*k].key < entry->key)
        return true;
    *k += old->servers[*k].key == entry->key;
    return false;
}

/* Walks the old and the new servers in order; adds them to `run`, or only counts when that is NULL.
 */
static void walk(struct past_run *run, const struct past_points *points, const struct past_run *old,
                 const struct past_entry *entries, size_t n, size_t *servers, size_t *paths)
{
    size_t k = 0;
    *servers = *paths = 0;
    for (size_t i = 0; i <= n; i++) {
        const struct past_entry *entry = i < n ? &entries[i] : NULL;
        for (; next_kept(old, &k, entry); k++) {
            *servers += 1;
            *paths += old->servers[k].count;
            if (run != NULL)
                add_kept(run, old, k);
        }
        if (entry == NULL)
            break;
        *servers += 1;
        *paths += entry->forecast->path_count;
        if (run != NULL)
            add_entry(run, points, entry);
    }
}

struct past_run *past_run_new(const struct outlook *outlook, int64_t step,
                              const struct past_points *points, const struct past_run *old,
                              const struct past_entry *entries, size_t n)
{
    size_t servers, paths;
    walk(NULL, points, old, entries, n, &servers, &paths);
    struct past_run *run = allocate(servers, paths, points->count);
    if (run == NULL)
        return NULL;
    run->step = step;
    run->made_ms = outlook->made_ms;
    run->step_s = outlook->step_s;
    walk(run, points, old, entries, n, &servers, &paths);
    return run;
}

/* ---- reading ---- */

const struct past_server *past_run_server(const struct past_run *run, uint64_t key)
{
    size_t low = 0, high = run->server_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (run->servers[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < run->server_count && run->servers[low].key == key ? &run->servers[low] : NULL;
}

bool past_run_path(const struct past_run *run, const struct past_server *server, int metric,
                   size_t *path)
{
    for (size_t i = 0; server != NULL && i < server->count; i++)
        if (run->paths[server->first + i].metric == metric) {
            *path = server->first + i;
            return true;
        }
    return false;
}

float past_run_value(const struct past_run *run, size_t path, size_t point, size_t quantile)
{
    const uint16_t half = values_of(run, path)[point * OUTLOOK_PAST_QUANTILES + quantile];
    return run->paths[path].anchor + ldexpf(fw_half_to(half), run->paths[path].exponent);
}
