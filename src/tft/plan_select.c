/* A plan's first stage: the static contexts, and for every step the vector that variable selection
 * makes of its inputs. */
#include "tft/model_internal.h"
#include "tft/plan_internal.h"
#include "tft/reuse_internal.h"

#include <assert.h>
#include <string.h>

size_t tft_plan_lanes(const struct tft_plan_pack *pack, enum tft_side side, size_t from,
                      const struct tft_plan_series *lane[TFT_TILE])
{
    const size_t left = pack->steps[side] - from, n = left < TFT_TILE ? left : TFT_TILE;
    const struct tft_plan_series *s = pack->series;
    for (size_t t = 0; t < n; t++) {
        while (from + t >= s->at[side] + s->steps[side])
            s++;
        lane[t] = s;
    }
    for (size_t t = n; t < TFT_TILE; t++)
        lane[t] = lane[0];
    return n;
}

void tft_plan_spread(const struct tft_plan *plan, size_t n, const float *const row[TFT_TILE],
                     float *y)
{
    bool one = true;
    for (size_t t = 1; t < TFT_TILE; t++)
        one = one && row[t] == row[0];
    if (!one) {
        plan->tiles->turn(n, row, false, y);
        return;
    }
    for (size_t j = 0; j < n; j++) {
        for (size_t t = 0; t < TFT_TILE; t++)
            y[j * TFT_TILE + t] = row[0][j];
    }
}

/* A tile's steps: where each one's inputs are, and what stands in the folded first layer before
 * them. */
struct rows {
    const int32_t *codes[TFT_TILE];
    const float *reals[TFT_TILE], *first[TFT_TILE];
};

/* A selection's inputs, one row a variable: codes as numbers, then reals. */
static void gather_numbers(const struct tft_plan *plan, const struct tft_plan_selection *sel,
                           const struct rows *rows, float *numbers)
{
    const struct tft_net *net = plan->model->net;
    for (size_t v = 0; v < sel->n_categoricals; v++, numbers += TFT_TILE) {
        const size_t column = sel->vsn->input[v].column;
        for (size_t t = 0; t < TFT_TILE; t++) {
            const int32_t code = rows->codes[t][column];
            assert(code >= 0 && (size_t)code < net->classes[column]);
            numbers[t] = (float)code;
        }
    }
    for (size_t v = sel->n_categoricals; v < sel->vsn->n; v++, numbers += TFT_TILE) {
        const size_t column = sel->vsn->input[v].column;
        for (size_t t = 0; t < TFT_TILE; t++)
            numbers[t] = rows->reals[t][column];
    }
}

/* What stands in the folded first layer before the numbers' share: the constant and the context's
 * share, and every category's row. */
