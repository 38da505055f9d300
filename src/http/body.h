/* An immutable, shared response body. Compressed variants are made at most once each, when first
 * asked for, and kept: the same megabyte goes to thousands of clients without being copied or
 * compressed again. */
#ifndef FW_HTTP_BODY_H
#define FW_HTTP_BODY_H

#include "base/buf.h"

#include <stddef.h>

struct http_body;

/* Takes over the buffer's bytes (it is left empty). NULL when out of memory or when the buffer had
 * failed; the buffer is emptied all the same. The caller holds one reference. */
struct http_body *http_body_new_take(struct fw_buf *buf);
struct http_body *http_body_new_copy(const void *data, size_t len);
/* Bytes that outlive the body (literals, embedded assets); compressed with more care. */
struct http_body *http_body_static(const void *data, size_t len);
/* Gives a body (freshly made, not yet shared) a variant made earlier, such as an asset compressed
 * at build time; `data` outlives the body. */
enum http_encoding { HTTP_IDENTITY, HTTP_GZIP, HTTP_ZSTD, HTTP_ENCODINGS };
void http_body_set_variant(struct http_body *body, enum http_encoding encoding, const void *data,
                           size_t len);

/* Thread-safe. http_body_ref returns its argument; NULL is fine for unref. */
struct http_body *http_body_ref(struct http_body *body);
void http_body_unref(struct http_body *body);

/* The bytes in that encoding, living as long as a reference is held. Identity always exists. gzip
 * and zstd (both level 1) are compressed by the first caller while others wait; NULL when the body
 * is too small to gain (under 1 KiB), did not get smaller, or memory was short: use identity then.
 * Thread-safe. */
const void *http_body_bytes(struct http_body *body, enum http_encoding encoding, size_t *len);

#endif
