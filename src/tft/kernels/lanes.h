/* A register of floats (fv), in one notation for every instruction set: a file of kernels written
 * with these operations is compiled once as plain C, once for AVX2 and FMA, and once for AVX-512
 * (tiles_body.inc). What the sets do differently is in lanes_plain.inc, lanes_avx2.inc,
 * lanes_avx512.inc.
 *
 * exp2 splits x = n + r and takes 2^r from a polynomial. Its errors, and those of what is made of
 * it, are measured and bounded set by set in tests/unit/tft/test_compile_kernels.c: of degree 5
 * within 3e-7 of the value, of degree 4 within 6e-6 (the attention's weights need no more: each is
 * an average's share). */
#ifndef FW_TFT_KERNELS_LANES_H
#define FW_TFT_KERNELS_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX512DQ__)
enum { LANES = 16 };
#define LANES_INDEX 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define LANES_TIMES(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x
#define LANES_LOW_HALVES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define LANES_HIGH_HALVES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined(__AVX2__) && defined(__FMA__)
enum { LANES = 8 };
#define LANES_INDEX 0, 1, 2, 3, 4, 5, 6, 7
#define LANES_TIMES(x) x, x, x, x, x, x, x, x
#define LANES_LOW_HALVES 0, 8, 1, 9, 2, 10, 3, 11
#define LANES_HIGH_HALVES 4, 12, 5, 13, 6, 14, 7, 15
#else
enum { LANES = 4 }; /* what every 64-bit processor holds in one register */
#define LANES_INDEX 0, 1, 2, 3
#define LANES_TIMES(x) x, x, x, x
#define LANES_LOW_HALVES 0, 4, 1, 5
#define LANES_HIGH_HALVES 2, 6, 3, 7
#endif

#define LANES_INLINE static inline __attribute__((always_inline))

typedef float fv __attribute__((vector_size(LANES * 4)));
typedef int32_t iv __attribute__((vector_size(LANES * 4)));
typedef uint32_t uv __attribute__((vector_size(LANES * 4)));

/* Before a loop of constant length over values that must stay in registers. Clang unrolls such
 * loops by itself, and warns where the same loop also exists for a length that it does not know. */
#if defined(__clang__)
#define LANES_UNROLL
#else
#define LANES_UNROLL _Pragma("GCC unroll 16")
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

#define LANES_ROUNDER                                                                              \
    12582912.0f /* 1.5 * 2^23: adding it leaves a whole number in the low bits                     \
                 */
#define LANES_LOG2_E 1.44269504088896341f

LANES_INLINE iv iv_of(fv x) /* of whole numbers from 0 to 2^22 */
{
    return (iv)(x + fv_all(LANES_ROUNDER)) - (iv)fv_all(LANES_ROUNDER);
}

/* The lower, and the upper, halves of both, by turns. */
LANES_INLINE fv fv_zip_low(fv a, fv b)
{
    return __builtin_shufflevector(a, b, LANES_LOW_HALVES);
}

LANES_INLINE fv fv_zip_high(fv a, fv b)
{
    return __builtin_shufflevector(a, b, LANES_HIGH_HALVES);
}

/* Each of these gives the operations of one set:
 *   fm                       a mask of lanes
 *   fm_above(a, b)           a > b            fm_within(x, low, high)   low <= x <= high
 *   fm_first(n)              the first n      fm_except(a, b)           a and not b
 *   fm_or(a, b)              either           fm_any(a)                 is there any?
 *   fv_select(m, a, b)       a where m, else b
 *   fv_load_first(x, left)   a row's next register, of which `left` floats exist; the rest is 0
 *   fv_store_first(x, left, v)  likewise; the rest stays unwritten
 *   fv_fma(a, b, c)          a b + c
 *   fv_least(x, low)         x, not below low; NaN stays NaN
 *   fv_most(x, high)         x, not above high; NaN stays NaN
 *   fv_larger(a, b), fv_smaller(a, b), fv_sqrt(x), fv_sum(x), fv_max(x)
 *   iv_gather(table, i)      table[i] lane by lane
 *   fv_down(x)               rounded down, for |x| < 2^22
 *   fv_held(x)               x, in a register of its own: a compiler may not load it anew for each
 * use fv_exp2(x, limit)        2^x, x cut to [-limit, limit] where that keeps it from overflow;
 *                            limit at most 120; NaN gives NaN
 *   fv_exp2_short_all(n, x)  in place, n registers: 2^x for x in [-126, 127], in fewer operations
 */
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include "tft/kernels/lanes_avx512.inc"
#elif defined(__AVX2__) && defined(__FMA__)
#include "tft/kernels/lanes_avx2.inc"
#else
#include "tft/kernels/lanes_plain.inc"
#endif

/* e^(factor x), the exponent cut to [-limit, limit] in powers of two where it would overflow. */
LANES_INLINE fv fv_exp_cut(fv x, float factor, float limit)
{
    return fv_exp2(x * fv_all(factor * LANES_LOG2_E), limit);
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
    const fm positive = fm_above(x, zero);
    const fv u = fv_exp_cut(fv_select(positive, zero - x, x), 1.0f, 120.0f);
    const fv s = u / (fv_all(2.0f) + u), s2 = s * s;
    fv p = fv_all(1.0f / 13.0f);
    p = fv_fma(p, s2, fv_all(1.0f / 11.0f));
    p = fv_fma(p, s2, fv_all(1.0f / 9.0f));
    p = fv_fma(p, s2, fv_all(1.0f / 7.0f));
    p = fv_fma(p, s2, fv_all(1.0f / 5.0f));
    p = fv_fma(p, s2, fv_all(1.0f / 3.0f));
    p = fv_fma(p, s2, fv_all(1.0f));
    return fv_fma(p, s + s, fv_select(positive, x, zero));
}

/* x if x > 0, else e^x - 1 (to 1e-7 of 1: near 0 the difference cancels). */
LANES_INLINE fv fv_elu(fv x)
{
    const fv low = fv_exp_cut(x, 1.0f, 120.0f) - fv_all(1.0f);
    return fv_select(fm_above(x, fv_all(0.0f)), x, low);
}

#endif
