/* The windows of a data directory without a fleet: what its newest snapshot holds, server by
 * server, under the names that its metrics had when it was written. For whoever reads the directory
 * beside the daemon or without it; nothing is changed, and the journal behind the snapshot is not
 * read. */
#ifndef FW_FLEET_SNAPSHOT_LOOK_H
#define FW_FLEET_SNAPSHOT_LOOK_H

#include "domain/identity.h"
#include "domain/schema.h"
#include "store/snapshot.h"

struct fleet_snapshot_server {
    char name[SERVER_NAME_MAX + 1];
    uint8_t own_profile; /* enum profile; PROFILE_UNKNOWN when no record named one */
    uint32_t step_s;
    int64_t first_step;
    uint32_t steps;
    const uint8_t *statuses; /* (steps) enum server_status */
    size_t metrics;          /* of the snapshot's schema */
    const char *metric_names[SCHEMA_METRICS_MAX];
    const float *values[SCHEMA_METRICS_MAX]; /* (steps), NaN = missing; NULL: never sent */
};
/* FW_OK goes on; anything else ends the look and is its result. Valid during the call. */
typedef enum fw_status (*fleet_snapshot_server_fn)(void *ctx,
                                                   const struct fleet_snapshot_server *server);

/* Visits all servers. FW_OK without a visit when there is no snapshot; damaged blocks are passed
 * over and counted in the report. FW_EIO, FW_EVERSION, FW_ENOMEM. A daemon that writes its second
 * snapshot since the look began may leave nothing to be seen. */
FW_MUST_CHECK enum fw_status fleet_snapshot_look(const char *dir, const struct store_io *io,
                                                 fleet_snapshot_server_fn visit, void *ctx,
                                                 struct store_snapshot_report *report,
                                                 struct fw_error *err);

#endif
