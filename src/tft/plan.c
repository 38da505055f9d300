#include "tft/plan.h"

#include "tft/model_internal.h"
#include "tft/plan_internal.h"

#include <assert.h>
#include <string.h>

/* Whole groups of series of which the contexts are made in one tile. */
enum { CONTEXTS_TOGETHER = TFT_TILE / TFT_TOGETHER * TFT_TOGETHER };

/* Tiles of steps that go through one variable's table at a time: the table's hot part and the rows
 * that it is added to share the first cache. */
enum { SELECTED_TOGETHER = 12 };

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t tiles_of(size_t steps)
{
    return (steps + TFT_TILE - 1) / TFT_TILE;
}

/* ---- scratch ---- */

static void carve_series(struct tft_carver *carver, const struct tft_plan *plan, size_t padded,
                         struct tft_plan_series *s)
{
    s->selected = tft_carve(carver, padded * plan->width);
    s->recurrent = tft_carve(carver, padded * plan->width);
}

/* What one tile of a selection, a gate or a residual network needs. */
static void carve_tile(struct tft_carver *carver, const struct tft_plan *plan,
                       struct tft_plan_acts *acts)
{
    const struct tft_plan_selection *e = &plan->side[TFT_ENCODER], *d = &plan->side[TFT_DECODER];
    const size_t variables = larger(larger(e->vsn->n, d->vsn->n), plan->stat.vsn->n);
    const size_t n = larger(variables, 1), hidden = plan->model->net->hidden;
    const size_t flat = larger(larger(e->flat.hidden, d->flat.hidden), plan->stat.flat.hidden);
    acts->numbers = tft_carve(carver, SELECTED_TOGETHER * n * TFT_TILE);
    acts->weights = tft_carve(carver, SELECTED_TOGETHER * n * TFT_TILE);
    acts->flat_in = tft_carve(carver, (flat + n) * TFT_TILE);
    acts->first = tft_carve(carver, larger(flat + n, hidden));
    acts->work = tft_carve(carver, larger(flat + 2 * n, 4 * hidden) * TFT_TILE);
    acts->recurrent_tile = tft_carve(carver, plan->width * TFT_TILE);
    acts->selected_tile = tft_carve(carver, plan->width * TFT_TILE);
}

void tft_plan_carve(struct tft_carver *carver, const struct tft_plan *plan, size_t history_steps,
                    size_t horizon_steps, struct tft_plan_acts *acts)
{
    const struct tft_net *net = plan->model->net;
    const size_t horizon = tiles_of(horizon_steps) * TFT_TILE;
    const size_t padded = tiles_of(history_steps) * TFT_TILE + horizon;
    const size_t wide = plan->q.n_out, size = plan->v.n_out, hidden = net->hidden;
    memset(acts, 0, sizeof *acts);
    acts->padded = padded;
    for (size_t s = 0; s < TFT_TOGETHER; s++)
        carve_series(carver, plan, padded, &acts->series[s]);
    tft_vsn_carve(carver, net, 1, &acts->vsn);
    acts->contexts = tft_carve(carver, TFT_TILE * TFT_CONTEXTS * hidden);
    acts->static_rows = tft_carve(carver, TFT_TILE * plan->width);
    acts->static_tile = tft_carve(carver, hidden * TFT_TILE);
    acts->context_tile = tft_carve(carver, hidden * TFT_TILE);
    carve_tile(carver, plan, acts);
    for (size_t i = 0; i < COUNT(acts->between); i++)
        if (net->layers > i + 1)
            acts->between[i] = tft_carve(carver, TFT_TOGETHER * padded * plan->width);
    acts->h = tft_carve(carver, TFT_TOGETHER * net->layers * plan->width);
    acts->c = tft_carve(carver, TFT_TOGETHER * net->layers * plan->width);
    acts->gated = tft_carve(carver, padded * hidden);
    acts->enriched = tft_carve(carver, padded * hidden);
    acts->k = tft_carve(carver, padded * wide);
    acts->head = tft_carve(carver, padded * size);
    acts->v = tft_carve(carver, padded * size);
    acts->q = tft_carve(carver, horizon * wide);
    acts->seen = tft_carve(carver, horizon * size);
    acts->attended = tft_carve(carver, horizon * hidden);
    acts->attended_gated = tft_carve(carver, horizon * hidden);
    acts->fed_forward = tft_carve(carver, horizon * hidden);
    acts->final = tft_carve(carver, horizon * hidden);
    acts->raw = tft_carve(carver, horizon * plan->output.n_out);
}

