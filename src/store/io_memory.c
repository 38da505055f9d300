#include "store/io_memory.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { FDS_MAX = 64, BLOCK = 4096 };

/* Two images: what a reader sees, and what the platter has. */
struct image {
    unsigned char *bytes;
    size_t size, cap;
};

struct node {
    unsigned refs; /* names in either tree, descriptors and pending changes */
    struct image seen;
    struct image disk;
    unsigned char *dirty; /* one byte a sector of the longer image */
    size_t dirty_cap;
    bool size_dirty;
    int locked_by; /* descriptor, or -1 */
};

struct entry {
    char path[STORE_PATH_MAX];
    struct node *node; /* NULL: a directory */
};

struct tree {
    struct entry *entries;
    size_t n, cap;
};

/* A change of names that no sync_dir has made durable yet. */
struct change {
    enum change_kind { LINK, UNLINK, RENAME } kind;
    char path[STORE_PATH_MAX];
    char to[STORE_PATH_MAX];
    struct node *node;
};

struct store_io_memory {
    struct store_io io;
    pthread_mutex_t lock;
    struct fw_rng rng;
    struct tree seen, disk;
    struct change *changes;
    size_t n_changes, cap_changes;
    struct node *fds[FDS_MAX];
    uint64_t capacity;
    uint64_t sync_countdown;
    uint64_t power_countdown; /* UINT64_MAX: stays on */
    bool off;
    uint64_t changed;
};

/* ---- images ---- */

static bool image_reserve(struct image *image, size_t size)
{
    if (size <= image->cap)
        return true;
    size_t cap = image->cap == 0 ? BLOCK : image->cap;
    while (cap < size)
        cap *= 2;
    unsigned char *bytes = fw_realloc(image->bytes, cap);
    if (bytes == NULL)
        return false;
    image->bytes = bytes;
    image->cap = cap;
    return true;
}

/* Grows with zeros, or cuts. */
static bool image_resize(struct image *image, size_t size)
{
    if (!image_reserve(image, size))
        return false;
    if (size > image->size)
        memset(image->bytes + image->size, 0, size - image->size);
    image->size = size;
    return true;
}

static size_t sectors(size_t bytes)
{
    return (bytes + STORE_IO_MEMORY_SECTOR - 1) / STORE_IO_MEMORY_SECTOR;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static bool node_mark(struct node *node, size_t from, size_t to)
{
    const size_t wanted = sectors(larger(to, larger(node->seen.size, node->disk.size)));
    if (wanted > node->dirty_cap) {
        unsigned char *dirty = fw_realloc(node->dirty, wanted * 2);
        if (dirty == NULL)
            return false;
        memset(dirty + node->dirty_cap, 0, wanted * 2 - node->dirty_cap);
        node->dirty = dirty;
        node->dirty_cap = wanted * 2;
    }
    for (size_t s = from / STORE_IO_MEMORY_SECTOR; s < sectors(to); s++)
        node->dirty[s] = 1;
    return true;
}

/* Copies sector s of what is seen to the disk, as far as the disk's size reaches. */
static void sector_write(struct node *node, size_t s)
{
    const size_t from = s * STORE_IO_MEMORY_SECTOR;
    for (size_t i = from; i < from + STORE_IO_MEMORY_SECTOR && i < node->disk.size; i++)
        node->disk.bytes[i] = i < node->seen.size ? node->seen.bytes[i] : 0;
}

static bool node_sync(struct node *node)
{
    if (!image_resize(&node->disk, node->seen.size))
        return false;
    for (size_t s = 0; s < node->dirty_cap; s++) {
        if (node->dirty[s])
            sector_write(node, s);
        node->dirty[s] = 0;
    }
    node->size_dirty = false;
    return true;
}

/* A failed sync: some sectors made it, none is remembered as dirty. The size follows what was
 * written. */
static bool node_sync_half(struct node *node, struct fw_rng *rng)
{
    if (fw_rng_below(rng, 2) == 0 && !image_resize(&node->disk, node->seen.size))
        return false;
    for (size_t s = 0; s < node->dirty_cap; s++) {
        if (node->dirty[s] && fw_rng_below(rng, 2) == 0)
            sector_write(node, s);
        node->dirty[s] = 0;
    }
    return true;
}

/* What the disk is found with after the power came back. `keep` of 4: how likely each unsynced
 * sector is there. */
static bool node_crash(struct node *node, struct fw_rng *rng, unsigned keep)
{
    const size_t low = node->disk.size < node->seen.size ? node->disk.size : node->seen.size;
    const size_t high = larger(node->disk.size, node->seen.size);
    size_t size = node->disk.size;
    if (node->size_dirty && keep > 0) {
        size = node->seen.size;
        if (keep < 4)
            size = fw_rng_below(rng, 2) == 0 ? low + fw_rng_below(rng, high - low + 1)
                                             : (fw_rng_below(rng, 2) == 0 ? low : high);
    }
    if (!image_resize(&node->disk, size))
        return false;
    for (size_t s = 0; s < node->dirty_cap; s++) {
        if (node->dirty[s] && fw_rng_below(rng, 4) < keep)
            sector_write(node, s);
        node->dirty[s] = 0;
    }
    node->size_dirty = false;
    node->locked_by = -1;
    if (!image_resize(&node->seen, size))
        return false;
    if (size > 0)
        memcpy(node->seen.bytes, node->disk.bytes, size);
    return true;
}

static void node_release(struct node *node)
{
    if (node == NULL || --node->refs > 0)
        return;
    fw_free(node->seen.bytes);
    fw_free(node->disk.bytes);
    fw_free(node->dirty);
    fw_free(node);
}

static struct node *node_hold(struct node *node)
{
    if (node != NULL)
        node->refs++;
    return node;
}

/* ---- names ---- */

static struct entry *tree_find(const struct tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->n; i++)
        if (strcmp(tree->entries[i].path, path) == 0)
            return &tree->entries[i];
    return NULL;
}

