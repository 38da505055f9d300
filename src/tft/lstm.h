/* The recurrent layers over history and horizon (FORWARD.md 3.5). Internal to the folder. */
#ifndef FW_TFT_LSTM_H
#define FW_TFT_LSTM_H

#include "tft/run.h"

struct tft_lstm_acts {
    float *bias;       /* (4 hidden): both biases of a layer */
    float *gates;      /* (steps, 4 hidden): of the layer last run */
    float *cells;      /* (steps, hidden): likewise */
    float *between[2]; /* (steps, hidden): what one layer hands to the next */
    float *h, *c;      /* (layers, hidden): the state, handed from history to horizon */
};

/* Arrays for up to `steps` steps. */
void tft_lstm_carve(struct tft_carver *carver, const struct tft_net *net, size_t steps,
                    struct tft_lstm_acts *acts);

/* Runs one side from the state in acts->h, acts->c and leaves the state after the last step there.
 * x (steps, hidden), y (steps, hidden). */
void tft_lstm_forward(const struct tft_run *run, enum tft_side side, size_t steps, const float *x,
                      struct tft_lstm_acts *acts, float *y);

#endif
