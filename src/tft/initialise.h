/* The first values of a network's parameters (FORWARD.md 7). */
#ifndef FW_TFT_INITIALISE_H
#define FW_TFT_INITIALISE_H

#include "tft/net.h"

/* Of an embedding of k classes: 1 for k <= 2, else min(round(1.6 k^0.56), 100), at most `hidden`.
 */
size_t tft_initialise_embedding_size(size_t k, size_t hidden);

/* Fills params (net->n_floats): prescalers, LSTM, output layers uniform as torch has them, GRN
 * layers normal, gates and attention Xavier uniform, norms 1 and 0, masks and the other biases 0,
 * embeddings normal with the unknown class at zero. Every parameter draws from a stream of its own,
 * so that adding a variable leaves the others' values alone. */
void tft_initialise(const struct tft_spec *spec, const struct tft_net *net, uint64_t seed,
                    float *params);

#endif
