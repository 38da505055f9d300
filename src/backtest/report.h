/* What a backtest found, for people and for programs. docs/backtest.md explains every figure. */
#ifndef FW_BACKTEST_REPORT_H
#define FW_BACKTEST_REPORT_H

#include "backtest/backtest.h"
#include "base/buf.h"

/* Check out->failed when all is written. */
void backtest_report_text(const struct backtest_result *result, struct fw_buf *out);
/* {"sets":[...]}; what cannot be computed is null. */
void backtest_report_json(size_t n, struct backtest_result *const *results, struct fw_buf *out);
/* One line for every alert and alarm. */
void backtest_report_csv(size_t n, struct backtest_result *const *results, struct fw_buf *out);

/* ---- what the formats share ---- */

#define BACKTEST_FALSE_PER_DAY 0.1 /* what the report of labels is asked for */

/* The rate with most incidents caught at no more than 0.1 false alarms per server and day; NULL:
 * none, or no labels. */
const struct backtest_rate_choice *backtest_report_best(const struct backtest_result *result);

/* One line of the list: an alert about a threshold or a silence, or an alarm for unusual
 * behaviour. */
struct backtest_line {
    const struct backtest_alert *alert; /* one of the two */
    const struct backtest_alarm *alarm;
    size_t server;
    int64_t first_step, last_step; /* last: INT64_MAX while it fired to the end */
    bool about;                    /* a known incident */
};
/* All, by time and server; *n of them. The caller frees; NULL: no memory, or none (*n is 0). */
struct backtest_line *backtest_report_lines(const struct backtest_result *result, size_t *n);

#endif
