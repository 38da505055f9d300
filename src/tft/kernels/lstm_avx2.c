#if defined(__AVX2__) && defined(__FMA__)

#define KERNEL(name) tft_##name##_avx2
#include "tft/kernels/lstm_body.inc"

#else
typedef int tft_lstm_avx2_not_built;
#endif
