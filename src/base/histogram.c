#include "base/histogram.h"

#include "base/status.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)

const uint64_t fw_histogram_durations_ns[18] = {
    50 * US, 100 * US, 250 * US, 500 * US, 1 * MS, 2500 * US, 5 * MS, 10 * MS, 25 * MS,
    50 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * S,  2500 * MS, 5 * S,  10 * S,  30 * S};

void fw_histogram_init(struct fw_histogram *histogram, const uint64_t *bounds, size_t n)
{
    assert(n >= 1 && n <= FW_HISTOGRAM_BOUNDS_MAX);
    histogram->bounds = bounds;
    histogram->n = n;
    for (size_t i = 0; i <= FW_HISTOGRAM_BOUNDS_MAX; i++)
        atomic_init(&histogram->buckets[i], 0);
    atomic_init(&histogram->sum, 0);
    atomic_init(&histogram->max, 0);
}

void fw_histogram_init_durations(struct fw_histogram *histogram)
{
    fw_histogram_init(histogram, fw_histogram_durations_ns, COUNT(fw_histogram_durations_ns));
}

void fw_histogram_record(struct fw_histogram *histogram, uint64_t value)
{
    size_t bucket = 0;
    while (bucket < histogram->n && value > histogram->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
    uint64_t seen = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    while (value > seen &&
           !atomic_compare_exchange_weak_explicit(&histogram->max, &seen, value,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void fw_histogram_read(const struct fw_histogram *histogram, struct fw_histogram_view *out)
{
    memset(out, 0, sizeof *out);
    out->bounds = histogram->bounds;
    out->n = histogram->n;
    for (size_t i = 0; i <= histogram->n; i++) {
        out->buckets[i] = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        out->count += out->buckets[i];
    }
    out->sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    out->max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
}

uint64_t fw_histogram_quantile(const struct fw_histogram_view *view, double q)
{
    assert(q >= 0.0 && q <= 1.0);
    if (view->count == 0)
        return 0;
    const double wanted = q * (double)view->count;
    double below = 0.0;
    for (size_t i = 0; i <= view->n; i++) {
        const double here = (double)view->buckets[i];
        if (below + here >= wanted && here > 0.0) {
            const uint64_t low = i == 0 ? 0 : view->bounds[i - 1];
            uint64_t high = i < view->n ? view->bounds[i] : view->max;
            if (high > view->max)
                high = view->max;
            if (high < low)
                high = low;
            return low + (uint64_t)((double)(high - low) * (wanted - below) / here);
        }
        below += here;
    }
    return view->max;
}
