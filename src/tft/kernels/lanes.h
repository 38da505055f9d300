/* A register of floats (fv), in one notation for every instruction set: a file of kernels written
 * with these operations is compiled once as plain C and once for AVX2 and FMA (tiles_body.inc).
 *
 * exp2 splits x = n + r, |r| <= 1/2, and takes 2^r from a polynomial. Relative error, the rounding
 * of single precision included, as measured by tests/unit/tft/test_compile_kernels.c: 3e-7 with
 * the polynomial of degree 5, 6e-6 with that of degree 4 (the attention's weights need no more:
 * each is an average's share). */
#ifndef FW_TFT_KERNELS_LANES_H
#define FW_TFT_KERNELS_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__) && defined(__FMA__)
#define TFT_LANES_AVX2 1
#include <immintrin.h>
#else
#define TFT_LANES_AVX2 0
#include <math.h>
#endif

#define LANES_INLINE static inline __attribute__((always_inline))

#if TFT_LANES_AVX2
enum { LANES = 8 };
#define LANES_INDEX 0, 1, 2, 3, 4, 5, 6, 7
#define LANES_TIMES(x) x, x, x, x, x, x, x, x
#else
enum { LANES = 4 }; /* what every 64-bit processor holds in one register */
#define LANES_INDEX 0, 1, 2, 3
#define LANES_TIMES(x) x, x, x, x
#endif

typedef float fv __attribute__((vector_size(LANES * 4)));
typedef int32_t iv __attribute__((vector_size(LANES * 4)));
typedef uint32_t uv __attribute__((vector_size(LANES * 4)));

/* Before a loop of constant length over values that must stay in registers. Clang unrolls such
 * loops by itself, and warns where the same loop also exists for a length that it does not know. */
#if defined(__clang__)
#define LANES_UNROLL
#else
#define LANES_UNROLL _Pragma("GCC unroll 12")
#endif

LANES_INLINE fv fv_load(const float *x)
{
    fv v;
    memcpy(&v, x, sizeof v);
    return v;
}

LANES_INLINE void fv_store(float *x, fv v)
{
    memcpy(x, &v, sizeof v);
}

LANES_INLINE fv fv_all(float x)
{
    return (fv){LANES_TIMES(x)};
}

LANES_INLINE fv fv_select(iv mask, fv yes, fv no)
{
    return (fv)((mask & (iv)yes) | (~mask & (iv)no));
}

LANES_INLINE iv iv_first(size_t n) /* all ones in the first n lanes */
{
    const iv index = {LANES_INDEX};
    const int32_t k = n < LANES ? (int32_t)n : LANES;
    return (iv){LANES_TIMES(k)} > index;
}

#if TFT_LANES_AVX2
LANES_INLINE fv fv_fma(fv a, fv b, fv c) /* a b + c */
{
    return _mm256_fmadd_ps(a, b, c);
}

/* x, not below low; NaN stays NaN. */
LANES_INLINE fv fv_least(fv x, float low)
{
    return _mm256_max_ps(fv_all(low), x);
}

