#include "forecast/statistical.h"

#include "forecast/ramp.h"
#include "forecast/study.h"

#include <assert.h>
#include <math.h>

size_t statistical_scratch_bytes(size_t steps)
{
    return series_scratch_bytes(steps);
}

/* Between two replayed horizons things change with the square root of the horizon, about. */
static struct study_knot at_horizon(const struct study_knot *knots, int horizon)
{
    size_t k = 0;
    while (k + 1 < STUDY_KNOTS && study_horizons[k + 1] <= horizon)
        k++;
    if (k + 1 == STUDY_KNOTS || study_horizons[k] == horizon)
        return knots[k];
    const float from = sqrtf((float)study_horizons[k]), to = sqrtf((float)study_horizons[k + 1]);
    const float part = (sqrtf((float)horizon) - from) / (to - from);
    struct study_knot out;
    out.gain = knots[k].gain + part * (knots[k + 1].gain - knots[k].gain);
    for (int q = 0; q < 3; q++)
        out.residual[q] =
            knots[k].residual[q] + part * (knots[k + 1].residual[q] - knots[k].residual[q]);
    return out;
}

/* By how much the newest errors, at a short and at a longer horizon, lie beyond the band that was
 * measured on the whole window; on the candidate's scale. */
enum { RECENT_ERRORS = 24, RECENT_ERRORS_MIN = 12, SHORT_KNOT = 2, LONG_KNOT = 4, SHORT_STEPS = 8 };
struct excess {
    double below, above;
};

/* The median of the newest errors: while most of them are beyond one edge, the edge is there. */
static struct excess recent_excess(const struct series_sums *sums,
                                   const struct statistical_study *study, size_t index, size_t k)
{
    const struct study_knot *knot = &study->knot[index][k];
    const int horizon = study_horizons[k];
    const int64_t last = (int64_t)sums->n - 1 - horizon;
    float error[RECENT_ERRORS];
    size_t n = 0;
    for (int64_t o = last; o >= 0 && o > last - RECENT_ERRORS; o--) {
        struct study_parts parts;
        if (isnan(sums->plain[o + horizon]) || !study_parts(sums, index, o, horizon, &parts))
            continue;
        const double seen = index == STUDY_TREND ? (double)sums->plain[o + horizon]
                                                 : (double)sums->mapped[o + horizon];
        error[n++] = (float)(seen - parts.base - (double)knot->gain * parts.signal);
    }
    if (n < RECENT_ERRORS_MIN)
        return (struct excess){0.0, 0.0};
    series_sort(error, n);
    const double middle = series_quantile(error, n, 0.5);
    return (struct excess){.below = fmax((double)knot->residual[0] - middle, 0.0),
                           .above = fmax(middle - (double)knot->residual[2], 0.0)};
}

/* What a young window says of values further ahead than it is long. */
struct reach {
    double low, high;   /* its least and greatest value */
    double edge[2];     /* its quantiles 0.1 and 0.9, on the map's scale */
    double share;       /* of a day that it holds, at most 1 */
    double steps, step; /* its length, and the mean change from step to step */
};

enum { REACH_VALUES = 96 };

static struct reach reach_of(const struct series_sums *sums)
{
    struct reach reach = {.low = (double)INFINITY, .high = -(double)INFINITY};
    float values[REACH_VALUES];
    size_t n = 0;
    const size_t stride = (sums->n + REACH_VALUES - 1) / REACH_VALUES;
    for (size_t back = 0; back < sums->n; back++) {
        const size_t t = sums->n - 1 - back;
        if (back % stride == 0 && sums->newest[t] >= 0)
            values[n++] = sums->mapped[sums->newest[t]];
        if (isnan(sums->plain[t]))
            continue;
        reach.low = fmin(reach.low, (double)sums->plain[t]);
        reach.high = fmax(reach.high, (double)sums->plain[t]);
    }
    series_sort(values, n);
    reach.edge[0] = series_quantile(values, n, 0.1);
    reach.edge[1] = series_quantile(values, n, 0.9);
    reach.steps = (double)sums->n;
    reach.step = sums->step_mean;
    reach.share = fmin(reach.steps / (double)sums->day, 1.0);
    return reach;
}

/* Far ahead an edge of the band is drawn to the window's own quantile, as far as the window holds
 * a day. */
static double draw_in(const struct reach *reach, int horizon, int q, double edge)
{
    const double h = (double)horizon;
    if (q == 1)
        return edge;
    return edge + reach->share * h / (h + FORECAST_HORIZON) * (reach->edge[q / 2] - edge);
}

/* No value further beyond those that were seen than a random walk of that range would come. */
static double hold_in(const struct reach *reach, int horizon, double value)
{
    const double h = (double)horizon;
    const double room = (reach->high - reach->low) * (sqrt(1.0 + h / reach->steps) - 1.0) +
                        2.0 * reach->step * sqrt(h);
    return fmin(fmax(value, reach->low - room), reach->high + room);
}

static void write_path(const struct series_sums *sums, const struct statistical_study *study,
                       size_t index, float *quantiles)
{
    static const struct series_map plain = {.scale = SERIES_PLAIN};
    const struct series_map *map = index == STUDY_TREND ? &plain : &study->map;
    const int64_t origin = (int64_t)sums->n - 1;
    assert(index < STUDY_METHODS && sums->newest[origin] >= 0);
    const struct excess near_excess = recent_excess(sums, study, index, SHORT_KNOT);
    const struct excess far_excess = recent_excess(sums, study, index, LONG_KNOT);
    /* Unmeasured, the band is the prior's; and a trend was believed for its lead. */
    const bool held = study->young && index != STUDY_TREND && study->scored[index] > 0;
    struct reach reach = {0};
    if (held)
        reach = reach_of(sums);
    for (int i = 0; i < FORECAST_HORIZON; i++) {
        const struct excess *excess = i < SHORT_STEPS ? &near_excess : &far_excess;
        const double wider[3] = {-excess->below, 0.0, excess->above};
        const struct study_knot knot = at_horizon(study->knot[index], i + 1);
        struct study_parts parts;
        if (!study_parts(sums, index, origin, i + 1, &parts)) {
            /* A hole a day before: the newest value stands in, with this horizon's band. */
            const int32_t newest = sums->newest[origin];
            parts = (struct study_parts){(double)sums->mapped[newest], 0.0};
        }
        const double point = parts.base + (double)knot.gain * parts.signal;
        for (int q = 0; q < 3; q++) {
            const double edge = point + (double)knot.residual[q] + wider[q];
            double value = series_back(map, held ? draw_in(&reach, i + 1, q, edge) : edge);
            if (held)
                value = hold_in(&reach, i + 1, value);
            quantiles[q * FORECAST_HORIZON + i] = (float)fmin(fmax(value, -1e30), 1e30);
        }
    }
}

void statistical_path(const struct series *series, const struct statistical_study *study,
                      size_t index, struct arena scratch, float *quantiles)
{
    struct series_sums sums;
    series_prepare(series, &study->map, &scratch, &sums);
    sums.young = study->young;
    write_path(&sums, study, index, quantiles);
}

enum forecast_method statistical_forecast(const struct series *series,
                                          const struct statistical_study *study,
                                          struct arena scratch, float *quantiles)
{
    struct series_sums sums;
    struct ramp ramp;
    series_prepare(series, &study->map, &scratch, &sums);
    sums.young = study->young;
    if (ramp_find(&sums, series->metric, &ramp)) {
        ramp_path(&ramp, quantiles);
        return FORECAST_TREND;
    }
    write_path(&sums, study, study->chosen, quantiles);
    return study_method(study->chosen);
}
