#include "forecast/series.h"

#include "tft/kernels/vecmath.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    DAY_S = 86400,
    HALF_HOUR_S = 1800,
    DAYS_EACH_WAY = 7,
    SLOPE_S = 10800,
    SLOPE_STEPS_MIN = 36,
    MAP_VALUES_MIN = 24,
};
/* Measured on five public sets (bench_forecast_quality): 0.05 to 0.5 differ little, 0 and infinity
 * (the plain scale) lose much. */
static const double shift_share = 0.3;
/* What is extended by far must not be amplified by the way back. Of 0.3, 1 and 2 the last lost
 * least at p90, at little cost elsewhere; more was not tried. */
static const double shift_share_young = 2.0;
/* An error that was extended to far horizons on the log scale can mean any number. */
static const double limit_times = 4.0;
static const double break_steps = 12.0;

static struct series_map map_with(const struct series *series, double share)
{
    struct series_map map = {.scale = SERIES_PLAIN};
    const struct schema_metric *metric = series->metric;
    if (!isfinite(metric->min))
        return map;
    double sum = 0.0, low = (double)INFINITY, high = -(double)INFINITY;
    size_t seen = 0;
    for (size_t t = 0; t < series->steps; t++)
        if (!isnan(series->values[t])) {
            const double v = (double)series->values[t];
            sum += v;
            low = fmin(low, v);
            high = fmax(high, v);
            seen++;
        }
    if (seen < MAP_VALUES_MIN || !(high > low))
        return map;
    const double mean = sum / (double)seen;
    const bool mirrored = isfinite(metric->max) && mean > 0.5 * (metric->min + metric->max);
    const double distance = mirrored ? metric->max - mean : mean - metric->min;
    if (!(distance > 1e-9))
        return map;
    map.scale = mirrored ? SERIES_LOG_MIRRORED : SERIES_LOG;
    map.bound = mirrored ? metric->max : metric->min;
    map.shift = share * distance;
    const double farthest = mirrored ? metric->max - low : high - metric->min;
    map.limit = log(limit_times * farthest + map.shift);
    return map;
}

struct series_map series_map_for(const struct series *series)
{
    return map_with(series, shift_share);
}

struct series_map series_map_young(const struct series *series)
{
    return map_with(series, shift_share_young);
}

/* Rounding on the way there and back: the bound itself went in if no more is left. */
static const float bound_share = 4e-6f;

/* A map in single precision: sign 1 from the lower bound, -1 from the upper. */
struct scale {
    float bound, shift, sign, limit;
};

static struct scale scale_of(const struct series_map *map)
{
    return (struct scale){.bound = (float)map->bound,
                          .shift = (float)map->shift,
                          .sign = map->scale == SERIES_LOG ? 1.0f : -1.0f,
                          .limit = (float)map->limit};
}

static inline float scale_to(struct scale s, float value)
{
    const float distance = s.sign * (value - s.bound);
    const float z = s.sign * tft_log((distance > 0.0f ? distance : 0.0f) + s.shift);
    return isnan(value) ? value : z;
}

static inline float scale_back(struct scale s, float mapped)
{
    const float z = s.sign * mapped;
    const float distance = tft_exp(z < s.limit ? z : s.limit) - s.shift;
    const float value =
        s.bound + s.sign * (fabsf(distance) < bound_share * s.shift ? 0.0f : distance);
    return isnan(mapped) ? mapped : value;
}

double series_to(const struct series_map *map, double value)
{
    return map->scale == SERIES_PLAIN ? value : (double)scale_to(scale_of(map), (float)value);
}

double series_back(const struct series_map *map, double mapped)
{
    return map->scale == SERIES_PLAIN ? mapped : (double)scale_back(scale_of(map), (float)mapped);
}

void series_to_all(const struct series_map *map, size_t n, const float *values, float *mapped)
{
    const struct scale s = scale_of(map);
    if (map->scale == SERIES_PLAIN)
        memmove(mapped, values, n * sizeof *mapped);
    else
        for (size_t i = 0; i < n; i++)
            mapped[i] = scale_to(s, values[i]);
}

void series_back_all(const struct series_map *map, size_t n, const float *mapped, float *values)
{
    const struct scale s = scale_of(map);
    if (map->scale == SERIES_PLAIN)
        memmove(values, mapped, n * sizeof *values);
    else
        for (size_t i = 0; i < n; i++)
            values[i] = scale_back(s, mapped[i]);
}

size_t series_scratch_bytes(size_t steps)
{
    return (steps + 1) * (sizeof(float) + 2 * sizeof(int32_t) + sizeof(double)) + 64 * 16;
}

