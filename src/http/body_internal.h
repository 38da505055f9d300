/* The inside of a body: shared with reply.c, which keeps ready-made responses in it. */
#ifndef FW_HTTP_BODY_INTERNAL_H
#define FW_HTTP_BODY_INTERNAL_H

#include "http/body.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct http_variant {
    const void *data; /* NULL: not made, or not worth having */
    size_t len;
    void *owned;
    atomic_bool settled;
};

/* What the ready-made responses of a body were made for. The literals are compared by address. */
struct http_prepared_for {
    const char *content_type, *cache_control, *policy, *vary;
    char etag[68];
};

struct http_body {
    /* `users` counts the holders of references. `refs` counts them as one, plus each response of
     * libmicrohttpd that still points at the bytes: a client may be reading long after the last
     * holder let go. */
    atomic_uint users, refs;
    struct http_variant variants[HTTP_ENCODINGS];
    pthread_mutex_t lock; /* compressing, and making responses ready */
    bool prepared_any;    /* under the lock until set; `prepared_for` never changes afterwards */
    struct http_prepared_for prepared_for;
    _Atomic(struct MHD_Response *) prepared[HTTP_ENCODINGS][2]; /* [..][0]: 200, [..][1]: 304 */
};

/* One more response points at the bytes, one fewer. */
void http_body_pin(struct http_body *body);
void http_body_unpin(void *body);

#endif
