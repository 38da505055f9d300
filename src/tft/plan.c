#include "tft/plan.h"

#include "tft/model_internal.h"
#include "tft/plan_internal.h"
#include "tft/reuse_internal.h"

#include <assert.h>
#include <string.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- scratch: whatever it held, so that a run of few series does not pay for zeros ---- */

/* What one tile of a selection, a gate or a residual network needs. */
static void carve_tile(struct tft_carver *carver, const struct tft_plan *plan,
                       struct tft_plan_acts *acts)
{
    const struct tft_plan_selection *e = &plan->side[TFT_ENCODER], *d = &plan->side[TFT_DECODER];
    const size_t variables = larger(larger(e->vsn->n, d->vsn->n), plan->stat.vsn->n);
    const size_t n = larger(variables, 1), hidden = plan->model->net->hidden;
    const size_t flat = larger(larger(e->flat.hidden, d->flat.hidden), plan->stat.flat.hidden);
    acts->numbers = tft_carve_raw(carver, TFT_SELECTED_TOGETHER * n * TFT_TILE);
    acts->weights = tft_carve_raw(carver, TFT_SELECTED_TOGETHER * n * TFT_TILE);
    acts->flat_in = tft_carve_raw(carver, (flat + n) * TFT_TILE);
    acts->first_stride = tft_plan_category_stride(larger(flat + n, hidden));
    acts->first = tft_carve_raw(carver, plan->packed * acts->first_stride);
    acts->work = tft_carve_raw(carver, larger(flat + 2 * n, 4 * hidden) * TFT_TILE);
    acts->recurrent_tile = tft_carve_raw(carver, plan->width * TFT_TILE);
    acts->selected_tile = tft_carve_raw(carver, plan->width * TFT_TILE);
}

/* For series with a memory. */
static void carve_changed(struct tft_carver *carver, const struct tft_plan *plan, size_t steps,
                          struct tft_plan_acts *acts)
{
    _Static_assert(sizeof *acts->changed == sizeof(float), "carved as floats");
    acts->changed = (uint32_t *)(void *)tft_carve_raw(carver, steps);
    acts->fresh = tft_carve_raw(carver, TFT_SELECTED_TOGETHER * TFT_TILE * plan->width);
}

static void carve_pack(struct tft_carver *carver, const struct tft_plan *plan, size_t padded,
                       struct tft_plan_pack *pack)
{
    pack->selected = tft_carve_raw(carver, padded * plan->width);
    pack->recurrent = tft_carve_raw(carver, padded * plan->width);
    for (size_t i = 0; i < COUNT(pack->between); i++)
        if (plan->model->net->layers > i + 1)
            pack->between[i] = tft_carve_raw(carver, padded * plan->width);
}

void tft_plan_carve(struct tft_carver *carver, const struct tft_plan *plan, size_t history_steps,
                    size_t horizon_steps, struct tft_plan_acts *acts)
{
    const struct tft_net *net = plan->model->net;
    const size_t horizon = tft_plan_tiles(plan->packed * horizon_steps) * TFT_TILE;
    const size_t padded = tft_plan_tiles(plan->packed * history_steps) * TFT_TILE + horizon;
    const size_t wide = plan->q.n_out, size = plan->v.n_out, hidden = net->hidden;
    memset(acts, 0, sizeof *acts);
    for (size_t k = 0; k < plan->group / plan->packed; k++)
        carve_pack(carver, plan, padded, &acts->pack[k]);
    tft_vsn_carve(carver, net, 1, &acts->vsn);
    acts->contexts = tft_carve_raw(carver, TFT_GROUP_MAX * TFT_CONTEXTS * hidden);
    acts->static_rows = tft_carve_raw(carver, TFT_TILE * plan->width);
    acts->static_tile = tft_carve_raw(carver, hidden * TFT_TILE);
    acts->context_tile = tft_carve_raw(carver, hidden * TFT_TILE);
    carve_tile(carver, plan, acts);
    carve_changed(carver, plan, padded, acts);
    acts->h = tft_carve_raw(carver, plan->group * net->layers * plan->width);
    acts->c = tft_carve_raw(carver, plan->group * net->layers * plan->width);
    acts->gated = tft_carve_raw(carver, padded * hidden);
    acts->enriched = tft_carve_raw(carver, padded * hidden);
    acts->k = tft_carve_raw(carver, padded * wide);
    acts->head = tft_carve_raw(carver, (padded + TFT_TILE) * size);
    acts->v = tft_carve_raw(carver, padded * size);
    acts->q = tft_carve_raw(carver, horizon * wide);
    acts->seen = tft_carve_raw(carver, horizon * size);
    acts->attended = tft_carve_raw(carver, horizon * hidden);
    acts->attended_gated = tft_carve_raw(carver, horizon * hidden);
    acts->fed_forward = tft_carve_raw(carver, horizon * hidden);
    acts->final = tft_carve_raw(carver, horizon * hidden);
    acts->raw = tft_carve_raw(carver, horizon * plan->output.n_out);
}

