#include "store/segment.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char magic[8] = {'F', 'W', 'J', 'R', 'N', 'L', '\r', '\n'};

void store_put_u32(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

void store_put_u64(unsigned char *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

uint32_t store_get_u32(const unsigned char *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

uint64_t store_get_u64(const unsigned char *in)
{
    return (uint64_t)store_get_u32(in) | (uint64_t)store_get_u32(in + 4) << 32;
}

void store_segment_name(char out[STORE_SEGMENT_NAME_MAX], uint64_t first_seq, uint32_t marker)
{
    snprintf(out, STORE_SEGMENT_NAME_MAX, "%016" PRIx64 "-%08" PRIx32 ".seg", first_seq, marker);
}

static bool parse_hex(const char *text, size_t digits, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < digits; i++) {
        const char c = text[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

bool store_segment_name_parse(const char *name, uint64_t *first_seq, uint32_t *marker)
{
    uint64_t wide = 0;
    if (strlen(name) != 16 + 1 + 8 + 4 || name[16] != '-' || strcmp(name + 25, ".seg") != 0 ||
        !parse_hex(name, 16, first_seq) || !parse_hex(name + 17, 8, &wide))
        return false;
    *marker = (uint32_t)wide;
    return true;
}

/*  0  8 magic        16 8 first_seq   32 8 created_ms   44  4 zero
 *  8  4 version      24 8 prev_seq    40 4 marker       48  8 session_seq
 * 12  4 header size                                     60  4 CRC32C of bytes 0 to 59 */
void store_segment_header_encode(const struct store_segment_header *header,
                                 unsigned char out[STORE_SEGMENT_HEADER])
{
    memset(out, 0, STORE_SEGMENT_HEADER);
    memcpy(out, magic, sizeof magic);
    store_put_u32(out + 8, STORE_SEGMENT_VERSION);
    store_put_u32(out + 12, STORE_SEGMENT_HEADER);
    store_put_u64(out + 16, header->first_seq);
    store_put_u64(out + 24, header->prev_seq);
    store_put_u64(out + 32, (uint64_t)header->created_ms);
    store_put_u32(out + 40, header->marker);
    store_put_u64(out + 48, header->session_seq);
    store_put_u32(out + 60, fw_crc32c(0, out, 60));
}

enum fw_status store_segment_header_decode(const unsigned char in[STORE_SEGMENT_HEADER],
                                           struct store_segment_header *header)
{
    if (memcmp(in, magic, sizeof magic) != 0 || store_get_u32(in + 60) != fw_crc32c(0, in, 60))
        return FW_ECORRUPT;
    if (store_get_u32(in + 8) != STORE_SEGMENT_VERSION)
        return FW_EVERSION;
    header->first_seq = store_get_u64(in + 16);
    header->prev_seq = store_get_u64(in + 24);
    header->created_ms = (int64_t)store_get_u64(in + 32);
    header->marker = store_get_u32(in + 40);
    header->session_seq = store_get_u64(in + 48);
    if (store_get_u32(in + 12) != STORE_SEGMENT_HEADER || header->first_seq == 0 ||
        header->prev_seq >= header->first_seq || header->session_seq == 0 ||
        header->session_seq > header->first_seq)
        return FW_ECORRUPT;
    return FW_OK;
}

/* Record: 0 4 marker, 4 4 length of the payload, 8 8 sequence, 16 4 index in the group, 20 4
 * checksum, 24 payload. */
static uint32_t record_crc(const unsigned char *record, uint64_t offset, size_t len)
{
    unsigned char place[8];
    store_put_u64(place, offset);
    uint32_t crc = fw_crc32c(0, place, sizeof place);
    crc = fw_crc32c(crc, record + 4, 16);
    return fw_crc32c(crc, record + STORE_RECORD_HEADER, len);
}

void store_record_seal(unsigned char *record, uint32_t marker, uint64_t offset, uint64_t seq,
                       uint32_t group_index, size_t len)
{
    assert(len > 0 && len <= UINT32_MAX);
    store_put_u32(record, marker);
    store_put_u32(record + 4, (uint32_t)len);
    store_put_u64(record + 8, seq);
    store_put_u32(record + 16, group_index);
    store_put_u32(record + 20, record_crc(record, offset, len));
}

/* A piece of the file in memory that moves forward. */
struct window {
    unsigned char *data;
    size_t cap;
    uint64_t offset; /* of data[0] in the file */
    size_t len;
};

enum { PIECE = 1 << 20, SECTOR = 4096 };

/* Reads what it can. Where the device refuses, by sectors, with zeros for the bad ones: a sector
 * that cannot be read costs the record it lies in and nothing else. */
static size_t read_piece(struct store_segment_scan *scan, unsigned char *data, size_t len,
                         uint64_t offset)
{
    const struct store_io *io = scan->io;
    int result = store_io_read_full(io, scan->fd, data, len, offset);
    if (result == 0)
        return len;
    for (size_t at = 0; at < len;) {
        const size_t step = len - at < SECTOR ? len - at : SECTOR;
        result = store_io_read_full(io, scan->fd, data + at, step, offset + at);
        if (result < 0) {
            memset(data + at, 0, step);
            scan->unreadable_bytes += step;
        }
        at += step;
    }
    return len;
}

/* `len` bytes at `offset`, which lie inside the file; NULL when there is no memory. */
static const unsigned char *window_get(struct store_segment_scan *scan, struct window *w,
                                       uint64_t offset, size_t len)
{
    assert(offset >= w->offset && offset + len <= scan->size_bytes);
    if (offset + len <= w->offset + w->len)
        return w->data + (offset - w->offset);
    size_t kept = 0;
    if (offset < w->offset + w->len) {
        kept = (size_t)(w->offset + w->len - offset);
        memmove(w->data, w->data + (offset - w->offset), kept);
    }
    w->offset = offset;
    w->len = kept;
    /* A long record is read as a whole; the piece after it is short again. */
    size_t wanted = len > PIECE ? len : PIECE;
    if (wanted > scan->size_bytes - offset)
        wanted = (size_t)(scan->size_bytes - offset);
    if (wanted > w->cap) {
        unsigned char *data = fw_realloc(w->data, wanted);
        if (data == NULL)
            return NULL;
        w->data = data;
        w->cap = wanted;
    }
    w->len += read_piece(scan, w->data + kept, wanted - kept, offset + kept);
    return w->data;
}

/* Whether a whole record lies at `offset`: 1 yes, 0 no, -1 no memory. */
static int record_at(struct store_segment_scan *scan, struct window *w, uint64_t offset,
                     struct store_segment_item *item)
{
    if (scan->size_bytes - offset < STORE_RECORD_HEADER)
        return 0;
    const unsigned char *head = window_get(scan, w, offset, STORE_RECORD_HEADER);
    if (head == NULL)
        return -1;
    if (store_get_u32(head) != scan->marker)
        return 0;
    const size_t len = store_get_u32(head + 4);
    if (len == 0 || len > scan->record_bytes_max ||
        len > scan->size_bytes - offset - STORE_RECORD_HEADER)
        return 0;
    const unsigned char *record = window_get(scan, w, offset, STORE_RECORD_HEADER + len);
    if (record == NULL)
        return -1;
    const uint64_t seq = store_get_u64(record + 8);
    const uint64_t group_index = store_get_u32(record + 16);
    if (seq == 0 || group_index >= seq ||
        (!scan->checksums_off && store_get_u32(record + 20) != record_crc(record, offset, len)))
        return 0;
    *item = (struct store_segment_item){.kind = STORE_SEGMENT_RECORD,
                                        .offset = offset,
                                        .length = STORE_RECORD_HEADER + len,
                                        .seq = seq,
                                        .group_first = seq - group_index,
                                        .payload = record + STORE_RECORD_HEADER,
                                        .len = len};
    return 1;
}

/* Looks for the next record behind damage that begins at `from`. Returns 1 and the record, 0 when
 * there is none up to the end of the file, -1 without memory. *zeros tells whether all skipped
 * bytes were zero. */
static int resynchronise(struct store_segment_scan *scan, struct window *w, uint64_t from,
                         struct store_segment_item *item, bool *zeros)
{
    unsigned char wanted[4];
    store_put_u32(wanted, scan->marker);
    *zeros = true;
    for (uint64_t at = from; at < scan->size_bytes;) {
        const uint64_t rest = scan->size_bytes - at;
        const size_t piece = rest < PIECE ? (size_t)rest : PIECE;
        const unsigned char *bytes = window_get(scan, w, at, piece);
        if (bytes == NULL)
            return -1;
        /* The first byte is known to begin no record when at == from. */
        size_t i = at == from ? 1 : 0;
        const unsigned char *hit = NULL;
        while (i < piece && (hit = memchr(bytes + i, wanted[0], piece - i)) != NULL) {
            i = (size_t)(hit - bytes);
            if (piece - i < 4 || memcmp(hit, wanted, 4) == 0)
                break;
            i++;
        }
        const size_t skipped = hit != NULL && i < piece ? i : piece;
        for (size_t k = 0; k < skipped && *zeros; k++)
            *zeros = bytes[k] == 0;
        at += skipped;
        if (skipped == piece)
            continue;
        const int found = record_at(scan, w, at, item);
        if (found != 0)
            return found;
        *zeros = false;
        /* Not a record: step over this byte. record_at() may have moved the window, never past
         * `at`. */
        at++;
    }
    return 0;
}

enum fw_status store_segment_scan(struct store_segment_scan *scan, store_segment_item_fn visit,
                                  void *ctx)
{
    struct window w = {0};
    enum fw_status status = FW_OK;
    uint64_t at = STORE_SEGMENT_HEADER;
    scan->unreadable_bytes = 0;
    while (status == FW_OK && at < scan->size_bytes) {
        struct store_segment_item item = {0};
        int found = record_at(scan, &w, at, &item);
        if (found == 0) {
            struct store_segment_item gap = {.kind = STORE_SEGMENT_TAIL, .offset = at};
            found = resynchronise(scan, &w, at, &item, &gap.zeros);
            gap.length = (found == 1 ? item.offset : scan->size_bytes) - at;
            if (found == 1)
                gap.kind = STORE_SEGMENT_DAMAGE;
            if (found >= 0)
                status = visit(ctx, &gap);
            if (found == 0)
                break;
        }
        if (found < 0)
            status = FW_ENOMEM;
        if (status == FW_OK) {
            status = visit(ctx, &item);
            at = item.offset + item.length;
        }
    }
    fw_free(w.data);
    return status;
}
