#include "tft/file.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tft/file_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 1024, COMPONENT_MAX_BYTES = 255 };

static enum fw_status open_failed(struct fw_error *err, const char *what, const char *name)
{
    switch (errno) {
    case ENOENT:
        return fw_fail(err, FW_ENOTFOUND, "%s %s: no such file or directory", what, name);
    case ELOOP:
    case EMLINK:
    case EXDEV:
        return fw_fail(err, FW_EINVAL, "%s %s: is a link, and links are not followed", what, name);
    case ENOTDIR:
        return fw_fail(err, FW_EINVAL, "%s %s: not a directory", what, name);
    default:
        return fw_fail(err, FW_EIO, "%s %s: %s", what, name, strerror(errno));
    }
}

enum fw_status tft_file_open_dir(const char *path, int *out, struct fw_error *err)
{
    *out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out < 0 ? open_failed(err, "directory", path) : FW_OK;
}

static bool component_valid(const char *text, size_t len)
{
    if (len == 0 || len > COMPONENT_MAX_BYTES)
        return false;
    if (text[0] == '.' && (len == 1 || (len == 2 && text[1] == '.')))
        return false;
    return fw_name_valid(text, len, COMPONENT_MAX_BYTES);
}

bool tft_file_name_valid(const char *name)
{
    if (strlen(name) > NAME_MAX_BYTES)
        return false;
    for (;;) {
        const size_t len = strcspn(name, "/");
        if (!component_valid(name, len))
            return false;
        if (name[len] == '\0')
            return true;
        name += len + 1;
    }
}

enum fw_status tft_file_open_dir_beneath(int root_fd, const char *name, int *out,
                                         struct fw_error *err)
{
    *out = -1;
    if (!tft_file_name_valid(name))
        return fw_fail(err, FW_EINVAL,
                       "not the name of a model: it must lie inside the model directory");
    *out = tft_file_linux_open_beneath(root_fd, name);
    return *out < 0 ? open_failed(err, "model", name) : FW_OK;
}

static enum fw_status check_kind(int fd, const char *name, size_t max_bytes, bool single_link,
                                 size_t *size, struct fw_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fw_fail(err, FW_EIO, "%s: %s", name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fw_fail(err, FW_EINVAL, "%s: not a regular file", name);
    if (single_link && st.st_nlink != 1)
        return fw_fail(err, FW_EINVAL,
                       "%s: has other names (hard links), which is not allowed here", name);
    if (st.st_size < 0 || (uintmax_t)st.st_size > max_bytes)
        return fw_fail(err, FW_ELIMIT, "%s: %jd bytes, the limit is %zu", name,
                       (intmax_t)st.st_size, max_bytes);
    *size = (size_t)st.st_size;
    return FW_OK;
}

/* Reads exactly `size` bytes and then the end of the file: a file that shrinks or grows meanwhile
 * is refused. */
static enum fw_status read_all(int fd, const char *name, unsigned char *bytes, size_t size,
                               struct fw_error *err)
{
    size_t done = 0;
    for (;;) {
        unsigned char beyond;
        const ssize_t got =
            done < size ? read(fd, bytes + done, size - done) : read(fd, &beyond, sizeof beyond);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fw_fail(err, FW_EIO, "%s: %s", name, strerror(errno));
        if (got == 0 && done == size)
            return FW_OK;
        if (got == 0 || done == size)
            return fw_fail(err, FW_EIO, "%s: its size changed while it was read", name);
        done += (size_t)got;
    }
}

enum fw_status tft_file_read(int dir_fd, const char *name, size_t max_bytes, bool single_link,
                             unsigned char **bytes, size_t *size, struct fw_error *err)
{
    *bytes = NULL;
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. It means nothing for a regular file.
     */
    const int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return open_failed(err, "file", name);
    enum fw_status status = check_kind(fd, name, max_bytes, single_link, size, err);
    if (status == FW_OK) {
        *bytes = fw_malloc(*size == 0 ? 1 : *size);
        status = *bytes == NULL ? fw_fail(err, FW_ENOMEM, "%s: %zu bytes", name, *size)
                                : read_all(fd, name, *bytes, *size, err);
    }
    close(fd);
    if (status != FW_OK) {
        fw_free(*bytes);
        *bytes = NULL;
    }
    return status;
}

static enum fw_status write_all(int fd, const char *name, const unsigned char *bytes, size_t size,
                                struct fw_error *err)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t put = write(fd, bytes + done, size - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fw_fail(err, errno == ENOSPC ? FW_ENOSPC : FW_EIO, "write %s: %s", name,
                           strerror(errno));
        done += (size_t)put;
    }
    if (fsync(fd) != 0)
        return fw_fail(err, FW_EIO, "sync %s: %s", name, strerror(errno));
    return FW_OK;
}

enum fw_status tft_file_write(int dir_fd, const char *name, const void *bytes, size_t size,
                              struct fw_error *err)
{
    char aside[COMPONENT_MAX_BYTES + 8];
    if (snprintf(aside, sizeof aside, ".%s.new", name) >= (int)sizeof aside)
        return fw_fail(err, FW_EINVAL, "%s: the name is too long", name);
    const int fd =
        openat(dir_fd, aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return fw_fail(err, errno == ENOSPC ? FW_ENOSPC : FW_EIO, "create %s: %s", name,
                       strerror(errno));
    enum fw_status status = write_all(fd, name, bytes, size, err);
    if (close(fd) != 0 && status == FW_OK)
        status = fw_fail(err, FW_EIO, "close %s: %s", name, strerror(errno));
    if (status == FW_OK && renameat(dir_fd, aside, dir_fd, name) != 0)
        status = fw_fail(err, FW_EIO, "rename to %s: %s", name, strerror(errno));
    if (status == FW_OK && fsync(dir_fd) != 0)
        status = fw_fail(err, FW_EIO, "sync the directory of %s: %s", name, strerror(errno));
    if (status != FW_OK)
        (void)unlinkat(dir_fd, aside, 0);
    return status;
}

bool tft_file_split(const char *path, char *dir, size_t dir_size, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash == NULL ? path : slash + 1;
    if (**name == '\0')
        return false;
    if (slash == NULL)
        return snprintf(dir, dir_size, ".") < (int)dir_size;
    const int len = slash == path ? 1 : (int)(slash - path);
    return snprintf(dir, dir_size, "%.*s", len, path) < (int)dir_size;
}
