/* Blocks for tests, and the error that docs/formats/history.md allows. */
#ifndef FW_TESTS_ARCHIVE_BLOCK_SUPPORT_H
#define FW_TESTS_ARCHIVE_BLOCK_SUPPORT_H

#include "support.h"

#include "archive/block.h"

#include <float.h>
#include <stdlib.h>

/* An empty block; free()d. */
static inline struct archive_block *block_new(uint32_t step_s, int64_t number)
{
    struct archive_block *block = calloc(1, sizeof *block);
    if (block == NULL)
        abort();
    block->step_s = step_s;
    block->number = number;
    return block;
}

static inline float *block_metric(struct archive_block *block, const char *name)
{
    struct archive_metric *metric = &block->metric[block->metrics++];
    if (block->metrics > ARCHIVE_METRICS_MAX)
        abort();
    snprintf(metric->name, sizeof metric->name, "%s", name);
    for (size_t i = 0; i < ARCHIVE_STEPS; i++)
        metric->values[i] = NAN;
    return metric->values;
}

/* The geometric mean of the changes that are not zero; worked out by roots instead of logarithms.
 */
static inline double block_typical_change(const float *values)
{
    double last = (double)NAN, product = 1.0;
    int n = 0, exponent = 0;
    for (size_t i = 0; i < ARCHIVE_STEPS; i++) {
        if (isnan(values[i]))
            continue;
        const double change = fabs((double)values[i] - last);
        last = (double)values[i];
        if (!(change > 0.0))
            continue;
        int by;
        product = frexp(product * change, &by);
        exponent += by;
        n++;
    }
    return n == 0 ? 0.0 : pow(product, 1.0 / n) * exp2((double)exponent / n);
}

/* Half a quantum, which is at most a 32nd, and the rounding to float. */
static inline double block_error_allowed(double typical, float value)
{
    return typical / 64.0 * (1.0 + 1e-9) + fabs((double)value) * 0x1p-24 + 0x1p-150;
}

static inline void check_block_values(const char *name, const float *values, const float *back)
{
    const double typical = block_typical_change(values);
    for (size_t i = 0; i < ARCHIVE_STEPS; i++) {
        CHECK_EQ(name, isnan(back[i]) != 0, isnan(values[i]) != 0);
        if (!isnan(values[i]))
            CHECK_NEAR(name, back[i], values[i], block_error_allowed(typical, values[i]));
    }
}

#endif
