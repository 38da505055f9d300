#include "backtest/truth.h"

#include "backtest/spans.h"
#include "risk/risk.h"

#include <math.h>

static bool beyond(const struct backtest_column *c, double threshold, int64_t step)
{
    const int64_t at = step - c->series->first;
    return c->values != NULL && at >= 0 && at < (int64_t)c->series->steps &&
           risk_beyond(c->metric, (double)c->values[at], threshold);
}

int64_t backtest_first_beyond(const struct backtest_column *c, double threshold, int64_t from,
                              int64_t to)
{
    for (int64_t step = from; step <= to; step++) {
        if (beyond(c, threshold, step))
            return step;
    }
    return INT64_MAX;
}

/* Whether it was beyond within the hour before a step. */
static bool lately(const struct backtest_column *c, double threshold, int64_t apart, int64_t step)
{
    return backtest_first_beyond(c, threshold, step - apart, step - 1) != INT64_MAX;
}

bool backtest_next_crossing(const struct backtest_column *c, double threshold, uint32_t step_s,
                            int64_t after, int64_t to, struct backtest_crossing *out)
{
    const int64_t apart = BACKTEST_APART_S / (int64_t)step_s;
    int64_t step = after + 1;
    if (c->values == NULL || isnan(threshold))
        return false;
    while (step <= to && lately(c, threshold, apart, step))
        step++;
    step = backtest_first_beyond(c, threshold, step, to);
    if (step > to)
        return false;
    *out = (struct backtest_crossing){.first = step, .last = step, .steps = 1};
    const int64_t end = c->series->first + (int64_t)c->series->steps - 1;
    for (int64_t at = step + 1; at <= end && at - out->last <= apart; at++) {
        if (!beyond(c, threshold, at))
            continue;
        out->last = at;
        out->steps++;
    }
    return true;
}
