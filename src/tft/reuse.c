#include "tft/reuse.h"

#include "base/alloc.h"
#include "tft/model_internal.h"
#include "tft/reuse_internal.h"

#include <assert.h>
#include <string.h>

/* One side's steps, each in the place that its number has modulo `steps`. Where two steps want one
 * place the later one has it: what is there is compared before it is used. */
struct ring {
    size_t steps, inputs; /* 0: nothing is kept */
    bool *full;           /* (steps) */
    uint32_t *input;      /* (steps, inputs) bits of codes and reals, as the vector was made of */
    float *selected;      /* (steps, width) */
};

struct tft_reuse {
    uint64_t plan; /* serial number */
    size_t hidden, width;
    struct tft_reuse_counts counts;
    float *context; /* (hidden) that all vectors were made with */
    struct ring ring[TFT_SIDES];
};

/* ---- what can be kept ---- */

/* Whether a real differs in every window that a step is in. */
static bool moves(const struct tft_spec *spec, const struct tft_real *real)
{
    switch (real->source) {
    case TFT_FROM_COLUMN:
    case TFT_FROM_HISTORY_LENGTH: /* stands as soon as the history is full */
        return false;
    case TFT_FROM_TARGET:
    case TFT_FROM_CENTER:
    case TFT_FROM_SCALE:
        return spec->normalizers[real->target].kind == TFT_PER_SAMPLE;
    case TFT_FROM_RELATIVE_TIME:
        return true;
    }
    return true;
}

static bool any_moves(const struct tft_spec *spec, const struct tft_vsn *vsn)
{
    for (size_t v = 0; v < vsn->n; v++)
        if (!vsn->input[v].categorical && moves(spec, &spec->reals[vsn->input[v].column]))
            return true;
    return false;
}

/* Steps of a side that are kept. */
static size_t steps_kept(const struct tft_plan *plan, enum tft_side side)
{
    const struct tft_spec *spec = plan->model->spec;
    const struct tft_vsn *vsn = plan->side[side].vsn;
    if (vsn->n == 0 || any_moves(spec, vsn) || any_moves(spec, plan->stat.vsn))
        return 0;
    return side == TFT_ENCODER ? spec->history_max : spec->horizon;
}

/* ---- memory ---- */

static size_t rounded_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Lays the arrays out behind the head; only counts the bytes where there is no memory. */
static size_t lay_out(const struct tft_plan *plan, unsigned char *memory, struct tft_reuse *reuse)
{
    size_t at = rounded_up(sizeof *reuse);
    reuse->hidden = plan->model->net->hidden;
    reuse->width = plan->width;
    reuse->context = memory == NULL ? NULL : (float *)(void *)(memory + at);
    at += rounded_up(reuse->hidden * sizeof *reuse->context);
    for (int side = 0; side < TFT_SIDES; side++) {
        struct ring *r = &reuse->ring[side];
        r->steps = steps_kept(plan, (enum tft_side)side);
        r->inputs = plan->side[side].vsn->n;
        const size_t selected = at + rounded_up(r->steps);
        const size_t input = selected + rounded_up(r->steps * plan->width * sizeof *r->selected);
        if (memory != NULL) {
            r->full = (bool *)(memory + at);
            r->selected = (float *)(void *)(memory + selected);
            r->input = (uint32_t *)(void *)(memory + input);
        }
        at = input + rounded_up(r->steps * r->inputs * sizeof *r->input);
    }
    return at;
}

size_t tft_reuse_bytes(const struct tft_plan *plan)
{
    struct tft_reuse sizes;
    const size_t bytes = lay_out(plan, NULL, &sizes);
    return sizes.ring[TFT_ENCODER].steps + sizes.ring[TFT_DECODER].steps > 0 ? bytes : 0;
}

static void forget(struct tft_reuse *reuse)
{
    for (int side = 0; side < TFT_SIDES; side++)
        memset(reuse->ring[side].full, 0, reuse->ring[side].steps * sizeof(bool));
}

