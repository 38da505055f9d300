/* A snapshot file with any bytes, checksums of content off. Asks: does loading never fail or crash
 * whatever the bytes; does a second load see the same; and does what was loaded, saved again, load
 * as the same blocks? */
#include "base/hash.h"
#include "base/log.h"
#include "store/io_memory.h"
#include "store/segment.h"
#include "store/snapshot_format.h"

#include <stdlib.h>
#include <string.h>

struct seen {
    uint64_t blocks, hash, metadata;
    struct store_snapshot_writer *copy;
};

static enum fw_status start(void *ctx, uint64_t sequence, const void *metadata, size_t len)
{
    struct seen *seen = ctx;
    (void)sequence;
    seen->metadata = fw_hash_stable(metadata, len);
    return FW_OK;
}

static enum fw_status visit(void *ctx, const struct store_snapshot_block *block)
{
    struct seen *seen = ctx;
    const uint64_t one[3] = {block->kind, block->len, fw_hash_stable(block->data, block->len)};
    seen->blocks++;
    seen->hash = fw_hash_stable(one, sizeof one) + 31 * seen->hash;
    if (seen->copy != NULL &&
        store_snapshot_put(seen->copy, block->kind, block->data, block->len, NULL) != FW_OK)
        abort();
    return FW_OK;
}

static struct store_snapshot_report load(struct store_io_memory *memory, const char *dir,
                                         struct seen *seen, bool checksums_off)
{
    const struct store_snapshot_load_options options = {.start = start,
                                                        .checksums_off = checksums_off};
    struct store_snapshot_report report;
    const enum fw_status status =
        store_snapshot_load(dir, store_io_memory_io(memory), &options, visit, seen, &report, NULL);
    if (status != FW_OK && status != FW_EVERSION)
        abort();
    return report;
}

/* The structure's checksums are made right, so that the fields behind them are looked at. */
static void mend(unsigned char *file, size_t size)
{
    if (size >= SNAPSHOT_HEADER) {
        memcpy(file, "FWSNAP\r\n", 8);
        store_put_u32(file + 8, SNAPSHOT_VERSION);
        store_put_u32(file + 12, SNAPSHOT_HEADER);
        store_put_u32(file + 60, fw_crc32c(0, file, 60));
    }
    if (size >= SNAPSHOT_HEADER + SNAPSHOT_TRAILER) {
        unsigned char *trailer = file + size - SNAPSHOT_TRAILER;
        memcpy(trailer + 32, "FWSNEND\n", 8);
        store_put_u32(trailer + 28, fw_crc32c(0, trailer, 28));
    }
    for (size_t at = SNAPSHOT_HEADER; size >= SNAPSHOT_HEADER && size - at >= SNAPSHOT_BLOCK_HEADER;
         at += 8)
        if (memcmp(file + at, file + 40, 4) == 0)
            store_put_u32(file + at + 20, fw_crc32c(0, file + at, 20));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char file[1 << 16];
    if (size > sizeof file)
        return 0;
    if (size > 0)
        memcpy(file, data, size);
    mend(file, size);
    struct store_io_memory *memory = store_io_memory_new(1);
    if (memory == NULL ||
        !store_io_memory_put(memory, "/snap/snapshot-0000000000000001.fws", file, size))
        abort();
    struct seen first = {0}, second = {0}, third = {0};
    const struct store_snapshot_report report = load(memory, "/snap", &first, true);
    if (report.found) {
        if (store_snapshot_begin("/copy", store_io_memory_io(memory), NULL, 1, NULL, 0,
                                 &second.copy, NULL) != FW_OK)
            abort();
        (void)load(memory, "/snap", &second, true);
        if (first.blocks != second.blocks || first.hash != second.hash ||
            first.metadata != second.metadata)
            abort();
        if (store_snapshot_commit(second.copy, NULL, NULL) != FW_OK)
            abort();
        const struct store_snapshot_report again = load(memory, "/copy", &third, false);
        if (!again.found || again.damaged_blocks > 0 || third.blocks != first.blocks ||
            third.hash != first.hash)
            abort();
    }
    store_io_memory_free(memory);
    return 0;
}
