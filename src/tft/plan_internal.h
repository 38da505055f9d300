/* What a plan consists of, and its stages one by one: for the folder, its tests and benches. */
#ifndef FW_TFT_PLAN_INTERNAL_H
#define FW_TFT_PLAN_INTERNAL_H

#include "tft/kernels/tiles.h"
#include "tft/plan.h"
#include "tft/run.h"
#include "tft/vsn.h"

#include <string.h>

/* One side's variable selection. Categoricals come first among the variables, then reals. */
struct tft_plan_selection {
    const struct tft_vsn *vsn;
    size_t n_categoricals, n_reals;
    /* Every variable's network (vsn->n): of a categorical as a curve over its codes, of a real as a
     * curve over its number, with an empty range where the network itself is computed. */
    struct tft_curve *curves;
    struct tft_dense_flat flat;       /* where there is more than one variable */
    const float *flat_first;          /* (hidden + n): what stands without any variable */
    const float **flat_category_rows; /* (n_categoricals): (classes, category stride) */
};

/* Floats from one category's row to the next: kernels read whole registers. */
static inline size_t tft_plan_category_stride(size_t outputs)
{
    return (outputs + TFT_TILE - 1) / TFT_TILE * TFT_TILE;
}

struct tft_plan {
    uint64_t serial; /* unique in the process */
    const struct tft_model *model;
    const struct tft_tiles *tiles;
    size_t width;  /* hidden, rounded up to whole groups of units */
    size_t group;  /* series that go through the stages together: TOGETHER or GROUP_MAX */
    size_t packed; /* series in one pack: 1 or the whole group */
    struct tft_plan_selection stat, side[TFT_SIDES];
    struct tft_dense_grn context[TFT_CONTEXTS];
    struct tft_recurrence lstm[TFT_SIDES][TFT_LAYERS_MAX];
    struct tft_dense_gate post_lstm, post_attention, pre_output;
    struct tft_dense_grn enrichment, feed_forward;
    struct tft_dense q, k, v, attended, output;
    struct tft_plan_info info;
    size_t n_blocks, blocks_cap;
    void **blocks; /* everything above that was allocated */
};

enum {
    /* Whole rounds of the LSTM of which the contexts are made in one tile: the largest group. */
    TFT_GROUP_MAX = TFT_TILE / TFT_TOGETHER * TFT_TOGETHER,
    /* Tiles of steps that go through one variable's table at a time: the table's hot part and the
     * rows that it is added to share the first cache. */
    TFT_SELECTED_TOGETHER = 12,
};

struct tft_plan_series {
    size_t steps[TFT_SIDES];
    size_t at[TFT_SIDES]; /* where they begin among its pack's */
    const int32_t *codes[TFT_SIDES];
    const float *reals[TFT_SIDES];
    const float *context[TFT_CONTEXTS]; /* (hidden) */
    struct tft_reuse *reuse;            /* NULL: none, or of another plan */
    int64_t first_step[TFT_SIDES];      /* as its memory counts them */
};

/* Series whose steps share tiles: one long series, or a whole group of short ones, so that their
 * last tiles are not half empty. First stands every series' history, then, in a new tile, every
 * series' horizon. */
struct tft_plan_pack {
    size_t n;
    const struct tft_plan_series *series;
    size_t steps[TFT_SIDES];     /* of all of them */
    size_t from[TFT_SIDES];      /* where they begin: 0; the history's in whole tiles */
    size_t padded;               /* all of it in whole tiles */
    float *selected, *recurrent; /* (padded, width) */
    float *between[2];           /* likewise: what one layer hands to the next */
};

struct tft_plan_acts {
    struct tft_plan_series series[TFT_GROUP_MAX];
    struct tft_plan_pack pack[TFT_TOGETHER];
    size_t n, packs;                                 /* series and packs of the group at hand */
    struct tft_vsn_acts vsn;                         /* of one row: numbers outside their tables */
    float *contexts;                                 /* (GROUP_MAX, CONTEXTS, hidden) */
    float *static_rows, *static_tile, *context_tile; /* (TILE, width), (hidden, TILE) twice */
    float *numbers, *weights;                        /* of some tiles: (tiles, variables, TILE) */
    float *flat_in, *work;                           /* of one */
    uint32_t *changed; /* places of a side's steps that no memory of their series has */
    float *fresh;      /* (SELECTED_TOGETHER * TILE, width): what some of them become */
    float *first;      /* (pack, first_stride): a first layer's constant, series by series */
    size_t first_stride;
    float *h, *c; /* (group, layers, width) */
    float *recurrent_tile, *selected_tile;
    /* of a pack */
    float *gated, *enriched, *q, *k, *head, *v, *seen, *attended, *attended_gated, *fed_forward,
        *final, *raw;
};

