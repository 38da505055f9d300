#include "tft/measure.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "tft/model_internal.h"
#include "tft/plan_internal.h"

#include <math.h>
#include <string.h>

static double now_s(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) / 1e9;
}

/* ---- inputs ---- */

enum fw_status tft_input_make(const struct tft_model *m, size_t n, uint64_t seed,
                              struct tft_made_input *out, struct fw_error *err)
{
    const struct tft_net *net = m->net;
    const size_t e = m->spec->history_max, d = m->spec->horizon, rows = n * (e + d);
    int32_t *codes = fw_calloc(rows * net->n_categoricals + 1, sizeof *codes);
    float *reals = fw_calloc(rows * net->n_reals + 1, sizeof *reals);
    float *scale = fw_calloc(n * 2 * net->n_targets, sizeof *scale);
    size_t *lengths = fw_calloc(2 * n, sizeof *lengths);
    struct fw_rng rng;
    *out = (struct tft_made_input){
        .memory = {codes, reals, scale, lengths}
    };
    if (codes == NULL || reals == NULL || scale == NULL || lengths == NULL) {
        tft_input_drop(out);
        return fw_fail(err, FW_ENOMEM, "no memory for the inputs of %zu series", n);
    }
    fw_rng_init(&rng, seed);
    for (size_t i = 0; i < rows * net->n_reals; i++)
        reals[i] = (float)fw_rng_normal(&rng);
    for (size_t i = 0; i < rows * net->n_categoricals; i++)
        codes[i] = (int32_t)fw_rng_below(&rng, net->classes[i % net->n_categoricals]);
    for (size_t i = 0; i < n * 2 * net->n_targets; i++)
        scale[i] = 10.0f;
    for (size_t i = 0; i < n; i++) {
        lengths[i] = e;
        lengths[n + i] = d;
    }
    out->in = (struct tft_input){
        .n = n,
        .history_steps = e,
        .horizon_steps = d,
        .history_codes = codes,
        .horizon_codes = codes + n * e * net->n_categoricals,
        .history_reals = reals,
        .horizon_reals = reals + n * e * net->n_reals,
        .history_lengths = lengths,
        .horizon_lengths = lengths + n,
        .output_scale = scale,
    };
    return FW_OK;
}

/* n steps of one series and side, one row after the other. */
static void move_on(const struct tft_net *net, size_t n, struct fw_rng *rng, int32_t *codes,
                    float *reals)
{
    memmove(codes, codes + net->n_categoricals, (n - 1) * net->n_categoricals * sizeof *codes);
    memmove(reals, reals + net->n_reals, (n - 1) * net->n_reals * sizeof *reals);
    for (size_t i = 0; i < net->n_categoricals; i++)
        codes[(n - 1) * net->n_categoricals + i] = (int32_t)fw_rng_below(rng, net->classes[i]);
    for (size_t i = 0; i < net->n_reals; i++)
        reals[(n - 1) * net->n_reals + i] = (float)fw_rng_normal(rng);
}

/* The first row says what is static. */
static void keep_static(const struct tft_net *net, int32_t *codes, float *reals)
{
    for (size_t v = 0; v < net->stat.n; v++) {
        const size_t column = net->stat.input[v].column;
        if (net->stat.input[v].categorical)
            codes[net->n_categoricals + column] = codes[column];
        else
            reals[net->n_reals + column] = reals[column];
    }
}

void tft_input_advance(const struct tft_model *m, struct fw_rng *rng, struct tft_made_input *made)
{
    const struct tft_net *net = m->net;
    const struct tft_input *in = &made->in;
    const size_t e = in->history_steps, d = in->horizon_steps;
    int32_t *codes = made->memory[0];
    float *reals = made->memory[1];
    for (size_t i = 0; i < in->n; i++) {
        int32_t *history_codes = codes + i * e * net->n_categoricals;
        float *history_reals = reals + i * e * net->n_reals;
        if (e > 1)
            keep_static(net, history_codes, history_reals);
        move_on(net, e, rng, history_codes, history_reals);
        move_on(net, d, rng, codes + (in->n * e + i * d) * net->n_categoricals,
                reals + (in->n * e + i * d) * net->n_reals);
    }
}

void tft_input_drop(struct tft_made_input *made)
{
    for (size_t i = 0; i < COUNT(made->memory); i++)
        fw_free(made->memory[i]);
    memset(made, 0, sizeof *made);
}

/* ---- operations ---- */

static double product(size_t rows, size_t n_in, size_t n_out)
{
    return 2.0 * (double)rows * (double)n_in * (double)n_out;
}

static double linear_flop(size_t rows, const struct tft_linear *l)
{
    return product(rows, l->n_in, l->n_out);
}

