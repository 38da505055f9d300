/* Jobs that take one step at the same time of day, a dump at ten past two: means of days and of
 * half hours blunt them, and who repeats yesterday to the step is too noisy at every other. Where a
 * step stood out from its half hours on each of the days before, it may again. Private to this
 * folder. */
#ifndef FW_FORECAST_JOB_H
#define FW_FORECAST_JOB_H

#include "forecast/series.h"

enum { JOB_DAYS = 3 };

/* How far the step `ahead` (from 1) of the window's end stood out, on the map, on each of the days
 * before, upwards (sign 1) or downwards (-1): the median over the days, if every day's is more than
 * `least`; 0 otherwise, or with fewer than two days. */
float job_stands_out(const struct series_sums *sums, int64_t ahead, float sign, float least);

#endif
