#include "store/io_memory_internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

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

void store_io_memory_crash(struct store_io_memory *m)
{
    static const unsigned keeps[4] = {0, 4, 2, 2};
    pthread_mutex_lock(&m->lock);
    memory_drop_fds(m);
    /* Names: a journalling file system keeps a beginning of what happened; others may keep any
     * part. */
    const unsigned keep_names = keeps[fw_rng_below(&m->rng, 4)];
    size_t prefix = fw_rng_below(&m->rng, m->n_changes + 1);
    if (keep_names != 2)
        prefix = keep_names == 0 ? 0 : m->n_changes;
    const bool any_part = fw_rng_below(&m->rng, 2) == 0 && keep_names == 2;
    for (size_t i = 0; i < m->n_changes; i++)
        if (any_part ? fw_rng_below(&m->rng, 2) == 0 : i < prefix)
            memory_apply_change(&m->disk, &m->changes[i]);
    memory_drop_changes(m);
    const unsigned keep = keeps[fw_rng_below(&m->rng, 4)];
    memory_tree_drop_orphans(&m->disk);
    memory_tree_fini(&m->seen);
    for (size_t i = 0; i < m->disk.n; i++) {
        if (m->disk.entries[i].node != NULL)
            (void)memory_node_crash(m->disk.entries[i].node, &m->rng, keep);
        (void)memory_tree_put(&m->seen, m->disk.entries[i].path, m->disk.entries[i].node);
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
    const struct memory_entry *seen = memory_tree_find(&m->seen, path);
    const struct memory_entry *disk = memory_tree_find(&m->disk, path);
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
    const struct memory_entry *entry = memory_tree_find(&m->seen, path);
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
        if (memory_tree_find(&m->seen, dir) == NULL && !memory_tree_put(&m->seen, dir, NULL))
            return false;
        if (memory_tree_find(&m->disk, dir) == NULL && !memory_tree_put(&m->disk, dir, NULL))
            return false;
    }
    return true;
}

bool store_io_memory_put(struct store_io_memory *m, const char *path, const void *data, size_t len)
{
    struct memory_node *node = fw_calloc(1, sizeof *node);
    if (node == NULL)
        return false;
    node->locked_by = -1;
    node->refs = 1;
    pthread_mutex_lock(&m->lock);
    bool ok = put_directories(m, path) && memory_image_resize(&node->seen, len) &&
              memory_image_resize(&node->disk, len);
    if (ok && len > 0) {
        memcpy(node->seen.bytes, data, len);
        memcpy(node->disk.bytes, data, len);
    }
    ok = ok && memory_tree_put(&m->seen, path, node) && memory_tree_put(&m->disk, path, node);
    memory_node_release(node);
    pthread_mutex_unlock(&m->lock);
    return ok;
}
