#include "tft/kernels/set.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[TFT_SETS] = {"plain", "avx2", "avx512"};

const char *tft_set_name(enum tft_set set)
{
    return names[set];
}

bool tft_set_runs(enum tft_set set)
{
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return set == TFT_SET_PLAIN || (set == TFT_SET_AVX2 && avx2) ||
           (set == TFT_SET_AVX512 && avx2 && avx512);
#else
    return set == TFT_SET_PLAIN;
#endif
}

enum tft_set tft_set_best(void)
{
    const char *allowed = getenv("FOREWARN_KERNELS");
    int best = TFT_SETS - 1;
    for (int set = TFT_SET_PLAIN; allowed != NULL && set < TFT_SETS; set++) {
        if (strcmp(allowed, names[set]) == 0)
            best = set;
    }
    while (!tft_set_runs((enum tft_set)best))
        best--;
    return (enum tft_set)best;
}
