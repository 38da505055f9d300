/* A ramp that is younger than what the study measured: a disk that began to fill an hour ago after
 * days of rest. Errors of the past say nothing about it (there were none), so it is found by a test
 * on the newest values, and how long it will last is told by how long it has lasted.
 *
 * A ramp is a stretch of 6 to 432 steps up to now that a line fits far better than chance, in many
 * small steps rather than one jump, still going on in its newest third, and steeper by half than
 * anything that the window held before: a day's rhythm has been there yesterday, and a sawtooth
 * that never reached a threshold is left to the study.
 *
 * How long it goes on: the chance that a ramp of age d lasts another r steps is taken as
 * (d / (d + r))^a. a = 1 is Lindy's rule: half of them last as long again. What fills up and stays
 * full is more persistent. Pure functions, no allocation. Private to this folder. */
#ifndef FW_FORECAST_RAMP_H
#define FW_FORECAST_RAMP_H

#include "forecast/forecast.h"
#include "forecast/series.h"

struct ramp {
    int64_t age;        /* steps */
    double level;       /* the line's value at the origin, in the metric's unit */
    double slope;       /* per step */
    double slope_sd;    /* its standard error */
    double noise;       /* standard deviation of what the line leaves */
    double persistence; /* a */
};

/* Whether the series ends in one. `sums` as series_prepare() makes them. */
bool ramp_find(const struct series_sums *sums, const struct schema_metric *metric,
               struct ramp *ramp);

/* The path of a ramp that was found: quantiles (3, FORECAST_HORIZON), finite, not yet bounded. */
void ramp_path(const struct ramp *ramp, float *quantiles);

#endif
