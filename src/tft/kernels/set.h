/* Which instruction set runs the kernels. */
#ifndef FW_TFT_KERNELS_SET_H
#define FW_TFT_KERNELS_SET_H

#include <stdbool.h>

enum tft_set {
    TFT_SET_PLAIN,
    TFT_SET_AVX2,   /* and FMA */
    TFT_SET_AVX512, /* F, BW, DQ, VL; and AVX2, FMA */
    TFT_SETS
};

const char *tft_set_name(enum tft_set set); /* "plain", "avx2", "avx512" */

/* Whether this build and this processor have it. */
bool tft_set_runs(enum tft_set set);

/* The highest that runs, or that the environment's FOREWARN_KERNELS allows ("plain", "avx2"; other
 * words allow all): a way to compare sets, and to have the numbers of another machine. Thread-safe;
 * the same answer every time. */
enum tft_set tft_set_best(void);

#endif