struct tft_reuse *tft_reuse_new(const struct tft_plan *plan)
{
    const size_t bytes = tft_reuse_bytes(plan);
    unsigned char *memory = bytes == 0 ? NULL : fw_alloc_aligned(bytes, 1);
    if (memory == NULL)
        return NULL;
    struct tft_reuse *reuse = (struct tft_reuse *)(void *)memory;
    *reuse = (struct tft_reuse){.plan = plan->serial};
    lay_out(plan, memory, reuse);
    memset(reuse->context, 0, reuse->hidden * sizeof *reuse->context);
    forget(reuse);
    return reuse;
}

void tft_reuse_free(struct tft_reuse *reuse)
{
    fw_free(reuse);
}

struct tft_reuse_counts tft_reuse_counts(const struct tft_reuse *reuse)
{
    return reuse->counts;
}

/* ---- use ---- */

bool tft_reuse_is_for(const struct tft_reuse *reuse, const struct tft_plan *plan)
{
    return reuse->plan == plan->serial;
}

bool tft_reuse_keeps(const struct tft_reuse *reuse, enum tft_side side)
{
    return reuse->ring[side].steps > 0;
}

/* All vectors were made with one context. */
static void follow_context(struct tft_reuse *reuse, const float *context)
{
    const size_t bytes = reuse->hidden * sizeof *context;
    if (memcmp(reuse->context, context, bytes) == 0)
        return;
    memcpy(reuse->context, context, bytes);
    forget(reuse);
}

static size_t place_of(const struct ring *r, int64_t step)
{
    const int64_t place = step % (int64_t)r->steps;
    return (size_t)(place < 0 ? place + (int64_t)r->steps : place);
}

static bool same_inputs(const struct tft_plan_selection *sel, const int32_t *codes,
                        const float *reals, const uint32_t *kept)
{
    const struct tft_vsn_input *input = sel->vsn->input;
    uint32_t difference = 0;
    size_t v = 0;
    for (; v < sel->n_categoricals; v++)
        difference |= (uint32_t)codes[input[v].column] ^ kept[v];
    for (; v < sel->vsn->n; v++)
        difference |= tft_bits_of(reals[input[v].column]) ^ kept[v];
    return difference == 0;
}

static void keep_inputs(const struct tft_plan_selection *sel, const int32_t *codes,
                        const float *reals, uint32_t *kept)
{
    const struct tft_vsn_input *input = sel->vsn->input;
    size_t v = 0;
    for (; v < sel->n_categoricals; v++)
        kept[v] = (uint32_t)codes[input[v].column];
    for (; v < sel->vsn->n; v++)
        kept[v] = tft_bits_of(reals[input[v].column]);
}

size_t tft_reuse_take(struct tft_reuse *reuse, const struct tft_plan *plan,
                      const struct tft_plan_series *s, enum tft_side side, float *y,
                      uint32_t *changed)
{
    const struct tft_net *net = plan->model->net;
    const struct ring *r = &reuse->ring[side];
    const size_t width = reuse->width;
    size_t n = 0, place = place_of(r, s->first_step[side]);
    follow_context(reuse, s->context[TFT_SELECTION]);
    for (size_t step = 0; step < s->steps[side]; step++) {
        if (r->full[place] &&
            same_inputs(&plan->side[side], s->codes[side] + step * net->n_categoricals,
                        s->reals[side] + step * net->n_reals, r->input + place * r->inputs))
            memcpy(y + step * width, r->selected + place * width, width * sizeof *y);
        else
            changed[n++] = (uint32_t)(s->at[side] + step);
        place = place + 1 == r->steps ? 0 : place + 1;
    }
    reuse->counts.taken += s->steps[side] - n;
    reuse->counts.computed += n;
    return n;
}

void tft_reuse_put(struct tft_reuse *reuse, const struct tft_plan *plan,
                   const struct tft_plan_series *s, enum tft_side side, size_t step,
                   const float *selected)
{
    const struct tft_net *net = plan->model->net;
    const struct ring *r = &reuse->ring[side];
    const size_t place = place_of(r, s->first_step[side] + (int64_t)step);
    keep_inputs(&plan->side[side], s->codes[side] + step * net->n_categoricals,
                s->reals[side] + step * net->n_reals, r->input + place * r->inputs);
    memcpy(r->selected + place * reuse->width, selected, reuse->width * sizeof *selected);
    r->full[place] = true;
}
