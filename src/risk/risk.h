/* Risk: a forecast and the schema's thresholds -> a score of 0 to 100 with its reasons, and the
 * chance of crossing. docs/risk.md has the formula of scorer `forewarn` and why; `argus` is API
 * contract 13.1 to six decimals. Pure functions: any thread. */
#ifndef FW_RISK_RISK_H
#define FW_RISK_RISK_H

#include "forecast/forecast.h"

enum risk_scorer { RISK_FOREWARN, RISK_ARGUS };
const char *risk_scorer_name(enum risk_scorer scorer); /* "forewarn", "argus" */
/* By name; false (and *scorer untouched) when it is none. */
bool risk_scorer_parse(const char *text, enum risk_scorer *scorer);

enum risk_level { RISK_HEALTHY, RISK_WATCH, RISK_WARNING, RISK_CRITICAL, RISK_LEVEL_COUNT };
struct risk_level_style {
    const char *name, *label, *color, *emoji, *short_label, *action; /* API contract 13.2 */
};
const struct risk_level_style *risk_level_style(enum risk_level level);

struct risk_options {
    const struct schema *schema;
    enum risk_scorer scorer;
    double watch, warning, critical; /* bounds of the levels: 20, 40, 70 by default */
    bool argus_counts; /* fleet counts by the reference's bounds 80/60/50 (`levels=argus-counts`) */
};
void risk_options_default(struct risk_options *options, const struct schema *schema);

/* The level of a score by the options' bounds. */
enum risk_level risk_level_of(const struct risk_options *options, double score);
/* The level a server is counted under in summaries and histories: the same, unless argus_counts. */
enum risk_level risk_count_level(const struct risk_options *options, double score);

struct risk_driver {
    uint16_t metric;
    float points;    /* `forewarn`: 0 to 100, combined as 100 * (1 - product(1 - points / 100));
                        `argus`: its share of the sum before clamping */
    float current;   /* NaN: none is held */
    float predicted; /* the value that made the points: see docs/risk.md */
    float threshold; /* the one that it is judged by; NaN where there is none */
    float
        probability; /* chance of crossing `threshold` within the horizon, 0 to 1; 0 without one */
};

struct risk {
    float score;           /* 0 to 100, one decimal */
    enum risk_level level; /* of that score */
    float crossing_30m,
        crossing_8h; /* chance that any metric passes its critical threshold (the warning one where
                        it has no other) within 6 and 96 steps; 8h >= 30m */
    bool kept;       /* taken over from the outlook before, with the very same forecast */
    uint32_t driver_count;
    double argus_soon, argus_late; /* the server's part in the reference's sums about the fleet */
    const struct risk_driver *drivers; /* (driver_count) most points first; those without points are
                                          left out. Another's memory: a fleet is walked through
                                          often, and mostly for the scores */
};
/* Fills `drivers` (forecast->path_count), which the risk then points to. */
void risk_score(const struct risk_options *options, const struct forecast *forecast,
                struct risk *risk, struct risk_driver *drivers);

/* Chance that the path passes `threshold` (in the metric's worse direction) at least once within
 * steps 1..steps (at most FORECAST_HORIZON), or has passed it already. From the quantiles, steps
 * taken as strongly dependent: docs/risk.md. 0 to 0.999: never certain. 0 for a NaN threshold or a
 * metric that has no worse direction. Never falls when `steps` grows, nor when the threshold is
 * moved nearer. */
double risk_crossing_probability(const struct schema_metric *metric,
                                 const struct forecast_path *path, double threshold, size_t steps);
/* The first step n (1..steps) by which that chance is at least `chance`; 0 when it never is. */
size_t risk_crossing_step(const struct schema_metric *metric, const struct forecast_path *path,
                          double threshold, double chance, size_t steps);

/* Whether `value` is at or beyond `threshold` in the metric's worse direction; false for NaN. */
bool risk_beyond(const struct schema_metric *metric, double value, double threshold);

/* The fleet (API contract 13.8). prob_8h >= prob_30m always; the argus_ values are the reference's
 * own. */
struct risk_environment {
    double prob_30m, prob_8h; /* at least one critical crossing in the fleet */
    double argus_score_30m, argus_score_8h;
    size_t high_risk_servers; /* crossing_30m > 0.5 */
    size_t argus_high_risk_servers;
    size_t total_servers;
    const char *fleet_health; /* "healthy", "warning", "critical"; "unknown" for an empty fleet */
    const char *argus_fleet_health;
};
/* `risks` is parallel to set->items. */
void risk_environment(const struct risk_options *options, const struct forecast_set *set,
                      const struct risk *risks, struct risk_environment *environment);

#endif
