/* A ramp that is younger than what the study measured: a disk that began to fill an hour ago after
 * days of rest. Errors of the past say nothing about it (there were none), so it is found by a test
 * on the newest values, and how long it will last is told by how long it has lasted.
 *
 * A ramp is a stretch of 6 (12 while less than a day is known) to 432 steps up to now that a line
 * fits far better than chance, in many small steps rather than one jump, hardly bent in its newest
 * third, in the direction that is worse, and unheard of: half as steep again as anything in the
 * window before, or leading where no value was. A day's rhythm has been there yesterday; a sawtooth
 * that always ended in time is the study's. Only metrics that fill up have ramps: on five public
 * sets a line through anything else lost to the study at every age.
 *
 * How long it goes on: the chance that a ramp of age d lasts another r steps is taken as
 * (d / (d + r))^a. a = 1 is Lindy's rule, half of them last as long again; it is used while less
 * than a day is known. Otherwise a = 0.18: one in ten ends within four fifths of its age, half go
 * on for all of the horizon. A line that bends has a larger a. Pure functions, no allocation.
 * Private to this folder. */
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
