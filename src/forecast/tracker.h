/* Quantiles of a stream in 18 bytes: each value moves every quantile by a small step towards it, up
 * with the quantile's level, down with what is left of 1 (stochastic gradient on the pinball loss).
 * Steps shrink with the number of values seen, to a floor, so that it never stops following. Pure,
 * no allocation. Private to this folder. */
#ifndef FW_FORECAST_TRACKER_H
#define FW_FORECAST_TRACKER_H

#include <stdint.h>

/* All zeros has seen nothing. */
struct tracker {
    float quantile[3]; /* 0.1, 0.5, 0.9; ascending */
    float spread;      /* mean distance of values from zero */
    uint16_t seen;     /* values, up to UINT16_MAX */
};

void tracker_add(struct tracker *tracker, float value);

#endif
