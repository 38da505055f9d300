#include "store/memory_tree.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

struct memory_entry *memory_tree_find(const struct memory_tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->n; i++)
        if (strcmp(tree->entries[i].path, path) == 0)
            return &tree->entries[i];
    return NULL;
}

void memory_tree_remove(struct memory_tree *tree, const char *path)
{
    struct memory_entry *entry = memory_tree_find(tree, path);
    if (entry == NULL)
        return;
    memory_node_release(entry->node);
    *entry = tree->entries[--tree->n];
}

bool memory_tree_put(struct memory_tree *tree, const char *path, struct memory_node *node)
{
    memory_node_hold(node);
    memory_tree_remove(tree, path);
    if (tree->n == tree->cap) {
        const size_t cap = tree->cap == 0 ? 16 : tree->cap * 2;
        struct memory_entry *entries = fw_realloc(tree->entries, cap * sizeof *entries);
        if (entries == NULL) {
            memory_node_release(node);
            return false;
        }
        tree->entries = entries;
        tree->cap = cap;
    }
    struct memory_entry *entry = &tree->entries[tree->n++];
    snprintf(entry->path, sizeof entry->path, "%s", path);
    entry->node = node;
    return true;
}

void memory_tree_fini(struct memory_tree *tree)
{
    for (size_t i = 0; i < tree->n; i++)
        memory_node_release(tree->entries[i].node);
    fw_free(tree->entries);
    memset(tree, 0, sizeof *tree);
}

bool memory_lies_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    if (len > 0 && dir[len - 1] == '/')
        len--;
    return strncmp(path, dir, len) == 0 && path[len] == '/' && path[len + 1] != '\0' &&
           strchr(path + len + 1, '/') == NULL;
}

bool memory_tree_has_parent(const struct memory_tree *tree, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    if (slash == path)
        return true;
    char dir[STORE_PATH_MAX];
    snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
    const struct memory_entry *entry = memory_tree_find(tree, dir);
    return entry != NULL && entry->node == NULL;
}

void memory_tree_drop_orphans(struct memory_tree *tree)
{
    for (size_t i = 0; i < tree->n;) {
        if (memory_tree_has_parent(tree, tree->entries[i].path)) {
            i++;
            continue;
        }
        memory_node_release(tree->entries[i].node);
        tree->entries[i] = tree->entries[--tree->n];
        i = 0;
    }
}
