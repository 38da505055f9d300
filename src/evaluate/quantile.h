/* Empirical quantiles. */
#ifndef FW_EVALUATE_QUANTILE_H
#define FW_EVALUATE_QUANTILE_H

#include "evaluate/protocol.h"

#include <stddef.h>

/* Quantiles at evaluate_score_levels, linear between order statistics: numpy's nanquantile to the
 * last bit.
 *   values  (n) no NaN among them; reordered
 *   out     NaN where n is 0 */
void evaluate_quantile(size_t n, double *values, double out[EVALUATE_QUANTILES]);

#endif
