/* A journal is opened: its directory taken, read back, and written to from there; and closed. */
#include "store/journal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const uint64_t group_bounds[] = {1,   2,   5,    10,   20,   50,   100,
                                        200, 500, 1000, 2000, 5000, 10000};

static void default_u64(uint64_t *field, uint64_t value)
{
    if (*field == 0)
        *field = value;
}

static void fill_options(struct store_journal_options *o)
{
    if (o->io == NULL)
        o->io = store_io_system();
    if (o->clock == NULL)
        o->clock = fw_clock_system();
    default_u64(&o->segment_bytes, 64 << 20);
    if (o->record_bytes_max == 0)
        o->record_bytes_max = 64 << 20;
    if (o->queue_bytes_max == 0)
        o->queue_bytes_max = 128 << 20;
    if (o->queue_bytes_max < o->record_bytes_max + STORE_RECORD_HEADER)
        o->queue_bytes_max = o->record_bytes_max + STORE_RECORD_HEADER;
    default_u64(&o->reserve_bytes, 1 << 20);
    default_u64(&o->quarantine_bytes_max, 256 << 20);
    if (o->probe_ms == 0)
        o->probe_ms = 100;
    if (o->probe_ms > 200)
        o->probe_ms = 200;
}

static struct store_journal *new_journal(const struct store_journal_options *options)
{
    struct store_journal *j = fw_calloc(1, sizeof *j);
    if (j == NULL)
        return NULL;
    if (options != NULL)
        j->options = *options;
    fill_options(&j->options);
    j->fd = -1;
    j->lock_fd = -1;
    fw_rng_init(&j->rng, j->options.marker_seed != 0 ? j->options.marker_seed : fw_rng_entropy());
    fw_histogram_init_durations(&j->sync_ns);
    fw_histogram_init(&j->group_records, group_bounds, COUNT(group_bounds));
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&j->work, &attributes);
    pthread_condattr_destroy(&attributes);
    return j;
}

static enum fw_status name_paths(struct store_journal *j, const char *dir, struct fw_error *err)
{
    const int n = snprintf(j->dir, sizeof j->dir, "%s", dir);
    bool ok = n > 0 && (size_t)n + STORE_SEGMENT_NAME_MAX < sizeof j->dir;
    if (j->options.quarantine_dir != NULL) {
        const int q =
            snprintf(j->quarantine, sizeof j->quarantine, "%s", j->options.quarantine_dir);
        ok = ok && q > 0 && (size_t)q < sizeof j->quarantine;
    } else {
        ok = ok && store_io_path(j->quarantine, sizeof j->quarantine, dir, "quarantine");
    }
    return ok ? FW_OK : fw_fail(err, FW_EINVAL, "journal: the path of %s is too long", dir);
}

/* The directory itself must be durable before anything in it is promised. */
static int make_directory(const struct store_io *io, const char *dir)
{
    const int made = io->mkdir(io->ctx, dir, 0700);
    if (made < 0 && made != -EEXIST)
        return made;
    char parent[STORE_PATH_MAX];
    return store_io_sync_parent(io, dir, parent);
}

static enum fw_status take_directory(struct store_journal *j, struct fw_error *err)
{
    const struct store_io *io = j->options.io;
    char path[STORE_PATH_MAX];
    const int made = make_directory(io, j->dir);
    if (made < 0)
        return fw_fail(err, store_io_status(made) == FW_ENOSPC ? FW_ENOSPC : FW_EIO,
                       "journal: cannot make %s: %s", j->dir, strerror(-made));
    if (!store_io_path(path, sizeof path, j->dir, "lock"))
        return fw_fail(err, FW_EINVAL, "journal: the path of %s is too long", j->dir);
    j->lock_fd = io->open(io->ctx, path, O_RDWR | O_CREAT, 0600);
    if (j->lock_fd < 0)
        return fw_fail(err, FW_EIO, "journal: cannot write to %s: %s", j->dir,
                       strerror(-j->lock_fd));
    const int locked = io->lock(io->ctx, j->lock_fd);
    if (locked == -EWOULDBLOCK)
        return fw_fail(err, FW_EBUSY, "journal: %s is in use by another process", j->dir);
    if (locked < 0)
        return fw_fail(err, FW_EIO, "journal: cannot lock %s: %s", path, strerror(-locked));
    return FW_OK;
}

