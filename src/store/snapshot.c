#include "store/snapshot.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "store/segment.h"
#include "store/snapshot_format.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Written pages are synced as the file grows, so that the last sync is short and journal commits,
 * which share the disk, are never held up behind hundreds of megabytes. */
enum { BUFFER = 1 << 20, SYNC_EVERY = 16 << 20 };

static const char aside_name[] = "snapshot.new";

struct store_snapshot_writer {
    const struct store_io *io;
    char dir[STORE_PATH_MAX];
    char aside[STORE_PATH_MAX];
    int fd;
    struct snapshot_header header;
    unsigned char *buffer;
    size_t buffered;
    uint64_t written;  /* bytes given to the file */
    uint64_t unsynced; /* of these */
    struct snapshot_entry *entries;
    size_t blocks, cap;
    bool failed;
};

static enum fw_status fail_io(struct store_snapshot_writer *w, int result, struct fw_error *err)
{
    w->failed = true;
    const enum fw_status status = store_io_status(result) == FW_ENOSPC ? FW_ENOSPC : FW_EIO;
    return fw_fail(err, status, "snapshot: cannot write %s: %s", w->aside, strerror(-result));
}

static int write_through(struct store_snapshot_writer *w, const void *data, size_t len)
{
    int result = store_io_write_full(w->io, w->fd, data, len, w->written);
    if (result < 0)
        return result;
    w->written += len;
    w->unsynced += len;
    if (w->unsynced >= SYNC_EVERY) {
        result = w->io->sync_data(w->io->ctx, w->fd);
        w->unsynced = 0;
    }
    return result;
}

static int flush_buffer(struct store_snapshot_writer *w)
{
    const int result = w->buffered > 0 ? write_through(w, w->buffer, w->buffered) : 0;
    w->buffered = 0;
    return result;
}

static int write_bytes(struct store_snapshot_writer *w, const void *data, size_t len)
{
    int result = 0;
    if (w->buffered + len > BUFFER)
        result = flush_buffer(w);
    if (result == 0 && len > BUFFER)
        return write_through(w, data, len);
    if (result == 0 && len > 0) {
        memcpy(w->buffer + w->buffered, data, len);
        w->buffered += len;
    }
    return result;
}

static int write_padded(struct store_snapshot_writer *w, const void *data, size_t len)
{
    static const unsigned char zeros[SNAPSHOT_ALIGN];
    const int result = write_bytes(w, data, len);
    if (result < 0 || len % SNAPSHOT_ALIGN == 0)
        return result;
    return write_bytes(w, zeros, SNAPSHOT_ALIGN - len % SNAPSHOT_ALIGN);
}

