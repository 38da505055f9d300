/* A few threads behind a bounded queue, for what would hold up a request thread: decoding of large
 * bodies, rendering of large answers, loading of models. */
#ifndef FW_API_POOL_H
#define FW_API_POOL_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct api_pool;
typedef void (*api_pool_fn)(void *ctx);

/* `threads` of 1 to 16, at most `queue_max` jobs waiting; `nice` (0 to 19) is how far the threads
 * yield to those that answer requests. FW_ENOMEM, FW_EIO (no thread). */
FW_MUST_CHECK enum fw_status api_pool_new(unsigned threads, size_t queue_max, int nice,
                                          struct api_pool **out, struct fw_error *err);
/* Runs what waits, joins the threads. NULL does nothing. */
void api_pool_free(struct api_pool *pool);

/* False when the queue is full: nothing was taken. Any thread, not after api_pool_free() began. */
bool api_pool_submit(struct api_pool *pool, api_pool_fn fn, void *ctx);
/* Jobs waiting or running. */
size_t api_pool_busy(struct api_pool *pool);

#endif
