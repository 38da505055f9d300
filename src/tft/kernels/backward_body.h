/* Those bodies of the backward kernels that a compiler turns into vector code by itself: included
 * by backward.c and, compiled for AVX2, by backward_avx2.c. Sums go over eight lanes, which are
 * part of the definition, so both give the same bits. */
#ifndef FW_TFT_KERNELS_BACKWARD_BODY_H
#define FW_TFT_KERNELS_BACKWARD_BODY_H

#include "tft/kernels/internal.h"
#include "tft/kernels/vecmath.h"

#include <math.h>
#include <string.h>

enum { BODY_LANES = 8 };

static inline float body_sum(const float *lanes)
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

static void body_sum_rows(size_t rows, size_t n, const float *restrict x, float *restrict out)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < n; j++)
            out[j] += x[r * n + j];
    }
}

static void body_add(size_t n, const float *restrict x, float *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static inline void body_elu(size_t n, const float *restrict y, float *restrict dy)
{
    for (size_t i = 0; i < n; i++)
        dy[i] *= y[i] > 0.0f ? 1.0f : y[i] + 1.0f;
}

static void body_glu_row(size_t n, float *restrict a, float *restrict g, const float *restrict dy)
{
    for (size_t j = 0; j < n; j++) {
        const float s = tft_sigmoid(g[j]);
        g[j] = dy[j] * a[j] * s * (1.0f - s);
        a[j] = dy[j] * s;
    }
}

static inline void body_glu(size_t rows, size_t n, float *gates, const float *dy)
{
    for (size_t r = 0; r < rows; r++)
        body_glu_row(n, gates + 2 * r * n, gates + 2 * r * n + n, dy + r * n);
}

static inline float body_row_sum(size_t n, const float *restrict x)
{
    float lanes[BODY_LANES] = {0};
    size_t j = 0;
    for (; j + BODY_LANES <= n; j += BODY_LANES) {
        for (size_t l = 0; l < BODY_LANES; l++)
            lanes[l] += x[j + l];
    }
    for (size_t l = 0; j < n; j++, l++)
        lanes[l] += x[j];
    return body_sum(lanes);
}

/* The sum of (x - mean) * y. */
static inline float body_row_product(size_t n, const float *restrict x, float mean,
                                     const float *restrict y)
{
    float lanes[BODY_LANES] = {0};
    size_t j = 0;
    for (; j + BODY_LANES <= n; j += BODY_LANES) {
        for (size_t l = 0; l < BODY_LANES; l++)
            lanes[l] += (x[j + l] - mean) * y[j + l];
    }
    for (size_t l = 0; j < n; j++, l++)
        lanes[l] += (x[j] - mean) * y[j];
    return body_sum(lanes);
}

static inline float body_row_squares(size_t n, const float *restrict x, float mean)
{
    float lanes[BODY_LANES] = {0};
    size_t j = 0;
    for (; j + BODY_LANES <= n; j += BODY_LANES) {
        for (size_t l = 0; l < BODY_LANES; l++)
            lanes[l] += (x[j + l] - mean) * (x[j + l] - mean);
    }
    for (size_t l = 0; j < n; j++, l++)
        lanes[l] += (x[j] - mean) * (x[j] - mean);
    return body_sum(lanes);
}

static void body_norm_row(size_t n, const float *restrict x, const float *restrict w,
                          float *restrict dy, float *restrict dw, float *restrict db)
{
    const float share = 1.0f / (float)n;
    const float mean = body_row_sum(n, x) / (float)n;
    const float variance = body_row_squares(n, x, mean) / (float)n;
    const float inverse = 1.0f / sqrtf(variance + TFT_LAYER_NORM_EPSILON);
    for (size_t j = 0; j < n; j++) {
        dw[j] += dy[j] * ((x[j] - mean) * inverse);
        db[j] += dy[j];
        dy[j] *= w[j];
    }
    const float along = body_row_sum(n, dy) * share;
    const float turn = body_row_product(n, x, mean, dy) * inverse * inverse * share;
    for (size_t j = 0; j < n; j++)
        dy[j] = inverse * (dy[j] - along - (x[j] - mean) * turn);
}

static void body_layer_norm(size_t rows, size_t n, const float *x, const float *w, float *dy,
                            float *dw, float *db)
{
    for (size_t r = 0; r < rows; r++)
        body_norm_row(n, x + r * n, w, dy + r * n, dw, db);
}

static void body_softmax_row(size_t n, const float *restrict p, float scale, float *restrict dp)
{
    const float along = body_row_product(n, dp, 0.0f, p);
    for (size_t j = 0; j < n; j++)
        dp[j] = p[j] * (dp[j] - along) * scale;
}

static void body_softmax(size_t rows, size_t n, const float *p, float scale, float *dp)
{
    for (size_t r = 0; r < rows; r++)
        body_softmax_row(n, p + r * n, scale, dp + r * n);
}

static void body_lstm_cell(size_t n, float *restrict gates, const float *restrict cell,
                           const float *restrict before, const float *restrict dy,
                           const float *restrict dh, float *restrict dc)
{
    float *restrict in = gates, *restrict forget = gates + n, *restrict fresh = gates + 2 * n,
                    *restrict out = gates + 3 * n;
    for (size_t j = 0; j < n; j++) {
        const float up = dy[j] + dh[j], t = tft_tanh(cell[j]);
        const float i = in[j], f = forget[j], g = fresh[j], o = out[j];
        const float d = dc[j] + up * o * (1.0f - t * t);
        out[j] = up * t * o * (1.0f - o);
        in[j] = d * g * i * (1.0f - i);
        fresh[j] = d * i * (1.0f - g * g);
        forget[j] = d * before[j] * f * (1.0f - f);
        dc[j] = d * f;
    }
}

/* The murmur3 finaliser over place and key. */
static void body_drop(size_t n, uint32_t key, uint32_t threshold, float scale, float *restrict x)
{
    for (uint32_t i = 0; i < (uint32_t)n; i++) {
        uint32_t h = (i * 0x9e3779b9u) ^ key;
        h ^= h >> 16;
        h *= 0x85ebca6bu;
        h ^= h >> 13;
        h *= 0xc2b2ae35u;
        h ^= h >> 16;
        /* Compared as signed, which is what a vector unit has: half of the range moved down. */
        const float keep =
            (int32_t)(h ^ 0x80000000u) < (int32_t)(threshold ^ 0x80000000u) ? 0.0f : scale;
        x[i] *= keep;
    }
}

#endif
