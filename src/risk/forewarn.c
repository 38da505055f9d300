/* Scorer `forewarn`: docs/risk.md has the formulas in words, with their reasons and an example
 * worked by hand; names here are the ones used there. */
#include "risk/risk_internal.h"

#include <math.h>

enum {
    BLOCK_STEPS = RISK_STEPS_30M,
    BLOCKS = FORECAST_HORIZON / BLOCK_STEPS,
};

/* Points of a value at its thresholds and at the end of its range. */
static const double points_warning = 40.0;
static const double points_warning_filling = 25.0; /* standing still there harms nobody */
static const double points_critical = 70.0;
static const double points_exhausted = 95.0;
/* What is now against what comes in the next half hour. */
static const double share_now = 0.35;
/* Steps after which the same trouble counts half: four hours, six for what fills up and stays. */
static const double half_life = 48.0, half_life_filling = 72.0;

/* Symptoms rather than exhausted resources weigh less. */
static double metric_weight(uint16_t metric)
{
    switch (metric) {
    case METRIC_CPU_IOWAIT:
        return 0.8;
    case METRIC_SWAP_USED:
        return 0.6;
    default:
        return 1.0;
    }
}

/* A metric turned so that larger is worse, its thresholds completed. */
struct scale {
    double sign;
    double knee, warning, critical; /* critical is infinite when there is none */
    double end;                     /* of the range; infinite when there is none */
    double span;
    double points_warning;
    bool filling;
};

static double default_span(const struct schema_metric *metric, double threshold)
{
    if (isfinite(metric->min) && isfinite(metric->max))
        return 0.1 * (metric->max - metric->min);
    return threshold != 0.0 ? 0.2 * fabs(threshold) : 1.0;
}

/* From the best possible value to the warning threshold. */
static double good_range(const struct schema_metric *metric, const struct scale *scale)
{
    const double best = metric->worse == METRIC_WORSE_HIGH ? metric->min : -metric->max;
    if (isfinite(best) && best < scale->warning)
        return scale->warning - best;
    return scale->warning != 0.0 && isfinite(scale->warning) ? fabs(scale->warning) : scale->span;
}

/* False when the metric has nothing to be judged by. */
static bool scale_init(const struct schema_metric *metric, struct scale *scale)
{
    const bool has_warning = !isnan(metric->warning), has_critical = !isnan(metric->critical);
    if (metric->worse == METRIC_WORSE_NONE || (!has_warning && !has_critical))
        return false;
    const bool high = metric->worse == METRIC_WORSE_HIGH;
    scale->sign = high ? 1.0 : -1.0;
    scale->end = high ? metric->max : -metric->min;
    scale->filling = metric->accumulates;
    scale->points_warning = metric->accumulates ? points_warning_filling : points_warning;
    scale->span = has_warning && has_critical ? fabs(metric->critical - metric->warning) : 0.0;
    if (scale->span <= 0.0)
        scale->span = default_span(metric, has_critical ? metric->critical : metric->warning);
    scale->critical = has_critical ? scale->sign * metric->critical : (double)INFINITY;
    scale->warning = has_warning ? scale->sign * metric->warning : scale->critical - scale->span;
    scale->knee = scale->warning - fmin(0.5 * scale->span, 0.25 * good_range(metric, scale));
    return true;
}

/* s(v): 0 to 95, rising, continuous but where both thresholds are one. */
static double severity(const struct scale *scale, double value)
{
    const double x = scale->sign * value;
    if (!(x > scale->knee)) /* NaN has no points either */
        return 0.0;
    if (x < scale->warning)
        return scale->points_warning * (x - scale->knee) / (scale->warning - scale->knee);
    if (x < scale->critical) {
        const double above = points_critical - scale->points_warning;
        if (!isinf(scale->critical))
            return scale->points_warning +
                   above * (x - scale->warning) / (scale->critical - scale->warning);
        /* No critical threshold: never critical by itself. */
        const double far = (x - scale->warning) / scale->span;
        return scale->points_warning + 0.9 * above * far / (1.0 + far);
    }
    const double above = points_exhausted - points_critical;
    if (isinf(scale->end)) {
        const double far = (x - scale->critical) / scale->span;
        return points_critical + above * far / (1.0 + far);
    }
    if (x >= scale->end)
        return scale->end > scale->critical ? points_exhausted : points_critical;
    return points_critical + above * (x - scale->critical) / (scale->end - scale->critical);
}

/* Expected severity of a block of steps: Swanson's 30-40-30 weights on the three quantiles. */
static double block_severity(const struct scale *scale, const struct forecast_path *path,
                             size_t block)
{
    double sum = 0.0;
    for (size_t i = block * BLOCK_STEPS; i < (block + 1) * BLOCK_STEPS; i++)
        sum += 0.3 * severity(scale, (double)path->p10[i]) +
               0.4 * severity(scale, (double)path->p50[i]) +
               0.3 * severity(scale, (double)path->p90[i]);
    return sum / BLOCK_STEPS;
}

