/* Reading whole files that somebody else may have prepared: regular files only, no link followed,
 * copied into memory (never mapped), size capped before anything is allocated. */
#ifndef FW_TFT_FILE_H
#define FW_TFT_FILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Opens a directory for the calls below; the descriptor is the caller's to close(). `path` may pass
 * through links. */
FW_MUST_CHECK enum fw_status tft_file_open_dir(const char *path, int *out, struct fw_error *err);

/* Opens the directory `name` below `root_fd`, which may come from the network: one or more
 * components separated by
 * '/', none of them empty, "." or "..", no control bytes, no component that is a link (openat2 with
 * RESOLVE_BENEATH, or component by component where the kernel lacks it). FW_EINVAL: no such name is
 * ever opened; FW_ENOTFOUND, FW_EIO: as the file system says. */
FW_MUST_CHECK enum fw_status tft_file_open_dir_beneath(int root_fd, const char *name, int *out,
                                                       struct fw_error *err);

/* True for a name that tft_file_open_dir_beneath() would try. */
bool tft_file_name_valid(const char *name);

/* Reads the file `name` in `dir_fd` whole. *bytes is the caller's, released with fw_free(), never
 * NULL on success. FW_EINVAL: not a regular file, or a link, or (single_link) a file that has other
 * names as well; FW_ELIMIT: larger than max_bytes; FW_EIO: unreadable, or its size changed while it
 * was read; FW_ENOTFOUND; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status tft_file_read(int dir_fd, const char *name, size_t max_bytes,
                                           bool single_link, unsigned char **bytes, size_t *size,
                                           struct fw_error *err);

/* Writes a file beside its final name, syncs it and renames it into place; the directory is synced
 * as well. */
FW_MUST_CHECK enum fw_status tft_file_write(int dir_fd, const char *name, const void *bytes,
                                            size_t size, struct fw_error *err);

/* Splits "a/b/c" into the directory "a/b" and the name "c" ("." when there is no slash). The
 * directory is written to `dir` (at most dir_size bytes with its end); the name points into `path`.
 * False when it does not fit or is empty. */
bool tft_file_split(const char *path, char *dir, size_t dir_size, const char **name);

#endif
