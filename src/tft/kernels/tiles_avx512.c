#if defined(__AVX512F__) && defined(__AVX512DQ__)

#define TILES_TABLE tft_tiles_avx512
#define TILES_NAME "avx512"
#include "tft/kernels/tiles_body.inc"

#else
typedef int tft_tiles_avx512_not_built;
#endif
