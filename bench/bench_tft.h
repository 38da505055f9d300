/* What the benches of the network share: a clock, and the peak to compare with. */
#ifndef FW_BENCH_TFT_H
#define FW_BENCH_TFT_H

#include "base/clock.h"
#include "tft/kernels/set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double now_ms(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) / 1e6;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memory;
}

/* Independent chains of fused multiply-adds with the registers of one set; GFLOP/s. */
#define PEAK(name, target_of, type, set1, fmadd)                                                   \
    __attribute__((target(target_of))) static double name(void)                                    \
    {                                                                                              \
        enum { TIMES = 500000, CHAINS = 12 };                                                      \
        double best = 0.0;                                                                         \
        for (int round = 0; round < 60; round++) {                                                 \
            type s[CHAINS], a = set1(0.999999f), b = set1(1e-7f);                                  \
            for (int k = 0; k < CHAINS; k++)                                                       \
                s[k] = set1((float)k);                                                             \
            const double start = now_ms();                                                         \
            for (long i = 0; i < TIMES; i++) {                                                     \
                _Pragma("GCC unroll 12") for (int k = 0; k < CHAINS; k++) s[k] =                   \
                    fmadd(s[k], a, b);                                                             \
            }                                                                                      \
            const double took = now_ms() - start;                                                  \
            float sum = 0.0f;                                                                      \
            for (int k = 0; k < CHAINS; k++)                                                       \
                sum += s[k][0];                                                                    \
            const double flop = 2.0 * CHAINS * TIMES * (sizeof(type) / sizeof(float));             \
            const double rate = sum > 1e30f ? 0.0 : flop / took / 1e6;                             \
            best = rate > best ? rate : best;                                                      \
        }                                                                                          \
        return best;                                                                               \
    }

#if defined(__x86_64__)
#include <immintrin.h>
PEAK(peak_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
PEAK(peak_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)
#endif

/* Of one set of kernels; NaN for plain C, where the compiler chooses. */
static double fma_peak(enum tft_set set)
{
#if defined(__x86_64__)
    if (set == TFT_SET_AVX512)
        return peak_avx512();
    if (set == TFT_SET_AVX2)
        return peak_avx2();
#endif
    (void)set;
    return (double)NAN;
}

#endif
