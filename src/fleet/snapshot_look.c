#include "fleet/snapshot_look.h"

#include "fleet/snapshot_internal.h"

#include <string.h>

struct look {
    fleet_snapshot_server_fn visit;
    void *ctx;
    uint32_t step_s;
    size_t metrics;
    char names[SCHEMA_METRICS_MAX][SCHEMA_METRIC_NAME_MAX + 1];
};

static enum fw_status keep_names(void *ctx, uint64_t sequence, const void *metadata, size_t len)
{
    struct look *look = ctx;
    struct fleet_snapshot_metadata parsed;
    (void)sequence;
    const enum fw_status status = fleet_snapshot_parse_metadata(metadata, len, &parsed, NULL);
    if (status != FW_OK)
        return status;
    if (parsed.step_s < 1 || parsed.step_s > 3600)
        return FW_ECORRUPT;
    look->step_s = parsed.step_s;
    look->metrics = parsed.metrics;
    for (size_t i = 0; i < parsed.metrics; i++) {
        if (!schema_name_valid(parsed.names[i], parsed.name_lens[i]))
            return FW_ECORRUPT;
        memcpy(look->names[i], parsed.names[i], parsed.name_lens[i]);
        look->names[i][parsed.name_lens[i]] = '\0';
    }
    return FW_OK;
}

static enum fw_status show_block(void *ctx, const struct store_snapshot_block *block)
{
    struct look *look = ctx;
    struct fleet_snapshot_block b;
    if (block->kind != FLEET_BLOCK_SERVER)
        return FW_OK;
    if (!fleet_snapshot_block_open(block->data, block->len, look->step_s * 1000, &b))
        return FW_ECORRUPT;
    struct fleet_snapshot_server server = {
        .own_profile = b.head.own_profile,
        .step_s = look->step_s,
        .first_step = b.head.newest_step - (int64_t)b.head.steps + 1,
        .steps = b.head.steps,
        .statuses = b.statuses,
        .metrics = look->metrics,
    };
    memcpy(server.name, b.name, b.head.name_len);
    for (size_t m = 0; m < look->metrics; m++) {
        server.metric_names[m] = look->names[m];
        server.values[m] = b.columns[m];
    }
    return look->visit(look->ctx, &server);
}

enum fw_status fleet_snapshot_look(const char *dir, const struct store_io *io,
                                   fleet_snapshot_server_fn visit, void *ctx,
                                   struct store_snapshot_report *report, struct fw_error *err)
{
    struct look look = {.visit = visit, .ctx = ctx};
    const struct store_snapshot_load_options options = {.start = keep_names};
    return store_snapshot_load(dir, io, &options, show_block, &look, report, err);
}
