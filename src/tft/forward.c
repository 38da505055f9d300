#include "tft/forward.h"

#include "tft/forward_internal.h"
#include "tft/model_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Rows of a variable selection computed together: enough to keep the kernels busy, few enough that
 * the values of all variables stay in the cache. */
enum { SELECTION_ROWS = 48 };

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

void tft_acts_carve(struct tft_carver *carver, const struct tft_net *net, size_t history,
                    size_t horizon, bool all_weights, struct tft_acts *acts)
{
    const size_t h = net->hidden, steps = history + horizon;
    const size_t variables =
        larger(net->stat.n, larger(net->side[TFT_ENCODER].n, net->side[TFT_DECODER].n));
    tft_vsn_carve(carver, net, SELECTION_ROWS, &acts->vsn);
    acts->selection_weights = tft_carve(carver, SELECTION_ROWS * variables);
    acts->static_out = tft_carve(carver, h);
    tft_grn_carve(carver, 1, h, h, &acts->static_grn);
    for (size_t i = 0; i < TFT_CONTEXTS; i++)
        acts->context[i] = tft_carve(carver, h);
    acts->selected = tft_carve(carver, steps * h);
    tft_lstm_carve(carver, net, larger(history, horizon), &acts->lstm);
    acts->recurrent = tft_carve(carver, steps * h);
    tft_gate_norm_carve(carver, steps, h, &acts->gate);
    acts->gated = tft_carve(carver, steps * h);
    tft_grn_carve(carver, steps, h, h, &acts->grn);
    acts->enriched = tft_carve(carver, steps * h);
    tft_attention_carve(carver, net, steps, horizon, &acts->attention);
    acts->all_weights = all_weights ? tft_carve(carver, horizon * net->heads * steps) : NULL;
    acts->attended = tft_carve(carver, horizon * h);
    acts->attended_gated = tft_carve(carver, horizon * h);
    acts->fed_forward = tft_carve(carver, horizon * h);
    acts->final = tft_carve(carver, horizon * h);
    acts->raw = tft_carve(carver, horizon * net->output.n_out);
}

static void static_part(const struct tft_run *run, const struct tft_series_input *in,
                        struct tft_acts *acts, float *weights)
{
    const struct tft_net *net = run->net;
    tft_vsn_forward(run, &net->stat, 1, in->history_codes, in->history_reals, NULL, &acts->vsn,
                    acts->static_out, acts->selection_weights);
    if (weights != NULL)
        memcpy(weights, acts->selection_weights, net->stat.n * sizeof *weights);
    for (size_t i = 0; i < TFT_CONTEXTS; i++)
        tft_grn_forward(run, &net->context[i], 1, acts->static_out, net->hidden, NULL,
                        &acts->static_grn, acts->context[i]);
}

static void select_steps(const struct tft_run *run, enum tft_side side, size_t steps,
                         const int32_t *codes, const float *reals, struct tft_acts *acts, float *y,
                         float *weights)
{
    const struct tft_net *net = run->net;
    const struct tft_vsn *vsn = &net->side[side];
    for (size_t t = 0; t < steps; t += SELECTION_ROWS) {
        const size_t rows = steps - t < SELECTION_ROWS ? steps - t : SELECTION_ROWS;
        tft_vsn_forward(run, vsn, rows, codes + t * net->n_categoricals, reals + t * net->n_reals,
                        acts->context[TFT_SELECTION], &acts->vsn, y + t * net->hidden,
                        acts->selection_weights);
        if (weights != NULL)
            memcpy(weights + t * vsn->n, acts->selection_weights, rows * vsn->n * sizeof *weights);
    }
}