static double block_mean(const float *values, size_t block)
{
    double sum = 0.0;
    for (size_t i = block * BLOCK_STEPS; i < (block + 1) * BLOCK_STEPS; i++)
        sum += (double)values[i];
    return sum / BLOCK_STEPS;
}

/* Steps until the path passes `limit`, with the fraction of the step; infinite when it does not. */
static double steps_to(const struct scale *scale, const float *path, double current, double limit)
{
    double before = scale->sign * current;
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        const double after = scale->sign * (double)path[i];
        if (after >= limit) {
            if (!(before < limit)) /* there already; or nothing is known of now */
                return (double)i;
            return (double)i + (limit - before) / (after - before);
        }
        before = after;
    }
    return (double)INFINITY;
}

/* What fills up: the points of the threshold, halved for every half-life until it is reached. */
static double filling_points(const struct scale *scale, const struct forecast_path *path)
{
    const bool has_critical = !isinf(scale->critical);
    const double limit = has_critical ? scale->critical : scale->warning;
    const double points = has_critical ? points_critical : scale->points_warning;
    const double current = (double)path->current;
    return points * (0.3 * exp2(-steps_to(scale, path->p10, current, limit) / half_life_filling) +
                     0.4 * exp2(-steps_to(scale, path->p50, current, limit) / half_life_filling) +
                     0.3 * exp2(-steps_to(scale, path->p90, current, limit) / half_life_filling));
}

static double worst_of(const struct scale *scale, const float *values)
{
    double worst = (double)values[0];
    for (size_t i = 1; i < FORECAST_HORIZON; i++) {
        if (scale->sign * (double)values[i] > scale->sign * worst)
            worst = (double)values[i];
    }
    return worst;
}

/* Whether any value of the path can have points: most cannot, and need no arithmetic. */
static bool reaches_knee(const struct scale *scale, const struct forecast_path *path)
{
    if (scale->sign * (double)path->current > scale->knee)
        return true;
    const float *worse = scale->sign > 0.0 ? path->p90 : path->p10;
    return scale->sign * worst_of(scale, worse) > scale->knee;
}

/* Points of one metric before its weight, and the value that made them. */
static double path_points(const struct scale *scale, const struct forecast_path *path,
                          double *predicted)
{
    *predicted = block_mean(path->p50, 0);
    double points = share_now * severity(scale, (double)path->current) +
                    (1.0 - share_now) * block_severity(scale, path, 0);
    if (scale->filling) {
        const double filling = filling_points(scale, path);
        if (filling > points) {
            points = filling;
            *predicted = worst_of(scale, path->p50);
        }
        return points;
    }
    for (size_t block = 1; block < BLOCKS; block++) {
        const double later =
            block_severity(scale, path, block) * exp2(-(double)(block * BLOCK_STEPS) / half_life);
        if (later > points) {
            points = later;
            *predicted = block_mean(path->p50, block);
        }
    }
    return points;
}

static void score_path(const struct schema_metric *metric, const struct forecast_path *path,
                       struct risk_driver *driver)
{
    *driver = (struct risk_driver){.metric = path->metric};
    struct scale scale;
    if (!scale_init(metric, &scale) || !reaches_knee(&scale, path))
        return;
    double predicted;
    driver->points = (float)(metric_weight(path->metric) * path_points(&scale, path, &predicted));
    if (!(driver->points > 0.0f))
        return;
    const bool critical =
        !isnan(metric->critical) &&
        (isnan(metric->warning) || risk_beyond(metric, predicted, metric->critical));
    const double threshold = critical ? metric->critical : metric->warning;
    driver->current = path->current;
    driver->predicted = (float)predicted;
    driver->threshold = (float)threshold;
    driver->probability =
        (float)risk_crossing_probability(metric, path, threshold, FORECAST_HORIZON);
}

double risk_forewarn_score(const struct schema *schema, const struct forecast *forecast,
                           struct risk_drivers *drivers)
{
    /* Only the CPU family has several members, so only its worst needs to be remembered. */
    struct risk_driver cpu = {0};
    double left = 1.0;
    for (size_t i = 0; i < forecast->path_count; i++) {
        const struct forecast_path *path = &forecast->paths[i];
        struct risk_driver driver;
        score_path(&schema->metrics[path->metric], path, &driver);
        if (risk_family(path->metric) == RISK_FAMILY_CPU) {
            if (driver.points > cpu.points)
                cpu = driver;
            continue;
        }
        risk_add_driver(drivers, &driver);
        left *= 1.0 - (double)driver.points / 100.0;
    }
    risk_add_driver(drivers, &cpu);
    left *= 1.0 - (double)cpu.points / 100.0;
    return 100.0 * (1.0 - left);
}
