/* The fullest real file system of a host, by the arithmetic of df. */
#ifndef FW_AGENT_DISK_H
#define FW_AGENT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AGENT_MOUNT_MAX = 255, AGENT_MOUNTS_MAX = 512 };

struct agent_space {
    uint64_t blocks, free, available; /* in one unit; available: to ordinary users */
};

/* How much a mounted file system holds. 0, or -1 when it cannot be told. */
typedef int (*agent_space_fn)(void *ctx, const char *path, struct agent_space *space);
/* statvfs(3); ctx is not used. */
int agent_disk_statvfs(void *ctx, const char *path, struct agent_space *space);

struct agent_mount {
    char path[AGENT_MOUNT_MAX + 1]; /* unescaped */
    unsigned major, minor;
};

/* The file systems of a mountinfo text that count: on a device of their own, local, writable, not
 * in memory, not for booting. An overlay (or a virtual machine's share) counts only as the root and
 * only when nothing else does. One mount per device, the one with the shortest path; what a later
 * mount hides is left out. Returns how many were written to `mounts`. */
size_t agent_disk_mounts(const char *mountinfo, struct agent_mount mounts[AGENT_MOUNTS_MAX]);

struct agent_disk {
    double used_pct; /* of the fullest */
    char path[AGENT_MOUNT_MAX + 1];
};

/* False when no file system could be measured. */
bool agent_disk_read(const char *root, agent_space_fn space, void *ctx, struct agent_disk *disk);

#endif
