/* Least squares of a few features that forgets: each sample counts `decay` of the one after it. The
 * fit is drawn towards zero (a ridge), so that features that say the same, or nothing yet, do no
 * harm. Hoerl and Kennard, Ridge Regression, Technometrics 12, 1970. Pure, no allocation. Private
 * to this folder. */
#ifndef FW_FORECAST_RIDGE_H
#define FW_FORECAST_RIDGE_H

#include <stddef.h>

enum { RIDGE_FEATURES = 8, RIDGE_PAIRS = RIDGE_FEATURES * (RIDGE_FEATURES + 1) / 2 };

/* All zeros is the fit of no sample. */
struct ridge {
    float normal[RIDGE_PAIRS];    /* sums of x_i x_j, j <= i, row by row */
    float moment[RIDGE_FEATURES]; /* sums of x_i y */
};

void ridge_add(struct ridge *ridge, const float x[RIDGE_FEATURES], float y, float weight,
               float decay);
/* Finite coefficients for any sums. */
void ridge_solve(const struct ridge *ridge, float coefficient[RIDGE_FEATURES]);
float ridge_predict(const float coefficient[RIDGE_FEATURES], const float x[RIDGE_FEATURES]);

#endif
