/* The entries of the kernel tables; kernels.h says what each does. */
#ifndef FW_TFT_KERNELS_INTERNAL_H
#define FW_TFT_KERNELS_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#define TFT_LAYER_NORM_EPSILON 1e-5f

#define TFT_KERNELS_DECLARED(set)                                                                  \
    void tft_linear_##set(size_t rows, size_t n_in, size_t n_out, const float *x, size_t x_stride, \
                          const float *w, const float *b, float *y);                               \
    void tft_elu_##set(size_t n, float *x);                                                        \
    void tft_glu_add_##set(size_t rows, size_t n, const float *gates, const float *skip,           \
                           size_t skip_stride, float *y);                                          \
    void tft_layer_norm_##set(size_t rows, size_t n, const float *x, const float *w,               \
                              const float *b, float *y);                                           \
    void tft_softmax_##set(size_t rows, size_t n, float *x);                                       \
    void tft_lstm_##set(size_t steps, size_t n, float *gates, const float *w, float *h, float *c,  \
                        float *y, float *cells);                                                   \
    void tft_attend_##set(size_t heads, size_t size, size_t n_keys, const float *q,                \
                          const float *k, size_t k_stride, float scale, float *weights,            \
                          size_t weights_stride, float *mean);

TFT_KERNELS_DECLARED(plain)
TFT_KERNELS_DECLARED(avx2)
TFT_KERNELS_DECLARED(avx512)

/* Compilers make vector code of these by themselves. */
void tft_stretch_plain(size_t rows, size_t n, const float *x, size_t x_stride, const uint32_t *at,
                       const uint32_t *next, const float *frac, const float *factor, float *y);
void tft_add_weighted_plain(size_t rows, size_t n, const float *x, const float *weight,
                            size_t weight_stride, float *y);

#endif
