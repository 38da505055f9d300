/* What `forewarn store` does with a data directory: check it, copy it, shrink it. Only the copy is
 * ever repaired. */
#ifndef FW_STORE_CHECK_H
#define FW_STORE_CHECK_H

#include "store/directory.h"
#include "store/finding.h"
#include "store/journal.h"

struct store_check_report {
    struct store_journal_report journal;
    uint64_t snapshots;
    uint64_t snapshot_blocks;
    uint64_t snapshot_sequence; /* of the newest that can be loaded; 0 when none */
    bool state_present, history_present;
    uint64_t state_damaged_rows, history_damaged_rows; /* that fail their checksum */
    uint64_t findings;                                 /* calls of the visitor */
    bool locked;                                       /* nobody else was using it meanwhile */
};

/* Reads everything in a data directory that no daemon is using and tells each damage. Writes
 * nothing. FW_OK whether there are findings or not. FW_EBUSY: a daemon has it; check a backup
 * instead. Others as store_directory_init(). */
FW_MUST_CHECK enum fw_status store_check(const char *path, store_finding_fn finding, void *ctx,
                                         struct store_check_report *report, struct fw_error *err);

/* Copies what is whole into a new data directory at `to`, which must be missing or empty; the copy
 * passes store_check(). Damage in the source is left out, told, and counted. Works beside a running
 * daemon: everything acknowledged before the call is in the copy. The source is not changed. */
FW_MUST_CHECK enum fw_status store_copy(const char *path, const char *to, store_finding_fn finding,
                                        void *ctx, struct store_check_report *report,
                                        struct fw_error *err);

struct store_compact_report {
    uint64_t removed_segments, removed_bytes;
    uint64_t state_bytes_before, state_bytes_after;
    uint64_t history_bytes_before, history_bytes_after;
};

/* Removes journal segments that the older of two whole snapshots covers, and shrinks state and
 * history. FW_EBUSY when a daemon has the directory (it does this by itself). */
FW_MUST_CHECK enum fw_status store_compact(const char *path, struct store_compact_report *report,
                                           struct fw_error *err);

#endif
