/* What forecasters have learned, on disk, so that a restart does not forget it
 * (docs/formats/learned.md). A file of its own: it may be lost without losing a sample, and what it
 * misses is learned again from the windows, which hold three days.
 *
 * Private to this folder; forecaster.h has what others call. */
#ifndef FW_FORECAST_LEARNED_H
#define FW_FORECAST_LEARNED_H

#include "forecast/block.h"
#include "store/snapshot.h"

/* The tracks of a fleet, by slot. */
struct learned_tracks {
    const struct schema *schema;
    uint32_t step_s;
    struct block_track **tracks; /* (slots) */
    size_t slots;
};

/* Writes all of them as one snapshot in `dir`; `sequence` grows from one to the next. As
 * store_snapshot_*. `bytes` is added to. */
FW_MUST_CHECK enum fw_status learned_write(const struct learned_tracks *from, const char *dir,
                                           const struct store_io *io, uint64_t sequence,
                                           uint64_t *bytes, struct fw_error *err);

/* Loads the newest snapshot into slots of servers that have the same name and were first seen at
 * the same time; what fits none, is damaged, or was written by another version is left out. `names`
 * (slots) are hashes as block_track has them, `first_seen_ms` likewise. FW_ENOMEM and what
 * store_snapshot_load() returns, FW_EVERSION and FW_EINVAL (another step) among it. */
struct learned_places {
    const uint64_t *name_hash;
    const int64_t *first_seen_ms; /* negative: the slot is empty */
};
FW_MUST_CHECK enum fw_status learned_load(const struct learned_tracks *into,
                                          const struct learned_places *places, const char *dir,
                                          const struct store_io *io, const char *quarantine_dir,
                                          size_t *servers, struct store_snapshot_report *report,
                                          struct fw_error *err);

#endif
