#include "tft/compile.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "tft/forward_internal.h"
#include "tft/kernels/vecmath.h"
#include "tft/model_internal.h"
#include "tft/plan_internal.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define PLAN_BYTES_MAX ((size_t)256 << 20)
enum {
    PLAN_HIDDEN_MAX = 512,
    PACK_STEPS = 512,   /* a group's steps share tiles up to here: what they need stays in cache */
    CHECK_HISTORY = 96, /* steps of the windows compared */
    CHECK_HORIZON = 48,
    CHECK_WINDOWS = 6,
};

/* ---- memory ---- */

float *tft_plan_floats(struct tft_plan *plan, size_t n)
{
    if (n > PLAN_BYTES_MAX / sizeof(float) || plan->info.bytes + n * sizeof(float) > PLAN_BYTES_MAX)
        return NULL;
    if (plan->n_blocks == plan->blocks_cap) {
        const size_t cap = plan->blocks_cap == 0 ? 64 : 2 * plan->blocks_cap;
        void **more = fw_realloc_array(plan->blocks, cap, sizeof *more);
        if (more == NULL)
            return NULL;
        plan->blocks = more;
        plan->blocks_cap = cap;
    }
    float *floats = fw_alloc_aligned(n + 1, sizeof *floats);
    if (floats == NULL)
        return NULL;
    memset(floats, 0, (n + 1) * sizeof *floats);
    plan->blocks[plan->n_blocks++] = floats;
    plan->info.bytes += n * sizeof *floats;
    return floats;
}

void tft_plan_free(struct tft_plan *plan)
{
    if (plan == NULL)
        return;
    fw_free(plan->stat.curves);
    fw_free(plan->stat.flat_category_rows);
    for (size_t s = 0; s < TFT_SIDES; s++) {
        fw_free(plan->side[s].curves);
        fw_free(plan->side[s].flat_category_rows);
    }
    for (size_t i = 0; i < plan->n_blocks; i++)
        fw_free(plan->blocks[i]);
    fw_free(plan->blocks);
    fw_free(plan);
}

