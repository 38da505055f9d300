#include "api/render.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void api_view_default(struct api_view *view)
{
    *view = (struct api_view){
        .metrics = UINT64_MAX,
        .quantiles = API_QUANTILES,
        .steps = FORECAST_HORIZON,
        .decimals = API_DECIMALS_AUTO,
        .forecast = true,
        .zone = api_zone_naive,
    };
}

const char *api_method(const struct forecast_path *path)
{
    if (path->method == FORECAST_NONE)
        return "insufficient";
    return forecast_path_by_model(path) ? "tft" : "baseline";
}

bool api_outlook_stale(const struct outlook *outlook)
{
    for (size_t i = 0; i < outlook->set->count; i++)
        if (!outlook->set->items[i]->stale)
            return false;
    return true;
}

/* ---- one metric ---- */

static void put_quantile(struct fw_buf *buf, const char *name, const float *values,
                         const struct api_view *view, int decimals)
{
    fw_buf_json_key(buf, name);
    api_put_numbers(buf, values, view->steps, decimals);
    fw_buf_putc(buf, ',');
}

void api_render_path(struct fw_buf *buf, const struct schema *schema,
                     const struct forecast_path *path, const struct api_view *view)
{
    /* The straight line of the reference is there to be compared with the reference: six decimals.
     */
    const bool exact = path->method == FORECAST_ARGUS && view->decimals == API_DECIMALS_AUTO;
    const int decimals = exact ? 6 : view->decimals;
    fw_buf_putc(buf, '{');
    if (view->quantiles & API_P50)
        put_quantile(buf, "p50", path->p50, view, decimals);
    if (view->quantiles & API_P10)
        put_quantile(buf, "p10", path->p10, view, decimals);
    if (view->quantiles & API_P90)
        put_quantile(buf, "p90", path->p90, view, decimals);
    fw_buf_puts(buf, "\"current\":");
    api_put_number(buf, (double)path->current, decimals);
    fw_buf_puts(buf, ",\"trend\":");
    api_put_number(buf, (double)path->trend, 7);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "unit", schema->metrics[path->metric].unit);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "method", api_method(path));
    fw_buf_putc(buf, ',');
    api_put_text(buf, "forecaster", forecast_method_name((enum forecast_method)path->method));
    if (path->reason != FORECAST_BY_CHOICE) {
        fw_buf_putc(buf, ',');
        api_put_text(buf, "method_reason",
                     forecast_reason_text((enum forecast_reason)path->reason));
    }
    if (path->method == FORECAST_BLEND) {
        fw_buf_puts(buf, ",\"model_share\":");
        api_put_number(buf, (double)path->model_share, 3);
    }
    fw_buf_puts(buf, ",\"quality\":{\"coverage\":");
    api_put_number(buf, (double)path->coverage, 4);
    fw_buf_puts(buf, ",\"pinball\":");
    api_put_number(buf, (double)path->pinball, 6);
    fw_buf_puts(buf, ",\"forecasts\":");
    fw_buf_put_i64(buf, path->scored);
    fw_buf_puts(buf, "},");
    api_put_time_pair(buf, "last_seen", path->last_seen_ms, &view->zone);
    fw_buf_putc(buf, '}');
}

/* ---- display_metrics (contract 13.7) ---- */

static double first_mean(const struct forecast_path *path)
{
    double sum = 0.0;
    for (int i = 0; i < API_DISPLAY_STEPS; i++)
        sum += (double)path->p50[i];
    return sum / API_DISPLAY_STEPS;
}

static void put_display(struct fw_buf *buf, const char *key, double current, double predicted,
                        const char *unit)
{
    const double delta = predicted - current;
    const char *trend = "stable";
    if (fabs(delta) >= 0.05) /* what rounds to 0.0 is no movement */
        trend = delta > 0.0 ? "increasing" : "decreasing";
    fw_buf_json_key(buf, key);
    fw_buf_puts(buf, "{\"current\":");
    api_put_one(buf, current);
    fw_buf_puts(buf, ",\"predicted\":");
    api_put_one(buf, predicted);
    fw_buf_puts(buf, ",\"delta\":");
    api_put_one(buf, delta);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "unit", unit);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "trend", trend);
    fw_buf_putc(buf, '}');
}

