/* Registers of the set that a file is compiled for, as rows_body.inc needs them. Its alone. */
#ifndef FW_FORECAST_KERNELS_ROW_REGISTERS_H
#define FW_FORECAST_KERNELS_ROW_REGISTERS_H

#include "forecast/kernels/rows.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>
enum { LANES = 16 };
#define ALL_LANES(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#elif defined(__AVX2__)
#include <immintrin.h>
enum { LANES = 8 };
#define ALL_LANES(x) x, x, x, x, x, x, x, x
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7
#else
enum { LANES = 4 }; /* what every 64-bit processor holds in one register */
#define ALL_LANES(x) x, x, x, x
#define LANE_NUMBERS 0, 1, 2, 3
#endif

#define IN_LINE static inline __attribute__((always_inline))
#if defined(__clang__) /* which unrolls by itself, and warns where it cannot */
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float fv __attribute__((vector_size(LANES * 4)));
typedef int32_t iv __attribute__((vector_size(LANES * 4)));

IN_LINE fv load(const float *x)
{
    fv v;
    memcpy(&v, x, sizeof v);
    return v;
}

IN_LINE void store(float *x, fv v)
{
    memcpy(x, &v, sizeof v);
}

IN_LINE fv all(float x)
{
    return (fv){ALL_LANES(x)};
}

/* lesser, greater: of two that are numbers. where_above: yes where a > b. pick: from[piece]. */
#if defined(__AVX512F__) && defined(__AVX512DQ__)
IN_LINE fv lesser(fv a, fv b)
{
    return _mm512_min_ps(a, b);
}

IN_LINE fv greater(fv a, fv b)
{
    return _mm512_max_ps(a, b);
}

IN_LINE fv where_above(fv a, fv b, fv yes, fv no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), no, yes);
}

IN_LINE fv pick(const float from[ROW_PIECES], iv piece)
{
    const __m512 table = _mm512_castps256_ps512(_mm256_loadu_ps(from));
    return _mm512_permutexvar_ps((__m512i)piece, table);
}
#elif defined(__AVX2__)
IN_LINE fv lesser(fv a, fv b)
{
    return _mm256_min_ps(a, b);
}

IN_LINE fv greater(fv a, fv b)
{
    return _mm256_max_ps(a, b);
}

IN_LINE fv where_above(fv a, fv b, fv yes, fv no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

IN_LINE fv pick(const float from[ROW_PIECES], iv piece)
{
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(from), (__m256i)piece);
}
#else
IN_LINE fv where_above(fv a, fv b, fv yes, fv no)
{
    const iv above = a > b;
    return (fv)((above & (iv)yes) | (~above & (iv)no));
}

IN_LINE fv lesser(fv a, fv b)
{
    return where_above(b, a, a, b);
}

IN_LINE fv greater(fv a, fv b)
{
    return where_above(a, b, a, b);
}

IN_LINE fv pick(const float from[ROW_PIECES], iv piece)
{
    fv out = {0};
    for (size_t l = 0; l < LANES; l++)
        out[l] = from[piece[l]];
    return out;
}
#endif

/* Four numbers, on every processor. */
typedef float four __attribute__((vector_size(16)));

IN_LINE four load_four(const float *x)
{
    four v;
    memcpy(&v, x, sizeof v);
    return v;
}

/* The lesser of each two. */
IN_LINE four lesser_four(four a, four b)
{
    typedef int32_t bits __attribute__((vector_size(16)));
    const bits less = b < a;
    return (four)((less & (bits)b) | (~less & (bits)a));
}

/* Sums in double, eight side by side, so that none waits for the one before; as many registers as
 * that takes. */
enum { SIDES = 8, DOUBLES = LANES / 2, SIDE_REGISTERS = SIDES / DOUBLES };
typedef double dv __attribute__((vector_size(DOUBLES * 8)));
typedef int64_t dv_bits __attribute__((vector_size(DOUBLES * 8)));
typedef float dv_floats __attribute__((vector_size(DOUBLES * 4)));

IN_LINE dv dv_load(const float *x)
{
    dv_floats v;
    memcpy(&v, x, sizeof v);
    return __builtin_convertvector(v, dv);
}

IN_LINE dv dv_all(double x)
{
    return x - (dv){0};
}

IN_LINE dv dv_size(dv x)
{
    return (dv)((dv_bits)x & ~((dv_bits){0} + INT64_MIN));
}

static double sum_of(const dv side[SIDE_REGISTERS])
{
    double x[SIDES];
    memcpy(x, side, sizeof x);
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

#endif
