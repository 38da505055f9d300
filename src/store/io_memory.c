#include "store/io_memory_internal.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static bool note_change(struct store_io_memory *m, enum memory_change_kind kind, const char *path,
                        const char *to, struct memory_node *node)
{
    if (m->n_changes == m->cap_changes) {
        const size_t cap = m->cap_changes == 0 ? 16 : m->cap_changes * 2;
        struct memory_change *changes = fw_realloc(m->changes, cap * sizeof *changes);
        if (changes == NULL)
            return false;
        m->changes = changes;
        m->cap_changes = cap;
    }
    struct memory_change *change = &m->changes[m->n_changes++];
    memset(change, 0, sizeof *change);
    change->kind = kind;
    snprintf(change->path, sizeof change->path, "%s", path);
    snprintf(change->to, sizeof change->to, "%s", to);
    change->node = memory_node_hold(node);
    return true;
}

void memory_apply_change(struct memory_tree *tree, const struct memory_change *change)
{
    switch (change->kind) {
    case MEMORY_LINK:
        (void)memory_tree_put(tree, change->path, change->node);
        break;
    case MEMORY_UNLINK:
        memory_tree_remove(tree, change->path);
        break;
    case MEMORY_RENAME:
        (void)memory_tree_put(tree, change->to, change->node);
        memory_tree_remove(tree, change->path);
        break;
    }
}

void memory_drop_fds(struct store_io_memory *m)
{
    for (int fd = 0; fd < MEMORY_FDS_MAX; fd++) {
        memory_node_release(m->fds[fd]);
        m->fds[fd] = NULL;
    }
}

void memory_drop_changes(struct store_io_memory *m)
{
    for (size_t i = 0; i < m->n_changes; i++)
        memory_node_release(m->changes[i].node);
    m->n_changes = 0;
}

/* ---- the calls ---- */

static struct store_io_memory *enter(void *ctx)
{
    struct store_io_memory *m = ctx;
    pthread_mutex_lock(&m->lock);
    return m;
}

static int leave(struct store_io_memory *m, int result)
{
    pthread_mutex_unlock(&m->lock);
    return result;
}

/* False once the power is off. */
static bool may_change(struct store_io_memory *m)
{
    if (m->off)
        return false;
    if (m->power_countdown == 0) {
        m->off = true;
        return false;
    }
    if (m->power_countdown != UINT64_MAX)
        m->power_countdown--;
    m->changed++;
    return true;
}

static int fd_of(struct store_io_memory *m, struct memory_node *node)
{
    for (int fd = 0; fd < MEMORY_FDS_MAX; fd++)
        if (m->fds[fd] == NULL) {
            m->fds[fd] = memory_node_hold(node);
            return fd;
        }
    return -EMFILE;
}

static int memory_open(void *ctx, const char *path, int flags, unsigned mode)
{
    (void)mode;
    struct store_io_memory *m = enter(ctx);
    if (m->off)
        return leave(m, -EIO);
    const struct memory_entry *entry = memory_tree_find(&m->seen, path);
    if (entry != NULL && entry->node == NULL)
        return leave(m, -EISDIR);
    if (entry != NULL && (flags & O_EXCL) != 0)
        return leave(m, -EEXIST);
    struct memory_node *node = entry != NULL ? entry->node : NULL;
    if (node == NULL) {
        if ((flags & O_CREAT) == 0 || !memory_tree_has_parent(&m->seen, path))
            return leave(m, -ENOENT);
        if (!may_change(m))
            return leave(m, -EIO);
        node = fw_calloc(1, sizeof *node);
        if (node == NULL)
            return leave(m, -ENOMEM);
        node->locked_by = -1;
        if (!memory_tree_put(&m->seen, path, node) || !note_change(m, MEMORY_LINK, path, "", node))
            return leave(m, -ENOMEM);
    } else if ((flags & O_TRUNC) != 0 && node->seen.size > 0) {
        if (!may_change(m))
            return leave(m, -EIO);
        if (!memory_node_mark(node, 0, node->seen.size))
            return leave(m, -ENOMEM);
        node->size_dirty = true;
        (void)memory_image_resize(&node->seen, 0);
    }
    return leave(m, fd_of(m, node));
}

static struct memory_node *node_of(struct store_io_memory *m, int fd)
{
    assert(fd >= 0 && fd < MEMORY_FDS_MAX && m->fds[fd] != NULL);
    return m->fds[fd];
}

static int memory_close(void *ctx, int fd)
{
    struct store_io_memory *m = enter(ctx);
    struct memory_node *node = node_of(m, fd);
    if (node->locked_by == fd)
        node->locked_by = -1;
    memory_node_release(node);
    m->fds[fd] = NULL;
    return leave(m, 0);
}

