/* Counts of values in fixed buckets: how long syncs, requests and forecast runs take.
 *
 * Values are unsigned integers in the caller's unit (durations: nanoseconds). Recording is
 * lock-free and wait-free; a view taken meanwhile may be one record ahead in one field and behind
 * in another. */
#ifndef FW_BASE_HISTOGRAM_H
#define FW_BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { FW_HISTOGRAM_BOUNDS_MAX = 24 };

struct fw_histogram {
    const uint64_t *bounds; /* ascending upper bounds, inclusive; not copied */
    size_t n;               /* of bounds; bucket n holds what is above the last one */
    _Atomic uint64_t buckets[FW_HISTOGRAM_BOUNDS_MAX + 1];
    _Atomic uint64_t sum;
    _Atomic uint64_t max;
};

/* A copy at rest. */
struct fw_histogram_view {
    const uint64_t *bounds;
    size_t n;
    uint64_t buckets[FW_HISTOGRAM_BOUNDS_MAX + 1]; /* by bucket, not cumulative */
    uint64_t count;
    uint64_t sum;
    uint64_t max;
};

/* 50 us, 100 us, 250 us, ... 10 s, 30 s in nanoseconds: the usual bounds for durations. */
extern const uint64_t fw_histogram_durations_ns[18];

/* Empties it. `bounds` has 1 to FW_HISTOGRAM_BOUNDS_MAX ascending values and must outlive the
 * histogram. Not thread-safe. */
void fw_histogram_init(struct fw_histogram *histogram, const uint64_t *bounds, size_t n);
/* With the usual bounds for durations in nanoseconds. */
void fw_histogram_init_durations(struct fw_histogram *histogram);

/* Thread-safe. */
void fw_histogram_record(struct fw_histogram *histogram, uint64_t value);
void fw_histogram_read(const struct fw_histogram *histogram, struct fw_histogram_view *out);

/* An estimate of the q-quantile (0 <= q <= 1), linear inside its bucket and never above the largest
 * value seen; 0 when nothing was recorded. */
uint64_t fw_histogram_quantile(const struct fw_histogram_view *view, double q);

#endif
