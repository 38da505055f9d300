/* The compiled path beside the plain one in the same run: milliseconds a server for batches of 1,
 * 100 and 500 on one and two threads, then every stage on its own with its operations, as a share
 * of the measured peak of fused multiply-adds of the set of kernels (FOREWARN_KERNELS chooses it).
 * One argument: a model directory (the weights' values hardly matter to the time). */
#include "base/alloc.h"
#include "base/rng.h"
#include "bench_tft.h"
#include "tft/compile.h"
#include "tft/model_internal.h"
#include "tft/parallel.h"
#include "tft/plan_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 7, SERVERS = 500, STAGE_ROUNDS = 60 };

/* Of all threads: what others on the machine take does not count, a full cache or a busy twin core
 * does. */
static double cpu_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct tft_input make_input(const struct tft_model *m, size_t n)
{
    const struct tft_net *net = m->net;
    const size_t e = m->spec->history_max, d = m->spec->horizon;
    int32_t *codes = need(fw_calloc(n * (e + d) * net->n_categoricals + 1, sizeof *codes));
    float *reals = need(fw_calloc(n * (e + d) * net->n_reals + 1, sizeof *reals));
    float *scale = need(fw_calloc(n * 2 * net->n_targets, sizeof *scale));
    size_t *lengths = need(fw_calloc(2 * n, sizeof *lengths));
    struct fw_rng rng;
    fw_rng_init(&rng, 1);
    for (size_t i = 0; i < n * (e + d) * net->n_reals; i++)
        reals[i] = (float)fw_rng_normal(&rng);
    for (size_t i = 0; i < n * (e + d) * net->n_categoricals; i++)
        codes[i] = (int32_t)fw_rng_below(&rng, net->classes[i % net->n_categoricals]);
    for (size_t i = 0; i < n * 2 * net->n_targets; i++)
        scale[i] = 10.0f;
    for (size_t i = 0; i < n; i++) {
        lengths[i] = e;
        lengths[n + i] = d;
    }
    return (struct tft_input){.n = n,
                              .history_steps = e,
                              .horizon_steps = d,
                              .history_codes = codes,
                              .horizon_codes = codes + n * e * net->n_categoricals,
                              .history_reals = reals,
                              .horizon_reals = reals + n * e * net->n_reals,
                              .history_lengths = lengths,
                              .horizon_lengths = lengths + n,
                              .output_scale = scale};
}

/* ---- whole batches ---- */

static double time_plain(const struct tft_model *m, const struct tft_input *in, size_t threads,
                         float *prediction)
{
    const struct tft_output out = {.prediction = prediction};
    const double start = now_ms();
    if (tft_forward_parallel(m, in, &out, threads, NULL) != FW_OK)
        exit(1);
    return now_ms() - start;
}

static double time_compiled(const struct tft_plan *plan, const struct tft_input *in, size_t threads,
                            float *prediction)
{
    const double start = now_ms();
    if (tft_plan_run_parallel(plan, in, threads, prediction, NULL) != FW_OK)
        exit(1);
    return now_ms() - start;
}

static double largest_gap(size_t n, const float *a, const float *b)
{
    double gap = 0.0;
    for (size_t i = 0; i < n; i++)
        gap = fmax(gap, fabs((double)a[i] - (double)b[i]));
    return gap;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_batches(const struct tft_model *m, const struct tft_plan *plan)
{
    static const size_t sizes[] = {1, 100, 500};
    struct tft_input in = make_input(m, SERVERS);
    const size_t outputs = in.horizon_steps * m->net->output.n_out;
    float *plain = need(fw_calloc(SERVERS * outputs, sizeof *plain));
    float *compiled = need(fw_calloc(SERVERS * outputs, sizeof *compiled));
    printf("%8s %8s %14s %14s %14s %14s %8s\n", "servers", "threads", "compiled best", "median",
           "least CPU", "plain best", "ratio");
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (size_t threads = 1; threads <= 2; threads++) {
            double fast[ROUNDS * 3], slow = 1e300, cpu = 1e300;
            in.n = sizes[s];
            const size_t rounds = in.n == 1 ? ROUNDS * 3 : ROUNDS;
            for (size_t r = 0; r < rounds; r++) {
                const double before = cpu_ms();
                fast[r] = time_compiled(plan, &in, threads, compiled);
                cpu = fmin(cpu, cpu_ms() - before);
                if (in.n < SERVERS || r < 2)
                    slow = fmin(slow, time_plain(m, &in, threads, plain));
            }
            qsort(fast, rounds, sizeof *fast, ascending);
            const double n = (double)in.n;
            printf("%8zu %8zu %11.3f ms %11.3f ms %11.3f ms %11.3f ms %8.2f\n", in.n, threads,
                   fast[0] / n, fast[rounds / 2] / n, cpu / n, slow / n, slow / fast[0]);
        }
    }
    printf("largest difference from the plain path: %.3g of scale\n",
           largest_gap(SERVERS * outputs, plain, compiled) / 10.0);
    fw_free(plain);
    fw_free(compiled);
}

/* ---- stages ---- */

struct stage {
    const char *name;
    double flop;         /* of the products, a series */
    double exponentials; /* a series */
    double best_ms;
};

static double product(size_t rows, size_t n_in, size_t n_out)
{
    return 2.0 * (double)rows * (double)n_in * (double)n_out;
}

static double flat_flop(const struct tft_dense_flat *f, size_t rows)
{
    return product(rows, f->in.n_in, f->in.n_out) + product(rows, f->hidden, f->hidden) +
           product(rows, f->hidden, 2 * f->n);
}

