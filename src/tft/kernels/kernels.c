#include "tft/kernels/kernels.h"

#include "tft/kernels/internal.h"

const struct tft_kernels *tft_kernels_plain(void)
{
    static const struct tft_kernels plain = {
        .name = "plain",
        .linear = tft_linear_plain,
        .stretch = tft_stretch_plain,
        .elu = tft_elu_plain,
        .glu_add = tft_glu_add_plain,
        .layer_norm = tft_layer_norm_plain,
        .softmax = tft_softmax_plain,
        .add_weighted = tft_add_weighted_plain,
        .lstm = tft_lstm_plain,
        .attend = tft_attend_plain,
    };
    return &plain;
}

#if defined(__x86_64__)

const struct tft_kernels *tft_kernels_avx2(void)
{
    static const struct tft_kernels avx2 = {
        .name = "avx2",
        .linear = tft_linear_avx2,
        .stretch = tft_stretch_plain,
        .elu = tft_elu_avx2,
        .glu_add = tft_glu_add_avx2,
        .layer_norm = tft_layer_norm_avx2,
        .softmax = tft_softmax_avx2,
        .add_weighted = tft_add_weighted_plain,
        .lstm = tft_lstm_avx2,
        .attend = tft_attend_avx2,
    };
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2 : NULL;
}

#else

const struct tft_kernels *tft_kernels_avx2(void)
{
    return NULL;
}

#endif

const struct tft_kernels *tft_kernels_best(void)
{
    const struct tft_kernels *avx2 = tft_kernels_avx2();
    return avx2 != NULL ? avx2 : tft_kernels_plain();
}
