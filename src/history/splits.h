/* servers.csv: which servers a set has, and from when on each is tested. */
#ifndef FW_HISTORY_SPLITS_H
#define FW_HISTORY_SPLITS_H

#include "domain/identity.h"

#include <stddef.h>

struct history_split {
    char server[SERVER_NAME_MAX + 1];
    int64_t test_from_ms;
    size_t line; /* of the file, from 1 */
};

struct history_splits {
    size_t n, capacity;
    struct history_split *items; /* in the file's order */
};

/* Reads columns server_name and test_from; others are passed over. FW_EINVAL: a column or a field
 * is missing or wrong, or a server is there twice; err names file and line (err->offset).
 * FW_ENOTFOUND, FW_EIO, FW_ENOMEM. Released with history_splits_fini(), also after a failure. */
FW_MUST_CHECK enum fw_status history_splits_read(const char *path, struct history_splits *out,
                                                 struct fw_error *err);
void history_splits_fini(struct history_splits *splits);

#endif
