#if defined(__AVX2__) && defined(__FMA__)

#define KERNEL(name) tft_##name##_avx2
#include "tft/kernels/attention_body.inc"

#else
typedef int tft_attention_avx2_not_built;
#endif