/* The context's share is the same for all rows of a series. */
static double grn_flop(size_t rows, const struct tft_grn *g)
{
    return linear_flop(rows, &g->fc1) + linear_flop(rows, &g->fc2) + linear_flop(rows, &g->gate) +
           (g->n_context > 0 ? linear_flop(1, &g->context) : 0.0);
}

static double vsn_flop(size_t rows, size_t hidden, const struct tft_vsn *v)
{
    double flop = v->n > 1 ? grn_flop(rows, &v->flat) + product(rows, v->n, hidden) : 0.0;
    for (size_t i = 0; i < v->n; i++)
        if (!v->input[i].categorical)
            flop += product(rows, 1, v->input[i].size) + grn_flop(rows, &v->input[i].real_net);
    return flop;
}

double tft_flop_as_written(const struct tft_net *net, size_t e, size_t d)
{
    const size_t all = e + d;
    const struct tft_attention *a = &net->attention;
    double flop = vsn_flop(1, net->hidden, &net->stat) +
                  vsn_flop(e, net->hidden, &net->side[TFT_ENCODER]) +
                  vsn_flop(d, net->hidden, &net->side[TFT_DECODER]);
    for (size_t k = 0; k < TFT_CONTEXTS; k++)
        flop += grn_flop(1, &net->context[k]);
    for (size_t l = 0; l < net->layers; l++)
        flop += product(all, 2 * net->hidden, 4 * net->hidden);
    flop += linear_flop(all, &net->post_lstm.gate) + grn_flop(all, &net->enrichment);
    flop += linear_flop(d, &a->q) + linear_flop(all, &a->k) + linear_flop(all, &a->value);
    flop += 2.0 * product(d, all, a->heads * a->size) + linear_flop(d, &a->output);
    flop += linear_flop(d, &net->post_attention.gate) + grn_flop(d, &net->feed_forward) +
            linear_flop(d, &net->pre_output.gate) + linear_flop(d, &net->output);
    return flop;
}

double tft_model_flop(const struct tft_model *model)
{
    return tft_flop_as_written(model->net, model->spec->history_max, model->spec->horizon);
}

static double flat_flop(const struct tft_dense_flat *f, size_t rows)
{
    return product(rows, f->in.n_in, f->in.n_out) + product(rows, f->hidden, f->hidden) +
           product(rows, f->hidden, 2 * f->n);
}

void tft_stages_count(const struct tft_plan *plan, struct tft_stage stages[TFT_STAGES])
{
    const struct tft_net *net = plan->model->net;
    const struct tft_spec *spec = plan->model->spec;
    const size_t e = spec->history_max, d = spec->horizon, all = e + d;
    const size_t h = net->hidden, heads = net->heads, size = plan->v.n_out;
    const struct tft_plan_selection *es = &plan->side[TFT_ENCODER], *ds = &plan->side[TFT_DECODER];
    const double seen = (double)d * ((double)e + 0.5 * (double)(d - 1));
    static const struct tft_stage names[TFT_STAGES] = {
        {.name = "static contexts",     .key = "contexts"  },
        {.name = "variable selection",  .key = "selection" },
        {.name = "LSTM",                .key = "lstm"      },
        {.name = "gate, enrichment",    .key = "enrichment"},
        {.name = "attention",           .key = "attention" },
        {.name = "after the attention", .key = "output"    },
    };
    memcpy(stages, names, sizeof names);
    stages[0].flop = flat_flop(&plan->stat.flat, 1) + product(1, plan->stat.n_reals, 4 * h);
    stages[0].exponentials = (double)(plan->stat.flat.hidden + 2 * plan->stat.flat.n);
    for (size_t k = 0; k < TFT_CONTEXTS; k++) {
        stages[0].flop += grn_flop(1, &net->context[k]);
        stages[0].exponentials += (double)(2 * h);
    }
    stages[1].flop = flat_flop(&es->flat, e) + flat_flop(&ds->flat, d) +
                     product(e, es->n_reals, 4 * h) + product(d, ds->n_reals, 4 * h);
    stages[1].exponentials =
        (double)(e * (es->flat.hidden + 2 * es->flat.n) + d * (ds->flat.hidden + 2 * ds->flat.n));
    stages[2].flop = product(all, 2 * h, 4 * h) * (double)net->layers;
    stages[2].exponentials = (double)(all * 5 * h * net->layers);
    stages[3].flop = product(all, h, 2 * h) + product(all, h, 4 * h);
    stages[3].exponentials = (double)(all * 3 * h);
    stages[4].flop = product(all, h, heads * size) + product(all, h, size) +
                     product(d, h, heads * size) + 4.0 * seen * (double)(heads * size);
    stages[4].exponentials = seen * (double)heads;
    stages[5].flop = product(d, size, h) + product(d, h, 8 * h) + product(d, h, plan->output.n_out);
    stages[5].exponentials = (double)(d * 4 * h);
}

