/* The bytes of one journal segment (docs/formats/journal.md): writing its header and records, and
 * reading a file of which nothing is certain. Knows nothing of threads, directories or what damage
 * is to lead to. */
#ifndef FW_STORE_SEGMENT_H
#define FW_STORE_SEGMENT_H

#include "base/status.h"
#include "store/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_SEGMENT_VERSION = 1,
    STORE_SEGMENT_HEADER = 64,   /* bytes */
    STORE_RECORD_HEADER = 24,    /* bytes before each payload */
    STORE_SEGMENT_NAME_MAX = 40, /* bytes of a file name with its end */
};

/* What a segment says of itself. The file's name repeats first_seq and marker, so that a damaged
 * header costs nothing. */
struct store_segment_header {
    uint64_t first_seq; /* no record here has a lower one */
    uint64_t prev_seq;  /* the last acknowledged before this segment: what earlier files hold beyond
                           was refused */
    int64_t created_ms;
    /* Where the process that made this segment began: it wrote and acknowledged everything from
     * here up to prev_seq itself, so no group in between was left unfinished by a crash. */
    uint64_t session_seq;
    uint32_t marker; /* begins every record; drawn at random, so that no payload can look like a
                        record */
};

/* "0000000000000001-89abcdef.seg". */
void store_segment_name(char out[STORE_SEGMENT_NAME_MAX], uint64_t first_seq, uint32_t marker);
bool store_segment_name_parse(const char *name, uint64_t *first_seq, uint32_t *marker);

void store_segment_header_encode(const struct store_segment_header *header,
                                 unsigned char out[STORE_SEGMENT_HEADER]);
/* FW_ECORRUPT, or FW_EVERSION when the checksum is right and the version is not ours. */
enum fw_status store_segment_header_decode(const unsigned char in[STORE_SEGMENT_HEADER],
                                           struct store_segment_header *header);

/* Fills the STORE_RECORD_HEADER bytes in front of `len` bytes of payload. `group_index` counts the
 * records before this one that share its write and sync. The checksum covers the record's offset in
 * its file too, so a record that lands in the wrong place is damage and not a second copy. */
void store_record_seal(unsigned char *record, uint32_t marker, uint64_t offset, uint64_t seq,
                       uint32_t group_index, size_t len);

enum store_segment_item_kind {
    STORE_SEGMENT_RECORD,
    STORE_SEGMENT_DAMAGE, /* bytes that are no record, with a good record behind them */
    STORE_SEGMENT_TAIL,   /* bytes that are no record up to the end of the file */
};

struct store_segment_item {
    enum store_segment_item_kind kind;
    uint64_t offset, length; /* in the file, headers included */
    uint64_t group_first;    /* sequence of the first record of its group */
    uint64_t seq;            /* RECORD only, like the next two */
    const void *payload;
    size_t len;
    bool zeros; /* TAIL: all bytes are zero */
};

/* FW_OK goes on, anything else ends the scan with it. The payload is valid during the call. */
typedef enum fw_status (*store_segment_item_fn)(void *ctx, const struct store_segment_item *item);

struct store_segment_scan {
    const struct store_io *io;
    int fd;
    uint64_t size_bytes;
    uint32_t marker;
    size_t record_bytes_max;
    bool checksums_off;
    uint64_t unreadable_bytes; /* out: the device refused to read these; they were taken as zeros */
};

/* Walks the records behind the header in one pass, in pieces of about 1 MiB. FW_ENOMEM, or what
 * visit() returned. */
FW_MUST_CHECK enum fw_status store_segment_scan(struct store_segment_scan *scan,
                                                store_segment_item_fn visit, void *ctx);

/* Little-endian numbers at any address. */
void store_put_u32(unsigned char *out, uint32_t value);
void store_put_u64(unsigned char *out, uint64_t value);
uint32_t store_get_u32(const unsigned char *in);
uint64_t store_get_u64(const unsigned char *in);

#endif
