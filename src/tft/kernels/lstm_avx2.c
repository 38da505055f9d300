#include "tft/kernels/internal.h"

#include "tft/kernels/vecmath_avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <string.h>

enum { CHAINS = 8 }; /* independent sums, enough to hide the latency of a fused multiply-add */

/* CHAINS * 8 gates at once: gates += h W. */
static inline void wide_block(size_t n, const float *h, const float *w, size_t w_stride,
                              float *gates)
{
    __m256 sum[CHAINS];
    TFT_UNROLL
    for (size_t v = 0; v < CHAINS; v++)
        sum[v] = _mm256_loadu_ps(gates + v * TFT_LANES);
    for (size_t i = 0; i < n; i++, w += w_stride) {
        const __m256 hi = _mm256_broadcast_ss(h + i);
        TFT_UNROLL
        for (size_t v = 0; v < CHAINS; v++)
            sum[v] = _mm256_fmadd_ps(hi, _mm256_loadu_ps(w + v * TFT_LANES), sum[v]);
    }
    TFT_UNROLL
    for (size_t v = 0; v < CHAINS; v++)
        _mm256_storeu_ps(gates + v * TFT_LANES, sum[v]);
}

static inline void narrow_block(size_t n, const float *h, const float *w, size_t w_stride,
                                size_t left, float *gates)
{
    __m256 sum = tft_load(gates, left);
    for (size_t i = 0; i < n; i++, w += w_stride)
        sum = _mm256_fmadd_ps(_mm256_broadcast_ss(h + i), tft_load(w, left), sum);
    tft_store(gates, left, sum);
}

static inline void add_recurrent(size_t n, const float *h, const float *w, float *gates)
{
    const size_t wide = 4 * n;
    size_t o = 0;
    for (; o + CHAINS * TFT_LANES <= wide; o += CHAINS * TFT_LANES)
        wide_block(n, h, w + o, wide, gates + o);
    for (; o < wide; o += TFT_LANES)
        narrow_block(n, h, w + o, wide, wide - o, gates + o);
}

static inline void cell(size_t n, float *gates, float *h, float *c)
{
    for (size_t j = 0; j < n; j += TFT_LANES) {
        const size_t left = n - j;
        float *in = gates + j, *forget = in + n, *fresh = forget + n, *out = fresh + n;
        const __m256 vi = tft_sigmoid8(tft_load(in, left));
        const __m256 vf = tft_sigmoid8(tft_load(forget, left));
        const __m256 vg = tft_tanh8(tft_load(fresh, left));
        const __m256 vo = tft_sigmoid8(tft_load(out, left));
        const __m256 vc = _mm256_fmadd_ps(vf, tft_load(c + j, left), _mm256_mul_ps(vi, vg));
        tft_store(in, left, vi);
        tft_store(forget, left, vf);
        tft_store(fresh, left, vg);
        tft_store(out, left, vo);
        tft_store(c + j, left, vc);
        tft_store(h + j, left, _mm256_mul_ps(vo, tft_tanh8(vc)));
    }
}

void tft_lstm_avx2(size_t steps, size_t n, float *gates, const float *w, float *h, float *c,
                   float *y, float *cells)
{
    for (size_t t = 0; t < steps; t++) {
        add_recurrent(n, h, w, gates + t * 4 * n);
        cell(n, gates + t * 4 * n, h, c);
        memcpy(y + t * n, h, n * sizeof *h);
        memcpy(cells + t * n, c, n * sizeof *c);
    }
}

#else
typedef int tft_lstm_avx2_not_built;
#endif
