#include "backtest/choices.h"

#include <assert.h>
#include <math.h>

const char *backtest_knob_name(enum backtest_knob knob)
{
    static const char *const names[] = {"as_set",          "thresholds", "near_probability",
                                        "min_probability", "for_runs",   "horizon_steps"};
    assert((size_t)knob < COUNT(names));
    return names[knob];
}

const char *backtest_kind_name(enum backtest_kind kind)
{
    static const char *const names[] = {"unusual", "thresholds", "any"};
    assert((size_t)kind < COUNT(names));
    return names[kind];
}

static double value_now(const struct alert_options *now, enum backtest_knob knob)
{
    switch (knob) {
    case BACKTEST_NEAR_PROBABILITY:
        return now->near_probability;
    case BACKTEST_MIN_PROBABILITY:
        return now->min_probability;
    case BACKTEST_FOR:
        return now->for_runs;
    case BACKTEST_HORIZON:
        return now->horizon_steps;
    default:
        return 1.0;
    }
}

size_t backtest_choices(const struct alert_options *now, struct backtest_choice *choices)
{
    static const struct {
        enum backtest_knob knob;
        double values[6]; /* 0: no more */
    } tried[] = {
        {BACKTEST_THRESHOLDS,       {0.5, 0.75, 1.5, 2.0, 4.0}},
        {BACKTEST_NEAR_PROBABILITY, {0.4, 0.5, 0.7, 0.8, 0.9} },
        {BACKTEST_MIN_PROBABILITY,  {0.6, 0.7, 0.9, 0.95}     },
        {BACKTEST_FOR,              {1.0, 3.0, 6.0}           },
        {BACKTEST_HORIZON,          {6.0, 24.0, 48.0}         },
    };
    size_t n = 0;
    choices[n++] = (struct backtest_choice){.knob = BACKTEST_AS_SET, .value = 1.0, .current = true};
    for (size_t k = 0; k < COUNT(tried); k++)
        for (size_t i = 0; i < COUNT(tried[k].values) && tried[k].values[i] > 0.0; i++) {
            if (tried[k].values[i] == value_now(now, tried[k].knob))
                continue;
            assert(n < BACKTEST_CHOICES_MAX);
            choices[n++] =
                (struct backtest_choice){.knob = tried[k].knob, .value = tried[k].values[i]};
        }
    return n;
}

/* Of a metric that is bounded: by the odds of its place between best and worst value, so that it
 * stays between them. */
static double move(const struct schema_metric *m, double threshold, double factor)
{
    const bool high = m->worse == METRIC_WORSE_HIGH;
    const double best = high ? m->min : m->max, worst = high ? m->max : m->min;
    if (!isfinite(worst) || !isfinite(best))
        return high ? threshold / factor : threshold * factor;
    const double odds = (threshold - best) / (worst - threshold) / factor; /* NaN stays NaN */
    return isinf(odds) ? worst : best + (worst - best) * odds / (1.0 + odds);
}

void backtest_move_thresholds(struct schema_metric *metric, double factor)
{
    if (metric->worse == METRIC_WORSE_NONE)
        return;
    metric->warning = move(metric, metric->warning, factor);
    metric->critical = move(metric, metric->critical, factor);
}

void backtest_choice_apply(const struct backtest_choice *choice, struct alert_options *options,
                           struct schema *schema)
{
    switch (choice->knob) {
    case BACKTEST_THRESHOLDS:
        for (size_t m = 0; m < schema->count; m++)
            backtest_move_thresholds(&schema->metrics[m], choice->value);
        break;
    case BACKTEST_NEAR_PROBABILITY:
        options->near_probability = choice->value;
        break;
    case BACKTEST_MIN_PROBABILITY:
        options->min_probability = choice->value;
        break;
    case BACKTEST_FOR:
        options->for_runs = (uint32_t)choice->value;
        break;
    case BACKTEST_HORIZON:
        options->horizon_steps = (uint32_t)choice->value;
        break;
    default:
        break;
    }
}

size_t backtest_rates(double now, double rates[BACKTEST_RATES_MAX])
{
    static const double tried[] = {0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0};
    static_assert(COUNT(tried) < BACKTEST_RATES_MAX, "with the present one");
    size_t n = 0;
    bool placed = false;
    for (size_t i = 0; i < COUNT(tried); i++) {
        if (!placed && now <= tried[i]) {
            rates[n++] = now;
            placed = true;
            if (now == tried[i])
                continue;
        }
        rates[n++] = tried[i];
    }
    if (!placed)
        rates[n++] = now;
    return n;
}