static void put_cpu_display(struct fw_buf *buf, const struct forecast *forecast)
{
    const struct forecast_path *idle = forecast_path(forecast, METRIC_CPU_IDLE);
    const struct forecast_path *user = forecast_path(forecast, METRIC_CPU_USER);
    if (idle != NULL)
        put_display(buf, "cpu", 100.0 - (double)idle->current, 100.0 - first_mean(idle), "%");
    else if (user != NULL)
        put_display(buf, "cpu", (double)user->current, first_mean(user), "%");
    else /* the key is promised with numbers; `available` says that they are none */
        fw_buf_puts(buf, "\"cpu\":{\"current\":0.0,\"predicted\":0.0,\"delta\":0.0,\"unit\":\"%\","
                         "\"trend\":\"stable\",\"available\":false}");
}

void api_render_display(struct fw_buf *buf, const struct forecast *forecast)
{
    static const struct {
        const char *key;
        int metric;
        const char *unit;
    } rows[] = {
        {"memory",  METRIC_MEM_USED,     "%"   },
        {"iowait",  METRIC_CPU_IOWAIT,   "%"   },
        {"swap",    METRIC_SWAP_USED,    "%"   },
        {"load",    METRIC_LOAD_AVERAGE, ""    },
        {"disk",    METRIC_DISK_USAGE,   "%"   },
        {"net_in",  METRIC_NET_IN,       "MB/s"},
        {"net_out", METRIC_NET_OUT,      "MB/s"},
    };
    fw_buf_putc(buf, '{');
    put_cpu_display(buf, forecast);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct forecast_path *path = forecast_path(forecast, rows[i].metric);
        if (path == NULL)
            continue;
        fw_buf_putc(buf, ',');
        put_display(buf, rows[i].key, (double)path->current, first_mean(path), rows[i].unit);
    }
    fw_buf_putc(buf, '}');
}

/* ---- one server ---- */

void api_render_level(struct fw_buf *buf, const struct risk *risk)
{
    const struct risk_level_style *style = risk_level_style(risk->level);
    fw_buf_puts(buf, "\"risk_score\":");
    api_put_one(buf, (double)risk->score);
    fw_buf_puts(buf, ",\"alert\":{");
    api_put_text(buf, "level", style->name);
    fw_buf_puts(buf, ",\"score\":");
    api_put_one(buf, (double)risk->score);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "color", style->color);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "emoji", style->emoji);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "label", style->label);
    fw_buf_putc(buf, '}');
}

void api_render_drivers(struct fw_buf *buf, const struct schema *schema, const struct risk *risk)
{
    fw_buf_putc(buf, '[');
    for (size_t i = 0; i < risk->driver_count; i++) {
        const struct risk_driver *driver = &risk->drivers[i];
        fw_buf_puts(buf, i > 0 ? ",{" : "{");
        api_put_text(buf, "metric", schema->metrics[driver->metric].name);
        fw_buf_puts(buf, ",\"points\":");
        api_put_number(buf, (double)driver->points, 3);
        fw_buf_puts(buf, ",\"current\":");
        api_put_number(buf, (double)driver->current, API_DECIMALS_AUTO);
        fw_buf_puts(buf, ",\"predicted\":");
        api_put_number(buf, (double)driver->predicted, API_DECIMALS_AUTO);
        fw_buf_puts(buf, ",\"threshold\":");
        api_put_number(buf, (double)driver->threshold, API_DECIMALS_AUTO);
        fw_buf_puts(buf, ",\"probability\":");
        api_put_number(buf, (double)driver->probability, 4);
        fw_buf_putc(buf, '}');
    }
    fw_buf_putc(buf, ']');
}

/* The documented short names. cpu_pct is what is not idle, as on the display; the documentation's
 * third name, disk_io, is a quantity that nobody measures. */
static void put_forecast_lists(struct fw_buf *buf, const struct forecast *forecast,
                               const struct api_view *view)
{
    const struct forecast_path *idle = forecast_path(forecast, METRIC_CPU_IDLE);
    const struct forecast_path *cpu = forecast_path(forecast, METRIC_CPU_USER);
    const struct forecast_path *memory = forecast_path(forecast, METRIC_MEM_USED);
    if (idle != NULL) {
        float busy[FORECAST_HORIZON];
        for (int i = 0; i < FORECAST_HORIZON; i++)
            busy[i] = 100.0f - idle->p50[i];
        fw_buf_puts(buf, ",\"cpu_pct\":");
        api_put_numbers(buf, busy, view->steps, view->decimals);
    } else if (cpu != NULL) {
        fw_buf_puts(buf, ",\"cpu_pct\":");
        api_put_numbers(buf, cpu->p50, view->steps, view->decimals);
    }
    if (memory != NULL) {
        fw_buf_puts(buf, ",\"mem_pct\":");
        api_put_numbers(buf, memory->p50, view->steps, view->decimals);
    }
}

