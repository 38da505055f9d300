/* What the benches of the network share: a clock, and the peak to compare with. */
#ifndef FW_BENCH_TFT_H
#define FW_BENCH_TFT_H

#include "base/clock.h"
#include "tft/measure.h"

#include <stdio.h>
#include <stdlib.h>

static double now_ms(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) / 1e6;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memory;
}

/* Of one set of kernels, GFLOP/s. */
static double fma_peak(enum tft_set set)
{
    return tft_peak_flops(set) / 1e9;
}

#endif
