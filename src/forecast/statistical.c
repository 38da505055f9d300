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

static void write_path(const struct series_sums *sums, const struct statistical_study *study,
                       size_t index, float *quantiles)
{
    static const struct series_map plain = {.scale = SERIES_PLAIN};
    const struct series_map *map = index == STUDY_TREND ? &plain : &study->map;
    const int64_t origin = (int64_t)sums->n - 1;
    assert(index < STUDY_METHODS && sums->newest[origin] >= 0);
    const struct excess near_excess = recent_excess(sums, study, index, SHORT_KNOT);
    const struct excess far_excess = recent_excess(sums, study, index, LONG_KNOT);
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
            const double value = series_back(map, point + (double)knot.residual[q] + wider[q]);
            quantiles[q * FORECAST_HORIZON + i] = (float)fmin(fmax(value, -1e30), 1e30);
        }
    }
}

void statistical_path(const struct series *series, const struct statistical_study *study,
                      size_t index, struct arena scratch, float *quantiles)
{
    struct series_sums sums;
    series_prepare(series, &study->map, index == STUDY_TREND, &scratch, &sums);
    write_path(&sums, study, index, quantiles);
}

enum forecast_method statistical_forecast(const struct series *series,
                                          const struct statistical_study *study,
                                          struct arena scratch, float *quantiles)
{
    struct series_sums sums;
    struct ramp ramp;
    series_prepare(series, &study->map, study->chosen == STUDY_TREND, &scratch, &sums);
    if (ramp_find(&sums, series->metric, &ramp)) {
        ramp_path(&ramp, quantiles);
        return FORECAST_TREND;
    }
    write_path(&sums, study, study->chosen, quantiles);
    return study_method(study->chosen);
}
