/* Forecasts made by hand, for the tests of risk, alert and outlook. */
#ifndef FW_TESTS_BUILD_FORECAST_H
#define FW_TESTS_BUILD_FORECAST_H

#include "base/alloc.h"
#include "forecast/forecast.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { BUILD_STEP_MS = 300 * 1000 };

/* An empty forecast with room for `paths` paths; released by forecast_release() or fw_free(). */
static inline struct forecast *build_forecast(const char *name, size_t paths)
{
    struct forecast *f = fw_calloc(1, sizeof *f + paths * sizeof f->paths[0]);
    assert(f != NULL && strlen(name) <= SERVER_NAME_MAX);
    atomic_init(&f->references, 1);
    memcpy(f->name, name, strlen(name) + 1);
    f->profile = PROFILE_GENERIC;
    return f;
}

/* Adds a path that is flat at three quantiles. Metrics must come in ascending order. */
static inline struct forecast_path *build_band(struct forecast *f, int metric, double current,
                                               double p10, double p50, double p90)
{
    struct forecast_path *path = &f->paths[f->path_count++];
    assert(f->path_count == 1 || path[-1].metric < metric);
    path->metric = (uint16_t)metric;
    path->method = FORECAST_PERSISTENCE;
    path->current = (float)current;
    path->pinball = NAN;
    path->coverage = NAN;
    path->last_seen_ms = f->last_seen_ms;
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        path->p10[i] = (float)p10;
        path->p50[i] = (float)p50;
        path->p90[i] = (float)p90;
    }
    return path;
}

static inline struct forecast_path *build_flat(struct forecast *f, int metric, double value)
{
    return build_band(f, metric, value, value, value, value);
}

/* A straight line from `current` with a band of +-spread * sqrt(step), kept within lo..hi. */
static inline struct forecast_path *build_ramp(struct forecast *f, int metric, double current,
                                               double slope, double spread, double lo, double hi)
{
    struct forecast_path *path = build_flat(f, metric, current);
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        const double middle = current + slope * (double)(i + 1);
        const double half = spread * sqrt((double)(i + 1));
        path->p10[i] = (float)fmin(fmax(middle - half, lo), hi);
        path->p50[i] = (float)fmin(fmax(middle, lo), hi);
        path->p90[i] = (float)fmin(fmax(middle + half, lo), hi);
    }
    return path;
}

/* A set over `items` (borrowed, sorted by name); released with fw_free(). */
static inline struct forecast_set *build_set(const struct forecast *const *items, size_t count)
{
    struct forecast_set *set = fw_calloc(1, sizeof *set + count * sizeof set->items[0]);
    assert(set != NULL);
    atomic_init(&set->references, 1);
    set->step_s = BUILD_STEP_MS / 1000;
    set->count = count;
    for (size_t i = 0; i < count; i++)
        set->items[i] = items[i];
    return set;
}

#endif
