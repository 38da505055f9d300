/* A step of training (forward, backward, clipping, Adam) at the shapes that the reference product
 * trains: history 288, horizon 96, hidden 32, 8 heads, 16 continuous, 20 inputs, one target, 7
 * quantiles, dropout 0.15. */
#include "base/alloc.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/bench_peer.h"
#include "cli/cli.h"
#include "tft/learner.h"
#include "tft/measure.h"

#include <math.h>
#include <string.h>

enum { HISTORY = 288, HORIZON = 96, STEPS_A_ROUND = 3, CODES = 2 };

#define METRICS                                                                                    \
    "\"cpu_user_pct\",\"m1\",\"m2\",\"m3\",\"m4\",\"m5\",\"m6\",\"m7\",\"m8\",\"m9\",\"m10\","     \
    "\"m11\",\"m12\",\"m13\""
#define KNOWN "\"hour\",\"day_of_week\",\"month\",\"is_weekend\",\"relative_time_idx\""
#define STATIC "\"encoder_length\",\"cpu_user_pct_center\",\"cpu_user_pct_scale\""

static const char spec_text[] =
    "{\"dims\":{\"max_encoder_length\":288,\"max_prediction_length\":96},"
    "\"quantiles\":[0.02,0.1,0.25,0.5,0.75,0.9,0.98],\"targets\":[\"cpu_user_pct\"],"
    "\"static_categoricals\":[\"profile\"],\"static_reals\":[" STATIC "],"
    "\"encoder_categoricals\":[\"status\"],\"encoder_reals\":[" KNOWN "," METRICS "],"
    "\"decoder_reals\":[" KNOWN "],\"x_reals\":[" STATIC "," KNOWN "," METRICS "],"
    "\"x_categoricals\":[\"profile\",\"status\"],\"categoricals\":{"
    "\"profile\":{\"classes\":[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\"]},"
    "\"status\":{\"classes\":[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\"]}},"
    "\"scalers\":{\"cpu_user_pct_center\":null,\"cpu_user_pct_scale\":null,\"hour\":null,"
    "\"day_of_week\":null,\"month\":null,\"is_weekend\":null,\"m1\":null,\"m2\":null,\"m3\":null,"
    "\"m4\":null,\"m5\":null,\"m6\":null,\"m7\":null,\"m8\":null,\"m9\":null,\"m10\":null,"
    "\"m11\":null,\"m12\":null,\"m13\":null},"
    "\"target_normalizer\":{\"type\":\"EncoderNormalizer\",\"transformation\":\"softplus\"}}";

struct samples {
    int32_t *codes;
    float *reals, *target;
    float weight;
    size_t n_reals;
};

static void fetch(void *ctx, size_t i, size_t worker, struct tft_gradient_series *out)
{
    static const float scale[2] = {20.0f, 8.0f};
    const struct samples *s = ctx;
    const size_t at = i * (HISTORY + HORIZON);
    (void)worker;
    *out = (struct tft_gradient_series){
        .history = HISTORY,
        .horizon = HORIZON,
        .history_codes = s->codes + at * CODES,
        .horizon_codes = s->codes + (at + HISTORY) * CODES,
        .history_reals = s->reals + at * s->n_reals,
        .horizon_reals = s->reals + (at + HISTORY) * s->n_reals,
        .scale = scale,
        .target = s->target + i * HORIZON,
        .weight = &s->weight,
        .key = (uint32_t)i,
    };
}

