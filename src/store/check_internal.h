/* Shared by check.c and copy.c. */
#ifndef FW_STORE_CHECK_INTERNAL_H
#define FW_STORE_CHECK_INTERNAL_H

#include "store/check.h"

struct store_check {
    struct store_directory directory;
    struct store_directory *copy; /* NULL: only look */
    struct store_check_report *report;
    const char *database; /* that is being read */
    store_finding_fn finding;
    void *finding_ctx;
};

/* A store_finding_fn with the check as its context: counts, and tells on. */
void store_check_tell(void *ctx, const struct store_finding *finding);

/* A state_damaged_fn: tells a row of the database at check->database. */
void store_check_row(void *ctx, const char *what);

/* Every snapshot, oldest first; whole blocks go into the copy. */
enum fw_status store_check_snapshots(struct store_check *check, struct fw_error *err);

/* Every record goes to replay (may be NULL); loss up to covered_seq is none. */
enum fw_status store_check_journal(struct store_check *check, uint64_t covered_seq,
                                   store_journal_replay_fn replay, void *replay_ctx,
                                   struct fw_error *err);

#endif
