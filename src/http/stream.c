/* Answers that are made while they are sent.
 *
 * libmicrohttpd asks for more whenever the socket takes some. When there is nothing, the connection
 * is suspended, and http_stream_wake() resumes it. Whether it is suspended, and whether it was
 * woken meanwhile, is under the lock of deferred requests; the source is read outside of it, so
 * that a source may hold its own lock while it wakes. */
#include "http/server_internal.h"

#include "base/alloc.h"

#include <assert.h>

struct http_stream {
    struct http_server *server;
    struct http_connection *connection;
    struct MHD_Connection *mhd;
    struct http_source source;
    /* Under server->deferred_lock. */
    struct http_stream *next, *prev; /* on server->streams */
    bool suspended, woken, ending;
};

enum { BLOCK_SIZE = 1024 /* libmicrohttpd's own buffer, used without chunks only */ };

static void resume(struct http_stream *stream)
{
    stream->woken = true;
    if (!stream->suspended)
        return;
    stream->suspended = false;
    http_connection_enter(stream->connection, HTTP_PHASE_STREAM, http_now_ns(stream->server));
    MHD_resume_connection(stream->mhd);
}

void http_stream_wake(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->server->deferred_lock);
    resume(stream);
    pthread_mutex_unlock(&stream->server->deferred_lock);
}

/* Nothing to send: sleeps, unless something came since the source was asked. */
static bool fall_asleep(struct http_stream *stream)
{
    struct http_server *server = stream->server;
    pthread_mutex_lock(&server->deferred_lock);
    const bool sleeps = !stream->woken && !stream->ending;
    if (sleeps) {
        stream->suspended = true;
        http_connection_enter(stream->connection, HTTP_PHASE_QUIET, http_now_ns(server));
        MHD_suspend_connection(stream->mhd);
    }
    pthread_mutex_unlock(&server->deferred_lock);
    return sleeps;
}

static bool begin_reading(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->server->deferred_lock);
    stream->woken = false;
    const bool ending = stream->ending;
    pthread_mutex_unlock(&stream->server->deferred_lock);
    http_connection_enter(stream->connection, HTTP_PHASE_STREAM, http_now_ns(stream->server));
    return !ending;
}

static ssize_t on_read(void *ctx, uint64_t position, char *to, size_t size)
{
    struct http_stream *stream = ctx;
    (void)position;
    for (;;) {
        if (!begin_reading(stream))
            return MHD_CONTENT_READER_END_OF_STREAM;
        const size_t n = stream->source.read(stream->source.ctx, to, size);
        assert(n <= size || n == HTTP_SOURCE_END);
        if (n == HTTP_SOURCE_END)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (n > 0) {
            atomic_fetch_add_explicit(&stream->server->body_bytes_out, n, memory_order_relaxed);
            return (ssize_t)n;
        }
        if (fall_asleep(stream))
            return 0;
    }
}

static void on_free(void *ctx)
{
    struct http_stream *stream = ctx;
    struct http_server *server = stream->server;
    stream->source.close(stream->source.ctx); /* nobody wakes it from here on */
    pthread_mutex_lock(&server->deferred_lock);
    if (stream->prev != NULL)
        stream->prev->next = stream->next;
    else
        server->streams = stream->next;
    if (stream->next != NULL)
        stream->next->prev = stream->prev;
    pthread_mutex_unlock(&server->deferred_lock);
    fw_free(stream);
}

struct http_stream *http_reply_stream(struct http_request *request, const char *content_type,
                                      const struct http_source *source)
{
    struct http_server *server = request->server;
    assert(request->in_handler && !request->deferred);
    struct http_stream *stream = fw_calloc(1, sizeof *stream);
    if (stream == NULL) {
        http_reply_detail(request, 503, "Out of memory");
        return NULL;
    }
    stream->server = server;
    stream->connection = request->connection;
    stream->mhd = request->mhd;
    stream->source = *source;
    pthread_mutex_lock(&server->deferred_lock);
    stream->ending = server->ending;
    stream->next = server->streams;
    if (stream->next != NULL)
        stream->next->prev = stream;
    server->streams = stream;
    pthread_mutex_unlock(&server->deferred_lock);
    http_socket_stream(request->connection->fd, (int)server->options.stream_bytes);
    const struct http_reply reply = {.status = 200, .content_type = content_type};
    http_answer_set(request, &reply);
    request->answer.stream = stream;
    return stream;
}

struct MHD_Response *http_stream_response(struct http_stream *stream)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, on_read, stream, on_free);
    if (response == NULL)
        on_free(stream);
    return response;
}

void http_streams_end(struct http_server *server)
{
    pthread_mutex_lock(&server->deferred_lock);
    server->ending = true;
    for (struct http_stream *at = server->streams; at != NULL; at = at->next) {
        at->ending = true;
        resume(at);
    }
    pthread_mutex_unlock(&server->deferred_lock);
}
