#include "risk/risk.h"

#include "risk/risk_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const char *const scorer_names[] = {
    [RISK_FOREWARN] = "forewarn",
    [RISK_ARGUS] = "argus",
};

static const struct risk_level_style styles[RISK_LEVEL_COUNT] = {
    [RISK_HEALTHY] = {"healthy",  "Healthy",  "#44ff44", "\U0001F7E2", "OK",    "Normal"     },
    [RISK_WATCH] = {"watch",    "Watch",    "#ffcc00", "\U0001F7E1", "WATCH", "Monitor"    },
    [RISK_WARNING] = {"warning",  "Warning",  "#ff9900", "\U0001F7E0", "WARN",  "Investigate"},
    [RISK_CRITICAL] = {"critical", "Critical", "#ff4444", "\U0001F534", "CRIT",  "Act Now"    },
};

const char *risk_scorer_name(enum risk_scorer scorer)
{
    assert((size_t)scorer < COUNT(scorer_names));
    return scorer_names[scorer];
}

bool risk_scorer_parse(const char *text, enum risk_scorer *scorer)
{
    for (size_t i = 0; i < COUNT(scorer_names); i++) {
        if (strcmp(text, scorer_names[i]) == 0) {
            *scorer = (enum risk_scorer)i;
            return true;
        }
    }
    return false;
}

const struct risk_level_style *risk_level_style(enum risk_level level)
{
    assert((size_t)level < RISK_LEVEL_COUNT);
    return &styles[level];
}

void risk_options_default(struct risk_options *options, const struct schema *schema)
{
    *options = (struct risk_options){
        .schema = schema,
        .scorer = RISK_FOREWARN,
        .watch = 20.0,
        .warning = 40.0,
        .critical = 70.0,
    };
}

enum risk_level risk_level_of(const struct risk_options *options, double score)
{
    if (score >= options->critical)
        return RISK_CRITICAL;
    if (score >= options->warning)
        return RISK_WARNING;
    return score >= options->watch ? RISK_WATCH : RISK_HEALTHY;
}

enum risk_level risk_count_level(const struct risk_options *options, double score)
{
    static const struct risk_options reference = {.watch = 50.0, .warning = 60.0, .critical = 80.0};
    return risk_level_of(options->argus_counts ? &reference : options, score);
}

bool risk_beyond(const struct schema_metric *metric, double value, double threshold)
{
    switch (metric->worse) {
    case METRIC_WORSE_HIGH:
        return value >= threshold;
    case METRIC_WORSE_LOW:
        return value <= threshold;
    case METRIC_WORSE_NONE:
        break;
    }
    return false;
}

const struct forecast_path *risk_path(const struct forecast *forecast, int metric)
{
    for (size_t i = 0; i < forecast->path_count; i++) {
        if (forecast->paths[i].metric == metric)
            return &forecast->paths[i];
    }
    return NULL;
}

size_t risk_family(uint16_t metric)
{
    switch (metric) {
    case METRIC_CPU_USER:
    case METRIC_CPU_SYS:
    case METRIC_CPU_IDLE:
    case METRIC_JAVA_CPU:
        return RISK_FAMILY_CPU;
    default:
        return RISK_FAMILY_OWN + (size_t)metric;
    }
}

void risk_add_driver(struct risk_drivers *drivers, const struct risk_driver *driver)
{
    if (!(driver->points > 0.0f))
        return;
    assert(drivers->count < drivers->room);
    /* Most points first; equal points keep the schema's order. */
    size_t at = drivers->count++;
    while (at > 0 && drivers->items[at - 1].points < driver->points) {
        drivers->items[at] = drivers->items[at - 1];
        at--;
    }
    drivers->items[at] = *driver;
}

void risk_score(const struct risk_options *options, const struct forecast *forecast,
                struct risk *risk, struct risk_driver *drivers)
{
    struct risk_drivers filled = {.room = forecast->path_count, .items = drivers};
    double score = options->scorer == RISK_ARGUS
                       ? risk_argus_score(options->schema, forecast, &filled)
                       : risk_forewarn_score(options->schema, forecast, &filled);
    risk->kept = false;
    risk->driver_count = filled.count;
    risk->drivers = drivers;
    score = fmin(fmax(score, 0.0), 100.0);
    /* The level is that of the number people see: 69.96 is shown as 70.0 and is critical. */
    score = round(score * 10.0) / 10.0;
    risk->score = (float)score;
    risk->level = risk_level_of(options, score);
    risk_server_crossing(options->schema, forecast, risk);
    risk_server_argus(forecast, risk);
}
