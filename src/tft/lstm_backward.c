#include "tft/lstm_backward.h"

#include <string.h>

void tft_lstm_tape_carve(struct tft_carver *carver, const struct tft_net *net, size_t steps,
                         struct tft_lstm_tape *tape)
{
    const size_t n = net->hidden;
    tape->bias = tft_carve(carver, 4 * n);
    for (size_t l = 0; l < net->layers; l++) {
        tape->gates[l] = tft_carve(carver, steps * 4 * n);
        tape->cells[l] = tft_carve(carver, steps * n);
        tape->out[l] = tft_carve(carver, steps * n);
    }
    tape->h = tft_carve(carver, n);
    tape->c = tft_carve(carver, n);
    tape->dh = tft_carve(carver, net->layers * n);
    tape->dc = tft_carve(carver, net->layers * n);
    for (size_t i = 0; i < COUNT(tape->between); i++)
        tape->between[i] = net->layers > 1 ? tft_carve(carver, steps * n) : NULL;
}

static void side_forward(const struct tft_run *run, const struct tft_lstm_layer *layer, size_t at,
                         size_t steps, const float *x, size_t l, struct tft_lstm_tape *tape)
{
    const size_t n = run->net->hidden;
    float *gates = tape->gates[l] + at * 4 * n;
    for (size_t j = 0; j < 4 * n; j++)
        tape->bias[j] = run->w[layer->input.bias + j] + run->w[layer->recurrent.bias + j];
    run->k->linear(steps, n, 4 * n, x + at * n, n, run->w + layer->input.weight, tape->bias, gates);
    run->k->lstm(steps, n, gates, run->w + layer->recurrent.weight, tape->h, tape->c,
                 tape->out[l] + at * n, tape->cells[l] + at * n);
}

void tft_lstm_tape_forward(const struct tft_run *run, size_t history, size_t horizon,
                           const float *x, const float *h, const float *c,
                           struct tft_lstm_tape *tape)
{
    const struct tft_net *net = run->net;
    for (size_t l = 0; l < net->layers; l++) {
        memcpy(tape->h, h, net->hidden * sizeof *h);
        memcpy(tape->c, c, net->hidden * sizeof *c);
        side_forward(run, &net->lstm[TFT_ENCODER][l], 0, history, x, l, tape);
        side_forward(run, &net->lstm[TFT_DECODER][l], history, horizon, x, l, tape);
        x = tape->out[l];
    }
}

/* One layer of one side: h_first, c_first (hidden) are the state before its first step; dh, dc come
 * in as the gradient of its last state and leave as that of h_first, c_first. */
static void side_backward(const struct tft_grad_run *g, const struct tft_lstm_layer *layer,
                          size_t at, size_t steps, const float *x, size_t l,
                          struct tft_lstm_tape *tape, const float *h_first, const float *c_first,
                          const float *dy, float *dx, float *dh, float *dc)
{
    const size_t n = g->run.net->hidden, wide = 4 * n;
    float *d = tape->gates[l] + at * wide;
    float *weight = g->grads + layer->recurrent.weight;
    g->b->lstm(steps, n, d, tape->cells[l] + at * n, c_first, g->params + layer->recurrent.weight,
               dy + at * n, dh, dc);
    g->b->outer_add(1, wide, n, d, wide, h_first, n, weight);
    g->b->outer_add(steps - 1, wide, n, d + wide, wide, tape->out[l] + at * n, n, weight);
    g->b->sum_rows(steps, wide, d, g->grads + layer->recurrent.bias);
    tft_linear_backward(g, &layer->input, steps, x + at * n, n, d, dx + at * n);
}

void tft_lstm_tape_backward(const struct tft_grad_run *g, size_t history, size_t horizon,
                            const float *x, const float *h, const float *c,
                            struct tft_lstm_tape *tape, const float *dy, float *dx, float *dh,
                            float *dc)
{
    const struct tft_net *net = g->run.net;
    const size_t n = net->hidden;
    memset(tape->dh, 0, net->layers * n * sizeof *tape->dh);
    memset(tape->dc, 0, net->layers * n * sizeof *tape->dc);
    for (size_t l = net->layers; l-- > 0;) {
        const float *in = l == 0 ? x : tape->out[l - 1];
        const float *h_last = tape->out[l] + (history - 1) * n;
        const float *c_last = tape->cells[l] + (history - 1) * n;
        float *to = l == 0 ? dx : tape->between[l % 2];
        side_backward(g, &net->lstm[TFT_DECODER][l], history, horizon, in, l, tape, h_last, c_last,
                      dy, to, tape->dh + l * n, tape->dc + l * n);
        side_backward(g, &net->lstm[TFT_ENCODER][l], 0, history, in, l, tape, h, c, dy, to,
                      tape->dh + l * n, tape->dc + l * n);
        g->b->add(n, tape->dh + l * n, dh);
        g->b->add(n, tape->dc + l * n, dc);
        dy = to;
    }
}
