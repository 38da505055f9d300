/* Forecast runs over full windows: every server anew, statistical or with a model. */
#include "base/alloc.h"
#include "base/clock.h"
#include "cli/bench.h"
#include "cli/cli.h"
#include "fleet/fleet.h"
#include "forecast/forecaster.h"
#include "forecast/shipped.h"
#include "simulate/fleet.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { STEP_S = 300, STEPS = 864, RUNS_MAX = 100 };

/* Nothing later than now, and all within the window. */
static enum fw_status fill(struct fleet *fleet, const struct bench_options *options,
                           struct fw_error *err)
{
    struct simulate_fleet *source = NULL;
    struct simulate_options made;
    simulate_options_default(&made);
    made.servers = options->servers;
    const int64_t now_ms = fw_clock_wall_ms(fw_clock_system());
    made.start_ms = now_ms - now_ms % (STEP_S * 1000) - (int64_t)(STEPS - 1) * STEP_S * 1000;
    enum fw_status status = simulate_fleet_new(&made, &source, err);
    for (uint64_t step = 0; step < STEPS && status == FW_OK; step++) {
        struct fleet_applied applied;
        struct sample_batch *batch = batch_new();
        status = batch == NULL ? FW_ENOMEM : simulate_fleet_step(source, batch);
        if (status == FW_OK)
            status = fleet_admit(fleet, batch);
        if (status == FW_OK)
            status = fleet_apply(fleet, batch, step + 1, &applied);
        batch_free(batch);
        if (status != FW_OK)
            fw_fail(err, status, "filling windows: %s", fw_status_name(status));
    }
    simulate_fleet_free(source);
    return status;
}

static enum fw_status time_runs(const struct bench_options *options, struct fleet *fleet,
                                struct forecaster *forecaster, double base_bytes,
                                struct fw_error *err)
{
    double seconds[RUNS_MAX];
    size_t paths = 0, by_model = 0;
    for (unsigned i = 0; i <= options->runs; i++) { /* the first one warms up */
        const struct forecast_set *set;
        const double began_s = bench_now_s();
        const enum fw_status status = forecaster_run(forecaster, fleet, NULL, &set, err);
        if (status != FW_OK)
            return status;
        if (i > 0)
            seconds[i - 1] = bench_now_s() - began_s;
        paths = by_model = 0;
        for (size_t s = 0; s < set->count; s++) {
            paths += set->items[s]->path_count;
            for (size_t p = 0; p < set->items[s]->path_count; p++)
                by_model += forecast_path_by_model(&set->items[s]->paths[p]);
        }
        forecast_set_release(set);
    }
    struct fleet_counts counts;
    struct bench_report report;
    fleet_counts(fleet, &counts);
    bench_report_begin(&report, options, "forecast", by_model > 0 ? "tft" : "statistical");
    bench_report_times(&report, seconds, options->runs);
    bench_report_number(&report, "sequences_per_s",
                        (double)options->servers / seconds[options->runs / 2], 1);
    bench_report_number(&report, "paths", (double)paths, 0);
    bench_report_number(&report, "paths_by_model", (double)by_model, 0);
    bench_report_number(&report, "window_bytes_per_server",
                        (double)counts.bytes / (double)counts.servers, 0);
    bench_report_number(&report, "rss_bytes", bench_rss_bytes(), 0);
    bench_report_number(&report, "rss_bytes_per_server",
                        (bench_rss_bytes() - base_bytes) / (double)counts.servers, 0);
    bench_report_end(&report);
    return FW_OK;
}

int bench_forecast(const struct bench_options *options, struct fw_error *err)
{
    static struct schema schema;
    static struct profile_rules rules;
    struct fleet *fleet = NULL;
    struct forecaster *forecaster = NULL;
    struct fleet_options windows;
    assert(options->runs <= RUNS_MAX);
    schema_default(&schema);
    profile_rules_default(&rules);
    fleet_options_default(&windows);
    windows.schema = &schema;
    windows.profiles = &rules;
    windows.clock = fw_clock_system();
    windows.step_s = STEP_S;
    windows.window_steps = STEPS;
    const double base_bytes = bench_rss_bytes();
    enum fw_status status = fleet_new(&windows, &fleet, err);
    if (status == FW_OK)
        status = fill(fleet, options, err);
    if (status == FW_OK) {
        const struct forecaster_options how = {.schema = &schema,
                                               .clock = fw_clock_system(),
                                               .step_s = STEP_S,
                                               .threads = options->threads};
        status = forecaster_new(&how, &forecaster, err);
    }
    if (status == FW_OK && options->model != NULL) {
        struct forecast_model *model;
        status = forecast_model_open_named(options->model, &schema, STEP_S, &model, err);
        if (status == FW_OK)
            forecaster_set_model(forecaster, model);
    }
    if (status == FW_OK)
        status = time_runs(options, fleet, forecaster, base_bytes, err);
    forecaster_free(forecaster);
    fleet_free(fleet);
    return status == FW_OK ? CLI_OK : CLI_FAILURE;
}
