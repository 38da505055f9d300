#include "tft/kernels/internal.h"

#include "tft/kernels/vecmath.h"

#include <string.h>

/* gates += h W, four rows of W at a time. */
static void add_recurrent(size_t n, const float *restrict h, const float *restrict w,
                          float *restrict gates)
{
    const size_t wide = 4 * n;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const float *restrict w0 = w + i * wide, *restrict w1 = w0 + wide, *restrict w2 = w1 + wide,
                              *restrict w3 = w2 + wide;
        const float h0 = h[i], h1 = h[i + 1], h2 = h[i + 2], h3 = h[i + 3];
        for (size_t o = 0; o < wide; o++)
            gates[o] = (((gates[o] + h0 * w0[o]) + h1 * w1[o]) + h2 * w2[o]) + h3 * w3[o];
    }
    for (; i < n; i++) {
        for (size_t o = 0; o < wide; o++)
            gates[o] += h[i] * w[i * wide + o];
    }
}

/* Turns the sums into gates and moves the state one step. */
static void cell(size_t n, float *restrict gates, float *restrict h, float *restrict c)
{
    float *restrict in = gates, *restrict forget = gates + n, *restrict fresh = gates + 2 * n,
                    *restrict out = gates + 3 * n;
    for (size_t j = 0; j < n; j++) {
        in[j] = tft_sigmoid(in[j]);
        forget[j] = tft_sigmoid(forget[j]);
        fresh[j] = tft_tanh(fresh[j]);
        out[j] = tft_sigmoid(out[j]);
        c[j] = forget[j] * c[j] + in[j] * fresh[j];
        h[j] = out[j] * tft_tanh(c[j]);
    }
}

void tft_lstm_plain(size_t steps, size_t n, float *gates, const float *w, float *h, float *c,
                    float *y, float *cells)
{
    for (size_t t = 0; t < steps; t++) {
        add_recurrent(n, h, w, gates + t * 4 * n);
        cell(n, gates + t * 4 * n, h, c);
        memcpy(y + t * n, h, n * sizeof *h);
        memcpy(cells + t * n, c, n * sizeof *c);
    }
}
