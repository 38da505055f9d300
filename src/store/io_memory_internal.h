/* The disk in memory, for its two sides: the calls (io_memory.c), and what tests do to it
 * (io_memory_control.c). */
#ifndef FW_STORE_IO_MEMORY_INTERNAL_H
#define FW_STORE_IO_MEMORY_INTERNAL_H

#include "store/memory_tree.h"

#include <pthread.h>

enum { MEMORY_FDS_MAX = 64 };

/* A change of names that no sync_dir has made durable yet. */
struct memory_change {
    enum memory_change_kind { MEMORY_LINK, MEMORY_UNLINK, MEMORY_RENAME } kind;
    char path[STORE_PATH_MAX];
    char to[STORE_PATH_MAX];
    struct memory_node *node;
};

struct store_io_memory {
    struct store_io io;
    pthread_mutex_t lock;
    struct fw_rng rng;
    struct memory_tree seen, disk;
    struct memory_change *changes;
    size_t n_changes, cap_changes;
    struct memory_node *fds[MEMORY_FDS_MAX];
    uint64_t capacity;
    uint64_t sync_countdown;
    uint64_t power_countdown; /* UINT64_MAX: stays on */
    bool off;
    uint64_t changed;
};

void memory_apply_change(struct memory_tree *tree, const struct memory_change *change);
void memory_drop_changes(struct store_io_memory *memory);
void memory_drop_fds(struct store_io_memory *memory);

#endif
