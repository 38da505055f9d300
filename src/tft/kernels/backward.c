#include "tft/kernels/backward.h"

#include "tft/kernels/backward_body.h"
#include "tft/kernels/backward_internal.h"

static void outer_add(size_t rows, size_t n_a, size_t n_b, const float *a, size_t a_stride,
                      const float *b, size_t b_stride, float *restrict out)
{
    for (size_t r = 0; r < rows; r++, a += a_stride, b += b_stride) {
        for (size_t i = 0; i < n_a; i++) {
            const float ai = a[i];
            for (size_t j = 0; j < n_b; j++)
                out[i * n_b + j] += ai * b[j];
        }
    }
}

static void lstm(size_t steps, size_t n, float *gates, const float *cells, const float *c_first,
                 const float *w, const float *dy, float *dh, float *dc)
{
    for (size_t t = steps; t-- > 0;) {
        float *here = gates + t * 4 * n;
        body_lstm_cell(n, here, cells + t * n, t == 0 ? c_first : cells + (t - 1) * n, dy + t * n,
                       dh, dc);
        memset(dh, 0, n * sizeof *dh);
        for (size_t k = 0; k < 4 * n; k++)
            outer_add(1, 1, n, here + k, 1, w + k * n, n, dh);
    }
}

static const struct tft_backward_kernels plain = {
    .name = "plain",
    .outer_add = outer_add,
    .sum_rows = body_sum_rows,
    .elu = body_elu,
    .glu = body_glu,
    .layer_norm = body_layer_norm,
    .softmax = body_softmax,
    .lstm = lstm,
    .drop = body_drop,
    .add = body_add,
};

const struct tft_backward_kernels *tft_backward_of(enum tft_set set)
{
    static const struct tft_backward_kernels *const tables[TFT_SETS] = {
        [TFT_SET_PLAIN] = &plain,
#if defined(__x86_64__)
        [TFT_SET_AVX2] = &tft_backward_avx2,
        [TFT_SET_AVX512] = &tft_backward_avx512,
#endif
    };
    return tft_set_runs(set) ? tables[set] : NULL;
}

const struct tft_backward_kernels *tft_backward_best(void)
{
    return tft_backward_of(tft_set_best());
}
