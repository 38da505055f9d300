/* Variable selection (Lim et al. 2021, section 4.2; FORWARD.md 3.2): a network for every variable,
 * and a softmax over the variables that says how much of each goes on. Internal to the folder. */
#ifndef FW_TFT_VSN_H
#define FW_TFT_VSN_H

#include "tft/grn.h"

struct tft_vsn_acts {
    float *values; /* (rows, value_size): embeddings and prescaled reals, side by side */
    struct tft_grn_acts flat, variable; /* `variable` is used by one variable after the other */
    float *out;                         /* (rows, hidden): one variable's network */
};

/* Arrays for up to `rows` rows of any of the network's three selections. */
void tft_vsn_carve(struct tft_carver *carver, const struct tft_net *net, size_t rows,
                   struct tft_vsn_acts *acts);

/* Embeddings and prescaled reals of every variable into values (rows, vsn->value_size). */
void tft_vsn_values(const struct tft_run *run, const struct tft_vsn *vsn, size_t rows,
                    const int32_t *codes, const float *reals, float *values);

/* The network of variable v on acts->values; y (rows, hidden). */
void tft_vsn_variable(const struct tft_run *run, const struct tft_vsn *vsn, size_t v, size_t rows,
                      struct tft_vsn_acts *acts, float *y);

/* codes (rows, n_categoricals), in range; reals (rows, n_reals); context (hidden), or NULL for the
 * static selection. Writes y (rows, hidden) and weights (rows, n). */
void tft_vsn_forward(const struct tft_run *run, const struct tft_vsn *vsn, size_t rows,
                     const int32_t *codes, const float *reals, const float *context,
                     struct tft_vsn_acts *acts, float *y, float *weights);

#endif
