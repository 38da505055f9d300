/* The rows of a group of hosts, once all are there, in the order in which a daemon should have
 * them.
 *
 * Server by server, each from its newest row to its oldest: so a server is never seen as one that
 * fell silent days ago, and whatever moment somebody looks at it, what is there has no hole that is
 * filled later. Forecasters learn from every step once, in the order of time. */
#ifndef FW_BACKFILL_ROWS_H
#define FW_BACKFILL_ROWS_H

#include "domain/batch.h"

struct backfill_rows {
    int64_t begin_ms; /* rows before it are dropped: they only served to know the counters */
    int64_t alive_ms; /* servers without a row at or after it are dropped; 0: none is */
    size_t gone;      /* out: such servers, */
    char a_gone[64];  /* one of them, perhaps cut off; "" without any */
    int64_t first_ms, last_ms; /* out, of what is left; 0 without any */
};

/* FW_ENOMEM. */
FW_MUST_CHECK enum fw_status backfill_rows_finish(struct backfill_rows *rows,
                                                  struct sample_batch *batch);

#endif