size_t tft_plan_scratch_bytes(const struct tft_plan *plan, size_t history_steps,
                              size_t horizon_steps)
{
    struct tft_carver carver = {NULL, 0, false};
    struct tft_plan_acts acts;
    tft_plan_carve(&carver, plan, history_steps, horizon_steps, &acts);
    return carver.bytes + 64; /* the caller's memory need not be aligned */
}

/* ---- stages ---- */

/* x (TILE, width) -> y (n, TILE). */
static void turn(const struct tft_plan *plan, size_t n, const float *x, float *y)
{
    const float *row[TFT_TILE];
    for (size_t t = 0; t < TFT_TILE; t++)
        row[t] = x + t * plan->width;
    plan->tiles->turn(n, row, false, y);
}

/* Where a series' horizon begins among its padded steps. */
static size_t horizon_at(const struct tft_plan_series *s)
{
    return tiles_of(s->history) * TFT_TILE;
}

static size_t padded_of(const struct tft_plan_series *s)
{
    return horizon_at(s) + tiles_of(s->horizon) * TFT_TILE;
}

/* Rows are taken from here: steps of one side, or each series' first. */
struct tile_input {
    const int32_t *codes; /* (n_categoricals) every codes_stride */
    const float *reals;   /* (n_reals) every reals_stride */
    size_t codes_stride, reals_stride;
    size_t steps;
};

/* A selection's inputs, one row a variable: codes as numbers, then reals. Steps beyond the series'
 * are 0. */
static void gather_numbers(const struct tft_plan *plan, const struct tft_plan_selection *sel,
                           const struct tile_input *in, float *numbers)
{
    const struct tft_net *net = plan->model->net;
    memset(numbers, 0, sel->vsn->n * TFT_TILE * sizeof *numbers);
    for (size_t v = 0; v < sel->n_categoricals; v++, numbers += TFT_TILE) {
        const size_t column = sel->vsn->input[v].column;
        for (size_t t = 0; t < in->steps; t++) {
            const int32_t code = in->codes[t * in->codes_stride + column];
            assert(code >= 0 && (size_t)code < net->classes[column]);
            numbers[t] = (float)code;
        }
    }
    for (size_t v = sel->n_categoricals; v < sel->vsn->n; v++, numbers += TFT_TILE) {
        const float *from = in->reals + sel->vsn->input[v].column;
        for (size_t t = 0; t < in->steps; t++)
            numbers[t] = from[t * in->reals_stride];
    }
}

/* What stands in the folded first layer before the numbers' share: `first` (constant and context),
 * and every category's row. */
static void preset_flat(const struct tft_plan *plan, const struct tft_plan_selection *sel,
                        const float *numbers, const float *first, float *y)
{
    const size_t outputs = sel->flat.in.n_out, stride = tft_plan_category_stride(outputs);
    for (size_t o = 0; o < outputs; o++) {
        for (size_t t = 0; t < TFT_TILE; t++)
            y[o * TFT_TILE + t] = first[o];
    }
    for (size_t c = 0; c < sel->n_categoricals; c++, numbers += TFT_TILE) {
        const float *row[TFT_TILE];
        for (size_t t = 0; t < TFT_TILE; t++)
            row[t] = sel->flat_category_rows[c] + (size_t)numbers[t] * stride;
        plan->tiles->turn(outputs, row, true, y);
    }
}

void tft_plan_variable(const struct tft_run *run, const struct tft_vsn_input *in, size_t n,
                       const float *x, struct tft_vsn_acts *acts, float *y)
{
    const struct tft_linear *l = &run->net->prescaler[in->column];
    const float *w = run->w + l->weight, *b = run->w + l->bias;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < in->size; k++)
            acts->values[i * in->size + k] = x[i] * w[k] + b[k];
    }
    tft_grn_forward(run, &in->real_net, n, acts->values, in->size, NULL, &acts->variable, y);
}

