/* Alarms and incidents as spans of time, and how the ones meet the others. The rules are those of
 * docs/backtest.md, "Against labels". */
#ifndef FW_BACKTEST_SPANS_H
#define FW_BACKTEST_SPANS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BACKTEST_APART_S = 3600,  /* firings no further apart than this are one alarm */
    BACKTEST_EARLY_S = 7200,  /* an alarm is about an incident that begins so much later */
    BACKTEST_WARNED_S = 1800, /* an incident was warned of when the alarm came so much before */
    BACKTEST_SHIFTS = 200,    /* the chance line: the same alarms at other times */
};

/* Seconds since 1970, both ends inclusive. */
struct backtest_span {
    int64_t first, last;
};
struct backtest_spans {
    size_t n, capacity;
    struct backtest_span *items;
};
/* False: no memory. */
bool backtest_spans_add(struct backtest_spans *spans, struct backtest_span span);
/* A detector fires; times ascend. Joins the last span where that is near. False: no memory. */
bool backtest_spans_fire(struct backtest_spans *spans, int64_t time_s);
void backtest_spans_fini(struct backtest_spans *spans);

/* One server. */
struct backtest_watch {
    struct backtest_span watched; /* from its first step to its last */
    struct backtest_spans incidents;
    struct backtest_spans alarms;
};

/* Over all servers. Rates that have no denominator are NaN. */
struct backtest_match {
    size_t incidents, caught, warned;
    size_t alarms, good; /* good: about an incident */
    double days;         /* watched */
    double recall, chance_recall, precision, chance_precision, warned_share;
    double false_per_day; /* alarms that are not good, a server and day */
    double lead_s; /* median over caught incidents; at most BACKTEST_EARLY_S, below 0: late */
};

/* Incidents that began before their server was watched do not count. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status backtest_match(size_t n, const struct backtest_watch *servers,
                                            struct backtest_match *out, struct fw_error *err);

/* Median, in place; NaN of nothing. */
double backtest_median(double *values, size_t n);

#endif
