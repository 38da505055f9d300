/* Counts events per source in windows that begin with a source's first event: rate limits and
 * brute-force protection.
 *
 * The table has a fixed size. When a million sources crowd it, the slot with the fewest events
 * gives way, so that what is lost first is what matters least: a source near its limit keeps its
 * count. Thread-safe. */
#ifndef FW_HTTP_LIMITER_H
#define FW_HTTP_LIMITER_H

#include <stddef.h>
#include <stdint.h>

struct http_limiter;

/* window_ms: how long a window lasts; slots: how many sources it remembers, rounded up to a
 * multiple of 64; 24 bytes each. NULL when out of memory. */
struct http_limiter *http_limiter_new(size_t slots, uint32_t window_ms);
void http_limiter_free(struct http_limiter *limiter);

/* Adds `weight` (0: only look) to the count of `source` (a well-mixed hash; 0 is as good as any) at
 * monotonic time now_ms and returns the count in its window, this event included. *left_ms (may be
 * NULL): until the window ends; a full window when nothing was counted yet. */
uint32_t http_limiter_count(struct http_limiter *limiter, uint64_t source, uint32_t weight,
                            int64_t now_ms, uint32_t *left_ms);

#endif
