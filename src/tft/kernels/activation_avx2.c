#if defined(__AVX2__) && defined(__FMA__)

#define KERNEL(name) tft_##name##_avx2
#include "tft/kernels/activation_body.inc"

#else
typedef int tft_activation_avx2_not_built;
#endif
