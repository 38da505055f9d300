/* The archiver's inside: archiver.c (turns, what is due) and archiver_blocks.c (one block, one
 * transaction). */
#ifndef FW_DAEMON_ARCHIVER_INTERNAL_H
#define FW_DAEMON_ARCHIVER_INTERNAL_H

#include "archive/archive.h"
#include "daemon/archiver.h"

#include <pthread.h>

enum {
    ARCHIVER_BATCH_BLOCKS = 64, /* of one transaction */
    ARCHIVER_BATCH_BYTES = ARCHIVER_BATCH_BLOCKS * ARCHIVE_BLOCK_MAX,
};

/* A block that waits for its transaction. */
struct archiver_waiting {
    char server[SERVER_NAME_MAX + 1];
    int64_t number;
    size_t offset, len; /* in archiver->bytes */
    bool replaces;
};

/* A server whose changes were taken, and are given back if the transaction fails. */
struct archiver_in_flight {
    size_t slot;
    int64_t changed;
};

struct archiver {
    struct archiver_options options;
    uint32_t step_s;
    int64_t *turns; /* (turn_count) the last turn that a slot had */
    size_t turn_count;
    size_t cursor;            /* the slot that a tick begins with */
    int64_t next_ms, last_ms; /* monotonic: the next tick with work, and the one before */
    int64_t newest_step;      /* of all servers seen; -1: none */
    bool counted;

    struct archive_codec *codec;
    struct archive_block *block, *kept;
    struct fleet_view view;
    int64_t view_first; /* step of the view's first column */
    struct fw_buf stored, bytes;
    struct archiver_waiting waiting[ARCHIVER_BATCH_BLOCKS];
    size_t waiting_count;
    struct archiver_in_flight *in_flight; /* (in_flight_cap) */
    size_t in_flight_count, in_flight_cap;

    pthread_mutex_t lock; /* over stats */
    struct archiver_stats stats;
};

#define ARCHIVER_NO_TURN INT64_MIN

void archiver_count(struct archiver *archiver, uint64_t *what, uint64_t by);

/* Looks at a block of the server in archiver->view; what is news waits for the transaction. */
FW_MUST_CHECK enum fw_status archiver_take_block(struct archiver *archiver, int64_t number,
                                                 struct fw_error *err);
/* Writes what waits. On failure what was taken since the last time is news again. */
FW_MUST_CHECK enum fw_status archiver_commit(struct archiver *archiver, struct fw_error *err);
/* Ends a round: commits after FW_OK, else gives back what was taken; `status` or the commit's. */
FW_MUST_CHECK enum fw_status archiver_finish(struct archiver *archiver, enum fw_status status,
                                             struct fw_error *err);

#endif
