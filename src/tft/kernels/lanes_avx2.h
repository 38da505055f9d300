/* lanes.h with AVX2 and FMA; it alone includes this. max and min give their second operand where
 * one is NaN: the order of operands below keeps it. */
#ifndef FW_TFT_KERNELS_LANES_AVX2_H
#define FW_TFT_KERNELS_LANES_AVX2_H

#include <immintrin.h>

LANES_INLINE fv fv_fma(fv a, fv b, fv c)
{
    return _mm256_fmadd_ps(a, b, c);
}

LANES_INLINE fv fv_least(fv x, float low)
{
    return _mm256_max_ps(fv_all(low), x);
}

LANES_INLINE fv fv_most(fv x, float high)
{
    return _mm256_min_ps(fv_all(high), x);
}

LANES_INLINE iv iv_gather(const int32_t *table, iv i)
{
    return (iv)_mm256_i32gather_epi32(table, (__m256i)i, 4);
}

LANES_INLINE fv fv_smaller(fv a, fv b)
{
    return _mm256_min_ps(a, b);
}

LANES_INLINE fv fv_larger(fv a, fv b)
{
    return _mm256_max_ps(a, b);
}

LANES_INLINE fv fv_sqrt(fv x)
{
    return _mm256_sqrt_ps(x);
}

LANES_INLINE float fv_sum(fv x)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

LANES_INLINE float fv_max(fv x)
{
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#include "tft/kernels/lanes_split.h"

/* The branch is there because a masked store costs a dozen times a whole one on some processors. */
LANES_INLINE fv fv_load_first(const float *x, size_t left)
{
    return left >= LANES ? fv_load(x) : (fv)_mm256_maskload_ps(x, (__m256i)fm_first(left));
}

LANES_INLINE void fv_store_first(float *x, size_t left, fv v)
{
    if (left >= LANES)
        fv_store(x, v);
    else
        _mm256_maskstore_ps(x, (__m256i)fm_first(left), v);
}

#endif
