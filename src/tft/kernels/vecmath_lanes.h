/* vecmath.h in the notation of lanes.h, with fused multiply-adds: the same steps for a register. */
#ifndef FW_TFT_KERNELS_VECMATH_LANES_H
#define FW_TFT_KERNELS_VECMATH_LANES_H

#include "tft/kernels/lanes.h"
#include "tft/kernels/vecmath.h"

LANES_INLINE fv tft_exp_split_all(fv x, fv *scale)
{
    x = fv_most(fv_least(x, TFT_EXP_LOW), TFT_EXP_HIGH);
    const fv shifted = fv_fma(x, fv_all(TFT_LOG2_E), fv_all(TFT_ROUNDER));
    const fv n = shifted - fv_all(TFT_ROUNDER);
    fv r = fv_fma(n, fv_all(-TFT_LN2_HIGH), x);
    r = fv_fma(n, fv_all(-TFT_LN2_LOW), r);
    *scale = (fv)(((uv)shifted << 23) + 0x3f800000u);
    fv p = fv_all(1.0f / 5040.0f);
    p = fv_fma(p, r, fv_all(1.0f / 720.0f));
    p = fv_fma(p, r, fv_all(1.0f / 120.0f));
    p = fv_fma(p, r, fv_all(1.0f / 24.0f));
    p = fv_fma(p, r, fv_all(1.0f / 6.0f));
    p = fv_fma(p, r, fv_all(0.5f));
    return fv_fma(p, r * r, r);
}

LANES_INLINE fv tft_exp_all(fv x)
{
    fv scale;
    const fv e = tft_exp_split_all(x, &scale);
    return fv_fma(scale, e, scale);
}

LANES_INLINE fv tft_expm1_all(fv x)
{
    fv scale;
    const fv e = tft_exp_split_all(x, &scale);
    return fv_fma(scale, e, scale - fv_all(1.0f));
}

LANES_INLINE fv tft_sigmoid_all(fv x)
{
    const fv one = fv_all(1.0f);
    return one / (one + tft_exp_all(fv_all(0.0f) - x));
}

LANES_INLINE fv tft_tanh_all(fv x)
{
    const fv e = tft_expm1_all(x + x);
    return e / (e + fv_all(2.0f));
}

#endif
