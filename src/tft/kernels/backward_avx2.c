#if defined(__AVX2__) && defined(__FMA__)

#define KERNEL(name) tft_##name##_avx2
#define KERNEL_SET "avx2"
#include "tft/kernels/backward_body.inc"

#else
typedef int tft_backward_avx2_not_built;
#endif
