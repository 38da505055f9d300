/* A file of the disk in memory: what readers see of it, and what the platter has. Private to
 * io_memory.c and its parts; under the disk's lock. */
#ifndef FW_STORE_MEMORY_NODE_H
#define FW_STORE_MEMORY_NODE_H

#include "base/rng.h"
#include "store/io_memory.h"

enum { MEMORY_BLOCK = 4096 };

/* Two images: what a reader sees, and what the platter has. */
struct memory_image {
    unsigned char *bytes;
    size_t size, cap;
};

struct memory_node {
    unsigned refs; /* names in either tree, descriptors and pending changes */
    struct memory_image seen;
    struct memory_image disk;
    unsigned char *dirty; /* one byte a sector of the longer image */
    size_t dirty_cap;
    bool size_dirty;
    int locked_by; /* descriptor, or -1 */
};

/* Grows with zeros, or cuts. This and what follows: false when there is no memory. */
bool memory_image_resize(struct memory_image *image, size_t size);
/* Bytes from .. to of what is seen are not on the platter yet. */
bool memory_node_mark(struct memory_node *node, size_t from, size_t to);
bool memory_node_sync(struct memory_node *node);
/* A failed sync: some sectors made it, none is remembered as dirty. The size follows what was
 * written. */
bool memory_node_sync_half(struct memory_node *node, struct fw_rng *rng);
/* What the disk is found with after the power came back. `keep` of 4: how likely each unsynced
 * sector is there. */
bool memory_node_crash(struct memory_node *node, struct fw_rng *rng, unsigned keep);

struct memory_node *memory_node_hold(struct memory_node *node); /* NULL stays NULL */
void memory_node_release(struct memory_node *node);             /* NULL does nothing */

#endif
