/* The names of the disk in memory. Private to io_memory.c and its parts; under the disk's lock. */
#ifndef FW_STORE_MEMORY_TREE_H
#define FW_STORE_MEMORY_TREE_H

#include "store/memory_node.h"

struct memory_entry {
    char path[STORE_PATH_MAX];
    struct memory_node *node; /* NULL: a directory */
};

struct memory_tree {
    struct memory_entry *entries;
    size_t n, cap;
};

struct memory_entry *memory_tree_find(const struct memory_tree *tree, const char *path);
void memory_tree_remove(struct memory_tree *tree, const char *path);
/* Takes a reference of its own; NULL: a directory. False when there is no memory. */
bool memory_tree_put(struct memory_tree *tree, const char *path, struct memory_node *node);
void memory_tree_fini(struct memory_tree *tree);

/* Whether `path` lies directly in `dir`. */
bool memory_lies_in(const char *path, const char *dir);
bool memory_tree_has_parent(const struct memory_tree *tree, const char *path);
/* What lies in a directory that is gone is gone with it. */
void memory_tree_drop_orphans(struct memory_tree *tree);

#endif