static void recurrent_part(const struct tft_run *run, const struct tft_series_input *in,
                           struct tft_acts *acts)
{
    const struct tft_net *net = run->net;
    const size_t h = net->hidden, steps = in->history + in->horizon;
    for (size_t l = 0; l < net->layers; l++) {
        memcpy(acts->lstm.h + l * h, acts->context[TFT_INITIAL_HIDDEN], h * sizeof(float));
        memcpy(acts->lstm.c + l * h, acts->context[TFT_INITIAL_CELL], h * sizeof(float));
    }
    tft_lstm_forward(run, TFT_ENCODER, in->history, acts->selected, &acts->lstm, acts->recurrent);
    tft_lstm_forward(run, TFT_DECODER, in->horizon, acts->selected + in->history * h, &acts->lstm,
                     acts->recurrent + in->history * h);
    tft_gate_norm_forward(run, &net->post_lstm.gate, &net->post_lstm.norm, steps, acts->recurrent,
                          acts->selected, h, &acts->gate, acts->gated);
}

/* The horizon's steps from the attention on: gate, feed-forward, gate with the skip from before the
 * enrichment. */
static void horizon_part(const struct tft_run *run, const struct tft_series_input *in,
                         struct tft_acts *acts)
{
    const struct tft_net *net = run->net;
    const size_t h = net->hidden, n = in->horizon, from = in->history * h;
    tft_attention_forward(run, in->history, n, acts->enriched, &acts->attention, acts->all_weights,
                          acts->attended);
    tft_gate_norm_forward(run, &net->post_attention.gate, &net->post_attention.norm, n,
                          acts->attended, acts->enriched + from, h, &acts->gate,
                          acts->attended_gated);
    tft_grn_forward(run, &net->feed_forward, n, acts->attended_gated, h, NULL, &acts->grn,
                    acts->fed_forward);
    tft_gate_norm_forward(run, &net->pre_output.gate, &net->pre_output.norm, n, acts->fed_forward,
                          acts->gated + from, h, &acts->gate, acts->final);
    tft_apply(run, &net->output, n, acts->final, h, acts->raw);
}

void tft_forward_series(const struct tft_run *run, const struct tft_series_input *in,
                        struct tft_acts *acts, float *static_weights, float *history_weights,
                        float *horizon_weights)
{
    const struct tft_net *net = run->net;
    const size_t h = net->hidden;
    static_part(run, in, acts, static_weights);
    /* Rows beyond the series' own are overwritten by the horizon's, or lie behind everything that
     * is read. */
    select_steps(run, TFT_ENCODER, in->weigh_history, in->history_codes, in->history_reals, acts,
                 acts->selected, history_weights);
    select_steps(run, TFT_DECODER, in->weigh_horizon, in->horizon_codes, in->horizon_reals, acts,
                 acts->selected + in->history * h, horizon_weights);
    recurrent_part(run, in, acts);
    tft_grn_forward(run, &net->enrichment, in->history + in->horizon, acts->gated, h,
                    acts->context[TFT_ENRICHMENT], &acts->grn, acts->enriched);
    horizon_part(run, in, acts);
}

static float softplus(float x)
{
    return x > 20.0f ? x : log1pf(expf(x));
}

/* Back to the targets' units. */
static void write_prediction(const struct tft_model *model, const float *raw, const float *scale,
                             size_t steps, size_t all_steps, float *prediction)
{
    const struct tft_spec *spec = model->spec;
    const size_t q = spec->n_quantiles, wide = spec->n_targets * q;
    for (size_t t = 0; t < steps; t++) {
        for (size_t j = 0; j < wide; j++) {
            const size_t target = j / q;
            const float y = raw[t * wide + j] * scale[2 * target + 1] + scale[2 * target];
            prediction[t * wide + j] =
                spec->normalizers[target].transform == TFT_SOFTPLUS ? softplus(y) : y;
        }
    }
    memset(prediction + steps * wide, 0, (all_steps - steps) * wide * sizeof *prediction);
}

