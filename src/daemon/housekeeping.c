/* The daemon's slow work, on one thread: snapshots when the journal has grown, the long history,
 * forgetting of silent servers, the service manager's watchdog. */
#include "daemon/daemon_internal.h"

#include "base/log.h"
#include "daemon/systemd.h"
#include "fleet/snapshot.h"

#include <errno.h>
#include <time.h>

enum { TICK_MS = 1000, EXPIRY_INTERVAL_S = 600, TIDY_INTERVAL_S = 60, LABELS_INTERVAL_S = 5 };

enum fw_status daemon_snapshot(struct daemon *daemon, struct fw_error *err)
{
    struct daemon_housekeeping *keeper = &daemon->housekeeping;
    struct fleet_snapshot_written written;
    uint64_t seq, batches;
    fleet_position(daemon->fleet, &seq, &batches);
    if (seq == keeper->snapshot_seq)
        return FW_OK;           /* nothing new since the last one */
    daemon_labels_save(daemon); /* the journal before the snapshot may have the only copy of some */
    enum fw_status status = fleet_snapshot_write_at(daemon->fleet, seq, batches,
                                                    daemon->directory.snap, NULL, &written, err);
    if (status != FW_OK)
        return status;
    keeper->snapshot_seq = written.sequence;
    FW_LOG_DEBUG("store", "snapshot seq=%llu servers=%zu bytes=%llu ms=%lld",
                 (unsigned long long)written.sequence, written.servers,
                 (unsigned long long)written.bytes, (long long)written.duration_ns / 1000000);
    if (daemon->journal == NULL || written.release_seq == 0)
        return FW_OK;
    status = store_journal_release(daemon->journal, written.release_seq);
    return status == FW_OK ? FW_OK : fw_fail(err, status, "journal segments could not be removed");
}

static void snapshot_if_due(struct daemon *daemon)
{
    struct daemon_housekeeping *keeper = &daemon->housekeeping;
    struct store_journal_stats stats;
    store_journal_stats(daemon->journal, &stats);
    const int64_t now_ns = fw_clock_mono_ns(daemon->clock);
    const bool grown =
        stats.written_bytes - keeper->snapshot_bytes >= daemon->config->snapshot_journal_bytes;
    const bool old =
        now_ns - keeper->snapshot_ns >= (int64_t)daemon->config->snapshot_interval_s * 1000000000;
    if (!grown && !old)
        return;
    struct fw_error err = {0};
    keeper->snapshot_bytes =
        stats.written_bytes; /* also after a failure: the next try comes when it is due again */
    keeper->snapshot_ns = now_ns;
    if (daemon_snapshot(daemon, &err) != FW_OK)
        FW_LOG_WARN("store", "snapshot failed, the journal is kept reason=\"%s\"", err.text);
}

/* Windows are the journal thread's: an empty batch takes the request there, in its turn. */
static void expire_on_journal_thread(void *ctx, enum fw_status status, uint64_t seq)
{
    struct daemon *daemon = ctx;
    (void)seq;
    if (status != FW_OK)
        return;
    const size_t gone = fleet_expire(daemon->fleet);
    if (gone > 0) {
        FW_LOG_INFO("fleet", "forgot silent servers count=%zu", gone);
        atomic_store(&daemon->housekeeping.forgot, true);
        outlook_runner_wake(daemon->runner);
    }
}

static void expire_if_due(struct daemon *daemon)
{
    struct daemon_housekeeping *keeper = &daemon->housekeeping;
    const int64_t now_ns = fw_clock_mono_ns(daemon->clock);
    if (now_ns - keeper->expiry_ns < (int64_t)EXPIRY_INTERVAL_S * 1000000000)
        return;
    keeper->expiry_ns = now_ns;
    struct sample_batch *batch = batch_new();
    struct fw_buf body;
    fw_buf_init(&body, 65536);
    if (batch != NULL)
        batch_encode(batch, &daemon->config->schema, &body);
    if (body.len > 0 && !body.failed &&
        store_journal_append(daemon->journal, body.data, body.len, expire_on_journal_thread,
                             daemon) != FW_OK)
        FW_LOG_DEBUG("fleet", "silent servers are looked at later: the journal takes nothing now");
    fw_buf_fini(&body);
    batch_free(batch);
}

