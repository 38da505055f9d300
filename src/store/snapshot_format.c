#include "store/snapshot_format.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = {'F', 'W', 'S', 'N', 'A', 'P', '\r', '\n'};
static const char end_magic[8] = {'F', 'W', 'S', 'N', 'E', 'N', 'D', '\n'};

void snapshot_name(char out[SNAPSHOT_NAME_MAX], uint64_t sequence)
{
    snprintf(out, SNAPSHOT_NAME_MAX, "snapshot-%016" PRIx64 ".fws", sequence);
}

bool snapshot_name_parse(const char *name, uint64_t *sequence)
{
    char wanted[SNAPSHOT_NAME_MAX];
    if (strncmp(name, "snapshot-", 9) != 0 || strlen(name) != 9 + 16 + 4)
        return false;
    *sequence = strtoull(name + 9, NULL, 16);
    snapshot_name(wanted, *sequence);
    return strcmp(name, wanted) == 0;
}

/* 0 8 magic, 8 4 version, 12 4 header size, 16 8 sequence, 24 8 created_ms, 32 4 metadata length,
 * 36 4 metadata CRC32C, 40 4 marker, 44 16 zero, 60 4 CRC32C of bytes 0 to 59. The metadata
 * follows, padded to 8. */
void snapshot_header_encode(const struct snapshot_header *header,
                            unsigned char out[SNAPSHOT_HEADER])
{
    memset(out, 0, SNAPSHOT_HEADER);
    memcpy(out, magic, sizeof magic);
    store_put_u32(out + 8, SNAPSHOT_VERSION);
    store_put_u32(out + 12, SNAPSHOT_HEADER);
    store_put_u64(out + 16, header->sequence);
    store_put_u64(out + 24, (uint64_t)header->created_ms);
    store_put_u32(out + 32, header->metadata_len);
    store_put_u32(out + 36, header->metadata_crc);
    store_put_u32(out + 40, header->marker);
    store_put_u32(out + 60, fw_crc32c(0, out, 60));
}

enum fw_status snapshot_header_decode(const unsigned char in[SNAPSHOT_HEADER],
                                      struct snapshot_header *header)
{
    if (memcmp(in, magic, sizeof magic) != 0 || store_get_u32(in + 60) != fw_crc32c(0, in, 60))
        return FW_ECORRUPT;
    if (store_get_u32(in + 8) != SNAPSHOT_VERSION)
        return FW_EVERSION;
    header->sequence = store_get_u64(in + 16);
    header->created_ms = (int64_t)store_get_u64(in + 24);
    header->metadata_len = store_get_u32(in + 32);
    header->metadata_crc = store_get_u32(in + 36);
    header->marker = store_get_u32(in + 40);
    if (store_get_u32(in + 12) != SNAPSHOT_HEADER ||
        header->metadata_len > STORE_SNAPSHOT_METADATA_MAX)
        return FW_ECORRUPT;
    return FW_OK;
}

/* 0 4 marker, 4 4 kind, 8 4 length, 12 4 CRC32C of the content, 16 4 index, 20 4 CRC32C of bytes 0
 * to 19. */
void snapshot_block_encode(const struct snapshot_entry *entry, uint32_t marker, uint32_t index,
                           unsigned char out[SNAPSHOT_BLOCK_HEADER])
{
    store_put_u32(out, marker);
    store_put_u32(out + 4, entry->kind);
    store_put_u32(out + 8, entry->len);
    store_put_u32(out + 12, entry->crc);
    store_put_u32(out + 16, index);
    store_put_u32(out + 20, fw_crc32c(0, out, 20));
}

