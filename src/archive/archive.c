#include "archive/archive.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>

#define NAMESPACE "history"
enum { TIME_DIGITS = 10 };

static const char digits[] = "0123456789abcdef";

void archive_key(char out[ARCHIVE_KEY_SIZE], int64_t start_s, const char *server)
{
    const size_t len = strlen(server);
    assert(start_s >= 0 && start_s >> (4 * TIME_DIGITS) == 0 && len <= SERVER_NAME_MAX);
    for (int i = TIME_DIGITS - 1; i >= 0; i--, start_s >>= 4)
        out[i] = digits[start_s & 15];
    out[TIME_DIGITS] = '/';
    memcpy(out + TIME_DIGITS + 1, server, len + 1);
}

bool archive_key_parse(const char *key, int64_t *start_s, const char **server)
{
    int64_t seconds = 0;
    for (int i = 0; i < TIME_DIGITS; i++) {
        const char *digit = key[i] == '\0' ? NULL : strchr(digits, key[i]);
        if (digit == NULL)
            return false;
        seconds = seconds * 16 + (digit - digits);
    }
    *start_s = seconds;
    *server = key + TIME_DIGITS + 1;
    return key[TIME_DIGITS] == '/' && server_name_valid(*server, strlen(*server));
}

int64_t archive_length_s(uint32_t step_s)
{
    return (int64_t)ARCHIVE_STEPS * step_s;
}

int64_t archive_start_s(uint32_t step_s, int64_t number)
{
    return number * archive_length_s(step_s);
}

enum fw_status archive_get(struct store_state *state, struct archive_codec *codec,
                           const char *server, uint32_t step_s, int64_t number,
                           struct fw_buf *scratch, struct archive_block *block,
                           struct fw_error *err)
{
    char key[ARCHIVE_KEY_SIZE];
    archive_key(key, archive_start_s(step_s, number), server);
    fw_buf_reset(scratch);
    enum fw_status status = store_state_get(state, NAMESPACE, key, scratch, err);
    if (status == FW_OK)
        status = archive_block_decode(codec, scratch->data, scratch->len, block, err);
    if (status == FW_OK && (block->step_s != step_s || block->number != number))
        status = FW_ENOTFOUND; /* of a grid that was given up */
    return status;
}

enum fw_status archive_put(struct store_state *state, const char *server, uint32_t step_s,
                           int64_t number, const void *data, size_t len, struct fw_error *err)
{
    char key[ARCHIVE_KEY_SIZE];
    archive_key(key, archive_start_s(step_s, number), server);
    return store_state_put(state, NAMESPACE, key, data, len, err);
}

enum fw_status archive_prune(struct store_state *state, uint32_t step_s, int64_t before_s,
                             uint64_t most, uint64_t *removed, struct fw_error *err)
{
    char to[ARCHIVE_KEY_SIZE];
    const int64_t starts_before = before_s - archive_length_s(step_s) + 1;
    *removed = 0;
    if (starts_before <= 0)
        return FW_OK;
    archive_key(to, starts_before, "");
    const struct store_state_range range = {.ns = NAMESPACE, .to = to};
    return store_state_range_delete(state, &range, most, removed, err);
}

static bool take_start(void *ctx, const char *key, const void *data, size_t len)
{
    const char *server;
    int64_t start_s;
    (void)data;
    (void)len;
    if (!archive_key_parse(key, &start_s, &server))
        return true;
    *(int64_t *)ctx = start_s;
    return false;
}

enum fw_status archive_count(struct store_state *state, uint64_t *blocks, struct fw_error *err)
{
    const struct store_state_range all = {.ns = NAMESPACE};
    return store_state_range_count(state, &all, blocks, err);
}

enum fw_status archive_oldest(struct store_state *state, int64_t *start_s, struct fw_error *err)
{
    const struct store_state_range all = {.ns = NAMESPACE};
    *start_s = -1;
    return store_state_range_each(state, &all, take_start, start_s, err);
}

/* ---- all of them ---- */

struct walk {
    struct archive_codec *codec;
    struct archive_block *block;
    archive_visit_fn visit;
    void *ctx;
};

static bool visit_blob(void *ctx, const char *key, const void *data, size_t len)
{
    struct walk *w = ctx;
    struct fw_error why = {0};
    struct archive_found found = {.key = key, .len = len};
    if (!archive_key_parse(key, &found.start_s, &found.server))
        found.server = NULL;
    if (data == NULL) {
        found.checksum_failed = true;
        found.trouble = "the block fails its checksum";
        return w->visit(w->ctx, &found);
    }
    if (archive_block_decode(w->codec, data, len, w->block, &why) != FW_OK)
        found.trouble = why.text;
    else if (found.server == NULL)
        found.trouble = "the block's key is none";
    else if (archive_start_s(w->block->step_s, w->block->number) != found.start_s)
        found.trouble = "the block is of another time than its key";
    else
        found.block = w->block;
    return w->visit(w->ctx, &found);
}

enum fw_status archive_each(struct store_state *state, archive_visit_fn visit, void *ctx,
                            struct fw_error *err)
{
    const struct store_state_range all = {.ns = NAMESPACE};
    struct walk w = {archive_codec_new(), fw_malloc(sizeof(struct archive_block)), visit, ctx};
    const enum fw_status status = w.codec == NULL || w.block == NULL
                                      ? fw_fail(err, FW_ENOMEM, "no memory to read the history")
                                      : store_state_range_each(state, &all, visit_blob, &w, err);
    archive_codec_free(w.codec);
    fw_free(w.block);
    return status;
}
