/* The bytes of a snapshot without the files around them, for the tests that damage them. */
#ifndef FW_FLEET_SNAPSHOT_INTERNAL_H
#define FW_FLEET_SNAPSHOT_INTERNAL_H

#include "fleet/fleet_internal.h"

enum { FLEET_BLOCK_SERVER = 1 };

struct fw_buf;

/* ---- one server's block, docs/formats/fleet-snapshot.md ---- */

struct fleet_snapshot_head {
    int64_t newest_step;
    uint64_t applied_seq;
    int64_t first_seen_ms, last_seen_ms, status_ms, profile_ms;
    uint64_t mask;
    uint32_t steps, open_count;
    uint8_t status, own_profile;
    uint16_t name_len;
    uint32_t reserved;
};
_Static_assert(sizeof(struct fleet_snapshot_head) == 72, "the block's head has no gaps");

/* A block with its arrays found; they lie in the block's bytes. */
struct fleet_snapshot_block {
    struct fleet_snapshot_head head;
    const char *name;
    const float *columns[SCHEMA_METRICS_MAX]; /* by the file's metric number; NULL: none */
    const uint32_t *marks;
    const uint8_t *statuses;
    const unsigned char *open, *end;
};

/* False: it is cut, or holds what no window holds. `data` at a multiple of 8. */
bool fleet_snapshot_block_open(const void *data, size_t len, uint32_t step_ms,
                               struct fleet_snapshot_block *block);

/* ---- the file's metadata, and servers to blocks and back ---- */

/* The file's metadata, as it is for this fleet. */
void fleet_snapshot_put_metadata(const struct fleet *fleet, uint64_t batches, struct fw_buf *out);

/* What any file's metadata says. */
struct fleet_snapshot_metadata {
    uint32_t step_s;
    uint64_t batches;
    size_t metrics;
    const char *names[SCHEMA_METRICS_MAX]; /* in the metadata's bytes, not terminated */
    size_t name_lens[SCHEMA_METRICS_MAX];
};
/* FW_ECORRUPT, FW_EVERSION. */
enum fw_status fleet_snapshot_parse_metadata(const void *data, size_t len,
                                             struct fleet_snapshot_metadata *parsed,
                                             struct fw_error *err);

/* What it says to a fleet that loads the file. */
struct fleet_snapshot_meta {
    uint64_t batches;
    bool only_absent;            /* the reader's: leave servers alone that are there already */
    int map[SCHEMA_METRICS_MAX]; /* the file's metric numbers to the fleet's; -1 none */
};
/* FW_ECORRUPT, FW_EVERSION, or FW_EINVAL when the step differs. */
enum fw_status fleet_snapshot_get_metadata(const struct fleet *fleet, const void *data, size_t len,
                                           struct fleet_snapshot_meta *meta, struct fw_error *err);

/* A server's block. False when nobody is there; check out->failed. */
bool fleet_snapshot_put_server(const struct fleet *fleet, size_t slot, struct fw_buf *out);
/* Adds the server of a block to the fleet. FW_ECORRUPT, FW_ELIMIT (the fleet is full), FW_ENOMEM;
 * the fleet is then as before. Thread-safe. */
enum fw_status fleet_snapshot_get_server(struct fleet *fleet,
                                         const struct fleet_snapshot_meta *meta, const void *data,
                                         size_t len);

#endif