bool snapshot_block_decode(const unsigned char in[SNAPSHOT_BLOCK_HEADER], uint32_t marker,
                           struct snapshot_entry *entry, uint32_t *index)
{
    if (store_get_u32(in) != marker || store_get_u32(in + 20) != fw_crc32c(0, in, 20))
        return false;
    entry->kind = store_get_u32(in + 4);
    entry->len = store_get_u32(in + 8);
    entry->crc = store_get_u32(in + 12);
    *index = store_get_u32(in + 16);
    return entry->len <= STORE_SNAPSHOT_BLOCK_MAX;
}

void snapshot_entry_encode(const struct snapshot_entry *entry,
                           unsigned char out[SNAPSHOT_INDEX_ENTRY])
{
    memset(out, 0, SNAPSHOT_INDEX_ENTRY);
    store_put_u64(out, entry->offset);
    store_put_u32(out + 8, entry->kind);
    store_put_u32(out + 12, entry->len);
    store_put_u32(out + 16, entry->crc);
}

void snapshot_entry_decode(const unsigned char in[SNAPSHOT_INDEX_ENTRY],
                           struct snapshot_entry *entry)
{
    entry->offset = store_get_u64(in);
    entry->kind = store_get_u32(in + 8);
    entry->len = store_get_u32(in + 12);
    entry->crc = store_get_u32(in + 16);
}

/* 0 8 index offset, 8 8 blocks, 16 4 CRC32C of the index, 20 4 marker, 24 4 zero, 28 4 CRC32C of
 * bytes 0 to 27, 32 8 end magic. The last bytes of the file. */
void snapshot_trailer_encode(const struct snapshot_trailer *trailer,
                             unsigned char out[SNAPSHOT_TRAILER])
{
    memset(out, 0, SNAPSHOT_TRAILER);
    store_put_u64(out, trailer->index_offset);
    store_put_u64(out + 8, trailer->blocks);
    store_put_u32(out + 16, trailer->index_crc);
    store_put_u32(out + 20, trailer->marker);
    store_put_u32(out + 28, fw_crc32c(0, out, 28));
    memcpy(out + 32, end_magic, sizeof end_magic);
}

bool snapshot_trailer_decode(const unsigned char in[SNAPSHOT_TRAILER],
                             struct snapshot_trailer *trailer)
{
    if (memcmp(in + 32, end_magic, sizeof end_magic) != 0 ||
        store_get_u32(in + 28) != fw_crc32c(0, in, 28))
        return false;
    trailer->index_offset = store_get_u64(in);
    trailer->blocks = store_get_u64(in + 8);
    trailer->index_crc = store_get_u32(in + 16);
    trailer->marker = store_get_u32(in + 20);
    return trailer->blocks <= STORE_SNAPSHOT_BLOCKS_MAX;
}

static uint64_t padded(uint64_t len)
{
    return (len + SNAPSHOT_ALIGN - 1) / SNAPSHOT_ALIGN * SNAPSHOT_ALIGN;
}

uint64_t snapshot_block_bytes(uint32_t len)
{
    return SNAPSHOT_BLOCK_HEADER + padded(len);
}

/* ---- listing ---- */

static bool list_one(void *ctx, const char *name)
{
    struct snapshot_list *list = ctx;
    uint64_t sequence;
    if (!snapshot_name_parse(name, &sequence))
        return true;
    if (list->n == list->cap) {
        const size_t cap = list->cap == 0 ? 8 : list->cap * 2;
        uint64_t *grown = fw_realloc_array(list->sequences, cap, sizeof *grown);
        if (grown == NULL) {
            list->out_of_memory = true;
            return false;
        }
        list->sequences = grown;
        list->cap = cap;
    }
    list->sequences[list->n++] = sequence;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return *left > *right ? -1 : *left < *right;
}

enum fw_status snapshot_list_read(const struct store_io *io, const char *dir,
                                  struct snapshot_list *list, struct fw_error *err)
{
    memset(list, 0, sizeof *list);
    const int listed = io->list(io->ctx, dir, list_one, list);
    if (listed == -ENOENT)
        return FW_OK;
    if (listed < 0)
        return fw_fail(err, FW_EIO, "snapshot: cannot list %s: %s", dir, strerror(-listed));
    if (list->out_of_memory)
        return fw_fail(err, FW_ENOMEM, "snapshot: no memory for the list of %s", dir);
    if (list->n > 0)
        qsort(list->sequences, list->n, sizeof *list->sequences, newest_first);
    return FW_OK;
}

