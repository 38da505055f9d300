/* The network as a tree of modules over one flat block of parameters.
 *
 * A module holds sizes and offsets, never pointers, so that the same tree serves the parameters
 * themselves, their gradients, an optimiser's moments, and the packed copy that the kernels read. A
 * parameter that pytorch-forecasting saves under several names is in the block once. */
#ifndef FW_TFT_NET_H
#define FW_TFT_NET_H

#include "base/buf.h"
#include "base/status.h"
#include "tft/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TFT_NONE SIZE_MAX /* an offset of something that is not there */

enum { TFT_HIDDEN_MAX = 4096, TFT_LAYERS_MAX = 8, TFT_HEADS_MAX = 256, TFT_VALUE_MAX = 4096 };
#define TFT_PARAMS_MAX ((size_t)1 << 28) /* floats */

/* Sizes that the spec does not fix; the weights' shapes do. */
struct tft_sizes {
    size_t hidden, heads, layers;
    size_t *real_size;      /* of each real's prescaled value; n_reals */
    size_t *embedding_size; /* n_categoricals */
    bool numbered_output;   /* output_layer.0, output_layer.1, ... instead of output_layer */
};

struct tft_linear { /* y = W x + b */
    size_t n_in, n_out;
    size_t weight; /* [n_out, n_in]; packed: [n_in, n_out] */
    size_t bias;   /* [n_out], or TFT_NONE */
};

struct tft_norm { /* LayerNorm over n */
    size_t n, weight, bias;
};

/* Linear interpolation n_in -> n_out with aligned corners: y[j] = x[at] + frac * (x[at + 1] -
 * x[at]), in the form (1 - frac) * x[at] + frac * x[next]. */
struct tft_stretch {
    size_t n_in, n_out;
    uint32_t *at, *next;
    float *frac;
};

struct tft_resample { /* ResampleNorm: LayerNorm(stretch(x) * 2 sigmoid(mask)) */
    size_t n_in, n_out;
    size_t stretch; /* index into net->stretches, TFT_NONE when n_in = n_out */
    size_t mask;    /* [n_out]; packed: 2 sigmoid(mask) */
    struct tft_norm norm;
};

struct tft_grn { /* gated residual network */
    size_t n_in, n_hidden, n_out;
    size_t n_context; /* 0: takes no context */
    bool resampled;   /* the skip path goes through `skip`; else n_in = n_out and it is x itself */
    struct tft_resample skip;
    struct tft_linear fc1, context, fc2, gate;
    struct tft_norm norm;
};

struct tft_vsn_input {
    bool categorical;
    size_t column;                 /* in x_categoricals or x_reals */
    size_t at, size;               /* place of its value in the concatenation of all values */
    struct tft_resample embed_net; /* of a categorical */
    struct tft_grn real_net;       /* of a real */
};

struct tft_vsn { /* variable selection */
    size_t n;
    size_t value_size; /* of the concatenation */
    struct tft_vsn_input *input;
    struct tft_grn flat; /* weights of the variables; not there when n < 2 */
};

struct tft_gate_norm { /* LayerNorm(GLU(x) + skip) */
    struct tft_linear gate;
    struct tft_norm norm;
};

struct tft_lstm_layer {
    struct tft_linear input, recurrent; /* gates in the order i, f, g, o */
};

struct tft_attention {
    size_t heads, size;              /* size of one head: hidden / heads, rounded down */
    struct tft_linear q, k;          /* all heads side by side: n_out = heads * size */
    struct tft_linear value, output; /* n_out = size; output has no bias */
};

enum tft_context {
    TFT_SELECTION,
    TFT_INITIAL_HIDDEN,
    TFT_INITIAL_CELL,
    TFT_ENRICHMENT,
    TFT_CONTEXTS
};
enum tft_side { TFT_ENCODER, TFT_DECODER, TFT_SIDES };

struct tft_param {
    size_t name_at; /* see tft_net_param_name() */
    size_t rank, shape[2];
    size_t offset, count;
};

struct tft_net {
    size_t hidden, heads, layers;
    size_t n_targets, n_quantiles;
    size_t n_reals, n_categoricals;
    size_t *embedding, *classes, *embedding_size; /* per categorical: offset of [classes, size] */
    struct tft_linear *prescaler;                 /* per real: 1 -> its value's size */
    struct tft_vsn stat, side[TFT_SIDES];
    struct tft_grn context[TFT_CONTEXTS];
    struct tft_lstm_layer lstm[TFT_SIDES][TFT_LAYERS_MAX];
    struct tft_gate_norm post_lstm, post_attention, pre_output;
    struct tft_grn enrichment, feed_forward;
    struct tft_attention attention;
    struct tft_linear output; /* all targets side by side: n_out = n_targets * n_quantiles */

    size_t n_floats; /* of the block: parameters and the gaps that align them (zero) */
    size_t n_parameters;
    size_t n_params; /* named tensors, in the order of the block */
    struct tft_param *params;
    size_t n_linears, n_masks, n_stretches;
    struct tft_linear *linears; /* every matrix, for packing */
    size_t (*masks)[2];         /* offset and count of every resample mask */
    struct tft_stretch *stretches;
    struct fw_buf names;
};

/* Lays out the network for a spec. *out is the caller's, released with tft_net_free(); it keeps
 * nothing of `sizes`. FW_ELIMIT: larger than the limits above; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status tft_net_build(const struct tft_spec *spec,
                                           const struct tft_sizes *sizes, struct tft_net **out,
                                           struct fw_error *err);
void tft_net_free(struct tft_net *net);

const char *tft_net_param_name(const struct tft_net *net, size_t i);

/* The name under which a tensor is kept in the block: pytorch-forecasting's second names for shared
 * modules are turned into the first; any other name is returned as it is. `room` holds the result
 * where it differs. */
const char *tft_net_first_name(const char *name, char *room, size_t room_size);

/* Fills the packed block (n_floats) from the parameters (n_floats): matrices transposed, masks as
 * factors. */
void tft_net_pack(const struct tft_net *net, const float *params, float *packed);

#endif
