#include "store/journal_internal.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME_ATTEMPTS = 8 }; /* at a marker that no file has yet */
/* Bytes beyond the reserve, so that the next record does not fill the disk again. */
enum { ROOM_TO_GO_ON = 64 << 10 };

static uint32_t draw_marker(struct store_journal *j)
{
    uint32_t marker;
    do {
        marker = (uint32_t)(fw_rng_next(&j->rng) >> 32);
    } while (marker == 0 || marker == UINT32_MAX); /* what empty disks are full of */
    return marker;
}

/* Room for one more in the list of segments, before anything is done that would have to be undone.
 */
static bool reserve_entry(struct store_journal *j)
{
    pthread_mutex_lock(&j->lock);
    bool ok = j->n_segments < j->cap_segments;
    if (!ok) {
        const size_t cap = j->n_segments + 16;
        struct store_segment_file *grown = fw_realloc(j->segments, cap * sizeof *grown);
        ok = grown != NULL;
        if (ok) {
            j->segments = grown;
            j->cap_segments = cap;
        }
    }
    pthread_mutex_unlock(&j->lock);
    return ok;
}

static int write_new_file(struct store_journal *j, const char *path,
                          const struct store_segment_header *header)
{
    const struct store_io *io = j->options.io;
    const int fd = io->open(io->ctx, path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fd;
    if (j->options.preallocate)
        (void)io->preallocate(io->ctx, fd, j->options.segment_bytes); /* a wish, no more */
    unsigned char bytes[STORE_SEGMENT_HEADER];
    store_segment_header_encode(header, bytes);
    int result = store_io_write_full(io, fd, bytes, sizeof bytes, 0);
    if (result == 0)
        result = io->sync_data(io->ctx, fd);
    if (result == 0)
        result = io->sync_dir(io->ctx, j->dir);
    if (result == 0)
        return fd;
    (void)io->close(io->ctx, fd);
    (void)io->unlink(io->ctx, path);
    return result;
}

/* What was asked for in advance and not used is given back. */
static void close_segment(struct store_journal *j)
{
    const struct store_io *io = j->options.io;
    if (j->fd < 0)
        return;
    if (j->options.preallocate && io->truncate(io->ctx, j->fd, j->size_bytes) == 0)
        (void)io->sync_data(io->ctx, j->fd);
    (void)io->close(io->ctx, j->fd);
    j->fd = -1;
}

int store_commit_new_segment(struct store_journal *j)
{
    pthread_mutex_lock(&j->lock);
    const uint64_t acked_seq = j->acked_seq;
    pthread_mutex_unlock(&j->lock);
    struct store_segment_header header = {.first_seq = j->next_seq,
                                          .prev_seq = acked_seq,
                                          .created_ms = fw_clock_wall_ms(j->options.clock),
                                          .session_seq = j->session_seq};
    struct store_segment_file file = {.first_seq = header.first_seq,
                                      .prev_seq = header.prev_seq,
                                      .last_seq = UINT64_MAX,
                                      .size_bytes = STORE_SEGMENT_HEADER};
    if (!reserve_entry(j))
        return -ENOMEM;
    int fd = -EEXIST;
    for (int attempt = 0; attempt < NAME_ATTEMPTS && fd == -EEXIST; attempt++) {
        char path[STORE_PATH_MAX];
        header.marker = file.marker = draw_marker(j);
        store_segment_name(file.name, header.first_seq, header.marker);
        if (!store_io_path(path, sizeof path, j->dir, file.name))
            return -ENAMETOOLONG;
        fd = write_new_file(j, path, &header);
    }
    if (fd < 0)
        return fd;
    close_segment(j);
    j->fd = fd;
    j->size_bytes = STORE_SEGMENT_HEADER;
    j->records = 0;
    j->marker = header.marker;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->n_segments; i++)
        if (j->segments[i].last_seq == UINT64_MAX)
            j->segments[i].last_seq = header.first_seq - 1;
    j->segments[j->n_segments++] = file;
    pthread_mutex_unlock(&j->lock);
    return 0;
}

static enum fw_status count_record(void *ctx, const struct store_segment_item *item)
{
    uint64_t *found = ctx;
    *found += item->kind == STORE_SEGMENT_RECORD;
    return FW_OK;
}

/* What was acknowledged in the segment is read again, from the device where the system lets us: a
 * failed sync throws cached pages away and may have been the first word of a dying disk. */
static void read_back(struct store_journal *j)
{
    const struct store_io *io = j->options.io;
    (void)io->drop_cache(io->ctx, j->fd);
    uint64_t found = 0;
    struct store_segment_scan scan = {.io = io,
                                      .fd = j->fd,
                                      .size_bytes = j->size_bytes,
                                      .marker = j->marker,
                                      .record_bytes_max = j->options.record_bytes_max};
    const enum fw_status status = store_segment_scan(&scan, count_record, &found);
    const uint64_t missing = status == FW_OK && found < j->records ? j->records - found : 0;
    if (missing == 0)
        return;
    FW_LOG_ERROR("journal", "acknowledged records cannot be read back count=%" PRIu64, missing);
    pthread_mutex_lock(&j->lock);
    j->stats.readback_missing += missing;
    pthread_mutex_unlock(&j->lock);
}

