/* The fleet on disk: all windows as of a moment, so that a start need not replay days of journal
 * (docs/formats/fleet-snapshot.md).
 *
 * A snapshot is taken while batches are applied: each server is copied under its own lock and says
 * up to which journal record it is complete. The file's sequence is the oldest that any of them can
 * have; replaying everything after it gives the windows back, as servers skip what they have. */
#ifndef FW_FLEET_SNAPSHOT_H
#define FW_FLEET_SNAPSHOT_H

#include "fleet/fleet.h"
#include "store/snapshot.h"

struct fleet_snapshot_written {
    uint64_t sequence;    /* of the snapshot: what a replay begins after */
    uint64_t release_seq; /* what store_journal_release() may be given; 0: nothing */
    size_t servers;
    uint64_t bytes; /* of blocks */
    int64_t duration_ns;
};

/* Writes a snapshot into `dir`. io NULL: the system's. On failure earlier snapshots are untouched:
 * FW_EIO, FW_ENOSPC, FW_ENOMEM. One call at a time; ingest goes on meanwhile. `written` and err may
 * be NULL. */
FW_MUST_CHECK enum fw_status fleet_snapshot_write(const struct fleet *fleet, const char *dir,
                                                  const struct store_io *io,
                                                  struct fleet_snapshot_written *written,
                                                  struct fw_error *err);

/* The same as of a position that fleet_position() gave before: what was written elsewhere in
 * between has everything up to it. */
FW_MUST_CHECK enum fw_status fleet_snapshot_write_at(const struct fleet *fleet, uint64_t seq,
                                                     uint64_t batches, const char *dir,
                                                     const struct store_io *io,
                                                     struct fleet_snapshot_written *written,
                                                     struct fw_error *err);

/* Loads the newest snapshot in `dir` into a fleet that has just been made; report->sequence is
 * where the replay of the journal begins. `threads` 0 or 1: the caller's alone. Without a snapshot
 * the fleet stays empty and FW_OK is returned. FW_EINVAL: it was written with another step length;
 * what store_snapshot_load() returns. Damaged blocks are counted in the report and cost their
 * servers. */
FW_MUST_CHECK enum fw_status fleet_snapshot_load(struct fleet *fleet, const char *dir,
                                                 const struct store_io *io,
                                                 const char *quarantine_dir, unsigned threads,
                                                 struct store_snapshot_report *report,
                                                 struct fw_error *err);

#endif
