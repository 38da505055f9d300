/* What backward_avx2.c gives to backward.c. */
#ifndef FW_TFT_KERNELS_BACKWARD_INTERNAL_H
#define FW_TFT_KERNELS_BACKWARD_INTERNAL_H

#include "tft/kernels/backward.h"

/* NULL where this build has no AVX2; asked for on processors that have it. */
const struct tft_backward_kernels *tft_backward_avx2_table(void);

#endif
