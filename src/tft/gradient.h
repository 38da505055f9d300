/* Forward, loss and backward of one series: what a step of training is made of. */
#ifndef FW_TFT_GRADIENT_H
#define FW_TFT_GRADIENT_H

#include "tft/kernels/backward.h"
#include "tft/kernels/kernels.h"
#include "tft/net.h"
#include "tft/spec.h"

#include <stddef.h>
#include <stdint.h>

/* What the series of a batch share. Immutable while they run, so threads may share it. */
struct tft_gradient_pass {
    const struct tft_spec *spec;
    const struct tft_net *net;
    const float *params; /* (net->n_floats) */
    const float *packed; /* (net->n_floats), tft_net_pack() of them */
    const struct tft_kernels *kernels;
    const struct tft_backward_kernels *backward;
    float dropout; /* share of the units that are dropped before each gate and in the attention, 0
                      to below 1 (FORWARD.md 7) */
};

/* One series, with its own lengths (FORWARD.md 5; forward.h says more). */
struct tft_gradient_series {
    size_t history, horizon;      /* at least 1 */
    const int32_t *history_codes; /* (history, C) */
    const int32_t *horizon_codes; /* (horizon, C) */
    const float *history_reals;   /* (history, R) */
    const float *horizon_reals;   /* (horizon, R) */
    const float *scale;           /* (targets, 2): center, scale */
    const float *target;          /* (horizon, targets), in the targets' units; NaN = missing */
    const float *weight;          /* (targets): of one observation in the loss */
    uint32_t key;                 /* of what is dropped: another one for every series and step */
};

/* Room for one series at a time, up to the lengths given: about 6 MB at H = 32, 288 + 96 steps. One
 * thread uses it at a time. NULL when out of memory; freeing NULL does nothing. */
struct tft_gradient_workspace;
struct tft_gradient_workspace *tft_gradient_workspace_new(const struct tft_net *net, size_t history,
                                                          size_t horizon);
void tft_gradient_workspace_free(struct tft_gradient_workspace *room);

/* Adds the gradient of the series' loss to grads (net->n_floats, laid out like the parameters;
 * shared parameters are there once) and returns the loss. The padding row of an embedding gets a
 * gradient like any other: see tft_gradient_clear_padding(). Allocates nothing; lengths beyond the
 * room's are asserted. prediction (horizon, targets, quantiles), or NULL. */
double tft_gradient_series(const struct tft_gradient_pass *pass,
                           struct tft_gradient_workspace *room,
                           const struct tft_gradient_series *series, float *grads,
                           float *prediction);

/* The loss and the prediction alone, without dropout. */
double tft_gradient_loss(const struct tft_gradient_pass *pass, struct tft_gradient_workspace *room,
                         const struct tft_gradient_series *series, float *prediction);

/* The row of an unknown class starts at zero and stays there: its gradient is set to 0. */
void tft_gradient_clear_padding(const struct tft_spec *spec, const struct tft_net *net,
                                float *grads);

#endif
