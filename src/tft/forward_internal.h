/* The forward pass of one series with all it leaves behind: for tests of intermediates and for
 * training. */
#ifndef FW_TFT_FORWARD_INTERNAL_H
#define FW_TFT_FORWARD_INTERNAL_H

#include "tft/attention.h"
#include "tft/forward.h"
#include "tft/lstm.h"
#include "tft/vsn.h"

/* T = history + horizon of the series. */
struct tft_acts {
    struct tft_vsn_acts vsn;  /* of the rows last computed */
    float *selection_weights; /* (rows of a block, variables) */
    float *static_out;        /* (hidden) */
    struct tft_grn_acts static_grn;
    float *context[TFT_CONTEXTS]; /* (hidden) each */
    float *selected;              /* (T, hidden): both selections, FORWARD.md 3.4 */
    struct tft_lstm_acts lstm;
    float *recurrent;               /* (T, hidden): the LSTM's outputs, 3.5 */
    struct tft_gate_norm_acts gate; /* of the gate last run */
    float *gated;                   /* (T, hidden): 3.6 */
    struct tft_grn_acts grn;        /* of the network last run */
    float *enriched;                /* (T, hidden): 3.7 */
    struct tft_attention_acts attention;
    float *all_weights;    /* (horizon, heads, T), or NULL */
    float *attended;       /* (horizon, hidden): 3.8 */
    float *attended_gated; /* (horizon, hidden): 3.9, a */
    float *fed_forward;    /* (horizon, hidden): 3.9, f */
    float *final;          /* (horizon, hidden): 3.9, z */
    float *raw;            /* (horizon, targets * quantiles): 3.10 */
};

/* One series of a batch: pointers to its rows. */
struct tft_series_input {
    size_t history, horizon;
    size_t weigh_history,
        weigh_horizon; /* steps whose variable weights are wanted, at least as many */
    const int32_t *history_codes, *horizon_codes;
    const float *history_reals, *horizon_reals;
};

void tft_acts_carve(struct tft_carver *carver, const struct tft_net *net, size_t history,
                    size_t horizon, bool all_weights, struct tft_acts *acts);

/* Everything up to acts->raw. Weights of the variables go to the arrays given, where not NULL. */
void tft_forward_series(const struct tft_run *run, const struct tft_series_input *in,
                        struct tft_acts *acts, float *static_weights, float *history_weights,
                        float *horizon_weights);

#endif
