/* The six forecasts that cost nothing to make, against which ours are measured. Parameters come
 * from before a server's test part. */
#ifndef FW_EVALUATE_BASELINE_H
#define FW_EVALUATE_BASELINE_H

#include "evaluate/origins.h"
#include "evaluate/score.h"

/* Scores all six on one server, every metric, at the timeline's test origins. Those with residuals
 * are left out where the past has fewer than EVALUATE_FIT_MINIMUM origins. Sums are in double and
 * in the order of the reference implementation, so that equality at a band's edge is its equality.
 * FW_ENOMEM. */
FW_MUST_CHECK enum fw_status evaluate_baseline_score(const struct evaluate_set *set, size_t server,
                                                     const struct evaluate_timeline *timeline,
                                                     struct evaluate_scores *scores,
                                                     struct fw_error *err);

#endif
