/* What backward_avx2.c and backward_avx512.c give to backward.c. */
#ifndef FW_TFT_KERNELS_BACKWARD_INTERNAL_H
#define FW_TFT_KERNELS_BACKWARD_INTERNAL_H

#include "tft/kernels/backward.h"

extern const struct tft_backward_kernels tft_backward_avx2, tft_backward_avx512;

#endif
