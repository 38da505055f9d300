/* Eight lanes of vecmath.h with fused multiply-adds, and loads and stores of part of a vector. For
 * *_avx2.c only. */
#ifndef FW_TFT_KERNELS_VECMATH_AVX2_H
#define FW_TFT_KERNELS_VECMATH_AVX2_H

#if defined(__AVX2__) && defined(__FMA__)

#include "tft/kernels/vecmath.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum { TFT_LANES = 8 };

/* Before a loop of constant length over sums that must stay in registers: at -O2 GCC would keep
 * them in memory. */
#if defined(__clang__)
#define TFT_UNROLL _Pragma("unroll")
#else
#define TFT_UNROLL _Pragma("GCC unroll 8")
#endif

/* The lower n lanes (all of them for n >= 8). */
static inline __m256i tft_lanes(size_t n)
{
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < TFT_LANES ? (int)n : TFT_LANES), index);
}

/* A row's next eight floats, or as many as are `left` (the other lanes are zero, and stay
 * unwritten). The branch is there because a masked store costs a dozen times a whole one on some
 * processors. */
static inline __m256 tft_load(const float *x, size_t left)
{
    return left >= TFT_LANES ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, tft_lanes(left));
}

static inline void tft_store(float *x, size_t left, __m256 v)
{
    if (left >= TFT_LANES)
        _mm256_storeu_ps(x, v);
    else
        _mm256_maskstore_ps(x, tft_lanes(left), v);
}

/* v where the row goes on, `other` beyond its end. */
static inline __m256 tft_within(__m256 v, size_t left, __m256 other)
{
    return left >= TFT_LANES ? v : _mm256_blendv_ps(other, v, _mm256_castsi256_ps(tft_lanes(left)));
}

static inline __m256 tft_exp_split8(__m256 x, __m256 *scale)
{
    /* The operand order keeps NaN: max and min give their second operand when one is NaN. */
    x = _mm256_max_ps(_mm256_set1_ps(TFT_EXP_LOW), x);
    x = _mm256_min_ps(_mm256_set1_ps(TFT_EXP_HIGH), x);
    const __m256 shifted =
        _mm256_fmadd_ps(x, _mm256_set1_ps(TFT_LOG2_E), _mm256_set1_ps(TFT_ROUNDER));
    const __m256 n = _mm256_sub_ps(shifted, _mm256_set1_ps(TFT_ROUNDER));
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(TFT_LN2_HIGH), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(TFT_LN2_LOW), r);
    const __m256i bits = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    *scale = _mm256_castsi256_ps(_mm256_add_epi32(bits, _mm256_set1_epi32(0x3f800000)));
    __m256 p = _mm256_set1_ps(1.0f / 5040.0f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    return _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r);
}

static inline __m256 tft_exp8(__m256 x)
{
    __m256 scale;
    const __m256 e = tft_exp_split8(x, &scale);
    return _mm256_fmadd_ps(scale, e, scale);
}

static inline __m256 tft_expm1_8(__m256 x)
{
    __m256 scale;
    const __m256 e = tft_exp_split8(x, &scale);
    return _mm256_fmadd_ps(scale, e, _mm256_sub_ps(scale, _mm256_set1_ps(1.0f)));
}

static inline __m256 tft_sigmoid8(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    const __m256 e = tft_exp8(_mm256_sub_ps(_mm256_setzero_ps(), x));
    return _mm256_div_ps(one, _mm256_add_ps(one, e));
}

static inline __m256 tft_tanh8(__m256 x)
{
    const __m256 e = tft_expm1_8(_mm256_add_ps(x, x));
    return _mm256_div_ps(e, _mm256_add_ps(e, _mm256_set1_ps(2.0f)));
}

static inline float tft_sum8(__m256 x)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

static inline float tft_max8(__m256 x)
{
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#endif

#endif
