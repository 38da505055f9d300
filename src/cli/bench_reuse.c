#include "cli/bench_reuse.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "tft/measure.h"
#include "tft/reuse.h"

#include <math.h>
#include <string.h>

enum { TURNS_MIN = 5, TURNS_MAX = 1000 };

struct bench {
    const struct bench_options *options;
    const struct tft_model *model;
    const struct tft_plan *plan;
    struct tft_made_input made;
    struct tft_kept *kept; /* (servers) */
    float *anew, *with;    /* predictions */
    size_t outputs;        /* floats of one */
    double anew_s, with_s; /* processor time, the best of the turns */
    size_t steps, servers; /* steps: a server's that were computed in the last turn */
};

static enum fw_status prepare(struct bench *b, struct fw_error *err)
{
    const struct tft_spec *spec = tft_model_spec(b->model);
    b->servers = b->options->servers;
    b->outputs = b->servers * spec->horizon * spec->n_targets * spec->n_quantiles;
    b->kept = fw_calloc(b->servers, sizeof *b->kept);
    b->anew = fw_calloc(b->outputs, sizeof *b->anew);
    b->with = fw_calloc(b->outputs, sizeof *b->with);
    bool all = b->kept != NULL && b->anew != NULL && b->with != NULL;
    for (size_t i = 0; all && i < b->servers; i++)
        all = (b->kept[i].reuse = tft_reuse_new(b->plan)) != NULL;
    if (!all)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu servers' steps", b->servers);
    return tft_input_make(b->model, b->servers, 1, &b->made, err);
}

static void drop(struct bench *b)
{
    for (size_t i = 0; b->kept != NULL && i < b->servers; i++)
        tft_reuse_free(b->kept[i].reuse);
    fw_free(b->kept);
    fw_free(b->anew);
    fw_free(b->with);
    tft_input_drop(&b->made);
}

static void advance(struct bench *b, struct fw_rng *rng)
{
    tft_input_advance(b->model, rng, &b->made);
    for (size_t i = 0; i < b->servers; i++)
        b->kept[i].first_step++;
}

static size_t computed(const struct bench *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->servers; i++)
        n += tft_reuse_counts(b->kept[i].reuse).computed;
    return n;
}

static enum fw_status time_one(struct bench *b, bool with, double *best_s, struct fw_error *err)
{
    struct tft_input in = b->made.in;
    in.kept = with ? b->kept : NULL;
    const double begin_s = bench_core_s();
    const enum fw_status status = tft_plan_run_parallel(b->plan, &in, bench_threads(b->options),
                                                        with ? b->with : b->anew, err);
    *best_s = fmin(*best_s, bench_core_s() - begin_s);
    return status;
}

/* Either goes first in every other turn: the second one finds the inputs in the cache. */
static enum fw_status one_turn(struct bench *b, size_t turn, struct fw_error *err)
{
    const size_t before = computed(b);
    enum fw_status status = FW_OK;
    for (size_t k = 0; k < 2 && status == FW_OK; k++) {
        const bool with = (turn + k) % 2 == 0;
        status = time_one(b, with, with ? &b->with_s : &b->anew_s, err);
    }
    b->steps = (computed(b) - before) / b->servers;
    if (status == FW_OK && memcmp(b->anew, b->with, b->outputs * sizeof *b->with) != 0)
        status = fw_fail(err, FW_ECORRUPT, "forecasts with and without kept steps differ");
    return status;
}

static enum fw_status measure(struct bench *b, struct fw_error *err)
{
    struct fw_rng rng;
    fw_rng_init(&rng, 2);
    enum fw_status status = one_turn(b, 0, err); /* fills the memories */
    b->anew_s = b->with_s = (double)INFINITY;
    const double until_s = bench_now_s() + (double)b->options->seconds;
    for (size_t turn = 0;
         status == FW_OK && turn < TURNS_MAX && (turn < TURNS_MIN || bench_now_s() < until_s);
         turn++) {
        advance(b, &rng);
        status = one_turn(b, turn, err);
    }
    return status;
}

static void report(const struct bench *b, const char *name)
{
    const double servers = (double)b->servers;
    struct bench_report report;
    bench_report_begin(&report, b->options, "forecast", "reuse");
    bench_report_text(&report, "model", name);
    bench_report_text(&report, "kernels", tft_plan_info(b->plan).kernels);
    bench_report_number(&report, "cpu_us_per_server_anew", 1e6 * b->anew_s / servers, 1);
    bench_report_number(&report, "cpu_us_per_server_reusing", 1e6 * b->with_s / servers, 1);
    bench_report_number(&report, "saved", 1.0 - b->with_s / b->anew_s, 3);
    bench_report_number(&report, "steps_computed", (double)b->steps, 0);
    bench_report_number(&report, "bytes_per_server", (double)tft_reuse_bytes(b->plan), 0);
    bench_report_end(&report);
}

enum fw_status bench_reuse(const struct bench_options *options, const char *name,
                           const struct tft_model *model, const struct tft_plan *plan,
                           struct fw_error *err)
{
    struct bench b = {.options = options, .model = model, .plan = plan};
    if (tft_reuse_bytes(plan) == 0)
        return FW_OK;
    b.anew_s = b.with_s = (double)INFINITY;
    enum fw_status status = prepare(&b, err);
    if (status == FW_OK)
        status = measure(&b, err);
    if (status == FW_OK)
        report(&b, name);
    drop(&b);
    return status;
}
