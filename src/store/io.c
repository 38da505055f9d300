#include "store/io.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int system_open(void *ctx, const char *path, int flags, unsigned mode)
{
    (void)ctx;
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, (mode_t)mode);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static int system_close(void *ctx, int fd)
{
    (void)ctx;
    return close(fd) < 0 ? -errno : 0;
}

static ssize_t system_read_at(void *ctx, int fd, void *data, size_t len, uint64_t offset)
{
    (void)ctx;
    const ssize_t n = pread(fd, data, len, (off_t)offset);
    return n < 0 ? -errno : n;
}

static ssize_t system_write_at(void *ctx, int fd, const void *data, size_t len, uint64_t offset)
{
    (void)ctx;
    const ssize_t n = pwrite(fd, data, len, (off_t)offset);
    return n < 0 ? -errno : n;
}

static int system_sync_data(void *ctx, int fd)
{
    (void)ctx;
    return fdatasync(fd) < 0 ? -errno : 0;
}

static int system_sync_dir(void *ctx, const char *path)
{
    const int fd = system_open(ctx, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    const int result = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return result;
}

static int system_truncate(void *ctx, int fd, uint64_t size_bytes)
{
    (void)ctx;
    return ftruncate(fd, (off_t)size_bytes) < 0 ? -errno : 0;
}

static int system_preallocate(void *ctx, int fd, uint64_t size_bytes)
{
    (void)ctx;
    return -posix_fallocate(fd, 0, (off_t)size_bytes); /* returns the error, leaves errno alone */
}

static int system_size(void *ctx, int fd, uint64_t *size_bytes)
{
    (void)ctx;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *size_bytes = (uint64_t)st.st_size;
    return 0;
}

static int system_drop_cache(void *ctx, int fd)
{
    (void)ctx;
    return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int system_lock(void *ctx, int fd)
{
    (void)ctx;
    return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int system_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    return rename(from, to) < 0 ? -errno : 0;
}

static int system_unlink(void *ctx, const char *path)
{
    (void)ctx;
    return unlink(path) < 0 ? -errno : 0;
}

static int system_mkdir(void *ctx, const char *path, unsigned mode)
{
    (void)ctx;
    return mkdir(path, (mode_t)mode) < 0 ? -errno : 0;
}

static int system_list(void *ctx, const char *path, store_io_entry_fn visit, void *visit_ctx)
{
    (void)ctx;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -errno;
    int result = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            result = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!visit(visit_ctx, entry->d_name))
            break;
    }
    closedir(dir);
    return result;
}

static int system_free_bytes(void *ctx, const char *path, uint64_t *free_bytes)
{
    (void)ctx;
    struct statvfs st;
    if (statvfs(path, &st) < 0)
        return -errno;
    *free_bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_frsize;
    return 0;
}

static const struct store_io system_io = {
    .open = system_open,
    .close = system_close,
    .read_at = system_read_at,
    .write_at = system_write_at,
    .sync_data = system_sync_data,
    .sync_dir = system_sync_dir,
    .truncate = system_truncate,
    .preallocate = system_preallocate,
    .size = system_size,
    .drop_cache = system_drop_cache,
    .lock = system_lock,
    .rename = system_rename,
    .unlink = system_unlink,
    .mkdir = system_mkdir,
    .list = system_list,
    .free_bytes = system_free_bytes,
};

const struct store_io *store_io_system(void)
{
    return &system_io;
}

int store_io_read_full(const struct store_io *io, int fd, void *data, size_t len, uint64_t offset)
{
    size_t done = 0;
    while (done < len) {
        const ssize_t n = io->read_at(io->ctx, fd, (char *)data + done, len - done, offset + done);
        if (n == -EINTR)
            continue;
        if (n < 0)
            return (int)n;
        if (n == 0)
            return -ENODATA;
        done += (size_t)n;
    }
    return 0;
}

int store_io_write_full(const struct store_io *io, int fd, const void *data, size_t len,
                        uint64_t offset)
{
    size_t done = 0;
    while (done < len) {
        const ssize_t n =
            io->write_at(io->ctx, fd, (const char *)data + done, len - done, offset + done);
        if (n == -EINTR)
            continue;
        if (n < 0)
            return (int)n;
        if (n == 0)
            return -EIO; /* a regular file never does this; do not loop over it */
        done += (size_t)n;
    }
    return 0;
}

int store_io_replace(const struct store_io *io, const char *dir, const char *name, const void *data,
                     size_t len)
{
    char final[STORE_PATH_MAX], aside[STORE_PATH_MAX];
    if (!store_io_path(final, sizeof final, dir, name))
        return -ENAMETOOLONG;
    const int n = snprintf(aside, sizeof aside, "%s.new", final);
    if (n < 0 || (size_t)n >= sizeof aside)
        return -ENAMETOOLONG;
    const int fd = io->open(io->ctx, aside, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return fd;
    int result = store_io_write_full(io, fd, data, len, 0);
    if (result == 0)
        result = io->sync_data(io->ctx, fd);
    const int closed = io->close(io->ctx, fd);
    if (result == 0)
        result = closed;
    if (result == 0)
        result = io->rename(io->ctx, aside, final);
    if (result < 0) {
        (void)io->unlink(io->ctx, aside);
        return result;
    }
    return io->sync_dir(io->ctx, dir);
}

enum fw_status store_io_status(int negative_errno)
{
    assert(negative_errno < 0);
    switch (-negative_errno) {
    case ENOSPC:
    case EDQUOT:
        return FW_ENOSPC;
    case ENOENT:
        return FW_ENOTFOUND;
    case EWOULDBLOCK:
        return FW_EBUSY;
    case ENOMEM:
        return FW_ENOMEM;
    case EINVAL:
    case ENAMETOOLONG:
        return FW_EINVAL;
    default:
        return FW_EIO;
    }
}

int store_io_sync_parent(const struct store_io *io, const char *path, char parent[STORE_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        snprintf(parent, STORE_PATH_MAX, ".");
    else
        snprintf(parent, STORE_PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    const int synced = io->sync_dir(io->ctx, parent);
    return synced == -EACCES ? 0 : synced;
}

bool store_io_path(char *out, size_t out_size, const char *dir, const char *name)
{
    const int n = snprintf(out, out_size, "%s/%s", dir, name);
    return n >= 0 && (size_t)n < out_size;
}