/* Numbers that lie outside a variable's table: its network is computed. */
static void add_outside(const struct tft_plan *plan, const struct tft_plan_selection *sel, size_t v,
                        size_t steps, struct tft_plan_acts *acts, float *y)
{
    const struct tft_model *m = plan->model;
    const struct tft_run run = {m->kernels, m->net, m->packed};
    const struct tft_curve *curve = &sel->curves[v];
    for (size_t t = 0; t < steps; t++) {
        const size_t at = (t / TFT_TILE * sel->vsn->n + v) * TFT_TILE + t % TFT_TILE;
        const float x = acts->numbers[at];
        if (x >= curve->low && x <= curve->high)
            continue;
        tft_plan_variable(&run, &sel->vsn->input[v], 1, &x, &acts->vsn, acts->vsn.out);
        for (size_t j = 0; j < m->net->hidden; j++)
            y[t * plan->width + j] += acts->weights[at] * acts->vsn.out[j];
    }
}

static void weigh_tile(const struct tft_plan *plan, const struct tft_plan_selection *sel,
                       const struct tile_input *in, struct tft_plan_acts *acts, float *numbers,
                       float *weights)
{
    gather_numbers(plan, sel, in, numbers);
    if (sel->vsn->n == 1) {
        for (size_t t = 0; t < TFT_TILE; t++)
            weights[t] = 1.0f;
    } else {
        preset_flat(plan, sel, numbers, acts->first, acts->flat_in);
        plan->tiles->flat(&sel->flat, numbers + sel->n_categoricals * TFT_TILE, acts->flat_in,
                          acts->work, weights);
    }
}

/* y (steps, width) += the selected vectors; at most SELECTED_TOGETHER tiles of steps. */
static void select_rows(const struct tft_plan *plan, const struct tft_plan_selection *sel,
                        const struct tile_input *in, struct tft_plan_acts *acts, float *y)
{
    const size_t stride = sel->vsn->n * TFT_TILE;
    for (size_t t = 0; t < in->steps; t += TFT_TILE) {
        const size_t at = t / TFT_TILE * stride;
        const struct tile_input tile = {.codes = in->codes + t * in->codes_stride,
                                        .reals = in->reals + t * in->reals_stride,
                                        .codes_stride = in->codes_stride,
                                        .reals_stride = in->reals_stride,
                                        .steps = smaller(in->steps - t, TFT_TILE)};
        weigh_tile(plan, sel, &tile, acts, acts->numbers + at, acts->weights + at);
    }
    for (size_t v = 0; v < sel->vsn->n; v++) {
        if (plan->tiles->curve(&sel->curves[v], plan->width, in->steps, stride,
                               acts->numbers + v * TFT_TILE, acts->weights + v * TFT_TILE, y))
            add_outside(plan, sel, v, in->steps, acts, y);
    }
}

/* The folded first layer's constant, with the context's share in the hidden units. */
static void first_of(const struct tft_plan *plan, const struct tft_plan_selection *sel,
                     const float *context, float *first)
{
    const struct tft_model *m = plan->model;
    const struct tft_grn *g = &sel->vsn->flat;
    memcpy(first, sel->flat_first, (sel->flat.hidden + sel->flat.n) * sizeof *first);
    m->kernels->linear(1, g->n_context, g->n_hidden, context, g->n_context,
                       m->packed + g->context.weight, sel->flat_first, first);
}

static void select_side(const struct tft_plan *plan, enum tft_side side, size_t steps,
                        const int32_t *codes, const float *reals, const float *context,
                        struct tft_plan_acts *acts, float *y)
{
    const struct tft_net *net = plan->model->net;
    const struct tft_plan_selection *sel = &plan->side[side];
    memset(y, 0, tiles_of(steps) * TFT_TILE * plan->width * sizeof *y);
    if (sel->vsn->n == 0)
        return;
    if (sel->vsn->n > 1)
        first_of(plan, sel, context, acts->first);
    for (size_t t = 0; t < steps; t += SELECTED_TOGETHER * TFT_TILE) {
        const struct tile_input in = {.codes = codes + t * net->n_categoricals,
                                      .reals = reals + t * net->n_reals,
                                      .codes_stride = net->n_categoricals,
                                      .reals_stride = net->n_reals,
                                      .steps = smaller(steps - t, SELECTED_TOGETHER * TFT_TILE)};
        select_rows(plan, sel, &in, acts, y + t * plan->width);
    }
}

