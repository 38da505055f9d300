#include "tft/kernels/tiles.h"

#if defined(__AVX2__) && defined(__FMA__)

#define TILES_TABLE avx2_table
#define TILES_NAME "avx2"
#include "tft/kernels/tiles_body.inc"

const struct tft_tiles *tft_tiles_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2_table : NULL;
}

#elif defined(__x86_64__)

const struct tft_tiles *tft_tiles_avx2(void)
{
    return NULL;
}

#endif
