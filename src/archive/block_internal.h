/* A block's bytes before compression, for the tests that damage them. */
#ifndef FW_ARCHIVE_BLOCK_INTERNAL_H
#define FW_ARCHIVE_BLOCK_INTERNAL_H

#include "archive/block.h"

/* Appends; check out->failed. */
void archive_body_put(const struct archive_block *block, struct fw_buf *out);
/* False: these are no such bytes. */
bool archive_body_get(const void *data, size_t len, struct archive_block *block);

#endif
