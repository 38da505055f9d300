/* Risk: a forecast and the schema's thresholds -> a score of 0 to 100 with its reasons, and the
 * chance of crossing. docs/risk.md has the formula of scorer `forewarn` and why; `argus` is API
 * contract 13.1 to six decimals. Pure functions: any thread. */
#ifndef FW_RISK_RISK_H
#define FW_RISK_RISK_H

#include "forecast/forecast.h"

enum risk_scorer { RISK_FOREWARN, RISK_ARGUS };
const char *risk_scorer_name(enum risk_scorer scorer);

enum risk_level { RISK_HEALTHY, RISK_WATCH, RISK_WARNING, RISK_CRITICAL, RISK_LEVEL_COUNT };
struct risk_level_style {
    const char *name, *label, *color, *emoji, *short_label, *action; /* API contract 13.2 */
};
const struct risk_level_style *risk_level_style(enum risk_level level);

struct risk_options {
    const struct schema *schema;
    enum risk_scorer scorer;
    double watch, warning, critical; /* bounds of the levels: 20, 40, 70 by default */
};
void risk_options_default(struct risk_options *options, const struct schema *schema);

struct risk_driver {
    uint16_t metric;
    float points; /* its share of the score before clamping */
    float current;
    float predicted;   /* the value that made the points: see docs/risk.md */
    float threshold;   /* the one that it is judged by; NaN where there is none */
    float probability; /* chance of crossing `threshold` within the horizon, 0 to 1 */
};

struct risk {
    float score; /* 0 to 100 */
    enum risk_level level;
    float crossing_30m,
        crossing_8h;     /* chance that any threshold is crossed within 6 and 96 steps; 8h >= 30m */
    size_t driver_count; /* most points first; drivers without points are left out */
    struct risk_driver drivers[SCHEMA_METRICS_MAX];
};
void risk_score(const struct risk_options *options, const struct forecast *forecast,
                struct risk *risk);

/* Chance that the path passes `threshold` (in the metric's worse direction) at least once within
 * steps 1..steps. From the quantiles, steps taken as dependent: docs/risk.md. 0 to 1. */
double risk_crossing_probability(const struct schema_metric *metric,
                                 const struct forecast_path *path, double threshold, size_t steps);

/* The fleet (API contract 13.8). prob_8h >= prob_30m always; the argus_ numbers are the reference's
 * own. */
struct risk_environment {
    double prob_30m, prob_8h;
    double argus_score_30m, argus_score_8h;
    size_t high_risk_servers; /* crossing_30m > 0.5 */
    size_t total_servers;
    const char *fleet_health; /* "healthy", "warning", "critical"; "unknown" for an empty fleet */
};
void risk_environment(const struct risk_options *options, const struct forecast_set *set,
                      const struct risk *risks, struct risk_environment *environment);

#endif
