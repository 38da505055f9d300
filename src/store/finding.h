/* One thing that is wrong with stored data, as recovery and `forewarn store check` tell it. */
#ifndef FW_STORE_FINDING_H
#define FW_STORE_FINDING_H

#include "base/status.h"
#include "store/io.h"

#include <stdint.h>

struct store_finding {
    const char *kind; /* "torn-tail", "damaged-record", ...: a fixed word */
    char path[STORE_PATH_MAX];
    uint64_t offset, length; /* bytes of the file; 0, 0 when it is about the whole */
    char text[160];
};

typedef void (*store_finding_fn)(void *ctx, const struct store_finding *finding);

/* Does nothing when fn is NULL. */
void store_finding_tell(store_finding_fn fn, void *ctx, const char *kind, const char *path,
                        uint64_t offset, uint64_t length, const char *format, ...) FW_PRINTF(7, 8);

/* Bytes set aside: copies of what failed its checks, one file each, named after where they came
 * from, so that finding the same damage again writes the same file. */
struct store_quarantine {
    const struct store_io *io;
    const char *dir; /* NULL: nothing is written; made when first needed */
    uint64_t bytes_max;
    uint64_t bytes;   /* out: written */
    uint64_t skipped; /* out: over bytes_max, or could not be written */
};

/* Copies bytes [offset, offset + length) of `fd` into "<dir>/<name>-<offset>.bad". Never fails:
 * what cannot be set aside is counted. */
void store_quarantine_range(struct store_quarantine *quarantine, const char *name, int fd,
                            uint64_t offset, uint64_t length);

#endif
