#if defined(__AVX512F__) && defined(__AVX512DQ__)

#define KERNEL(name) tft_##name##_avx512
#include "tft/kernels/linear_body.inc"

#else
typedef int tft_linear_avx512_not_built;
#endif
