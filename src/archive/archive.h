/* The long history's place in the store: blocks by time and server, as blobs of history.db
 * (docs/formats/history.md). `state` is that database, opened with store_state_open().
 *
 * Threads: as for store_state; a codec belongs to one at a time. */
#ifndef FW_ARCHIVE_ARCHIVE_H
#define FW_ARCHIVE_ARCHIVE_H

#include "archive/block.h"
#include "store/state.h"

enum { ARCHIVE_KEY_SIZE = 11 + SERVER_NAME_MAX + 1 };

/* The key of a server's block whose first step begins at `start_s` (not negative). */
void archive_key(char out[ARCHIVE_KEY_SIZE], int64_t start_s, const char *server);
/* The way back; *server points into the key. False: not such a key. */
bool archive_key_parse(const char *key, int64_t *start_s, const char **server);

/* Seconds since 1970 at which a block begins, and of how many it is. */
int64_t archive_start_s(uint32_t step_s, int64_t number);
int64_t archive_length_s(uint32_t step_s);

/* Reads a block. FW_ENOTFOUND (err untouched) also when the one there has another step;
 * FW_ECORRUPT, FW_EVERSION; FW_EIO, FW_ELIMIT (scratch). `scratch` is the caller's, and
 * overwritten. */
FW_MUST_CHECK enum fw_status archive_get(struct store_state *state, struct archive_codec *codec,
                                         const char *server, uint32_t step_s, int64_t number,
                                         struct fw_buf *scratch, struct archive_block *block,
                                         struct fw_error *err);

/* Writes the bytes that archive_block_encode() gave, instead of what is there. The statuses of
 * store_state_put(). */
FW_MUST_CHECK enum fw_status archive_put(struct store_state *state, const char *server,
                                         uint32_t step_s, int64_t number, const void *data,
                                         size_t len, struct fw_error *err);

/* Removes the oldest blocks that end at or before `before_s`, at most `most`. Blocks of a step
 * longer than `step_s` may go up to their length early. */
FW_MUST_CHECK enum fw_status archive_prune(struct store_state *state, uint32_t step_s,
                                           int64_t before_s, uint64_t most, uint64_t *removed,
                                           struct fw_error *err);

/* How many blocks there are; walks the index, which takes a second for some millions. */
FW_MUST_CHECK enum fw_status archive_count(struct store_state *state, uint64_t *blocks,
                                           struct fw_error *err);
/* When the oldest begins; -1: there is none. */
FW_MUST_CHECK enum fw_status archive_oldest(struct store_state *state, int64_t *start_s,
                                            struct fw_error *err);

struct archive_found {
    const char *key;    /* printable or not, when damaged */
    const char *server; /* NULL when the key is none of ours */
    int64_t start_s;
    size_t len;                        /* bytes of the block */
    const struct archive_block *block; /* NULL: it cannot be read */
    const char *trouble;               /* then: why */
    bool checksum_failed;              /* then: the store says so */
};
/* False stops. What is found is valid during the call. */
typedef bool (*archive_visit_fn)(void *ctx, const struct archive_found *found);
/* All blocks, in order of time, then name; damaged ones as well. FW_ENOMEM, FW_EIO; FW_ECORRUPT
 * when the database itself is damaged where the blocks are looked up. */
FW_MUST_CHECK enum fw_status archive_each(struct store_state *state, archive_visit_fn visit,
                                          void *ctx, struct fw_error *err);

#endif
