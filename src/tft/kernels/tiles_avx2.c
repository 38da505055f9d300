#if defined(__AVX2__) && defined(__FMA__)

#define TILES_TABLE tft_tiles_avx2
#define TILES_NAME "avx2"
#include "tft/kernels/tiles_body.inc"

#else
typedef int tft_tiles_avx2_not_built;
#endif