/* Operations as done: a curve's value is four products a unit. */
static void count_work(const struct tft_plan *plan, size_t e, size_t d, struct stage *stage)
{
    const struct tft_net *net = plan->model->net;
    const size_t h = net->hidden, all = e + d, heads = net->heads, size = plan->v.n_out;
    const struct tft_plan_selection *es = &plan->side[TFT_ENCODER], *ds = &plan->side[TFT_DECODER];
    const double seen = (double)d * ((double)e + 0.5 * (double)(d - 1));
    stage[1].flop = flat_flop(&es->flat, e) + flat_flop(&ds->flat, d) +
                    product(e, es->n_reals, 4 * h) + product(d, ds->n_reals, 4 * h);
    stage[1].exponentials =
        (double)(e * (es->flat.hidden + 2 * es->flat.n) + d * (ds->flat.hidden + 2 * ds->flat.n));
    stage[2].flop = product(all, 2 * h, 4 * h) * (double)net->layers;
    stage[2].exponentials = (double)(all * 5 * h * net->layers);
    stage[3].flop = product(all, h, 2 * h) + product(all, h, 4 * h);
    stage[3].exponentials = (double)(all * 3 * h);
    stage[4].flop = product(all, h, heads * size) + product(all, h, size) +
                    product(d, h, heads * size) + 4.0 * seen * (double)(heads * size);
    stage[4].exponentials = seen * (double)heads;
    stage[5].flop = product(d, size, h) + product(d, h, 8 * h) + product(d, h, plan->output.n_out);
    stage[5].exponentials = (double)(d * 4 * h);
}

static void run_stage(const struct tft_plan *plan, const struct tft_input *in, size_t k,
                      struct tft_plan_acts *acts)
{
    static void (*const group[])(const struct tft_plan *,
                                 struct tft_plan_acts *) = {NULL, tft_plan_select, tft_plan_recur};
    static void (*const single[])(const struct tft_plan *, struct tft_plan_acts *,
                                  const struct tft_plan_pack *) = {tft_plan_enrich, tft_plan_attend,
                                                                   tft_plan_finish};
    if (k == 0)
        tft_plan_contexts(plan, in, 0, TFT_GROUP_MAX, acts);
    else if (k < COUNT(group))
        group[k](plan, acts);
    else
        for (size_t i = 0; i < acts->packs; i++)
            single[k - COUNT(group)](plan, acts, &acts->pack[i]);
}

static void bench_stages(const struct tft_plan *plan, double peak)
{
    struct stage stage[] = {{.name = "static contexts"},
                            {.name = "variable selection"},
                            {.name = "LSTM"},
                            {.name = "gate, enrichment"},
                            {.name = "attention"},
                            {.name = "after the attention"}};
    const struct tft_input in = make_input(plan->model, 10 * TFT_GROUP_MAX);
    const size_t e = in.history_steps, d = in.horizon_steps;
    const size_t bytes = tft_plan_scratch_bytes(plan, e, d);
    struct arena arena = arena_over(need(fw_alloc_aligned(bytes, 1)), bytes);
    struct tft_carver carver = {&arena, 0, false};
    struct tft_plan_acts acts;
    struct stage total = {.name = "all"};
    tft_plan_carve(&carver, plan, e, d, &acts);
    count_work(plan, e, d, stage);
    for (size_t k = 0; k < COUNT(stage); k++)
        stage[k].best_ms = 1e300;
    for (size_t round = 0; round < STAGE_ROUNDS; round++) {
        tft_plan_group(plan, &in, round % 10 * TFT_GROUP_MAX, plan->group, 0, &acts);
        for (size_t k = 0; k < COUNT(stage); k++) {
            const double start = now_ms();
            run_stage(plan, &in, k, &acts);
            const double series = (double)(k == 0 ? TFT_GROUP_MAX : plan->group);
            stage[k].best_ms = fmin(stage[k].best_ms, (now_ms() - start) / series);
        }
    }
    printf("\n%-20s %10s %8s %8s %10s %8s\n", "stage, a series", "us", "MFLOP", "kexp", "GFLOP/s",
           "of peak");
    for (size_t k = 0; k <= COUNT(stage); k++) {
        const struct stage *s = k < COUNT(stage) ? &stage[k] : &total;
        printf("%-20s %10.1f %8.2f %8.1f %10.1f %7.0f%%\n", s->name, s->best_ms * 1e3,
               s->flop / 1e6, s->exponentials / 1e3, s->flop / s->best_ms / 1e6,
               100.0 * s->flop / s->best_ms / 1e6 / peak);
        total.best_ms += s->best_ms;
        total.flop += s->flop;
        total.exponentials += s->exponentials;
    }
}

int main(int argc, char **argv)
{
    struct tft_model *m;
    struct tft_plan *plan;
    struct fw_error err;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: bench_tft_compiled MODEL_DIR\n");
        return 2;
    }
    if (tft_model_open(argv[1], NULL, &m, &err) != FW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const double start = now_ms();
    if (tft_compile(m, &plan, &err) != FW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct tft_plan_info info = tft_plan_info(plan);
    const double peak = fma_peak(tft_set_best());
    printf("compiled in %.1f ms: %s, %.2f MB, %zu curves of %zu cells (error %.2g), %zu computed, "
           "check %.2g\n",
           now_ms() - start, info.kernels, (double)info.bytes / 1e6, info.curves, info.cells,
           info.curve_error, info.direct, info.check_error);
    printf("scratch of a thread: %.2f MB\n",
           (double)tft_plan_scratch_bytes(plan, tft_model_spec(m)->history_max,
                                          tft_model_spec(m)->horizon) /
               1e6);
    printf("peak of fused multiply-adds, one core: %.1f GFLOP/s\n\n", peak);
    bench_batches(m, plan);
    bench_stages(plan, peak);
    tft_plan_free(plan);
    tft_model_close(m);
    return 0;
}
