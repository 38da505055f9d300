/* Sums from which q-Risk and coverage come, kept apart by server, metric, method and block of the
 * horizon, so that any of them can be joined later. */
#ifndef FW_EVALUATE_SCORE_H
#define FW_EVALUATE_SCORE_H

#include "base/status.h"
#include "evaluate/protocol.h"

#include <stddef.h>

/* Spans of the horizon: its blocks and, last, all of it. */
enum {
    EVALUATE_BLOCKS = 4, /* steps 1-12, 13-36, 37-60, 61-96 */
    EVALUATE_WHOLE = EVALUATE_BLOCKS,
    EVALUATE_SPANS,
};

extern const double evaluate_score_levels[EVALUATE_QUANTILES]; /* 0.1, 0.5, 0.9 */

/* In the order in which tables list them. */
enum evaluate_method {
    EVALUATE_PERSISTENCE,          /* the last value */
    EVALUATE_SEASONAL,             /* the same time a day before */
    EVALUATE_LINE,                 /* least squares through the last 24 */
    EVALUATE_CLIMATOLOGY,          /* quantiles of the hour of day */
    EVALUATE_PERSISTENCE_RESIDUAL, /* with quantiles of its past errors, by step */
    EVALUATE_SEASONAL_RESIDUAL,
    EVALUATE_BASELINES,
    EVALUATE_OURS = EVALUATE_BASELINES,
    EVALUATE_METHODS,
};
/* "persistence", ... as tables and JSON name it. */
const char *evaluate_score_method(enum evaluate_method method);

/* First and last step of a block, counted from 1. */
size_t evaluate_score_block_from(size_t block);
size_t evaluate_score_block_to(size_t block);

struct evaluate_sums {
    double loss[EVALUATE_QUANTILES]; /* pinball */
    double scale;                    /* absolute values */
    size_t inside, count;            /* points within p10..p90, points */
};

struct evaluate_figures {
    double q[EVALUATE_QUANTILES]; /* 2 * loss / scale; NaN where scale is 0 */
    double coverage;              /* NaN without a point */
    size_t points;
};

struct evaluate_scores {
    size_t n_servers, n_metrics;
    struct evaluate_sums *sums; /* (servers, metrics, EVALUATE_METHODS, EVALUATE_SPANS) */
};

/* All zero; released with evaluate_score_fini(). FW_ENOMEM. */
FW_MUST_CHECK enum fw_status evaluate_score_init(struct evaluate_scores *scores, size_t n_servers,
                                                 size_t n_metrics, struct fw_error *err);
void evaluate_score_fini(struct evaluate_scores *scores);

/* The EVALUATE_SPANS sums of one. */
struct evaluate_sums *evaluate_score_at(const struct evaluate_scores *scores, size_t server,
                                        size_t metric, enum evaluate_method method);

/* Scores one forecast of a whole horizon, step by step. A truth that is NaN counts for nothing.
 *   truth     (EVALUATE_HORIZON)
 *   forecast  (EVALUATE_HORIZON) quantiles at evaluate_score_levels */
void evaluate_score_add(struct evaluate_sums spans[EVALUATE_SPANS], const double *truth,
                        double (*forecast)[EVALUATE_QUANTILES]);

void evaluate_score_join(struct evaluate_sums *to, const struct evaluate_sums *more);
struct evaluate_figures evaluate_score_figures(const struct evaluate_sums *sums);

#endif
