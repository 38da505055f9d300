/* A gzip body, decoded as it arrives, never beyond what it may become. */
#ifndef FW_HTTP_INFLATE_H
#define FW_HTTP_INFLATE_H

#include "base/buf.h"

#include <stddef.h>

struct http_inflate;

enum http_inflate_result {
    HTTP_INFLATE_MORE,   /* all input taken, the stream goes on */
    HTTP_INFLATE_END,    /* the stream is whole, checksum and length agree */
    HTTP_INFLATE_BROKEN, /* not gzip, damaged, or followed by other bytes */
    HTTP_INFLATE_FULL, /* more than out->max bytes, or grown more than 200-fold beyond the first MiB
                        */
    HTTP_INFLATE_NOMEM,
};

/* NULL when out of memory. About 40 KiB while it lives. */
struct http_inflate *http_inflate_new(void);
void http_inflate_free(struct http_inflate *inflate);

/* Decodes `len` more bytes onto `out`. After anything but MORE and END it must not be fed again.
 * Several members in a row, as pigz and concatenated files have, are one body. */
enum http_inflate_result http_inflate_feed(struct http_inflate *inflate, const void *data,
                                           size_t len, struct fw_buf *out);

#endif
