#include "tft/kernels/internal.h"

#include "tft/kernels/vecmath.h"

#include <math.h>

enum {
    LANES = 8
}; /* partial sums, so that a sum can be a vector; their number is part of the definition */

void tft_elu_plain(size_t n, float *restrict x)
{
    for (size_t i = 0; i < n; i++) {
        const float low = tft_expm1(x[i]);
        x[i] = x[i] > 0.0f ? x[i] : low;
    }
}

static void glu_row(size_t n, const float *restrict a, const float *restrict g,
                    const float *restrict skip, float *restrict y)
{
    for (size_t j = 0; j < n; j++)
        y[j] = a[j] * tft_sigmoid(g[j]) + skip[j];
}

void tft_glu_add_plain(size_t rows, size_t n, const float *gates, const float *skip,
                       size_t skip_stride, float *y)
{
    for (size_t r = 0; r < rows; r++)
        glu_row(n, gates + 2 * r * n, gates + 2 * r * n + n, skip + r * skip_stride, y + r * n);
}

static float sum_of(const float *lanes)
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

static float row_sum(size_t n, const float *restrict x)
{
    float lanes[LANES] = {0};
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        for (size_t l = 0; l < LANES; l++)
            lanes[l] += x[j + l];
    }
    for (size_t l = 0; j < n; j++, l++)
        lanes[l] += x[j];
    return sum_of(lanes);
}

static float row_squares(size_t n, const float *restrict x, float mean)
{
    float lanes[LANES] = {0};
    size_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        for (size_t l = 0; l < LANES; l++)
            lanes[l] += (x[j + l] - mean) * (x[j + l] - mean);
    }
    for (size_t l = 0; j < n; j++, l++)
        lanes[l] += (x[j] - mean) * (x[j] - mean);
    return sum_of(lanes);
}

void tft_layer_norm_plain(size_t rows, size_t n, const float *x, const float *restrict w,
                          const float *restrict b, float *y)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        const float mean = row_sum(n, x) / (float)n;
        const float variance = row_squares(n, x, mean) / (float)n;
        const float inverse = 1.0f / sqrtf(variance + TFT_LAYER_NORM_EPSILON);
        for (size_t j = 0; j < n; j++)
            y[j] = (x[j] - mean) * inverse * w[j] + b[j];
    }
}

static float row_max(size_t n, const float *restrict x)
{
    float max = x[0];
    for (size_t j = 1; j < n; j++)
        max = x[j] > max ? x[j] : max;
    return max;
}

static void softmax_row(size_t n, float *restrict x)
{
    const float max = row_max(n, x);
    for (size_t j = 0; j < n; j++)
        x[j] = tft_exp(x[j] - max);
    const float inverse = 1.0f / row_sum(n, x);
    for (size_t j = 0; j < n; j++)
        x[j] *= inverse;
}

void tft_softmax_plain(size_t rows, size_t n, float *x)
{
    for (size_t r = 0; r < rows; r++)
        softmax_row(n, x + r * n);
}