void tft_plan_contexts(const struct tft_plan *plan, const struct tft_input *in, size_t from,
                       size_t n, struct tft_plan_acts *acts)
{
    const struct tft_net *net = plan->model->net;
    const struct tft_plan_selection *sel = &plan->stat;
    const size_t hidden = net->hidden, codes = in->history_steps * net->n_categoricals;
    const size_t reals = in->history_steps * net->n_reals;
    const struct tile_input rows = {.codes = in->history_codes + from * codes,
                                    .reals = in->history_reals + from * reals,
                                    .codes_stride = codes,
                                    .reals_stride = reals,
                                    .steps = n};
    assert(n <= TFT_TILE);
    memset(acts->static_rows, 0, TFT_TILE * plan->width * sizeof *acts->static_rows);
    if (sel->vsn->n > 1)
        memcpy(acts->first, sel->flat_first,
               (sel->flat.hidden + sel->flat.n) * sizeof *acts->first);
    if (sel->vsn->n > 0)
        select_rows(plan, sel, &rows, acts, acts->static_rows);
    turn(plan, hidden, acts->static_rows, acts->static_tile);
    for (size_t k = 0; k < TFT_CONTEXTS; k++) {
        plan->tiles->grn(&plan->context[k], plan->context[k].fc1.b, 1, acts->static_tile,
                         acts->work, acts->context_tile);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < hidden; j++)
                acts->contexts[(i * TFT_CONTEXTS + k) * hidden + j] =
                    acts->context_tile[j * TFT_TILE + i];
    }
}

void tft_plan_select(const struct tft_plan *plan, struct tft_plan_acts *acts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct tft_plan_series *s = &acts->series[i];
        const float *context = s->context[TFT_SELECTION];
        select_side(plan, TFT_ENCODER, s->history, s->history_codes, s->history_reals, context,
                    acts, s->selected);
        select_side(plan, TFT_DECODER, s->horizon, s->horizon_codes, s->horizon_reals, context,
                    acts, s->selected + horizon_at(s) * plan->width);
    }
}

/* Steps that pad a tile become 0, so that no old number is in what is computed for them. */
static void clear_padding(const struct tft_plan *plan, const struct tft_plan_series *s)
{
    const size_t history = horizon_at(s), all = padded_of(s), width = plan->width;
    memset(s->recurrent + s->history * width, 0,
           (history - s->history) * width * sizeof *s->recurrent);
    memset(s->recurrent + (history + s->horizon) * width, 0,
           (all - history - s->horizon) * width * sizeof *s->recurrent);
}

/* All layers of one side for the series from `at` on, which have the same number of steps. */
static void recur_side(const struct tft_plan *plan, enum tft_side side, size_t at, size_t n,
                       struct tft_plan_acts *acts)
{
    const size_t width = plan->width, layers = plan->model->net->layers;
    const struct tft_plan_series *s = &acts->series[at];
    const size_t steps = side == TFT_ENCODER ? s->history : s->horizon;
    const size_t from = side == TFT_ENCODER ? 0 : horizon_at(s) * width;
    struct tft_sequence sequence[TFT_TOGETHER];
    for (size_t l = 0; l < layers; l++) {
        for (size_t i = 0; i < n; i++) {
            const size_t room = (at + i) * acts->padded * width;
            const size_t state = ((at + i) * layers + l) * width;
            sequence[i].x = l == 0 ? s[i].selected + from : acts->between[(l - 1) % 2] + room;
            sequence[i].y = l + 1 == layers ? s[i].recurrent + from : acts->between[l % 2] + room;
            sequence[i].h = acts->h + state;
            sequence[i].c = acts->c + state;
        }
        plan->tiles->lstm(&plan->lstm[side][l], n, steps, sequence);
    }
}

