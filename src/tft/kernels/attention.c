#include "tft/kernels/internal.h"

/* scores = (sum over components of q k) * scale, for one head. */
static void scores(size_t size, size_t n, const float *restrict q, const float *restrict k,
                   size_t k_stride, float scale, float *restrict out)
{
    for (size_t t = 0; t < n; t++)
        out[t] = q[0] * k[t];
    for (size_t i = 1; i < size; i++) {
        const float qi = q[i];
        const float *restrict ki = k + i * k_stride;
        for (size_t t = 0; t < n; t++)
            out[t] += qi * ki[t];
    }
    for (size_t t = 0; t < n; t++)
        out[t] *= scale;
}

void tft_attend_plain(size_t heads, size_t size, size_t n_keys, const float *q, const float *k,
                      size_t k_stride, float scale, float *weights, size_t weights_stride,
                      float *restrict mean)
{
    const float share = 1.0f / (float)heads;
    for (size_t t = 0; t < n_keys; t++)
        mean[t] = 0.0f;
    for (size_t a = 0; a < heads; a++) {
        float *restrict head = weights + a * weights_stride;
        scores(size, n_keys, q + a * size, k + a * size * k_stride, k_stride, scale, head);
        tft_softmax_plain(1, n_keys, head);
        for (size_t t = 0; t < n_keys; t++)
            mean[t] += share * head[t];
    }
}
