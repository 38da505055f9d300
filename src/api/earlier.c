#include "api/earlier.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { QUANTILES = 3, FINEST = UINT16_MAX };

struct kept_path {
    uint16_t metric;
    float low, unit; /* value = low + unit * number */
    uint16_t numbers[QUANTILES][API_EARLIER_POINTS];
};

struct kept_server {
    uint64_t name; /* keyed hash */
    int64_t origin_ms;
    uint32_t first, count; /* in run->paths */
};

struct run {
    int64_t made_ms;
    uint32_t step_s;
    size_t server_count, bytes;
    struct kept_server *servers; /* ascending by name */
    struct kept_path *paths;
};

struct api_earlier {
    pthread_mutex_t lock;
    struct run *runs[API_EARLIER_RUNS]; /* newest first; NULL behind the last */
    int64_t kept_ms;
};

enum fw_status api_earlier_new(struct api_earlier **out, struct fw_error *err)
{
    *out = fw_calloc(1, sizeof **out);
    if (*out == NULL)
        return fw_fail(err, FW_ENOMEM, "earlier forecasts");
    pthread_mutex_init(&(*out)->lock, NULL);
    return FW_OK;
}

static void run_free(struct run *run)
{
    if (run == NULL)
        return;
    fw_free(run->servers);
    fw_free(run->paths);
    fw_free(run);
}

void api_earlier_free(struct api_earlier *earlier)
{
    if (earlier == NULL)
        return;
    for (int i = 0; i < API_EARLIER_RUNS; i++)
        run_free(earlier->runs[i]);
    pthread_mutex_destroy(&earlier->lock);
    fw_free(earlier);
}

static uint64_t name_hash(const char *name)
{
    return fw_hash_keyed(name, strlen(name));
}

/* ---- keeping ---- */

static void keep_path(struct kept_path *kept, const struct forecast_path *path)
{
    const float *const quantiles[QUANTILES] = {path->p10, path->p50, path->p90};
    float low = INFINITY, high = -INFINITY;
    for (unsigned i = 0; i < API_EARLIER_POINTS; i++) {
        low = fminf(low, path->p10[api_earlier_step(i)]);
        high = fmaxf(high, path->p90[api_earlier_step(i)]);
    }
    *kept = (struct kept_path){.metric = path->metric, .low = low, .unit = (high - low) / FINEST};
    for (int q = 0; q < QUANTILES && kept->unit > 0.0f; q++)
        for (unsigned i = 0; i < API_EARLIER_POINTS; i++) {
            const float value = quantiles[q][api_earlier_step(i)];
            kept->numbers[q][i] =
                (uint16_t)lrintf(fminf((value - low) / kept->unit, (float)FINEST));
        }
}

static int by_name(const void *a, const void *b)
{
    const struct kept_server *x = a, *y = b;
    return (x->name > y->name) - (x->name < y->name);
}

static struct run *run_new(const struct forecast_set *set)
{
    size_t paths = 0;
    for (size_t i = 0; i < set->count; i++)
        paths += set->items[i]->path_count;
    const size_t bytes = set->count * sizeof(struct kept_server) + paths * sizeof(struct kept_path);
    if (bytes > API_EARLIER_BYTES_MAX)
        return NULL;
    struct run *run = fw_calloc(1, sizeof *run);
    if (run == NULL)
        return NULL;
    run->servers = fw_calloc(set->count + 1, sizeof *run->servers);
    run->paths = fw_calloc(paths + 1, sizeof *run->paths);
    run->server_count = set->count;
    run->bytes = bytes;
    if (run->servers != NULL && run->paths != NULL)
        return run;
    run_free(run);
    return NULL;
}

static struct run *run_of(const struct outlook *outlook)
{
    const struct forecast_set *set = outlook->set;
    struct run *run = run_new(set);
    if (run == NULL)
        return NULL;
    run->made_ms = outlook->made_ms;
    run->step_s = outlook->step_s;
    uint32_t at = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct forecast *forecast = set->items[i];
        run->servers[i] = (struct kept_server){name_hash(forecast->name), forecast->origin_ms, at,
                                               (uint32_t)forecast->path_count};
        for (size_t k = 0; k < forecast->path_count; k++)
            keep_path(&run->paths[at++], &forecast->paths[k]);
    }
    qsort(run->servers, run->server_count, sizeof *run->servers, by_name);
    return run;
}

void api_earlier_offer(struct api_earlier *earlier, const struct outlook *outlook)
{
    const int64_t every_ms =
        (int64_t)outlook->step_s * 1000 * (FORECAST_HORIZON / API_EARLIER_RUNS);
    const bool due = earlier->kept_ms == 0 || outlook->made_ms - earlier->kept_ms >= every_ms ||
                     outlook->made_ms < earlier->kept_ms; /* the clock was set back */
    if (!due || outlook->set->count == 0)
        return;
    struct run *run = run_of(outlook);
    if (run == NULL)
        return;
    earlier->kept_ms = outlook->made_ms;
    pthread_mutex_lock(&earlier->lock);
    struct run *old = earlier->runs[API_EARLIER_RUNS - 1];
    memmove(&earlier->runs[1], &earlier->runs[0], sizeof earlier->runs - sizeof earlier->runs[0]);
    earlier->runs[0] = run;
    pthread_mutex_unlock(&earlier->lock);
    run_free(old);
}

/* ---- reading ---- */

static const struct kept_path *find(const struct run *run, uint64_t name, uint16_t metric,
                                    int64_t *origin_ms)
{
    const struct kept_server wanted = {.name = name};
    const struct kept_server *server =
        bsearch(&wanted, run->servers, run->server_count, sizeof wanted, by_name);
    for (uint32_t i = 0; server != NULL && i < server->count; i++)
        if (run->paths[server->first + i].metric == metric) {
            *origin_ms = server->origin_ms;
            return &run->paths[server->first + i];
        }
    return NULL;
}

static void expand(const struct run *run, const struct kept_path *kept,
                   struct api_earlier_path *out)
{
    float *const quantiles[QUANTILES] = {out->p10, out->p50, out->p90};
    out->made_ms = run->made_ms;
    out->step_s = run->step_s;
    for (int q = 0; q < QUANTILES; q++)
        for (int i = 0; i < API_EARLIER_POINTS; i++)
            quantiles[q][i] = kept->low + kept->unit * (float)kept->numbers[q][i];
}

size_t api_earlier_read(struct api_earlier *earlier, const char *server, uint16_t metric,
                        struct api_earlier_path out[API_EARLIER_RUNS])
{
    const uint64_t name = name_hash(server);
    size_t n = 0;
    pthread_mutex_lock(&earlier->lock);
    for (int i = 0; i < API_EARLIER_RUNS && earlier->runs[i] != NULL; i++) {
        const struct kept_path *kept = find(earlier->runs[i], name, metric, &out[n].origin_ms);
        if (kept != NULL)
            expand(earlier->runs[i], kept, &out[n++]);
    }
    pthread_mutex_unlock(&earlier->lock);
    return n;
}

size_t api_earlier_bytes(struct api_earlier *earlier)
{
    size_t bytes = 0;
    pthread_mutex_lock(&earlier->lock);
    for (int i = 0; i < API_EARLIER_RUNS && earlier->runs[i] != NULL; i++)
        bytes += earlier->runs[i]->bytes;
    pthread_mutex_unlock(&earlier->lock);
    return bytes;
}
