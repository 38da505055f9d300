/* lanes.h in plain C; it alone includes this. */
#ifndef FW_TFT_KERNELS_LANES_PLAIN_H
#define FW_TFT_KERNELS_LANES_PLAIN_H

#include <math.h>

LANES_INLINE fv fv_fma(fv a, fv b, fv c)
{
    return a * b + c;
}

LANES_INLINE fv fv_least(fv x, float low)
{
    const iv below = x < fv_all(low);
    return (fv)((below & (iv)fv_all(low)) | (~below & (iv)x));
}

LANES_INLINE fv fv_most(fv x, float high)
{
    const iv above = x > fv_all(high);
    return (fv)((above & (iv)fv_all(high)) | (~above & (iv)x));
}

LANES_INLINE iv iv_gather(const int32_t *table, iv i)
{
    for (size_t k = 0; k < LANES; k++)
        i[k] = table[i[k]];
    return i;
}

LANES_INLINE fv fv_smaller(fv a, fv b)
{
    const iv first = a < b;
    return (fv)((first & (iv)a) | (~first & (iv)b));
}

LANES_INLINE fv fv_larger(fv a, fv b)
{
    const iv first = a > b;
    return (fv)((first & (iv)a) | (~first & (iv)b));
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

LANES_INLINE float fv_max(fv x)
{
    float max = x[0];
    for (size_t i = 1; i < LANES; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

#include "tft/kernels/lanes_split.h"

LANES_INLINE fv fv_load_first(const float *x, size_t left)
{
    fv v = fv_all(0.0f);
    memcpy(&v, x, (left < LANES ? left : LANES) * sizeof *x);
    return v;
}

LANES_INLINE void fv_store_first(float *x, size_t left, fv v)
{
    memcpy(x, &v, (left < LANES ? left : LANES) * sizeof *x);
}

#endif
