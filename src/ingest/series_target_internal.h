/* What the files of a target share. */
#ifndef FW_INGEST_SERIES_TARGET_INTERNAL_H
#define FW_INGEST_SERIES_TARGET_INTERNAL_H

#include "ingest/series_target.h"

#include <assert.h>

/* Bits of series_slot.present beyond the gauges. */
enum { PRESENT_TIME = GAUGES, PRESENT_BOOT = GAUGES + 1 };
static_assert(PRESENT_BOOT < 32, "present is too small");
static_assert(GROUP_COUNT <= 8 && SERIES_SUMS_MAX <= 8, "dirty and unknown are too small");

static inline uint8_t series_group_bit(enum series_group group)
{
    return (uint8_t)(1u << group);
}

/* ---- series_target_part.c ---- */

/* Never 0. */
uint64_t series_part_key(uint64_t part, int role);
struct series_part *series_part_find(const struct series_target *target,
                                     uint64_t key); /* or NULL */
/* One that is not there yet, without a sample: time_ms -1. NULL: no room for it. Others may move.
 */
struct series_part *series_part_add(struct series_target *target, uint64_t key);
/* Others may move. */
void series_part_remove(struct series_target *target, struct series_part *part);
/* One of the part's last two samples; false when neither is of that time. */
bool series_part_value(const struct series_target *target, uint64_t key, int64_t time_ms,
                       double *value);

#endif
