#include "tft/kernels/internal.h"

#include "tft/kernels/vecmath_avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <math.h>

/* Scores of eight keys for one head. */
static inline __m256 scores8(size_t size, const float *q, const float *k, size_t k_stride,
                             __m256 scale, size_t left)
{
    __m256 sum = _mm256_setzero_ps();
    for (size_t i = 0; i < size; i++)
        sum = _mm256_fmadd_ps(_mm256_broadcast_ss(q + i), tft_load(k + i * k_stride, left), sum);
    return _mm256_mul_ps(sum, scale);
}

static inline float head_scores(size_t size, size_t n, const float *q, const float *k,
                                size_t k_stride, float scale, float *out)
{
    const __m256 lowest = _mm256_set1_ps(-INFINITY), factor = _mm256_set1_ps(scale);
    __m256 max = lowest;
    for (size_t t = 0; t < n; t += TFT_LANES) {
        const size_t left = n - t;
        const __m256 s = scores8(size, q, k + t, k_stride, factor, left);
        max = _mm256_max_ps(max, tft_within(s, left, lowest));
        tft_store(out + t, left, s);
    }
    return tft_max8(max);
}

/* weights = exp(scores - max); returns their sum. */
static inline float head_exp(size_t n, float max, float *weights)
{
    const __m256 top = _mm256_set1_ps(max);
    __m256 sum = _mm256_setzero_ps();
    for (size_t t = 0; t < n; t += TFT_LANES) {
        const size_t left = n - t;
        const __m256 e = tft_exp8(_mm256_sub_ps(tft_load(weights + t, left), top));
        tft_store(weights + t, left, e);
        sum = _mm256_add_ps(sum, tft_within(e, left, _mm256_setzero_ps()));
    }
    return tft_sum8(sum);
}

void tft_attend_avx2(size_t heads, size_t size, size_t n_keys, const float *q, const float *k,
                     size_t k_stride, float scale, float *weights, size_t weights_stride,
                     float *mean)
{
    const __m256 share = _mm256_set1_ps(1.0f / (float)heads);
    for (size_t a = 0; a < heads; a++) {
        float *head = weights + a * weights_stride;
        const float max =
            head_scores(size, n_keys, q + a * size, k + a * size * k_stride, k_stride, scale, head);
        const __m256 inverse = _mm256_set1_ps(1.0f / head_exp(n_keys, max, head));
        for (size_t t = 0; t < n_keys; t += TFT_LANES) {
            const size_t left = n_keys - t;
            const __m256 p = _mm256_mul_ps(tft_load(head + t, left), inverse);
            const __m256 before = a == 0 ? _mm256_setzero_ps() : tft_load(mean + t, left);
            tft_store(head + t, left, p);
            tft_store(mean + t, left, _mm256_fmadd_ps(share, p, before));
        }
    }
}

#else
typedef int tft_attention_avx2_not_built;
#endif
