#include "tft/kernels/internal.h"

#include "tft/kernels/vecmath_avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

enum { ROWS = 4, COLUMNS = 2 * TFT_LANES };

/* ROWS x COLUMNS outputs stay in registers over all inputs. Every output is bias, then one fused
 * multiply-add an input in order, in every variant below, so a row's bits do not depend on its
 * neighbours. */
static inline void tile(size_t rows, size_t n_in, size_t n_out, const float *x, size_t x_stride,
                        const float *w, const float *b, float *y)
{
    __m256 sum[ROWS][2];
    const __m256 b0 = b == NULL ? _mm256_setzero_ps() : _mm256_loadu_ps(b);
    const __m256 b1 = b == NULL ? _mm256_setzero_ps() : _mm256_loadu_ps(b + TFT_LANES);
    TFT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        sum[r][0] = b0;
        sum[r][1] = b1;
    }
    for (size_t i = 0; i < n_in; i++, w += n_out) {
        const __m256 w0 = _mm256_loadu_ps(w), w1 = _mm256_loadu_ps(w + TFT_LANES);
        TFT_UNROLL
        for (size_t r = 0; r < rows; r++) {
            const __m256 xi = _mm256_broadcast_ss(x + r * x_stride + i);
            sum[r][0] = _mm256_fmadd_ps(xi, w0, sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(xi, w1, sum[r][1]);
        }
    }
    TFT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        _mm256_storeu_ps(y + r * n_out, sum[r][0]);
        _mm256_storeu_ps(y + r * n_out + TFT_LANES, sum[r][1]);
    }
}

/* The same for the last columns, fewer than COLUMNS: one or two vectors, the last in part. */
static inline void edge(size_t rows, size_t columns, size_t n_in, size_t n_out, const float *x,
                        size_t x_stride, const float *w, const float *b, float *y)
{
    for (size_t at = 0; at < columns; at += TFT_LANES) {
        const size_t left = columns - at;
        const __m256 bias = b == NULL ? _mm256_setzero_ps() : tft_load(b + at, left);
        const float *wi = w + at;
        __m256 sum[ROWS];
        TFT_UNROLL
        for (size_t r = 0; r < rows; r++)
            sum[r] = bias;
        for (size_t i = 0; i < n_in; i++, wi += n_out) {
            const __m256 part = tft_load(wi, left);
            TFT_UNROLL
            for (size_t r = 0; r < rows; r++)
                sum[r] = _mm256_fmadd_ps(_mm256_broadcast_ss(x + r * x_stride + i), part, sum[r]);
        }
        TFT_UNROLL
        for (size_t r = 0; r < rows; r++)
            tft_store(y + r * n_out + at, left, sum[r]);
    }
}

void tft_linear_avx2(size_t rows, size_t n_in, size_t n_out, const float *x, size_t x_stride,
                     const float *w, const float *b, float *y)
{
    const size_t whole = n_out / COLUMNS * COLUMNS;
    size_t r = 0;
    for (; r + ROWS <= rows; r += ROWS) {
        const float *xr = x + r * x_stride;
        float *yr = y + r * n_out;
        for (size_t o = 0; o < whole; o += COLUMNS)
            tile(ROWS, n_in, n_out, xr, x_stride, w + o, b == NULL ? NULL : b + o, yr + o);
        edge(ROWS, n_out - whole, n_in, n_out, xr, x_stride, w + whole,
             b == NULL ? NULL : b + whole, yr + whole);
    }
    for (; r < rows; r++) {
        const float *xr = x + r * x_stride;
        float *yr = y + r * n_out;
        for (size_t o = 0; o < whole; o += COLUMNS)
            tile(1, n_in, n_out, xr, x_stride, w + o, b == NULL ? NULL : b + o, yr + o);
        edge(1, n_out - whole, n_in, n_out, xr, x_stride, w + whole, b == NULL ? NULL : b + whole,
             yr + whole);
    }
}

#else
typedef int tft_linear_avx2_not_built;
#endif
