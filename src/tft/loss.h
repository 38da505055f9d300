/* The quantile loss in the targets' units, and its gradient (FORWARD.md 7; Lim et al. 2021, section
 * 5). */
#ifndef FW_TFT_LOSS_H
#define FW_TFT_LOSS_H

#include <stddef.h>

/* Adds up, over steps and targets, weight * mean over quantiles of 2 max((q - 1) e, q e), e = y -
 * yhat. At e = 0 the gradient is half of either side's.
 *   q       (nq)               levels
 *   y       (n, targets)       NaN = not observed: no loss, no gradient
 *   yhat    (n, targets, nq)
 *   weight  (targets)          of one observation
 *   dyhat   (n, targets, nq)   out, overwritten; may be NULL
 * Sums in double. */
double tft_loss_quantile(size_t n, size_t targets, size_t nq, const double *q, const float *y,
                         const float *yhat, const float *weight, float *dyhat);

#endif