static void start_state(const struct tft_plan *plan, struct tft_plan_acts *acts, size_t at)
{
    const struct tft_net *net = plan->model->net;
    const struct tft_plan_series *s = &acts->series[at];
    for (size_t l = 0; l < net->layers; l++) {
        const size_t state = (at * net->layers + l) * plan->width;
        memset(acts->h + state, 0, plan->width * sizeof *acts->h);
        memset(acts->c + state, 0, plan->width * sizeof *acts->c);
        memcpy(acts->h + state, s->context[TFT_INITIAL_HIDDEN], net->hidden * sizeof *acts->h);
        memcpy(acts->c + state, s->context[TFT_INITIAL_CELL], net->hidden * sizeof *acts->c);
    }
}

void tft_plan_recur(const struct tft_plan *plan, struct tft_plan_acts *acts, size_t n)
{
    bool equal = true;
    for (size_t i = 0; i < n; i++) {
        start_state(plan, acts, i);
        clear_padding(plan, &acts->series[i]);
        equal = equal && acts->series[i].history == acts->series[0].history &&
                acts->series[i].horizon == acts->series[0].horizon;
    }
    for (size_t i = 0; i < n; i += equal ? n : 1) {
        recur_side(plan, TFT_ENCODER, i, equal ? n : 1, acts);
        recur_side(plan, TFT_DECODER, i, equal ? n : 1, acts);
    }
}

void tft_plan_enrich(const struct tft_plan *plan, struct tft_plan_acts *acts,
                     const struct tft_plan_series *s)
{
    const struct tft_model *m = plan->model;
    const struct tft_grn *g = &m->net->enrichment;
    const struct tft_tiles *k = plan->tiles;
    const size_t hidden = m->net->hidden;
    m->kernels->linear(1, g->n_context, g->n_hidden, s->context[TFT_ENRICHMENT], g->n_context,
                       m->packed + g->context.weight, m->packed + g->fc1.bias, acts->first);
    for (size_t t = 0; t < padded_of(s); t += TFT_TILE) {
        float *gated = acts->gated + t * hidden;
        turn(plan, hidden, s->recurrent + t * plan->width, acts->recurrent_tile);
        turn(plan, hidden, s->selected + t * plan->width, acts->selected_tile);
        k->gate(&plan->post_lstm, 1, acts->recurrent_tile, acts->selected_tile, acts->work, gated);
        k->grn(&plan->enrichment, acts->first, 1, gated, acts->work, acts->enriched + t * hidden);
    }
}

void tft_plan_attend(const struct tft_plan *plan, struct tft_plan_acts *acts,
                     const struct tft_plan_series *s)
{
    const struct tft_net *net = plan->model->net;
    const struct tft_tiles *k = plan->tiles;
    const size_t from = horizon_at(s), wide = plan->q.n_out, size = plan->v.n_out;
    const struct tft_asked asked = {
        .heads = net->attention.heads,
        .size = size,
        .queries = s->horizon,
        .n_keys = s->history,
        .q = acts->q,
        .k = {acts->k, acts->k + from * wide},
        .v = {acts->v, acts->v + from * size}
    };
    k->dense(&plan->q, tiles_of(s->horizon), acts->enriched + from * net->hidden, acts->q);
    k->dense(&plan->k, padded_of(s) / TFT_TILE, acts->enriched, acts->k);
    k->dense(&plan->v, padded_of(s) / TFT_TILE, acts->enriched, acts->v);
    k->attend(&asked, acts->head, acts->seen);
}

void tft_plan_finish(const struct tft_plan *plan, struct tft_plan_acts *acts,
                     const struct tft_plan_series *s)
{
    const struct tft_tiles *k = plan->tiles;
    const size_t tiles = tiles_of(s->horizon), from = horizon_at(s) * plan->model->net->hidden;
    k->dense(&plan->attended, tiles, acts->seen, acts->attended);
    k->gate(&plan->post_attention, tiles, acts->attended, acts->enriched + from, acts->work,
            acts->attended_gated);
    k->grn(&plan->feed_forward, plan->feed_forward.fc1.b, tiles, acts->attended_gated, acts->work,
           acts->fed_forward);
    k->gate(&plan->pre_output, tiles, acts->fed_forward, acts->gated + from, acts->work,
            acts->final);
    k->dense(&plan->output, tiles, acts->final, acts->raw);
}

