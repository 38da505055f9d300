/* Our own forecasts at a set's origins, by replay. */
#ifndef FW_EVALUATE_OURS_H
#define FW_EVALUATE_OURS_H

#include "evaluate/evaluate.h"
#include "evaluate/origins.h"

/* Adds them to *result, which evaluate_run() has prepared; timelines are the servers'. The statuses
 * of replay_new() and replay_run(). */
FW_MUST_CHECK enum fw_status evaluate_ours_score(const struct evaluate_set *set,
                                                 const struct evaluate_options *options,
                                                 const struct evaluate_timeline *timelines,
                                                 struct evaluate_result *result,
                                                 struct fw_error *err);

#endif
