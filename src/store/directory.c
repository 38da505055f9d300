#include "store/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char format_text[] = "forewarn data 1\n";

static bool not_empty(void *ctx, const char *name)
{
    /* What a crash may leave of our own first steps does not count. */
    if (strcmp(name, "lock") != 0 && strcmp(name, "FORMAT.new") != 0)
        *(bool *)ctx = true;
    return true;
}

static bool name_paths(struct store_directory *d, const char *path)
{
    const int n = snprintf(d->path, sizeof d->path, "%s", path);
    return n > 0 && (size_t)n < sizeof d->path - 80 && /* room for what lies below */
           store_io_path(d->log, sizeof d->log, path, "log") &&
           store_io_path(d->snap, sizeof d->snap, path, "snap") &&
           store_io_path(d->learned, sizeof d->learned, path, "learned") &&
           store_io_path(d->past, sizeof d->past, path, "past") &&
           store_io_path(d->state, sizeof d->state, path, "state.db") &&
           store_io_path(d->history, sizeof d->history, path, "history.db") &&
           store_io_path(d->quarantine, sizeof d->quarantine, path, "quarantine");
}

static enum fw_status take_lock(struct store_directory *d, struct fw_error *err)
{
    char path[STORE_PATH_MAX];
    if (!store_io_path(path, sizeof path, d->path, "lock"))
        return fw_fail(err, FW_EINVAL, "the path of %s is too long", d->path);
    const int fd = d->io->open(d->io->ctx, path, O_RDWR | O_CREAT, 0600);
    if (fd < 0)
        return fw_fail(err, store_io_status(fd) == FW_ENOSPC ? FW_ENOSPC : FW_EIO,
                       "cannot write to data directory %s: %s", d->path, strerror(-fd));
    d->lock_fd = fd;
    const int locked = d->io->lock(d->io->ctx, fd);
    if (locked == -EWOULDBLOCK)
        return fw_fail(err, FW_EBUSY, "data directory %s is in use by another forewarn", d->path);
    if (locked < 0)
        return fw_fail(err, FW_EIO, "cannot lock %s: %s", path, strerror(-locked));
    return FW_OK;
}

/* FW_OK ours, FW_ENOTFOUND no FORMAT file. */
static enum fw_status read_format(struct store_directory *d, struct fw_error *err)
{
    char path[STORE_PATH_MAX], text[64] = "";
    if (!store_io_path(path, sizeof path, d->path, "FORMAT"))
        return fw_fail(err, FW_EINVAL, "the path of %s is too long", d->path);
    const int fd = d->io->open(d->io->ctx, path, O_RDONLY, 0);
    if (fd == -ENOENT)
        return FW_ENOTFOUND;
    if (fd < 0)
        return fw_fail(err, FW_EIO, "cannot read %s: %s", path, strerror(-fd));
    const ssize_t n = d->io->read_at(d->io->ctx, fd, text, sizeof text - 1, 0);
    (void)d->io->close(d->io->ctx, fd);
    if (n < 0)
        return fw_fail(err, FW_EIO, "cannot read %s: %s", path, strerror((int)-n));
    if (strcmp(text, format_text) == 0)
        return FW_OK;
    int version = 0;
    if (sscanf(text, "forewarn data %d", &version) == 1 && version > 1)
        return fw_fail(err, FW_EVERSION, "%s has format %d; this forewarn knows format 1", d->path,
                       version);
    return fw_fail(err, FW_EINVAL, "%s is not a FORMAT file of forewarn", path);
}

static enum fw_status check_ours(struct store_directory *d, struct fw_error *err)
{
    bool foreign = false;
    const int listed = d->io->list(d->io->ctx, d->path, not_empty, &foreign);
    if (listed < 0)
        return fw_fail(err, FW_EIO, "cannot list %s: %s", d->path, strerror(-listed));
    if (foreign)
        return fw_fail(err, FW_EINVAL,
                       "%s is not empty and not a data directory of forewarn; left alone", d->path);
    return FW_OK;
}

static enum fw_status write_format(struct store_directory *d, struct fw_error *err)
{
    const int written =
        store_io_replace(d->io, d->path, "FORMAT", format_text, sizeof format_text - 1);
    if (written < 0)
        return fw_fail(err, store_io_status(written) == FW_ENOSPC ? FW_ENOSPC : FW_EIO,
                       "cannot write to data directory %s: %s", d->path, strerror(-written));
    return FW_OK;
}

static enum fw_status make(struct store_directory *d, struct fw_error *err)
{
    const int made = d->io->mkdir(d->io->ctx, d->path, 0700);
    if (made < 0 && made != -EEXIST)
        return fw_fail(err, store_io_status(made) == FW_ENOSPC ? FW_ENOSPC : FW_EIO,
                       "cannot make data directory %s: %s", d->path, strerror(-made));
    char parent[STORE_PATH_MAX];
    const int synced = made == 0 ? store_io_sync_parent(d->io, d->path, parent) : 0;
    if (synced < 0)
        return fw_fail(err, FW_EIO, "cannot sync %s: %s", parent, strerror(-synced));
    return FW_OK;
}

enum fw_status store_directory_init(struct store_directory *out, const char *path,
                                    const struct store_io *io, enum store_directory_mode mode,
                                    struct fw_error *err)
{
    memset(out, 0, sizeof *out);
    out->lock_fd = -1;
    out->io = io != NULL ? io : store_io_system();
    if (!name_paths(out, path))
        return fw_fail(err, FW_EINVAL, "the path of the data directory is too long");
    enum fw_status status = FW_OK;
    if (mode == STORE_DIRECTORY_CREATE)
        status = make(out, err);
    /* Before the lock, so that a directory that is not ours gets no file from us. */
    if (status == FW_OK)
        status = read_format(out, err);
    if (status == FW_ENOTFOUND && mode == STORE_DIRECTORY_CREATE)
        status = check_ours(out, err);
    else if (status == FW_ENOTFOUND)
        status = fw_fail(err, FW_ENOTFOUND, "%s is not a data directory of forewarn", path);
    if (status == FW_OK && mode != STORE_DIRECTORY_LOOK)
        status = take_lock(out, err);
    if (status == FW_OK && mode == STORE_DIRECTORY_CREATE) {
        status = read_format(out, err);
        if (status == FW_ENOTFOUND)
            status = write_format(out, err);
    }
    if (status != FW_OK)
        store_directory_fini(out);
    return status;
}

void store_directory_fini(struct store_directory *directory)
{
    if (directory->io != NULL && directory->lock_fd >= 0)
        (void)directory->io->close(directory->io->ctx, directory->lock_fd);
    directory->lock_fd = -1;
}
