/* The compiled path beside the plain one in the same run: milliseconds a server for batches of 1,
 * 100 and 500 on one and two threads, then every stage on its own with its operations, as a share
 * of the processor's measured peak of fused multiply-adds. One argument: a model directory (the
 * weights' values hardly matter to the time). */
#include "base/alloc.h"
#include "bench_tft.h"
#include "tft/compile.h"
#include "tft/model_internal.h"
#include "tft/parallel.h"

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
    struct tft_made_input made;
    if (tft_input_make(m, SERVERS, 1, &made, NULL) != FW_OK)
        exit(1);
    struct tft_input in = made.in;
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
    tft_input_drop(&made);
}

/* ---- stages ---- */

static void bench_stages(const struct tft_plan *plan, double peak)
{
    struct tft_stage stages[TFT_STAGES + 1];
    struct tft_stage *total = &stages[TFT_STAGES];
    struct fw_error err;
    if (tft_stages_time(plan, STAGE_ROUNDS, stages, &err) != FW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    *total = (struct tft_stage){.name = "all"};
    printf("\n%-20s %10s %8s %8s %10s %8s\n", "stage, a series", "us", "MFLOP", "kexp", "GFLOP/s",
           "of peak");
    for (size_t k = 0; k <= TFT_STAGES; k++) {
        const struct tft_stage *s = &stages[k];
        const double rate = s->flop / s->seconds;
        printf("%-20s %10.1f %8.2f %8.1f %10.1f %7.0f%%\n", s->name, s->seconds * 1e6,
               s->flop / 1e6, s->exponentials / 1e3, rate / 1e9, 100.0 * rate / peak);
        total->seconds += k < TFT_STAGES ? s->seconds : 0.0;
        total->flop += k < TFT_STAGES ? s->flop : 0.0;
        total->exponentials += k < TFT_STAGES ? s->exponentials : 0.0;
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
    const double peak = 1e9 * fma_peak(tft_set_best());
    printf("compiled in %.1f ms: %s, %.2f MB, %zu curves of %zu cells (error %.2g), %zu computed, "
           "check %.2g\n",
           now_ms() - start, info.kernels, (double)info.bytes / 1e6, info.curves, info.cells,
           info.curve_error, info.direct, info.check_error);
    printf("scratch of a thread: %.2f MB\n",
           (double)tft_plan_scratch_bytes(plan, tft_model_spec(m)->history_max,
                                          tft_model_spec(m)->horizon) /
               1e6);
    printf("peak of fused multiply-adds, one core: %.1f GFLOP/s\n\n", peak / 1e9);
    bench_batches(m, plan);
    bench_stages(plan, peak);
    tft_plan_free(plan);
    tft_model_close(m);
    return 0;
}