static enum fw_status samples_make(size_t batch, size_t n_reals, struct samples *s,
                                   struct fw_error *err)
{
    const size_t steps = batch * (HISTORY + HORIZON);
    struct fw_rng rng;
    *s = (struct samples){.codes = fw_calloc(steps * CODES, sizeof *s->codes),
                          .reals = fw_calloc(steps * n_reals, sizeof *s->reals),
                          .target = fw_calloc(batch * HORIZON, sizeof *s->target),
                          .weight = 1.0f / (float)(HORIZON * batch),
                          .n_reals = n_reals};
    if (s->codes == NULL || s->reals == NULL || s->target == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu sequences", batch);
    fw_rng_init(&rng, 1);
    for (size_t i = 0; i < steps * CODES; i++)
        s->codes[i] = (int32_t)fw_rng_below(&rng, 8);
    for (size_t i = 0; i < steps * n_reals; i++)
        s->reals[i] = (float)fw_rng_normal(&rng);
    for (size_t i = 0; i < batch * HORIZON; i++)
        s->target[i] = 50.0f * (float)fw_rng_uniform(&rng);
    return FW_OK;
}

static void samples_drop(struct samples *s)
{
    fw_free(s->codes);
    fw_free(s->reals);
    fw_free(s->target);
}

/* Seconds of every step; of both of its parts, and processor time, the sums. */
struct steps {
    size_t n;
    double seconds[STEPS_A_ROUND * BENCH_ROUNDS_MAX];
    double gradient_s, update_s, core_s, loss;
};

static void one_step(struct tft_learner *learner, size_t batch, struct samples *samples,
                     struct steps *steps)
{
    const struct tft_learner_source source = {fetch, samples};
    const double begin_s = bench_now_s(), core_s = bench_core_s();
    steps->loss = tft_learner_gradient(learner, batch, &source, 0.15f);
    const double middle_s = bench_now_s();
    (void)tft_learner_step(learner, 0.01, 0.1);
    const double end_s = bench_now_s();
    steps->core_s += bench_core_s() - core_s;
    steps->gradient_s += middle_s - begin_s;
    steps->update_s += end_s - middle_s;
    steps->seconds[steps->n++] = end_s - begin_s;
}

static enum fw_status measure(const struct bench_options *options, struct tft_learner *learner,
                              struct samples *samples, struct steps *steps,
                              struct bench_peer_rounds *rounds, struct bench_peer_answer *peer,
                              struct fw_error *err)
{
    static struct steps warm;
    enum fw_status status = FW_OK;
    warm.n = 0;
    one_step(learner, options->batch, samples, &warm);
    for (unsigned r = 0; r < options->runs && status == FW_OK; r++) {
        double seconds[STEPS_A_ROUND];
        for (size_t i = 0; i < STEPS_A_ROUND; i++)
            one_step(learner, options->batch, samples, steps);
        memcpy(seconds, steps->seconds + steps->n - STEPS_A_ROUND, sizeof seconds);
        if (options->peer == NULL)
            continue;
        status = bench_peer_train(options, bench_threads(options), peer, err);
        rounds->ours[r] = bench_median(seconds, STEPS_A_ROUND);
        rounds->peer[r] = (double)options->batch / peer->sequences_per_s;
        rounds->n = r + 1;
    }
    return status;
}

static void report_steps(const struct bench_options *options, const struct tft_net *net,
                         struct steps *steps)
{
    struct bench_report report;
    const double batch = (double)options->batch, n = (double)steps->n;
    /* Forward once, backward for inputs and for weights: three times the forward's products. */
    const double flop = 3.0 * tft_flop_as_written(net, HISTORY, HORIZON);
    const double peak = tft_peak_flops(tft_set_best());
    bench_report_begin(&report, options, "train", "tft");
    bench_report_number(&report, "batch", batch, 0);
    bench_report_times(&report, steps->seconds, (unsigned)steps->n); /* sorts */
    bench_report_number(&report, "sequences_per_s", batch / steps->seconds[steps->n / 2], 1);
    bench_report_number(&report, "best_sequences_per_s", batch / steps->seconds[0], 1);
    bench_report_number(&report, "sequences_per_core_s", batch * n / steps->core_s, 1);
    bench_report_number(&report, "gradient_s", steps->gradient_s / n, 6);
    bench_report_number(&report, "update_s", steps->update_s / n, 6);
    bench_report_number(&report, "core_s", steps->core_s / n, 6);
    bench_report_number(&report, "parameters", (double)net->n_parameters, 0);
    bench_report_number(&report, "mflop_per_sequence", flop / 1e6, 1);
    bench_report_number(&report, "peak_gflops", peak / 1e9, 1);
    bench_report_number(&report, "fraction_of_peak", flop * batch * n / steps->core_s / peak, 3);
    bench_report_number(&report, "rss_bytes", bench_rss_bytes(), 0);
    bench_report_number(&report, "loss", steps->loss, 4);
    bench_report_end(&report);
}

static void report_peer(const struct bench_options *options, const struct bench_peer_rounds *rounds,
                        const struct bench_peer_answer *peer)
{
    static double ours[BENCH_ROUNDS_MAX], theirs[BENCH_ROUNDS_MAX];
    struct bench_report report;
    const double batch = (double)options->batch;
    memcpy(ours, rounds->ours, sizeof ours);
    memcpy(theirs, rounds->peer, sizeof theirs);
    bench_report_begin(&report, options, "train", "peer");
    bench_report_text(&report, "peer", peer->name);
    bench_report_number(&report, "batch", batch, 0);
    bench_report_number(&report, "sequences_per_s", batch / bench_median(ours, rounds->n), 1);
    bench_report_number(&report, "peer_sequences_per_s", batch / bench_median(theirs, rounds->n),
                        1);
    bench_peer_report(&report, rounds);
    bench_report_end(&report);
}

int bench_train(const struct bench_options *options, struct fw_error *err)
{
    static const struct tft_learner_sizes sizes = {32, 8, 1, 16};
    static struct steps steps;
    static struct bench_peer_rounds rounds;
    struct bench_peer_answer peer;
    struct samples samples = {0};
    struct tft_learner *learner = NULL;
    steps = (struct steps){0};
    rounds.n = 0;
    const unsigned cores = bench_threads(options);
    const size_t threads = cores < TFT_LEARNER_THREADS_MAX ? cores : TFT_LEARNER_THREADS_MAX;
    enum fw_status status =
        tft_learner_new(spec_text, sizeof spec_text - 1, "spec", &sizes, 1, threads, &learner, err);
    if (status == FW_OK)
        status = samples_make(options->batch, tft_learner_spec(learner)->n_reals, &samples, err);
    if (status == FW_OK)
        status = measure(options, learner, &samples, &steps, &rounds, &peer, err);
    if (status == FW_OK)
        report_steps(options, tft_learner_net(learner), &steps);
    if (status == FW_OK && options->peer != NULL)
        report_peer(options, &rounds, &peer);
    samples_drop(&samples);
    tft_learner_free(learner);
    return status == FW_OK ? CLI_OK : CLI_FAILURE;
}
