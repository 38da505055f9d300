#include "tft/kernels/tiles.h"

#define TILES_TABLE plain_table
#define TILES_NAME "plain"
#include "tft/kernels/tiles_body.inc"

const struct tft_tiles *tft_tiles_plain(void)
{
    return &plain_table;
}

#if !defined(__x86_64__)
const struct tft_tiles *tft_tiles_avx2(void)
{
    return NULL;
}
#endif

const struct tft_tiles *tft_tiles_best(void)
{
    const struct tft_tiles *avx2 = tft_tiles_avx2();
    return avx2 != NULL ? avx2 : tft_tiles_plain();
}
