#include "outlook/past_internal.h"

#include "base/alloc.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEPS_MAX = 8640,
    LATE_MAX = 3,    /* origins that a run may still add to */
    WHOLE_SHARE = 8, /* a whole run takes at most this part of the memory */
};

static const uint8_t at_leads[OUTLOOK_PAST_LEADS] = {0, 5, 11, FORECAST_HORIZON - 1};
static const uint8_t at_points[OUTLOOK_PAST_POINTS] = {
    0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, FORECAST_HORIZON - 1};
static const struct past_points leads = {OUTLOOK_PAST_LEADS, at_leads};
static const struct past_points whole = {OUTLOOK_PAST_POINTS, at_points};

struct outlook_past {
    pthread_rwlock_t lock; /* only the publisher changes what it covers, and reads without it */
    size_t bytes, bytes_max, count;
    _Atomic uint64_t failures;
    bool up_to_date;                   /* holds what the outlook before the next one said, */
    uint64_t roster;                   /* which was of these servers */
    int64_t newest;                    /* and had this newest origin */
    struct past_run *steps[STEPS_MAX]; /* at the leads; ascending by step */
    struct past_run *whole[OUTLOOK_PAST_RUNS]; /* newest first; NULL behind the last */
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
        fw_free(past->steps[i]);
    for (size_t i = 0; i < OUTLOOK_PAST_RUNS; i++)
        fw_free(past->whole[i]);
    pthread_rwlock_destroy(&past->lock);
    fw_free(past);
}

unsigned outlook_past_lead(size_t index)
{
    assert(index < OUTLOOK_PAST_LEADS);
    return at_leads[index] + 1U;
}

unsigned outlook_past_point(size_t index)
{
    assert(index < OUTLOOK_PAST_POINTS);
    return at_points[index];
}

/* ---- taking ---- */

