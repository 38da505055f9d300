/* The settings that are tried beside the one that is set. */
#ifndef FW_BACKTEST_CHOICES_H
#define FW_BACKTEST_CHOICES_H

#include "backtest/backtest.h"

/* Fills choices (BACKTEST_CHOICES_MAX), the present setting first. Returns how many. */
size_t backtest_choices(const struct alert_options *now, struct backtest_choice *choices);
/* Options and schema with a choice applied. */
void backtest_choice_apply(const struct backtest_choice *choice, struct alert_options *options,
                           struct schema *schema);
/* Moves a metric's thresholds so that alerts come earlier (factor above 1) or later (below). The
 * odds of a threshold's place between the best and the worst possible value are divided by the
 * factor: 85 % becomes 73.9 with 2 and 91.9 with 0.5. Where there is no worst value, the threshold
 * itself is. */
void backtest_move_thresholds(struct schema_metric *metric, double factor);
/* Rates of alarms, `now` among them, ascending. Returns how many. */
size_t backtest_rates(double now, double rates[BACKTEST_RATES_MAX]);

#endif
