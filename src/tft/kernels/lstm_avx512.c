#if defined(__AVX512F__) && defined(__AVX512DQ__)

#define KERNEL(name) tft_##name##_avx512
#include "tft/kernels/lstm_body.inc"

#else
typedef int tft_lstm_avx512_not_built;
#endif
