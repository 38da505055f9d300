/* The journal's inside, shared by journal.c (queue, thread), journal_open.c and commit.c (files).
 */
#ifndef FW_STORE_JOURNAL_INTERNAL_H
#define FW_STORE_JOURNAL_INTERNAL_H

#include "base/rng.h"
#include "store/journal.h"
#include "store/recover.h"

#include <pthread.h>

struct store_pending {
    store_journal_done_fn done;
    void *ctx;
    size_t at, len; /* of the record in the group's bytes, and of its payload */
};

/* Records that will share one write and one sync. */
struct store_group {
    unsigned char *bytes;
    size_t len, cap;
    struct store_pending *pending;
    size_t n, n_cap;
};

struct store_journal {
    struct store_journal_options options; /* no zero left */
    char dir[STORE_PATH_MAX];
    char quarantine[STORE_PATH_MAX];
    int lock_fd;
    pthread_t thread;
    bool threaded;

    /* The journal thread's own (or the pump's). */
    struct store_group writing;
    struct fw_rng rng;
    int fd;              /* of the newest segment; -1 while there is none to write to */
    uint64_t size_bytes; /* of it, up to the last acknowledged record */
    uint64_t records;    /* acknowledged in it */
    uint64_t next_seq;
    uint32_t marker;
    uint64_t session_seq; /* the first sequence that this process may give */

    struct fw_histogram sync_ns, group_records;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;
    bool closing;
    enum store_journal_state state;
    struct store_group queue;
    uint64_t queue_bytes, queue_records; /* of queue and writing */
    struct store_segment_file *segments; /* ascending; the last one is being written when fd >= 0 */
    size_t n_segments, cap_segments;
    uint64_t acked_seq;
    struct store_journal_stats stats; /* counters only */
};

/* The journal's thread: writes what is queued until the journal is closing. */
void *store_journal_thread(void *journal);
void store_group_fini(struct store_group *group);

/* Starts a segment for the records from next_seq on and makes it durable, header and name; the one
 * before is closed. 0 or -errno; on failure the segment before stays as it is. */
int store_commit_new_segment(struct store_journal *journal);

/* Writes and syncs journal->writing; its records get their sequences from *first_seq on. On failure
 * nothing was acknowledged, journal->fd is -1 if the segment cannot be trusted any more, and what
 * is returned is FW_ENOSPC or FW_EIO. */
enum fw_status store_commit_group(struct store_journal *journal, uint64_t *first_seq);

/* Whether a journal that was full or failed may go on. */
bool store_commit_probe(struct store_journal *journal, enum store_journal_state state);

#endif
