/* Samples for forewarn's own form of model (forecast/ladder.h): every metric of every server is
 * replayed through its track, as the daemon would have seen it, and at some origins what the
 * network would be shown is put aside, with what came. Some series are replayed with values taken
 * away, or as if they had begun late. The pool is drawn from, never grown: 700 bytes a sample, and
 * at most so many of them whatever the size of the data. */
#ifndef FW_TRAIN_POOL_H
#define FW_TRAIN_POOL_H

#include "base/status.h"
#include "history/history.h"
#include "tft/gradient.h"

#include <stdbool.h>

struct train_pool; /* opaque; immutable once made, but for the workers' rooms */

struct train_pool_options {
    size_t samples_max;      /* to learn from */
    size_t validation_max;   /* held out: origins in the last `validation` of each series */
    double validation;       /* 0 to 1 */
    size_t workers;          /* rooms for fetching, and threads for replaying */
    uint64_t seed;           /* the same pool for the same data, whatever the threads */
    bool (*stop)(void *ctx); /* may be NULL; asked between series on the caller's thread: true ends
                                the filling with what there is */
    void *ctx;
};

/* Replays the history. FW_EINVAL: no series is long enough (a track needs two days, and the
 * held-out time a horizon); FW_ENOMEM. */
FW_MUST_CHECK enum fw_status train_pool_new(const struct history *data,
                                            const struct train_pool_options *options,
                                            struct train_pool **out, struct fw_error *err);
void train_pool_free(struct train_pool *pool); /* NULL does nothing */

size_t train_pool_size(const struct train_pool *pool);       /* samples to learn from */
size_t train_pool_validation(const struct train_pool *pool); /* those held out */

/* One of the pool (from random bits): the place, and which steps of the rungs are asked for. */
struct train_pick {
    size_t sample; /* below the size; held-out ones follow: size + i */
    uint64_t steps;
};
struct train_pick train_pool_draw(const struct train_pool *pool, uint64_t random);

/* Fills a worker's room: one step of each rung is observed. `weight`: of an observation. */
void train_pool_fetch(struct train_pool *pool, struct train_pick pick, size_t worker, float weight,
                      struct tft_gradient_series *out);

#endif