size_t tft_plan_scratch_bytes(const struct tft_plan *plan, size_t history_steps,
                              size_t horizon_steps)
{
    struct tft_carver carver = {NULL, 0, false};
    struct tft_plan_acts acts;
    tft_plan_carve(&carver, plan, history_steps, horizon_steps, &acts);
    return carver.bytes + 64; /* the caller's memory need not be aligned */
}

/* ---- the group at hand ---- */

static void fill_series(const struct tft_plan *plan, const struct tft_input *in, size_t i,
                        const float *contexts, struct tft_plan_series *s)
{
    const struct tft_net *net = plan->model->net;
    const size_t e = in->history_steps, d = in->horizon_steps;
    s->steps[TFT_ENCODER] = in->history_lengths[i];
    s->steps[TFT_DECODER] = in->horizon_lengths[i];
    assert(s->steps[TFT_ENCODER] >= 1 && s->steps[TFT_ENCODER] <= e);
    assert(s->steps[TFT_DECODER] >= 1 && s->steps[TFT_DECODER] <= d);
    s->codes[TFT_ENCODER] = in->history_codes + i * e * net->n_categoricals;
    s->codes[TFT_DECODER] = in->horizon_codes + i * d * net->n_categoricals;
    s->reals[TFT_ENCODER] = in->history_reals + i * e * net->n_reals;
    s->reals[TFT_DECODER] = in->horizon_reals + i * d * net->n_reals;
    for (size_t c = 0; c < TFT_CONTEXTS; c++)
        s->context[c] = contexts + c * net->hidden;
    const struct tft_kept *kept = in->kept == NULL ? NULL : &in->kept[i];
    s->reuse = NULL;
    if (kept == NULL || kept->reuse == NULL || !tft_reuse_is_for(kept->reuse, plan))
        return;
    s->reuse = kept->reuse;
    s->first_step[TFT_ENCODER] = kept->first_step;
    s->first_step[TFT_DECODER] = kept->first_step + (int64_t)s->steps[TFT_ENCODER];
}

static void fill_pack(struct tft_plan_series *series, size_t n, struct tft_plan_pack *pack)
{
    pack->n = n;
    pack->series = series;
    for (int side = 0; side < TFT_SIDES; side++) {
        pack->steps[side] = 0;
        for (size_t i = 0; i < n; i++) {
            series[i].at[side] = pack->steps[side];
            pack->steps[side] += series[i].steps[side];
        }
    }
    pack->from[TFT_ENCODER] = 0;
    pack->from[TFT_DECODER] = tft_plan_tiles(pack->steps[TFT_ENCODER]) * TFT_TILE;
    pack->padded = pack->from[TFT_DECODER] + tft_plan_tiles(pack->steps[TFT_DECODER]) * TFT_TILE;
}

void tft_plan_group(const struct tft_plan *plan, const struct tft_input *in, size_t from, size_t n,
                    size_t at, struct tft_plan_acts *acts)
{
    assert(n <= plan->group);
    acts->n = n;
    acts->packs = 0;
    for (size_t k = 0; k < n; k++)
        fill_series(plan, in, from + k,
                    acts->contexts + (at + k) * TFT_CONTEXTS * plan->model->net->hidden,
                    &acts->series[k]);
    for (size_t k = 0; k < n; k += plan->packed)
        fill_pack(&acts->series[k], smaller(n - k, plan->packed), &acts->pack[acts->packs++]);
}

/* ---- recurrence ---- */

/* Steps that pad a tile become 0, so that no old number is in what is computed for them. */
static void clear_padding(const struct tft_plan *plan, const struct tft_plan_pack *pack)
{
    const size_t width = plan->width;
    for (int side = 0; side < TFT_SIDES; side++) {
        const size_t used = pack->from[side] + pack->steps[side];
        const size_t end = side == TFT_ENCODER ? pack->from[TFT_DECODER] : pack->padded;
        memset(pack->recurrent + used * width, 0, (end - used) * width * sizeof(float));
    }
}

