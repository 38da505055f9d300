#include "tft/attention_backward.h"

#include <math.h>
#include <string.h>

void tft_attention_tape_carve(struct tft_carver *carver, const struct tft_net *net, size_t keys,
                              size_t queries, struct tft_attention_tape *tape)
{
    const size_t heads = net->attention.heads, size = net->attention.size, wide = heads * size;
    tape->q = tft_carve(carver, queries * wide);
    tape->k = tft_carve(carver, keys * wide);
    tape->v = tft_carve(carver, keys * size);
    tape->k_turned = tft_carve(carver, keys * wide);
    tape->v_turned = tft_carve(carver, keys * size);
    tape->weights = tft_carve(carver, queries * heads * keys);
    tape->mean = tft_carve(carver, keys);
    tape->heads = tft_carve(carver, queries * wide);
    tape->seen = tft_carve(carver, queries * size);
    tape->dweights = tft_carve(carver, queries * heads * keys);
    tape->dseen = tft_carve(carver, queries * size);
    tape->dheads = tft_carve(carver, queries * wide);
    tape->dq = tft_carve(carver, queries * wide);
    tape->dq_head = tft_carve(carver, queries * size);
    tape->k_head = tft_carve(carver, keys * size);
    tape->dkv_turned = tft_carve(carver, keys * wide);
    tape->dkv = tft_carve(carver, keys * wide);
    tape->dx = tft_carve(carver, keys * net->hidden);
    tape->dropout = (struct tft_dropout){0};
}

static void turn(size_t rows, size_t columns, const float *x, float *y)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++)
            y[c * rows + r] = x[r * columns + c];
    }
}

/* The average over the heads of one query. */
static void average(size_t heads, size_t size, const float *each, float *mean)
{
    const float share = 1.0f / (float)heads;
    for (size_t j = 0; j < size; j++) {
        float sum = 0.0f;
        for (size_t a = 0; a < heads; a++)
            sum += each[a * size + j];
        mean[j] = sum * share;
    }
}

void tft_attention_tape_forward(const struct tft_grad_run *g, size_t history, size_t horizon,
                                const float *x, struct tft_attention_tape *tape, float *y)
{
    const struct tft_run *run = &g->run;
    const struct tft_attention *a = &run->net->attention;
    const size_t hidden = run->net->hidden, keys = history + horizon, wide = a->heads * a->size;
    const float scale = 1.0f / sqrtf((float)a->size);
    tft_apply(run, &a->q, horizon, x + history * hidden, hidden, tape->q);
    tft_apply(run, &a->k, keys, x, hidden, tape->k);
    tft_apply(run, &a->value, keys, x, hidden, tape->v);
    turn(keys, wide, tape->k, tape->k_turned);
    turn(keys, a->size, tape->v, tape->v_turned);
    memset(tape->weights, 0, horizon * a->heads * keys * sizeof *tape->weights);
    for (size_t i = 0; i < horizon; i++)
        run->k->attend(a->heads, a->size, history + i, tape->q + i * wide, tape->k_turned, keys,
                       scale, tape->weights + i * a->heads * keys, keys, tape->mean);
    run->k->linear(horizon * a->heads, keys, a->size, tape->weights, keys, tape->v, NULL,
                   tape->heads);
    tft_dropout_apply(&tape->dropout, horizon * wide, tape->heads);
    for (size_t i = 0; i < horizon; i++)
        average(a->heads, a->size, tape->heads + i * wide, tape->seen + i * a->size);
    tft_apply(run, &a->output, horizon, tape->seen, a->size, y);
}

/* From the average's gradient to that of every head's result. */
static void spread(const struct tft_attention *a, size_t horizon, struct tft_attention_tape *tape)
{
    const float share = 1.0f / (float)a->heads;
    for (size_t i = 0; i < horizon; i++) {
        for (size_t head = 0; head < a->heads; head++) {
            for (size_t j = 0; j < a->size; j++)
                tape->dheads[(i * a->heads + head) * a->size + j] =
                    tape->dseen[i * a->size + j] * share;
        }
    }
    tft_dropout_apply(&tape->dropout, horizon * a->heads * a->size, tape->dheads);
}

/* The queries' gradient of one head: dS K. */
static void query_backward(const struct tft_grad_run *g, size_t head, size_t keys, size_t horizon,
                           struct tft_attention_tape *tape)
{
    const struct tft_attention *a = &g->run.net->attention;
    const size_t wide = a->heads * a->size;
    for (size_t t = 0; t < keys; t++)
        memcpy(tape->k_head + t * a->size, tape->k + t * wide + head * a->size,
               a->size * sizeof(float));
    g->run.k->linear(horizon, keys, a->size, tape->dweights + head * keys, a->heads * keys,
                     tape->k_head, NULL, tape->dq_head);
    for (size_t i = 0; i < horizon; i++)
        memcpy(tape->dq + i * wide + head * a->size, tape->dq_head + i * a->size,
               a->size * sizeof(float));
}

void tft_attention_tape_backward(const struct tft_grad_run *g, size_t history, size_t horizon,
                                 const float *x, struct tft_attention_tape *tape, const float *dy,
                                 float *dx)
{
    const struct tft_attention *a = &g->run.net->attention;
    const size_t hidden = g->run.net->hidden, keys = history + horizon, wide = a->heads * a->size;
    const size_t rows = horizon * a->heads;
    tft_linear_backward(g, &a->output, horizon, tape->seen, a->size, dy, tape->dseen);
    spread(a, horizon, tape);
    /* Values: every head reads the same ones. */
    memset(tape->dkv_turned, 0, a->size * keys * sizeof(float));
    g->b->outer_add(rows, a->size, keys, tape->dheads, a->size, tape->weights, keys,
                    tape->dkv_turned);
    turn(a->size, keys, tape->dkv_turned, tape->dkv);
    tft_linear_backward(g, &a->value, keys, x, hidden, tape->dkv, tape->dx);
    g->b->add(keys * hidden, tape->dx, dx);
    /* Scores; where a step does not see, its weight is 0, and so is this gradient. */
    g->run.k->linear(rows, a->size, keys, tape->dheads, a->size, tape->v_turned, NULL,
                     tape->dweights);
    g->b->softmax(rows, keys, tape->weights, 1.0f / sqrtf((float)a->size), tape->dweights);
    memset(tape->dkv_turned, 0, wide * keys * sizeof(float));
    for (size_t head = 0; head < a->heads; head++) {
        query_backward(g, head, keys, horizon, tape);
        g->b->outer_add(horizon, a->size, keys, tape->q + head * a->size, wide,
                        tape->dweights + head * keys, a->heads * keys,
                        tape->dkv_turned + head * a->size * keys);
    }
    turn(wide, keys, tape->dkv_turned, tape->dkv);
    tft_linear_backward(g, &a->k, keys, x, hidden, tape->dkv, tape->dx);
    g->b->add(keys * hidden, tape->dx, dx);
    tft_linear_backward(g, &a->q, horizon, x + history * hidden, hidden, tape->dq, tape->dx);
    g->b->add(horizon * hidden, tape->dx, dx + history * hidden);
}