static ssize_t memory_read_at(void *ctx, int fd, void *data, size_t len, uint64_t offset)
{
    struct store_io_memory *m = enter(ctx);
    const struct memory_node *node = node_of(m, fd);
    ssize_t result = -EIO;
    if (!m->off) {
        size_t n = 0;
        if (offset < node->seen.size)
            n = node->seen.size - offset < len ? node->seen.size - (size_t)offset : len;
        if (n > 0)
            memcpy(data, node->seen.bytes + offset, n);
        result = (ssize_t)n;
    }
    pthread_mutex_unlock(&m->lock);
    return result;
}

static uint64_t blocks(size_t size)
{
    return ((uint64_t)size + MEMORY_BLOCK - 1) / MEMORY_BLOCK * MEMORY_BLOCK;
}

/* Every file that has a name or a descriptor counts once. */
static uint64_t used(const struct store_io_memory *m)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < m->seen.n; i++)
        if (m->seen.entries[i].node != NULL)
            bytes += blocks(m->seen.entries[i].node->seen.size);
    return bytes;
}

/* How far a file may grow. */
static size_t room_for(const struct store_io_memory *m, const struct memory_node *node, size_t size)
{
    if (m->capacity == UINT64_MAX)
        return size;
    const uint64_t others = used(m) - blocks(node->seen.size);
    const uint64_t room =
        m->capacity > others ? (m->capacity - others) / MEMORY_BLOCK * MEMORY_BLOCK : 0;
    return size <= room ? size : (size_t)room;
}

static ssize_t memory_write_at(void *ctx, int fd, const void *data, size_t len, uint64_t offset)
{
    struct store_io_memory *m = enter(ctx);
    struct memory_node *node = node_of(m, fd);
    bool torn = false;
    const bool was_off = m->off;
    if (!may_change(m)) {
        /* The call at which the power goes may have reached the cache in part. */
        if (was_off || len == 0)
            return leave(m, -EIO);
        torn = true;
        len = (size_t)fw_rng_below(&m->rng, len + 1);
    }
    const size_t end = room_for(m, node, (size_t)offset + len);
    if (end <= offset && len > 0)
        return leave(m, torn ? -EIO : -ENOSPC);
    len = end - (size_t)offset;
    if ((end > node->seen.size && !memory_image_resize(&node->seen, end)) ||
        !memory_node_mark(node, (size_t)offset, end))
        return leave(m, -ENOMEM);
    if (end > node->disk.size)
        node->size_dirty = true;
    if (len > 0)
        memcpy(node->seen.bytes + offset, data, len);
    pthread_mutex_unlock(&m->lock);
    return torn ? -EIO : (ssize_t)len;
}

static int memory_sync_data(void *ctx, int fd)
{
    struct store_io_memory *m = enter(ctx);
    struct memory_node *node = node_of(m, fd);
    if (!may_change(m))
        return leave(m, -EIO);
    if (m->sync_countdown > 0 && --m->sync_countdown == 0)
        return leave(m, memory_node_sync_half(node, &m->rng) ? -EIO : -ENOMEM);
    return leave(m, memory_node_sync(node) ? 0 : -ENOMEM);
}

static int memory_sync_dir(void *ctx, const char *path)
{
    struct store_io_memory *m = enter(ctx);
    if (!may_change(m))
        return leave(m, -EIO);
    size_t kept = 0;
    for (size_t i = 0; i < m->n_changes; i++) {
        struct memory_change *change = &m->changes[i];
        if (memory_lies_in(change->path, path) || memory_lies_in(change->to, path)) {
            memory_apply_change(&m->disk, change);
            memory_node_release(change->node);
        } else {
            m->changes[kept++] = *change;
        }
    }
    m->n_changes = kept;
    return leave(m, 0);
}

static int memory_truncate(void *ctx, int fd, uint64_t size_bytes)
{
    struct store_io_memory *m = enter(ctx);
    struct memory_node *node = node_of(m, fd);
    if (!may_change(m))
        return leave(m, -EIO);
    if (room_for(m, node, (size_t)size_bytes) < size_bytes)
        return leave(m, -ENOSPC);
    const size_t before = node->seen.size;
    const size_t low = before < size_bytes ? before : (size_t)size_bytes;
    const size_t high = before < size_bytes ? (size_t)size_bytes : before;
    if (!memory_node_mark(node, low, high) || !memory_image_resize(&node->seen, (size_t)size_bytes))
        return leave(m, -ENOMEM);
    node->size_dirty = true;
    return leave(m, 0);
}

static int memory_preallocate(void *ctx, int fd, uint64_t size_bytes)
{
    return memory_truncate(ctx, fd, size_bytes);
}

static int memory_size(void *ctx, int fd, uint64_t *size_bytes)
{
    struct store_io_memory *m = enter(ctx);
    *size_bytes = node_of(m, fd)->seen.size;
    return leave(m, m->off ? -EIO : 0);
}

static int memory_drop_cache(void *ctx, int fd)
{
    (void)ctx;
    (void)fd;
    return 0;
}

