/* The statistical forecasters: persistence, seasonal (a day before), climatology (by time of day)
 * and a damped trend, each with a band whose width was measured on the server's own window.
 *
 * Two steps, because measuring costs ten times as much as forecasting. A *study* replays the
 * window: from up to 96 past origins every forecaster predicts 8 horizons (1 to 96 steps) of what
 * the window already holds; the errors give the gains, the residual quantiles and the mean pinball
 * loss by which one forecaster is chosen. A *path* then is base + gain * signal + residual
 * quantile, per step:
 *
 *   persistence   newest value
 *   seasonal      the value a day before   + gain * (level now - level a day before)
 *   climatology   mean at that time of day + gain * (level now - mean at this time of day)
 *   trend         newest value             + gain * (slope * steps)
 *
 * An edge of the band that most of the newest errors (of two hours) lie beyond is moved out to
 * their median: what changed an hour ago weighs little among three days, and the band must not be
 * narrow while it is wrong. Weighing recent origins more in the study itself was tried and measured
 * no better.
 *
 * A *young* window, of less than a day and a third, has seen no day twice, so its own errors tell
 * little of what lies beyond it. There only two things are said: the level goes on, or what was
 * seen a day before comes again, each without drift. Only horizons that the window holds five times
 * are measured; far edges are drawn to the window's quantiles by the share of a day that it holds,
 * and stay as near to its values as a random walk of their range would. A trend is taken when it
 * leaves a third of the loss. Constants were set by losses on three public sets, for 12
 * to 288 steps; a fourth was looked at twice.
 *
 * With little history the horizons that could not be replayed are extended from those that could,
 * growing with the square root of the horizon; with almost none the width is a documented prior
 * (study.c). Everything is a pure function of its arguments. No allocation. */
#ifndef FW_FORECAST_STATISTICAL_H
#define FW_FORECAST_STATISTICAL_H

#include "base/arena.h"
#include "forecast/forecast.h"
#include "forecast/series.h"

enum { STUDY_METHODS = 4, STUDY_KNOTS = 8 };

/* The candidates in order; `index` below STUDY_METHODS. */
enum forecast_method study_method(size_t index);

struct study_knot {
    float gain;
    float residual[3]; /* quantiles 0.1, 0.5, 0.9 of what base + gain * signal leaves, on the map's
                          scale (trend: in the metric's unit) */
};

struct statistical_study {
    struct series_map map;
    struct study_knot knot[STUDY_METHODS][STUDY_KNOTS];
    float loss[STUDY_METHODS]; /* mean pinball loss over the three quantiles and the horizons, in
                                  the metric's unit; NaN: could not be measured */
    float coverage[STUDY_METHODS];  /* share of the replayed values inside p10..p90 */
    uint32_t scored[STUDY_METHODS]; /* values behind both */
    uint8_t chosen;                 /* the candidate with the least loss */
    bool young;                     /* no day was seen twice: see study.c */
};

/* Bytes of scratch that either function needs for windows of `steps`. */
size_t statistical_scratch_bytes(size_t steps);

/* Measures the forecasters on the series. At least one value is observed (asserted). */
void statistical_study(const struct series *series, struct arena scratch,
                       struct statistical_study *study);

/* The path of candidate `index` from the end of the series, with a study made of the same series or
 * of one that ended a few steps before. quantiles (3, FORECAST_HORIZON) is written: finite, but not
 * yet ordered or bounded (combine.h does both). At least one value is observed (asserted). */
void statistical_path(const struct series *series, const struct statistical_study *study,
                      size_t index, struct arena scratch, float *quantiles);

/* The forecast: the path of the study's choice or, where the series ends in a ramp that the study
 * has not seen (ramp.h), the ramp's. Returns the method that the path is of; as above otherwise. */
enum forecast_method statistical_forecast(const struct series *series,
                                          const struct statistical_study *study,
                                          struct arena scratch, float *quantiles);

#endif
