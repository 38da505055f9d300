/* From raw series to metrics: what was last heard of each target, and what is still being put
 * together of its newest scrapes.
 *
 * The samples of one scrape carry one time but may come in several requests, and several times may
 * be under way at once. Per target and time the book keeps a *slot* with a sum per group (CPU,
 * network, memory, ...). A group becomes values of a row when it is whole:
 *   - memory, swap, uptime: with their last member;
 *   - CPU, network, disk, java: with as many members as the target's settled scrapes had, or when
 *     two newer scrapes have begun; what comes even later is added and the values are given again;
 *   - close_wait: when it comes; when other states came and two newer scrapes have begun, it is 0.
 * A target's first scrape gives no rates and no disk: part of it may have gone to the process
 * before this one. Nothing is ever guessed: a counter that went back, a series that was not there
 * before (in the second scrape) or a pause of more than three intervals leaves its group out of
 * that scrape.
 *
 * All of this is memory only: a crash costs the values that were not whole yet, never makes wrong
 * ones. Threads: all functions lock. */
#ifndef FW_INGEST_SERIES_BOOK_H
#define FW_INGEST_SERIES_BOOK_H

#include "ingest/series_gather.h"
#include "ingest/series_names.h"

enum {
    SERIES_SLOTS = 4,        /* times of one target in the making, to begin with; later pieces are
                                dropped, and the number doubles */
    SERIES_SLOTS_MAX = 64,   /* for a sender whose queues run far apart while it catches up */
    SERIES_PARTS_MAX = 16384 /* counters and file systems of one target */
};

struct series_book;

struct series_book_options { /* zero means the default in brackets */
    size_t bytes_max;        /* of all targets [256 MiB] */
    int64_t idle_ms;         /* a target silent for so long may make room for another [15 min] */
    int64_t forget_ms;       /* and goes after so long in any case [2 h] */
};

/* NULL when out of memory. */
struct series_book *series_book_new(const struct series_book_options *options);
void series_book_free(struct series_book *book);

/* Forgets every target, as a restart does: for samples that mean something else from now on. Counts
 * go on. */
void series_book_forget(struct series_book *book);

/* Takes what a request brought (and sorts it) and adds the rows that became whole to the batch, one
 * record each. `now_ns`: the monotonic clock. FW_ENOMEM: the batch is not to be used, and what the
 * request brought may be missing from later values, never be in them twice. */
FW_MUST_CHECK enum fw_status series_book_take(struct series_book *book,
                                              struct series_gather *gather, int64_t now_ns,
                                              struct sample_batch *batch);

struct series_counts {
    size_t targets, bytes;
    /* samples, by what became of them */
    uint64_t mapped, ignored, unmapped, stale, not_finite, no_server;
    uint64_t repeated; /* had come before */
    uint64_t late;     /* of a time that is no longer in the making */
    uint64_t full;     /* no memory was left for their target, or it has too many parts */
};
void series_book_counts(struct series_book *book, struct series_counts *counts);
/* The names without meaning that brought most samples; *other is the sum over all that have no
 * count of their own. */
size_t series_book_unmapped(struct series_book *book, struct series_name *out, size_t n,
                            uint64_t *other);

#endif
