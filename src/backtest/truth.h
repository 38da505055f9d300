/* What really happened: when a server's metric was beyond a threshold. Steps are those of the
 * history's grid, seconds since 1970 / step_s. */
#ifndef FW_BACKTEST_TRUTH_H
#define FW_BACKTEST_TRUTH_H

#include "domain/schema.h"
#include "history/history.h"

struct backtest_column {
    const struct history_series *series;
    const float *values; /* of the metric; NULL: the server never had it */
    const struct schema_metric *metric;
};

/* The first step from `from` to `to` at which the value is at or beyond the threshold, in the
 * metric's worse direction; INT64_MAX: none. */
int64_t backtest_first_beyond(const struct backtest_column *column, double threshold, int64_t from,
                              int64_t to);

/* A time beyond a threshold; interruptions of up to an hour belong to it. */
struct backtest_crossing {
    int64_t first, last;
    size_t steps; /* beyond it */
};
/* The first one that begins after `after` and not behind `to`; false: there is none. One that was
 * under way at `after` is passed over. */
bool backtest_next_crossing(const struct backtest_column *column, double threshold, uint32_t step_s,
                            int64_t after, int64_t to, struct backtest_crossing *out);

#endif
