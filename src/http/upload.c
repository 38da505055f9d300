/* The body as it arrives: counted, decoded, kept within every limit. */
#include "http/server_internal.h"

#include "base/alloc.h"

/* Charges what the buffer grew to against the server's total. */
static bool hold(struct http_request *request)
{
    struct http_server *server = request->server;
    const size_t cap = request->body.cap;
    if (cap <= request->held)
        return true;
    const size_t more = cap - request->held;
    const size_t total =
        atomic_fetch_add_explicit(&server->bodies_held, more, memory_order_relaxed) + more;
    request->held = cap;
    if (request->inflate == NULL)
        return total <= server->options.bodies_bytes_max;
    request->held_inflated += more;
    const size_t inflated =
        atomic_fetch_add_explicit(&server->inflated_held, more, memory_order_relaxed) + more;
    return inflated <= server->options.inflated_bytes_max &&
           total <= server->options.bodies_bytes_max;
}

static struct http_fault refuse(struct http_request *request, enum http_refusal why, int status,
                                const char *text)
{
    http_count_refused(request->server, why);
    return (struct http_fault){status, text};
}

static struct http_fault take_plain(struct http_request *request, const char *data, size_t len)
{
    struct fw_buf *body = &request->body;
    /* A declared length is reserved at once up to a MiB; beyond it memory follows the bytes. */
    if (body->cap == 0 && request->head.content_length > 0 &&
        request->head.content_length < 1 << 20)
        (void)fw_buf_reserve(body, (size_t)request->head.content_length + 1);
    fw_buf_put(body, data, len);
    return (struct http_fault){0};
}

static struct http_fault take_gzip(struct http_request *request, const char *data, size_t len)
{
    switch (http_inflate_feed(request->inflate, data, len, &request->body)) {
    case HTTP_INFLATE_MORE:
        request->inflated_whole = false;
        return (struct http_fault){0};
    case HTTP_INFLATE_END:
        request->inflated_whole = true;
        return (struct http_fault){0};
    case HTTP_INFLATE_FULL:
        return refuse(request, HTTP_REFUSED_SIZE, 413, "Request body too large once decoded");
    case HTTP_INFLATE_NOMEM:
        return refuse(request, HTTP_REFUSED_BUSY, 503, "Out of memory; try again");
    case HTTP_INFLATE_BROKEN:
        break;
    }
    return refuse(request, HTTP_REFUSED_ENCODING, 400, "The body is not valid gzip");
}

/* The chunk header before this piece, where it can be seen: libmicrohttpd forgives bare line feeds
 * and skips extensions. It lies between the last piece and this one, or, when the last piece came
 * with an earlier read, at the beginning of the buffer. */
static bool clean_chunk(struct http_request *request, const char *data)
{
    const char *start = request->head_end, *last = request->piece_end;
    if (!request->server->wire_checked || data <= start)
        return true;
    const uint64_t max = request->body_max;
    if (last != NULL && last < data && http_wire_chunk(last, (size_t)(data - last), max))
        return true;
    return http_wire_chunk(start, (size_t)(data - start), max);
}

struct http_fault http_upload(struct http_request *request, const char *data, size_t len)
{
    struct http_server *server = request->server;
    request->body_wire += len;
    atomic_fetch_add_explicit(&server->body_bytes_in, len, memory_order_relaxed);
    atomic_store_explicit(&request->connection->moved, request->body_wire, memory_order_relaxed);
    const bool clean = !request->head.chunked || clean_chunk(request, data);
    request->piece_end = data + len;
    if (!clean)
        return refuse(request, HTTP_REFUSED_WIRE, 400, "Malformed or oversized chunk");
    if (request->body_wire > request->body_max)
        return refuse(request, HTTP_REFUSED_SIZE, 413, "Request body too large");
    const struct http_fault fault =
        request->inflate == NULL ? take_plain(request, data, len) : take_gzip(request, data, len);
    if (fault.text != NULL)
        return fault;
    if (request->body.failed)
        return refuse(request, HTTP_REFUSED_BUSY, 503, "Out of memory; try again");
    if (request->body.len > request->body_max)
        return refuse(request, HTTP_REFUSED_SIZE, 413, "Request body too large once decoded");
    if (!hold(request))
        return request->inflate != NULL
                   ? refuse(request, HTTP_REFUSED_SIZE, 413, "Too much compressed data at once")
                   : refuse(request, HTTP_REFUSED_BUSY, 503, "Too many uploads at once; try again");
    return (struct http_fault){0};
}

void http_upload_end(struct http_request *request)
{
    if (request->inflate != NULL && !request->inflated_whole)
        http_refuse(request, HTTP_REFUSED_ENCODING, 400, "The gzip body ends too early");
    http_inflate_free(request->inflate);
    request->inflate = NULL;
    char *end = request->answered ? NULL : fw_buf_reserve(&request->body, 1);
    if (end != NULL)
        *end = '\0';
    else if (!request->answered)
        http_refuse(request, HTTP_REFUSED_BUSY, 503, "Out of memory; try again");
}

void http_upload_free(struct http_request *request)
{
    struct http_server *server = request->server;
    atomic_fetch_sub_explicit(&server->bodies_held, request->held, memory_order_relaxed);
    atomic_fetch_sub_explicit(&server->inflated_held, request->held_inflated, memory_order_relaxed);
    request->held = request->held_inflated = 0;
    http_inflate_free(request->inflate);
    request->inflate = NULL;
    fw_buf_fini(&request->body);
}
