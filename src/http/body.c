#include "http/body.h"
#include "http/body_internal.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>
#define ZLIB_CONST /* next_in points at const bytes */
#include <zlib.h>
#include <zstd.h>

/* Below this, the header lines of a compressed answer eat what is saved. */
enum { COMPRESS_MIN = 1024 };

/* An answer lives for a step and is compressed while somebody waits. What lasts as long as the
 * process is compressed once, for every visitor to come (135 KB: 34 ms). */
static const struct {
    int gzip, zstd;
} level_passing = {1, 1}, level_lasting = {9, 15};

static struct http_body *body_new(const void *data, size_t len, void *owned)
{
    struct http_body *body = fw_calloc(1, sizeof *body);
    if (body == NULL)
        return NULL;
    if (pthread_mutex_init(&body->lock, NULL) != 0) {
        fw_free(body);
        return NULL;
    }
    atomic_init(&body->users, 1);
    atomic_init(&body->refs, 1);
    body->variants[HTTP_IDENTITY].data = len == 0 ? "" : data;
    body->variants[HTTP_IDENTITY].len = len;
    body->variants[HTTP_IDENTITY].owned = owned;
    atomic_init(&body->variants[HTTP_IDENTITY].settled, true);
    return body;
}

struct http_body *http_body_new_take(struct fw_buf *buf)
{
    struct http_body *body = buf->failed ? NULL : body_new(buf->data, buf->len, buf->data);
    if (body == NULL) {
        fw_buf_fini(buf);
        return NULL;
    }
    buf->data = NULL;
    buf->len = buf->cap = 0;
    return body;
}

struct http_body *http_body_new_copy(const void *data, size_t len)
{
    void *copy = fw_malloc(len == 0 ? 1 : len);
    if (copy == NULL)
        return NULL;
    if (len != 0)
        memcpy(copy, data, len);
    struct http_body *body = body_new(copy, len, copy);
    if (body == NULL)
        fw_free(copy);
    return body;
}

struct http_body *http_body_static(const void *data, size_t len)
{
    return body_new(data, len, NULL);
}

void http_body_set_variant(struct http_body *body, enum http_encoding encoding, const void *data,
                           size_t len)
{
    assert(encoding != HTTP_IDENTITY && encoding < HTTP_ENCODINGS);
    struct http_variant *variant = &body->variants[encoding];
    assert(!atomic_load(&variant->settled));
    variant->data = data;
    variant->len = len;
    atomic_store_explicit(&variant->settled, true, memory_order_release);
}

struct http_body *http_body_ref(struct http_body *body)
{
    const unsigned before = atomic_fetch_add_explicit(&body->users, 1, memory_order_relaxed);
    assert(before > 0);
    return body;
}

void http_body_pin(struct http_body *body)
{
    atomic_fetch_add_explicit(&body->refs, 1, memory_order_relaxed);
}

void http_body_unpin(void *ctx)
{
    struct http_body *body = ctx;
    if (atomic_fetch_sub_explicit(&body->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < HTTP_ENCODINGS; i++)
        fw_free(body->variants[i].owned);
    pthread_mutex_destroy(&body->lock);
    fw_free(body);
}

void http_body_unref(struct http_body *body)
{
    if (body == NULL || atomic_fetch_sub_explicit(&body->users, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < HTTP_ENCODINGS; i++)
        for (int j = 0; j < 2; j++) {
            struct MHD_Response *ready = atomic_load(&body->prepared[i][j]);
            if (ready != NULL)
                MHD_destroy_response(ready);
        }
    http_body_unpin(body);
}

static void *gzip_of(const void *data, size_t len, int level, size_t *out_len)
{
    z_stream z = {0};
    if (len > UINT32_MAX / 2 ||
        deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    /* The variant is kept only if it is smaller, so it needs no more room than the original. */
    Bytef *out = fw_malloc(len);
    bool whole = false;
    if (out != NULL) {
        z.next_in = data;
        z.avail_in = (uInt)len;
        z.next_out = out;
        z.avail_out = (uInt)len;
        whole = deflate(&z, Z_FINISH) == Z_STREAM_END;
        *out_len = z.total_out;
    }
    (void)deflateEnd(&z); /* it complains of a stream cut short, which is what a poor ratio is */
    if (whole)
        return out;
    fw_free(out);
    return NULL;
}

static void *zstd_of(const void *data, size_t len, int level, size_t *out_len)
{
    void *out = fw_malloc(len);
    if (out == NULL)
        return NULL;
    const size_t size = ZSTD_compress(out, len, data, len, level);
    if (!ZSTD_isError(size)) {
        *out_len = size;
        return out;
    }
    fw_free(out);
    return NULL;
}

static void make_variant(struct http_body *body, enum http_encoding encoding)
{
    const struct http_variant *plain = &body->variants[HTTP_IDENTITY];
    struct http_variant *variant = &body->variants[encoding];
    if (plain->len < COMPRESS_MIN)
        return;
    size_t len = 0;
    const bool lasting = plain->owned == NULL;
    void *made = encoding == HTTP_GZIP
                     ? gzip_of(plain->data, plain->len,
                               lasting ? level_lasting.gzip : level_passing.gzip, &len)
                     : zstd_of(plain->data, plain->len,
                               lasting ? level_lasting.zstd : level_passing.zstd, &len);
    if (made == NULL)
        return;
    void *trimmed = fw_realloc(made, len);
    variant->owned = trimmed != NULL ? trimmed : made;
    variant->data = variant->owned;
    variant->len = len;
}

const void *http_body_bytes(struct http_body *body, enum http_encoding encoding, size_t *len)
{
    assert(encoding < HTTP_ENCODINGS);
    struct http_variant *variant = &body->variants[encoding];
    if (!atomic_load_explicit(&variant->settled, memory_order_acquire)) {
        pthread_mutex_lock(&body->lock);
        if (!atomic_load_explicit(&variant->settled, memory_order_relaxed)) {
            make_variant(body, encoding);
            atomic_store_explicit(&variant->settled, true, memory_order_release);
        }
        pthread_mutex_unlock(&body->lock);
    }
    *len = variant->len;
    return variant->data;
}