/* ---- a batch ---- */

void tft_plan_group(const struct tft_plan *plan, const struct tft_input *in, size_t from, size_t n,
                    size_t at, struct tft_plan_acts *acts)
{
    const struct tft_net *net = plan->model->net;
    const size_t e = in->history_steps, d = in->horizon_steps;
    for (size_t k = 0; k < n; k++) {
        struct tft_plan_series *s = &acts->series[k];
        const size_t i = from + k;
        s->history = in->history_lengths[i];
        s->horizon = in->horizon_lengths[i];
        assert(s->history >= 1 && s->history <= e && s->horizon >= 1 && s->horizon <= d);
        s->history_codes = in->history_codes + i * e * net->n_categoricals;
        s->horizon_codes = in->horizon_codes + i * d * net->n_categoricals;
        s->history_reals = in->history_reals + i * e * net->n_reals;
        s->horizon_reals = in->horizon_reals + i * d * net->n_reals;
        for (size_t c = 0; c < TFT_CONTEXTS; c++)
            s->context[c] = acts->contexts + ((at + k) * TFT_CONTEXTS + c) * net->hidden;
    }
}

/* One output of a tile's steps in its target's units; the network's own (for the comparison at
 * load) where there is no scale. */
static void write_output(const struct tft_plan *plan, const float *raw, size_t target,
                         const float *scale, float *y)
{
    memcpy(y, raw, TFT_TILE * sizeof *y);
    if (scale == NULL)
        return;
    for (size_t t = 0; t < TFT_TILE; t++)
        y[t] = y[t] * scale[2 * target + 1] + scale[2 * target];
    if (plan->model->spec->normalizers[target].transform == TFT_SOFTPLUS)
        plan->tiles->softplus(y);
}

static void write_series(const struct tft_plan *plan, const struct tft_input *in, size_t i,
                         const struct tft_plan_acts *acts, size_t horizon, float *prediction)
{
    const struct tft_net *net = plan->model->net;
    const size_t wide = plan->output.n_out, steps = in->horizon_steps;
    const float *scale =
        in->output_scale == NULL ? NULL : in->output_scale + i * 2 * net->n_targets;
    float *to = prediction + i * steps * wide, y[TFT_TILE];
    for (size_t row = 0; row < tiles_of(horizon) * wide; row++) {
        const size_t from = row / wide * TFT_TILE, output = row % wide;
        write_output(plan, acts->raw + row * TFT_TILE, output / net->n_quantiles, scale, y);
        for (size_t t = from; t < horizon && t < from + TFT_TILE; t++)
            to[t * wide + output] = y[t - from];
    }
    memset(to + horizon * wide, 0, (steps - horizon) * wide * sizeof *to);
}

void tft_plan_run(const struct tft_plan *plan, const struct tft_input *in, float *prediction,
                  struct arena scratch)
{
    struct tft_carver carver = {&scratch, 0, false};
    struct tft_plan_acts acts;
    tft_plan_carve(&carver, plan, in->history_steps, in->horizon_steps, &acts);
    assert(!carver.failed);
    for (size_t i = 0; i < in->n; i += TFT_TOGETHER) {
        const size_t n = smaller(in->n - i, TFT_TOGETHER);
        const size_t at = i % CONTEXTS_TOGETHER;
        if (at == 0)
            tft_plan_contexts(plan, in, i, smaller(in->n - i, CONTEXTS_TOGETHER), &acts);
        tft_plan_group(plan, in, i, n, at, &acts);
        tft_plan_select(plan, &acts, n);
        tft_plan_recur(plan, &acts, n);
        for (size_t k = 0; k < n; k++) {
            const struct tft_plan_series *s = &acts.series[k];
            tft_plan_enrich(plan, &acts, s);
            tft_plan_attend(plan, &acts, s);
            tft_plan_finish(plan, &acts, s);
            write_series(plan, in, i + k, &acts, s->horizon, prediction);
        }
    }
}

struct tft_plan_info tft_plan_info(const struct tft_plan *plan)
{
    return plan->info;
}
