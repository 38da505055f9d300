/* Eight floats at a time, in one notation for every instruction set: a file of kernels written with
 * these operations is compiled once as plain C and once for AVX2 and FMA (tiles_body.h).
 *
 * exp2 splits x = n + r, |r| <= 1/2, and takes 2^r from a polynomial. Relative error, the rounding
 * of single precision included, as measured by tests/unit/tft/test_compile_kernels.c: 3 ulp with
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

#if !TFT_LANES_AVX2 && defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* nothing below is called from another file */
#endif

/* Inlined always: without AVX a vector cannot be handed to a function in one piece. */
#define LANES_INLINE static inline __attribute__((always_inline))

enum { LANES = 8 };

typedef float f8 __attribute__((vector_size(32)));
typedef int32_t i8 __attribute__((vector_size(32)));
typedef uint32_t u8 __attribute__((vector_size(32)));

/* Before a loop of constant length over values that must stay in registers. */
#if defined(__clang__)
#define LANES_UNROLL _Pragma("unroll")
#else
#define LANES_UNROLL _Pragma("GCC unroll 12")
#endif

LANES_INLINE f8 f8_load(const float *x)
{
    f8 v;
    memcpy(&v, x, sizeof v);
    return v;
}

LANES_INLINE void f8_store(float *x, f8 v)
{
    memcpy(x, &v, sizeof v);
}

LANES_INLINE f8 f8_all(float x)
{
    return (f8){x, x, x, x, x, x, x, x};
}

LANES_INLINE f8 f8_select(i8 mask, f8 yes, f8 no)
{
    return (f8)((mask & (i8)yes) | (~mask & (i8)no));
}

LANES_INLINE i8 i8_first(size_t n) /* all ones in the first n lanes */
{
    const i8 index = {0, 1, 2, 3, 4, 5, 6, 7};
    const int32_t k = n < LANES ? (int32_t)n : LANES;
    return (i8){k, k, k, k, k, k, k, k} > index;
}

#if TFT_LANES_AVX2
LANES_INLINE f8 f8_fma(f8 a, f8 b, f8 c) /* a b + c */
{
    return _mm256_fmadd_ps(a, b, c);
}

/* x, not below low; NaN stays NaN. */
LANES_INLINE f8 f8_least(f8 x, float low)
{
    return _mm256_max_ps(f8_all(low), x);
}

LANES_INLINE f8 f8_most(f8 x, float high)
{
    return _mm256_min_ps(f8_all(high), x);
}

LANES_INLINE f8 f8_larger(f8 a, f8 b)
{
    return _mm256_max_ps(a, b);
}

LANES_INLINE f8 f8_sqrt(f8 x)
{
    return _mm256_sqrt_ps(x);
}

LANES_INLINE float f8_sum(f8 x)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
#else
LANES_INLINE f8 f8_fma(f8 a, f8 b, f8 c)
{
    return a * b + c;
}

LANES_INLINE f8 f8_least(f8 x, float low)
{
    return f8_select(x < f8_all(low), f8_all(low), x);
}

LANES_INLINE f8 f8_most(f8 x, float high)
{
    return f8_select(x > f8_all(high), f8_all(high), x);
}

LANES_INLINE f8 f8_larger(f8 a, f8 b)
{
    return f8_select(a > b, a, b);
}

LANES_INLINE f8 f8_sqrt(f8 x)
{
    for (size_t i = 0; i < LANES; i++)
        x[i] = sqrtf(x[i]);
    return x;
}

LANES_INLINE float f8_sum(f8 x)
{
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}
#endif

LANES_INLINE float f8_max(f8 x)
{
    float max = x[0];
    for (size_t i = 1; i < LANES; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

#define LANES_ROUNDER 12582912.0f /* 1.5 * 2^23: adding it leaves a whole number in the low bits   \
                                   */
#define LANES_LOG2_E 1.44269504088896341f

/* 2^n (as the bits to add to an exponent) and r of x = n + r. */
LANES_INLINE f8 f8_exp2_split(f8 x, u8 *exponent)
{
    const f8 shifted = x + f8_all(LANES_ROUNDER);
    *exponent = (u8)shifted << 23;
    return x - (shifted - f8_all(LANES_ROUNDER));
}

/* 2^x for x in [-126, 127]; NaN gives NaN. */
LANES_INLINE f8 f8_exp2(f8 x)
{
    u8 exponent;
    const f8 r = f8_exp2_split(x, &exponent);
    f8 p = f8_all(0.00133908634f);
    p = f8_fma(p, r, f8_all(0.00967603192f));
    p = f8_fma(p, r, f8_all(0.0555035711f));
    p = f8_fma(p, r, f8_all(0.240221075f));
    p = f8_fma(p, r, f8_all(0.693147188f));
    p = f8_fma(p, r, f8_all(1.0f));
    /* A product, not a sum of bits: it keeps NaN whatever its payload. */
    return p * (f8)(exponent + (u8)f8_all(1.0f));
}

/* The same in fewer operations: relative error 6e-6, and x must be a number. */
LANES_INLINE f8 f8_exp2_short(f8 x)
{
    u8 exponent;
    const f8 r = f8_exp2_split(x, &exponent);
    f8 p = f8_all(0.00966636852f);
    p = f8_fma(p, r, f8_all(0.0559219758f));
    p = f8_fma(p, r, f8_all(0.24022349f));
    p = f8_fma(p, r, f8_all(0.693121045f));
    p = f8_fma(p, r, f8_all(1.0f));
    return (f8)((u8)p + exponent);
}

/* e^(factor x), the exponent cut to [-limit, limit] in powers of two. */
LANES_INLINE f8 f8_exp_cut(f8 x, float factor, float limit)
{
    const f8 scaled = x * f8_all(factor * LANES_LOG2_E);
    return f8_exp2(f8_most(f8_least(scaled, -limit), limit));
}

LANES_INLINE f8 f8_sigmoid(f8 x)
{
    const f8 one = f8_all(1.0f);
    return one / (one + f8_exp_cut(x, -1.0f, 120.0f));
}

/* x if x > 0, else e^x - 1 (to 1e-7 of 1: near 0 the difference cancels). */
LANES_INLINE f8 f8_elu(f8 x)
{
    const f8 low = f8_exp_cut(x, 1.0f, 120.0f) - f8_all(1.0f);
    return f8_select(x > f8_all(0.0f), x, low);
}

#endif
