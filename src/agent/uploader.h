/* The agent's memory while the daemon is away: a bounded queue of readings, posted oldest first in
 * batches, with growing pauses after failures.
 *
 * What an answer means:
 *   2xx              taken; the next batch follows at once
 *   429, 5xx, none   kept; tried again after Retry-After, or after 1 s doubling up to 5 min, each
 * varied by +-50 % 401, 403, 408    kept likewise: a key that an operator has to put right must not
 * cost a day of samples 413              kept, and the batch is halved; a single record that is too
 * large is dropped 3xx              kept: redirects are not followed, the URL has to be put right
 *   other 4xx        dropped: repeating it would not help
 * One line is logged per change of state, not per post. One thread at a time; time is passed in. */
#ifndef FW_AGENT_UPLOADER_H
#define FW_AGENT_UPLOADER_H

#include "agent/client.h"
#include "agent/host.h"
#include "base/buf.h"
#include "base/rng.h"

struct agent_uploader;

typedef void (*agent_post_fn)(void *ctx, const char *body, size_t len, struct agent_answer *answer);

struct agent_uploader_options {
    const char *server_name;        /* copied */
    const struct label_set *labels; /* of it; NULL: none. Outlives the uploader */
    size_t queue_max;               /* readings kept; the oldest go first beyond it. At least 1 */
    size_t batch_max;               /* readings a post; 0: 500 */
    agent_post_fn post;
    void *post_ctx;
    uint64_t seed; /* of the variation of pauses */
};

FW_MUST_CHECK enum fw_status agent_uploader_new(const struct agent_uploader_options *options,
                                                struct agent_uploader **out, struct fw_error *err);
void agent_uploader_free(struct agent_uploader *uploader);

/* Adds a reading; a reading without any value is let go. */
void agent_uploader_push(struct agent_uploader *uploader, const struct agent_reading *reading);

/* Posts what is queued, batch by batch, until the queue is empty, a post fails, or the pause after
 * a failure is not over at mono_ms. `last_try` posts even during a pause. True when the queue is
 * empty at the end. */
bool agent_uploader_run(struct agent_uploader *uploader, int64_t mono_ms, bool last_try);

/* When the next try is due: INT64_MAX with an empty queue, 0 when at once. */
int64_t agent_uploader_due_ms(const struct agent_uploader *uploader);

struct agent_uploader_counts {
    size_t queued;
    uint64_t sent;     /* readings that a daemon took */
    uint64_t refused;  /* dropped because of its answer */
    uint64_t overflow; /* dropped because the queue was full */
    uint64_t posts, failed_posts;
};
void agent_uploader_counts(const struct agent_uploader *uploader,
                           struct agent_uploader_counts *counts);

#endif
