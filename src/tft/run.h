/* What every module's forward needs, and where it takes its arrays. Internal to the folder. */
#ifndef FW_TFT_RUN_H
#define FW_TFT_RUN_H

#include "base/arena.h"
#include "tft/kernels/kernels.h"
#include "tft/net.h"

#include <string.h>

struct tft_run {
    const struct tft_kernels *k;
    const struct tft_net *net;
    const float *w; /* the packed block of net->n_floats */
};

/* Hands out arrays, or only counts their bytes: the same code lays out scratch and says how much it
 * needs. */
struct tft_carver {
    struct arena *arena; /* NULL: count only */
    size_t bytes;        /* of everything carved, alignment included */
    bool failed;         /* the arena is too small */
};

/* Not zeroed. */
static inline float *tft_carve_raw(struct tft_carver *carver, size_t n)
{
    carver->bytes += (n * sizeof(float) + 63) / 64 * 64;
    if (carver->arena == NULL)
        return NULL;
    float *floats = arena_take_raw(carver->arena, n, sizeof *floats, 64);
    if (floats == NULL)
        carver->failed = true;
    return floats;
}

static inline float *tft_carve(struct tft_carver *carver, size_t n)
{
    float *floats = tft_carve_raw(carver, n);
    return floats == NULL ? NULL : memset(floats, 0, n * sizeof *floats);
}

/* y = W x + b over rows, for a matrix of the block. */
static inline void tft_apply(const struct tft_run *run, const struct tft_linear *l, size_t rows,
                             const float *x, size_t x_stride, float *y)
{
    const float *b = l->bias == TFT_NONE ? NULL : run->w + l->bias;
    run->k->linear(rows, l->n_in, l->n_out, x, x_stride, run->w + l->weight, b, y);
}

static inline void tft_normalise(const struct tft_run *run, const struct tft_norm *n, size_t rows,
                                 const float *x, float *y)
{
    run->k->layer_norm(rows, n->n, x, run->w + n->weight, run->w + n->bias, y);
}

#endif