/* ---- one file ---- */

static enum fw_status read_head(struct snapshot_file *file)
{
    unsigned char bytes[SNAPSHOT_HEADER];
    if (file->size_bytes < SNAPSHOT_HEADER ||
        store_io_read_full(file->io, file->fd, bytes, sizeof bytes, 0) < 0)
        return FW_ECORRUPT;
    enum fw_status status = snapshot_header_decode(bytes, &file->header);
    if (status != FW_OK)
        return status;
    const uint32_t len = file->header.metadata_len;
    if (len > file->size_bytes - SNAPSHOT_HEADER)
        return FW_ECORRUPT;
    file->metadata = fw_malloc(len + 1);
    if (file->metadata == NULL)
        return FW_ENOMEM;
    if (store_io_read_full(file->io, file->fd, file->metadata, len, SNAPSHOT_HEADER) < 0 ||
        (!file->checksums_off && fw_crc32c(0, file->metadata, len) != file->header.metadata_crc))
        return FW_ECORRUPT;
    return FW_OK;
}

static uint64_t first_block(const struct snapshot_file *file)
{
    return SNAPSHOT_HEADER + padded(file->header.metadata_len);
}

/* Blocks must lie in order, inside the file, and follow each other without a gap: so an index that
 * is whole but was written by a wrong hand cannot lead anywhere. */
static bool entries_fit(const struct snapshot_file *file, uint64_t index_offset)
{
    uint64_t at = first_block(file);
    for (uint64_t i = 0; i < file->blocks; i++) {
        const struct snapshot_entry *entry = &file->entries[i];
        if (entry->offset != at || entry->len > STORE_SNAPSHOT_BLOCK_MAX ||
            snapshot_block_bytes(entry->len) > index_offset - at)
            return false;
        at += snapshot_block_bytes(entry->len);
    }
    return at == index_offset;
}

/* FW_OK whether the index is whole or not; FW_ENOMEM. */
static enum fw_status read_index(struct snapshot_file *file)
{
    unsigned char bytes[SNAPSHOT_TRAILER];
    struct snapshot_trailer trailer;
    const uint64_t begin = first_block(file);
    if (file->size_bytes < begin + SNAPSHOT_TRAILER ||
        store_io_read_full(file->io, file->fd, bytes, sizeof bytes,
                           file->size_bytes - SNAPSHOT_TRAILER) < 0 ||
        !snapshot_trailer_decode(bytes, &trailer) || trailer.marker != file->header.marker)
        return FW_OK;
    const uint64_t room = file->size_bytes - SNAPSHOT_TRAILER;
    const uint64_t index_bytes = trailer.blocks * SNAPSHOT_INDEX_ENTRY;
    if (trailer.index_offset < begin || trailer.index_offset > room ||
        room - trailer.index_offset != index_bytes)
        return FW_OK;
    unsigned char *index = fw_malloc((size_t)index_bytes + 1);
    struct snapshot_entry *entries = fw_calloc((size_t)trailer.blocks + 1, sizeof *entries);
    enum fw_status status = index == NULL || entries == NULL ? FW_ENOMEM : FW_OK;
    if (status == FW_OK &&
        store_io_read_full(file->io, file->fd, index, (size_t)index_bytes, trailer.index_offset) ==
            0 &&
        (file->checksums_off || fw_crc32c(0, index, (size_t)index_bytes) == trailer.index_crc)) {
        for (uint64_t i = 0; i < trailer.blocks; i++)
            snapshot_entry_decode(index + i * SNAPSHOT_INDEX_ENTRY, &entries[i]);
        file->entries = entries;
        file->blocks = trailer.blocks;
        entries = NULL;
        file->index_whole = entries_fit(file, trailer.index_offset);
    }
    fw_free(index);
    fw_free(entries);
    return status;
}

