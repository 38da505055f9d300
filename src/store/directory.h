/* The data directory: one layout, one owner.
 *
 *   FORMAT       "forewarn data 1\n": the version of this layout
 *   lock         held with flock() by the process that may write
 *   log/         journal segments           docs/formats/journal.md
 *   snap/        snapshots                  docs/formats/snapshot.md
 *   learned/     what was learned of the servers, as snapshots  docs/formats/learned.md
 *   past/        earlier forecasts, as snapshots  docs/formats/past.md
 *   state.db     SQLite                     docs/formats/state.md
 *   history.db   SQLite, the long history   docs/formats/history.md
 *   quarantine/  bytes that failed a check, set aside */
#ifndef FW_STORE_DIRECTORY_H
#define FW_STORE_DIRECTORY_H

#include "base/status.h"
#include "store/io.h"

#include <stdbool.h>

struct store_directory {
    const struct store_io *io;
    int lock_fd; /* -1: not locked */
    char path[STORE_PATH_MAX];
    char log[STORE_PATH_MAX];
    char snap[STORE_PATH_MAX];
    char learned[STORE_PATH_MAX];
    char past[STORE_PATH_MAX];
    char state[STORE_PATH_MAX];
    char history[STORE_PATH_MAX];
    char quarantine[STORE_PATH_MAX];
};

enum store_directory_mode {
    STORE_DIRECTORY_CREATE,   /* make what is missing (mode 0700; the parent must exist), lock */
    STORE_DIRECTORY_EXISTING, /* must be a data directory; lock */
    STORE_DIRECTORY_LOOK,     /* must be a data directory; no lock, nothing is written */
};

/* Fills *out, the caller's memory, to be released with store_directory_fini(). io NULL: the
 * system's. FW_EBUSY     another process has it FW_EVERSION  written by a later program FW_EINVAL
 * not empty and no FORMAT file in it: not ours, so left alone; or the path is too long FW_ENOTFOUND
 * does not exist (modes other than CREATE) FW_EIO       cannot be read or written, for instance a
 * read-only file system; FW_ENOSPC */
FW_MUST_CHECK enum fw_status store_directory_init(struct store_directory *out, const char *path,
                                                  const struct store_io *io,
                                                  enum store_directory_mode mode,
                                                  struct fw_error *err);
/* Unlocks. A zeroed struct does nothing if lock_fd is -1. */
void store_directory_fini(struct store_directory *directory);

#endif