/* Acknowledgements of alerts that are over, silences that were over long ago. */
static void tidy_if_due(struct daemon *daemon)
{
    struct daemon_housekeeping *keeper = &daemon->housekeeping;
    const int64_t now_ns = fw_clock_mono_ns(daemon->clock);
    if (now_ns - keeper->tidy_ns < (int64_t)TIDY_INTERVAL_S * 1000000000)
        return;
    keeper->tidy_ns = now_ns;
    const struct outlook *outlook = outlook_board_current(daemon->board);
    if (outlook != NULL)
        alert_control_tidy(daemon->control, outlook->alerts, fw_clock_wall_ms(daemon->clock));
    outlook_release(outlook);
}

static void labels_if_due(struct daemon *daemon)
{
    struct daemon_housekeeping *keeper = &daemon->housekeeping;
    const int64_t now_ns = fw_clock_mono_ns(daemon->clock);
    const bool due = keeper->labels_revision != fleet_labels_revision(daemon->fleet) ||
                     atomic_load(&keeper->forgot);
    if (!due || now_ns - keeper->labels_ns < (int64_t)LABELS_INTERVAL_S * 1000000000)
        return;
    keeper->labels_ns = now_ns;
    daemon_labels_save(daemon);
}

/* Sleeps until the next tick on the real clock; true when it is time to end. */
static bool tick(struct daemon_housekeeping *keeper)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_MS / 1000;
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->stopping)
        if (pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until) == ETIMEDOUT)
            break;
    const bool stopping = keeper->stopping;
    pthread_mutex_unlock(&keeper->lock);
    return stopping;
}

/* The ping says that this loop turns and that the journal either takes samples or knows that it
 * does not: a journal with a queue that no longer moves is left to the watchdog. */
static bool makes_progress(struct daemon *daemon, uint64_t *last_done)
{
    struct store_journal_stats stats;
    store_journal_stats(daemon->journal, &stats);
    const uint64_t done = stats.acknowledged + stats.refused_failed + stats.refused_full;
    const bool moves =
        stats.queue_records == 0 || done != *last_done || stats.state != STORE_JOURNAL_OK;
    *last_done = done;
    return moves;
}

static void *keep_house(void *ctx)
{
    struct daemon *daemon = ctx;
    const int64_t ping_ms = systemd_watchdog_interval_ms();
    int64_t pinged_ns = 0;
    uint64_t done = 0;
    daemon_history_start(daemon);
    while (!tick(&daemon->housekeeping)) {
        snapshot_if_due(daemon);
        struct archiver *archiver = daemon->archiver;
        if (archiver != NULL)
            archiver_tick(archiver);
        expire_if_due(daemon);
        tidy_if_due(daemon);
        labels_if_due(daemon);
        const int64_t now_ns = fw_clock_mono_ns(fw_clock_system());
        if (ping_ms > 0 && now_ns - pinged_ns >= ping_ms * 1000000 &&
            makes_progress(daemon, &done)) {
            systemd_notify("WATCHDOG=1");
            pinged_ns = now_ns;
        }
    }
    return NULL;
}

enum fw_status daemon_housekeeping_start(struct daemon *daemon, struct fw_error *err)
{
    struct daemon_housekeeping *keeper = &daemon->housekeeping;
    pthread_condattr_t attributes;
    keeper->snapshot_ns = keeper->expiry_ns = keeper->tidy_ns = fw_clock_mono_ns(daemon->clock);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    const int failed = pthread_create(&keeper->thread, NULL, keep_house, daemon);
    if (failed != 0) {
        pthread_mutex_destroy(&keeper->lock);
        pthread_cond_destroy(&keeper->wake);
        return fw_fail(err, FW_ENOMEM, "start: no thread for housekeeping");
    }
    keeper->started = true;
    return FW_OK;
}

void daemon_housekeeping_stop(struct daemon *daemon)
{
    struct daemon_housekeeping *keeper = &daemon->housekeeping;
    if (!keeper->started)
        return;
    pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    pthread_cond_signal(&keeper->wake);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    pthread_mutex_destroy(&keeper->lock);
    pthread_cond_destroy(&keeper->wake);
    keeper->started = false;
}