LANES_INLINE fv fv_most(fv x, float high)
{
    return _mm256_min_ps(fv_all(high), x);
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
#else
LANES_INLINE fv fv_fma(fv a, fv b, fv c)
{
    return a * b + c;
}

LANES_INLINE fv fv_least(fv x, float low)
{
    return fv_select(x < fv_all(low), fv_all(low), x);
}

LANES_INLINE fv fv_most(fv x, float high)
{
    return fv_select(x > fv_all(high), fv_all(high), x);
}

LANES_INLINE fv fv_larger(fv a, fv b)
{
    return fv_select(a > b, a, b);
}

LANES_INLINE fv fv_sqrt(fv x)
{
    for (size_t i = 0; i < LANES; i++)
        x[i] = sqrtf(x[i]);
    return x;
}

LANES_INLINE float fv_sum(fv x)
{
    return (x[0] + x[2]) + (x[1] + x[3]);
}
#endif

LANES_INLINE float fv_max(fv x)
{
    float max = x[0];
    for (size_t i = 1; i < LANES; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

#define LANES_ROUNDER                                                                              \
    12582912.0f /* 1.5 * 2^23: adding it leaves a whole number in the low bits                     \
                 */
#define LANES_LOG2_E 1.44269504088896341f

/* 2^n (as the bits to add to an exponent) and r of x = n + r. */
LANES_INLINE fv fv_exp2_split(fv x, uv *exponent)
{
    const fv shifted = x + fv_all(LANES_ROUNDER);
    *exponent = (uv)shifted << 23;
    return x - (shifted - fv_all(LANES_ROUNDER));
}

/* 2^x for x in [-126, 127]; NaN gives NaN. */
LANES_INLINE fv fv_exp2(fv x)
{
    uv exponent;
    const fv r = fv_exp2_split(x, &exponent);
    fv p = fv_all(0.00133908634f);
    p = fv_fma(p, r, fv_all(0.00967603192f));
    p = fv_fma(p, r, fv_all(0.0555035711f));
    p = fv_fma(p, r, fv_all(0.240221075f));
    p = fv_fma(p, r, fv_all(0.693147188f));
    p = fv_fma(p, r, fv_all(1.0f));
    /* A product, not a sum of bits: it keeps NaN whatever its payload. */
    return p * (fv)(exponent + (uv)fv_all(1.0f));
}

/* The same in fewer operations, for n registers side by side: relative error 6e-6, and x must be a
 * number. */
LANES_INLINE void fv_exp2_short_all(size_t n, fv *x)
{
    static const float coefficients[] = {0.0559219758f, 0.24022349f, 0.693121045f, 1.0f};
    fv p[4];
    uv exponent[4];
    LANES_UNROLL
    for (size_t i = 0; i < n; i++) {
        x[i] = fv_exp2_split(x[i], &exponent[i]);
        p[i] = fv_all(0.00966636852f);
    }
    LANES_UNROLL
    for (size_t k = 0; k < sizeof coefficients / sizeof *coefficients; k++) {
        LANES_UNROLL
        for (size_t i = 0; i < n; i++)
            p[i] = fv_fma(p[i], x[i], fv_all(coefficients[k]));
    }
    LANES_UNROLL
    for (size_t i = 0; i < n; i++)
        x[i] = (fv)((uv)p[i] + exponent[i]);
}

LANES_INLINE fv fv_exp2_short(fv x)
{
    fv_exp2_short_all(1, &x);
    return x;
}

/* e^(factor x), the exponent cut to [-limit, limit] in powers of two. */
LANES_INLINE fv fv_exp_cut(fv x, float factor, float limit)
{
    const fv scaled = x * fv_all(factor * LANES_LOG2_E);
    return fv_exp2(fv_most(fv_least(scaled, -limit), limit));
}

LANES_INLINE fv fv_sigmoid(fv x)
{
    const fv one = fv_all(1.0f);
    return one / (one + fv_exp_cut(x, -1.0f, 120.0f));
}

/* log(1 + e^x) = max(x, 0) + log(1 + u), u = e^-|x|, and log(1 + u) = 2 atanh(u / (2 + u)) by its
 * series: relative error 4e-6 at x = -80, where x / ln 2 has few bits left behind the point, less
 * above. */
LANES_INLINE fv fv_softplus(fv x)
{
    const fv zero = fv_all(0.0f);
    const fv u = fv_exp_cut(fv_select(x > zero, zero - x, x), 1.0f, 120.0f);
    const fv s = u / (fv_all(2.0f) + u), s2 = s * s;
    fv p = fv_all(1.0f / 13.0f);
    p = fv_fma(p, s2, fv_all(1.0f / 11.0f));
    p = fv_fma(p, s2, fv_all(1.0f / 9.0f));
    p = fv_fma(p, s2, fv_all(1.0f / 7.0f));
    p = fv_fma(p, s2, fv_all(1.0f / 5.0f));
    p = fv_fma(p, s2, fv_all(1.0f / 3.0f));
    p = fv_fma(p, s2, fv_all(1.0f));
    return fv_fma(p, s + s, fv_select(x > zero, x, zero));
}

/* x if x > 0, else e^x - 1 (to 1e-7 of 1: near 0 the difference cancels). */
LANES_INLINE fv fv_elu(fv x)
{
    const fv low = fv_exp_cut(x, 1.0f, 120.0f) - fv_all(1.0f);
    return fv_select(x > fv_all(0.0f), x, low);
}

#endif
