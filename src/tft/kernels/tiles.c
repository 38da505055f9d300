#include "tft/kernels/tiles.h"

#define TILES_TABLE tft_tiles_plain
#define TILES_NAME "plain"
#include "tft/kernels/tiles_body.inc"

void tft_panels_fill(size_t most, size_t n_in, size_t n_out, const float *w, float factor,
                     float *panels)
{
    for (size_t k = 0; k < tft_panels(most, n_out); k++) {
        const size_t rows = tft_panel_size(most, n_out, k);
        for (size_t i = 0; i < n_in; i++) {
            for (size_t r = 0; r < rows; r++)
                *panels++ = w[r * n_in + i] * factor;
        }
        w += rows * n_in;
    }
}

const struct tft_tiles *tft_tiles_of(enum tft_set set)
{
    static const struct tft_tiles *const tables[TFT_SETS] = {
        [TFT_SET_PLAIN] = &tft_tiles_plain,
#if defined(__x86_64__)
        [TFT_SET_AVX2] = &tft_tiles_avx2,
        [TFT_SET_AVX512] = &tft_tiles_avx512,
#endif
    };
    return tft_set_runs(set) ? tables[set] : NULL;
}

const struct tft_tiles *tft_tiles_best(void)
{
    return tft_tiles_of(tft_set_best());
}