enum fw_status snapshot_file_open(struct snapshot_file *file, const struct store_io *io,
                                  const char *path, bool checksums_off, struct fw_error *err)
{
    memset(file, 0, sizeof *file);
    file->io = io;
    file->checksums_off = checksums_off;
    file->fd = io->open(io->ctx, path, O_RDONLY, 0);
    if (file->fd < 0)
        return fw_fail(err, FW_EIO, "snapshot: cannot open %s: %s", path, strerror(-file->fd));
    const int sized = io->size(io->ctx, file->fd, &file->size_bytes);
    if (sized < 0)
        return fw_fail(err, FW_EIO, "snapshot: cannot read %s: %s", path, strerror(-sized));
    enum fw_status status = read_head(file);
    if (status == FW_OK)
        status = read_index(file);
    if (status == FW_EVERSION)
        return fw_fail(err, status, "snapshot: %s was written by a later version", path);
    if (status != FW_OK)
        return fw_fail(err, status, "snapshot: the header of %s: %s", path, fw_status_name(status));
    return FW_OK;
}

static bool add_entry(struct snapshot_file *file, uint64_t *cap, const struct snapshot_entry *entry)
{
    if (file->blocks == *cap) {
        const uint64_t grown_cap = *cap == 0 ? 256 : *cap * 2;
        struct snapshot_entry *grown =
            fw_realloc_array(file->entries, (size_t)grown_cap, sizeof *grown);
        if (grown == NULL)
            return false;
        file->entries = grown;
        *cap = grown_cap;
    }
    file->entries[file->blocks++] = *entry;
    return true;
}

enum { WALK_PIECE = 64 << 10 };

/* Blocks begin at multiples of 8, so the walk steps by 8 until a header with the marker and a right
 * checksum. */
enum fw_status snapshot_file_walk(struct snapshot_file *file)
{
    unsigned char *piece = fw_malloc(WALK_PIECE + SNAPSHOT_BLOCK_HEADER);
    if (piece == NULL)
        return FW_ENOMEM;
    fw_free(file->entries);
    file->entries = NULL;
    file->blocks = 0;
    uint64_t cap = 0, at = first_block(file), begin = 0, have = 0;
    enum fw_status status = FW_OK;
    while (status == FW_OK && at < file->size_bytes &&
           file->size_bytes - at >= SNAPSHOT_BLOCK_HEADER) {
        if (at < begin || at + SNAPSHOT_BLOCK_HEADER > begin + have) {
            const uint64_t rest = file->size_bytes - at;
            begin = at;
            have = rest < WALK_PIECE ? rest : WALK_PIECE;
            if (store_io_read_full(file->io, file->fd, piece, (size_t)have, begin) < 0)
                memset(piece, 0, (size_t)have);
        }
        struct snapshot_entry entry = {.offset = at};
        uint32_t index;
        if (file->blocks < STORE_SNAPSHOT_BLOCKS_MAX &&
            snapshot_block_decode(piece + (at - begin), file->header.marker, &entry, &index) &&
            snapshot_block_bytes(entry.len) <= file->size_bytes - at) {
            if (!add_entry(file, &cap, &entry))
                status = FW_ENOMEM;
            at += snapshot_block_bytes(entry.len);
        } else {
            at += SNAPSHOT_ALIGN;
        }
    }
    fw_free(piece);
    return status;
}

void snapshot_file_close(struct snapshot_file *file)
{
    if (file->fd >= 0)
        (void)file->io->close(file->io->ctx, file->fd);
    file->fd = -1;
    fw_free(file->metadata);
    fw_free(file->entries);
    file->metadata = NULL;
    file->entries = NULL;
}