static void tree_remove(struct tree *tree, const char *path)
{
    struct entry *entry = tree_find(tree, path);
    if (entry == NULL)
        return;
    node_release(entry->node);
    *entry = tree->entries[--tree->n];
}

/* Takes a reference of its own. */
static bool tree_put(struct tree *tree, const char *path, struct node *node)
{
    node_hold(node);
    tree_remove(tree, path);
    if (tree->n == tree->cap) {
        const size_t cap = tree->cap == 0 ? 16 : tree->cap * 2;
        struct entry *entries = fw_realloc(tree->entries, cap * sizeof *entries);
        if (entries == NULL) {
            node_release(node);
            return false;
        }
        tree->entries = entries;
        tree->cap = cap;
    }
    struct entry *entry = &tree->entries[tree->n++];
    snprintf(entry->path, sizeof entry->path, "%s", path);
    entry->node = node;
    return true;
}

static void tree_fini(struct tree *tree)
{
    for (size_t i = 0; i < tree->n; i++)
        node_release(tree->entries[i].node);
    fw_free(tree->entries);
    memset(tree, 0, sizeof *tree);
}

/* Whether `path` lies directly in `dir`. */
static bool lies_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    if (len > 0 && dir[len - 1] == '/')
        len--;
    return strncmp(path, dir, len) == 0 && path[len] == '/' && path[len + 1] != '\0' &&
           strchr(path + len + 1, '/') == NULL;
}

static bool has_parent(const struct tree *tree, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    if (slash == path)
        return true;
    char dir[STORE_PATH_MAX];
    snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    const struct entry *entry = tree_find(tree, dir);
    return entry != NULL && entry->node == NULL;
}

static bool note_change(struct store_io_memory *m, enum change_kind kind, const char *path,
                        const char *to, struct node *node)
{
    if (m->n_changes == m->cap_changes) {
        const size_t cap = m->cap_changes == 0 ? 16 : m->cap_changes * 2;
        struct change *changes = fw_realloc(m->changes, cap * sizeof *changes);
        if (changes == NULL)
            return false;
        m->changes = changes;
        m->cap_changes = cap;
    }
    struct change *change = &m->changes[m->n_changes++];
    memset(change, 0, sizeof *change);
    change->kind = kind;
    snprintf(change->path, sizeof change->path, "%s", path);
    snprintf(change->to, sizeof change->to, "%s", to);
    change->node = node_hold(node);
    return true;
}

