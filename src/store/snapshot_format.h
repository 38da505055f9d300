/* The bytes of a snapshot file (docs/formats/snapshot.md), shared by the writer, the loader and the
 * check. */
#ifndef FW_STORE_SNAPSHOT_FORMAT_H
#define FW_STORE_SNAPSHOT_FORMAT_H

#include "store/finding.h"
#include "store/snapshot.h"

enum {
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_HEADER = 64,
    SNAPSHOT_BLOCK_HEADER = 24,
    SNAPSHOT_INDEX_ENTRY = 24,
    SNAPSHOT_TRAILER = 40,
    SNAPSHOT_NAME_MAX = 40, /* bytes of a file name with its end */
    SNAPSHOT_ALIGN = 8,     /* blocks begin at multiples of this */
};

struct snapshot_header {
    uint64_t sequence;
    int64_t created_ms;
    uint32_t metadata_len;
    uint32_t metadata_crc;
    uint32_t
        marker; /* begins every block; drawn at random, so that no content can look like a block */
};

/* Where a block's bytes lie and what they must sum up to. */
struct snapshot_entry {
    uint64_t offset; /* of the block's header */
    uint32_t kind;
    uint32_t len;
    uint32_t crc;
};

/* "snapshot-0000000000000001.fws", by sequence. */
void snapshot_name(char out[SNAPSHOT_NAME_MAX], uint64_t sequence);
bool snapshot_name_parse(const char *name, uint64_t *sequence);

void snapshot_header_encode(const struct snapshot_header *header,
                            unsigned char out[SNAPSHOT_HEADER]);
/* FW_ECORRUPT or FW_EVERSION. */
enum fw_status snapshot_header_decode(const unsigned char in[SNAPSHOT_HEADER],
                                      struct snapshot_header *header);

void snapshot_block_encode(const struct snapshot_entry *entry, uint32_t marker, uint32_t index,
                           unsigned char out[SNAPSHOT_BLOCK_HEADER]);
bool snapshot_block_decode(const unsigned char in[SNAPSHOT_BLOCK_HEADER], uint32_t marker,
                           struct snapshot_entry *entry, uint32_t *index);

void snapshot_entry_encode(const struct snapshot_entry *entry,
                           unsigned char out[SNAPSHOT_INDEX_ENTRY]);
void snapshot_entry_decode(const unsigned char in[SNAPSHOT_INDEX_ENTRY],
                           struct snapshot_entry *entry);

struct snapshot_trailer {
    uint64_t index_offset;
    uint64_t blocks;
    uint32_t index_crc;
    uint32_t marker;
};
void snapshot_trailer_encode(const struct snapshot_trailer *trailer,
                             unsigned char out[SNAPSHOT_TRAILER]);
bool snapshot_trailer_decode(const unsigned char in[SNAPSHOT_TRAILER],
                             struct snapshot_trailer *trailer);

/* Bytes of a block in the file: header, content, padding. */
uint64_t snapshot_block_bytes(uint32_t len);

/* The snapshots of a directory. */
struct snapshot_list {
    uint64_t *sequences; /* newest first; with fw_free */
    size_t n, cap;
    bool out_of_memory;
};
/* FW_OK with an empty list when there is no directory. */
enum fw_status snapshot_list_read(const struct store_io *io, const char *dir,
                                  struct snapshot_list *list, struct fw_error *err);

/* One file, opened and judged; used by the loader and the check. */
struct snapshot_file {
    const struct store_io *io;
    int fd;
    uint64_t size_bytes;
    struct snapshot_header header;
    unsigned char *metadata;
    struct snapshot_entry *entries;
    uint64_t blocks;
    bool index_whole; /* entries came from the index; else they were found by walking */
    bool checksums_off;
};
/* FW_OK when header and metadata are whole; then index_whole says whether the index is.
 * FW_ECORRUPT, FW_EVERSION, FW_EIO, FW_ENOMEM. Released with snapshot_file_close(). */
enum fw_status snapshot_file_open(struct snapshot_file *file, const struct store_io *io,
                                  const char *path, bool checksums_off, struct fw_error *err);
/* Finds blocks without the index. */
enum fw_status snapshot_file_walk(struct snapshot_file *file);
void snapshot_file_close(struct snapshot_file *file);

#endif
