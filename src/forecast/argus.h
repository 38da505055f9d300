/* The reference's forecast (API contract 13.6): a straight line through the last 24 values, with a
 * band that widens with the square root of the horizon. Kept for exact continuity only; its caps
 * and truncations are the reference's, not the schema's. */
#ifndef FW_FORECAST_ARGUS_H
#define FW_FORECAST_ARGUS_H

#include "forecast/forecast.h"

enum { ARGUS_VALUES = 24 };

struct argus_line {
    double current, trend, noise;
    double p10[FORECAST_HORIZON], p50[FORECAST_HORIZON], p90[FORECAST_HORIZON];
};

/* Forecasts the metric of that name from the newest ARGUS_VALUES observed ones of `values` (oldest
 * first, NaN = missing). False when none is observed; *out is then untouched. */
bool argus_forecast(const char *metric, const float *values, size_t steps, struct argus_line *out);

#endif
