/* What a result means: figures of a metric, ratios to the best baseline, and their summary. NaN is
 * what cannot be computed. */
#ifndef FW_EVALUATE_FIGURES_H
#define FW_EVALUATE_FIGURES_H

#include "evaluate/evaluate.h"

#define EVALUATE_WORSE 1.05 /* a ratio above it counts as worse than the best baseline */

struct evaluate_ratio {
    double to_best[EVALUATE_QUANTILES];            /* our q-Risk over the best baseline's; NaN also
                                                      where that is 0 */
    enum evaluate_method best[EVALUATE_QUANTILES]; /* EVALUATE_BASELINES: none has a figure */
};

/* A part of the horizon. */
struct evaluate_span {
    struct evaluate_figures of[EVALUATE_METHODS];
    struct evaluate_ratio ratio;
};

/* One metric, all servers. */
struct evaluate_row {
    bool scored; /* anything but zeros was observed */
    struct evaluate_span span[EVALUATE_SPANS];
    double median_server[EVALUATE_METHODS]; /* of the servers' own P50 q-Risks */
};

struct evaluate_means {
    double ratio[EVALUATE_QUANTILES]; /* geometric, over the metrics that have a ratio above 0 */
    size_t with_ratio[EVALUATE_QUANTILES];
    double coverage; /* mean over metrics, ours */
};

/* One set. Means are over its scored metrics. */
struct evaluate_summary {
    size_t scored;
    struct evaluate_means span[EVALUATE_SPANS];
    size_t worse[EVALUATE_QUANTILES]; /* metrics whose ratio is above EVALUATE_WORSE */
    double worst;                     /* the largest ratio; NaN: there is none */
    size_t worst_metric, worst_quantile;
};

/* *rows (metrics) is the caller's, released with fw_free(). FW_ENOMEM. */
FW_MUST_CHECK enum fw_status evaluate_figures_rows(const struct evaluate_result *result,
                                                   struct evaluate_row **rows,
                                                   struct fw_error *err);
void evaluate_figures_summary(const struct evaluate_row *rows, size_t n_metrics,
                              struct evaluate_summary *out);

/* One server's figures of a metric, ours; the baselines' where `method` says so. */
struct evaluate_figures evaluate_figures_server(const struct evaluate_result *result, size_t server,
                                                size_t metric, enum evaluate_method method);

/* The mean over scored metrics of what a method has: q[3], coverage, median of servers. NaN where
 * it was scored on none. */
enum { EVALUATE_MEANS = EVALUATE_QUANTILES + 2 };
void evaluate_figures_mean(const struct evaluate_row *rows, size_t n_metrics,
                           enum evaluate_method method, double out[EVALUATE_MEANS]);

/* A median; reorders. NaN where n is 0. */
double evaluate_figures_median(size_t n, double *values);

#endif
