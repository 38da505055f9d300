/* Of GET /metrics: forecasts, what they were worth, risks and alerts. */
#include "api/api_internal.h"

#include "api/exposition.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_alerts(struct exposition *w, const struct outlook *outlook)
{
    size_t counts[3][2] = {{0}};
    char labels[96];
    for (size_t i = 0; i < outlook->alerts->count; i++)
        counts[outlook->alerts->items[i].state][outlook->alerts->items[i].severity]++;
    exposition_family(w, "forewarn_alerts", "gauge", "", "Alerts of the newest outlook.");
    for (int state = ALERT_PENDING; state <= ALERT_RESOLVED; state++)
        for (int severity = ALERT_WARNING; severity <= ALERT_CRITICAL; severity++) {
            snprintf(labels, sizeof labels, "severity=\"%s\",state=\"%s\"",
                     alert_severity_name((enum alert_severity)severity),
                     alert_state_name((enum alert_state)state));
            exposition_sample(w, labels, (double)counts[state][severity]);
        }
}

static void measure(const struct outlook *outlook, struct api_quality quality[SCHEMA_METRICS_MAX])
{
    double coverage[SCHEMA_METRICS_MAX] = {0}, pinball[SCHEMA_METRICS_MAX] = {0};
    size_t covered[SCHEMA_METRICS_MAX] = {0}, lost[SCHEMA_METRICS_MAX] = {0};
    for (size_t i = 0; i < outlook->set->count; i++) {
        const struct forecast *forecast = outlook->set->items[i];
        for (size_t k = 0; k < forecast->path_count; k++) {
            const struct forecast_path *path = &forecast->paths[k];
            if (!isnan(path->coverage)) {
                coverage[path->metric] += (double)path->coverage;
                covered[path->metric]++;
            }
            if (!isnan(path->pinball)) {
                pinball[path->metric] += (double)path->pinball;
                lost[path->metric]++;
            }
        }
    }
    for (size_t i = 0; i < SCHEMA_METRICS_MAX; i++)
        quality[i] =
            (struct api_quality){covered[i] > 0 ? coverage[i] / (double)covered[i] : (double)NAN,
                                 lost[i] > 0 ? pinball[i] / (double)lost[i] : (double)NAN};
}

/* Once an outlook, and only if somebody asks: it goes through every path of the fleet. */
static void measure_once(struct api *api, const struct outlook *outlook,
                         struct api_quality quality[SCHEMA_METRICS_MAX])
{
    pthread_mutex_lock(&api->quality_lock);
    if (api->quality_of != outlook->id) {
        measure(outlook, api->quality);
        api->quality_of = outlook->id;
    }
    memcpy(quality, api->quality, sizeof api->quality);
    pthread_mutex_unlock(&api->quality_lock);
}

static void put_quality(struct exposition *w, struct api *api, const struct outlook *outlook)
{
    struct api_quality quality[SCHEMA_METRICS_MAX];
    char labels[SCHEMA_METRIC_NAME_MAX + 64];
    measure_once(api, outlook, quality);
    const struct schema *schema = api->options.schema;
    exposition_family(
        w, "forewarn_forecast_coverage_ratio", "gauge", "ratio",
        "Share of recent observations inside p10..p90, mean over servers; 0.8 is promised.");
    for (size_t i = 0; i < schema->count; i++) {
        snprintf(labels, sizeof labels, "metric=\"%s\",horizon=\"all\"", schema->metrics[i].name);
        if (!isnan(quality[i].coverage))
            exposition_sample(w, labels, quality[i].coverage);
    }
    exposition_family(
        w, "forewarn_pinball_loss", "gauge", "",
        "Mean pinball loss of recent forecasts in the metric's unit, mean over servers.");
    for (size_t i = 0; i < schema->count; i++) {
        snprintf(labels, sizeof labels, "metric=\"%s\",horizon=\"all\"", schema->metrics[i].name);
        if (!isnan(quality[i].pinball))
            exposition_sample(w, labels, quality[i].pinball);
    }
}

static const struct outlook *measured(struct api *api)
{
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    if (outlook != NULL && outlook->set->quality != NULL)
        return outlook;
    outlook_release(outlook);
    return NULL;
}

/* By block of the horizon: losses of forecasts as they were issued, beside plain ones on the same
 * values, and who makes them. */
