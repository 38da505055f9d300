/* Numbers in stored and received bytes: a reader that never runs past the end, and varints (7 bits
 * a byte, lowest first, high bit set on all but the last byte). fw_buf_put_varint() writes them. */
#ifndef FW_BASE_BYTES_H
#define FW_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What asks for more than there is sets `bad` and gets zeros, so a caller may check once, at the
 * end of a group. */
struct fw_bytes {
    const unsigned char *at, *end;
    bool bad;
};

static inline struct fw_bytes fw_bytes_of(const void *data, size_t len)
{
    const unsigned char *at = data;
    return (struct fw_bytes){at, len > 0 ? at + len : at, false};
}

/* Up to ten bytes; bits beyond 64 are dropped. */
static inline uint64_t fw_bytes_varint(struct fw_bytes *bytes)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (bytes->at == bytes->end)
            break;
        const unsigned char byte = *bytes->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    bytes->bad = true;
    return 0;
}

/* The next `len` bytes, or NULL and `bad`. */
static inline const void *fw_bytes_take(struct fw_bytes *bytes, size_t len)
{
    if (bytes->bad || len > (size_t)(bytes->end - bytes->at)) {
        bytes->bad = true;
        return NULL;
    }
    const void *taken = bytes->at;
    bytes->at += len;
    return taken;
}

/* The next byte, or 0 and `bad`. */
static inline unsigned char fw_bytes_byte(struct fw_bytes *bytes)
{
    if (bytes->bad || bytes->at == bytes->end) {
        bytes->bad = true;
        return 0;
    }
    return *bytes->at++;
}

/* Signed numbers as unsigned ones: 0, -1, 1, -2, ... become 0, 1, 2, 3, ... */
static inline uint64_t fw_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (0 - (uint64_t)(value < 0));
}

static inline int64_t fw_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

#endif