static void put_forecast(struct fw_buf *buf, const struct outlook *outlook,
                         const struct forecast *forecast, const struct api_view *view)
{
    fw_buf_puts(buf, "\"forecast\":{\"timestamps\":[");
    for (unsigned i = 0; i < view->steps; i++) {
        if (i > 0)
            fw_buf_putc(buf, ',');
        api_put_time(buf, forecast->origin_ms + (int64_t)i * outlook->step_s * 1000, &view->zone);
    }
    fw_buf_puts(buf, "],");
    api_put_int(buf, "first_unix", forecast->origin_ms / 1000);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "step_seconds", outlook->step_s);
    put_forecast_lists(buf, forecast, view);
    fw_buf_puts(buf, "},");
}

static void put_identity(struct fw_buf *buf, const struct forecast *forecast,
                         const struct label_source *labels, const struct api_view *view)
{
    const size_t name_len = strlen(forecast->name);
    fw_buf_puts(buf, "\"server_name\":");
    fw_buf_json_string(buf, forecast->name, name_len);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "server_id", server_id(forecast->name, name_len));
    fw_buf_putc(buf, ',');
    api_put_text(buf, "status", server_status_name(forecast->status));
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "stale", forecast->stale);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "last_seen", forecast->last_seen_ms, &view->zone);
    fw_buf_putc(buf, ',');
    api_put_labels(buf, labels, forecast->name);
    fw_buf_puts(buf, "\"warmup\":{");
    api_put_bool(buf, "ready", forecast->steps_held >= API_READY_STEPS);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "have", forecast->steps_held);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "need", API_READY_STEPS);
    fw_buf_putc(buf, '}');
}

void api_render_server(struct fw_buf *buf, const struct outlook *outlook, size_t index,
                       const struct label_source *labels, const struct api_view *view)
{
    const struct forecast *forecast = outlook->set->items[index];
    const struct risk *risk = &outlook->risks[index];
    fw_buf_putc(buf, '{');
    for (size_t i = 0; i < forecast->path_count; i++) {
        const struct forecast_path *path = &forecast->paths[i];
        if ((view->metrics >> path->metric & 1) == 0)
            continue;
        fw_buf_json_key(buf, outlook->schema->metrics[path->metric].name);
        api_render_path(buf, outlook->schema, path, view);
        fw_buf_putc(buf, ',');
    }
    api_render_level(buf, risk);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "profile", profile_display(forecast->profile));
    fw_buf_puts(buf, ",\"display_metrics\":");
    api_render_display(buf, forecast);
    fw_buf_putc(buf, ',');
    if (view->forecast)
        put_forecast(buf, outlook, forecast, view);
    fw_buf_puts(buf, "\"risk_drivers\":");
    api_render_drivers(buf, outlook->schema, risk);
    fw_buf_puts(buf, ",\"crossing_probability_30m\":");
    api_put_number(buf, (double)risk->crossing_30m, 4);
    fw_buf_puts(buf, ",\"crossing_probability_8h\":");
    api_put_number(buf, (double)risk->crossing_8h, 4);
    fw_buf_putc(buf, ',');
    put_identity(buf, forecast, labels, view);
    fw_buf_putc(buf, '}');
}

/* ---- the fleet ---- */

static void put_probability(struct fw_buf *buf, const char *key, double value)
{
    fw_buf_json_key(buf, key);
    api_put_number(buf, value, 9);
    fw_buf_putc(buf, ',');
}

void api_render_environment(struct fw_buf *buf, const struct outlook *outlook)
{
    const struct risk_environment *e = &outlook->environment;
    fw_buf_putc(buf, '{');
    put_probability(buf, "prob_30m", e->prob_30m);
    put_probability(buf, "prob_8h", e->prob_8h);
    put_probability(buf, "incident_probability_30m", e->prob_30m);
    put_probability(buf, "incident_probability_8h", e->prob_8h);
    put_probability(buf, "argus_score_30m", e->argus_score_30m);
    put_probability(buf, "argus_score_8h", e->argus_score_8h);
    api_put_int(buf, "high_risk_servers", (int64_t)e->high_risk_servers);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "total_servers", (int64_t)e->total_servers);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "fleet_health", e->fleet_health);
    fw_buf_putc(buf, '}');
}

