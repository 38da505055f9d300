/* What an outlook costs, from windows to the rendered body: full windows, one more step of every
 * server before each run, so that nothing is shared with the run before. */
#include "api/predictions.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "cli/bench.h"
#include "cli/bench_network.h"
#include "cli/cli.h"
#include "fleet/fleet.h"
#include "forecast/forecaster.h"
#include "forecast/shipped.h"
#include "risk/risk.h"
#include "simulate/fleet.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    STEP_S = 300,
    STEPS = 864,
    RUNS_MAX = 100,
    DISTINCT_MAX = 1000, /* servers of their own; beyond that they repeat under other names */
};

/* Everything that is measured, and with what. */
struct bench_fleet {
    const struct bench_options *options;
    struct schema schema;
    struct profile_rules rules;
    struct simulate_fleet *source;
    struct fleet *fleet;
    struct forecaster *forecaster;
    uint64_t steps; /* fed so far */
};

/* Nothing is later than now at the last run. */
static enum fw_status open_source(struct bench_fleet *b, struct fw_error *err)
{
    struct simulate_options made;
    simulate_options_default(&made);
    made.servers = b->options->servers < DISTINCT_MAX ? b->options->servers : DISTINCT_MAX;
    const int64_t now_ms = fw_clock_wall_ms(fw_clock_system());
    const int64_t steps = STEPS - 1 + (int64_t)b->options->runs;
    made.start_ms = now_ms - now_ms % (STEP_S * 1000) - steps * STEP_S * 1000;
    return simulate_fleet_new(&made, &b->source, err);
}

/* Making a server up costs more than forecasting it. */
static enum fw_status repeat_rows(struct sample_batch *batch, size_t servers)
{
    const size_t made = batch->row_count;
    for (size_t i = made; i < servers; i++) {
        struct sample_value values[SCHEMA_METRICS_MAX];
        struct sample_row head = batch->rows[i % made];
        char name[2 * SERVER_NAME_MAX];
        const int len =
            snprintf(name, sizeof name, "%s-%zu", batch->names[head.name].text, i / made);
        memcpy(values, &batch->values[head.first_value], head.value_count * sizeof values[0]);
        enum fw_status status = batch_name(batch, name, (size_t)len, &head.name);
        if (status == FW_OK)
            status = batch_row_put(batch, &head, values, head.value_count);
        if (status != FW_OK)
            return status;
    }
    return FW_OK;
}

static enum fw_status feed(struct bench_fleet *b, uint64_t steps, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    for (uint64_t i = 0; i < steps && status == FW_OK; i++) {
        struct fleet_applied applied;
        struct sample_batch *batch = batch_new();
        status = batch == NULL ? FW_ENOMEM : simulate_fleet_step(b->source, batch);
        if (status == FW_OK)
            status = repeat_rows(batch, b->options->servers);
        if (status == FW_OK)
            status = fleet_admit(b->fleet, batch);
        if (status == FW_OK)
            status = fleet_apply(b->fleet, batch, ++b->steps, &applied);
        batch_free(batch);
        if (status != FW_OK)
            fw_fail(err, status, "filling windows: %s", fw_status_name(status));
    }
    return status;
}

/* Seconds of one run's parts. */
struct parts {
    double forecast, risk, render;
    double core;                   /* of all threads: the machine may be busy with other things */
    double stage[FORECAST_STAGES]; /* of it, the forecast's */
    size_t body_bytes;
};

struct scoring {
    const struct risk_options *options;
    const struct forecast_set *set;
    struct risk *risks;
    struct risk_driver *drivers; /* (servers, metrics) */
    size_t metrics;
};

static void score_one(void *ctx, size_t i)
{
    const struct scoring *s = ctx;
    risk_score(s->options, s->set->items[i], &s->risks[i], s->drivers + i * s->metrics);
}

