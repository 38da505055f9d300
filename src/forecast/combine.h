/* From a forecaster's quantiles to a path: the most trusted candidate is chosen, ordered and
 * bounded. (How several become one, and how the band is calibrated, is the track's: track.h.) */
#ifndef FW_FORECAST_COMBINE_H
#define FW_FORECAST_COMBINE_H

#include "forecast/forecast.h"

struct forecast_candidate {
    enum forecast_method method;
    enum forecast_reason reason; /* of a statistical one: why the model does not serve */
    const float *quantiles;      /* (3, FORECAST_HORIZON): p10, p50, p90; finite */
    float pinball, coverage;     /* NaN: not measured */
    uint32_t scored;
    float model_share; /* of the TFT in the median, 0 to 1 */
};

/* Fills the path's method, reason, measures, quantiles and trend from the first candidate of the
 * most trusted method: the TFT, else the one with the least pinball loss (one that was not measured
 * only where there is no other). path->metric and ->current are set already. Quantiles are sorted
 * per step, clipped to the metric's bounds, and counts are rounded. count > 0. */
void forecast_combine(const struct forecast_candidate *candidates, size_t count,
                      const struct schema_metric *metric, struct forecast_path *path);

#endif
