#include "tft/gradient.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "tft/attention_backward.h"
#include "tft/grn_backward.h"
#include "tft/loss.h"
#include "tft/lstm_backward.h"
#include "tft/vsn_backward.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { SELECTION_ROWS = 48 };

/* Where dropout happens. A selection takes as many sites as it has variables, and as many again for
 * every block of rows. */
enum {
    SITE_CONTEXT = 1,
    SITE_RECURRENT = SITE_CONTEXT + TFT_CONTEXTS,
    SITE_ENRICHMENT,
    SITE_HEADS,
    SITE_ATTENDED,
    SITE_POST_ATTENTION,
    SITE_FEED_FORWARD,
    SITE_SELECTIONS
};

/* Everything that the way back needs, and the gradients on it. T = history + horizon. */
struct tape {
    struct tft_vsn_acts vsn;
    struct tft_vsn_gradient dvsn;
    float *weights; /* (rows of a block, variables) */
    float *stat;    /* (hidden) */
    float *context[TFT_CONTEXTS];
    struct tft_grn_acts context_acts[TFT_CONTEXTS];
    float *selected; /* (T, hidden) */
    struct tft_lstm_tape lstm;
    float *recurrent; /* (T, hidden): the LSTM's output after dropout */
    struct tft_gate_norm_acts post_lstm;
    float *gated; /* (T, hidden) */
    struct tft_grn_acts enrichment;
    float *enriched; /* (T, hidden) */
    struct tft_attention_tape attention;
    float *attended; /* (horizon, hidden) */
    struct tft_gate_norm_acts post_attention;
    float *attended_gated;
    struct tft_grn_acts feed_forward;
    float *fed_forward;
    struct tft_gate_norm_acts pre_output;
    float *final;
    float *raw, *prediction, *draw; /* (horizon, targets, quantiles) */
    float *dcontext[TFT_CONTEXTS], *dstat;
    float *dselected, *dgated, *denriched, *drecurrent; /* (T, hidden) */
    float *da, *db, *dc;                                /* (horizon, hidden) */
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void carve_acts(struct tft_carver *c, const struct tft_net *net, size_t history,
                       size_t horizon, struct tape *t)
{
    const size_t h = net->hidden, steps = history + horizon;
    const size_t variables =
        larger(net->stat.n, larger(net->side[TFT_ENCODER].n, net->side[TFT_DECODER].n));
    tft_vsn_carve(c, net, SELECTION_ROWS, &t->vsn);
    tft_vsn_gradient_carve(c, net, SELECTION_ROWS, &t->dvsn);
    t->weights = tft_carve(c, SELECTION_ROWS * variables);
    t->stat = tft_carve(c, h);
    for (size_t i = 0; i < TFT_CONTEXTS; i++) {
        t->context[i] = tft_carve(c, h);
        tft_grn_carve(c, 1, h, h, &t->context_acts[i]);
    }
    t->selected = tft_carve(c, steps * h);
    tft_lstm_tape_carve(c, net, steps, &t->lstm);
    t->recurrent = tft_carve(c, steps * h);
    tft_gate_norm_carve(c, steps, h, &t->post_lstm);
    t->gated = tft_carve(c, steps * h);
    tft_grn_carve(c, steps, h, h, &t->enrichment);
    t->enriched = tft_carve(c, steps * h);
    tft_attention_tape_carve(c, net, steps, horizon, &t->attention);
    t->attended = tft_carve(c, horizon * h);
    tft_gate_norm_carve(c, horizon, h, &t->post_attention);
    t->attended_gated = tft_carve(c, horizon * h);
    tft_grn_carve(c, horizon, h, h, &t->feed_forward);
    t->fed_forward = tft_carve(c, horizon * h);
    tft_gate_norm_carve(c, horizon, h, &t->pre_output);
    t->final = tft_carve(c, horizon * h);
    t->raw = tft_carve(c, horizon * net->output.n_out);
    t->prediction = tft_carve(c, horizon * net->output.n_out);
}

static void carve_gradients(struct tft_carver *c, const struct tft_net *net, size_t history,
                            size_t horizon, struct tape *t)
{
    const size_t h = net->hidden, steps = history + horizon;
    t->draw = tft_carve(c, horizon * net->output.n_out);
    for (size_t i = 0; i < TFT_CONTEXTS; i++)
        t->dcontext[i] = tft_carve(c, h);
    t->dstat = tft_carve(c, h);
    t->dselected = tft_carve(c, steps * h);
    t->dgated = tft_carve(c, steps * h);
    t->denriched = tft_carve(c, steps * h);
    t->drecurrent = tft_carve(c, steps * h);
    t->da = tft_carve(c, horizon * h);
    t->db = tft_carve(c, horizon * h);
    t->dc = tft_carve(c, horizon * h);
}

static void carve_temporaries(struct tft_carver *c, const struct tft_net *net, size_t steps,
                              struct tft_grad_run *g)
{
    const struct tft_vsn *const all[] = {&net->stat, &net->side[TFT_ENCODER],
                                         &net->side[TFT_DECODER]};
    size_t wide = net->hidden;
    for (size_t i = 0; i < COUNT(all); i++) {
        wide = larger(wide, larger(all[i]->value_size, all[i]->n));
        for (size_t v = 0; v < all[i]->n; v++)
            wide = larger(wide, all[i]->input[v].size);
    }
    const size_t n = larger(steps * net->hidden, SELECTION_ROWS * wide);
    g->hidden = tft_carve(c, n);
    g->in = tft_carve(c, n);
    g->turned = tft_carve(c, wide);
}

struct tft_gradient_workspace {
    struct tape tape;
    struct tft_grad_run g; /* its temporaries; the rest is set for every series */
    size_t history, horizon;
    void *memory;
};

static void carve_all(struct tft_carver *c, const struct tft_net *net,
                      struct tft_gradient_workspace *room)
{
    carve_acts(c, net, room->history, room->horizon, &room->tape);
    carve_gradients(c, net, room->history, room->horizon, &room->tape);
    carve_temporaries(c, net, room->history + room->horizon, &room->g);
}

struct tft_gradient_workspace *tft_gradient_workspace_new(const struct tft_net *net, size_t history,
                                                          size_t horizon)
{
    struct tft_carver count = {NULL, 0, false};
    struct tft_gradient_workspace *room = fw_calloc(1, sizeof *room);
    if (room == NULL)
        return NULL;
    room->history = history;
    room->horizon = horizon;
    carve_all(&count, net, room);
    room->memory = fw_alloc_aligned(count.bytes, 1);
    if (room->memory == NULL) {
        fw_free(room);
        return NULL;
    }
    struct arena arena = arena_over(room->memory, count.bytes);
    struct tft_carver carver = {&arena, 0, false};
    carve_all(&carver, net, room);
    assert(!carver.failed);
    return room;
}

void tft_gradient_workspace_free(struct tft_gradient_workspace *room)
{
    if (room == NULL)
        return;
    fw_free(room->memory);
    fw_free(room);
}

static struct tft_dropout dropout_at(const struct tft_dropout *of, uint32_t site)
{
    struct tft_dropout d = *of;
    d.site = site;
    return d;
}

/* ---- forward ---- */

static void static_forward(const struct tft_grad_run *g, const struct tft_gradient_series *s,
                           const struct tft_dropout *drop, struct tape *t)
{
    const struct tft_net *net = g->run.net;
    t->vsn.flat.dropout = t->vsn.variable.dropout = dropout_at(drop, SITE_SELECTIONS);
    tft_vsn_forward(&g->run, &net->stat, 1, s->history_codes, s->history_reals, NULL, &t->vsn,
                    t->stat, t->weights);
    for (size_t i = 0; i < TFT_CONTEXTS; i++) {
        t->context_acts[i].dropout = dropout_at(drop, SITE_CONTEXT + (uint32_t)i);
        tft_grn_forward(&g->run, &net->context[i], 1, t->stat, net->hidden, NULL,
                        &t->context_acts[i], t->context[i]);
    }
}

/* A block of rows of one side's selection. */
struct block {
    const struct tft_vsn *vsn;
    size_t at, rows; /* at: of T */
    const int32_t *codes;
    const float *reals;
    uint32_t site;
};

/* The next block; false after the last. Starts from a zeroed one. */
static bool next_block(const struct tft_net *net, const struct tft_gradient_series *s,
                       struct block *b)
{
    const size_t at = b->at + b->rows, steps = s->history + s->horizon;
    if (at == steps)
        return false;
    const bool ahead = at >= s->history;
    const size_t end = ahead ? steps : s->history, from = ahead ? at - s->history : at;
    b->vsn = &net->side[ahead ? TFT_DECODER : TFT_ENCODER];
    b->at = at;
    b->rows = end - at < SELECTION_ROWS ? end - at : SELECTION_ROWS;
    b->codes = (ahead ? s->horizon_codes : s->history_codes) + from * net->n_categoricals;
    b->reals = (ahead ? s->horizon_reals : s->history_reals) + from * net->n_reals;
    b->site = SITE_SELECTIONS + (1 + (uint32_t)at) * (TFT_VARIABLES_MAX + 1);
    return true;
}

static void select_forward(const struct tft_grad_run *g, const struct tft_gradient_series *s,
                           const struct tft_dropout *drop, struct tape *t)
{
    struct block b = {0};
    while (next_block(g->run.net, s, &b)) {
        t->vsn.flat.dropout = t->vsn.variable.dropout = dropout_at(drop, b.site);
        tft_vsn_forward(&g->run, b.vsn, b.rows, b.codes, b.reals, t->context[TFT_SELECTION],
                        &t->vsn, t->selected + b.at * g->run.net->hidden, t->weights);
    }
}

static void sequence_forward(const struct tft_grad_run *g, const struct tft_gradient_series *s,
                             const struct tft_dropout *drop, struct tape *t)
{
    const struct tft_net *net = g->run.net;
    const size_t h = net->hidden, steps = s->history + s->horizon;
    const struct tft_dropout recurrent = dropout_at(drop, SITE_RECURRENT);
    tft_lstm_tape_forward(&g->run, s->history, s->horizon, t->selected,
                          t->context[TFT_INITIAL_HIDDEN], t->context[TFT_INITIAL_CELL], &t->lstm);
    memcpy(t->recurrent, t->lstm.out[net->layers - 1], steps * h * sizeof(float));
    tft_dropout_apply(&recurrent, steps * h, t->recurrent);
    tft_gate_norm_forward(&g->run, &net->post_lstm.gate, &net->post_lstm.norm, steps, t->recurrent,
                          t->selected, h, &t->post_lstm, t->gated);
    t->enrichment.dropout = dropout_at(drop, SITE_ENRICHMENT);
    tft_grn_forward(&g->run, &net->enrichment, steps, t->gated, h, t->context[TFT_ENRICHMENT],
                    &t->enrichment, t->enriched);
}

static void horizon_forward(const struct tft_grad_run *g, const struct tft_gradient_series *s,
                            const struct tft_dropout *drop, struct tape *t)
{
    const struct tft_net *net = g->run.net;
    const size_t h = net->hidden, n = s->horizon, from = s->history * h;
    const struct tft_dropout attended = dropout_at(drop, SITE_ATTENDED);
    const struct tft_dropout gate = dropout_at(drop, SITE_POST_ATTENTION);
    t->attention.dropout = dropout_at(drop, SITE_HEADS);
    tft_attention_tape_forward(g, s->history, n, t->enriched, &t->attention, t->attended);
    tft_dropout_apply(&attended, n * h, t->attended);
    tft_dropout_apply(&gate, n * h, t->attended);
    tft_gate_norm_forward(&g->run, &net->post_attention.gate, &net->post_attention.norm, n,
                          t->attended, t->enriched + from, h, &t->post_attention,
                          t->attended_gated);
    t->feed_forward.dropout = dropout_at(drop, SITE_FEED_FORWARD);
    tft_grn_forward(&g->run, &net->feed_forward, n, t->attended_gated, h, NULL, &t->feed_forward,
                    t->fed_forward);
    tft_gate_norm_forward(&g->run, &net->pre_output.gate, &net->pre_output.norm, n, t->fed_forward,
                          t->gated + from, h, &t->pre_output, t->final);
    tft_apply(&g->run, &net->output, n, t->final, h, t->raw);
}

static void predict(const struct tft_spec *spec, const struct tft_gradient_series *s,
                    const float *raw, float *prediction)
{
    const size_t q = spec->n_quantiles, wide = spec->n_targets * q;
    for (size_t i = 0; i < s->horizon * wide; i++) {
        const size_t target = i % wide / q;
        const float y = raw[i] * s->scale[2 * target + 1] + s->scale[2 * target];
        const bool soft = spec->normalizers[target].transform == TFT_SOFTPLUS;
        prediction[i] = !soft || y > 20.0f ? y : log1pf(expf(y));
    }
}

static void forward(const struct tft_gradient_pass *pass, const struct tft_grad_run *g,
                    const struct tft_gradient_series *s, const struct tft_dropout *drop,
                    struct tape *t)
{
    static_forward(g, s, drop, t);
    select_forward(g, s, drop, t);
    sequence_forward(g, s, drop, t);
    horizon_forward(g, s, drop, t);
    predict(pass->spec, s, t->raw, t->prediction);
}

/* ---- backward ---- */

/* From the prediction's gradient to the network's output: through softplus and scale. */
static void unscale(const struct tft_spec *spec, const struct tft_gradient_series *s,
                    const float *raw, float *draw)
{
    const size_t q = spec->n_quantiles, wide = spec->n_targets * q;
    for (size_t i = 0; i < s->horizon * wide; i++) {
        const size_t target = i % wide / q;
        const float scale = s->scale[2 * target + 1];
        const float y = raw[i] * scale + s->scale[2 * target];
        const bool soft = spec->normalizers[target].transform == TFT_SOFTPLUS;
        draw[i] *= !soft || y > 20.0f ? scale : scale / (1.0f + expf(-y));
    }
}

/* Leaves denriched and dgated with what comes from the horizon alone. */
static void horizon_backward(const struct tft_grad_run *g, const struct tft_gradient_series *s,
                             const struct tft_dropout *drop, struct tape *t)
{
    const struct tft_net *net = g->run.net;
    const size_t h = net->hidden, n = s->horizon, from = s->history * h;
    const struct tft_dropout attended = dropout_at(drop, SITE_ATTENDED);
    const struct tft_dropout gate = dropout_at(drop, SITE_POST_ATTENTION);
    tft_linear_backward(g, &net->output, n, t->final, h, t->draw, t->da);
    tft_gate_norm_backward(g, &net->pre_output.gate, &net->pre_output.norm, n, t->fed_forward,
                           &t->pre_output, t->da, t->db);
    g->b->add(n * h, t->da, t->dgated + from);
    memset(t->dc, 0, n * h * sizeof(float));
    tft_grn_backward(g, &net->feed_forward, n, t->attended_gated, h, NULL, &t->feed_forward, t->db,
                     t->dc, h, NULL);
    tft_gate_norm_backward(g, &net->post_attention.gate, &net->post_attention.norm, n, t->attended,
                           &t->post_attention, t->dc, t->db);
    g->b->add(n * h, t->dc, t->denriched + from);
    tft_dropout_apply(&gate, n * h, t->db);
    tft_dropout_apply(&attended, n * h, t->db);
    tft_attention_tape_backward(g, s->history, n, t->enriched, &t->attention, t->db, t->denriched);
}

static void sequence_backward(const struct tft_grad_run *g, const struct tft_gradient_series *s,
                              const struct tft_dropout *drop, struct tape *t)
{
    const struct tft_net *net = g->run.net;
    const size_t h = net->hidden, steps = s->history + s->horizon;
    const struct tft_dropout recurrent = dropout_at(drop, SITE_RECURRENT);
    tft_grn_backward(g, &net->enrichment, steps, t->gated, h, t->context[TFT_ENRICHMENT],
                     &t->enrichment, t->denriched, t->dgated, h, t->dcontext[TFT_ENRICHMENT]);
    tft_gate_norm_backward(g, &net->post_lstm.gate, &net->post_lstm.norm, steps, t->recurrent,
                           &t->post_lstm, t->dgated, t->drecurrent);
    tft_dropout_apply(&recurrent, steps * h, t->drecurrent);
    tft_lstm_tape_backward(g, s->history, s->horizon, t->selected, t->context[TFT_INITIAL_HIDDEN],
                           t->context[TFT_INITIAL_CELL], &t->lstm, t->drecurrent, t->dselected,
                           t->dcontext[TFT_INITIAL_HIDDEN], t->dcontext[TFT_INITIAL_CELL]);
    g->b->add(steps * h, t->dgated, t->dselected); /* the skip around the LSTM */
}

static void select_backward(const struct tft_grad_run *g, const struct tft_gradient_series *s,
                            const struct tft_dropout *drop, struct tape *t)
{
    struct block b = {0};
    while (next_block(g->run.net, s, &b)) {
        t->vsn.flat.dropout = t->vsn.variable.dropout = dropout_at(drop, b.site);
        tft_vsn_backward(g, b.vsn, b.rows, b.codes, b.reals, t->context[TFT_SELECTION], &t->vsn,
                         &t->dvsn, t->weights, t->dselected + b.at * g->run.net->hidden,
                         t->dcontext[TFT_SELECTION]);
    }
}

static void static_backward(const struct tft_grad_run *g, const struct tft_gradient_series *s,
                            const struct tft_dropout *drop, struct tape *t)
{
    const struct tft_net *net = g->run.net;
    for (size_t i = 0; i < TFT_CONTEXTS; i++)
        tft_grn_backward(g, &net->context[i], 1, t->stat, net->hidden, NULL, &t->context_acts[i],
                         t->dcontext[i], t->dstat, net->hidden, NULL);
    t->vsn.flat.dropout = t->vsn.variable.dropout = dropout_at(drop, SITE_SELECTIONS);
    tft_vsn_backward(g, &net->stat, 1, s->history_codes, s->history_reals, NULL, &t->vsn, &t->dvsn,
                     t->weights, t->dstat, NULL);
}

static void clear_gradients(const struct tft_net *net, size_t steps, struct tape *t)
{
    const size_t h = net->hidden;
    for (size_t i = 0; i < TFT_CONTEXTS; i++)
        memset(t->dcontext[i], 0, h * sizeof(float));
    memset(t->dstat, 0, h * sizeof(float));
    memset(t->dgated, 0, steps * h * sizeof(float));
    memset(t->denriched, 0, steps * h * sizeof(float));
}

static struct tft_dropout dropout_of(const struct tft_gradient_pass *pass, uint32_t key)
{
    if (!(pass->dropout > 0.0f))
        return (struct tft_dropout){0};
    assert(pass->dropout < 1.0f);
    return (struct tft_dropout){.apply = pass->backward->drop,
                                .threshold = (uint32_t)((double)pass->dropout * 4294967296.0),
                                .scale = 1.0f / (1.0f - pass->dropout),
                                .key = key};
}

static const struct tft_grad_run *prepare(const struct tft_gradient_pass *pass,
                                          const struct tft_gradient_series *s, float *grads,
                                          struct tft_gradient_workspace *room)
{
    struct tft_grad_run *g = &room->g;
    assert(s->history >= 1 && s->history <= room->history);
    assert(s->horizon >= 1 && s->horizon <= room->horizon);
    g->run = (struct tft_run){pass->kernels, pass->net, pass->packed};
    g->b = pass->backward;
    g->params = pass->params;
    g->grads = grads;
    return g;
}

double tft_gradient_series(const struct tft_gradient_pass *pass,
                           struct tft_gradient_workspace *room, const struct tft_gradient_series *s,
                           float *grads, float *prediction)
{
    const struct tft_net *net = pass->net;
    const struct tft_dropout drop = dropout_of(pass, s->key);
    const struct tft_grad_run *g = prepare(pass, s, grads, room);
    struct tape *t = &room->tape;
    forward(pass, g, s, &drop, t);
    const double loss =
        tft_loss_quantile(s->horizon, net->n_targets, net->n_quantiles, pass->spec->quantiles,
                          s->target, t->prediction, s->weight, t->draw);
    if (prediction != NULL)
        memcpy(prediction, t->prediction, s->horizon * net->output.n_out * sizeof *prediction);
    unscale(pass->spec, s, t->raw, t->draw);
    clear_gradients(net, s->history + s->horizon, t);
    horizon_backward(g, s, &drop, t);
    sequence_backward(g, s, &drop, t);
    select_backward(g, s, &drop, t);
    static_backward(g, s, &drop, t);
    return loss;
}

double tft_gradient_loss(const struct tft_gradient_pass *pass, struct tft_gradient_workspace *room,
                         const struct tft_gradient_series *s, float *prediction)
{
    const struct tft_net *net = pass->net;
    const struct tft_dropout none = {0};
    const struct tft_grad_run *g = prepare(pass, s, NULL, room);
    struct tape *t = &room->tape;
    forward(pass, g, s, &none, t);
    if (prediction != NULL)
        memcpy(prediction, t->prediction, s->horizon * net->output.n_out * sizeof *prediction);
    return tft_loss_quantile(s->horizon, net->n_targets, net->n_quantiles, pass->spec->quantiles,
                             s->target, t->prediction, s->weight, NULL);
}

void tft_gradient_clear_padding(const struct tft_spec *spec, const struct tft_net *net,
                                float *grads)
{
    for (size_t i = 0; i < net->n_categoricals; i++) {
        const int32_t unknown = spec->categoricals[i].unknown_index;
        if (unknown >= 0)
            memset(grads + net->embedding[i] + (size_t)unknown * net->embedding_size[i], 0,
                   net->embedding_size[i] * sizeof *grads);
    }
}