/* What follows a run in the daemon, but for alerts, which cost next to nothing while they rest. */
static enum fw_status score_and_render(const struct bench_fleet *b, const struct forecast_set *set,
                                       struct parts *parts, struct fw_error *err)
{
    struct outlook outlook;
    struct risk_options options;
    struct fw_buf body;
    struct api_body_plan plan = {
        .outlook = &outlook, .fields = API_FIELDS, .count = set->count, .workers = b->forecaster};
    size_t written = 0;
    struct risk *risks = fw_calloc(set->count + 1, sizeof *risks);
    struct risk_driver *drivers = fw_calloc(set->count * b->schema.count + 1, sizeof *drivers);
    if (risks == NULL || drivers == NULL) {
        fw_free(risks);
        fw_free(drivers);
        return fw_fail(err, FW_ENOMEM, "no memory for risks");
    }
    const double scoring = bench_now_s();
    api_empty_outlook(&outlook, &b->schema, STEP_S, set->made_ms, b->steps * set->count);
    risk_options_default(&options, &b->schema);
    struct scoring each = {&options, set, risks, drivers, b->schema.count};
    forecaster_spread(b->forecaster, set->count, score_one, &each);
    risk_environment(&options, set, risks, &outlook.environment);
    parts->risk = bench_now_s() - scoring;
    outlook.set = set;
    outlook.risks = risks;
    plan.records = outlook.records;
    api_view_default(&plan.view);
    fw_buf_init(&body, (size_t)4 << 30);
    const double rendering = bench_now_s();
    api_render_body(&body, &plan, NULL, &written);
    parts->render = bench_now_s() - rendering;
    parts->body_bytes = body.len;
    const bool whole = !body.failed && written == set->count;
    fw_buf_fini(&body);
    fw_free(risks);
    fw_free(drivers);
    return whole ? FW_OK : fw_fail(err, FW_ELIMIT, "the body does not fit");
}

static enum fw_status one_run(struct bench_fleet *b, const struct forecast_set **last,
                              struct parts *parts, struct fw_error *err)
{
    const struct forecast_set *set;
    const double begin_s = bench_core_s();
    enum fw_status status = forecaster_run(b->forecaster, b->fleet, *last, &set, err);
    if (status != FW_OK)
        return status;
    forecast_set_release(*last);
    *last = set;
    parts->forecast = set->seconds;
    memcpy(parts->stage, set->stage_s, sizeof parts->stage);
    status = score_and_render(b, set, parts, err);
    parts->core = bench_core_s() - begin_s;
    return status;
}

static size_t paths_by_model(const struct forecast_set *set, size_t *paths)
{
    size_t by_model = 0;
    *paths = 0;
    for (size_t s = 0; s < set->count; s++) {
        *paths += set->items[s]->path_count;
        for (size_t p = 0; p < set->items[s]->path_count; p++)
            by_model += forecast_path_by_model(&set->items[s]->paths[p]);
    }
    return by_model;
}

static void report(const struct bench_fleet *b, const struct forecast_set *last, double *seconds,
                   const struct parts *mean, const struct parts *first, double base_bytes)
{
    const double servers = (double)b->options->servers, runs = (double)b->options->runs;
    struct fleet_counts counts;
    struct bench_report report;
    size_t paths;
    const size_t by_model = paths_by_model(last, &paths);
    fleet_counts(b->fleet, &counts);
    bench_report_begin(&report, b->options, "forecast", by_model > 0 ? "tft" : "statistical");
    bench_report_times(&report, seconds, b->options->runs);
    bench_report_number(&report, "first_s", first->forecast, 6);
    bench_report_number(&report, "first_core_s", first->core, 6);
    bench_report_number(&report, "forecast_s", mean->forecast / runs, 6);
    bench_report_number(&report, "risk_s", mean->risk / runs, 6);
    bench_report_number(&report, "render_s", mean->render / runs, 6);
    bench_report_number(&report, "core_s", mean->core / runs, 6);
    for (size_t k = 0; k < FORECAST_STAGES; k++) {
        char key[32];
        snprintf(key, sizeof key, "%s_core_s", forecast_stage_name((enum forecast_stage)k));
        bench_report_number(&report, key, mean->stage[k] / runs, 6);
    }
    bench_report_number(&report, "core_us_per_metric",
                        1e6 * mean->core / (runs * (double)(paths > 0 ? paths : 1)), 1);
    bench_report_number(&report, "servers_per_s", servers / seconds[b->options->runs / 2], 1);
    bench_report_number(&report, "paths", (double)paths, 0);
    bench_report_number(&report, "paths_by_model", (double)by_model, 0);
    bench_report_number(&report, "body_bytes", (double)mean->body_bytes, 0);
    bench_report_number(&report, "window_bytes_per_server",
                        (double)counts.bytes / (double)counts.servers, 0);
    bench_report_number(&report, "rss_bytes", bench_rss_bytes(), 0);
    bench_report_number(&report, "rss_bytes_per_server",
                        (bench_rss_bytes() - base_bytes) / (double)counts.servers, 0);
    bench_report_end(&report);
}