/* All layers of one side for the series from `at` on, which have the same number of steps. */
static void recur_side(const struct tft_plan *plan, enum tft_side side, size_t at, size_t n,
                       struct tft_plan_acts *acts)
{
    const size_t width = plan->width, layers = plan->model->net->layers;
    struct tft_sequence sequence[TFT_TOGETHER];
    for (size_t l = 0; l < layers; l++) {
        for (size_t i = 0; i < n; i++) {
            const struct tft_plan_pack *pack = &acts->pack[(at + i) / plan->packed];
            const size_t from = (pack->from[side] + acts->series[at + i].at[side]) * width;
            const size_t state = ((at + i) * layers + l) * width;
            sequence[i].x = from + (l == 0 ? pack->selected : pack->between[(l - 1) % 2]);
            sequence[i].y = from + (l + 1 == layers ? pack->recurrent : pack->between[l % 2]);
            sequence[i].h = acts->h + state;
            sequence[i].c = acts->c + state;
        }
        plan->tiles->lstm(&plan->lstm[side][l], n, acts->series[at].steps[side], sequence);
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

/* How many series from `at` on, at most TOGETHER, have as many steps as the first. */
static size_t alike(const struct tft_plan_acts *acts, size_t at)
{
    const struct tft_plan_series *s = &acts->series[at];
    size_t n = 1;
    while (n < TFT_TOGETHER && at + n < acts->n && s[n].steps[0] == s[0].steps[0] &&
           s[n].steps[1] == s[0].steps[1])
        n++;
    return n;
}

void tft_plan_recur(const struct tft_plan *plan, struct tft_plan_acts *acts)
{
    for (size_t k = 0; k < acts->packs; k++)
        clear_padding(plan, &acts->pack[k]);
    for (size_t i = 0; i < acts->n; i++)
        start_state(plan, acts, i);
    for (size_t i = 0, n; i < acts->n; i += n) {
        n = alike(acts, i);
        recur_side(plan, TFT_ENCODER, i, n, acts);
        recur_side(plan, TFT_DECODER, i, n, acts);
    }
}

/* ---- from the recurrence to the outputs ---- */

/* x (TILE, width) -> y (n, TILE). */
static void turn(const struct tft_plan *plan, size_t n, const float *x, float *y)
{
    const float *row[TFT_TILE];
    for (size_t t = 0; t < TFT_TILE; t++)
        row[t] = x + t * plan->width;
    plan->tiles->turn(n, row, false, y);
}

/* A tile through the enrichment; its series' contexts are in acts->first. */
static void enrich_tile(const struct tft_plan *plan, struct tft_plan_acts *acts,
                        const struct tft_plan_pack *pack, size_t t)
{
    const size_t hidden = plan->model->net->hidden;
    const enum tft_side side = t < pack->from[TFT_DECODER] ? TFT_ENCODER : TFT_DECODER;
    const struct tft_plan_series *lane[TFT_TILE];
    const float *row[TFT_TILE], *first = acts->first;
    if (pack->n > 1) {
        tft_plan_lanes(pack, side, t - pack->from[side], lane);
        for (size_t k = 0; k < TFT_TILE; k++)
            row[k] = acts->first + (size_t)(lane[k] - pack->series) * acts->first_stride;
        tft_plan_spread(plan, plan->enrichment.fc1.n_out, row, acts->work);
        first = NULL;
    }
    plan->tiles->grn(&plan->enrichment, first, 1, acts->gated + t * hidden, acts->work,
                     acts->enriched + t * hidden);
}

void tft_plan_enrich(const struct tft_plan *plan, struct tft_plan_acts *acts,
                     const struct tft_plan_pack *pack)
{
    const struct tft_model *m = plan->model;
    const struct tft_grn *g = &m->net->enrichment;
    const size_t hidden = m->net->hidden;
    for (size_t i = 0; i < pack->n; i++)
        m->kernels->linear(1, g->n_context, g->n_hidden, pack->series[i].context[TFT_ENRICHMENT],
                           g->n_context, m->packed + g->context.weight, m->packed + g->fc1.bias,
                           acts->first + i * acts->first_stride);
    for (size_t t = 0; t < pack->padded; t += TFT_TILE) {
        turn(plan, hidden, pack->recurrent + t * plan->width, acts->recurrent_tile);
        turn(plan, hidden, pack->selected + t * plan->width, acts->selected_tile);
        plan->tiles->gate(&plan->post_lstm, 1, acts->recurrent_tile, acts->selected_tile,
                          acts->work, acts->gated + t * hidden);
        enrich_tile(plan, acts, pack, t);
    }
}

/* One series of a pack; its projections are made. */
static void attend_series(const struct tft_plan *plan, struct tft_plan_acts *acts,
                          const struct tft_plan_pack *pack, const struct tft_plan_series *s)
{
    const size_t wide = plan->q.n_out, size = plan->v.n_out;
    struct tft_asked asked = {.heads = plan->model->net->attention.heads,
                              .size = size,
                              .queries = s->steps[TFT_DECODER],
                              .n_keys = s->steps[TFT_ENCODER]};
    const size_t tile = s->at[TFT_DECODER] / TFT_TILE * TFT_TILE;
    for (int side = 0; side < TFT_SIDES; side++) {
        const size_t at = pack->from[side] + s->at[side] / TFT_TILE * TFT_TILE;
        asked.start[side] = s->at[side] % TFT_TILE;
        asked.k[side] = acts->k + at * wide;
        asked.v[side] = acts->v + at * size;
    }
    asked.q = acts->q + tile * wide;
    plan->tiles->attend(&asked, acts->head, acts->seen + tile * size);
}

void tft_plan_attend(const struct tft_plan *plan, struct tft_plan_acts *acts,
                     const struct tft_plan_pack *pack)
{
    const struct tft_tiles *k = plan->tiles;
    const size_t from = pack->from[TFT_DECODER], all = pack->padded / TFT_TILE;
    k->dense(&plan->q, all - from / TFT_TILE, acts->enriched + from * plan->model->net->hidden,
             acts->q);
    k->dense(&plan->k, all, acts->enriched, acts->k);
    k->dense(&plan->v, all, acts->enriched, acts->v);
    /* Lanes that pad the last tile become 0: nobody else writes them. */
    memset(acts->seen, 0, (pack->padded - from) * plan->v.n_out * sizeof *acts->seen);
    for (size_t i = 0; i < pack->n; i++)
        attend_series(plan, acts, pack, &pack->series[i]);
}

void tft_plan_finish(const struct tft_plan *plan, struct tft_plan_acts *acts,
                     const struct tft_plan_pack *pack)
{
    const struct tft_tiles *k = plan->tiles;
    const size_t tiles = tft_plan_tiles(pack->steps[TFT_DECODER]);
    const size_t from = pack->from[TFT_DECODER] * plan->model->net->hidden;
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

/* One output of at most a tile's steps in its target's units; the network's own (for the comparison
 * at load) where there is no scale. */
static void scale_output(const struct tft_plan *plan, size_t target, const float *scale, float *y)
{
    if (scale == NULL)
        return;
    for (size_t t = 0; t < TFT_TILE; t++)
        y[t] = y[t] * scale[2 * target + 1] + scale[2 * target];
    if (plan->model->spec->normalizers[target].transform == TFT_SOFTPLUS)
        plan->tiles->softplus(y);
}

static void write_series(const struct tft_plan *plan, const struct tft_input *in, size_t i,
                         const struct tft_plan_acts *acts, const struct tft_plan_series *s,
                         float *prediction)
{
    const struct tft_net *net = plan->model->net;
    const size_t wide = plan->output.n_out, horizon = s->steps[TFT_DECODER];
    const float *scale =
        in->output_scale == NULL ? NULL : in->output_scale + i * 2 * net->n_targets;
    float *to = prediction + i * in->horizon_steps * wide;
    for (size_t from = 0; from < horizon; from += TFT_TILE) {
        const size_t n = smaller(horizon - from, TFT_TILE), at = s->at[TFT_DECODER] + from;
        for (size_t output = 0; output < wide; output++) {
            float y[TFT_TILE] = {0};
            for (size_t t = 0; t < n; t++)
                y[t] = acts->raw[((at + t) / TFT_TILE * wide + output) * TFT_TILE +
                                 (at + t) % TFT_TILE];
            scale_output(plan, output / net->n_quantiles, scale, y);
            for (size_t t = 0; t < n; t++)
                to[(from + t) * wide + output] = y[t];
        }
    }
    memset(to + horizon * wide, 0, (in->horizon_steps - horizon) * wide * sizeof *to);
}

void tft_plan_run(const struct tft_plan *plan, const struct tft_input *in, float *prediction,
                  struct arena scratch)
{
    struct tft_carver carver = {&scratch, 0, false};
    struct tft_plan_acts acts;
    tft_plan_carve(&carver, plan, in->history_steps, in->horizon_steps, &acts);
    assert(!carver.failed);
    for (size_t i = 0; i < in->n; i += plan->group) {
        const size_t at = i % TFT_GROUP_MAX;
        if (at == 0)
            tft_plan_contexts(plan, in, i, smaller(in->n - i, TFT_GROUP_MAX), &acts);
        tft_plan_group(plan, in, i, smaller(in->n - i, plan->group), at, &acts);
        tft_plan_select(plan, &acts);
        tft_plan_recur(plan, &acts);
        for (size_t k = 0; k < acts.packs; k++) {
            const struct tft_plan_pack *pack = &acts.pack[k];
            tft_plan_enrich(plan, &acts, pack);
            tft_plan_attend(plan, &acts, pack);
            tft_plan_finish(plan, &acts, pack);
            for (size_t s = 0; s < pack->n; s++)
                write_series(plan, in, i + k * plan->packed + s, &acts, &pack->series[s],
                             prediction);
        }
    }
}

struct tft_plan_info tft_plan_info(const struct tft_plan *plan)
{
    return plan->info;
}
