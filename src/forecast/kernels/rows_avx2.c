#include "forecast/kernels/rows.h"

#if defined(__AVX2__)

#define ROWS_TABLE row_kernels_avx2_table
#define ROWS_NAME "avx2"
#include "forecast/kernels/rows_body.inc"

#else
typedef int row_kernels_avx2_not_built;
#endif
