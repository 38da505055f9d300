/* Jobs that take one step at the same time of day, a dump at ten past two: means of days and of
 * half hours blunt them, and who repeats yesterday to the step is too noisy at every other. Where a
 * step stood out from its half hours on each of the days before, it may again. Private to this
 * folder. */
#ifndef FW_FORECAST_JOB_H
#define FW_FORECAST_JOB_H

#include "forecast/series.h"

enum { JOB_DAYS = 3, JOB_STEPS_MAX = 96 };

/* How far each of the n steps after the window's end stood out, on the map, on each of the days
 * before, upwards and downwards: the median over the days, if every day's is more than `least` (n);
 * 0 otherwise, or with fewer than two days. False: steps are too long for this, and nothing is
 * written. n at most a day's steps less a half hour's (JOB_STEPS_MAX). */
bool jobs_stand_out(const struct series_sums *sums, size_t n, const float *least, float *up,
                    float *down);

#endif
