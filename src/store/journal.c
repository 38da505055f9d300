#include "store/journal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/journal_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

enum {
    GROUP_KEPT_BYTES = 8 << 20 /* a larger group buffer is given back when it stays mostly empty */
};

/* ---- groups ---- */

static enum fw_status group_add(struct store_group *group, const void *payload, size_t len,
                                store_journal_done_fn done, void *ctx)
{
    const size_t end = group->len + STORE_RECORD_HEADER + len;
    if (end > group->cap) {
        size_t cap = group->cap == 0 ? 64 << 10 : group->cap;
        while (cap < end)
            cap *= 2;
        unsigned char *bytes = fw_realloc(group->bytes, cap);
        if (bytes == NULL)
            return FW_ENOMEM;
        group->bytes = bytes;
        group->cap = cap;
    }
    if (group->n == group->n_cap) {
        const size_t cap = group->n_cap == 0 ? 64 : group->n_cap * 2;
        struct store_pending *pending = fw_realloc_array(group->pending, cap, sizeof *pending);
        if (pending == NULL)
            return FW_ENOMEM;
        group->pending = pending;
        group->n_cap = cap;
    }
    /* The header is filled in when the record's place in a file is known. */
    memcpy(group->bytes + group->len + STORE_RECORD_HEADER, payload, len);
    group->pending[group->n++] =
        (struct store_pending){.done = done, .ctx = ctx, .at = group->len, .len = len};
    group->len = end;
    return FW_OK;
}

static void group_reset(struct store_group *group)
{
    if (group->cap > GROUP_KEPT_BYTES && group->len < group->cap / 8) {
        fw_free(group->bytes);
        group->bytes = NULL;
        group->cap = 0;
    }
    group->len = 0;
    group->n = 0;
}

void store_group_fini(struct store_group *group)
{
    fw_free(group->bytes);
    fw_free(group->pending);
}

/* ---- the journal thread ---- */

static void count_refused(struct store_journal *j, enum fw_status status, uint64_t n)
{
    if (status == FW_ENOSPC)
        j->stats.refused_full += n;
    else
        j->stats.refused_failed += n;
}

/* Tells every caller of the group, oldest first, with no lock held. */
static void finish_group(struct store_journal *j, struct store_group *group, enum fw_status status,
                         uint64_t first_seq)
{
    for (size_t i = 0; i < group->n; i++)
        group->pending[i].done(group->pending[i].ctx, status, status == FW_OK ? first_seq + i : 0);
    pthread_mutex_lock(&j->lock);
    j->queue_bytes -= group->len;
    j->queue_records -= group->n;
    if (status == FW_OK)
        j->stats.acknowledged += group->n;
    else
        count_refused(j, status, group->n);
    pthread_mutex_unlock(&j->lock);
    group_reset(group);
}

static void swap_queue(struct store_journal *j)
{
    const struct store_group empty = j->writing;
    j->writing = j->queue;
    j->queue = empty;
}

static void look_again(struct store_journal *j)
{
    pthread_mutex_lock(&j->lock);
    const enum store_journal_state state = j->state;
    pthread_mutex_unlock(&j->lock);
    if (state == STORE_JOURNAL_OK || !store_commit_probe(j, state))
        return;
    pthread_mutex_lock(&j->lock);
    j->state = STORE_JOURNAL_OK;
    pthread_mutex_unlock(&j->lock);
    FW_LOG_INFO("journal", "takes records again");
}

/* From here on append() refuses, and those who came meanwhile are told at once rather than left
 * waiting. */
static void enter_failure(struct store_journal *j, enum fw_status status)
{
    pthread_mutex_lock(&j->lock);
    j->state = status == FW_ENOSPC ? STORE_JOURNAL_FULL : STORE_JOURNAL_FAILED;
    pthread_mutex_unlock(&j->lock);
    finish_group(j, &j->writing, status, 0);
    pthread_mutex_lock(&j->lock);
    swap_queue(j);
    pthread_mutex_unlock(&j->lock);
    finish_group(j, &j->writing, status, 0);
    FW_LOG_WARN("journal", "refuses records reason=\"%s\"",
                status == FW_ENOSPC ? "disk full" : "input/output error");
    if (status != FW_ENOSPC)
        look_again(j);
}

static void commit_queue(struct store_journal *j)
{
    uint64_t first_seq = 0;
    const enum fw_status status = store_commit_group(j, &first_seq);
    if (status == FW_OK)
        finish_group(j, &j->writing, FW_OK, first_seq);
    else
        enter_failure(j, status);
}

static void wait_to_probe(struct store_journal *j)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)j->options.probe_ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&j->work, &j->lock, &until);
}

