#include "tft/attention.h"

#include <math.h>
#include <string.h>

void tft_attention_carve(struct tft_carver *carver, const struct tft_net *net, size_t keys,
                         size_t queries, struct tft_attention_acts *acts)
{
    const size_t wide = net->attention.heads * net->attention.size;
    acts->q = tft_carve(carver, queries * wide);
    acts->k = tft_carve(carver, keys * wide);
    acts->k_turned = tft_carve(carver, keys * wide);
    acts->v = tft_carve(carver, keys * net->attention.size);
    acts->weights = tft_carve(carver, net->attention.heads * keys);
    acts->mean = tft_carve(carver, keys);
    acts->seen = tft_carve(carver, queries * net->attention.size);
}

static void turn(size_t rows, size_t columns, const float *x, float *y)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++)
            y[c * rows + r] = x[r * columns + c];
    }
}

void tft_attention_forward(const struct tft_run *run, size_t history, size_t horizon,
                           const float *x, struct tft_attention_acts *acts, float *all_weights,
                           float *y)
{
    const struct tft_attention *a = &run->net->attention;
    const size_t hidden = run->net->hidden, keys = history + horizon, wide = a->heads * a->size;
    const float scale = 1.0f / sqrtf((float)a->size);
    tft_apply(run, &a->q, horizon, x + history * hidden, hidden, acts->q);
    tft_apply(run, &a->k, keys, x, hidden, acts->k);
    tft_apply(run, &a->value, keys, x, hidden, acts->v);
    turn(keys, wide, acts->k, acts->k_turned);
    for (size_t i = 0; i < horizon; i++) {
        const size_t n = history + i; /* keys that this step sees */
        float *weights = all_weights == NULL ? acts->weights : all_weights + i * a->heads * keys;
        if (all_weights != NULL)
            memset(weights, 0, a->heads * keys * sizeof *weights);
        run->k->attend(a->heads, a->size, n, acts->q + i * wide, acts->k_turned, keys, scale,
                       weights, keys, acts->mean);
        /* All heads share the values, so averaging the weights first is the average of the heads.
         */
        run->k->linear(1, n, a->size, acts->mean, n, acts->v, NULL, acts->seen + i * a->size);
    }
    tft_apply(run, &a->output, horizon, acts->seen, a->size, y);
}