void tft_plan_carve(struct tft_carver *carver, const struct tft_plan *plan, size_t history_steps,
                    size_t horizon_steps, struct tft_plan_acts *acts);

static inline size_t tft_plan_tiles(size_t steps)
{
    return (steps + TFT_TILE - 1) / TFT_TILE;
}

/* acts->contexts of series `from` and following of `in`, at most GROUP_MAX: they do not depend on
 * steps, so that series are the tile's lanes. */
void tft_plan_contexts(const struct tft_plan *plan, const struct tft_input *in, size_t from,
                       size_t n, struct tft_plan_acts *acts);
/* Makes series `from` and following of `in`, at most plan->group, the group at hand; their contexts
 * begin at place `at` of acts->contexts. */
void tft_plan_group(const struct tft_plan *plan, const struct tft_input *in, size_t from, size_t n,
                    size_t at, struct tft_plan_acts *acts);

/* The other stages, for the group. */
void tft_plan_select(const struct tft_plan *plan, struct tft_plan_acts *acts);
void tft_plan_recur(const struct tft_plan *plan, struct tft_plan_acts *acts);
/* Of one pack: the gate after the LSTM and the enrichment; the attention; from there to
 * acts->raw. */
void tft_plan_enrich(const struct tft_plan *plan, struct tft_plan_acts *acts,
                     const struct tft_plan_pack *pack);
void tft_plan_attend(const struct tft_plan *plan, struct tft_plan_acts *acts,
                     const struct tft_plan_pack *pack);
void tft_plan_finish(const struct tft_plan *plan, struct tft_plan_acts *acts,
                     const struct tft_plan_pack *pack);

/* The series of each lane of the tile that begins at step `from` of a side; lanes beyond the side's
 * steps repeat the first. Returns how many lanes there are. */
size_t tft_plan_lanes(const struct tft_plan_pack *pack, enum tft_side side, size_t from,
                      const struct tft_plan_series *lane[TFT_TILE]);
/* Rows (TILE) become a tile, y (n, TILE); one row for all of them is spread. */
void tft_plan_spread(const struct tft_plan *plan, size_t n, const float *const row[TFT_TILE],
                     float *y);

/* Aligned floats that die with the plan, zeroed; NULL when there is no memory. */
float *tft_plan_floats(struct tft_plan *plan, size_t n);

/* A real variable's network for n numbers, as the plain path computes it: y (n,
 * hidden). acts for n rows. */
void tft_plan_variable(const struct tft_run *run, const struct tft_vsn_input *in, size_t n,
                       const float *x, struct tft_vsn_acts *acts, float *y);

/* compile_curves.c: fills curves of one side. */
FW_MUST_CHECK enum fw_status tft_compile_curves(struct tft_plan *plan,
                                                struct tft_plan_selection *selection,
                                                struct fw_error *err);
/* compile_fold.c: the whole of it. */
FW_MUST_CHECK enum fw_status tft_compile_selection(struct tft_plan *plan, const struct tft_vsn *vsn,
                                                   struct tft_plan_selection *selection,
                                                   struct fw_error *err);

/* W (n_out, n_in) row after row and b (n_out) -> panels. False: no memory. */
FW_MUST_CHECK bool tft_compile_dense(struct tft_plan *plan, size_t n_in, size_t n_out,
                                     const float *w, const float *b, float factor,
                                     struct tft_dense *out);
FW_MUST_CHECK bool tft_compile_gate(struct tft_plan *plan, const struct tft_linear *gate,
                                    const struct tft_norm *norm, struct tft_dense_gate *out);
struct tft_dense_norm tft_compile_norm(const struct tft_plan *plan, const struct tft_norm *norm);

/* Numbers are the same when their bits are: NaN is, and 0 and -0 are not. */
static inline uint32_t tft_bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

#endif