/* After a failed write or sync nobody knows what the file holds behind the last acknowledged
 * record, and syncing the same pages again would answer "fine" without having written them. So the
 * segment ends here: it is cut if it can be, its used-up sequences are skipped, and the next
 * segment's header tells recovery where the truth ended. */
static void abandon(struct store_journal *j, uint64_t used_sequences)
{
    const struct store_io *io = j->options.io;
    read_back(j);
    if (io->truncate(io->ctx, j->fd, j->size_bytes) == 0)
        (void)io->sync_data(io->ctx, j->fd);
    (void)io->close(io->ctx, j->fd);
    j->fd = -1;
    j->next_seq += used_sequences;
}

static enum fw_status refusal(int negative_errno)
{
    return store_io_status(negative_errno) == FW_ENOSPC ? FW_ENOSPC : FW_EIO;
}

static void seal_group(struct store_journal *j)
{
    for (size_t i = 0; i < j->writing.n; i++) {
        const struct store_pending *pending = &j->writing.pending[i];
        store_record_seal(j->writing.bytes + pending->at, j->marker, j->size_bytes + pending->at,
                          j->next_seq + i, (uint32_t)i, pending->len);
    }
}

static enum fw_status make_room(struct store_journal *j)
{
    uint64_t free_bytes;
    const struct store_io *io = j->options.io;
    if (io->free_bytes(io->ctx, j->dir, &free_bytes) == 0 &&
        free_bytes < j->options.reserve_bytes + j->writing.len)
        return FW_ENOSPC;
    const bool full =
        j->fd >= 0 && j->records > 0 && j->size_bytes + j->writing.len > j->options.segment_bytes;
    if (j->fd >= 0 && !full)
        return FW_OK;
    const int result = store_commit_new_segment(j);
    if (result == 0)
        return FW_OK;
    FW_LOG_WARN("journal", "cannot start a segment error=\"%s\"", strerror(-result));
    return refusal(result);
}

static int sync_group(struct store_journal *j)
{
    const struct store_io *io = j->options.io;
    const int64_t begun = fw_clock_mono_ns(j->options.clock);
    const int result = io->sync_data(io->ctx, j->fd);
    const int64_t ended = fw_clock_mono_ns(j->options.clock);
    fw_histogram_record(&j->sync_ns, ended > begun ? (uint64_t)(ended - begun) : 0);
    return result;
}

static void count_failure(struct store_journal *j, const char *what, int negative_errno)
{
    FW_LOG_WARN("journal", "%s failed error=\"%s\"", what, strerror(-negative_errno));
    pthread_mutex_lock(&j->lock);
    if (what[0] == 'w')
        j->stats.write_failures++;
    else
        j->stats.sync_failures++;
    pthread_mutex_unlock(&j->lock);
}

/* A full disk: the partial tail goes, durably, so that its sequences can be used again. */
static bool cut_back(struct store_journal *j)
{
    const struct store_io *io = j->options.io;
    return io->truncate(io->ctx, j->fd, j->size_bytes) == 0 && io->sync_data(io->ctx, j->fd) == 0;
}

enum fw_status store_commit_group(struct store_journal *j, uint64_t *first_seq)
{
    const struct store_io *io = j->options.io;
    struct store_group *group = &j->writing;
    assert(group->n > 0);
    const enum fw_status status = make_room(j);
    if (status != FW_OK)
        return status;
    seal_group(j);
    int result = store_io_write_full(io, j->fd, group->bytes, group->len, j->size_bytes);
    if (result < 0) {
        count_failure(j, "write", result);
        if (refusal(result) != FW_ENOSPC || !cut_back(j))
            abandon(j, group->n);
        return refusal(result);
    }
    result = sync_group(j);
    if (result < 0) {
        count_failure(j, "sync", result);
        abandon(j, group->n);
        return refusal(result);
    }
    fw_histogram_record(&j->group_records, group->n);
    *first_seq = j->next_seq;
    j->next_seq += group->n;
    j->size_bytes += group->len;
    j->records += group->n;
    pthread_mutex_lock(&j->lock);
    j->acked_seq = j->next_seq - 1;
    j->segments[j->n_segments - 1].size_bytes = j->size_bytes;
    j->stats.written_bytes += group->len;
    pthread_mutex_unlock(&j->lock);
    return FW_OK;
}

bool store_commit_probe(struct store_journal *j, enum store_journal_state state)
{
    const struct store_io *io = j->options.io;
    uint64_t free_bytes;
    if (io->free_bytes(io->ctx, j->dir, &free_bytes) == 0 &&
        free_bytes < j->options.reserve_bytes + ROOM_TO_GO_ON)
        return false;
    if (state == STORE_JOURNAL_FULL && j->fd >= 0)
        return true;
    if (store_commit_new_segment(j) < 0)
        return false;
    pthread_mutex_lock(&j->lock);
    j->stats.reopened++;
    pthread_mutex_unlock(&j->lock);
    return true;
}
