/* The measure of the ETT papers: squared and absolute error of a point forecast on values
 * standardised over the training part, at every step of the test part, over all columns. */
#ifndef FW_EVALUATE_ETT_H
#define FW_EVALUATE_ETT_H

#include "evaluate/set.h"

struct evaluate_points {
    double square, absolute; /* sums */
    size_t count;
};

struct evaluate_ett {
    double mean[HISTORY_COLUMNS_MAX], inverse[HISTORY_COLUMNS_MAX]; /* of the training part */
    struct evaluate_points ours, persistence;
    size_t origins;
};

/* Mean and deviation of each column before the server's `training`. */
void evaluate_ett_fit(const struct evaluate_server *server, size_t n_columns,
                      struct evaluate_ett *out);

/* One forecast of a column: `forecast` (EVALUATE_HORIZON, `stride` apart) against `truth`
 * (EVALUATE_HORIZON), in the column's unit. */
void evaluate_ett_add(const struct evaluate_ett *ett, size_t column, const double *truth,
                      const double *forecast, size_t stride, struct evaluate_points *points);

/* The last value repeated, at every one of the origins, all columns. */
struct evaluate_origins;
void evaluate_ett_persistence(const struct evaluate_server *server, size_t n_columns,
                              const struct evaluate_origins *origins, struct evaluate_ett *ett);

#endif