/* From the series' own (horizon, heads, T) to the batch's padded steps. */
static void write_attention(const struct tft_net *net, const struct tft_acts *acts,
                            const struct tft_series_input *s, const struct tft_input *in,
                            float *attention)
{
    const size_t own = s->history + s->horizon, wide = in->history_steps + in->horizon_steps;
    memset(attention, 0, in->horizon_steps * net->heads * wide * sizeof *attention);
    for (size_t row = 0; row < s->horizon * net->heads; row++) {
        const float *from = acts->all_weights + row * own;
        float *to = attention + row * wide;
        memcpy(to, from, s->history * sizeof *to);
        memcpy(to + in->history_steps, from + s->history, s->horizon * sizeof *to);
    }
}

static void clear_tail(float *weights, size_t used, size_t steps, size_t width)
{
    if (weights != NULL)
        memset(weights + used * width, 0, (steps - used) * width * sizeof *weights);
}

static float *row_of(float *array, size_t i, size_t size)
{
    return array == NULL ? NULL : array + i * size;
}

static void one_series(const struct tft_model *model, const struct tft_input *in,
                       const struct tft_output *out, size_t i, struct tft_acts *acts)
{
    const struct tft_run run = {model->kernels, model->net, model->packed};
    const struct tft_net *net = model->net;
    const size_t e = in->history_steps, d = in->horizon_steps, wide = net->output.n_out;
    const size_t e_vars = net->side[TFT_ENCODER].n, d_vars = net->side[TFT_DECODER].n;
    const struct tft_series_input s = {
        .history = in->history_lengths[i],
        .horizon = in->horizon_lengths[i],
        .weigh_history = out->weigh_unused ? e : in->history_lengths[i],
        .weigh_horizon = out->weigh_unused ? d : in->horizon_lengths[i],
        .history_codes = in->history_codes + i * e * net->n_categoricals,
        .horizon_codes = in->horizon_codes + i * d * net->n_categoricals,
        .history_reals = in->history_reals + i * e * net->n_reals,
        .horizon_reals = in->horizon_reals + i * d * net->n_reals,
    };
    float *history_weights = row_of(out->history_weights, i, e * e_vars);
    float *horizon_weights = row_of(out->horizon_weights, i, d * d_vars);
    assert(s.history >= 1 && s.history <= e && s.horizon >= 1 && s.horizon <= d);
    tft_forward_series(&run, &s, acts, row_of(out->static_weights, i, net->stat.n), history_weights,
                       horizon_weights);
    clear_tail(history_weights, s.weigh_history, e, e_vars);
    clear_tail(horizon_weights, s.weigh_horizon, d, d_vars);
    if (out->attention != NULL)
        write_attention(net, acts, &s, in, out->attention + i * d * net->heads * (e + d));
    if (out->prediction != NULL)
        write_prediction(model, acts->raw, in->output_scale + i * 2 * net->n_targets, s.horizon, d,
                         out->prediction + i * d * wide);
}

static size_t scratch_bytes(const struct tft_model *model, size_t history_steps,
                            size_t horizon_steps, bool attention)
{
    struct tft_carver carver = {NULL, 0, false};
    struct tft_acts acts;
    tft_acts_carve(&carver, model->net, history_steps, horizon_steps, attention, &acts);
    return carver.bytes + 64; /* the caller's memory need not be aligned */
}

size_t tft_forward_scratch_bytes(const struct tft_model *model, size_t history_steps,
                                 size_t horizon_steps)
{
    return scratch_bytes(model, history_steps, horizon_steps, false);
}

size_t tft_forward_attention_scratch_bytes(const struct tft_model *model, size_t history_steps,
                                           size_t horizon_steps)
{
    return scratch_bytes(model, history_steps, horizon_steps, true);
}

void tft_forward(const struct tft_model *model, const struct tft_input *in,
                 const struct tft_output *out, struct arena scratch)
{
    struct tft_carver carver = {&scratch, 0, false};
    struct tft_acts acts;
    tft_acts_carve(&carver, model->net, in->history_steps, in->horizon_steps,
                   out->attention != NULL, &acts);
    assert(!carver.failed);
    for (size_t i = 0; i < in->n; i++)
        one_series(model, in, out, i, &acts);
}
