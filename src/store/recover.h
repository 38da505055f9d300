/* Reading a journal directory of which nothing is certain: what every record is, which bytes are
 * damage, where the tail is torn. Used at start (with repair) and by `forewarn store check`
 * (without). */
#ifndef FW_STORE_RECOVER_H
#define FW_STORE_RECOVER_H

#include "store/finding.h"
#include "store/journal.h"
#include "store/segment.h"

struct store_segment_file {
    char name[STORE_SEGMENT_NAME_MAX];
    uint64_t first_seq; /* of the header, or of the name when the header is damaged */
    uint64_t last_seq;  /* no record here has a higher one; UINT64_MAX for the newest */
    uint64_t prev_seq;
    uint64_t size_bytes; /* after a cut */
    uint32_t marker;
    bool header_damaged;
    bool gone;            /* with missing_is_fine */
    uint64_t session_seq; /* UINT64_MAX when the header is damaged */
    bool empty;           /* holds no record: may be removed once a newer segment is durable */
};

struct store_recovery {
    /* In. */
    const struct store_io *io;
    const char *dir;
    size_t record_bytes_max;
    bool checksums_off;
    bool repair;          /* cut a torn tail; the quarantine is written if it has a directory */
    bool zeros_expected;  /* room asked for in advance: zeros at the end mean nothing */
    bool read_all;        /* segments that a snapshot covers, too */
    bool missing_is_fine; /* a running daemon may let go of a segment between the listing and the
                             reading */
    uint64_t replay_after_seq;
    uint64_t covered_seq;           /* loss up to here does not matter: a snapshot has it; at least
                                       replay_after_seq */
    store_journal_replay_fn replay; /* may be NULL */
    void *replay_ctx;
    store_finding_fn finding; /* may be NULL */
    void *finding_ctx;
    struct store_quarantine quarantine;
    /* Out. */
    struct store_journal_report report;
    struct store_segment_file *segments; /* ascending by first_seq; the caller's, with fw_free */
    size_t n_segments;
    uint64_t acked_seq; /* the last one that counts: accepted here, or said to be acknowledged by a
                           header */
    uint64_t last_seq;  /* highest sequence that any record or name claims */
    /* The segment being read. */
    size_t current;
    int fd;
    uint64_t limit;  /* sequences above were refused: the next segment says so */
    uint64_t seen;   /* the last sequence accepted */
    uint64_t cut_at; /* 0: no torn tail */
    uint64_t records_here;
    uint64_t pending_from,
        pending_to;   /* gone inside a group of which nobody has told yet that it was finished */
    uint64_t pending; /* how many of them */
    uint64_t group_first; /* of the group of the last record accepted */
};

/* Lists the segments and reads their headers, then walks them in order. Statuses as
 * store_journal_open(). On failure the list is released. */
FW_MUST_CHECK enum fw_status store_recover(struct store_recovery *recovery, struct fw_error *err);

#endif
