/* The fleet as a whole: the chance of an incident, and the reference's own sums beside it. */
#include "risk/risk_internal.h"

#include <math.h>

/* API contract 13.8: `beyond` adds the larger share, `near` the smaller one; strict comparisons. */
static const struct {
    uint16_t metric;
    double warning, critical;
} argus_rows[] = {
    {METRIC_CPU_USER,   80, 90},
    {METRIC_CPU_SYS,    50, 70},
    {METRIC_CPU_IOWAIT, 20, 40},
    {METRIC_MEM_USED,   85, 95},
    {METRIC_SWAP_USED,  10, 30},
    {METRIC_DISK_USAGE, 80, 90},
    {METRIC_JAVA_CPU,   70, 85},
};
static const double argus_idle_warning = 20, argus_idle_critical = 10, argus_p90_margin = 5;

static double highest(const float *values, size_t n)
{
    double most = -(double)INFINITY;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, (double)values[i]);
    return most;
}

static double lowest(const float *values, size_t n)
{
    double least = (double)INFINITY;
    for (size_t i = 0; i < n; i++)
        least = fmin(least, (double)values[i]);
    return least;
}

/* One server's sum over the first `steps` steps, at most 1. */
static double argus_server_sum(const struct forecast *forecast, size_t steps, double critical_share,
                               double warning_share)
{
    double sum = 0.0;
    for (size_t i = 0; i < COUNT(argus_rows); i++) {
        const struct forecast_path *path = risk_path(forecast, argus_rows[i].metric);
        if (path == NULL)
            continue;
        const double p50 = highest(path->p50, steps), p90 = highest(path->p90, steps);
        const double critical = argus_rows[i].critical, warning = argus_rows[i].warning;
        if (p50 > critical || p90 > critical + argus_p90_margin)
            sum += critical_share;
        else if (p50 > warning || p90 > warning + argus_p90_margin)
            sum += warning_share;
    }
    const struct forecast_path *idle = risk_path(forecast, METRIC_CPU_IDLE);
    if (idle != NULL) {
        const double p50 = lowest(idle->p50, steps);
        if (p50 < argus_idle_critical)
            sum += critical_share;
        else if (p50 < argus_idle_warning)
            sum += warning_share;
    }
    return fmin(sum, 1.0);
}

void risk_server_argus(const struct forecast *forecast, struct risk *risk)
{
    risk->argus_soon = argus_server_sum(forecast, RISK_STEPS_30M, 0.25, 0.10);
    risk->argus_late = argus_server_sum(forecast, FORECAST_HORIZON, 0.20, 0.08);
}

static const char *health_word(double probability, size_t servers)
{
    if (servers == 0)
        return "unknown";
    if (probability > 0.6)
        return "critical";
    return probability > 0.3 ? "warning" : "healthy";
}

void risk_environment(const struct risk_options *options, const struct forecast_set *set,
                      const struct risk *risks, struct risk_environment *environment)
{
    (void)options; /* both numbers have fixed rules today; the levels do not enter */
    *environment = (struct risk_environment){.total_servers = set->count};
    /* Sums of logarithms: a product of ten thousand factors near 1 loses digits, and a server
     * that is almost sure to cross must not make the others vanish. */
    double log_none_soon = 0.0, log_none_late = 0.0;
    double sum_soon = 0.0, sum_late = 0.0;
    for (size_t i = 0; i < set->count; i++) {
        log_none_soon += log1p(-fmin((double)risks[i].crossing_30m, 0.999999));
        log_none_late += log1p(-fmin((double)risks[i].crossing_8h, 0.999999));
        environment->high_risk_servers += risks[i].crossing_30m > 0.5f;
        sum_soon += risks[i].argus_soon;
        sum_late += risks[i].argus_late;
        environment->argus_high_risk_servers += risks[i].argus_soon > 0.5;
    }
    environment->prob_30m = -expm1(log_none_soon);
    environment->prob_8h = fmax(-expm1(log_none_late), environment->prob_30m);
    if (set->count > 0) {
        environment->argus_score_30m = sum_soon / (double)set->count;
        environment->argus_score_8h = sum_late / (double)set->count;
    }
    environment->fleet_health = health_word(environment->prob_30m, set->count);
    environment->argus_fleet_health = health_word(environment->argus_score_30m, set->count);
}
