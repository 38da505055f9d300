/* lanes.h with AVX-512 (F and DQ); it alone includes this. Masks are registers of their own.
 *
 * x - floor(x) is one instruction and p 2^floor(x) another, which also gives 0 and infinity where
 * they belong: an exponential needs neither cuts nor bits moved about. There is an approximate
 * reciprocal too; it is left alone, since processors differ in its last bits. */
#ifndef FW_TFT_KERNELS_LANES_AVX512_H
#define FW_TFT_KERNELS_LANES_AVX512_H

#include <immintrin.h>

typedef __mmask16 fm;

LANES_INLINE fv fv_select(fm mask, fv yes, fv no)
{
    return _mm512_mask_blend_ps(mask, no, yes);
}

LANES_INLINE fm fm_above(fv a, fv b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}

LANES_INLINE fm fm_within(fv x, float low, float high)
{
    return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(x, fv_all(low), _CMP_GE_OQ), x, fv_all(high),
                                   _CMP_LE_OQ);
}

LANES_INLINE fm fm_first(size_t n)
{
    return (fm)(n < LANES ? (1u << n) - 1u : 0xffffu);
}

LANES_INLINE fv fv_load_first(const float *x, size_t left)
{
    return _mm512_maskz_loadu_ps(fm_first(left), x);
}

LANES_INLINE void fv_store_first(float *x, size_t left, fv v)
{
    _mm512_mask_storeu_ps(x, fm_first(left), v);
}

LANES_INLINE fm fm_except(fm a, fm b)
{
    return (fm)(a & ~b);
}

LANES_INLINE fm fm_or(fm a, fm b)
{
    return (fm)(a | b);
}

LANES_INLINE bool fm_any(fm a)
{
    return a != 0;
}

LANES_INLINE fv fv_held(fv x)
{
    __asm__("" : "+v"(x));
    return x;
}

LANES_INLINE fv fv_fma(fv a, fv b, fv c)
{
    return _mm512_fmadd_ps(a, b, c);
}

LANES_INLINE fv fv_least(fv x, float low)
{
    return _mm512_max_ps(fv_all(low), x);
}

LANES_INLINE fv fv_most(fv x, float high)
{
    return _mm512_min_ps(fv_all(high), x);
}

LANES_INLINE iv iv_gather(const int32_t *table, iv i)
{
    return (iv)_mm512_i32gather_epi32((__m512i)i, table, 4);
}

LANES_INLINE fv fv_smaller(fv a, fv b)
{
    return _mm512_min_ps(a, b);
}

LANES_INLINE fv fv_larger(fv a, fv b)
{
    return _mm512_max_ps(a, b);
}

LANES_INLINE fv fv_sqrt(fv x)
{
    return _mm512_sqrt_ps(x);
}

LANES_INLINE float fv_sum(fv x)
{
    return _mm512_reduce_add_ps(x);
}

LANES_INLINE float fv_max(fv x)
{
    return _mm512_reduce_max_ps(x);
}

LANES_INLINE fv fv_down(fv x)
{
    return _mm512_floor_ps(x);
}

#define LANES_ABOVE_FLOOR (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)

LANES_INLINE fv fv_exp2(fv x, float limit)
{
    const fv cut = limit < 120.0f ? fv_most(x, limit) : x;
    const fv r = _mm512_reduce_ps(cut, LANES_ABOVE_FLOOR);
    fv p = fv_all(0.00186695263f);
    p = fv_fma(p, r, fv_all(0.00901748054f));
    p = fv_fma(p, r, fv_all(0.0557995141f));
    p = fv_fma(p, r, fv_all(0.240164593f));
    p = fv_fma(p, r, fv_all(0.693151295f));
    p = fv_fma(p, r, fv_all(1.0f));
    return _mm512_scalef_ps(p, cut);
}

LANES_INLINE void fv_exp2_short_all(size_t n, fv *x)
{
    LANES_UNROLL
    for (size_t i = 0; i < n; i++) {
        const fv r = _mm512_reduce_ps(x[i], LANES_ABOVE_FLOOR);
        fv p = fv_all(0.0135437855f);
        p = fv_fma(p, r, fv_all(0.0519949757f));
        p = fv_fma(p, r, fv_all(0.241451219f));
        p = fv_fma(p, r, fv_all(0.693002522f));
        p = fv_fma(p, r, fv_all(1.00000262f));
        x[i] = _mm512_scalef_ps(p, x[i]);
    }
}

#endif
