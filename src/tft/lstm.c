#include "tft/lstm.h"

void tft_lstm_carve(struct tft_carver *carver, const struct tft_net *net, size_t steps,
                    struct tft_lstm_acts *acts)
{
    acts->bias = tft_carve(carver, 4 * net->hidden);
    acts->gates = tft_carve(carver, steps * 4 * net->hidden);
    acts->cells = tft_carve(carver, steps * net->hidden);
    for (size_t i = 0; i < COUNT(acts->between); i++)
        acts->between[i] = net->layers > i + 1 ? tft_carve(carver, steps * net->hidden) : NULL;
    acts->h = tft_carve(carver, net->layers * net->hidden);
    acts->c = tft_carve(carver, net->layers * net->hidden);
}

static void run_layer(const struct tft_run *run, const struct tft_lstm_layer *layer, size_t steps,
                      const float *x, struct tft_lstm_acts *acts, float *h, float *c, float *y)
{
    const size_t n = run->net->hidden;
    for (size_t j = 0; j < 4 * n; j++)
        acts->bias[j] = run->w[layer->input.bias + j] + run->w[layer->recurrent.bias + j];
    run->k->linear(steps, n, 4 * n, x, n, run->w + layer->input.weight, acts->bias, acts->gates);
    run->k->lstm(steps, n, acts->gates, run->w + layer->recurrent.weight, h, c, y, acts->cells);
}

void tft_lstm_forward(const struct tft_run *run, enum tft_side side, size_t steps, const float *x,
                      struct tft_lstm_acts *acts, float *y)
{
    const size_t n = run->net->hidden, layers = run->net->layers;
    for (size_t l = 0; l < layers; l++) {
        float *to = l + 1 == layers ? y : acts->between[l % 2];
        run_layer(run, &run->net->lstm[side][l], steps, x, acts, acts->h + l * n, acts->c + l * n,
                  to);
        x = to;
    }
}
