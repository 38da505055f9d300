/* The file layer under the store: a struct of functions, so that a test can fail any call, lose
 * what was not synced, or keep everything in memory.
 *
 * Every function returns 0 or more, or -errno; errno itself is left alone. Paths are plain paths as
 * for open(2). All functions may be called from several threads at once, as the system calls may.
 */
#ifndef FW_STORE_IO_H
#define FW_STORE_IO_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STORE_PATH_MAX = 1024 }; /* bytes of a path with its end */

/* One entry of a directory; "." and ".." are never told. False stops the listing. */
typedef bool (*store_io_entry_fn)(void *ctx, const char *name);

struct store_io {
    void *ctx;
    /* flags as for open(2) (O_CLOEXEC is added): a descriptor for the functions below. */
    int (*open)(void *ctx, const char *path, int flags, unsigned mode);
    int (*close)(void *ctx, int fd);
    /* As pread and pwrite: may move fewer bytes than asked; 0 from read_at is the end of the file.
     */
    ssize_t (*read_at)(void *ctx, int fd, void *data, size_t len, uint64_t offset);
    ssize_t (*write_at)(void *ctx, int fd, const void *data, size_t len, uint64_t offset);
    int (*sync_data)(void *ctx, int fd);          /* fdatasync */
    int (*sync_dir)(void *ctx, const char *path); /* fsync of a directory */
    int (*truncate)(void *ctx, int fd, uint64_t size_bytes);
    int (*preallocate)(void *ctx, int fd,
                       uint64_t size_bytes); /* may be refused with -EOPNOTSUPP */
    int (*size)(void *ctx, int fd, uint64_t *size_bytes);
    /* Forgets clean cached pages, so that the next read comes from the device; a hint. */
    int (*drop_cache)(void *ctx, int fd);
    int (*lock)(void *ctx, int fd); /* exclusive, until close; -EWOULDBLOCK when another holds it */
    int (*rename)(void *ctx, const char *from, const char *to);
    int (*unlink)(void *ctx, const char *path);
    int (*mkdir)(void *ctx, const char *path, unsigned mode);
    int (*list)(void *ctx, const char *path, store_io_entry_fn visit, void *visit_ctx);
    int (*free_bytes)(void *ctx, const char *path, uint64_t *free_bytes); /* for an ordinary user */
};

/* The system's calls. Never NULL, immutable. */
const struct store_io *store_io_system(void);

/* What follows is written once on top of the functions above. Each returns 0 or -errno. */

/* Exactly `len` bytes, repeating short calls and EINTR. store_io_read_full answers -ENODATA at the
 * end of the file. */
int store_io_read_full(const struct store_io *io, int fd, void *data, size_t len, uint64_t offset);
int store_io_write_full(const struct store_io *io, int fd, const void *data, size_t len,
                        uint64_t offset);
/* A whole small file, written aside as PATH.new, synced, renamed, its directory synced: the old
 * content or the new one survives a crash, never a mixture. */
int store_io_replace(const struct store_io *io, const char *dir, const char *name, const void *data,
                     size_t len);

/* The name of `path` becomes durable: its directory, told in `parent`, is synced. One that we may
 * not open (EACCES) is another owner's, and not ours to sync: 0. */
int store_io_sync_parent(const struct store_io *io, const char *path, char parent[STORE_PATH_MAX]);

/* FW_ENOSPC for ENOSPC and EDQUOT, FW_ENOTFOUND for ENOENT, FW_EBUSY for EWOULDBLOCK, FW_ENOMEM for
 * ENOMEM, FW_EINVAL for EINVAL, FW_EIO for the rest. `negative_errno` as returned by the functions
 * above, below 0. */
enum fw_status store_io_status(int negative_errno);

/* dir + "/" + name into out; false when it does not fit. */
bool store_io_path(char *out, size_t out_size, const char *dir, const char *name);

#endif