static enum fw_status time_runs(struct bench_fleet *b, double base_bytes, struct fw_error *err)
{
    double seconds[RUNS_MAX];
    struct parts sum = {0}, first = {0};
    const struct forecast_set *last = NULL;
    enum fw_status status = FW_OK;
    for (unsigned i = 0; i <= b->options->runs && status == FW_OK; i++) {
        struct parts parts = {0};
        status = feed(b, i > 0 ? 1 : STEPS, err);
        if (status == FW_OK)
            status = one_run(b, &last, &parts, err);
        if (status != FW_OK)
            break;
        if (i == 0) { /* which learns from all that the windows hold */
            first = parts;
            continue;
        }
        seconds[i - 1] = parts.forecast + parts.risk + parts.render;
        sum.forecast += parts.forecast;
        sum.risk += parts.risk;
        sum.render += parts.render;
        sum.core += parts.core;
        for (size_t k = 0; k < FORECAST_STAGES; k++)
            sum.stage[k] += parts.stage[k];
        sum.body_bytes = parts.body_bytes;
    }
    if (status == FW_OK)
        report(b, last, seconds, &sum, &first, base_bytes);
    forecast_set_release(last);
    return status;
}

static enum fw_status bench_outlook(const struct bench_options *options,
                                    struct forecast_model *model, double base_bytes,
                                    struct fw_error *err)
{
    static struct bench_fleet b;
    struct fleet_options windows;
    assert(options->runs <= RUNS_MAX);
    b = (struct bench_fleet){.options = options};
    schema_default(&b.schema);
    profile_rules_default(&b.rules);
    fleet_options_default(&windows);
    windows.schema = &b.schema;
    windows.profiles = &b.rules;
    windows.clock = fw_clock_system();
    windows.step_s = STEP_S;
    windows.window_steps = STEPS;
    if (options->servers > windows.servers_max)
        windows.servers_max = options->servers;
    enum fw_status status = fleet_new(&windows, &b.fleet, err);
    if (status == FW_OK)
        status = open_source(&b, err);
    const struct forecaster_options how = {.schema = &b.schema,
                                           .clock = fw_clock_system(),
                                           .step_s = STEP_S,
                                           .threads = options->threads,
                                           .reuse_bytes_max = FORECASTER_REUSE_BYTES};
    if (status == FW_OK)
        status = forecaster_new(&how, &b.forecaster, err);
    if (status == FW_OK)
        forecaster_set_model(b.forecaster, model);
    else
        forecast_model_release(model);
    if (status == FW_OK)
        status = time_runs(&b, base_bytes, err);
    forecaster_free(b.forecaster);
    simulate_fleet_free(b.source);
    fleet_free(b.fleet);
    return status;
}

/* A network that serves no metric of a fleet is measured alone. */
int bench_forecast(const struct bench_options *options, struct fw_error *err)
{
    const char *name = options->model == NULL ? FORECAST_SHIPPED : options->model;
    const bool statistical = strcmp(name, "none") == 0;
    const double base_bytes = bench_rss_bytes();
    struct forecast_model *model = NULL;
    struct schema schema;
    enum fw_status status = FW_OK;
    if (statistical && options->peer != NULL) {
        fw_fail(err, FW_EINVAL, "a peer is compared with a network, and --model is none");
        return CLI_FAILURE;
    }
    schema_default(&schema);
    if (!statistical)
        status = forecast_model_open_named(name, &schema, STEP_S, &model, err);
    if (status == FW_EINVAL)
        fprintf(stderr, "forewarn bench: the network alone, no outlook: %s\n", err->text);
    if (status == FW_OK)
        status = bench_outlook(options, model, base_bytes, err);
    if ((status == FW_OK || status == FW_EINVAL) && !statistical)
        status = bench_network(options, name, err);
    return status == FW_OK ? CLI_OK : CLI_FAILURE;
}
