/* The long history's unit: the values of one server over ARCHIVE_STEPS steps of the grid, and their
 * bytes (docs/formats/history.md). Rounded, but honestly: an error is at most a 64th of the
 * metric's typical change from step to step in the block, and metrics on a decimal grid as coarse
 * as that, or that hold still, come back exactly.
 *
 * A block is large (about 42 KiB): the heap's, and used again. */
#ifndef FW_ARCHIVE_BLOCK_H
#define FW_ARCHIVE_BLOCK_H

#include "archive/column.h"
#include "base/buf.h"
#include "domain/identity.h"
#include "domain/schema.h"

enum {
    ARCHIVE_STEPS = 144, /* half a window of the shortest kind, so that a block is whole for long */
    ARCHIVE_METRICS_MAX = SCHEMA_METRICS_MAX,
    ARCHIVE_BODY_MAX = 65536,                    /* bytes before compression */
    ARCHIVE_BLOCK_MAX = ARCHIVE_BODY_MAX + 1024, /* and behind it */
};

struct archive_metric {
    char name[SCHEMA_METRIC_NAME_MAX + 1];
    /* What decode found the values to be multiples of, which encode keeps; {0}: not rounded before.
     */
    struct archive_quantum quantum;
    float values[ARCHIVE_STEPS]; /* finite, or NaN = missing */
};

struct archive_block {
    uint32_t step_s;
    int64_t number;                  /* its first step is number * ARCHIVE_STEPS */
    uint8_t profile;                 /* enum profile */
    uint8_t statuses[ARCHIVE_STEPS]; /* enum server_status */
    size_t metrics;
    struct archive_metric metric[ARCHIVE_METRICS_MAX];
};

/* What coding needs and keeps between blocks. One thread at a time. NULL: out of memory. */
struct archive_codec;
struct archive_codec *archive_codec_new(void);
void archive_codec_free(struct archive_codec *codec); /* NULL does nothing */

/* Appends the bytes of a block; metrics without a value are left out. FW_ENOMEM, also when *out
 * cannot take ARCHIVE_BLOCK_MAX bytes more. */
FW_MUST_CHECK enum fw_status archive_block_encode(struct archive_codec *codec,
                                                  const struct archive_block *block,
                                                  struct fw_buf *out, struct fw_error *err);
/* Any bytes. FW_ECORRUPT, FW_EVERSION (of a later program); *block is then undefined. */
FW_MUST_CHECK enum fw_status archive_block_decode(struct archive_codec *codec, const void *data,
                                                  size_t len, struct archive_block *block,
                                                  struct fw_error *err);

/* The metric of that name, or NULL. */
const struct archive_metric *archive_block_find(const struct archive_block *block,
                                                const char *name);

/* Whether what `block` holds is in `kept` as well, but for what was rounded away. Profiles do not
 * count. */
bool archive_block_covers(const struct archive_block *kept, const struct archive_block *block);

/* Takes over from `older` what `block` lacks: values of steps and metrics, statuses. A metric that
 * finds no room is dropped (false). */
bool archive_block_fill(struct archive_block *block, const struct archive_block *older);

#endif
