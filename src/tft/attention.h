/* Interpretable multi-head attention (Lim et al. 2021, section 4.4; FORWARD.md 3.8). Internal to
 * the folder. */
#ifndef FW_TFT_ATTENTION_H
#define FW_TFT_ATTENTION_H

#include "tft/run.h"

struct tft_attention_acts {
    float *q;        /* (queries, heads * size) */
    float *k;        /* (keys, heads * size) */
    float *k_turned; /* (heads * size, keys) */
    float *v;        /* (keys, size) */
    float *weights;  /* (heads, keys) of one query, or (queries, heads, keys) of all */
    float *mean;     /* (keys): of one query */
    float *seen;     /* (queries, size): what the averaged heads bring */
};

void tft_attention_carve(struct tft_carver *carver, const struct tft_net *net, size_t keys,
                         size_t queries, struct tft_attention_acts *acts);

/* x (history + horizon, hidden); the horizon's steps ask. Step i of it sees the history and the
 * horizon's steps before i. y (horizon, hidden). all_weights (horizon, heads, history + horizon),
 * or NULL; what a step does not see is 0. */
void tft_attention_forward(const struct tft_run *run, size_t history, size_t horizon,
                           const float *x, struct tft_attention_acts *acts, float *all_weights,
                           float *y);

#endif
