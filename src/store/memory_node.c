#include "store/memory_node.h"

#include "base/alloc.h"

#include <string.h>

static bool image_reserve(struct memory_image *image, size_t size)
{
    if (size <= image->cap)
        return true;
    size_t cap = image->cap == 0 ? MEMORY_BLOCK : image->cap;
    while (cap < size)
        cap *= 2;
    unsigned char *bytes = fw_realloc(image->bytes, cap);
    if (bytes == NULL)
        return false;
    image->bytes = bytes;
    image->cap = cap;
    return true;
}

bool memory_image_resize(struct memory_image *image, size_t size)
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

bool memory_node_mark(struct memory_node *node, size_t from, size_t to)
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
static void sector_write(struct memory_node *node, size_t s)
{
    const size_t from = s * STORE_IO_MEMORY_SECTOR;
    for (size_t i = from; i < from + STORE_IO_MEMORY_SECTOR && i < node->disk.size; i++)
        node->disk.bytes[i] = i < node->seen.size ? node->seen.bytes[i] : 0;
}

bool memory_node_sync(struct memory_node *node)
{
    if (!memory_image_resize(&node->disk, node->seen.size))
        return false;
    for (size_t s = 0; s < node->dirty_cap; s++) {
        if (node->dirty[s])
            sector_write(node, s);
        node->dirty[s] = 0;
    }
    node->size_dirty = false;
    return true;
}

bool memory_node_sync_half(struct memory_node *node, struct fw_rng *rng)
{
    if (fw_rng_below(rng, 2) == 0 && !memory_image_resize(&node->disk, node->seen.size))
        return false;
    for (size_t s = 0; s < node->dirty_cap; s++) {
        if (node->dirty[s] && fw_rng_below(rng, 2) == 0)
            sector_write(node, s);
        node->dirty[s] = 0;
    }
    return true;
}

bool memory_node_crash(struct memory_node *node, struct fw_rng *rng, unsigned keep)
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
    if (!memory_image_resize(&node->disk, size))
        return false;
    for (size_t s = 0; s < node->dirty_cap; s++) {
        if (node->dirty[s] && fw_rng_below(rng, 4) < keep)
            sector_write(node, s);
        node->dirty[s] = 0;
    }
    node->size_dirty = false;
    node->locked_by = -1;
    if (!memory_image_resize(&node->seen, size))
        return false;
    if (size > 0)
        memcpy(node->seen.bytes, node->disk.bytes, size);
    return true;
}

void memory_node_release(struct memory_node *node)
{
    if (node == NULL || --node->refs > 0)
        return;
    fw_free(node->seen.bytes);
    fw_free(node->disk.bytes);
    fw_free(node->dirty);
    fw_free(node);
}

struct memory_node *memory_node_hold(struct memory_node *node)
{
    if (node != NULL)
        node->refs++;
    return node;
}
