/* What study.c and statistical.c share: the horizons that are replayed, and base and signal of each
 * forecaster. Private to this folder. */
#ifndef FW_FORECAST_STUDY_H
#define FW_FORECAST_STUDY_H

#include "forecast/statistical.h"

enum { STUDY_PERSISTENCE, STUDY_SEASONAL, STUDY_CLIMATOLOGY, STUDY_TREND };

extern const int study_horizons[STUDY_KNOTS]; /* ascending, the last is FORECAST_HORIZON */

struct study_parts {
    double base, signal; /* on the map's scale; trend: in the metric's unit */
};
/* For the value `horizon` steps after `origin`, from what is known at `origin`. False when it
 * cannot be said. */
bool study_parts(const struct series_sums *sums, size_t index, int64_t origin, int horizon,
                 struct study_parts *parts);

#endif