static enum fw_status recover_into(struct store_journal *j, uint64_t replay_after_seq,
                                   store_journal_replay_fn replay, void *ctx,
                                   struct store_journal_report *report, struct fw_error *err)
{
    const int64_t begun = fw_clock_mono_ns(j->options.clock);
    struct store_recovery recovery = {
        .io = j->options.io,
        .dir = j->dir,
        .record_bytes_max = j->options.record_bytes_max,
        .checksums_off = j->options.checksums_off,
        .repair = true,
        .zeros_expected = j->options.preallocate,
        .replay_after_seq = replay_after_seq,
        .replay = replay,
        .replay_ctx = ctx,
        .quarantine = {.io = j->options.io,
                       .dir = j->quarantine,
                       .bytes_max = j->options.quarantine_bytes_max}
    };
    const enum fw_status status = store_recover(&recovery, err);
    recovery.report.duration_ns = (uint64_t)(fw_clock_mono_ns(j->options.clock) - begun);
    if (report != NULL)
        *report = recovery.report;
    if (status != FW_OK)
        return status;
    j->segments = recovery.segments;
    j->n_segments = j->cap_segments = recovery.n_segments;
    j->acked_seq = recovery.acked_seq > replay_after_seq ? recovery.acked_seq : replay_after_seq;
    j->next_seq = (recovery.last_seq > j->acked_seq ? recovery.last_seq : j->acked_seq) + 1;
    j->session_seq = j->next_seq;
    return FW_OK;
}

/* Segments without a record are of no use once a newer one is durable. */
static void drop_empty(struct store_journal *j)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->n_segments; i++) {
        char path[STORE_PATH_MAX];
        if (j->segments[i].empty && store_io_path(path, sizeof path, j->dir, j->segments[i].name) &&
            j->options.io->unlink(j->options.io->ctx, path) == 0)
            continue;
        j->segments[kept++] = j->segments[i];
    }
    j->n_segments = kept;
}

static enum fw_status start_writing(struct store_journal *j, struct fw_error *err)
{
    const int result = store_commit_new_segment(j);
    if (result == 0) {
        drop_empty(j);
    } else if (store_io_status(result) == FW_ENOSPC) {
        j->state = STORE_JOURNAL_FULL;
        FW_LOG_WARN("journal", "starts on a full disk and refuses records until there is room");
    } else {
        return fw_fail(err, result == -ENOMEM ? FW_ENOMEM : FW_EIO,
                       "journal: cannot write to %s: %s", j->dir, strerror(-result));
    }
    if (j->options.manual)
        return FW_OK;
    sigset_t all, before; /* signals are the daemon's main thread's business */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int started = pthread_create(&j->thread, NULL, store_journal_thread, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started != 0)
        return fw_fail(err, FW_ENOMEM, "journal: cannot start its thread: %s", strerror(started));
    j->threaded = true;
    return FW_OK;
}

enum fw_status store_journal_open(const char *dir, const struct store_journal_options *options,
                                  uint64_t replay_after_seq, store_journal_replay_fn replay,
                                  void *ctx, struct store_journal_report *report,
                                  struct store_journal **out, struct fw_error *err)
{
    *out = NULL;
    if (report != NULL)
        memset(report, 0, sizeof *report);
    struct store_journal *j = new_journal(options);
    if (j == NULL)
        return fw_fail(err, FW_ENOMEM, "journal: no memory to open %s", dir);
    enum fw_status status = name_paths(j, dir, err);
    if (status == FW_OK)
        status = take_directory(j, err);
    if (status == FW_OK)
        status = recover_into(j, replay_after_seq, replay, ctx, report, err);
    if (status == FW_OK)
        status = start_writing(j, err);
    if (status == FW_OK) {
        *out = j;
        j = NULL; /* now the caller's */
    }
    store_journal_close(j);
    return status;
}

void store_journal_close(struct store_journal *j)
{
    if (j == NULL)
        return;
    const struct store_io *io = j->options.io;
    while (j->options.manual && j->queue.n > 0)
        (void)store_journal_pump(j);
    pthread_mutex_lock(&j->lock);
    j->closing = true;
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
    if (j->threaded)
        pthread_join(j->thread, NULL);
    if (j->fd >= 0) {
        if (j->options.preallocate && io->truncate(io->ctx, j->fd, j->size_bytes) == 0)
            (void)io->sync_data(io->ctx, j->fd);
        (void)io->close(io->ctx, j->fd);
    }
    if (j->lock_fd >= 0)
        (void)io->close(io->ctx, j->lock_fd);
    store_group_fini(&j->queue);
    store_group_fini(&j->writing);
    fw_free(j->segments);
    pthread_cond_destroy(&j->work);
    pthread_mutex_destroy(&j->lock);
    fw_free(j);
}