static void count_levels(const struct outlook *outlook, enum api_counting counting,
                         size_t counts[RISK_LEVEL_COUNT])
{
    memcpy(counts, outlook->level_counts, sizeof outlook->level_counts);
    if (counting == API_COUNT_CONFIGURED)
        return;
    memset(counts, 0, sizeof outlook->level_counts);
    for (size_t i = 0; i < outlook->set->count; i++) {
        const double score = (double)outlook->risks[i].score;
        if (counting == API_COUNT_LEVELS)
            counts[outlook->risks[i].level]++;
        else if (score >= 80.0)
            counts[RISK_CRITICAL]++;
        else if (score >= 60.0)
            counts[RISK_WARNING]++;
        else if (score >= 50.0)
            counts[RISK_WATCH]++;
        else
            counts[RISK_HEALTHY]++;
    }
}

static void put_top(struct fw_buf *buf, const struct outlook *outlook, const char *key, size_t n)
{
    fw_buf_json_key(buf, key);
    fw_buf_putc(buf, '[');
    for (size_t i = 0; i < n && i < outlook->top_count; i++) {
        const char *name = outlook->set->items[outlook->top[i]]->name;
        if (i > 0)
            fw_buf_putc(buf, ',');
        fw_buf_json_string(buf, name, strlen(name));
    }
    fw_buf_puts(buf, "],");
}

void api_render_summary(struct fw_buf *buf, const struct outlook *outlook,
                        const struct api_view *view)
{
    static const struct {
        const char *key, *alias;
        enum risk_level level;
    } counted[] = {
        {"critical_count",  "critical", RISK_CRITICAL},
        {"warning_count",   "warning",  RISK_WARNING },
        {"degrading_count", "degraded", RISK_WATCH   },
        {"healthy_count",   "healthy",  RISK_HEALTHY },
    };
    size_t counts[RISK_LEVEL_COUNT];
    count_levels(outlook, view->counting, counts);
    fw_buf_putc(buf, '{');
    api_put_int(buf, "total_servers", (int64_t)outlook->set->count);
    fw_buf_putc(buf, ',');
    for (size_t i = 0; i < COUNT(counted); i++) {
        api_put_int(buf, counted[i].key, (int64_t)counts[counted[i].level]);
        fw_buf_putc(buf, ',');
        api_put_int(buf, counted[i].alias, (int64_t)counts[counted[i].level]);
        fw_buf_putc(buf, ',');
    }
    fw_buf_puts(buf, "\"avg_risk_score\":");
    api_put_one(buf, outlook->average_risk);
    fw_buf_puts(buf, ",\"max_risk_score\":");
    api_put_one(buf, outlook->max_risk);
    fw_buf_putc(buf, ',');
    put_top(buf, outlook, "top_5_risks", 5);
    put_top(buf, outlook, "top_10_risks", 10);
    put_top(buf, outlook, "top_20_risks", 20);
    /* A number beside the word of `environment`: 100 is a fleet without any risk. */
    fw_buf_puts(buf, "\"fleet_health\":");
    api_put_one(buf, outlook->health_score);
    fw_buf_putc(buf, ',');
    put_probability(buf, "prob_30m", outlook->environment.prob_30m);
    put_probability(buf, "prob_8h", outlook->environment.prob_8h);
    api_put_time_pair(buf, "risk_calculation_time", outlook->made_ms, &view->zone);
    fw_buf_putc(buf, '}');
}

void api_render_metadata(struct fw_buf *buf, const struct outlook *outlook, const char *model_dir,
                         const struct api_view *view)
{
    const bool has_model = strcmp(outlook->model_name, "none") != 0;
    fw_buf_putc(buf, '{');
    api_put_text(buf, "model_type", outlook->model_type);
    fw_buf_puts(buf, ",\"model_dir\":");
    if (!has_model || model_dir == NULL) {
        fw_buf_json_string(buf, outlook->model_name, strlen(outlook->model_name));
    } else {
        char path[4096];
        const int len = snprintf(path, sizeof path, "%s/%s", model_dir, outlook->model_name);
        fw_buf_json_string(buf, path, len < (int)sizeof path ? (size_t)len : sizeof path - 1);
    }
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "prediction_time", outlook->made_ms, &view->zone);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "horizon_steps", FORECAST_HORIZON);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "input_points", (int64_t)outlook->records);
    fw_buf_puts(buf, ",\"device\":\"cpu\",");
    api_put_int(buf, "step_seconds", outlook->step_s);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "risk_model", outlook->risk_model);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "run_id", (int64_t)outlook->id);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "model_id", outlook->model_name);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "servers_computed", (int64_t)outlook->set->computed);
    fw_buf_puts(buf, ",\"run_seconds\":");
    api_put_number(buf, outlook->set->seconds, 6);
    fw_buf_putc(buf, '}');
}
