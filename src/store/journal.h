/* The journal: records in, durable, out again in the same order after any crash
 * (docs/formats/journal.md).
 *
 * Promise: when done() was called with FW_OK, the record survives kill -9 and power loss. A record
 * refused with FW_ENOSPC or FW_EIO may or may not be there after a restart, whole, once, never
 * half; a caller that repeats it must tolerate seeing it twice under two sequences (samples are
 * idempotent, so they do). Damage costs the damaged record only, is counted, and its bytes are set
 * aside.
 *
 * Sequences start at 1 and grow; they have gaps only where records were refused after a failed
 * sync.
 *
 * Threads: append from any thread. One journal thread writes, syncs (one write and one fdatasync
 * for all records that came meanwhile) and calls every done(). */
#ifndef FW_STORE_JOURNAL_H
#define FW_STORE_JOURNAL_H

#include "base/clock.h"
#include "base/histogram.h"
#include "base/status.h"
#include "store/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_journal;

enum store_journal_state {
    STORE_JOURNAL_OK,     /* takes records */
    STORE_JOURNAL_FULL,   /* no room on the disk; looks again every probe_ms */
    STORE_JOURNAL_FAILED, /* a write or sync failed; reopens into a fresh segment, again every
                             probe_ms */
};

/* Zero means the default named behind each field, so `{0}` is a whole set of options. */
struct store_journal_options {
    const struct store_io *io;    /* store_io_system() */
    const struct fw_clock *clock; /* fw_clock_system() */
    const char *quarantine_dir;   /* "<dir>/quarantine"; made when first needed */
    uint64_t segment_bytes;       /* 64 MiB; a segment may pass it by one group */
    size_t record_bytes_max;      /* 64 MiB; a longer record is refused, a longer length on disk is
                                     damage */
    size_t queue_bytes_max; /* 128 MiB waiting or being written; not below record_bytes_max + 24 */
    uint64_t reserve_bytes; /* 1 MiB the journal leaves free on the disk, so that reads and a
                               restart work */
    uint64_t
        quarantine_bytes_max; /* 256 MiB written at one open(); beyond it damage is only counted */
    unsigned
        probe_ms;     /* 100; how often a journal that is full or failed looks again; at most 200 */
    bool preallocate; /* ask the file system for whole segments in advance */
    uint64_t marker_seed; /* 0: from the operating system; another repeats a simulation */
    bool manual;          /* no thread: store_journal_pump() does its work (simulations, tools) */
    bool checksums_off;   /* accept records whose checksum is wrong: for fuzzing alone */
};

/* One whole record, in ascending order of seq; `payload` is valid during the call. FW_OK goes on;
 * FW_ECORRUPT sets the record aside as damaged and goes on; anything else ends store_journal_open()
 * with that status. */
typedef enum fw_status (*store_journal_replay_fn)(void *ctx, uint64_t seq, const void *payload,
                                                  size_t len);

/* Called once for each append that returned FW_OK, on the journal thread, in sequence order, with
 * no lock held (so it may append). FW_OK: the record is durable and `seq` is its number. Otherwise
 * (FW_ENOSPC, FW_EIO) seq is 0. Must be quick: the next group waits for it. */
typedef void (*store_journal_done_fn)(void *ctx, enum fw_status status, uint64_t seq);

/* What open() found. All zero but the first six for a clean journal. */
struct store_journal_report {
    uint64_t segments; /* files found */
    uint64_t bytes;    /* their bytes */
    uint64_t records;  /* whole records read (segments below replay_after_seq are not read) */
    uint64_t replayed; /* of these, given to replay() */
    uint64_t first_seq, last_seq; /* of the records read; 0 when none */
    uint64_t duration_ns;
    uint64_t torn_bytes;      /* behind the last whole record: cut off, and set aside */
    uint64_t damaged_regions; /* runs of damaged bytes with good records behind them */
    uint64_t damaged_headers; /* segment headers that fail their checks; costs no record */
    uint64_t damaged_bytes;
    uint64_t lost_records;      /* sequences that were acknowledged and are gone */
    uint64_t uncertain_records; /* gone from the last group before a crash: most likely never
                                   acknowledged */
    uint64_t missing_from,
        missing_to; /* sequences between replay_after_seq and the first record; 0 when none */
    uint64_t refused_records;   /* found but never acknowledged (a failed sync): not replayed */
    uint64_t stale_records;     /* with a sequence already seen: not replayed */
    uint64_t rejected_records;  /* replay() said FW_ECORRUPT */
    uint64_t quarantined_bytes; /* written to the quarantine */
    uint64_t quarantine_skipped_bytes; /* over quarantine_bytes_max, or the quarantine could not be
                                          written */
};