/* The place of a step, or where it belongs. */
static size_t place_of(const struct outlook_past *past, int64_t step)
{
    size_t low = 0, high = past->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (past->steps[middle]->step < step)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void drop(struct outlook_past *past, struct past_run *run)
{
    if (run != NULL)
        past->bytes -= run->bytes;
    fw_free(run);
}

static void drop_oldest(struct outlook_past *past)
{
    drop(past, past->steps[0]);
    memmove(&past->steps[0], &past->steps[1], --past->count * sizeof past->steps[0]);
}

static void fit(struct outlook_past *past)
{
    while (past->bytes > past->bytes_max && past->count > 0)
        drop_oldest(past);
}

static void put_step(struct outlook_past *past, struct past_run *run)
{
    pthread_rwlock_wrlock(&past->lock);
    if (past->count == STEPS_MAX)
        drop_oldest(past);
    const size_t at = place_of(past, run->step);
    if (at < past->count && past->steps[at]->step == run->step) {
        drop(past, past->steps[at]);
    } else {
        memmove(&past->steps[at + 1], &past->steps[at], (past->count - at) * sizeof past->steps[0]);
        past->count++;
    }
    past->steps[at] = run;
    past->bytes += run->bytes;
    fit(past);
    pthread_rwlock_unlock(&past->lock);
}

static void put_whole(struct outlook_past *past, struct past_run *run)
{
    pthread_rwlock_wrlock(&past->lock);
    drop(past, past->whole[OUTLOOK_PAST_RUNS - 1]);
    memmove(&past->whole[1], &past->whole[0], sizeof past->whole - sizeof past->whole[0]);
    past->whole[0] = run;
    past->bytes += run->bytes;
    fit(past);
    pthread_rwlock_unlock(&past->lock);
}

static void take_step(struct outlook_past *past, const struct outlook *outlook,
                      const struct past_entry *entries, size_t n)
{
    const int64_t step = entries[0].origin;
    const size_t at = place_of(past, step);
    const bool known = at < past->count && past->steps[at]->step == step;
    struct past_run *run =
        past_run_new(outlook, step, &leads, known ? past->steps[at] : NULL, entries, n);
    if (run != NULL) {
        put_step(past, run);
        return;
    }
    past->failures++;
    past->up_to_date = false;
}

static bool whole_due(const struct outlook_past *past, const struct outlook *outlook)
{
    const int64_t every_ms =
        (int64_t)outlook->step_s * 1000 * (FORECAST_HORIZON / OUTLOOK_PAST_RUNS);
    const struct past_run *last = past->whole[0];
    return last == NULL || outlook->made_ms - last->made_ms >= every_ms ||
           outlook->made_ms < last->made_ms; /* the clock was set back */
}

static void take_whole(struct outlook_past *past, const struct outlook *outlook, int64_t newest,
                       const struct past_entry *entries, size_t n)
{
    struct past_run *run = NULL;
    size_t paths = 0;
    for (size_t i = 0; i < n; i++)
        paths += entries[i].forecast->path_count;
    if (past_run_bytes(n, paths, whole.count) <= past->bytes_max / WHOLE_SHARE)
        run = past_run_new(outlook, newest, &whole, NULL, entries, n);
    if (run != NULL)
        put_whole(past, run);
    else
        past->failures++;
}

static int by_key(const void *a, const void *b)
{
    const struct past_entry *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* The newest origin first. */
static int by_origin(const void *a, const void *b)
{
    const struct past_entry *x = a, *y = b;
    return x->origin != y->origin ? (x->origin < y->origin) - (x->origin > y->origin)
                                  : by_key(a, b);
}

static int64_t origin_of(const struct outlook *outlook, const struct forecast *forecast)
{
    return forecast->origin_ms / ((int64_t)outlook->step_s * 1000);
}

/* The newest origin; -1: nothing is forecast. Who rests was looked at before. */
static int64_t newest_origin(const struct outlook_past *past, const struct outlook *outlook)
{
    const bool known = past->up_to_date && past->roster == outlook->set->roster;
    int64_t newest = known ? past->newest : -1;
    for (size_t i = 0; i < outlook->set->count; i++) {
        const struct forecast *f = outlook->set->items[i];
        if (known && outlook->risks[i].kept)
            continue;
        const int64_t origin = f->path_count > 0 ? origin_of(outlook, f) : -1;
        newest = origin > newest ? origin : newest;
    }
    return newest;
}

/* All of the outlook's forecasts, or those that the one before did not have. */
static size_t gather(const struct outlook *outlook, bool all, struct past_entry *entries)
{
    const struct forecast_set *set = outlook->set;
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct forecast *f = set->items[i];
        if (f->path_count > 0 && (all || !outlook->risks[i].kept))
            entries[n++] = (struct past_entry){
                .key = past_key(f->name),
                .origin = origin_of(outlook, f),
                .forecast = f,
                .score = outlook->risks[i].score,
            };
    }
    return n;
}

void outlook_past_take(void *ctx, const struct outlook *outlook)
{
    struct outlook_past *past = ctx;
    const int64_t newest = newest_origin(past, outlook);
    if (newest < 0)
        return;
    struct past_entry *entries = fw_malloc(outlook->set->count * sizeof *entries);
    if (entries == NULL) {
        past->failures++;
        past->up_to_date = false;
        return;
    }
    const bool whole_too = whole_due(past, outlook);
    const size_t n = gather(outlook, whole_too || !past->up_to_date, entries);
    past->up_to_date = true;
    past->roster = outlook->set->roster;
    past->newest = newest;
    qsort(entries, n, sizeof *entries, by_origin);
    for (size_t i = 0, end; i < n && newest - entries[i].origin < LATE_MAX; i = end) {
        for (end = i + 1; end < n && entries[end].origin == entries[i].origin; end++)
            ;
        take_step(past, outlook, entries + i, end - i);
    }
    if (whole_too) {
        qsort(entries, n, sizeof *entries, by_key);
        take_whole(past, outlook, newest, entries, n);
    }
    fw_free(entries);
}

struct past_runs past_runs(const struct outlook_past *past)
{
    return (struct past_runs){past->count, past->steps, past->whole};
}

void past_restore(struct outlook_past *past, struct past_run *run, bool is_whole)
{
    if (is_whole)
        put_whole(past, run);
    else
        put_step(past, run);
}

/* ---- reading ---- */

void outlook_past_read(struct outlook_past *past, const char *server, int metric, size_t lead,
                       size_t quantile, int64_t first, size_t n, float *out)
{
    const uint64_t key = past_key(server);
    const int64_t ahead = at_leads[lead];
    for (size_t i = 0; i < n; i++)
        out[i] = NAN;
    pthread_rwlock_rdlock(&past->lock);
    for (size_t at = place_of(past, first - ahead); at < past->count; at++) {
        const struct past_run *run = past->steps[at];
        const int64_t i = run->step + ahead - first;
        size_t path;
        if (i >= (int64_t)n)
            break;
        if (past_run_path(run, past_run_server(run, key), metric, &path))
            out[i] = past_run_value(run, path, lead, quantile);
    }
    pthread_rwlock_unlock(&past->lock);
}

void outlook_past_risk(struct outlook_past *past, const char *server, int64_t first, size_t n,
                       float *out)
{
    const uint64_t key = past_key(server);
    for (size_t i = 0; i < n; i++)
        out[i] = NAN;
    pthread_rwlock_rdlock(&past->lock);
    for (size_t at = place_of(past, first); at < past->count; at++) {
        const int64_t i = past->steps[at]->step - first;
        if (i >= (int64_t)n)
            break;
        const struct past_server *found = past_run_server(past->steps[at], key);
        if (found != NULL)
            out[i] = found->score;
    }
    pthread_rwlock_unlock(&past->lock);
}

size_t outlook_past_paths(struct outlook_past *past, const char *server, int metric,
                          struct outlook_past_path out[OUTLOOK_PAST_RUNS])
{
    const uint64_t key = past_key(server);
    size_t n = 0, path;
    pthread_rwlock_rdlock(&past->lock);
    for (size_t k = 0; k < OUTLOOK_PAST_RUNS && past->whole[k] != NULL; k++) {
        const struct past_run *run = past->whole[k];
        const struct past_server *found = past_run_server(run, key);
        if (!past_run_path(run, found, metric, &path))
            continue;
        out[n].made_ms = run->made_ms;
        out[n].origin_ms = (run->step - found->late) * (int64_t)run->step_s * 1000;
        out[n].step_s = run->step_s;
        for (size_t q = 0; q < OUTLOOK_PAST_QUANTILES; q++)
            for (size_t i = 0; i < OUTLOOK_PAST_POINTS; i++)
                out[n].quantiles[q][i] = past_run_value(run, path, i, q);
        n++;
    }
    pthread_rwlock_unlock(&past->lock);
    return n;
}

void outlook_past_counts(struct outlook_past *past, struct outlook_past_counts *counts)
{
    pthread_rwlock_rdlock(&past->lock);
    *counts = (struct outlook_past_counts){
        .bytes = past->bytes,
        .bytes_max = past->bytes_max,
        .steps = past->count,
        .oldest_s = past->count > 0 ? past->steps[0]->step * (int64_t)past->steps[0]->step_s : -1,
        .failures = past->failures,
    };
    pthread_rwlock_unlock(&past->lock);
}