static void apply_change(struct tree *tree, const struct change *change)
{
    switch (change->kind) {
    case LINK:
        (void)tree_put(tree, change->path, change->node);
        break;
    case UNLINK:
        tree_remove(tree, change->path);
        break;
    case RENAME:
        (void)tree_put(tree, change->to, change->node);
        tree_remove(tree, change->path);
        break;
    }
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

static int fd_of(struct store_io_memory *m, struct node *node)
{
    for (int fd = 0; fd < FDS_MAX; fd++)
        if (m->fds[fd] == NULL) {
            m->fds[fd] = node_hold(node);
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
    const struct entry *entry = tree_find(&m->seen, path);
    if (entry != NULL && entry->node == NULL)
        return leave(m, -EISDIR);
    if (entry != NULL && (flags & O_EXCL) != 0)
        return leave(m, -EEXIST);
    struct node *node = entry != NULL ? entry->node : NULL;
    if (node == NULL) {
        if ((flags & O_CREAT) == 0 || !has_parent(&m->seen, path))
            return leave(m, -ENOENT);
        if (!may_change(m))
            return leave(m, -EIO);
        node = fw_calloc(1, sizeof *node);
        if (node == NULL)
            return leave(m, -ENOMEM);
        node->locked_by = -1;
        if (!tree_put(&m->seen, path, node) || !note_change(m, LINK, path, "", node))
            return leave(m, -ENOMEM);
    } else if ((flags & O_TRUNC) != 0 && node->seen.size > 0) {
        if (!may_change(m))
            return leave(m, -EIO);
        if (!node_mark(node, 0, node->seen.size))
            return leave(m, -ENOMEM);
        node->size_dirty = true;
        (void)image_resize(&node->seen, 0);
    }
    return leave(m, fd_of(m, node));
}

static struct node *node_of(struct store_io_memory *m, int fd)
{
    assert(fd >= 0 && fd < FDS_MAX && m->fds[fd] != NULL);
    return m->fds[fd];
}

static int memory_close(void *ctx, int fd)
{
    struct store_io_memory *m = enter(ctx);
    struct node *node = node_of(m, fd);
    if (node->locked_by == fd)
        node->locked_by = -1;
    node_release(node);
    m->fds[fd] = NULL;
    return leave(m, 0);
}

static ssize_t memory_read_at(void *ctx, int fd, void *data, size_t len, uint64_t offset)
{
    struct store_io_memory *m = enter(ctx);
    const struct node *node = node_of(m, fd);
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
    return ((uint64_t)size + BLOCK - 1) / BLOCK * BLOCK;
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
static size_t room_for(const struct store_io_memory *m, const struct node *node, size_t size)
{
    if (m->capacity == UINT64_MAX)
        return size;
    const uint64_t others = used(m) - blocks(node->seen.size);
    const uint64_t room = m->capacity > others ? (m->capacity - others) / BLOCK * BLOCK : 0;
    return size <= room ? size : (size_t)room;
}

static ssize_t memory_write_at(void *ctx, int fd, const void *data, size_t len, uint64_t offset)
{
    struct store_io_memory *m = enter(ctx);
    struct node *node = node_of(m, fd);
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
    if ((end > node->seen.size && !image_resize(&node->seen, end)) ||
        !node_mark(node, (size_t)offset, end))
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
    struct node *node = node_of(m, fd);
    if (!may_change(m))
        return leave(m, -EIO);
    if (m->sync_countdown > 0 && --m->sync_countdown == 0)
        return leave(m, node_sync_half(node, &m->rng) ? -EIO : -ENOMEM);
    return leave(m, node_sync(node) ? 0 : -ENOMEM);
}

static int memory_sync_dir(void *ctx, const char *path)
{
    struct store_io_memory *m = enter(ctx);
    if (!may_change(m))
        return leave(m, -EIO);
    size_t kept = 0;
    for (size_t i = 0; i < m->n_changes; i++) {
        struct change *change = &m->changes[i];
        if (lies_in(change->path, path) || lies_in(change->to, path)) {
            apply_change(&m->disk, change);
            node_release(change->node);
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
    struct node *node = node_of(m, fd);
    if (!may_change(m))
        return leave(m, -EIO);
    if (room_for(m, node, (size_t)size_bytes) < size_bytes)
        return leave(m, -ENOSPC);
    const size_t before = node->seen.size;
    const size_t low = before < size_bytes ? before : (size_t)size_bytes;
    if (!node_mark(node, low, larger(before, (size_t)size_bytes)) ||
        !image_resize(&node->seen, (size_t)size_bytes))
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
    struct node *node = node_of(m, fd);
    if (node->locked_by >= 0 && node->locked_by != fd)
        return leave(m, -EWOULDBLOCK);
    node->locked_by = fd;
    return leave(m, 0);
}

static int memory_rename(void *ctx, const char *from, const char *to)
{
    struct store_io_memory *m = enter(ctx);
    const struct entry *entry = tree_find(&m->seen, from);
    if (entry == NULL || !has_parent(&m->seen, to))
        return leave(m, -ENOENT);
    if (!may_change(m))
        return leave(m, -EIO);
    const size_t last = m->n_changes;
    if (!note_change(m, RENAME, from, to, entry->node))
        return leave(m, -ENOMEM);
    apply_change(&m->seen, &m->changes[last]);
    return leave(m, 0);
}

static int memory_unlink(void *ctx, const char *path)
{
    struct store_io_memory *m = enter(ctx);
    if (tree_find(&m->seen, path) == NULL)
        return leave(m, -ENOENT);
    if (!may_change(m))
        return leave(m, -EIO);
    if (!note_change(m, UNLINK, path, "", NULL))
        return leave(m, -ENOMEM);
    tree_remove(&m->seen, path);
    return leave(m, 0);
}

static int memory_mkdir(void *ctx, const char *path, unsigned mode)
{
    (void)mode;
    struct store_io_memory *m = enter(ctx);
    if (tree_find(&m->seen, path) != NULL)
        return leave(m, -EEXIST);
    if (!has_parent(&m->seen, path))
        return leave(m, -ENOENT);
    if (!may_change(m))
        return leave(m, -EIO);
    if (!tree_put(&m->seen, path, NULL) || !note_change(m, LINK, path, "", NULL))
        return leave(m, -ENOMEM);
    return leave(m, 0);
}

/* Tells a copy of the names, so that the visitor may call the layer. */
static int memory_list(void *ctx, const char *path, store_io_entry_fn visit, void *visit_ctx)
{
    struct store_io_memory *m = enter(ctx);
    const struct entry *dir = tree_find(&m->seen, path);
    if (m->off)
        return leave(m, -EIO);
    if (strcmp(path, "/") != 0 && (dir == NULL || dir->node != NULL))
        return leave(m, dir == NULL ? -ENOENT : -ENOTDIR);
    char(*found)[STORE_PATH_MAX] = fw_calloc(m->seen.n + 1, sizeof *found);
    if (found == NULL)
        return leave(m, -ENOMEM);
    size_t n = 0;
    for (size_t i = 0; i < m->seen.n; i++)
        if (lies_in(m->seen.entries[i].path, path))
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

/* ---- the test's side ---- */

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

static void drop_fds(struct store_io_memory *m)
{
    for (int fd = 0; fd < FDS_MAX; fd++) {
        node_release(m->fds[fd]);
        m->fds[fd] = NULL;
    }
}

static void drop_changes(struct store_io_memory *m)
{
    for (size_t i = 0; i < m->n_changes; i++)
        node_release(m->changes[i].node);
    m->n_changes = 0;
}

void store_io_memory_free(struct store_io_memory *m)
{
    if (m == NULL)
        return;
    drop_fds(m);
    drop_changes(m);
    fw_free(m->changes);
    tree_fini(&m->seen);
    tree_fini(&m->disk);
    pthread_mutex_destroy(&m->lock);
    fw_free(m);
}

const struct store_io *store_io_memory_io(struct store_io_memory *m)
{
    return &m->io;
}

void store_io_memory_set_capacity(struct store_io_memory *m, uint64_t bytes)
{
    pthread_mutex_lock(&m->lock);
    m->capacity = bytes;
    pthread_mutex_unlock(&m->lock);
}

void store_io_memory_fail_sync(struct store_io_memory *m, uint64_t nth)
{
    pthread_mutex_lock(&m->lock);
    m->sync_countdown = nth;
    pthread_mutex_unlock(&m->lock);
}

void store_io_memory_power_off_after(struct store_io_memory *m, uint64_t changes)
{
    pthread_mutex_lock(&m->lock);
    m->power_countdown = changes;
    pthread_mutex_unlock(&m->lock);
}

uint64_t store_io_memory_changes(struct store_io_memory *m)
{
    pthread_mutex_lock(&m->lock);
    const uint64_t changed = m->changed;
    pthread_mutex_unlock(&m->lock);
    return changed;
}

/* What lies in a directory that is gone is gone with it. */
static void drop_orphans(struct tree *tree)
{
    for (size_t i = 0; i < tree->n;) {
        if (has_parent(tree, tree->entries[i].path)) {
            i++;
            continue;
        }
        node_release(tree->entries[i].node);
        tree->entries[i] = tree->entries[--tree->n];
        i = 0;
    }
}

void store_io_memory_crash(struct store_io_memory *m)
{
    static const unsigned keeps[4] = {0, 4, 2, 2};
    pthread_mutex_lock(&m->lock);
    drop_fds(m);
    /* Names: a journalling file system keeps a beginning of what happened; others may keep any
     * part. */
    const unsigned keep_names = keeps[fw_rng_below(&m->rng, 4)];
    size_t prefix = fw_rng_below(&m->rng, m->n_changes + 1);
    if (keep_names != 2)
        prefix = keep_names == 0 ? 0 : m->n_changes;
    const bool any_part = fw_rng_below(&m->rng, 2) == 0 && keep_names == 2;
    for (size_t i = 0; i < m->n_changes; i++)
        if (any_part ? fw_rng_below(&m->rng, 2) == 0 : i < prefix)
            apply_change(&m->disk, &m->changes[i]);
    drop_changes(m);
    const unsigned keep = keeps[fw_rng_below(&m->rng, 4)];
    drop_orphans(&m->disk);
    tree_fini(&m->seen);
    for (size_t i = 0; i < m->disk.n; i++) {
        if (m->disk.entries[i].node != NULL)
            (void)node_crash(m->disk.entries[i].node, &m->rng, keep);
        (void)tree_put(&m->seen, m->disk.entries[i].path, m->disk.entries[i].node);
    }
    m->off = false;
    m->power_countdown = UINT64_MAX;
    m->sync_countdown = 0;
    pthread_mutex_unlock(&m->lock);
}

bool store_io_memory_is_durable(struct store_io_memory *m, const char *path, uint64_t offset,
                                uint64_t len)
{
    pthread_mutex_lock(&m->lock);
    const struct entry *seen = tree_find(&m->seen, path);
    const struct entry *disk = tree_find(&m->disk, path);
    bool durable = seen != NULL && disk != NULL && seen->node != NULL && seen->node == disk->node &&
                   offset + len <= disk->node->disk.size;
    for (uint64_t i = offset; durable && i < offset + len; i++)
        durable = disk->node->disk.bytes[i] == disk->node->seen.bytes[i];
    for (size_t i = 0; durable && i < m->n_changes; i++)
        durable = strcmp(m->changes[i].path, path) != 0;
    pthread_mutex_unlock(&m->lock);
    return durable;
}

unsigned char *store_io_memory_bytes(struct store_io_memory *m, const char *path, size_t *len)
{
    pthread_mutex_lock(&m->lock);
    const struct entry *entry = tree_find(&m->seen, path);
    unsigned char *bytes = NULL;
    *len = 0;
    if (entry != NULL && entry->node != NULL) {
        bytes = entry->node->seen.bytes;
        *len = entry->node->seen.size;
    }
    pthread_mutex_unlock(&m->lock);
    return bytes;
}

static bool put_directories(struct store_io_memory *m, const char *path)
{
    char dir[STORE_PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
        if (tree_find(&m->seen, dir) == NULL && !tree_put(&m->seen, dir, NULL))
            return false;
        if (tree_find(&m->disk, dir) == NULL && !tree_put(&m->disk, dir, NULL))
            return false;
    }
    return true;
}

bool store_io_memory_put(struct store_io_memory *m, const char *path, const void *data, size_t len)
{
    struct node *node = fw_calloc(1, sizeof *node);
    if (node == NULL)
        return false;
    node->locked_by = -1;
    node->refs = 1;
    pthread_mutex_lock(&m->lock);
    bool ok = put_directories(m, path) && image_resize(&node->seen, len) &&
              image_resize(&node->disk, len);
    if (ok && len > 0) {
        memcpy(node->seen.bytes, data, len);
        memcpy(node->disk.bytes, data, len);
    }
    ok = ok && tree_put(&m->seen, path, node) && tree_put(&m->disk, path, node);
    node_release(node);
    pthread_mutex_unlock(&m->lock);
    return ok;
}
