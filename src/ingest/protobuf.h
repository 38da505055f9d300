/* Protobuf's wire format, read in place: a field at a time, and no length believed before it was
 * compared with what is left. */
#ifndef FW_INGEST_PROTOBUF_H
#define FW_INGEST_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
    uint32_t number;
    unsigned wire;
    uint64_t value;             /* PB_VARINT, PB_FIXED32, PB_FIXED64 */
    const unsigned char *bytes; /* PB_BYTES: from here to the reader's new place */
};

/* False: it runs past the end or has more than ten bytes. */
static inline bool pb_get_varint(const unsigned char **at, const unsigned char *end,
                                 uint64_t *value)
{
    const unsigned char *p = *at;
    if (p < end && *p < 0x80) { /* tags and most lengths */
        *value = *p;
        *at = p + 1;
        return true;
    }
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 70 && p < end; shift += 7) {
        const unsigned char byte = *p++;
        if (shift == 63 && byte > 1)
            return false;
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            *at = p;
            return true;
        }
    }
    return false;
}

static inline bool pb_get_fixed(const unsigned char **at, const unsigned char *end, size_t size,
                                uint64_t *value)
{
    if ((size_t)(end - *at) < size)
        return false;
    *value = 0;
    memcpy(value, *at, size); /* little-endian, as the format and every machine we build for */
    *at += size;
    return true;
}

/* Reads one field and moves past it. False: it is no field; *at stays. */
static inline bool pb_get_field(const unsigned char **at, const unsigned char *end,
                                struct pb_field *field)
{
    const unsigned char *p = *at;
    uint64_t tag, len;
    if (!pb_get_varint(&p, end, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return false;
    field->number = (uint32_t)(tag >> 3);
    field->wire = (unsigned)(tag & 7);
    bool good = false;
    switch (field->wire) {
    case PB_VARINT:
        good = pb_get_varint(&p, end, &field->value);
        break;
    case PB_FIXED64:
        good = pb_get_fixed(&p, end, 8, &field->value);
        break;
    case PB_FIXED32:
        good = pb_get_fixed(&p, end, 4, &field->value);
        break;
    case PB_BYTES:
        good = pb_get_varint(&p, end, &len) && len <= (uint64_t)(end - p);
        field->bytes = p;
        p += good ? len : 0;
        break;
    default: /* groups went out of use before this message was written */
        break;
    }
    if (good)
        *at = p;
    return good;
}

static inline bool pb_is_bytes(const struct pb_field *field, uint32_t number)
{
    return field->number == number && field->wire == PB_BYTES;
}

#endif
