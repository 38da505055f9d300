#include "tft/kernels/internal.h"

#include <string.h>

/* Four inputs at a time, so that an output is loaded and stored once for four products. The order
 * of the additions is that of the inputs. */
static void add_four(size_t n, const float *restrict x, const float *restrict w, float *restrict y)
{
    const float x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
    const float *restrict w0 = w, *restrict w1 = w + n, *restrict w2 = w + 2 * n,
                          *restrict w3 = w + 3 * n;
    for (size_t o = 0; o < n; o++)
        y[o] = (((y[o] + x0 * w0[o]) + x1 * w1[o]) + x2 * w2[o]) + x3 * w3[o];
}

static void add_one(size_t n, float x, const float *restrict w, float *restrict y)
{
    for (size_t o = 0; o < n; o++)
        y[o] += x * w[o];
}

void tft_linear_plain(size_t rows, size_t n_in, size_t n_out, const float *x, size_t x_stride,
                      const float *w, const float *b, float *y)
{
    for (size_t r = 0; r < rows; r++, x += x_stride, y += n_out) {
        size_t i = 0;
        if (b != NULL)
            memcpy(y, b, n_out * sizeof *y);
        else
            memset(y, 0, n_out * sizeof *y);
        for (; i + 4 <= n_in; i += 4)
            add_four(n_out, x + i, w + i * n_out, y);
        for (; i < n_in; i++)
            add_one(n_out, x[i], w + i * n_out, y);
    }
}

void tft_stretch_plain(size_t rows, size_t n, const float *x, size_t x_stride, const uint32_t *at,
                       const uint32_t *next, const float *frac, const float *factor, float *y)
{
    for (size_t r = 0; r < rows; r++, x += x_stride, y += n) {
        for (size_t j = 0; j < n; j++)
            y[j] = ((1.0f - frac[j]) * x[at[j]] + frac[j] * x[next[j]]) * factor[j];
    }
}

void tft_add_weighted_plain(size_t rows, size_t n, const float *restrict x,
                            const float *restrict weight, size_t weight_stride, float *restrict y)
{
    for (size_t r = 0; r < rows; r++) {
        const float w = weight[r * weight_stride];
        for (size_t j = 0; j < n; j++)
            y[r * n + j] += w * x[r * n + j];
    }
}