void series_prepare(const struct series *series, const struct series_map *map, struct arena *arena,
                    struct series_sums *out)
{
    const size_t n = series->steps;
    assert(n >= 1 && n <= SERIES_STEPS_MAX && series->step_s >= 1);
    *out = (struct series_sums){
        .n = n,
        .plain = series->values,
        .mapped = ARENA_NEW(arena, n, float),
        .newest = ARENA_NEW(arena, n, int32_t),
        .seen = ARENA_NEW(arena, n + 1, int32_t),
        .sum = ARENA_NEW(arena, n + 1, double),
        .day = (DAY_S + series->step_s / 2) / series->step_s,
        .half = HALF_HOUR_S / series->step_s,
    };
    assert(out->sum != NULL); /* the caller asked series_scratch_bytes() */
    series_to_all(map, n, series->values, out->mapped);
    double change = 0.0, sum = 0.0;
    int32_t changes = 0, seen = 0, last = -1;
    for (size_t t = 0; t < n; t++) {
        const float v = series->values[t];
        if (isnan(v)) {
            out->mapped[t] = 0.0f;
        } else {
            if (last >= 0) {
                change += fabs((double)v - (double)series->values[last]);
                changes++;
            }
            last = (int32_t)t;
            seen++;
            sum += (double)out->mapped[t];
        }
        out->newest[t] = last;
        out->seen[t + 1] = seen;
        out->sum[t + 1] = sum;
    }
    out->step_mean = changes > 0 ? change / (double)changes : 0.0;
}

/* Adds the stretch [from, to), clipped, to *sum and *seen. */
static void add_stretch(const struct series_sums *s, int64_t from, int64_t to, double *sum,
                        int64_t *seen)
{
    from = from < 0 ? 0 : from;
    to = to > (int64_t)s->n ? (int64_t)s->n : to;
    if (from >= to)
        return;
    *sum += s->sum[to] - s->sum[from];
    *seen += s->seen[to] - s->seen[from];
}

double series_mean(const struct series_sums *sums, int64_t from, int64_t to)
{
    double sum = 0.0;
    int64_t seen = 0;
    add_stretch(sums, from, to, &sum, &seen);
    return seen > 0 ? sum / (double)seen : (double)NAN;
}

double series_level(const struct series_sums *sums, int64_t at, int64_t width)
{
    assert(at >= 0 && at < (int64_t)sums->n);
    const double mean = series_mean(sums, at - width + 1, at + 1);
    if (!isnan(mean))
        return mean;
    const int32_t newest = sums->newest[at];
    return newest >= 0 ? (double)sums->mapped[newest] : (double)(NAN);
}

double series_day_before(const struct series_sums *sums, int64_t at)
{
    const int64_t half = (int64_t)sums->half;
    for (int64_t days = 1; days <= 2; days++) {
        const int64_t there = at - days * (int64_t)sums->day;
        const double mean = series_mean(sums, there - half, there + half + 1);
        if (!isnan(mean))
            return mean;
    }
    return (double)NAN;
}

double series_time_of_day(const struct series_sums *sums, int64_t at)
{
    const int64_t half = (int64_t)sums->half, day = (int64_t)sums->day;
    double sum = 0.0;
    int64_t seen = 0;
    for (int64_t k = -DAYS_EACH_WAY; k <= DAYS_EACH_WAY; k++) {
        const int64_t there = at + k * day;
        if (k != 0)
            add_stretch(sums, there - half, there + half + 1, &sum, &seen);
    }
    return seen > 0 ? sum / (double)seen : series_mean(sums, 0, (int64_t)sums->n);
}

double series_slope(const struct series_sums *s, int64_t at)
{
    assert(at >= 0 && at < (int64_t)s->n);
    const int64_t steps = (int64_t)(s->half * SLOPE_S / HALF_HOUR_S);
    const int64_t from = at - (steps > SLOPE_STEPS_MIN ? steps : SLOPE_STEPS_MIN);
    const double limit = break_steps * s->step_mean;
    double n = 0.0, x = 0.0, xx = 0.0, y = 0.0, xy = 0.0;
    int64_t i = s->newest[at];
    const double newest = i >= 0 ? (double)s->plain[i] : 0.0;
    while (i >= 0 && i > from) {
        const double back = (double)(i - at), value = (double)s->plain[i];
        n += 1.0;
        x += back;
        xx += back * back;
        y += value - newest;
        xy += back * (value - newest);
        i = i > 0 ? s->newest[i - 1] : -1;
        if (i >= 0 && fabs(value - (double)s->plain[i]) > limit)
            break;
    }
    if (n < 3.0)
        return 0.0;
    const double spread = xx - x * x / n;
    return spread > 0.0 ? (xy - x * y / n) / spread : 0.0;
}

static void insertion_sort(float *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const float x = v[i];
        size_t j = i;
        for (; j > 0 && v[j - 1] > x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

static float median_of_three(float a, float b, float c)
{
    const float low = fminf(a, b), high = fmaxf(a, b);
    return fmaxf(low, fminf(high, c));
}

void series_sort(float *v, size_t n)
{
    while (n > 24) {
        const float pivot = median_of_three(v[0], v[n / 2], v[n - 1]);
        size_t i = 0, j = n - 1;
        for (;;) { /* Hoare: equal values are spread over both sides */
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i >= j)
                break;
            const float swap = v[i];
            v[i++] = v[j];
            v[j--] = swap;
        }
        const size_t left = i;
        if (left < n - left) {
            series_sort(v, left);
            v += left;
            n -= left;
        } else {
            series_sort(v + left, n - left);
            n = left;
        }
    }
    insertion_sort(v, n);
}

double series_quantile(const float *sorted, size_t n, double level)
{
    assert(n > 0);
    const double at = fmin(fmax(level, 0.0), 1.0) * (double)(n - 1);
    const size_t i = (size_t)at;
    const size_t next = i + 1 < n ? i + 1 : i;
    const double part = at - (double)i;
    return (1.0 - part) * (double)sorted[i] + part * (double)sorted[next];
}
