/* The network alone: batches of all servers through the compiled path (the plain one where that is
 * refused), every series recomputed in full, beside a peer if there is one; and what each stage
 * takes. */
#include "cli/bench_network.h"

#include "base/alloc.h"
#include "cli/bench_peer.h"
#include "cli/bench_reuse.h"
#include "forecast/ladder.h"
#include "forecast/shipped.h"
#include "tft/compile.h"
#include "tft/measure.h"
#include "tft/parallel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES_MIN = 3, PASSES_MAX = 1000, STAGE_ROUNDS = 60 };

struct network {
    const struct bench_options *options;
    unsigned threads;
    struct tft_model *model;
    struct tft_plan *plan; /* NULL: refused, and `refused` says why */
    struct fw_error refused;
    size_t per_server; /* series */
    struct tft_made_input made;
    float *prediction;
};

static enum fw_status open_model(const char *name, struct tft_model **out, struct fw_error *err)
{
    if (strcmp(name, FORECAST_SHIPPED) != 0)
        return tft_model_open(name, NULL, out, err);
    const struct forecast_shipped_files files = forecast_shipped_files();
    unsigned char *weights = fw_malloc(files.weights_size);
    if (weights == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for the shipped model");
    memcpy(weights, files.weights, files.weights_size);
    return tft_model_load(weights, files.weights_size, files.spec, files.spec_size, NULL, out, err);
}

static enum fw_status network_open(struct network *n, const char *name, struct fw_error *err)
{
    enum fw_status status = open_model(name, &n->model, err);
    if (status == FW_OK && tft_compile(n->model, &n->plan, &n->refused) == FW_ENOMEM)
        status = fw_fail(err, FW_ENOMEM, "%s", n->refused.text);
    if (status != FW_OK)
        return status;
    const struct tft_spec *spec = tft_model_spec(n->model);
    n->per_server = ladder_spec_fits(spec) ? METRIC_CANONICAL_COUNT : 1;
    const size_t series = n->options->servers * n->per_server;
    n->prediction =
        fw_calloc(series * spec->horizon * spec->n_targets * spec->n_quantiles, sizeof(float));
    if (n->prediction == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu forecasts", series);
    return tft_input_make(n->model, series, 1, &n->made, err);
}

static void network_close(struct network *n)
{
    tft_input_drop(&n->made);
    fw_free(n->prediction);
    tft_plan_free(n->plan);
    tft_model_close(n->model);
}

static enum fw_status pass(const struct network *n, struct fw_error *err)
{
    const struct tft_output out = {.prediction = n->prediction};
    return n->plan != NULL
               ? tft_plan_run_parallel(n->plan, &n->made.in, n->threads, n->prediction, err)
               : tft_forward_parallel(n->model, &n->made.in, &out, n->threads, err);
}

/* Of one round or of all: seconds of every pass, and their mean of processor time. */
struct passes {
    size_t n;
    double seconds[PASSES_MAX], core_s;
};

static enum fw_status one_round(const struct network *n, struct passes *out, struct fw_error *err)
{
    const double until_s = bench_now_s() + (double)n->options->seconds;
    const double core_s = bench_core_s();
    enum fw_status status = FW_OK;
    out->n = 0;
    while (status == FW_OK && out->n < PASSES_MAX &&
           (out->n < PASSES_MIN || bench_now_s() < until_s)) {
        const double begin_s = bench_now_s();
        status = pass(n, err);
        out->seconds[out->n++] = bench_now_s() - begin_s;
    }
    out->core_s = (bench_core_s() - core_s) / (double)out->n;
    return status;
}

/* What all rounds together say. */
struct found {
    double median_s[BENCH_ROUNDS_MAX], min_s, core_s; /* core_s: the least of the rounds */
    double peer_core_s;
    struct bench_peer_rounds rounds;
    struct bench_peer_answer peer;
};

static enum fw_status measure(const struct network *n, struct found *found, struct fw_error *err)
{
    static struct passes passes;
    const unsigned runs = n->options->runs;
    enum fw_status status = pass(n, err); /* warms up */
    found->min_s = found->core_s = found->peer_core_s = (double)INFINITY;
    for (unsigned r = 0; r < runs && status == FW_OK; r++) {
        status = one_round(n, &passes, err);
        found->median_s[r] = bench_median(passes.seconds, passes.n); /* sorts */
        found->min_s = fmin(found->min_s, passes.seconds[0]);
        found->core_s = fmin(found->core_s, passes.core_s);
        if (status != FW_OK || n->options->peer == NULL)
            continue;
        status = bench_peer_forecast(n->options, n->threads, &found->peer, err);
        found->rounds.ours[r] = found->median_s[r];
        found->rounds.peer[r] = found->peer.median_ms / 1e3;
        found->peer_core_s = fmin(found->peer_core_s, found->peer.cpu_ms / 1e3);
        found->rounds.n = r + 1;
    }
    return status;
}

static void report_stages(struct bench_report *report, const struct tft_stage *stages, double peak)
{
    char key[48];
    for (size_t k = 0; k < TFT_STAGES; k++) {
        const double rate = stages[k].flop / stages[k].seconds;
        snprintf(key, sizeof key, "%s_us", stages[k].key);
        bench_report_number(report, key, 1e6 * stages[k].seconds, 2);
        snprintf(key, sizeof key, "%s_mflop", stages[k].key);
        bench_report_number(report, key, stages[k].flop / 1e6, 3);
        snprintf(key, sizeof key, "%s_of_peak", stages[k].key);
        bench_report_number(report, key, rate / peak, 3);
    }
}

/* Operations of a series by the path that was taken. */
static double series_flop(const struct network *n, const struct tft_stage *stages)
{
    double flop = 0.0;
    if (n->plan == NULL)
        return tft_model_flop(n->model);
    for (size_t k = 0; k < TFT_STAGES; k++)
        flop += stages[k].flop;
    return flop;
}

static enum fw_status report_network(const struct network *n, const char *name, struct found *found,
                                     struct fw_error *err)
{
    const double servers = (double)n->options->servers, peak = tft_peak_flops(tft_set_best());
    const size_t series = n->options->servers * n->per_server;
    struct tft_stage stages[TFT_STAGES];
    struct bench_report report;
    enum fw_status status =
        n->plan != NULL ? tft_stages_time(n->plan, STAGE_ROUNDS, stages, err) : FW_OK;
    if (status != FW_OK)
        return status;
    const double flop = series_flop(n, stages) * (double)series;
    bench_report_begin(&report, n->options, "forecast", "network");
    bench_report_times(&report, found->median_s, n->options->runs);
    found->min_s = fmin(found->min_s, found->median_s[0]);
    bench_report_text(&report, "model", name);
    bench_report_text(&report, "kernels",
                      n->plan != NULL ? tft_plan_info(n->plan).kernels : "plain path");
    bench_report_number(&report, "series", (double)series, 0);
    bench_report_number(&report, "ms_per_server",
                        1e3 * found->median_s[n->options->runs / 2] / servers, 4);
    bench_report_number(&report, "best_ms_per_server", 1e3 * found->min_s / servers, 4);
    bench_report_number(&report, "cpu_ms_per_server", 1e3 * found->core_s / servers, 4);
    bench_report_number(&report, "mflop_per_series", flop / (double)series / 1e6, 3);
    bench_report_number(&report, "peak_gflops", peak / 1e9, 1);
    bench_report_number(&report, "fraction_of_peak", flop / found->core_s / peak, 3);
    if (n->plan != NULL)
        report_stages(&report, stages, peak);
    bench_report_end(&report);
    return FW_OK;
}

static void report_peer(const struct network *n, const char *name, const struct found *found)
{
    const double servers = (double)n->options->servers;
    double ours[BENCH_ROUNDS_MAX], peer[BENCH_ROUNDS_MAX];
    struct bench_report report;
    memcpy(ours, found->rounds.ours, sizeof ours);
    memcpy(peer, found->rounds.peer, sizeof peer);
    bench_report_begin(&report, n->options, "forecast", "peer");
    bench_report_text(&report, "peer", found->peer.name);
    bench_report_text(&report, "model", name);
    bench_report_number(&report, "ms_per_server",
                        1e3 * bench_median(ours, found->rounds.n) / servers, 4);
    bench_report_number(&report, "peer_ms_per_server",
                        1e3 * bench_median(peer, found->rounds.n) / servers, 4);
    bench_report_number(&report, "cpu_ms_per_server", 1e3 * found->core_s / servers, 4);
    bench_report_number(&report, "peer_cpu_ms_per_server", 1e3 * found->peer_core_s / servers, 4);
    bench_report_number(&report, "cpu_ratio", found->peer_core_s / found->core_s, 2);
    bench_peer_report(&report, &found->rounds);
    bench_report_end(&report);
}

enum fw_status bench_network(const struct bench_options *options, const char *name,
                             struct fw_error *err)
{
    static struct found found;
    struct network n = {.options = options, .threads = bench_threads(options)};
    found = (struct found){0};
    enum fw_status status = network_open(&n, name, err);
    if (status == FW_OK)
        status = measure(&n, &found, err);
    if (status == FW_OK)
        status = report_network(&n, name, &found, err);
    if (status == FW_OK && options->peer != NULL)
        report_peer(&n, name, &found);
    if (status == FW_OK && n.plan != NULL && n.per_server == 1)
        status = bench_reuse(options, name, n.model, n.plan, err);
    if (n.model != NULL && n.plan == NULL)
        fprintf(stderr, "forewarn bench: the plain path, because %s\n", n.refused.text);
    network_close(&n);
    return status;
}
