#include "forecast/kernels/rows.h"

#include <stdatomic.h>

#define ROWS_TABLE row_kernels_plain_table
#define ROWS_NAME "plain"
#include "forecast/kernels/rows_body.inc"

const struct row_kernels *row_kernels_plain(void)
{
    return &row_kernels_plain_table;
}

#if defined(__x86_64__)

const struct row_kernels *row_kernels_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &row_kernels_avx2_table
                                                                           : NULL;
}

const struct row_kernels *row_kernels_avx512(void)
{
    const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return has ? &row_kernels_avx512_table : NULL;
}

#else

const struct row_kernels *row_kernels_avx2(void)
{
    return NULL;
}

const struct row_kernels *row_kernels_avx512(void)
{
    return NULL;
}

#endif

/* Asked for a dozen times a metric, so the processor is asked once. */
const struct row_kernels *row_kernels_best(void)
{
    static const struct row_kernels *_Atomic chosen;
    const struct row_kernels *best = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (best != NULL)
        return best;
    const struct row_kernels *avx2 = row_kernels_avx2(), *avx512 = row_kernels_avx512();
    best = avx512 != NULL ? avx512 : avx2 != NULL ? avx2 : row_kernels_plain();
    atomic_store_explicit(&chosen, best, memory_order_relaxed);
    return best;
}
