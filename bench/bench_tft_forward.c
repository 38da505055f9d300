/* Milliseconds per server of the forward pass and of the assembly before it, for a model of the
 * size that the daemon usually runs: history 288, horizon 96, hidden 32, 8 heads, 20 inputs. One
 * argument: a model directory (the weights' values do not matter to the time); a second one:
 * threads. */
#include "base/alloc.h"
#include "base/clock.h"
#include "tft/assemble.h"
#include "tft/measure.h"
#include "tft/model_internal.h"
#include "tft/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVERS = 50, ROUNDS = 7 };

static double now_ms(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) / 1e6;
}

static void bench_forward(struct tft_model *m, const struct tft_kernels *kernels, size_t threads)
{
    struct tft_made_input made;
    if (tft_input_make(m, SERVERS, 1, &made, NULL) != FW_OK)
        abort();
    const struct tft_input in = made.in;
    const struct tft_output out = {
        .prediction = fw_calloc(SERVERS * in.horizon_steps * m->net->output.n_out, sizeof(float))};
    double best = 1e300, all = 0.0;
    tft_model_use_kernels(m, kernels);
    for (int round = 0; round < ROUNDS; round++) {
        const double start = now_ms();
        if (tft_forward_parallel(m, &in, &out, threads, NULL) != FW_OK)
            abort();
        const double took = now_ms() - start;
        best = took < best ? took : best;
        all += took;
    }
    printf("forward %-6s threads=%zu ms_per_server=%.3f mean=%.3f check=%g\n", kernels->name,
           threads, best / SERVERS, all / SERVERS / ROUNDS, (double)out.prediction[0]);
    fw_free(out.prediction);
    tft_input_drop(&made);
}

static void bench_assemble(const struct tft_model *m)
{
    const struct tft_spec *s = m->spec;
    const size_t e = s->history_max, d = s->horizon, rows = e + d;
    double *column = fw_calloc(rows, sizeof *column);
    int32_t *codes = fw_calloc(rows * s->n_categoricals + 1, sizeof *codes);
    float *reals = fw_calloc(rows * s->n_reals + 1, sizeof *reals);
    struct tft_column *columns = fw_calloc(s->n_reals + 1, sizeof *columns);
    struct tft_codes *cats = fw_calloc(s->n_categoricals + 1, sizeof *cats);
    float scale[2 * TFT_TARGETS_MAX];
    const int32_t zero = 0;
    struct tft_scales scales;
    double best = 1e300;
    for (size_t i = 0; i < rows; i++)
        column[i] = (double)(i % 37);
    for (size_t i = 0; i < s->n_reals; i++)
        columns[i] = (struct tft_column){column, NULL, rows};
    for (size_t i = 0; i < s->n_categoricals; i++)
        cats[i] = (struct tft_codes){&zero, 1};
    const struct tft_series series = {rows, NULL, columns, cats};
    struct tft_assembled out = {
        codes, codes + e * s->n_categoricals, reals, reals + e * s->n_reals, scale, 0};
    for (int round = 0; round < ROUNDS; round++) {
        const double start = now_ms();
        for (int i = 0; i < SERVERS; i++) {
            tft_scales_of(s, "any", false, &scales);
            if (tft_assemble(s, &series, &scales, &out, NULL) != FW_OK)
                abort();
        }
        const double took = now_ms() - start;
        best = took < best ? took : best;
    }
    printf("assemble threads=1 ms_per_server=%.3f\n", best / SERVERS);
    fw_free(column);
    fw_free(codes);
    fw_free(reals);
    fw_free(columns);
    fw_free(cats);
}

int main(int argc, char **argv)
{
    struct tft_model *m;
    struct fw_error err;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_tft_forward MODEL_DIR [THREADS]\n");
        return 2;
    }
    if (tft_model_open(argv[1], NULL, &m, &err) != FW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const size_t threads = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 1;
    for (int set = 0; set < TFT_SETS; set++)
        if (tft_kernels_of((enum tft_set)set) != NULL)
            bench_forward(m, tft_kernels_of((enum tft_set)set), threads);
    bench_assemble(m);
    tft_model_close(m);
    return 0;
}
