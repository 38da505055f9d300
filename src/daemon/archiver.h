/* Who writes the long history: blocks of the windows go into history.db, so that 60 days can be
 * learned from when the windows hold three.
 *
 * A server has a turn every ARCHIVER_TURN_STEPS steps, at a time of its own, so that a large fleet
 * never writes at once. In its turn every block is written that ended ARCHIVER_DELAY_STEPS ago and
 * changed since it was written, so also one that a late sample changed; all of its blocks once the
 * server has been silent for half the time after which it is forgotten. What the store has already
 * is found by asking the store: after a start, clean or not, every block in the windows is compared
 * with what is there.
 *
 * What fails is told, counted and tried again; nothing waits for it.
 *
 * Threads: archiver_stats() from any; the rest from one at a time. */
#ifndef FW_DAEMON_ARCHIVER_H
#define FW_DAEMON_ARCHIVER_H

#include "base/clock.h"
#include "fleet/fleet.h"
#include "store/io.h"
#include "store/state.h"

enum { ARCHIVER_DELAY_STEPS = 12, ARCHIVER_TURN_STEPS = 12 };

struct archiver;

struct archiver_options {
    struct fleet *fleet;       /* these three outlive the archiver */
    struct store_state *state; /* history.db */
    const struct fw_clock *clock;
    unsigned days;             /* what is older than this before the newest sample is removed */
    const char *directory;     /* of history.db, to ask for free space; NULL: not asked */
    const struct store_io *io; /* NULL: the system's */
    uint64_t reserve_bytes;    /* that are left to the journal: with less free nothing is written */
};

/* FW_ENOMEM. */
FW_MUST_CHECK enum fw_status archiver_new(const struct archiver_options *options,
                                          struct archiver **out, struct fw_error *err);
void archiver_free(struct archiver *archiver); /* NULL does nothing */

/* Whether there are windows that stood still for so long that a sample of now would push steps out
 * of them which may not have been written. Needs no archiver. */
bool archiver_urgent(const struct fleet *fleet, const struct fw_clock *clock);
/* Writes those windows, all of them; when it is urgent, before samples are taken. */
void archiver_catch_up(struct archiver *archiver);

/* Whatever is due; about once a second. Bounded, so that the caller's other work goes on. */
void archiver_tick(struct archiver *archiver);

struct archiver_stats {
    bool failing;        /* the last try failed */
    uint64_t blocks;     /* held */
    uint64_t file_bytes; /* of history.db */
    int64_t oldest_s;    /* when the oldest block begins; -1: none */
    /* Since the start: */
    uint64_t written;      /* blocks, the next among them */
    uint64_t rewritten;    /* in place of an earlier one */
    uint64_t removed;      /* for their age */
    uint64_t failures;     /* tries that failed */
    uint64_t damaged;      /* blocks met that could not be read; written anew */
    uint64_t missed_steps; /* left their window before they were written */
};
void archiver_stats(struct archiver *archiver, struct archiver_stats *stats);

#endif
