/* Feeds a simulated fleet to a daemon: history at once, then step by step as time passes. Used by
 * `simulate` and `demo`. One thread; SIGINT and SIGTERM must be blocked in it
 * (cli_poster_block_signals), and end a wait or a post. */
#ifndef FW_CLI_FEEDER_H
#define FW_CLI_FEEDER_H

#include "base/clock.h"
#include "base/status.h"
#include "simulate/fleet.h"

#include <stdbool.h>

struct cli_feeder;

struct cli_feeder_options {
    struct simulate_fleet *fleet; /* outlives the feeder */
    const char *url;
    const char *api_key;          /* NULL: none */
    const struct fw_clock *clock; /* whose time the live steps keep; NULL: the system's */
    /* The simulated time runs so many times as fast as the clock until it has caught up with it:
     * samples from the future would be refused. 1 or more. */
    double speed;
};

FW_MUST_CHECK enum fw_status cli_feeder_new(const struct cli_feeder_options *options,
                                            struct cli_feeder **out, struct fw_error *err);
void cli_feeder_free(struct cli_feeder *feeder);

/* Posts every step before until_ms, thousands of records a time. While the daemon is away or busy
 * it waits and tries again. FW_EINVAL: the daemon refuses what it gets, err has its words;
 * FW_ETIMEOUT: stopped by a signal. */
FW_MUST_CHECK enum fw_status cli_feeder_history(struct cli_feeder *feeder, int64_t until_ms,
                                                struct fw_error *err);

/* Posts the steps that are due now; as above. The first call begins the live time. */
FW_MUST_CHECK enum fw_status cli_feeder_live(struct cli_feeder *feeder, struct fw_error *err);

struct cli_feeder_counts {
    uint64_t records, posts, retries,
        rejected; /* rejected: records that the daemon did not take out of a taken body */
};
void cli_feeder_counts(const struct cli_feeder *feeder, struct cli_feeder_counts *counts);

#endif
