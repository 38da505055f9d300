/* Rows to a daemon's POST /feed/data, thousands a time, and what it said to them. One thread. */
#ifndef FW_CLI_DELIVERY_H
#define FW_CLI_DELIVERY_H

#include "cli/poster.h"
#include "domain/batch.h"

struct cli_delivery;

/* `poster` NULL: counts only. Both outlive it. NULL when out of memory. */
struct cli_delivery *cli_delivery_new(struct cli_poster *poster, const struct schema *schema);
void cli_delivery_free(struct cli_delivery *delivery);

/* Takes the batch's rows, which stand server by server; posts when enough have come together. Rows
 * of one server go into one post, so that the daemon has all of them or none, unless they are too
 * many for any. As cli_poster_post(); FW_ENOMEM. */
FW_MUST_CHECK enum fw_status cli_delivery_put(struct cli_delivery *delivery,
                                              const struct sample_batch *batch,
                                              struct fw_error *err);
/* Posts the rest. */
FW_MUST_CHECK enum fw_status cli_delivery_flush(struct cli_delivery *delivery,
                                                struct fw_error *err);

struct cli_delivery_counts {
    uint64_t records; /* posted, or put where nothing is posted */
    uint64_t accepted, rejected;
    uint64_t rejected_by[BATCH_REASON_COUNT]; /* of `rejected` */
    uint64_t stored, duplicates, refused;     /* values of accepted records */
    char first_rejection[128];
    size_t servers;
    const char *a_server; /* one of them; NULL: none */
};
void cli_delivery_counts(struct cli_delivery *delivery, struct cli_delivery_counts *counts);

#endif
