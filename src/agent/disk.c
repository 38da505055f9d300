#include "agent/disk.h"

#include "agent/procfs.h"
#include "base/alloc.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { MOUNTINFO_MAX = 1 << 20 };

int agent_disk_statvfs(void *ctx, const char *path, struct agent_space *space)
{
    (void)ctx;
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return -1;
    *space = (struct agent_space){fs.f_blocks, fs.f_bfree, fs.f_bavail};
    return 0;
}

/* Nothing that can fill up: in memory, made by the kernel, or an image. Remote ones can, but asking
 * a server that is away would hang the agent, and the server reports its disks itself. */
static bool type_counts(const char *type)
{
    static const char *const skipped[] = {
        "tmpfs",     "devtmpfs",    "ramfs",      "rootfs",   "overlay", "overlayfs",  "squashfs",
        "iso9660",   "udf",         "erofs",      "cramfs",   "proc",    "sysfs",      "cgroup",
        "cgroup2",   "devpts",      "mqueue",     "debugfs",  "tracefs", "securityfs", "pstore",
        "bpf",       "autofs",      "fusectl",    "configfs", "nsfs",    "efivarfs",   "selinuxfs",
        "hugetlbfs", "binfmt_misc", "rpc_pipefs", "nfsd",     "nfs",     "nfs4",       "cifs",
        "smb3",      "smbfs",       "afs",        "ceph",     "9p",      "virtiofs",   "aufs",
    };
    for (size_t i = 0; i < COUNT(skipped); i++)
        if (strcmp(type, skipped[i]) == 0)
            return false;
    return strncmp(type, "fuse.", 5) != 0; /* fuseblk (NTFS and others) is a disk, fuse.* is not */
}

static bool type_serves_as_root(const char *type)
{
    return strcmp(type, "overlay") == 0 || strcmp(type, "9p") == 0 ||
           strcmp(type, "virtiofs") == 0 || strcmp(type, "aufs") == 0;
}

static bool below(const char *path, const char *top)
{
    const size_t len = strlen(top);
    return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool path_counts(const char *path)
{
    return !below(path, "/run") && !below(path, "/boot/efi") && !below(path, "/efi") &&
           !below(path, "/proc") && !below(path, "/sys") && !below(path, "/dev");
}

/* "rw,relatime" has "rw" among its words. */
static bool option_set(const char *options, const char *word)
{
    const size_t len = strlen(word);
    for (const char *at = options; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, len) == 0 && (at[len] == '\0' || at[len] == ','))
            return true;
        if (*at == '\0')
            break;
    }
    return false;
}

/* Blanks, tabs, line ends and backslashes are written as \ooo. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *at = text; *at != '\0';) {
        if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
            at[3] >= '0' && at[3] <= '7') {
            *out++ = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            at += 4;
        } else {
            *out++ = *at++;
        }
    }
    *out = '\0';
}

struct mount_line {
    struct agent_mount mount;
    bool counts;      /* a real file system */
    bool is_fallback; /* the root, of a kind that counts only when nothing else does */
};

/* id parent major:minor root mountpoint options [tags...] - type source superoptions */
static bool parse_line(const char *line, size_t len, struct mount_line *out)
{
    char copy[4096], path[2048], options[512], type[64], super[1024];
    if (len >= sizeof copy)
        return false;
    memcpy(copy, line, len);
    copy[len] = '\0';
    const char *dash = strstr(copy, " - ");
    if (dash == NULL || sscanf(copy, "%*u %*u %u:%u %*s %2047s %511s", &out->mount.major,
                               &out->mount.minor, path, options) != 4)
        return false;
    super[0] = '\0';
    if (sscanf(dash + 3, "%63s %*s %1023s", type, super) < 1)
        return false;
    unescape(path);
    if (strlen(path) > AGENT_MOUNT_MAX)
        return false;
    strcpy(out->mount.path, path);
    const bool writable = !option_set(options, "ro") && !option_set(super, "ro");
    out->counts = type_counts(type) && writable && path_counts(path);
    out->is_fallback = strcmp(path, "/") == 0 && type_serves_as_root(type) && writable;
    return true;
}

struct mount_table {
    size_t count;
    struct mount_line lines[AGENT_MOUNTS_MAX];
};

static void table_add(struct mount_table *table, const struct mount_line *line)
{
    /* A later mount on the same point hides the earlier one. */
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->lines[i].mount.path, line->mount.path) == 0) {
            table->lines[i] = *line;
            return;
        }
    }
    /* Kernel mounts are many in containers' hosts; only what may count, or may hide what counts,
     * takes a place. */
    if (table->count < AGENT_MOUNTS_MAX && (line->counts || line->is_fallback))
        table->lines[table->count++] = *line;
}

static size_t keep(const struct mount_line *line, struct agent_mount *mounts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (mounts[i].major == line->mount.major && mounts[i].minor == line->mount.minor) {
            if (strlen(line->mount.path) < strlen(mounts[i].path))
                mounts[i] = line->mount;
            return n;
        }
    }
    mounts[n] = line->mount;
    return n + 1;
}

size_t agent_disk_mounts(const char *mountinfo, struct agent_mount mounts[AGENT_MOUNTS_MAX])
{
    struct mount_table *table = fw_calloc(1, sizeof *table);
    size_t n = 0;
    if (table == NULL)
        return 0;
    for (const char *line = mountinfo; *line != '\0';) {
        const size_t len = strcspn(line, "\n");
        struct mount_line parsed;
        if (parse_line(line, len, &parsed))
            table_add(table, &parsed);
        line += len + (line[len] == '\n');
    }
    for (size_t i = 0; i < table->count; i++)
        if (table->lines[i].counts)
            n = keep(&table->lines[i], mounts, n);
    for (size_t i = 0; i < table->count && n == 0; i++)
        if (table->lines[i].is_fallback)
            n = keep(&table->lines[i], mounts, n);
    fw_free(table);
    return n;
}

static bool used_pct(const struct agent_space *space, double *pct)
{
    if (space->blocks == 0 || space->free > space->blocks)
        return false;
    const double used = (double)(space->blocks - space->free);
    const double total = used + (double)space->available;
    if (total <= 0)
        return false;
    *pct = 100.0 * used / total;
    return true;
}

bool agent_disk_read(const char *root, agent_space_fn space, void *ctx, struct agent_disk *disk)
{
    bool found = false;
    char *text = fw_malloc(MOUNTINFO_MAX);
    struct agent_mount *mounts = fw_calloc(AGENT_MOUNTS_MAX, sizeof *mounts);
    if (text == NULL || mounts == NULL)
        goto out;
    if (agent_procfs_read(root, "proc/self/mountinfo", text, MOUNTINFO_MAX) < 0)
        goto out;
    const size_t n = agent_disk_mounts(text, mounts);
    for (size_t i = 0; i < n; i++) {
        char path[AGENT_PATH_MAX];
        struct agent_space held;
        double pct;
        if (!agent_procfs_path(root, path, "%s", mounts[i].path + 1) ||
            space(ctx, path, &held) != 0 || !used_pct(&held, &pct))
            continue;
        if (!found || pct > disk->used_pct) {
            disk->used_pct = pct;
            strcpy(disk->path, mounts[i].path);
            found = true;
        }
    }
out:
    fw_free(mounts);
    fw_free(text);
    return found;
}
