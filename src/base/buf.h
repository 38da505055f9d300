/* A growing byte buffer with a ceiling: bodies, journal records, log lines.
 *
 * A put that does not fit sets `failed` and changes nothing more, so a writer checks once, at the
 * end. */
#ifndef FW_BASE_BUF_H
#define FW_BASE_BUF_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fw_buf {
    char *data; /* not terminated; NULL while empty */
    size_t len;
    size_t cap;
    size_t max; /* bytes it may ever hold */
    bool failed;
};

/* Cannot fail: memory is taken with the first put. */
void fw_buf_init(struct fw_buf *buf, size_t max);
void fw_buf_fini(struct fw_buf *buf);
/* Empties it and forgets a failure; keeps the memory. */
void fw_buf_reset(struct fw_buf *buf);
/* Room for `more` bytes beyond len, or NULL and `failed`. The caller adds what it wrote to len. */
char *fw_buf_reserve(struct fw_buf *buf, size_t more);

void fw_buf_put(struct fw_buf *buf, const void *data, size_t len);
void fw_buf_puts(struct fw_buf *buf, const char *text);
void fw_buf_putc(struct fw_buf *buf, char c);
void fw_buf_printf(struct fw_buf *buf, const char *format, ...) FW_PRINTF(2, 3);
void fw_buf_put_i64(struct fw_buf *buf, int64_t value);
void fw_buf_put_varint(struct fw_buf *buf, uint64_t value); /* base/bytes.h */

/* As a part of a URL: every byte that could mean something there becomes %XX (RFC 3986, 2.1). */
void fw_buf_put_url(struct fw_buf *buf, const char *text, size_t len);

/* JSON. A string with its quotes, escaped so that no control byte, quote, '<', '>' or '&' stands
 * raw (bodies may end up inside a page); invalid UTF-8 becomes U+FFFD. */
void fw_buf_json_string(struct fw_buf *buf, const char *text, size_t len);
/* "text": with the colon. */
void fw_buf_json_key(struct fw_buf *buf, const char *key);
/* A number with at most `decimals` (0 to 9) decimals, trailing zeros cut ("12.5", "3", never "-0");
 * null when it is not finite. Exact for |value| < 2^53 / 10^decimals; larger ones are written with
 * %.17g. */
void fw_buf_json_number(struct fw_buf *buf, double value, int decimals);
void fw_buf_json_bool(struct fw_buf *buf, bool value);

#endif
