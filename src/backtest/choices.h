/* The settings that are tried beside the one that is set. */
#ifndef FW_BACKTEST_CHOICES_H
#define FW_BACKTEST_CHOICES_H

#include "backtest/backtest.h"

/* Fills choices (BACKTEST_CHOICES_MAX), the present setting first. Returns how many. */
size_t backtest_choices(const struct alert_options *now, struct backtest_choice *choices);
/* Options and schema with a choice applied. */
void backtest_choice_apply(const struct backtest_choice *choice, struct alert_options *options,
                           struct schema *schema);
/* A metric's thresholds `factor` times as far from the worst possible value, or, where that has no
 * end, `factor` times as lenient. */
void backtest_move_thresholds(struct schema_metric *metric, double factor);
/* Rates of alarms, `now` among them, ascending. Returns how many. */
size_t backtest_rates(double now, double rates[BACKTEST_RATES_MAX]);

#endif
