#if defined(__AVX512F__) && defined(__AVX512DQ__)

#define KERNEL(name) tft_##name##_avx512
#define KERNEL_SET "avx512"
#include "tft/kernels/backward_body.inc"

#else
typedef int tft_backward_avx512_not_built;
#endif
