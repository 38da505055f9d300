/* Several forecasters' words for one quantile into one: their weighted median. A median because one
 * that is far off moves a mean, but no median; weighted by how each has done on this very series.
 * Pure. Private to this folder. */
#ifndef FW_FORECAST_BLEND_H
#define FW_FORECAST_BLEND_H

#include <stddef.h>

enum { BLEND_MAX = 16 };

/* Of n values (1 to BLEND_MAX, asserted; NaN: says nothing), linear between neighbours; weights
 * are not negative. NaN when none of them has both a value and a weight. */
float blend_median(const float *value, const float *weight, size_t n);
/* `count` of them side by side, in a fraction of the time: value and weight (n, count). */
void blend_medians(const float *value, const float *weight, size_t n, size_t count, float *out);

/* Weights from mean losses (n; NaN: was not measured): prior * exp(-12 * trust * (loss / least -
 * 1)). `trust`, 0 to 1, grows with what was measured; `floor` is what losses do not tell apart, in
 * their unit. A loss that is NaN leaves the prior, as if it were the least. */
void blend_weights(const float *loss, const float *prior, size_t n, float trust, float floor,
                   float *weight);

/* Their logarithms without the priors: many are made before they are all taken at once. */
void blend_exponents(const float *loss, size_t n, float trust, float floor, float *exponent);

/* The share of a second opinion whose loss was `ratio` times that of the first on the same values:
 * a third when they are alike or nothing was measured. */
float blend_share(float ratio, float trust);

#endif
