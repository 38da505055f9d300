#include "forecast/series.h"

#include "forecast/kernels/rows.h"

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

static struct row_scale scale_of(const struct series_map *map)
{
    return (struct row_scale){.bound = (float)map->bound,
                              .shift = (float)map->shift,
                              .sign = map->scale == SERIES_LOG ? 1.0f : -1.0f,
                              .limit = (float)map->limit};
}

double series_to(const struct series_map *map, double value)
{
    float mapped = (float)value;
    if (map->scale == SERIES_PLAIN)
        return value;
    row_kernels_plain()->to(scale_of(map), 1, &mapped, &mapped);
    return (double)mapped;
}

double series_back(const struct series_map *map, double mapped)
{
    float value = (float)mapped;
    if (map->scale == SERIES_PLAIN)
        return mapped;
    row_kernels_plain()->back(scale_of(map), 1, &value, &value);
    return (double)value;
}

void series_to_all(const struct series_map *map, size_t n, const float *values, float *mapped)
{
    if (map->scale == SERIES_PLAIN)
        memmove(mapped, values, n * sizeof *mapped);
    else
        row_kernels_best()->to(scale_of(map), n, values, mapped);
}

void series_back_all(const struct series_map *map, size_t n, const float *mapped, float *values)
{
    if (map->scale == SERIES_PLAIN)
        memmove(values, mapped, n * sizeof *values);
    else
        row_kernels_best()->back(scale_of(map), n, mapped, values);
}

size_t series_scratch_bytes(size_t steps)
{
    return (steps + 1) * (3 * sizeof(float) + 2 * sizeof(int32_t) + sizeof(double)) + 64 * 16;
}

/* Without a gap everything is a loop over rows. */
static void sum_whole(struct series_sums *out)
{
    row_kernels_best()->number(out->n, 0, out->newest);
    row_kernels_best()->number(out->n, 1, out->seen + 1);
    row_kernels_best()->running_sums(out->n, out->mapped, out->sum);
    out->observed = out->n;
    out->observed_plain = out->plain;
    out->observed_mapped = out->mapped;
}

static void sum_gappy(struct series_sums *out, struct arena *arena)
{
    float *plain = ARENA_RAW(arena, out->n, float), *mapped = ARENA_RAW(arena, out->n, float);
    double sum = 0.0;
    int32_t seen = 0, last = -1;
    assert(plain != NULL && mapped != NULL);
    for (size_t t = 0; t < out->n; t++) {
        if (isnan(out->plain[t])) {
            out->mapped[t] = 0.0f;
        } else {
            plain[seen] = out->plain[t];
            mapped[seen++] = out->mapped[t];
            sum += (double)out->mapped[t];
            last = (int32_t)t;
        }
        out->newest[t] = last;
        out->seen[t + 1] = seen;
        out->sum[t + 1] = sum;
    }
    out->observed = (size_t)seen;
    out->observed_plain = plain;
    out->observed_mapped = mapped;
}

void series_prepare(const struct series *series, const struct series_map *map, struct arena *arena,
                    struct series_sums *out)
{
    const size_t n = series->steps;
    const struct row_kernels *kernels = row_kernels_best();
    assert(n >= 1 && n <= SERIES_STEPS_MAX && series->step_s >= 1);
    *out = (struct series_sums){
        .n = n,
        .plain = series->values,
        .mapped = ARENA_RAW(arena, n, float),
        .newest = ARENA_RAW(arena, n, int32_t),
        .seen = ARENA_RAW(arena, n + 1, int32_t),
        .sum = ARENA_RAW(arena, n + 1, double),
        .day = (DAY_S + series->step_s / 2) / series->step_s,
        .half = HALF_HOUR_S / series->step_s,
    };
    assert(out->sum != NULL); /* the caller asked series_scratch_bytes() */
    series_to_all(map, n, series->values, out->mapped);
    out->seen[0] = 0;
    out->sum[0] = 0.0;
    if (kernels->missing(n, series->values) == 0)
        sum_whole(out);
    else
        sum_gappy(out, arena);
    if (out->observed > 1)
        out->step_mean =
            kernels->change(out->observed, out->observed_plain) / (double)(out->observed - 1);
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
    if (from >= 0 && s->seen[at + 1] - s->seen[from + 1] == at - from) { /* no gap */
        double slope;
        if (row_kernels_best()->slope((size_t)(at - from), s->plain + from + 1, limit, &slope))
            return slope;
    }
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
