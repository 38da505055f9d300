/* Snapshots: one file that replaces all journal records up to a sequence
 * (docs/formats/snapshot.md).
 *
 * A file is written aside, synced, renamed, its directory synced. The newest two are kept. Who
 * guarantees what: store_snapshot_commit() tells up to which sequence the journal may be released,
 * and that is the sequence of the OLDER of the two kept; so when the newest turns out unreadable,
 * the older one and the journal still hold all.
 *
 * Threads: one writer at a time per directory. A load may run beside nothing else. */
#ifndef FW_STORE_SNAPSHOT_H
#define FW_STORE_SNAPSHOT_H

#include "base/clock.h"
#include "base/status.h"
#include "store/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_SNAPSHOT_KEPT = 2,
    STORE_SNAPSHOT_METADATA_MAX = 1 << 20, /* bytes */
    STORE_SNAPSHOT_BLOCK_MAX = 256 << 20,  /* bytes */
    STORE_SNAPSHOT_BLOCKS_MAX = 4 << 20,
};

struct store_snapshot_writer;

/* Starts a snapshot in `dir` (made, mode 0700, when missing) that stands for all journal records up
 * to `sequence`. `metadata` (at most STORE_SNAPSHOT_METADATA_MAX bytes, may be empty) is the
 * caller's and comes back before any block. io and clock NULL: the system's. On failure *out is
 * NULL: FW_EIO, FW_ENOSPC, FW_ENOMEM, FW_EINVAL. */
FW_MUST_CHECK enum fw_status store_snapshot_begin(const char *dir, const struct store_io *io,
                                                  const struct fw_clock *clock, uint64_t sequence,
                                                  const void *metadata, size_t metadata_len,
                                                  struct store_snapshot_writer **out,
                                                  struct fw_error *err);

/* Adds a block of 0 to STORE_SNAPSHOT_BLOCK_MAX bytes; `kind` is the caller's. The data is copied
 * or written before this returns. After a failure the snapshot can only be aborted. FW_ELIMIT: too
 * many or too large blocks. */
FW_MUST_CHECK enum fw_status store_snapshot_put(struct store_snapshot_writer *writer, uint32_t kind,
                                                const void *data, size_t len, struct fw_error *err);

/* Makes it durable and removes all but the newest STORE_SNAPSHOT_KEPT. Releases the writer in any
 * case. *release_seq (may be NULL) is what store_journal_release() may be given: the sequence of
 * the older kept snapshot, 0 while there is only one. On failure the earlier snapshots are
 * untouched. */
FW_MUST_CHECK enum fw_status store_snapshot_commit(struct store_snapshot_writer *writer,
                                                   uint64_t *release_seq, struct fw_error *err);

/* Drops what was written and releases the writer. NULL does nothing. */
void store_snapshot_abort(struct store_snapshot_writer *writer);

struct store_snapshot_block {
    uint32_t kind;
    uint32_t index;   /* position in the file, from 0: also says which call of put() it was */
    const void *data; /* aligned to 8 bytes; valid during the call */
    size_t len;
};

/* The header and metadata of the file about to be loaded, before any block, on the caller's thread.
 * FW_OK takes it; FW_ECORRUPT or FW_EVERSION refuses it and the older one is tried; anything else
 * ends the load. */
typedef enum fw_status (*store_snapshot_start_fn)(void *ctx, uint64_t sequence,
                                                  const void *metadata, size_t len);

/* One block with a right checksum. With options.threads > 1 called from several threads at once and
 * in no order. FW_OK goes on; FW_ECORRUPT counts the block as damaged and goes on; anything else
 * ends the load. */
typedef enum fw_status (*store_snapshot_visit_fn)(void *ctx,
                                                  const struct store_snapshot_block *block);

struct store_snapshot_load_options {
    store_snapshot_start_fn start; /* may be NULL */
    const char *quarantine_dir; /* where an unreadable file and damaged blocks go; NULL: files stay
                                   untouched */
    unsigned threads;           /* 0 or 1: all on the caller's thread; at most 64 */
    unsigned skip_newest; /* files to pass over: 1 loads the older one, when a damaged block in the
                             newest should not be lost (the journal reaches back to it) */
    bool checksums_off;   /* for fuzzing alone */
};

struct store_snapshot_report {
    bool found;        /* a snapshot was loaded */
    uint64_t sequence; /* of the one loaded: replay the journal after it; 0 when none */
    int64_t created_ms;
    uint64_t bytes, blocks;  /* of the file loaded; blocks visited with FW_OK */
    uint64_t damaged_blocks; /* fail their checksum, cannot be read, or were refused by visit() */
    uint64_t damaged_bytes;  /* of these, and of structure that could be done without */
    uint64_t quarantined_bytes;
    uint64_t files;            /* snapshots seen */
    uint64_t unreadable_files; /* passed over as a whole */
    bool index_damaged;        /* blocks were found by walking the file */
    uint64_t duration_ns;
    char path[STORE_PATH_MAX]; /* of the one loaded, "" when none */
};

/* Loads the newest snapshot whose header, metadata and index are whole; if none is, the newest with
 * a whole header, block by block. No directory and no snapshot are FW_OK with report->found false.
 * io NULL: the system's; options, report and err may be NULL. FW_EIO when the directory cannot be
 * read, FW_EVERSION when the newest file was written by a later version, FW_ENOMEM, or what start()
 * or visit() returned. */
FW_MUST_CHECK enum fw_status store_snapshot_load(const char *dir, const struct store_io *io,
                                                 const struct store_snapshot_load_options *options,
                                                 store_snapshot_visit_fn visit, void *ctx,
                                                 struct store_snapshot_report *report,
                                                 struct fw_error *err);

#endif
