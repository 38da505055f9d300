/* The kernels of compiled models. Steps are the lanes: a *tile* holds TFT_TILE steps of a layer,
 * one row of TFT_TILE floats per unit, and an array of n units over many steps is one tile (n,
 * TFT_TILE) after the other. What runs over units (norms, softmax, gates) is then vertical and
 * needs no tails whatever n is; only the number of steps is rounded up, once.
 *
 * Arrays of whole tiles are 64-byte aligned. Every step's numbers depend on that step alone (the
 * LSTM's and the attention's on their series alone), bit for bit: not on the place in a tile, nor
 * on what stands beside it. NaN stays NaN. Nothing allocates. */
#ifndef FW_TFT_KERNELS_TILES_H
#define FW_TFT_KERNELS_TILES_H

#include "tft/kernels/set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TFT_TILE = 16,         /* steps */
    TFT_TOGETHER = 3,      /* series that the LSTM advances side by side */
    TFT_HEAD_SIZE_MAX = 64 /* largest head that attend() takes; its sums live on the stack */
};

/* y = W x + b, W cut into panels of outputs that are computed together, at most as many as the
 * table says. */
struct tft_dense {
    size_t n_in, n_out;
    const float *w; /* panel after panel: (n_in, outputs of the panel) */
    const float *b; /* (n_out) */
};

/* Panels of at most `most` for n outputs, and the outputs of one of them: as even as can be. */
static inline size_t tft_panels(size_t most, size_t n_out)
{
    return (n_out + most - 1) / most;
}

static inline size_t tft_panel_size(size_t most, size_t n_out, size_t panel)
{
    const size_t panels = tft_panels(most, n_out);
    return n_out / panels + (panel < n_out % panels);
}

/* W (n_out, n_in) row after row, times factor -> panels (n_in * n_out). */
void tft_panels_fill(size_t most, size_t n_in, size_t n_out, const float *w, float factor,
                     float *panels);

struct tft_dense_norm {
    size_t n;
    const float *w, *b; /* (n) */
};

/* LayerNorm(GLU(x) + skip). */
struct tft_dense_gate {
    struct tft_dense gate; /* n_out = 2 norm.n */
    struct tft_dense_norm norm;
};

/* A residual network whose skip path is its input. */
struct tft_dense_grn {
    struct tft_dense fc1, fc2;
    struct tft_dense_gate gate;
};

/* The weights of a selection's variables, as a function of its raw numbers. */
struct tft_dense_flat {
    size_t n;            /* variables */
    size_t hidden;       /* n_out of fc2 */
    struct tft_dense in; /* numbers -> hidden, then the skip path's n */
    bool skip_normed;
    struct tft_dense_norm skip;
    struct tft_dense fc2;
    struct tft_dense_gate gate;
};

/* A function of one number on [low, high], as cubics: at every node its value and its slope times
 * the width of a cell, `width` floats each. Cells are even; where the function bends, one is cut
 * into even parts, a power of two of them. Cells in a unit are a power of two and low is a whole
 * number of cells, so that a number's place within its part is exact. */
struct tft_curve {
    float low, high, per_unit; /* cells in a unit */
    size_t cells;
    const int32_t *first; /* (cells): number of the first node * CURVE_POWERS + power of two */
    const float *nodes;   /* (parts + 1, 2, width) */
};
enum { TFT_CURVE_POWERS = 16 };

/* In groups of as many units, G, as the table says. */
struct tft_recurrence {
    size_t n, width; /* units; the same rounded up to whole groups */
    const float *w;  /* (width / G, n + n, 4, G): input's rows, then the last output's */
    const float *b;  /* (width / G, 4, G): both biases */
};

/* One series of a recurrence: x, y (steps, width); h, c (width) in: the state before, out: after.
 * y's units beyond n become 0. */
struct tft_sequence {
    const float *x;
    float *y, *h, *c;
};

/* Queries and the keys that they see: all n_keys of a first stretch, and of a second, which are the
 * queries' own steps, those before each. Both stretches lie in tiles, from lane `start` of the
 * first on; other lanes may be another series'. q, k (tiles, heads * size, TILE), so scaled that
 * their product is a power of two; v (tiles, size, TILE); size at most HEAD_SIZE_MAX. q and y are
 * in the tiles of the second stretch. */
struct tft_asked {
    size_t heads, size, queries, n_keys, start[2];
    const float *q, *k[2], *v[2];
};

struct tft_tiles {
    const char *name;
    size_t panel; /* most outputs of a matrix computed together */
    size_t units; /* units in a group of the LSTM; rows of units are whole groups */

    /* x (tiles, n_in, TILE) -> y (tiles, n_out, TILE). */
    void (*dense)(const struct tft_dense *d, size_t tiles, const float *x, float *y);

    /* x, skip, y (tiles, n, TILE); work (2 n, TILE). */
    void (*gate)(const struct tft_dense_gate *g, size_t tiles, const float *x, const float *skip,
                 float *work, float *y);

    /* first: fc1's bias and the context's share (n_hidden); or NULL, for one tile, where work
     * begins with them for every step (n_hidden, TILE). work (2 hidden + 2 n, TILE). */
    void (*grn)(const struct tft_dense_grn *g, const float *first, size_t tiles, const float *x,
                float *work, float *y);

    /* One tile. x (numbers, TILE); in: preset with what categories and context add (hidden + n,
     * TILE), overwritten; work (hidden + 2 n, TILE); weights (n, TILE). */
    void (*flat)(const struct tft_dense_flat *f, const float *x, float *in, float *work,
                 float *weights);

    /* y (steps, width) += weight * curve(x). x and weights: rows of TILE steps, `stride` floats
     * from one tile's to the next. Numbers outside the curve's range (NaN too) add nothing; returns
     * whether there were any. */
    bool (*curve)(const struct tft_curve *c, size_t width, size_t steps, size_t stride,
                  const float *x, const float *weights, float *y);

    /* 1 to TOGETHER series over the same number of steps. */
    void (*lstm)(const struct tft_recurrence *r, size_t series, size_t steps,
                 const struct tft_sequence *sequence);

    /* TILE rows, readable to n rounded up to whole registers, become (or are added to) y (n, TILE).
     */
    void (*turn)(size_t n, const float *const row[TFT_TILE], bool add, float *y);

    /* The attention of one series, the heads' average: y (tiles, size, TILE), of which only the
     * queries' lanes are written. room: (tiles of both stretches, size, TILE). */
    void (*attend)(const struct tft_asked *in, float *room, float *y);

    /* In place, one row of TILE floats: log(1 + e^x). */
    void (*softplus)(float *x);

    /* Likewise what the others are made of, so that a test can measure it. */
    struct {
        void (*exp2)(float *x), (*exp2_short)(float *x), (*sigmoid)(float *x);
        void (*elu)(float *x);
    } parts;
};

/* NULL when this build or this processor lacks the set; plain C runs anywhere. */
const struct tft_tiles *tft_tiles_of(enum tft_set set);
/* Of tft_set_best(). */
const struct tft_tiles *tft_tiles_best(void);

#endif
