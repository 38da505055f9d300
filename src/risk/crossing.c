/* The chance of crossing a threshold, from three quantiles a step (docs/risk.md, "The chance of
 * crossing"). */
#include "risk/risk_internal.h"

#include <assert.h>
#include <math.h>

/* How far the answer lies from full dependence of the steps (0) towards independence (1). */
static const double independence = 0.1;
/* Nothing that has not happened is certain, and a reading may be wrong. */
static const double certain = 0.999;
static const double z_of_p90 = 1.2815515655446004;
/* Beyond so many deviations the chance is below 1e-9: not worth an erfc. */
static const double z_far = 6.0;

/* Chance that a step's value is at or beyond `excess` above its median, both measured so that
 * larger is worse. Each side of the median is half a normal, fitted to its own quantile. */
static double step_chance(double better, double median, double worse, double threshold)
{
    const double gap = threshold - median;
    const double spread = (gap > 0.0 ? worse - median : median - better) / z_of_p90;
    if (gap > z_far * spread)
        return 0.0;
    if (!(spread > 0.0))
        return 1.0; /* no spread, and gap <= 0: it is there */
    return 0.5 * erfc(gap / (spread * sqrt(2.0)));
}

struct crossing {
    double sign; /* turns the metric so that larger is worse */
    const float *better, *worse;
    const float *median;
    double threshold;
    double highest; /* chance of the likeliest step so far */
    double missed;  /* product of (1 - chance): none, were the steps independent */
};

static void crossing_begin(struct crossing *c, const struct schema_metric *metric,
                           const struct forecast_path *path, double threshold)
{
    const bool high = metric->worse == METRIC_WORSE_HIGH;
    *c = (struct crossing){
        .sign = high ? 1.0 : -1.0,
        .better = high ? path->p10 : path->p90,
        .worse = high ? path->p90 : path->p10,
        .median = path->p50,
        .threshold = high ? threshold : -threshold,
        .missed = 1.0,
    };
    if (risk_beyond(metric, (double)path->current, threshold))
        c->highest = 1.0;
}

/* Takes in step `i` (from 0) and returns the chance of a crossing by its end. */
static double crossing_step(struct crossing *c, size_t i)
{
    const double chance =
        step_chance(c->sign * (double)c->better[i], c->sign * (double)c->median[i],
                    c->sign * (double)c->worse[i], c->threshold);
    if (chance > c->highest)
        c->highest = chance;
    c->missed *= 1.0 - chance;
    const double any = fmax(1.0 - c->missed, c->highest);
    return fmin(c->highest + independence * (any - c->highest), certain);
}

static bool can_cross(const struct schema_metric *metric, double threshold)
{
    return metric->worse != METRIC_WORSE_NONE && !isnan(threshold);
}

double risk_crossing_probability(const struct schema_metric *metric,
                                 const struct forecast_path *path, double threshold, size_t steps)
{
    assert(steps <= FORECAST_HORIZON);
    if (!can_cross(metric, threshold))
        return 0.0;
    struct crossing c;
    crossing_begin(&c, metric, path, threshold);
    double chance = fmin(c.highest, certain);
    for (size_t i = 0; i < steps && chance < certain; i++)
        chance = crossing_step(&c, i);
    return chance;
}

size_t risk_crossing_step(const struct schema_metric *metric, const struct forecast_path *path,
                          double threshold, double chance, size_t steps)
{
    assert(steps <= FORECAST_HORIZON);
    if (!can_cross(metric, threshold))
        return 0;
    struct crossing c;
    crossing_begin(&c, metric, path, threshold);
    for (size_t i = 0; i < steps; i++) {
        if (crossing_step(&c, i) >= chance)
            return i + 1;
    }
    return 0;
}

/* The threshold whose crossing is an incident. */
static double incident_threshold(const struct schema_metric *metric)
{
    return isnan(metric->critical) ? metric->warning : metric->critical;
}

void risk_server_crossing(const struct schema *schema, const struct forecast *forecast,
                          struct risk *risk)
{
    double soon[RISK_FAMILIES_MAX] = {0}, late[RISK_FAMILIES_MAX] = {0};
    for (size_t i = 0; i < forecast->path_count; i++) {
        const struct forecast_path *path = &forecast->paths[i];
        const struct schema_metric *metric = &schema->metrics[path->metric];
        const double threshold = incident_threshold(metric);
        const size_t family = risk_family(path->metric);
        const double within_8h =
            risk_crossing_probability(metric, path, threshold, FORECAST_HORIZON);
        if (within_8h <= 0.0)
            continue;
        const double within_30m =
            risk_crossing_probability(metric, path, threshold, RISK_STEPS_30M);
        late[family] = fmax(late[family], within_8h);
        soon[family] = fmax(soon[family], within_30m);
    }
    double none_soon = 1.0, none_late = 1.0;
    for (size_t i = 0; i < RISK_FAMILIES_MAX; i++) {
        none_soon *= 1.0 - soon[i];
        none_late *= 1.0 - late[i];
    }
    risk->crossing_30m = (float)(1.0 - none_soon);
    risk->crossing_8h = (float)(1.0 - none_late);
}
