/* Which of the paths given make up which set. */
#ifndef FW_EVALUATE_SOURCES_H
#define FW_EVALUATE_SOURCES_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVALUATE_NAME_MAX = 63 };

enum evaluate_layout {
    EVALUATE_FLEET, /* a directory with servers.csv, which has the split */
    EVALUATE_ETT, /* files that begin with "date,": one series each, the split of the ETT papers */
    EVALUATE_PLAIN, /* other files and directories */
};

struct evaluate_source {
    char name[EVALUATE_NAME_MAX + 1];
    enum evaluate_layout layout;
    size_t n_paths;
    const char **paths; /* (n_paths) the caller's texts */
};

struct evaluate_sources {
    size_t n;
    struct evaluate_source *items; /* in the order of their first paths */
    const char **paths;
};

/* Directories with servers.csv or with ETT files are sets of their own, named by the last part of
 * their path; all plain files and directories are one set together, and so are ETT files. `name`
 * (NULL: none given) is that of plain data, or of the only set. FW_EINVAL: `name` fits no one set,
 * or two sets have the same; FW_ENOTFOUND, FW_EIO: a path cannot be read; FW_ENOMEM. Released with
 * evaluate_sources_fini(), also after a failure. */
FW_MUST_CHECK enum fw_status evaluate_sources_find(size_t n, const char *const *paths,
                                                   const char *name, struct evaluate_sources *out,
                                                   struct fw_error *err);
void evaluate_sources_fini(struct evaluate_sources *sources);

#endif
