/* The backward of variable selection. Internal to the folder. */
#ifndef FW_TFT_VSN_BACKWARD_H
#define FW_TFT_VSN_BACKWARD_H

#include "tft/grn_backward.h"
#include "tft/vsn.h"

struct tft_vsn_gradient {
    float *values;  /* (rows, value_size) */
    float *weights; /* (rows, n): of the softmax, then of its logits */
    float *out;     /* (rows, hidden): of one variable's network */
};

/* Arrays for up to `rows` rows of any of the network's three selections. */
void tft_vsn_gradient_carve(struct tft_carver *carver, const struct tft_net *net, size_t rows,
                            struct tft_vsn_gradient *d);

/* Runs the selection forward again and back: the networks of all variables together leave more
 * behind than a cache holds, and running them twice costs less than fetching it. Arguments as
 * tft_vsn_forward() had them, acts->flat.dropout included; weights (rows, n) is written; dy (rows,
 * hidden) is read; dcontext (hidden) +=, NULL for the static selection. */
void tft_vsn_backward(const struct tft_grad_run *g, const struct tft_vsn *vsn, size_t rows,
                      const int32_t *codes, const float *reals, const float *context,
                      struct tft_vsn_acts *acts, struct tft_vsn_gradient *d, float *weights,
                      const float *dy, float *dcontext);

#endif