static enum fw_status make_file(struct store_snapshot_writer *w, struct fw_error *err)
{
    const struct store_io *io = w->io;
    const int made = io->mkdir(io->ctx, w->dir, 0700);
    if (made < 0 && made != -EEXIST)
        return fail_io(w, made, err);
    char parent[STORE_PATH_MAX];
    const int synced = store_io_sync_parent(io, w->dir, parent);
    if (synced < 0)
        return fail_io(w, synced, err);
    (void)io->unlink(io->ctx, w->aside); /* of a writer that died */
    w->fd = io->open(io->ctx, w->aside, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return w->fd < 0 ? fail_io(w, w->fd, err) : FW_OK;
}

enum fw_status store_snapshot_begin(const char *dir, const struct store_io *io,
                                    const struct fw_clock *clock, uint64_t sequence,
                                    const void *metadata, size_t metadata_len,
                                    struct store_snapshot_writer **out, struct fw_error *err)
{
    *out = NULL;
    if (metadata_len > STORE_SNAPSHOT_METADATA_MAX)
        return fw_fail(err, FW_EINVAL, "snapshot: %zu bytes of metadata are too many",
                       metadata_len);
    struct store_snapshot_writer *w = fw_calloc(1, sizeof *w);
    unsigned char *buffer = fw_malloc(BUFFER);
    if (w == NULL || buffer == NULL) {
        fw_free(w);
        fw_free(buffer);
        return fw_fail(err, FW_ENOMEM, "snapshot: no memory to write %s", dir);
    }
    w->io = io != NULL ? io : store_io_system();
    w->buffer = buffer;
    w->fd = -1;
    const int n = snprintf(w->dir, sizeof w->dir, "%s", dir);
    enum fw_status status = FW_OK;
    if (n <= 0 || (size_t)n + SNAPSHOT_NAME_MAX >= sizeof w->dir ||
        !store_io_path(w->aside, sizeof w->aside, dir, aside_name))
        status = fw_fail(err, FW_EINVAL, "snapshot: the path of %s is too long", dir);
    if (status == FW_OK)
        status = make_file(w, err);
    if (status == FW_OK) {
        w->header = (struct snapshot_header){
            .sequence = sequence,
            .created_ms = fw_clock_wall_ms(clock != NULL ? clock : fw_clock_system()),
            .metadata_len = (uint32_t)metadata_len,
            .metadata_crc = fw_crc32c(0, metadata, metadata_len),
            .marker = (uint32_t)fw_rng_entropy() | 1};
        unsigned char head[SNAPSHOT_HEADER];
        snapshot_header_encode(&w->header, head);
        int result = write_bytes(w, head, sizeof head);
        if (result == 0)
            result = write_padded(w, metadata, metadata_len);
        if (result < 0)
            status = fail_io(w, result, err);
    }
    if (status != FW_OK) {
        store_snapshot_abort(w);
        return status;
    }
    *out = w;
    return FW_OK;
}

static enum fw_status reserve_entry(struct store_snapshot_writer *w, struct fw_error *err)
{
    if (w->blocks < w->cap)
        return FW_OK;
    const size_t cap = w->cap == 0 ? 256 : w->cap * 2;
    struct snapshot_entry *grown = fw_realloc_array(w->entries, cap, sizeof *grown);
    if (grown == NULL) {
        w->failed = true;
        return fw_fail(err, FW_ENOMEM, "snapshot: no memory for %zu blocks", cap);
    }
    w->entries = grown;
    w->cap = cap;
    return FW_OK;
}

enum fw_status store_snapshot_put(struct store_snapshot_writer *w, uint32_t kind, const void *data,
                                  size_t len, struct fw_error *err)
{
    assert(!w->failed);
    if (len > STORE_SNAPSHOT_BLOCK_MAX || w->blocks >= STORE_SNAPSHOT_BLOCKS_MAX) {
        w->failed = true;
        return fw_fail(err, FW_ELIMIT, "snapshot: block %zu with %zu bytes passes a limit",
                       w->blocks, len);
    }
    const enum fw_status status = reserve_entry(w, err);
    if (status != FW_OK)
        return status;
    const struct snapshot_entry entry = {.offset = w->written + w->buffered,
                                         .kind = kind,
                                         .len = (uint32_t)len,
                                         .crc = fw_crc32c(0, data, len)};
    unsigned char head[SNAPSHOT_BLOCK_HEADER];
    snapshot_block_encode(&entry, w->header.marker, (uint32_t)w->blocks, head);
    int result = write_bytes(w, head, sizeof head);
    if (result == 0)
        result = write_padded(w, data, len);
    if (result < 0)
        return fail_io(w, result, err);
    w->entries[w->blocks++] = entry;
    return FW_OK;
}

static int write_index(struct store_snapshot_writer *w)
{
    struct snapshot_trailer trailer = {
        .index_offset = w->written + w->buffered, .blocks = w->blocks, .marker = w->header.marker};
    int result = 0;
    for (size_t i = 0; i < w->blocks && result == 0; i++) {
        unsigned char bytes[SNAPSHOT_INDEX_ENTRY];
        snapshot_entry_encode(&w->entries[i], bytes);
        trailer.index_crc = fw_crc32c(trailer.index_crc, bytes, sizeof bytes);
        result = write_bytes(w, bytes, sizeof bytes);
    }
    unsigned char bytes[SNAPSHOT_TRAILER];
    snapshot_trailer_encode(&trailer, bytes);
    if (result == 0)
        result = write_bytes(w, bytes, sizeof bytes);
    if (result == 0)
        result = flush_buffer(w);
    return result;
}

/* Removes all but the newest ones, and tells up to where the journal may go. */
static enum fw_status prune(struct store_snapshot_writer *w, uint64_t *release_seq,
                            struct fw_error *err)
{
    struct snapshot_list list;
    const enum fw_status status = snapshot_list_read(w->io, w->dir, &list, err);
    *release_seq = 0;
    if (status == FW_OK && list.n >= STORE_SNAPSHOT_KEPT)
        *release_seq = list.sequences[STORE_SNAPSHOT_KEPT - 1];
    for (size_t i = STORE_SNAPSHOT_KEPT; status == FW_OK && i < list.n; i++) {
        char name[SNAPSHOT_NAME_MAX], path[STORE_PATH_MAX];
        snapshot_name(name, list.sequences[i]);
        if (store_io_path(path, sizeof path, w->dir, name))
            (void)w->io->unlink(w->io->ctx,
                                path); /* one that stays costs room, and goes next time */
    }
    fw_free(list.sequences);
    return status;
}

static int publish(struct store_snapshot_writer *w)
{
    char name[SNAPSHOT_NAME_MAX], final[STORE_PATH_MAX];
    snapshot_name(name, w->header.sequence);
    if (!store_io_path(final, sizeof final, w->dir, name))
        return -ENAMETOOLONG;
    int result = w->io->sync_data(w->io->ctx, w->fd);
    const int closed = w->io->close(w->io->ctx, w->fd);
    w->fd = -1;
    if (result == 0)
        result = closed;
    if (result == 0)
        result = w->io->rename(w->io->ctx, w->aside, final);
    if (result == 0)
        result = w->io->sync_dir(w->io->ctx, w->dir);
    return result;
}

enum fw_status store_snapshot_commit(struct store_snapshot_writer *w, uint64_t *release_seq,
                                     struct fw_error *err)
{
    assert(!w->failed);
    uint64_t upto = 0;
    int result = write_index(w);
    if (result == 0)
        result = publish(w);
    enum fw_status status = result < 0 ? fail_io(w, result, err) : prune(w, &upto, err);
    store_snapshot_abort(w);
    if (release_seq != NULL)
        *release_seq = status == FW_OK ? upto : 0;
    return status;
}

void store_snapshot_abort(struct store_snapshot_writer *w)
{
    if (w == NULL)
        return;
    if (w->fd >= 0) {
        (void)w->io->close(w->io->ctx, w->fd);
        (void)w->io->unlink(w->io->ctx, w->aside);
    } else if (w->failed) {
        (void)w->io->unlink(w->io->ctx, w->aside);
    }
    fw_free(w->buffer);
    fw_free(w->entries);
    fw_free(w);
}
