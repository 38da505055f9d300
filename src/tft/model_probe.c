/* The last check of a model: it must say something finite. */
#include "base/alloc.h"
#include "base/rng.h"
#include "tft/forward.h"
#include "tft/model_loader.h"

#include <math.h>

/* What is wrong with a network shows within a few steps; a long window would only take time. */
enum { PROBE_HISTORY = 24, PROBE_HORIZON = 8 };

/* Windows for the probe: a history of the shortest length, a horizon of the longest; values of
 * order `size`. */
struct probe {
    int32_t *codes;
    float *reals, *scale, *prediction;
    void *scratch;
    size_t scratch_bytes;
};

static void probe_fill(const struct tft_model *m, struct probe *p, size_t steps, float size,
                       struct fw_rng *rng)
{
    const struct tft_net *net = m->net;
    for (size_t i = 0; i < steps * net->n_categoricals; i++)
        p->codes[i] = (int32_t)fw_rng_below(rng, net->classes[i % net->n_categoricals]);
    for (size_t i = 0; i < steps * net->n_reals; i++)
        p->reals[i] = size * (2.0f * (float)fw_rng_uniform(rng) - 1.0f);
    for (size_t t = 0; t < net->n_targets; t++) {
        const struct tft_normalizer *n = &m->spec->normalizers[t];
        p->scale[2 * t] = n->kind == TFT_PER_SAMPLE ? 0.0f : (float)n->missing.center;
        p->scale[2 * t + 1] = n->kind == TFT_PER_SAMPLE ? 1.0f : (float)n->missing.scale;
    }
}

static bool probe_finite(const struct tft_model *m, const struct probe *p, size_t history,
                         size_t horizon)
{
    const struct tft_net *net = m->net;
    const struct tft_input in = {
        .n = 1,
        .history_steps = history,
        .horizon_steps = horizon,
        .history_codes = p->codes,
        .horizon_codes = p->codes + history * net->n_categoricals,
        .history_reals = p->reals,
        .horizon_reals = p->reals + history * net->n_reals,
        .history_lengths = &history,
        .horizon_lengths = &horizon,
        .output_scale = p->scale,
    };
    const struct tft_output out = {.prediction = p->prediction};
    tft_forward(m, &in, &out, arena_over(p->scratch, p->scratch_bytes));
    for (size_t i = 0; i < horizon * net->output.n_out; i++) {
        if (!isfinite(p->prediction[i]))
            return false;
    }
    return true;
}

static size_t shorter(size_t a, size_t b)
{
    return a < b ? a : b;
}

void tft_loader_probe(struct tft_loader *l)
{
    static const float sizes[] = {0.0f, 1.0f, 10.0f, 1000.0f};
    const struct tft_model *m = l->model;
    const size_t history = shorter(m->spec->history_max, PROBE_HISTORY);
    const size_t horizon = shorter(m->spec->horizon, PROBE_HORIZON), steps = history + horizon;
    struct fw_rng rng;
    struct probe p = {.scratch_bytes = tft_forward_scratch_bytes(m, history, horizon)};
    p.codes = fw_calloc(steps * m->net->n_categoricals + 1, sizeof *p.codes);
    p.reals = fw_calloc(steps * m->net->n_reals + 1, sizeof *p.reals);
    p.scale = fw_calloc(2 * m->net->n_targets, sizeof *p.scale);
    p.prediction = fw_calloc(horizon * m->net->output.n_out, sizeof *p.prediction);
    p.scratch = fw_alloc_aligned(p.scratch_bytes, 1);
    if (p.codes == NULL || p.reals == NULL || p.scale == NULL || p.prediction == NULL ||
        p.scratch == NULL)
        tft_loader_refuse(l, FW_ENOMEM, "no memory for the probe forecast");
    fw_rng_init(&rng, 1);
    for (size_t i = 0; l->reasons == 0 && i < COUNT(sizes); i++) {
        probe_fill(m, &p, steps, sizes[i], &rng);
        if (!probe_finite(m, &p, history, horizon))
            tft_loader_refuse(l, FW_ECORRUPT, "the probe forecast is not finite");
    }
    fw_free(p.codes);
    fw_free(p.reals);
    fw_free(p.scale);
    fw_free(p.prediction);
    fw_free(p.scratch);
}