/* Opens the journal in `dir` (made, mode 0700, when missing; its parent must exist), reads every
 * record with a sequence above `replay_after_seq` and hands it to `replay` (may be NULL) on this
 * thread, cuts a torn tail, sets damage aside, starts a new segment and the journal thread. The
 * next sequence is above both the last one found and replay_after_seq. A full disk does not fail
 * it: the journal then starts in STORE_JOURNAL_FULL. `options` (may be NULL) is copied, its
 * pointers must outlive the journal; `report` may be NULL. On success *out is the caller's,
 * released with store_journal_close(). On failure *out is NULL and err (may be NULL) says why:
 *   FW_EBUSY     another process has the directory
 *   FW_EIO       it cannot be read or written, for instance a read-only file system
 *   FW_EVERSION  a segment was written by a later version
 *   FW_ENOMEM; or what replay() returned */
FW_MUST_CHECK enum fw_status store_journal_open(const char *dir,
                                                const struct store_journal_options *options,
                                                uint64_t replay_after_seq,
                                                store_journal_replay_fn replay, void *ctx,
                                                struct store_journal_report *report,
                                                struct store_journal **out, struct fw_error *err);

/* Queues a copy of 1 to record_bytes_max bytes and returns at once. done() (not NULL) follows if
 * and only if this returns FW_OK. Otherwise nothing was queued: FW_EINVAL  no bytes, or more than
 * record_bytes_max FW_ELIMIT  queue_bytes_max would be passed: try again when something was done
 *   FW_ENOSPC, FW_EIO  the journal is full or failed at the moment
 *   FW_ENOMEM
 * Thread-safe. Not after store_journal_close() has begun. */
FW_MUST_CHECK enum fw_status store_journal_append(struct store_journal *journal,
                                                  const void *payload, size_t len,
                                                  store_journal_done_fn done, void *ctx);

/* Lets go of whole segments whose records are all <= seq: they are covered by a durable snapshot.
 * Pass what store_snapshot_commit() tells, which is the OLDER of the two kept snapshots. The
 * segment being written stays. Thread-safe. A file that cannot be removed stays and is tried again
 * by the next call; returns what failed first. */
enum fw_status store_journal_release(struct store_journal *journal, uint64_t seq);

struct store_journal_stats {
    enum store_journal_state state;
    uint64_t segments, bytes; /* on disk now */
    uint64_t first_seq;       /* the first that a segment on disk may hold */
    uint64_t last_seq;        /* the last acknowledged, 0 before the first ever */
    uint64_t appended;        /* records taken since open */
    uint64_t acknowledged;
    uint64_t refused_full, refused_failed,
        refused_limit;                   /* records by reason, at append() or by done() */
    uint64_t queue_records, queue_bytes; /* taken, not yet done */
    uint64_t written_bytes;
    uint64_t write_failures, sync_failures;
    uint64_t reopened;         /* fresh segments after a failure */
    uint64_t readback_missing; /* acknowledged records not found when read back after a failure */
    struct fw_histogram_view sync_ns; /* one fdatasync each; its count is the number of syncs */
    struct fw_histogram_view group_records; /* records per sync, bounds 1, 2, 5, 10, ... 10000 */
};

/* Thread-safe. */
void store_journal_stats(struct store_journal *journal, struct store_journal_stats *out);

/* Makes everything queued durable, calls its done(), ends the thread, closes the files. NULL does
 * nothing. */
void store_journal_close(struct store_journal *journal);

/* With options.manual: commits what is queued as one group, or, when full or failed, looks again
 * whether it can go on. True when there was something to do. */
bool store_journal_pump(struct store_journal *journal);

#endif