/* ---- stages ---- */

enum { GROUPS = 10 }; /* of made-up series, one after the other */

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

static void time_rounds(const struct tft_plan *plan, const struct tft_input *in, size_t rounds,
                        struct tft_plan_acts *acts, struct tft_stage stages[TFT_STAGES])
{
    for (size_t k = 0; k < TFT_STAGES; k++)
        stages[k].seconds = (double)INFINITY;
    for (size_t round = 0; round < rounds; round++) {
        tft_plan_group(plan, in, round % GROUPS * TFT_GROUP_MAX, plan->group, 0, acts);
        for (size_t k = 0; k < TFT_STAGES; k++) {
            const double start_s = now_s();
            run_stage(plan, in, k, acts);
            const double series = (double)(k == 0 ? (size_t)TFT_GROUP_MAX : plan->group);
            stages[k].seconds = fmin(stages[k].seconds, (now_s() - start_s) / series);
        }
    }
}

enum fw_status tft_stages_time(const struct tft_plan *plan, size_t rounds,
                               struct tft_stage stages[TFT_STAGES], struct fw_error *err)
{
    struct tft_made_input made;
    struct tft_plan_acts acts;
    tft_stages_count(plan, stages);
    enum fw_status status =
        tft_input_make(plan->model, (size_t)GROUPS * TFT_GROUP_MAX, 1, &made, err);
    if (status != FW_OK)
        return status;
    const size_t e = made.in.history_steps, d = made.in.horizon_steps;
    const size_t bytes = tft_plan_scratch_bytes(plan, e, d);
    void *scratch = fw_alloc_aligned(bytes, 1);
    if (scratch == NULL) {
        status = fw_fail(err, FW_ENOMEM, "no memory to time a plan");
    } else {
        struct arena arena = arena_over(scratch, bytes);
        struct tft_carver carver = {&arena, 0, false};
        tft_plan_carve(&carver, plan, e, d, &acts);
        time_rounds(plan, &made.in, rounds, &acts, stages);
    }
    fw_free(scratch);
    tft_input_drop(&made);
    return status;
}

/* ---- the peak ---- */

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

enum { PEAK_ROUNDS = 60, PEAK_TIMES = 250000, PEAK_CHAINS = 12 };

#ifdef __clang__
#define PEAK_UNROLL _Pragma("unroll")
#else
#define PEAK_UNROLL _Pragma("GCC unroll 12")
#endif

/* Twelve independent chains, more than two units of five cycles can have under way. Returns a sum,
 * so that none of it is left out. */
#define PEAK_BURST(name, isa, vector, all, fma, store, lanes)                                      \
    __attribute__((target(isa))) static float name(void)                                           \
    {                                                                                              \
        vector s[PEAK_CHAINS], a = all(0.999999f), b = all(1e-7f);                                 \
        float sum[lanes], total = 0.0f;                                                            \
        for (int k = 0; k < PEAK_CHAINS; k++)                                                      \
            s[k] = all((float)k);                                                                  \
        for (long i = 0; i < PEAK_TIMES; i++) {                                                    \
            PEAK_UNROLL for (int k = 0; k < PEAK_CHAINS; k++) s[k] = fma(s[k], a, b);              \
        }                                                                                          \
        for (int k = 0; k < PEAK_CHAINS; k++) {                                                    \
            store(sum, s[k]);                                                                      \
            total += sum[0];                                                                       \
        }                                                                                          \
        return total;                                                                              \
    }

PEAK_BURST(burst_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_storeu_ps, 8)
PEAK_BURST(burst_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_storeu_ps, 16)

static double best_rate(float (*burst)(void), double lanes)
{
    double best = 0.0;
    for (int round = 0; round < PEAK_ROUNDS; round++) {
        const double start_s = now_s();
        const float sum = burst();
        const double took_s = now_s() - start_s;
        if (isfinite(sum) && took_s > 0.0)
            best = fmax(best, 2.0 * PEAK_CHAINS * lanes * PEAK_TIMES / took_s);
    }
    return best;
}

double tft_peak_flops(enum tft_set set)
{
    if (!tft_set_runs(set) || set == TFT_SET_PLAIN)
        return (double)NAN;
    return set == TFT_SET_AVX512 ? best_rate(burst_avx512, 16.0) : best_rate(burst_avx2, 8.0);
}

#else

double tft_peak_flops(enum tft_set set)
{
    (void)set;
    return (double)NAN;
}

#endif
