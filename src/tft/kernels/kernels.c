#include "tft/kernels/kernels.h"

#include "tft/kernels/internal.h"

#define TABLE(set)                                                                                 \
    {                                                                                              \
        .name = #set, .linear = tft_linear_##set, .stretch = tft_stretch_plain,                    \
        .elu = tft_elu_##set, .glu_add = tft_glu_add_##set, .layer_norm = tft_layer_norm_##set,    \
        .softmax = tft_softmax_##set, .add_weighted = tft_add_weighted_plain,                      \
        .lstm = tft_lstm_##set, .attend = tft_attend_##set,                                        \
    }

const struct tft_kernels *tft_kernels_of(enum tft_set set)
{
    static const struct tft_kernels tables[TFT_SETS] = {
        [TFT_SET_PLAIN] = TABLE(plain),
#if defined(__x86_64__)
        [TFT_SET_AVX2] = TABLE(avx2),
        [TFT_SET_AVX512] = TABLE(avx512),
#endif
    };
    return tft_set_runs(set) ? &tables[set] : NULL;
}

const struct tft_kernels *tft_kernels_best(void)
{
    return tft_kernels_of(tft_set_best());
}