static uint64_t new_serial(void)
{
    static atomic_uint_fast64_t last;
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

/* ---- layouts ---- */

bool tft_compile_dense(struct tft_plan *plan, size_t n_in, size_t n_out, const float *w,
                       const float *b, float factor, struct tft_dense *out)
{
    float *panels = tft_plan_floats(plan, n_in * n_out), *bias = tft_plan_floats(plan, n_out);
    if (panels == NULL || bias == NULL)
        return false;
    *out = (struct tft_dense){n_in, n_out, panels, bias};
    tft_panels_fill(plan->tiles->panel, n_in, n_out, w, factor, panels);
    for (size_t o = 0; o < n_out; o++)
        bias[o] = b == NULL ? 0.0f : b[o] * factor;
    return true;
}

static bool dense(struct tft_plan *plan, const struct tft_linear *l, float factor,
                  struct tft_dense *out)
{
    const float *params = plan->model->params;
    return tft_compile_dense(plan, l->n_in, l->n_out, params + l->weight,
                             l->bias == TFT_NONE ? NULL : params + l->bias, factor, out);
}

struct tft_dense_norm tft_compile_norm(const struct tft_plan *plan, const struct tft_norm *norm)
{
    const float *params = plan->model->params;
    return (struct tft_dense_norm){norm->n, params + norm->weight, params + norm->bias};
}

bool tft_compile_gate(struct tft_plan *plan, const struct tft_linear *gate,
                      const struct tft_norm *norm, struct tft_dense_gate *out)
{
    out->norm = tft_compile_norm(plan, norm);
    return dense(plan, gate, 1.0f, &out->gate);
}

static bool grn(struct tft_plan *plan, const struct tft_grn *g, struct tft_dense_grn *out)
{
    assert(!g->resampled);
    return dense(plan, &g->fc1, 1.0f, &out->fc1) && dense(plan, &g->fc2, 1.0f, &out->fc2) &&
           tft_compile_gate(plan, &g->gate, &g->norm, &out->gate);
}

/* The four gates of a group of units side by side, so that the group is done when its sums are. */
static bool recurrence(struct tft_plan *plan, const struct tft_lstm_layer *layer,
                       struct tft_recurrence *out)
{
    const float *params = plan->model->params;
    const size_t n = plan->model->net->hidden, units = plan->tiles->units;
    float *w = tft_plan_floats(plan, plan->width * 4 * 2 * n);
    float *b = tft_plan_floats(plan, plan->width * 4);
    if (w == NULL || b == NULL)
        return false;
    *out = (struct tft_recurrence){n, plan->width, w, b};
    for (size_t unit = 0; unit < n; unit++) {
        const size_t group = unit / units, lane = unit % units;
        for (size_t k = 0; k < 4; k++) {
            const size_t row = k * n + unit;
            for (size_t i = 0; i < 2 * n; i++)
                w[((group * 2 * n + i) * 4 + k) * units + lane] =
                    params[i < n ? layer->input.weight + row * n + i
                                 : layer->recurrent.weight + row * n + i - n];
            b[(group * 4 + k) * units + lane] =
                params[layer->input.bias + row] + params[layer->recurrent.bias + row];
        }
    }
    return true;
}

static bool layers(struct tft_plan *plan)
{
    const struct tft_net *net = plan->model->net;
    const struct tft_attention *a = &net->attention;
    /* Scores in powers of two: the softmax is the same, the exponential one product shorter. */
    const float scale = TFT_LOG2_E / sqrtf((float)a->size);
    bool made =
        dense(plan, &a->q, scale, &plan->q) && dense(plan, &a->k, 1.0f, &plan->k) &&
        dense(plan, &a->value, 1.0f, &plan->v) && dense(plan, &a->output, 1.0f, &plan->attended) &&
        dense(plan, &net->output, 1.0f, &plan->output) &&
        tft_compile_gate(plan, &net->post_lstm.gate, &net->post_lstm.norm, &plan->post_lstm) &&
        tft_compile_gate(plan, &net->post_attention.gate, &net->post_attention.norm,
                         &plan->post_attention) &&
        tft_compile_gate(plan, &net->pre_output.gate, &net->pre_output.norm, &plan->pre_output) &&
        grn(plan, &net->enrichment, &plan->enrichment) &&
        grn(plan, &net->feed_forward, &plan->feed_forward);
    for (size_t k = 0; made && k < TFT_CONTEXTS; k++)
        made = grn(plan, &net->context[k], &plan->context[k]);
    for (size_t s = 0; s < TFT_SIDES; s++) {
        for (size_t l = 0; made && l < net->layers; l++)
            made = recurrence(plan, &net->lstm[s][l], &plan->lstm[s][l]);
    }
    return made;
}

enum fw_status tft_compile_with(const struct tft_model *model, const struct tft_tiles *tiles,
                                struct tft_plan **out, struct fw_error *err)
{
    const struct tft_net *net = model->net;
    *out = NULL;
    if (net->hidden > PLAN_HIDDEN_MAX || net->attention.size > TFT_HEAD_SIZE_MAX)
        return fw_fail(err, FW_ELIMIT, "compile a model: hidden size %zu, heads of %zu",
                       net->hidden, net->attention.size);
    struct tft_plan *plan = fw_calloc(1, sizeof *plan);
    if (plan == NULL)
        return fw_fail(err, FW_ENOMEM, "compile a model: no memory");
    plan->serial = new_serial();
    plan->model = model;
    plan->tiles = tiles;
    plan->width = (net->hidden + tiles->units - 1) / tiles->units * tiles->units;
    const bool is_short =
        TFT_GROUP_MAX * (model->spec->history_max + model->spec->horizon) <= PACK_STEPS;
    plan->group = is_short ? TFT_GROUP_MAX : TFT_TOGETHER;
    plan->packed = is_short ? TFT_GROUP_MAX : 1;
    plan->info.kernels = tiles->name;
    enum fw_status status = layers(plan) ? tft_compile_selection(plan, &net->stat, &plan->stat, err)
                                         : fw_fail(err, FW_ENOMEM, "compile a model: no memory");
    for (size_t s = 0; status == FW_OK && s < TFT_SIDES; s++)
        status = tft_compile_selection(plan, &net->side[s], &plan->side[s], err);
    if (status != FW_OK) {
        tft_plan_free(plan);
        return status;
    }
    *out = plan;
    return FW_OK;
}

/* ---- the comparison ---- */

struct check {
    const struct tft_model *model;
    size_t history, horizon;
    int32_t *codes;
    float *reals, *scale, *plain, *compiled;
    void *scratch;
    size_t scratch_bytes;
};

/* Windows of different kinds: around 0, wide, far outside the tables now and then, constant. */
static void make_window(const struct check *c, size_t kind, struct fw_rng *rng)
{
    static const float sizes[] = {1.0f, 3.0f, 0.3f};
    const struct tft_net *net = c->model->net;
    const size_t steps = c->history + c->horizon;
    for (size_t i = 0; i < steps * net->n_categoricals; i++)
        c->codes[i] = (int32_t)fw_rng_below(rng, net->classes[i % net->n_categoricals]);
    for (size_t i = 0; i < steps * net->n_reals; i++) {
        const bool repeats = kind % 4 == 3 && i >= net->n_reals;
        const float far = kind % 2 == 1 && fw_rng_below(rng, 50) == 0 ? 5.0f : 1.0f;
        c->reals[i] = repeats ? c->reals[i - net->n_reals]
                              : (float)fw_rng_normal(rng) * sizes[kind % COUNT(sizes)] * far;
    }
}

/* The largest difference of the network's outputs; they are in units of the targets' scales. */
static double compare_window(const struct check *c, const struct tft_plan *plan)
{
    const struct tft_model *m = c->model;
    const struct tft_net *net = m->net;
    const struct tft_run run = {m->kernels, net, m->packed};
    const size_t outputs = c->horizon * net->output.n_out;
    const struct tft_series_input plain = {
        .history = c->history,
        .horizon = c->horizon,
        .weigh_history = c->history,
        .weigh_horizon = c->horizon,
        .history_codes = c->codes,
        .horizon_codes = c->codes + c->history * net->n_categoricals,
        .history_reals = c->reals,
        .horizon_reals = c->reals + c->history * net->n_reals,
    };
    const struct tft_input in = {.n = 1,
                                 .history_steps = c->history,
                                 .horizon_steps = c->horizon,
                                 .history_codes = plain.history_codes,
                                 .horizon_codes = plain.horizon_codes,
                                 .history_reals = plain.history_reals,
                                 .horizon_reals = plain.horizon_reals,
                                 .history_lengths = &c->history,
                                 .horizon_lengths = &c->horizon};
    struct arena arena = arena_over(c->scratch, c->scratch_bytes);
    struct tft_carver carver = {&arena, 0, false};
    struct tft_acts acts;
    tft_acts_carve(&carver, net, c->history, c->horizon, false, &acts);
    tft_forward_series(&run, &plain, &acts, NULL, NULL, NULL);
    memcpy(c->plain, acts.raw, outputs * sizeof *c->plain);
    tft_plan_run(plan, &in, c->compiled, arena_over(c->scratch, c->scratch_bytes));
    double worst = 0.0;
    for (size_t i = 0; i < outputs; i++) {
        const double gap = fabs((double)c->plain[i] - (double)c->compiled[i]);
        worst = gap <= worst ? worst : gap; /* NaN stays */
    }
    return worst;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static enum fw_status check(const struct tft_model *m, struct tft_plan *plan, struct fw_error *err)
{
    struct check c = {.model = m,
                      .history = smaller(m->spec->history_max, CHECK_HISTORY),
                      .horizon = smaller(m->spec->horizon, CHECK_HORIZON)};
    const size_t steps = c.history + c.horizon;
    enum fw_status status = FW_OK;
    struct fw_rng rng;
    fw_rng_init(&rng, 4);
    c.scratch_bytes = larger(tft_forward_scratch_bytes(m, c.history, c.horizon),
                             tft_plan_scratch_bytes(plan, c.history, c.horizon));
    c.codes = fw_calloc(steps * m->net->n_categoricals + 1, sizeof *c.codes);
    c.reals = fw_calloc(steps * m->net->n_reals + 1, sizeof *c.reals);
    c.plain = fw_calloc(c.horizon * m->net->output.n_out, sizeof *c.plain);
    c.compiled = fw_calloc(c.horizon * m->net->output.n_out, sizeof *c.compiled);
    c.scratch = fw_alloc_aligned(c.scratch_bytes, 1);
    if (c.codes == NULL || c.reals == NULL || c.plain == NULL || c.compiled == NULL ||
        c.scratch == NULL)
        status = fw_fail(err, FW_ENOMEM, "compile a model: no memory for the comparison");
    for (size_t i = 0; status == FW_OK && i < CHECK_WINDOWS; i++) {
        make_window(&c, i, &rng);
        const double gap = compare_window(&c, plan);
        plan->info.check_error = gap > plan->info.check_error ? gap : plan->info.check_error;
        if (!(gap <= TFT_PLAN_TOLERANCE))
            status = fw_fail(err, FW_EINVAL,
                             "the compiled model differs from the plain one by %.3g of a target's "
                             "scale, more than %g",
                             gap, TFT_PLAN_TOLERANCE);
    }
    fw_free(c.codes);
    fw_free(c.reals);
    fw_free(c.plain);
    fw_free(c.compiled);
    fw_free(c.scratch);
    return status;
}

enum fw_status tft_compile(const struct tft_model *model, struct tft_plan **out,
                           struct fw_error *err)
{
    enum fw_status status = tft_compile_with(model, tft_tiles_best(), out, err);
    if (status != FW_OK)
        return status;
    status = check(model, *out, err);
    if (status != FW_OK) {
        tft_plan_free(*out);
        *out = NULL;
    }
    return status;
}
