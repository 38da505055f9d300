/* From the data directory to windows: the newest snapshot, then the journal behind it. */
#include "daemon/daemon_internal.h"

#include "base/log.h"
#include "fleet/snapshot.h"

#include <unistd.h>

struct replaying {
    struct daemon *daemon;
    struct sample_batch *batch;
    struct fw_error error;
};

static enum fw_status replay(void *ctx, uint64_t seq, const void *payload, size_t len)
{
    struct replaying *replaying = ctx;
    struct fleet *fleet = replaying->daemon->fleet;
    struct fleet_applied applied;
    batch_reset(replaying->batch);
    enum fw_status status = batch_decode(payload, len, &replaying->daemon->config->schema,
                                         replaying->batch, &replaying->error);
    if (status == FW_OK)
        status = fleet_readmit(fleet, replaying->batch);
    if (status == FW_OK)
        (void)fleet_labels_apply(fleet, replaying->batch);
    if (status == FW_OK)
        status = fleet_apply(fleet, replaying->batch, seq, &applied);
    return status;
}

static void report_journal(const struct store_journal_report *report)
{
    const bool damaged = report->damaged_regions > 0 || report->lost_records > 0 ||
                         report->missing_to > 0 || report->rejected_records > 0;
    if (damaged)
        FW_LOG_ERROR(
            "store",
            "journal is damaged lost_records=%llu damaged_bytes=%llu missing_seq=%llu-%llu "
            "undecodable=%llu set_aside_bytes=%llu",
            (unsigned long long)report->lost_records, (unsigned long long)report->damaged_bytes,
            (unsigned long long)report->missing_from, (unsigned long long)report->missing_to,
            (unsigned long long)report->rejected_records,
            (unsigned long long)report->quarantined_bytes);
    if (report->torn_bytes > 0)
        FW_LOG_INFO("store", "journal ended in an unfinished record, cut bytes=%llu",
                    (unsigned long long)report->torn_bytes);
}

static enum fw_status open_journal(struct daemon *daemon, uint64_t after_seq,
                                   struct store_journal_report *report, struct fw_error *err)
{
    struct replaying replaying = {.daemon = daemon, .batch = batch_new()};
    if (replaying.batch == NULL)
        return fw_fail(err, FW_ENOMEM, "replay of the journal");
    const struct store_journal_options options = {.quarantine_dir = daemon->directory.quarantine};
    const enum fw_status status =
        store_journal_open(daemon->directory.log, &options, after_seq, replay, &replaying, report,
                           &daemon->journal, err);
    batch_free(replaying.batch);
    return status;
}

enum fw_status daemon_recover(struct daemon *daemon, struct fw_error *err)
{
    struct store_snapshot_report snapshot = {0};
    struct store_journal_report journal = {0};
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    enum fw_status status =
        fleet_snapshot_load(daemon->fleet, daemon->directory.snap, NULL,
                            daemon->directory.quarantine, cores > 1 ? 2 : 1, &snapshot, err);
    if (status != FW_OK)
        return status;
    if (snapshot.damaged_blocks > 0 || snapshot.unreadable_files > 0)
        FW_LOG_ERROR("store",
                     "snapshot is damaged blocks=%llu unreadable_files=%llu set_aside_bytes=%llu",
                     (unsigned long long)snapshot.damaged_blocks,
                     (unsigned long long)snapshot.unreadable_files,
                     (unsigned long long)snapshot.quarantined_bytes);
    status = open_journal(daemon, snapshot.sequence, &journal, err);
    if (status != FW_OK)
        return status;
    report_journal(&journal);
    struct fleet_counts counts;
    fleet_counts(daemon->fleet, &counts);
    daemon->housekeeping.snapshot_seq = snapshot.sequence;
    if (snapshot.found || journal.records > 0)
        FW_LOG_INFO("store", "recovered servers=%zu snapshot_seq=%llu replayed=%llu ms=%llu",
                    counts.servers, (unsigned long long)snapshot.sequence,
                    (unsigned long long)journal.replayed,
                    (unsigned long long)((snapshot.duration_ns + journal.duration_ns) / 1000000));
    return FW_OK;
}