void *store_journal_thread(void *ctx)
{
    struct store_journal *j = ctx;
    pthread_mutex_lock(&j->lock);
    for (;;) {
        if (j->queue.n > 0) {
            swap_queue(j);
            pthread_mutex_unlock(&j->lock);
            commit_queue(j);
            pthread_mutex_lock(&j->lock);
        } else if (j->closing) {
            break;
        } else if (j->state == STORE_JOURNAL_OK) {
            pthread_cond_wait(&j->work, &j->lock);
        } else {
            wait_to_probe(j);
            pthread_mutex_unlock(&j->lock);
            look_again(j);
            pthread_mutex_lock(&j->lock);
        }
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

bool store_journal_pump(struct store_journal *j)
{
    assert(j->options.manual);
    pthread_mutex_lock(&j->lock);
    const bool queued = j->queue.n > 0;
    const bool well = j->state == STORE_JOURNAL_OK;
    if (queued)
        swap_queue(j);
    pthread_mutex_unlock(&j->lock);
    if (queued)
        commit_queue(j);
    else if (!well)
        look_again(j);
    return queued || !well;
}

enum fw_status store_journal_append(struct store_journal *j, const void *payload, size_t len,
                                    store_journal_done_fn done, void *ctx)
{
    assert(done != NULL);
    if (len == 0 || len > j->options.record_bytes_max)
        return FW_EINVAL;
    enum fw_status status = FW_OK;
    pthread_mutex_lock(&j->lock);
    assert(!j->closing);
    if (j->state != STORE_JOURNAL_OK) {
        status = j->state == STORE_JOURNAL_FULL ? FW_ENOSPC : FW_EIO;
        count_refused(j, status, 1);
    } else if (j->queue_bytes + STORE_RECORD_HEADER + len > j->options.queue_bytes_max) {
        status = FW_ELIMIT;
        j->stats.refused_limit++;
    } else {
        status = group_add(&j->queue, payload, len, done, ctx);
    }
    if (status == FW_OK) {
        j->queue_bytes += STORE_RECORD_HEADER + len;
        j->queue_records++;
        j->stats.appended++;
        pthread_cond_signal(&j->work);
    }
    pthread_mutex_unlock(&j->lock);
    return status;
}

/* ---- the rest ---- */

/* Takes one releasable segment off the list; false when there is none. */
static bool take_releasable(struct store_journal *j, uint64_t seq, struct store_segment_file *file)
{
    bool found = false;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->n_segments && !found; i++) {
        if (j->segments[i].last_seq > seq)
            continue;
        *file = j->segments[i];
        memmove(&j->segments[i], &j->segments[i + 1],
                (j->n_segments - i - 1) * sizeof *j->segments);
        j->n_segments--;
        found = true;
    }
    pthread_mutex_unlock(&j->lock);
    return found;
}

/* Back to the front of the list: it is tried again with the next release. The slot it came from is
 * still there. */
static void put_back(struct store_journal *j, const struct store_segment_file *file)
{
    pthread_mutex_lock(&j->lock);
    if (j->n_segments + 1 < j->cap_segments) {
        memmove(&j->segments[1], &j->segments[0], j->n_segments * sizeof *j->segments);
        j->segments[0] = *file;
        j->n_segments++;
    }
    pthread_mutex_unlock(&j->lock);
}

enum fw_status store_journal_release(struct store_journal *j, uint64_t seq)
{
    const struct store_io *io = j->options.io;
    enum fw_status status = FW_OK;
    bool removed = false;
    struct store_segment_file file;
    while (status == FW_OK && take_releasable(j, seq, &file)) {
        char path[STORE_PATH_MAX];
        int result = -ENAMETOOLONG;
        if (store_io_path(path, sizeof path, j->dir, file.name))
            result = io->unlink(io->ctx, path);
        if (result < 0 && result != -ENOENT) {
            status = store_io_status(result);
            put_back(j, &file);
        }
        removed = removed || result == 0;
    }
    if (removed)
        (void)io->sync_dir(io->ctx,
                           j->dir); /* if this is lost they come back, and are let go again */
    return status;
}

void store_journal_stats(struct store_journal *j, struct store_journal_stats *out)
{
    pthread_mutex_lock(&j->lock);
    *out = j->stats;
    out->state = j->state;
    out->segments = j->n_segments;
    for (size_t i = 0; i < j->n_segments; i++)
        out->bytes += j->segments[i].size_bytes;
    out->first_seq = j->n_segments > 0 ? j->segments[0].first_seq : 0;
    out->last_seq = j->acked_seq;
    out->queue_records = j->queue_records;
    out->queue_bytes = j->queue_bytes;
    pthread_mutex_unlock(&j->lock);
    fw_histogram_read(&j->sync_ns, &out->sync_ns);
    fw_histogram_read(&j->group_records, &out->group_records);
}
