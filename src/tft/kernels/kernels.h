/* The inner loops, behind one table chosen at start. Plain C is the definition; a faster entry is
 * held to it by tests/unit/tft/test_kernels.c. Arrays are flat and row after row; a `stride` is the
 * distance between rows in floats. Outputs never overlap inputs unless a line says so. Nothing
 * allocates, nothing is global.
 *
 * Every kernel gives a row the same bits whatever stands in the other rows, and however many there
 * are. */
#ifndef FW_TFT_KERNELS_KERNELS_H
#define FW_TFT_KERNELS_KERNELS_H

#include "tft/kernels/set.h"

#include <stddef.h>
#include <stdint.h>

struct tft_kernels {
    const char *name;

    /* y = x W + b:  x (rows, n_in) at x_stride, w (n_in, n_out) packed, b (n_out) or NULL, y (rows,
     * n_out). */
    void (*linear)(size_t rows, size_t n_in, size_t n_out, const float *x, size_t x_stride,
                   const float *w, const float *b, float *y);

    /* y = ((1 - frac) x[at] + frac x[next]) * factor:  x (rows, .) at x_stride, tables and factor
     * (n), y (rows, n). */
    void (*stretch)(size_t rows, size_t n, const float *x, size_t x_stride, const uint32_t *at,
                    const uint32_t *next, const float *frac, const float *factor, float *y);

    /* In place: x if x > 0, else exp(x) - 1. */
    void (*elu)(size_t n, float *x);

    /* y = a * sigmoid(g) + skip:  gates (rows, 2 n) = [a, g], skip (rows, n) at skip_stride, y
     * (rows, n). */
    void (*glu_add)(size_t rows, size_t n, const float *gates, const float *skip,
                    size_t skip_stride, float *y);

    /* y = (x - mean) / sqrt(var + 1e-5) * w + b, var over n.  x, y (rows, n); y may be x. */
    void (*layer_norm)(size_t rows, size_t n, const float *x, const float *w, const float *b,
                       float *y);

    /* In place, each row of x (rows, n). */
    void (*softmax)(size_t rows, size_t n, float *x);

    /* y += weight * x:  x, y (rows, n), weight (rows) at weight_stride. */
    void (*add_weighted)(size_t rows, size_t n, const float *x, const float *weight,
                         size_t weight_stride, float *y);

    /* One layer over `steps` steps. gates (steps, 4 n): in, the input's product with both biases,
     * order i, f, g, o; out, the gates after their sigmoid or tanh. w (n, 4 n) packed, from the
     * last output. h, c (n): in, the state before; out, the state after. y, cells (steps, n): every
     * step's output and cell. */
    void (*lstm)(size_t steps, size_t n, float *gates, const float *w, float *h, float *c, float *y,
                 float *cells);

    /* One query step against the first n_keys steps, all heads. q (heads * size); k (heads * size,
     * .) at k_stride, one row per component, steps along the row. weights (heads, .) at
     * weights_stride: each head's softmax of q k scale. mean (n_keys): their average. */
    void (*attend)(size_t heads, size_t size, size_t n_keys, const float *q, const float *k,
                   size_t k_stride, float scale, float *weights, size_t weights_stride,
                   float *mean);
};

/* NULL when this build or this processor lacks the set; plain is readable C, on any machine. */
const struct tft_kernels *tft_kernels_of(enum tft_set set);
/* Of tft_set_best(). */
const struct tft_kernels *tft_kernels_best(void);

#endif