static int memory_lock(void *ctx, int fd)
{
    struct store_io_memory *m = enter(ctx);
    struct memory_node *node = node_of(m, fd);
    if (node->locked_by >= 0 && node->locked_by != fd)
        return leave(m, -EWOULDBLOCK);
    node->locked_by = fd;
    return leave(m, 0);
}

static int memory_rename(void *ctx, const char *from, const char *to)
{
    struct store_io_memory *m = enter(ctx);
    const struct memory_entry *entry = memory_tree_find(&m->seen, from);
    if (entry == NULL || !memory_tree_has_parent(&m->seen, to))
        return leave(m, -ENOENT);
    if (!may_change(m))
        return leave(m, -EIO);
    const size_t last = m->n_changes;
    if (!note_change(m, MEMORY_RENAME, from, to, entry->node))
        return leave(m, -ENOMEM);
    memory_apply_change(&m->seen, &m->changes[last]);
    return leave(m, 0);
}

static int memory_unlink(void *ctx, const char *path)
{
    struct store_io_memory *m = enter(ctx);
    if (memory_tree_find(&m->seen, path) == NULL)
        return leave(m, -ENOENT);
    if (!may_change(m))
        return leave(m, -EIO);
    if (!note_change(m, MEMORY_UNLINK, path, "", NULL))
        return leave(m, -ENOMEM);
    memory_tree_remove(&m->seen, path);
    return leave(m, 0);
}

static int memory_mkdir(void *ctx, const char *path, unsigned mode)
{
    (void)mode;
    struct store_io_memory *m = enter(ctx);
    if (memory_tree_find(&m->seen, path) != NULL)
        return leave(m, -EEXIST);
    if (!memory_tree_has_parent(&m->seen, path))
        return leave(m, -ENOENT);
    if (!may_change(m))
        return leave(m, -EIO);
    if (!memory_tree_put(&m->seen, path, NULL) || !note_change(m, MEMORY_LINK, path, "", NULL))
        return leave(m, -ENOMEM);
    return leave(m, 0);
}

/* Tells a copy of the names, so that the visitor may call the layer. */
static int memory_list(void *ctx, const char *path, store_io_entry_fn visit, void *visit_ctx)
{
    struct store_io_memory *m = enter(ctx);
    const struct memory_entry *dir = memory_tree_find(&m->seen, path);
    if (m->off)
        return leave(m, -EIO);
    if (strcmp(path, "/") != 0 && (dir == NULL || dir->node != NULL))
        return leave(m, dir == NULL ? -ENOENT : -ENOTDIR);
    char(*found)[STORE_PATH_MAX] = fw_calloc(m->seen.n + 1, sizeof *found);
    if (found == NULL)
        return leave(m, -ENOMEM);
    size_t n = 0;
    for (size_t i = 0; i < m->seen.n; i++)
        if (memory_lies_in(m->seen.entries[i].path, path))
            snprintf(found[n++], sizeof found[0], "%s", strrchr(m->seen.entries[i].path, '/') + 1);
    leave(m, 0);
    for (size_t i = 0; i < n && visit(visit_ctx, found[i]); i++)
        ;
    fw_free(found);
    return 0;
}

static int memory_free_bytes(void *ctx, const char *path, uint64_t *free_bytes)
{
    (void)path;
    struct store_io_memory *m = enter(ctx);
    const uint64_t taken = used(m);
    *free_bytes = m->capacity > taken ? m->capacity - taken : 0;
    return leave(m, m->off ? -EIO : 0);
}

/* ---- the disk ---- */

struct store_io_memory *store_io_memory_new(uint64_t seed)
{
    struct store_io_memory *m = fw_calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    pthread_mutex_init(&m->lock, NULL);
    fw_rng_init(&m->rng, seed);
    m->capacity = UINT64_MAX;
    m->power_countdown = UINT64_MAX;
    m->io = (struct store_io){
        .ctx = m,
        .open = memory_open,
        .close = memory_close,
        .read_at = memory_read_at,
        .write_at = memory_write_at,
        .sync_data = memory_sync_data,
        .sync_dir = memory_sync_dir,
        .truncate = memory_truncate,
        .preallocate = memory_preallocate,
        .size = memory_size,
        .drop_cache = memory_drop_cache,
        .lock = memory_lock,
        .rename = memory_rename,
        .unlink = memory_unlink,
        .mkdir = memory_mkdir,
        .list = memory_list,
        .free_bytes = memory_free_bytes,
    };
    return m;
}

void store_io_memory_free(struct store_io_memory *m)
{
    if (m == NULL)
        return;
    memory_drop_fds(m);
    memory_drop_changes(m);
    fw_free(m->changes);
    memory_tree_fini(&m->seen);
    memory_tree_fini(&m->disk);
    pthread_mutex_destroy(&m->lock);
    fw_free(m);
}

const struct store_io *store_io_memory_io(struct store_io_memory *m)
{
    return &m->io;
}
