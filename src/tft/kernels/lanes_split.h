/* For sets whose masks are registers of ones and zeros, and that have no instruction for the parts
 * of an exponential: plain C and AVX2. lanes.h alone includes it, through their files. */
#ifndef FW_TFT_KERNELS_LANES_SPLIT_H
#define FW_TFT_KERNELS_LANES_SPLIT_H

typedef iv fm;

LANES_INLINE fv fv_select(fm mask, fv yes, fv no)
{
    return (fv)((mask & (iv)yes) | (~mask & (iv)no));
}

LANES_INLINE fm fm_above(fv a, fv b)
{
    return a > b;
}

LANES_INLINE fm fm_within(fv x, float low, float high)
{
    return (x >= fv_all(low)) & (x <= fv_all(high));
}

LANES_INLINE fm fm_first(size_t n)
{
    const iv index = {LANES_INDEX};
    const int32_t k = n < LANES ? (int32_t)n : LANES;
    return (iv){LANES_TIMES(k)} > index;
}

LANES_INLINE fm fm_except(fm a, fm b)
{
    return a & ~b;
}

LANES_INLINE fm fm_or(fm a, fm b)
{
    return a | b;
}

LANES_INLINE bool fm_any(fm a)
{
    int32_t any = 0;
    for (size_t i = 0; i < LANES; i++)
        any |= a[i];
    return any != 0;
}

LANES_INLINE fv fv_held(fv x) /* there are registers for the sums only */
{
    return x;
}

LANES_INLINE fv fv_down(fv x)
{
    const fv near = (x + fv_all(LANES_ROUNDER)) - fv_all(LANES_ROUNDER);
    return fv_select(near > x, near - fv_all(1.0f), near);
}

/* 2^n (as the bits to add to an exponent) and r of x = n + r, |r| <= 1/2. */
LANES_INLINE fv fv_exp2_parts(fv x, uv *exponent)
{
    const fv shifted = x + fv_all(LANES_ROUNDER);
    *exponent = (uv)shifted << 23;
    return x - (shifted - fv_all(LANES_ROUNDER));
}

LANES_INLINE fv fv_exp2(fv x, float limit)
{
    uv exponent;
    const fv r = fv_exp2_parts(fv_most(fv_least(x, -limit), limit), &exponent);
    fv p = fv_all(0.00133908634f);
    p = fv_fma(p, r, fv_all(0.00967603192f));
    p = fv_fma(p, r, fv_all(0.0555035711f));
    p = fv_fma(p, r, fv_all(0.240221075f));
    p = fv_fma(p, r, fv_all(0.693147188f));
    p = fv_fma(p, r, fv_all(1.0f));
    /* A product, not a sum of bits: it keeps NaN whatever its payload. */
    return p * (fv)(exponent + (uv)fv_all(1.0f));
}

/* x must be a number. Registers go side by side from step to step: one after the other, the
 * processor would wait for each. */
LANES_INLINE void fv_exp2_short_all(size_t n, fv *x)
{
    static const float coefficients[] = {0.0559219758f, 0.24022349f, 0.693121045f, 1.0f};
    fv p[4];
    uv exponent[4];
    LANES_UNROLL
    for (size_t i = 0; i < n; i++) {
        x[i] = fv_exp2_parts(x[i], &exponent[i]);
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

#endif
