/* Attention with all its weights kept, and back. Internal to the folder. */
#ifndef FW_TFT_ATTENTION_BACKWARD_H
#define FW_TFT_ATTENTION_BACKWARD_H

#include "tft/grn_backward.h"

/* T = keys; wide = heads * size. */
struct tft_attention_tape {
    float *q, *k, *v;           /* (queries, wide), (T, wide), (T, size) */
    float *k_turned, *v_turned; /* (wide, T), (size, T) */
    float *weights;             /* (queries, heads, T); 0 where a step does not see */
    float *mean;                /* (T) */
    float *heads;               /* (queries, heads, size): what each head brings, after dropout */
    float *seen;                /* (queries, size): their average */
    float *dweights;            /* (queries, heads, T) */
    float *dseen, *dheads, *dq; /* as seen, heads, q */
    float *dq_head, *k_head;    /* (queries, size), (T, size) */
    float *dkv_turned, *dkv;    /* (wide, T), (T, wide) */
    float *dx;                  /* (T, hidden) */
    struct tft_dropout dropout; /* of the heads' results */
};

void tft_attention_tape_carve(struct tft_carver *carver, const struct tft_net *net, size_t keys,
                              size_t queries, struct tft_attention_tape *tape);

/* As tft_attention_forward(). */
void tft_attention_tape_forward(const struct tft_grad_run *g, size_t history, size_t horizon,
                                const float *x, struct tft_attention_tape *tape, float *y);

/* dy (horizon, hidden); dx (history + horizon, hidden) +=. */
void tft_attention_tape_backward(const struct tft_grad_run *g, size_t history, size_t horizon,
                                 const float *x, struct tft_attention_tape *tape, const float *dy,
                                 float *dx);

#endif
