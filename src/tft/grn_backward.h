/* The backward of everything in grn.h, and of the linear layer. Internal to the folder.
 *
 * A backward consumes the acts that its forward left: it writes gradients over them. Gradients of
 * parameters are added to g->grads, a block laid out like the parameters. */
#ifndef FW_TFT_GRN_BACKWARD_H
#define FW_TFT_GRN_BACKWARD_H

#include "tft/grn.h"
#include "tft/kernels/backward.h"

struct tft_grad_run {
    struct tft_run run;
    const struct tft_backward_kernels *b;
    const float
        *params;   /* not packed: a matrix row by output is what its transposed product reads */
    float *grads;  /* (net->n_floats) += */
    float *hidden; /* temporary: rows x the widest hidden layer of a GRN */
    float *in;     /* temporary: rows x the widest input of a GRN */
    float *turned; /* temporary: the widest input or output of a GRN */
};

/* y = W x + b: dy (rows, n_out), x (rows, n_in) at x_stride. dx (rows, n_in) is overwritten; NULL:
 * not wanted. */
void tft_linear_backward(const struct tft_grad_run *g, const struct tft_linear *l, size_t rows,
                         const float *x, size_t x_stride, const float *dy, float *dx);

/* y = norm(x): dy becomes dx. */
void tft_norm_backward(const struct tft_grad_run *g, const struct tft_norm *n, size_t rows,
                       const float *x, float *dy);

/* dy (rows, n_out) is used up; dx (rows, n_in) at dx_stride +=. */
void tft_resample_backward(const struct tft_grad_run *g, const struct tft_resample *r, size_t rows,
                           const struct tft_resample_acts *acts, float *dy, float *dx,
                           size_t dx_stride);

/* x as the gate saw it. dy (rows, n) becomes the gradient of the skip; dx (rows, n_in) is
 * overwritten. */
void tft_gate_norm_backward(const struct tft_grad_run *g, const struct tft_linear *gate,
                            const struct tft_norm *norm, size_t rows, const float *x,
                            struct tft_gate_norm_acts *acts, float *dy, float *dx);

/* dy (rows, n_out) is used up; dx (rows, n_in) at dx_stride +=; dcontext (n_context) +=, with
 * `context` as the forward had it. */
void tft_grn_backward(const struct tft_grad_run *g, const struct tft_grn *grn, size_t rows,
                      const float *x, size_t x_stride, const float *context,
                      struct tft_grn_acts *acts, float *dy, float *dx, size_t dx_stride,
                      float *dcontext);

#endif
