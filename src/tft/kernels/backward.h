/* The inner loops of the backward pass and of dropout, behind a table like that of kernels.h: plain
 * C is the definition, the other sets are held to it by tests/unit/tft/test_backward.c. Arrays
 * are flat, row after row; "+=" means that the output is added to. */
#ifndef FW_TFT_KERNELS_BACKWARD_H
#define FW_TFT_KERNELS_BACKWARD_H

#include "tft/kernels/set.h"

#include <stddef.h>
#include <stdint.h>

struct tft_backward_kernels {
    const char *name;

    /* out += a^T b: a (rows, n_a) at a_stride, b (rows, n_b) at b_stride, out (n_a, n_b). The
     * gradient of a matrix. */
    void (*outer_add)(size_t rows, size_t n_a, size_t n_b, const float *a, size_t a_stride,
                      const float *b, size_t b_stride, float *out);

    /* out += the sum of the rows of x (rows, n). */
    void (*sum_rows)(size_t rows, size_t n, const float *x, float *out);

    /* dy becomes dx; y is the ELU's output. */
    void (*elu)(size_t n, const float *y, float *dy);

    /* gates (rows, 2 n) = [a, g] of y = a * sigmoid(g) + skip become their gradients; dy (rows, n)
     * is that of the skip as well and stays. */
    void (*glu)(size_t rows, size_t n, float *gates, const float *dy);

    /* dy (rows, n) becomes dx; x is the norm's input, w its weight (n); dw, db (n) +=. */
    void (*layer_norm)(size_t rows, size_t n, const float *x, const float *w, float *dy, float *dw,
                       float *db);

    /* dp (rows, n) becomes the gradient of the logits, times `scale`; p is the softmax's output. */
    void (*softmax)(size_t rows, size_t n, const float *p, float scale, float *dp);

    /* One layer backwards through time. gates (steps, 4 n) and cells (steps, n) as the forward left
     * them, c_first (n) the cell before the first step, w (4 n, n) row by output, dy (steps, n).
     * In: dh, dc (n), the gradient of the last state from outside; out: that of the state before
     * the first step. gates become the gradients of the sums before their sigmoid or tanh. */
    void (*lstm)(size_t steps, size_t n, float *gates, const float *cells, const float *c_first,
                 const float *w, const float *dy, float *dh, float *dc);

    /* x *= scale or 0, by a hash of key and place: a place is dropped where its hash is below
     * `threshold`. */
    void (*drop)(size_t n, uint32_t key, uint32_t threshold, float scale, float *x);

    /* y += x */
    void (*add)(size_t n, const float *x, float *y);
};

/* NULL when this build or this processor lacks the set; plain C runs anywhere. */
const struct tft_backward_kernels *tft_backward_of(enum tft_set set);
/* Of tft_set_best(). */
const struct tft_backward_kernels *tft_backward_best(void);

#endif
