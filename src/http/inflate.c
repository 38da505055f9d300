#include "http/inflate.h"

#include "base/alloc.h"

#include <limits.h>
#include <stdbool.h>
#define ZLIB_CONST /* next_in points at const bytes */
#include <zlib.h>

enum { STEP = 64 * 1024, FREE_GROWTH = 1024 * 1024, RATIO_MAX = 200 };

struct http_inflate {
    z_stream z;
    size_t taken; /* compressed bytes seen */
    bool ended;
};

struct http_inflate *http_inflate_new(void)
{
    struct http_inflate *inflate = fw_calloc(1, sizeof *inflate);
    if (inflate == NULL)
        return NULL;
    if (inflateInit2(&inflate->z, 15 + 16) == Z_OK)
        return inflate;
    fw_free(inflate);
    return NULL;
}

void http_inflate_free(struct http_inflate *inflate)
{
    if (inflate == NULL)
        return;
    inflateEnd(&inflate->z);
    fw_free(inflate);
}

/* Room for the next step: what is left of the cap, at most STEP. */
static size_t room(const struct fw_buf *out)
{
    const size_t left = out->max - out->len;
    return left < STEP ? left : STEP;
}

enum http_inflate_result http_inflate_feed(struct http_inflate *self, const void *data, size_t len,
                                           struct fw_buf *out)
{
    z_stream *z = &self->z;
    z->next_in = data;
    z->avail_in = (uInt)len;
    self->taken += len;
    for (;;) {
        if (self->ended) {
            if (z->avail_in == 0)
                return HTTP_INFLATE_END;
            if (inflateReset(z) != Z_OK)
                return HTTP_INFLATE_BROKEN;
            self->ended = false;
        }
        unsigned char overflow; /* where a byte beyond the cap would go */
        const size_t step = room(out);
        char *to = step > 0 ? fw_buf_reserve(out, step) : (char *)&overflow;
        if (to == NULL)
            return HTTP_INFLATE_NOMEM;
        z->next_out = (Bytef *)to;
        z->avail_out = step > 0 ? (uInt)step : 1;
        const uInt offered = z->avail_out;
        const int result = inflate(z, Z_NO_FLUSH);
        const size_t made = offered - z->avail_out;
        if (step == 0 && made > 0)
            return HTTP_INFLATE_FULL;
        out->len += made;
        if (out->len > FREE_GROWTH && out->len / RATIO_MAX > self->taken)
            return HTTP_INFLATE_FULL;
        if (result == Z_STREAM_END)
            self->ended = true;
        else if (result == Z_BUF_ERROR || (result == Z_OK && z->avail_in == 0 && z->avail_out > 0))
            return HTTP_INFLATE_MORE;
        else if (result == Z_MEM_ERROR)
            return HTTP_INFLATE_NOMEM;
        else if (result != Z_OK)
            return HTTP_INFLATE_BROKEN;
    }
}