static void preset_flat(const struct tft_plan *plan, const struct tft_plan_selection *sel,
                        const struct rows *rows, const float *numbers, float *y)
{
    const size_t outputs = sel->flat.in.n_out, stride = tft_plan_category_stride(outputs);
    tft_plan_spread(plan, outputs, rows->first, y);
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

/* Numbers that lie outside a variable's table: its network is computed, once for as many steps as
 * show the same number one after the other. */
static void add_outside(const struct tft_plan *plan, const struct tft_plan_selection *sel, size_t v,
                        size_t steps, struct tft_plan_acts *acts, float *y)
{
    const struct tft_model *m = plan->model;
    const struct tft_run run = {m->kernels, m->net, m->packed};
    const struct tft_curve *curve = &sel->curves[v];
    float last = 0.0f;
    bool computed = false;
    for (size_t t = 0; t < steps; t++) {
        const size_t at = (t / TFT_TILE * sel->vsn->n + v) * TFT_TILE + t % TFT_TILE;
        const float x = acts->numbers[at];
        if (x >= curve->low && x <= curve->high)
            continue;
        if (!computed || tft_bits_of(x) != tft_bits_of(last))
            tft_plan_variable(&run, &sel->vsn->input[v], 1, &x, &acts->vsn, acts->vsn.out);
        computed = true;
        last = x;
        for (size_t j = 0; j < m->net->hidden; j++)
            y[t * plan->width + j] += acts->weights[at] * acts->vsn.out[j];
    }
}

/* A tile's numbers and the weights of its variables. */
static void weigh_tile(const struct tft_plan *plan, const struct tft_plan_selection *sel,
                       const struct rows *rows, struct tft_plan_acts *acts, float *numbers,
                       float *weights)
{
    gather_numbers(plan, sel, rows, numbers);
    if (sel->vsn->n == 1) {
        for (size_t t = 0; t < TFT_TILE; t++)
            weights[t] = 1.0f;
    } else {
        preset_flat(plan, sel, rows, numbers, acts->flat_in);
        plan->tiles->flat(&sel->flat, numbers + sel->n_categoricals * TFT_TILE, acts->flat_in,
                          acts->work, weights);
    }
}

/* y (steps, width) += the selected vectors of acts->numbers and acts->weights. */
static void add_curves(const struct tft_plan *plan, const struct tft_plan_selection *sel,
                       size_t steps, struct tft_plan_acts *acts, float *y)
{
    for (size_t v = 0; v < sel->vsn->n; v++) {
        if (plan->tiles->curve(&sel->curves[v], plan->width, steps, sel->vsn->n * TFT_TILE,
                               acts->numbers + v * TFT_TILE, acts->weights + v * TFT_TILE, y))
            add_outside(plan, sel, v, steps, acts, y);
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

/* The rows of a tile of n steps: those at `from` and following, or those listed. */
static void find_rows(const struct tft_plan *plan, const struct tft_plan_acts *acts,
                      const struct tft_plan_pack *pack, enum tft_side side, size_t from,
                      const uint32_t *listed, size_t n, struct rows *rows)
{
    const struct tft_net *net = plan->model->net;
    const struct tft_plan_series *s = pack->series;
    for (size_t t = 0; t < n; t++) {
        const size_t place = listed == NULL ? from + t : listed[t];
        while (place >= s->at[side] + s->steps[side])
            s++;
        const size_t step = place - s->at[side];
        rows->codes[t] = s->codes[side] + step * net->n_categoricals;
        rows->reals[t] = s->reals[side] + step * net->n_reals;
        rows->first[t] = acts->first + (size_t)(s - pack->series) * acts->first_stride;
    }
    for (size_t t = n; t < TFT_TILE; t++) {
        rows->codes[t] = rows->codes[0];
        rows->reals[t] = rows->reals[0];
        rows->first[t] = rows->first[0];
    }
}

enum { BLOCK = TFT_SELECTED_TOGETHER * TFT_TILE }; /* steps selected together */

/* y (n, width) += the selected vectors of a block of n steps: as find_rows() has them. */
static void select_block(const struct tft_plan *plan, struct tft_plan_acts *acts,
                         const struct tft_plan_pack *pack, enum tft_side side, size_t from,
                         const uint32_t *listed, size_t n, float *y)
{
    const struct tft_plan_selection *sel = &plan->side[side];
    const size_t tile = sel->vsn->n * TFT_TILE;
    for (size_t t = 0, here; t < n; t += here) {
        const size_t at = t / TFT_TILE * tile;
        struct rows rows;
        here = n - t < TFT_TILE ? n - t : TFT_TILE;
        find_rows(plan, acts, pack, side, from + t, listed == NULL ? NULL : listed + t, here,
                  &rows);
        weigh_tile(plan, sel, &rows, acts, acts->numbers + at, acts->weights + at);
    }
    add_curves(plan, sel, n, acts, y);
}

static void select_all(const struct tft_plan *plan, struct tft_plan_acts *acts,
                       const struct tft_plan_pack *pack, enum tft_side side, float *y)
{
    const size_t steps = pack->steps[side], width = plan->width;
    memset(y, 0, tft_plan_tiles(steps) * TFT_TILE * width * sizeof *y);
    for (size_t from = 0; plan->side[side].vsn->n > 0 && from < steps; from += BLOCK) {
        const size_t n = steps - from < BLOCK ? steps - from : BLOCK;
        select_block(plan, acts, pack, side, from, NULL, n, y + from * width);
    }
}

static bool kept(const struct tft_plan_series *s, enum tft_side side)
{
    return s->reuse != NULL && tft_reuse_keeps(s->reuse, side);
}

/* Takes what series' memories have, and lists the other steps in acts->changed. */
static size_t list_changed(const struct tft_plan *plan, struct tft_plan_acts *acts,
                           const struct tft_plan_pack *pack, enum tft_side side, float *y)
{
    size_t n = 0;
    for (size_t i = 0; i < pack->n; i++) {
        const struct tft_plan_series *s = &pack->series[i];
        if (kept(s, side))
            n += tft_reuse_take(s->reuse, plan, s, side, y + s->at[side] * plan->width,
                                acts->changed + n);
        else
            for (size_t step = 0; step < s->steps[side]; step++)
                acts->changed[n++] = (uint32_t)(s->at[side] + step);
    }
    return n;
}

/* From acts->fresh to where the listed steps belong, and to the memories of their series. */
static void scatter(const struct tft_plan *plan, const struct tft_plan_acts *acts,
                    const struct tft_plan_pack *pack, enum tft_side side, const uint32_t *listed,
                    size_t n, float *y)
{
    const struct tft_plan_series *s = pack->series;
    for (size_t t = 0; t < n; t++) {
        const float *from = acts->fresh + t * plan->width;
        memcpy(y + listed[t] * plan->width, from, plan->width * sizeof *y);
        while (listed[t] >= s->at[side] + s->steps[side])
            s++;
        if (kept(s, side))
            tft_reuse_put(s->reuse, plan, s, side, listed[t] - s->at[side], from);
    }
}

static void select_changed(const struct tft_plan *plan, struct tft_plan_acts *acts,
                           const struct tft_plan_pack *pack, enum tft_side side, float *y)
{
    const size_t steps = pack->steps[side], width = plan->width;
    const size_t changed = list_changed(plan, acts, pack, side, y);
    for (size_t from = 0; from < changed; from += BLOCK) {
        const size_t n = changed - from < BLOCK ? changed - from : BLOCK;
        memset(acts->fresh, 0, n * width * sizeof *y);
        select_block(plan, acts, pack, side, 0, acts->changed + from, n, acts->fresh);
        scatter(plan, acts, pack, side, acts->changed + from, n, y);
    }
    memset(y + steps * width, 0, (tft_plan_tiles(steps) * TFT_TILE - steps) * width * sizeof *y);
}

static void select_side(const struct tft_plan *plan, struct tft_plan_acts *acts,
                        const struct tft_plan_pack *pack, enum tft_side side)
{
    const struct tft_plan_selection *sel = &plan->side[side];
    float *y = pack->selected + pack->from[side] * plan->width;
    bool any_kept = false;
    for (size_t i = 0; i < pack->n; i++) {
        any_kept = any_kept || kept(&pack->series[i], side);
        if (sel->vsn->n > 1)
            first_of(plan, sel, pack->series[i].context[TFT_SELECTION],
                     acts->first + i * acts->first_stride);
    }
    if (any_kept)
        select_changed(plan, acts, pack, side, y);
    else
        select_all(plan, acts, pack, side, y);
}

void tft_plan_select(const struct tft_plan *plan, struct tft_plan_acts *acts)
{
    for (size_t k = 0; k < acts->packs; k++) {
        select_side(plan, acts, &acts->pack[k], TFT_ENCODER);
        select_side(plan, acts, &acts->pack[k], TFT_DECODER);
    }
}

/* ---- contexts ---- */

/* The static variables of n series, from their first step. */
static void select_static(const struct tft_plan *plan, const struct tft_input *in, size_t from,
                          size_t n, struct tft_plan_acts *acts)
{
    const struct tft_net *net = plan->model->net;
    const struct tft_plan_selection *sel = &plan->stat;
    struct rows rows;
    memset(acts->static_rows, 0, TFT_TILE * plan->width * sizeof *acts->static_rows);
    if (sel->vsn->n == 0)
        return;
    for (size_t t = 0; t < TFT_TILE; t++) {
        const size_t step = (from + (t < n ? t : 0)) * in->history_steps;
        rows.codes[t] = in->history_codes + step * net->n_categoricals;
        rows.reals[t] = in->history_reals + step * net->n_reals;
        rows.first[t] = sel->flat_first;
    }
    weigh_tile(plan, sel, &rows, acts, acts->numbers, acts->weights);
    add_curves(plan, sel, n, acts, acts->static_rows);
}

void tft_plan_contexts(const struct tft_plan *plan, const struct tft_input *in, size_t from,
                       size_t n, struct tft_plan_acts *acts)
{
    const size_t hidden = plan->model->net->hidden;
    const float *row[TFT_TILE];
    assert(n <= TFT_GROUP_MAX);
    select_static(plan, in, from, n, acts);
    for (size_t t = 0; t < TFT_TILE; t++)
        row[t] = acts->static_rows + t * plan->width;
    plan->tiles->turn(hidden, row, false, acts->static_tile);
    for (size_t k = 0; k < TFT_CONTEXTS; k++) {
        plan->tiles->grn(&plan->context[k], plan->context[k].fc1.b, 1, acts->static_tile,
                         acts->work, acts->context_tile);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < hidden; j++)
                acts->contexts[(i * TFT_CONTEXTS + k) * hidden + j] =
                    acts->context_tile[j * TFT_TILE + i];
    }
}
