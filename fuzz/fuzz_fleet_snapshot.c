/* Any bytes as a server's block of a snapshot: refused, or a server whose block, written again,
 * loads as the same bytes. */
#include "base/buf.h"
#include "fleet/snapshot_internal.h"

#include <stdlib.h>
#include <string.h>

static struct schema schema;
static struct profile_rules profiles;
static struct fw_clock_fake fake;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static struct fleet *make(void)
{
    struct fleet_options options;
    struct fleet *fleet;
    fleet_options_default(&options);
    options.schema = &schema;
    options.profiles = &profiles;
    options.clock = &fake.clock;
    options.window_steps = 300;
    options.servers_max = 1;
    require(fleet_new(&options, &fleet, NULL) == FW_OK);
    return fleet;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fleet_snapshot_meta meta;
    struct fw_buf once, twice;
    if (schema.count == 0) {
        schema_default(&schema);
        profile_rules_default(&profiles);
        fw_clock_fake_init(&fake, INT64_C(1800000000000));
        for (int i = 0; i < SCHEMA_METRICS_MAX; i++)
            meta.map[i] = i < METRIC_DEFAULT_COUNT ? i : -1;
    }
    uint64_t *aligned = malloc(size + 8); /* as the store hands blocks over */
    require(aligned != NULL);
    memcpy(aligned, data, size);
    struct fleet *fleet = make(), *again = make();
    fw_buf_init(&once, 16 << 20);
    fw_buf_init(&twice, 16 << 20);
    if (fleet_snapshot_get_server(fleet, &meta, aligned, size) == FW_OK) {
        require(fleet_snapshot_put_server(fleet, 0, &once) && !once.failed);
        require(fleet_snapshot_get_server(again, &meta, once.data, once.len) == FW_OK);
        require(fleet_snapshot_put_server(again, 0, &twice) && !twice.failed);
        require(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    }
    fw_buf_fini(&once);
    fw_buf_fini(&twice);
    fleet_free(fleet);
    fleet_free(again);
    free(aligned);
    return 0;
}
