#if defined(__AVX2__) && defined(__FMA__)

#define KERNEL(name) tft_##name##_avx2
#include "tft/kernels/linear_body.inc"

#else
typedef int tft_linear_avx2_not_built;
#endif
