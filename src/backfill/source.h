/* A server with Prometheus' HTTP API (Prometheus, Thanos, Mimir, VictoriaMetrics): asks, waits and
 * asks again, and turns what comes instead of an answer into words. One thread. */
#ifndef FW_BACKFILL_SOURCE_H
#define FW_BACKFILL_SOURCE_H

#include "backfill/answer.h"

#include <stdint.h>

struct backfill_source;

struct backfill_source_options {
    const char *url;    /* http(s)://host[:port][/prefix], below which /api/v1 is; outlives it */
    const char *bearer; /* token; NULL: none */
    const char *basic;  /* user:password; NULL: none */
    /* Asked often; true ends a request or a wait. May be NULL. */
    bool (*interrupted)(void *ctx);
    void *ctx;
};

/* FW_EINVAL: not such a URL; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status backfill_source_new(const struct backfill_source_options *options,
                                                 struct backfill_source **out,
                                                 struct fw_error *err);
void backfill_source_free(struct backfill_source *source);

/* Both fail, with a text that names the server:
 *   FW_ELIMIT    the answer is longer than BACKFILL_ANSWER_MAX, or the server says that the query
 *                asks for too much (422, or 503 after a time-out of its own): ask for less
 *   FW_EIO       no answer, also not to repeated asking; or refused, in the server's own words
 *   FW_EINVAL    an answer that is not one of this API
 *   FW_ETIMEOUT  interrupted
 *   FW_ENOMEM */

/* Every value of a label in series that match the selector, between two times. */
FW_MUST_CHECK enum fw_status
backfill_source_values(struct backfill_source *source, const char *label,
                       const struct fw_buf *selector, int64_t begin_s, int64_t end_s,
                       bool (*take)(void *ctx, const char *text, size_t len), void *ctx,
                       struct fw_error *err);

/* The last sample of every step, for points begin_s, begin_s + step_s, ..., end_s: a step in which
 * there is none has none, so that a gap stays a gap. Onto *request, as backfill_read_matrix(). */
struct backfill_range {
    const char *name;
    const struct fw_buf *selector; /* with the name */
    int64_t begin_s, end_s;
    uint32_t step_s;
};
FW_MUST_CHECK enum fw_status backfill_source_range(struct backfill_source *source,
                                                   const struct backfill_range *range,
                                                   struct fw_buf *request, size_t *series,
                                                   size_t *samples, struct fw_error *err);

struct backfill_source_counts {
    uint64_t requests, repeated, bytes;
    size_t longest; /* bytes of the longest answer since backfill_source_mark() */
};
void backfill_source_counts(const struct backfill_source *source,
                            struct backfill_source_counts *counts);
void backfill_source_mark(struct backfill_source *source);

#endif
