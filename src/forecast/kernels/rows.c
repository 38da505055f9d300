#include "forecast/kernels/rows.h"

#include "tft/kernels/set.h"

#include <stdatomic.h>

#define ROWS_TABLE row_kernels_plain_table
#define ROWS_NAME "plain"
#include "forecast/kernels/rows_body.inc"

static const struct row_kernels *table_of(enum tft_set set)
{
    static const struct row_kernels *const tables[TFT_SETS] = {
        [TFT_SET_PLAIN] = &row_kernels_plain_table,
#if defined(__x86_64__)
        [TFT_SET_AVX2] = &row_kernels_avx2_table,
        [TFT_SET_AVX512] = &row_kernels_avx512_table,
#endif
    };
    return tft_set_runs(set) ? tables[set] : NULL;
}

const struct row_kernels *row_kernels_plain(void)
{
    return table_of(TFT_SET_PLAIN);
}

const struct row_kernels *row_kernels_avx2(void)
{
    return table_of(TFT_SET_AVX2);
}

const struct row_kernels *row_kernels_avx512(void)
{
    return table_of(TFT_SET_AVX512);
}

/* Asked for a dozen times a metric, so the processor is asked once. */
const struct row_kernels *row_kernels_best(void)
{
    static const struct row_kernels *_Atomic chosen;
    const struct row_kernels *best = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (best == NULL) {
        best = table_of(tft_set_best());
        atomic_store_explicit(&chosen, best, memory_order_relaxed);
    }
    return best;
}
