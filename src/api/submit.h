/* The one way from a decoded batch to an acknowledged one, whatever the protocol:
 * fleet_admit -> journal -> windows -> answer. A decoder's route fills a batch and says what to do
 * with the result. */
#ifndef FW_API_SUBMIT_H
#define FW_API_SUBMIT_H

#include "domain/batch.h"
#include "fleet/fleet.h"

struct api;
struct api_rules;

enum api_protocol { API_FEED, API_REMOTE_WRITE, API_INFLUX, API_OTLP, API_PROTOCOLS };
/* "feed", "remote_write", "influx", "otlp": the label of the counters. */
const char *api_protocol_name(enum api_protocol protocol);

struct api_submitted {
    /* FW_OK: the `accepted` rows are durable and in the windows, and so are labels that changed.
     * FW_ENOSPC: the disk is full; FW_EIO: the journal has failed; FW_ELIMIT: it is behind;
     * FW_ENOMEM. Then nothing was applied, and the client should try again. */
    enum fw_status status;
    uint64_t seq;              /* the journal's; 0 when nothing was written */
    size_t accepted, rejected; /* records */
    struct fleet_applied applied;
    const struct sample_batch *batch; /* with its errors and counts of refusals */
};

/* Called exactly once, on the journal's thread or the caller's. Must be quick. */
typedef void (*api_submitted_fn)(void *ctx, const struct api_submitted *result);

/* Takes over the batch, which is freed after `done`; `rules`, by which it was decoded, are retained
 * as long. Any thread. */
void api_submit(struct api *api, enum api_protocol protocol, struct api_rules *rules,
                struct sample_batch *batch, api_submitted_fn done, void *ctx);

#endif
