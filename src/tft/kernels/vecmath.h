/* exp, log, sigmoid and tanh that a compiler can turn into vector code: no branch, no call, no
 * table.
 *
 * exp(x) = 2^n (1 + e), n = round(x / ln 2), e = exp(r) - 1 for |r| <= ln 2 / 2 by its Taylor
 * series to r^7 (the rest is below 6e-9). Arguments are clamped to [-87, 88], so results stay
 * between 1.6e-38 and 1.7e38. NaN gives NaN. Measured over all floats of the range by
 * tests/unit/tft/test_kernels.c: exp and log 2 ulp, sigmoid 3 ulp, tanh 3 ulp. */
#ifndef FW_TFT_KERNELS_VECMATH_H
#define FW_TFT_KERNELS_VECMATH_H

#include <stdint.h>
#include <string.h>

#define TFT_EXP_LOW (-87.0f)
#define TFT_EXP_HIGH 88.0f
#define TFT_LOG2_E 1.44269504088896341f
#define TFT_LN2_HIGH 0.693359375f /* nine bits, so that n times it is exact */
#define TFT_LN2_LOW (-2.12194440054690583e-4f)
#define TFT_ROUNDER                                                                                \
    12582912.0f /* 1.5 * 2^23: adding it rounds to a whole number, which then is its lowest bits   \
                 */

struct tft_exp_parts {
    float scale; /* 2^n */
    float e;     /* exp(r) - 1 */
};

static inline struct tft_exp_parts tft_exp_split(float x)
{
    struct tft_exp_parts parts;
    uint32_t bits;
    x = x < TFT_EXP_LOW ? TFT_EXP_LOW : x;
    x = x > TFT_EXP_HIGH ? TFT_EXP_HIGH : x;
    const float shifted = x * TFT_LOG2_E + TFT_ROUNDER;
    const float n = shifted - TFT_ROUNDER;
    const float r = (x - n * TFT_LN2_HIGH) - n * TFT_LN2_LOW;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) +
           0x3f800000u; /* n + 127 in the exponent's place; what the shift drops is the rounder's */
    memcpy(&parts.scale, &bits, sizeof bits);
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    parts.e = p * (r * r) + r;
    return parts;
}

static inline float tft_exp(float x)
{
    const struct tft_exp_parts parts = tft_exp_split(x);
    return parts.scale * parts.e + parts.scale;
}

/* exp(x) - 1, without cancellation near 0. */
static inline float tft_expm1(float x)
{
    const struct tft_exp_parts parts = tft_exp_split(x);
    return parts.scale * parts.e + (parts.scale - 1.0f);
}

/* Of a positive number that is not subnormal: x = 2^n m, sqrt(1/2) <= m < sqrt(2), and log m = 2
 * artanh(s), s = (m - 1) / (m + 1), by its series to s^9 (the rest is below 1e-9 of it). Anything
 * else gives something finite. */
static inline float tft_log(float x)
{
    int32_t bits, n;
    float m;
    memcpy(&bits, &x, sizeof bits);
    n = (bits - 0x3f3504f3) >> 23; /* sqrt(1/2) has these bits */
    bits -= n * (1 << 23);
    memcpy(&m, &bits, sizeof m);
    const float f = m - 1.0f, s = f / (f + 2.0f), ss = s * s;
    float p = 2.0f / 9.0f;
    p = p * ss + 2.0f / 7.0f;
    p = p * ss + 2.0f / 5.0f;
    p = p * ss + 2.0f / 3.0f;
    /* 2 s = f - s f: what is rounded is small against f. */
    const float rest = s * (ss * p - f);
    return (float)n * TFT_LN2_HIGH + (f + (rest + (float)n * TFT_LN2_LOW));
}

static inline float tft_sigmoid(float x)
{
    return 1.0f / (1.0f + tft_exp(-x));
}

static inline float tft_tanh(float x)
{
    const float e = tft_expm1(2.0f * x);
    return e / (e + 2.0f);
}

#endif
