#include "tft/kernels/backward_internal.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "tft/kernels/backward_body.h"
#include "tft/kernels/vecmath_avx2.h"

enum { TILE_A = 4, TILE_B = 2 * TFT_LANES };

/* TILE_A x TILE_B sums stay in registers over all rows. */
static inline void tile(size_t n_tile, size_t rows, size_t n_b, const float *a, size_t a_stride,
                        const float *b, size_t b_stride, float *out)
{
    __m256 sum[TILE_A][2];
    TFT_UNROLL
    for (size_t i = 0; i < n_tile; i++) {
        sum[i][0] = _mm256_loadu_ps(out + i * n_b);
        sum[i][1] = _mm256_loadu_ps(out + i * n_b + TFT_LANES);
    }
    for (size_t r = 0; r < rows; r++, a += a_stride, b += b_stride) {
        const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + TFT_LANES);
        TFT_UNROLL
        for (size_t i = 0; i < n_tile; i++) {
            const __m256 ai = _mm256_broadcast_ss(a + i);
            sum[i][0] = _mm256_fmadd_ps(ai, b0, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(ai, b1, sum[i][1]);
        }
    }
    TFT_UNROLL
    for (size_t i = 0; i < n_tile; i++) {
        _mm256_storeu_ps(out + i * n_b, sum[i][0]);
        _mm256_storeu_ps(out + i * n_b + TFT_LANES, sum[i][1]);
    }
}

/* The same for the last columns: one vector, the last in part. */
static inline void edge(size_t n_tile, size_t rows, size_t left, size_t n_b, const float *a,
                        size_t a_stride, const float *b, size_t b_stride, float *out)
{
    __m256 sum[TILE_A];
    TFT_UNROLL
    for (size_t i = 0; i < n_tile; i++)
        sum[i] = tft_load(out + i * n_b, left);
    for (size_t r = 0; r < rows; r++, a += a_stride, b += b_stride) {
        const __m256 part = tft_load(b, left);
        TFT_UNROLL
        for (size_t i = 0; i < n_tile; i++)
            sum[i] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + i), part, sum[i]);
    }
    TFT_UNROLL
    for (size_t i = 0; i < n_tile; i++)
        tft_store(out + i * n_b, left, sum[i]);
}

static inline void strip(size_t n_tile, size_t rows, size_t n_b, const float *a, size_t a_stride,
                         const float *b, size_t b_stride, float *out)
{
    size_t j = 0;
    for (; j + TILE_B <= n_b; j += TILE_B)
        tile(n_tile, rows, n_b, a, a_stride, b + j, b_stride, out + j);
    for (; j < n_b; j += TFT_LANES)
        edge(n_tile, rows, n_b - j, n_b, a, a_stride, b + j, b_stride, out + j);
}

static void outer_add(size_t rows, size_t n_a, size_t n_b, const float *a, size_t a_stride,
                      const float *b, size_t b_stride, float *out)
{
    size_t i = 0;
    for (; i + TILE_A <= n_a; i += TILE_A)
        strip(TILE_A, rows, n_b, a + i, a_stride, b, b_stride, out + i * n_b);
    for (; i < n_a; i++)
        strip(1, rows, n_b, a + i, a_stride, b, b_stride, out + i * n_b);
}

static void elu(size_t n, const float *y, float *dy)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    for (size_t i = 0; i < n; i += TFT_LANES) {
        const __m256 out = tft_load(y + i, n - i);
        /* y + 1 is 1 at most where y <= 0, so the smaller of both is the slope on either side. */
        const __m256 slope = _mm256_min_ps(_mm256_add_ps(out, one), one);
        tft_store(dy + i, n - i, _mm256_mul_ps(tft_load(dy + i, n - i), slope));
    }
}

static void glu_row(size_t n, float *a, float *g, const float *dy)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    for (size_t j = 0; j < n; j += TFT_LANES) {
        const size_t left = n - j;
        const __m256 s = tft_sigmoid8(tft_load(g + j, left));
        const __m256 da = _mm256_mul_ps(tft_load(dy + j, left), s);
        const __m256 dg =
            _mm256_mul_ps(_mm256_mul_ps(da, tft_load(a + j, left)), _mm256_sub_ps(one, s));
        tft_store(g + j, left, dg);
        tft_store(a + j, left, da);
    }
}

static void glu(size_t rows, size_t n, float *gates, const float *dy)
{
    for (size_t r = 0; r < rows; r++)
        glu_row(n, gates + 2 * r * n, gates + 2 * r * n + n, dy + r * n);
}

/* dh = d w, with four partial sums, since one chain of 4 n additions would wait for itself. */
static void state_gradient(size_t n, const float *d, const float *w, float *dh)
{
    for (size_t j = 0; j < n; j += TFT_LANES) {
        const size_t left = n - j;
        __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                         _mm256_setzero_ps()};
        for (size_t k = 0; k < 4 * n; k += 4) {
            TFT_UNROLL
            for (size_t p = 0; p < 4; p++)
                sum[p] = _mm256_fmadd_ps(_mm256_broadcast_ss(d + k + p),
                                         tft_load(w + (k + p) * n + j, left), sum[p]);
        }
        tft_store(dh + j, left,
                  _mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3])));
    }
}

static void lstm(size_t steps, size_t n, float *gates, const float *cells, const float *c_first,
                 const float *w, const float *dy, float *dh, float *dc)
{
    for (size_t t = steps; t-- > 0;) {
        float *here = gates + t * 4 * n;
        body_lstm_cell(n, here, cells + t * n, t == 0 ? c_first : cells + (t - 1) * n, dy + t * n,
                       dh, dc);
        state_gradient(n, here, w, dh);
    }
}

const struct tft_backward_kernels *tft_backward_avx2_table(void)
{
    static const struct tft_backward_kernels avx2 = {
        .name = "avx2",
        .outer_add = outer_add,
        .sum_rows = body_sum_rows,
        .elu = elu,
        .glu = glu,
        .layer_norm = body_layer_norm,
        .softmax = body_softmax,
        .lstm = lstm,
        .drop = body_drop,
        .add = body_add,
    };
    return &avx2;
}

#else

const struct tft_backward_kernels *tft_backward_avx2_table(void)
{
    return NULL;
}

#endif