static void put_block_quality(struct exposition *w, struct api *api)
{
    enum { COVERAGE, LOSS, WEIGHT, FAMILIES };
    static const struct {
        const char *name, *unit, *help;
        size_t n;
    } families[FAMILIES] = {
        {"forewarn_block_coverage_ratio", "ratio",
         "Share of values inside p10..p90 as issued, by steps ahead; 0.8 is promised.",             1              },
        {"forewarn_block_pinball_loss",   "",
         "Mean pinball loss in the metric's unit, ours and of plain forecasts of the same values.", API_JUDGED     },
        {"forewarn_blend_weight_ratio",   "ratio",
         "Weight of each forecaster in the median, mean over servers.",                             FORECAST_VOICES},
    };
    const struct outlook *outlook = measured(api);
    const struct schema *schema = api->options.schema;
    for (size_t f = 0; outlook != NULL && f < FAMILIES; f++) {
        exposition_family(w, families[f].name, "gauge", families[f].unit, families[f].help);
        for (size_t i = 0; i < schema->count * FORECAST_BLOCKS * families[f].n; i++) {
            const size_t m = i / families[f].n / FORECAST_BLOCKS, k = i % families[f].n;
            const size_t block = i / families[f].n % FORECAST_BLOCKS;
            const struct forecast_quality *sums = &outlook->set->quality[m][block];
            if (!(sums->scored >= 1.0))
                continue;
            const struct api_block_quality q = api_block_quality(sums, block);
            char labels[SCHEMA_METRIC_NAME_MAX + 96];
            int n = snprintf(labels, sizeof labels, "metric=\"%s\",horizon=\"%d-%d\"",
                             schema->metrics[m].name, q.from, q.to);
            if (f != COVERAGE)
                (void)snprintf(labels + n, sizeof labels - (size_t)n, ",forecaster=\"%s\"",
                               f == LOSS ? api_judged_name[k] : forecast_voice_name(k));
            exposition_sample(w, labels,
                              f == COVERAGE ? q.coverage
                              : f == LOSS   ? q.mean[k]
                                            : q.weight[k]);
        }
    }
    outlook_release(outlook);
}

void api_metrics_outlook(struct exposition *w, struct api *api)
{
    struct outlook_statistics statistics;
    outlook_board_statistics(api->parts.board, &statistics);
    exposition_family(w, "forewarn_forecast_duration_seconds", "histogram", "seconds",
                      "Forecast runs.");
    exposition_histogram(w, "", &statistics.run, 1e-9);
    exposition_counter(w, "forewarn_forecast_failures", "",
                       "Forecast runs that did not come to their end.", statistics.failures);
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    if (outlook == NULL)
        return;
    const int64_t age_ms = fw_clock_wall_ms(api->clock) - outlook->made_ms;
    exposition_gauge(w, "forewarn_forecast_age_seconds", "seconds",
                     "Since the newest outlook was made.",
                     (double)(age_ms < 0 ? 0 : age_ms) / 1000.0);
    exposition_gauge(w, "forewarn_forecast_servers_computed", "",
                     "Servers forecast anew in the newest run; the others had not changed.",
                     (double)outlook->set->computed);
    exposition_gauge(w, "forewarn_forecast_reuse_bytes", "bytes",
                     "Memory of what a model made of steps that do not change.",
                     (double)outlook->set->reuse_bytes);
    exposition_family(w, "forewarn_servers_at_level", "gauge", "", "Servers by level of risk.");
    for (int level = 0; level < RISK_LEVEL_COUNT; level++) {
        char labels[48];
        snprintf(labels, sizeof labels, "level=\"%s\"",
                 risk_level_style((enum risk_level)level)->name);
        exposition_sample(w, labels, (double)outlook->level_counts[level]);
    }
    exposition_family(w, "forewarn_fleet_crossing_probability_ratio", "gauge", "ratio",
                      "Chance that any server crosses a threshold within the time.");
    exposition_sample(w, "within=\"30m\"", outlook->environment.prob_30m);
    exposition_sample(w, "within=\"8h\"", outlook->environment.prob_8h);
    exposition_family(w, "forewarn_model_info", "gauge", "", "What made the newest outlook.");
    char labels[64];
    snprintf(labels, sizeof labels, "type=\"%s\",risk_model=\"%s\"", outlook->model_type,
             outlook->risk_model);
    exposition_sample(w, labels, 1);
    put_alerts(w, outlook);
    put_quality(w, api, outlook);
    put_block_quality(w, api);
    outlook_release(outlook);
}
