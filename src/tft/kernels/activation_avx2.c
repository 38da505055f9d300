#include "tft/kernels/internal.h"

#include "tft/kernels/vecmath_avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <math.h>

/* The last lanes of a row go through the same vector code as the others, so an element's bits do
 * not depend on where in an array it lies. */

void tft_elu_avx2(size_t n, float *x)
{
    const __m256 zero = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += TFT_LANES) {
        const size_t left = n - i;
        const __m256 v = tft_load(x + i, left);
        const __m256 high = _mm256_cmp_ps(v, zero, _CMP_GT_OQ);
        tft_store(x + i, left, _mm256_blendv_ps(tft_expm1_8(v), v, high));
    }
}

static inline __m256 glu8(__m256 a, __m256 g, __m256 skip)
{
    return _mm256_fmadd_ps(a, tft_sigmoid8(g), skip);
}

static inline void glu_row(size_t n, const float *a, const float *g, const float *skip, float *y)
{
    size_t j = 0;
    for (; j + TFT_LANES <= n; j += TFT_LANES)
        _mm256_storeu_ps(
            y + j, glu8(_mm256_loadu_ps(a + j), _mm256_loadu_ps(g + j), _mm256_loadu_ps(skip + j)));
    if (j < n) {
        const size_t left = n - j;
        tft_store(y + j, left,
                  glu8(tft_load(a + j, left), tft_load(g + j, left), tft_load(skip + j, left)));
    }
}

void tft_glu_add_avx2(size_t rows, size_t n, const float *gates, const float *skip,
                      size_t skip_stride, float *y)
{
    for (size_t r = 0; r < rows; r++)
        glu_row(n, gates + 2 * r * n, gates + 2 * r * n + n, skip + r * skip_stride, y + r * n);
}

static inline float row_mean(size_t n, const float *x)
{
    __m256 sum = _mm256_setzero_ps();
    for (size_t j = 0; j < n; j += TFT_LANES)
        sum = _mm256_add_ps(sum, tft_load(x + j, n - j));
    return tft_sum8(sum) / (float)n;
}

static inline float row_variance(size_t n, const float *x, __m256 mean)
{
    __m256 sum = _mm256_setzero_ps();
    for (size_t j = 0; j < n; j += TFT_LANES) {
        const size_t left = n - j;
        const __m256 gap = _mm256_sub_ps(tft_load(x + j, left), mean);
        const __m256 inside = tft_within(gap, left, _mm256_setzero_ps());
        sum = _mm256_fmadd_ps(inside, inside, sum);
    }
    return tft_sum8(sum) / (float)n;
}

void tft_layer_norm_avx2(size_t rows, size_t n, const float *x, const float *w, const float *b,
                         float *y)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        const __m256 mean = _mm256_set1_ps(row_mean(n, x));
        const __m256 inverse =
            _mm256_set1_ps(1.0f / sqrtf(row_variance(n, x, mean) + TFT_LAYER_NORM_EPSILON));
        for (size_t j = 0; j < n; j += TFT_LANES) {
            const size_t left = n - j;
            const __m256 gap = _mm256_sub_ps(tft_load(x + j, left), mean);
            const __m256 unit = _mm256_mul_ps(gap, inverse);
            tft_store(y + j, left,
                      _mm256_fmadd_ps(unit, tft_load(w + j, left), tft_load(b + j, left)));
        }
    }
}

static inline void softmax_row(size_t n, float *x)
{
    const __m256 lowest = _mm256_set1_ps(-INFINITY);
    __m256 max = lowest, sum = _mm256_setzero_ps();
    for (size_t j = 0; j < n; j += TFT_LANES)
        max = _mm256_max_ps(max, tft_within(tft_load(x + j, n - j), n - j, lowest));
    max = _mm256_set1_ps(tft_max8(max));
    for (size_t j = 0; j < n; j += TFT_LANES) {
        const size_t left = n - j;
        const __m256 e = tft_exp8(_mm256_sub_ps(tft_load(x + j, left), max));
        tft_store(x + j, left, e);
        sum = _mm256_add_ps(sum, tft_within(e, left, _mm256_setzero_ps()));
    }
    const __m256 inverse = _mm256_set1_ps(1.0f / tft_sum8(sum));
    for (size_t j = 0; j < n; j += TFT_LANES) {
        const size_t left = n - j;
        tft_store(x + j, left, _mm256_mul_ps(tft_load(x + j, left), inverse));
    }
}

void tft_softmax_avx2(size_t rows, size_t n, float *x)
{
    for (size_t r = 0; r < rows; r++)
        softmax_row(n, x + r * n);
}

#else
typedef int tft_activation_avx2_not_built;
#endif
