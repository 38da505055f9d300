/* Sequences per second of a training step (forward, backward, clipping, Adam) at the shapes that
 * the reference product trains: history 288, horizon 96, hidden 32, 8 heads, 16 continuous, 20
 * inputs, one target, 7 quantiles, dropout 0.15. Batches of 32 and 128 with 1 and 2 threads; the
 * best and the median of the rounds, and the peak of resident memory so far. One argument: rounds.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "tft/learner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { HISTORY = 288, HORIZON = 96, BATCH_MAX = 128, ROUNDS = 5, ROUNDS_MAX = 100 };

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
    size_t n_reals;
};

static double now_s(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) * 1e-9;
}

static void fetch(void *ctx, size_t i, size_t worker, struct tft_gradient_series *out)
{
    static const float scale[2] = {20.0f, 8.0f}, weight[1] = {1.0f / (HORIZON * BATCH_MAX)};
    const struct samples *s = ctx;
    const size_t at = i * (HISTORY + HORIZON);
    (void)worker;
    *out = (struct tft_gradient_series){
        .history = HISTORY,
        .horizon = HORIZON,
        .history_codes = s->codes + at * 2,
        .horizon_codes = s->codes + (at + HISTORY) * 2,
        .history_reals = s->reals + at * s->n_reals,
        .horizon_reals = s->reals + (at + HISTORY) * s->n_reals,
        .scale = scale,
        .target = s->target + i * HORIZON,
        .weight = weight,
        .key = (uint32_t)i,
    };
}

static struct samples make_samples(const struct tft_spec *spec)
{
    const size_t steps = (size_t)BATCH_MAX * (HISTORY + HORIZON);
    struct samples s = {fw_calloc(steps * 2, sizeof *s.codes),
                        fw_calloc(steps * spec->n_reals, sizeof *s.reals),
                        fw_calloc((size_t)BATCH_MAX * HORIZON, sizeof *s.target), spec->n_reals};
    struct fw_rng rng;
    if (s.codes == NULL || s.reals == NULL || s.target == NULL)
        abort();
    fw_rng_init(&rng, 1);
    for (size_t i = 0; i < steps * 2; i++)
        s.codes[i] = (int32_t)fw_rng_below(&rng, 8);
    for (size_t i = 0; i < steps * spec->n_reals; i++)
        s.reals[i] = (float)fw_rng_normal(&rng);
    for (size_t i = 0; i < (size_t)BATCH_MAX * HORIZON; i++)
        s.target[i] = 50.0f * (float)fw_rng_uniform(&rng);
    return s;
}

static double cpu_s(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench(size_t batch, size_t threads, size_t rounds)
{
    const struct tft_learner_sizes sizes = {32, 8, 1, 16};
    double took[ROUNDS_MAX], loss = 0.0, cpu = 0.0;
    struct tft_learner *l;
    struct fw_error err;
    struct rusage usage;
    if (tft_learner_new(spec_text, sizeof spec_text - 1, "spec", &sizes, 1, threads, &l, &err) !=
        FW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    struct samples s = make_samples(tft_learner_spec(l));
    const struct tft_learner_source source = {fetch, &s};
    for (size_t i = 0; i <= rounds; i++) { /* the first one warms up */
        const double start = now_s();
        loss = tft_learner_gradient(l, batch, &source, 0.15f);
        (void)tft_learner_step(l, 0.01, 0.1);
        if (i > 0)
            took[i - 1] = now_s() - start;
        else
            cpu = cpu_s();
    }
    cpu = (cpu_s() - cpu) / (double)(rounds * batch);
    qsort(took, rounds, sizeof *took, rising);
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("{\"bench\":\"train\",\"threads\":%zu,\"batch\":%zu,\"parameters\":%zu,"
           "\"median_s\":%.4f,\"min_s\":%.4f,\"runs\":%zu,\"sequences_per_s\":%.1f,"
           "\"best_sequences_per_s\":%.1f,\"sequences_per_cpu_s\":%.1f,\"rss_bytes\":%lld,\"loss\":"
           "%.4f}\n",
           threads, batch, tft_learner_net(l)->n_parameters, took[rounds / 2], took[0], rounds,
           (double)batch / took[rounds / 2], (double)batch / took[0], 1.0 / cpu,
           (long long)usage.ru_maxrss * 1024, loss);
    (void)fflush(stdout);
    fw_free(s.codes);
    fw_free(s.reals);
    fw_free(s.target);
    tft_learner_free(l);
}

int main(int argc, char **argv)
{
    const long asked = argc > 1 ? strtol(argv[1], NULL, 10) : ROUNDS;
    const size_t rounds = asked < 1 ? 1 : asked > ROUNDS_MAX ? ROUNDS_MAX : (size_t)asked;
    bench(32, 1, rounds);
    bench(128, 1, rounds);
    bench(32, 2, rounds);
    bench(128, 2, rounds);
    return 0;
}
