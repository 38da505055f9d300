/* One metric of one server, made ready for the statistical forecasters: values on a scale where
 * errors are alike at every level, and running sums, so that the mean over any stretch costs two
 * subtractions.
 *
 * The scale. Many metrics are zero or low with bursts; an error measured in their unit is large
 * during a burst and small otherwise, and a band made of such errors fits neither. Metrics with a
 * finite lower bound are therefore taken as log(x - min + shift), those of a bounded metric that
 * lives in the upper half (idle CPU) as -log(max - x + shift); the shift is a share of the mean
 * distance from the bound, so that a metric that hardly varies is nearly linear. Quantiles survive
 * a monotone map, which is what makes this legitimate. The damped trend works on the plain values:
 * a leak is a straight line there. */
#ifndef FW_FORECAST_SERIES_H
#define FW_FORECAST_SERIES_H

#include "base/arena.h"
#include "domain/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum series_scale { SERIES_PLAIN, SERIES_LOG, SERIES_LOG_MIRRORED };

struct series_map {
    enum series_scale scale;
    double bound; /* the metric's min, or its max when mirrored */
    double shift;
    double limit; /* mapped values are not believed beyond it: four times the largest distance from
                     the bound that was seen */
};

/* What a forecaster is given. */
struct series {
    const float *values; /* (steps), oldest first, NaN = missing */
    size_t steps;        /* 1 to SERIES_STEPS_MAX */
    uint32_t step_s;
    const struct schema_metric *metric;
};

enum { SERIES_STEPS_MAX = 8640 };

/* The map for a series; SERIES_PLAIN below 24 observed values, where the shift means little, and
 * for a constant. */
struct series_map series_map_for(const struct series *series);
/* The same for a window of hours, whose bursts say little of the next: nearer to the plain scale.
 */
struct series_map series_map_young(const struct series *series);
/* In single precision, whatever the type; of a finite number both are finite. */
double series_to(const struct series_map *map, double value);
double series_back(const struct series_map *map, double mapped);
/* n at once, the same numbers in a fraction of the time; in place if the caller likes. NaN stays
 * NaN. */
void series_to_all(const struct series_map *map, size_t n, const float *values, float *mapped);
void series_back_all(const struct series_map *map, size_t n, const float *mapped, float *values);

struct series_sums {
    size_t n;
    const float *plain; /* the caller's values */
    float *mapped;      /* (n) */
    int32_t *newest;    /* (n) index of the newest observed value at or before t, -1: none */
    int32_t *seen;      /* (n + 1) observed values before t */
    double *sum;        /* (n + 1) of mapped */
    size_t observed;    /* values, and they in a row without the missing ones: */
    const float *observed_plain, *observed_mapped;
    size_t day;       /* steps of a day */
    size_t half;      /* steps of half an hour */
    double step_mean; /* mean absolute change between neighbouring observations; 0: none */
    bool young;       /* for study.c, set by its caller: no day was seen twice */
};

size_t series_scratch_bytes(size_t steps);
/* Everything is taken from *arena, which holds at least series_scratch_bytes(steps). */
void series_prepare(const struct series *series, const struct series_map *map, struct arena *arena,
                    struct series_sums *out);

/* Mean of the mapped values in [from, to), clipped to the window; NaN when none is observed. */
double series_mean(const struct series_sums *sums, int64_t from, int64_t to);
/* Mean of the last `width` steps up to and with `at`, else the newest value before; NaN: none. */
double series_level(const struct series_sums *sums, int64_t at, int64_t width);
/* A day before `at`, half an hour either way; where that is missing, two days before; else NaN. */
double series_day_before(const struct series_sums *sums, int64_t at);
/* The mean at the time of day of `at` over the other days of the window, at most seven before and
 * seven after; the mean of the whole window when there is no other day. */
double series_time_of_day(const struct series_sums *sums, int64_t at);
/* Least-squares change per step of the plain values over the last three hours (36 steps at least)
 * before and with `at`, not reaching back over a jump twelve times the usual step (a counter's
 * reset, a restart); 0 with fewer than three values. */
double series_slope(const struct series_sums *sums, int64_t at);

/* Ascending, in place; n up to a few hundred. No NaN. */
void series_sort(float *values, size_t n);
/* Of sorted values, linear between order statistics; n > 0, level clipped to 0..1. */
double series_quantile(const float *sorted, size_t n, double level);

#endif
