/* The recurrent layers with all they leave behind, and back through time. Internal to the folder.
 */
#ifndef FW_TFT_LSTM_BACKWARD_H
#define FW_TFT_LSTM_BACKWARD_H

#include "tft/grn_backward.h"

/* T = history + horizon; one block for both sides, the history's steps first. */
struct tft_lstm_tape {
    float *bias;                  /* (4 hidden) */
    float *gates[TFT_LAYERS_MAX]; /* (T, 4 hidden) */
    float *cells[TFT_LAYERS_MAX]; /* (T, hidden) */
    float *out[TFT_LAYERS_MAX];   /* (T, hidden); the last layer's is the result */
    float *h, *c;                 /* (hidden): the state while running */
    float *dh, *dc;               /* (layers, hidden) */
    float *between[2];            /* (T, hidden): gradients from layer to layer */
};

void tft_lstm_tape_carve(struct tft_carver *carver, const struct tft_net *net, size_t steps,
                         struct tft_lstm_tape *tape);

/* x (T, hidden). Every layer begins with the state h, c (hidden), and the horizon goes on where the
 * history ended. */
void tft_lstm_tape_forward(const struct tft_run *run, size_t history, size_t horizon,
                           const float *x, const float *h, const float *c,
                           struct tft_lstm_tape *tape);

/* dy (T, hidden) of the last layer's output; dx (T, hidden) is overwritten; dh, dc (hidden) +=. */
void tft_lstm_tape_backward(const struct tft_grad_run *g, size_t history, size_t horizon,
                            const float *x, const float *h, const float *c,
                            struct tft_lstm_tape *tape, const float *dy, float *dx, float *dh,
                            float *dc);

#endif
