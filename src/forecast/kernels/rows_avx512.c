#include "forecast/kernels/rows.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)

#if !defined(__clang__)
#pragma GCC target("prefer-vector-width=512")
#endif
#define ROWS_TABLE row_kernels_avx512_table
#define ROWS_NAME "avx512"
#include "forecast/kernels/rows_body.inc"

#else
typedef int row_kernels_avx512_not_built;
#endif
