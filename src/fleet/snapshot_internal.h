/* The bytes of a snapshot without the files around them, for the tests that damage them. */
#ifndef FW_FLEET_SNAPSHOT_INTERNAL_H
#define FW_FLEET_SNAPSHOT_INTERNAL_H

#include "fleet/fleet_internal.h"

enum { FLEET_BLOCK_SERVER = 1 };

struct fw_buf;

/* The file's metadata, as it is for this fleet. */
void fleet_snapshot_put_metadata(const struct fleet *fleet, uint64_t batches, struct fw_buf *out);

/* What a loaded file's metadata says. */
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
