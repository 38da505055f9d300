/* What a path says about a metric's thresholds, and how often it must say so (docs/alerts.md). */
#include "alert/alert_internal.h"

#include <assert.h>
#include <math.h>

/* To keep an alert that was raised by a crossing far ahead, this share of the chance suffices. */
static const double keep_share = 0.75;

/* The threshold that a value must be back behind before the alert clears. */
static double relaxed_threshold(const struct schema_metric *metric, double threshold,
                                double hysteresis)
{
    const bool high = metric->worse == METRIC_WORSE_HIGH;
    const double best = high ? metric->min : metric->max;
    const double way = isfinite(best) ? fabs(threshold - best) : fabs(threshold);
    return high ? threshold - hysteresis * way : threshold + hysteresis * way;
}

/* 1-based index of the worst value. */
static uint32_t worst_step(const struct schema_metric *metric, const float *values, size_t n)
{
    size_t worst = 0;
    for (size_t i = 1; i < n; i++) {
        const bool worse = metric->worse == METRIC_WORSE_HIGH ? values[i] > values[worst]
                                                              : values[i] < values[worst];
        if (worse)
            worst = i;
    }
    return (uint32_t)worst + 1;
}

/* The first step of p50 at or beyond the threshold among the first n, or 0. */
static uint32_t first_crossing(const struct schema_metric *metric, const float *p50, size_t n,
                               double threshold)
{
    for (size_t i = 0; i < n; i++) {
        if (risk_beyond(metric, (double)p50[i], threshold))
            return (uint32_t)i + 1;
    }
    return 0;
}

static bool crosses_soon(const struct alert_options *options, const struct schema_metric *metric,
                         const struct forecast_path *path, struct alert_condition *c)
{
    const uint32_t step = first_crossing(metric, path->p50, options->horizon_steps, c->threshold);
    if (step == 0 || risk_crossing_probability(metric, path, c->threshold, options->horizon_steps) <
                         options->near_probability)
        return false;
    c->steps_ahead = step;
    c->predicted = path->p50[step - 1];
    return true;
}

/* Only what fills up and stays full is worth a word hours ahead: a peak in five hours is often the
 * nightly work, and nobody needs to act on it yet. */
static bool crosses_later(const struct alert_options *options, const struct schema_metric *metric,
                          const struct forecast_path *path, struct alert_condition *c)
{
    if (!metric->accumulates)
        return false;
    const size_t likely =
        risk_crossing_step(metric, path, c->threshold, options->min_probability, FORECAST_HORIZON);
    if (likely == 0)
        return false;
    const uint32_t median = first_crossing(metric, path->p50, FORECAST_HORIZON, c->threshold);
    c->steps_ahead = median != 0 ? median : (uint32_t)likely;
    c->predicted = path->p50[c->steps_ahead - 1];
    return true;
}

static bool still_near(const struct alert_options *options, const struct schema_metric *metric,
                       const struct forecast_path *path, double threshold)
{
    const double back = relaxed_threshold(metric, threshold, options->hysteresis);
    if (risk_beyond(metric, (double)path->current, back) ||
        first_crossing(metric, path->p50, options->horizon_steps, back) != 0)
        return true;
    return metric->accumulates && risk_crossing_probability(metric, path, back, FORECAST_HORIZON) >=
                                      keep_share * options->min_probability;
}

static void judge_threshold(const struct alert_options *options, const struct schema_metric *metric,
                            const struct forecast_path *path, double threshold, bool active,
                            struct alert_condition *c)
{
    *c = (struct alert_condition){.set = !isnan(threshold), .threshold = threshold};
    if (!c->set)
        return;
    if (risk_beyond(metric, (double)path->current, threshold)) {
        c->strict = true;
        c->predicted = path->current;
    } else {
        c->strict =
            crosses_soon(options, metric, path, c) || crosses_later(options, metric, path, c);
    }
    c->relaxed = c->strict || (active && still_near(options, metric, path, threshold));
}

bool alert_judge(const struct alert_options *options, const struct schema_metric *metric,
                 const struct forecast_path *path, bool active, struct alert_verdict *verdict)
{
    if (metric->worse == METRIC_WORSE_NONE || (isnan(metric->warning) && isnan(metric->critical))) {
        *verdict = (struct alert_verdict){0};
        return active;
    }
    /* Most paths stay far from everything: two looks settle it. */
    const double first = isnan(metric->warning) ? metric->critical : metric->warning;
    const float *tail = metric->worse == METRIC_WORSE_HIGH ? path->p90 : path->p10;
    const uint32_t tail_step = worst_step(metric, tail, FORECAST_HORIZON);
    if (!active && !risk_beyond(metric, (double)path->current, first) &&
        !risk_beyond(metric, (double)tail[tail_step - 1], first))
        return false;

    judge_threshold(options, metric, path, metric->warning, active,
                    &verdict->conditions[ALERT_WARNING]);
    judge_threshold(options, metric, path, metric->critical, active,
                    &verdict->conditions[ALERT_CRITICAL]);
    verdict->peak_steps = worst_step(metric, path->p50, FORECAST_HORIZON);
    verdict->peak = path->p50[verdict->peak_steps - 1];
    verdict->near_steps = worst_step(metric, path->p50, options->horizon_steps);
    verdict->near_worst = path->p50[verdict->near_steps - 1];
    return active || verdict->conditions[ALERT_WARNING].strict ||
           verdict->conditions[ALERT_CRITICAL].strict;
}

/* Whether `origin_ms` is a step that has not been counted. A grid that fell back by more than the
 * horizon was moved (a clock put right): it starts anew. */
static bool new_step(const struct alert_options *options, int64_t counted_ms, int64_t origin_ms)
{
    const int64_t moved_ms = FORECAST_HORIZON * (int64_t)options->step_s * 1000;
    return origin_ms > counted_ms || origin_ms < counted_ms - moved_ms;
}

bool alert_latch_update(struct alert_latch *latch, const struct alert_options *options, bool strict,
                        bool relaxed, int64_t origin_ms)
{
    assert(options->for_runs >= 1 && options->clear_runs >= 1);
    const struct alert_latch before = *latch;
    if (!latch->on) {
        if (!strict) {
            latch->held = 0;
        } else if (latch->held == 0 || new_step(options, latch->held_origin_ms, origin_ms)) {
            latch->held++;
            latch->held_origin_ms = origin_ms;
        }
        if (latch->held >= options->for_runs)
            *latch =
                (struct alert_latch){.on = true, .held = latch->held, .held_origin_ms = origin_ms};
    } else if (relaxed) {
        latch->clear = 0;
    } else if (latch->clear == 0 || new_step(options, latch->clear_origin_ms, origin_ms)) {
        latch->clear++;
        latch->clear_origin_ms = origin_ms;
        if (latch->clear >= options->clear_runs)
            *latch = (struct alert_latch){.on = false};
    }
    return latch->on != before.on || latch->held != before.held || latch->clear != before.clear;
}
