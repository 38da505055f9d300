/* Start, stop, and the three places where libmicrohttpd calls us: a request line has arrived, a
 * head or a piece of a body has arrived, a request is over. */
#include "http/server_internal.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIMITER_SLOTS = 65536, FAILURE_SLOTS = 65536, MINUTE_MS = 60000, PROVEN_MS = 3600000 };

void http_options_init(struct http_options *options)
{
    *options = (struct http_options){
        .address = "127.0.0.1",
        .listen_fd = -1,
        .threads = 2,
        .connections_max = 12000,
        .connections_keyed = 64,
        .pool_bytes = 8192,
        .header_bytes_max = 16384,
        .header_lines_max = 64,
        .target_bytes_max = 4096,
        .bodies_bytes_max = (size_t)1 << 30,
        .inflated_bytes_max = (size_t)192 << 20,
        .header_deadline_ms = 5000,
        .request_deadline_ms = 30000,
        .body_bytes_per_s = 65536,
        .idle_ms = 60000,
        .stream_stall_ms = 20000,
        .stream_bytes = 8192,
        .failures_per_minute = 20,
        .clock = fw_clock_system(),
    };
}

#define DEFAULT(field)                                                                             \
    do {                                                                                           \
        if (options->field == 0)                                                                   \
            options->field = defaults.field;                                                       \
    } while (0)

static enum fw_status check_options(struct http_options *options, struct fw_error *err)
{
    struct http_options defaults;
    http_options_init(&defaults);
    DEFAULT(address);
    DEFAULT(threads);
    DEFAULT(connections_max);
    DEFAULT(connections_keyed);
    DEFAULT(pool_bytes);
    DEFAULT(header_bytes_max);
    DEFAULT(header_lines_max);
    DEFAULT(target_bytes_max);
    DEFAULT(bodies_bytes_max);
    DEFAULT(inflated_bytes_max);
    DEFAULT(header_deadline_ms);
    DEFAULT(request_deadline_ms);
    DEFAULT(body_bytes_per_s);
    DEFAULT(idle_ms);
    DEFAULT(stream_stall_ms);
    DEFAULT(stream_bytes);
    DEFAULT(failures_per_minute);
    DEFAULT(clock);
    if (options->threads > 64)
        return fw_fail(err, FW_EINVAL, "http: more than 64 threads");
    if (options->target_bytes_max > HTTP_TARGET_MAX)
        return fw_fail(err, FW_EINVAL, "http: targets beyond %d bytes", HTTP_TARGET_MAX);
    if (options->pool_bytes < 2048 || options->pool_bytes > 1 << 20)
        return fw_fail(err, FW_EINVAL, "http: a connection's pool is 2 KiB to 1 MiB");
    /* Descriptors for files and others beside the connections. */
    const unsigned spare = 256;
    const unsigned limit = http_socket_limit(options->connections_max + spare);
    if (limit < options->connections_max + spare) {
        options->connections_max = limit > 2 * spare ? limit - spare : limit / 2;
        FW_LOG_WARN("http", "fewer connections than wished, by the limit of descriptors max=%u",
                    options->connections_max);
    }
    if (options->connections_keyed >= options->connections_max)
        options->connections_keyed = options->connections_max / 4;
    return FW_OK;
}

/* ---- called by libmicrohttpd ---- */

static size_t keep_escapes(void *ctx, struct MHD_Connection *mhd, char *text)
{
    (void)ctx;
    (void)mhd;
    return strlen(text); /* we decode on our own, once and strictly */
}

static void *request_line(void *ctx, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *server = ctx;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_connection *connection = info->socket_context;
    size_t len = target == NULL ? 0 : strlen(target);
    if (connection == NULL)
        return NULL;
    struct http_fault fault = http_guard_target(target, len);
    if (len > server->options.target_bytes_max)
        fault = (struct http_fault){414, "Request target too long"};
    const size_t kept = fault.text == NULL ? len : 0;
    struct http_request *request = fw_calloc(1, sizeof *request + kept + 1);
    if (request == NULL)
        return NULL;
    request->server = server;
    request->connection = connection;
    request->mhd = mhd;
    request->since_ns = http_now_ns(server);
    request->fault = fault;
    request->operation = server->routes.n_operations - 1;
    request->target_len = len;
    if (kept > 0)
        memcpy(request->text, target, kept);
    atomic_init(&request->refs, 1);
    atomic_fetch_add(&server->requests_active, 1);
    http_connection_enter(connection, HTTP_PHASE_HEAD, request->since_ns);
    return request;
}

static enum MHD_Result run_handler(struct http_request *request)
{
    struct http_server *server = request->server;
    http_connection_enter(request->connection, HTTP_PHASE_WORK, http_now_ns(server));
    http_socket_peer_text(&request->connection->peer, request->peer);
    request->in_handler = true;
    request->route->handler(request->route->ctx, request);
    /* Once deferred, the answer may already be there, from another thread. */
    if (!request->deferred) {
        request->in_handler = false;
        assert(request->answered); /* a handler replies or defers */
        return http_answer_send(request);
    }
    pthread_mutex_lock(&server->deferred_lock);
    request->in_handler = false;
    if (!request->answered && server->aborting) {
        http_request_undefer(request);
        http_refuse(request, HTTP_REFUSED_BUSY, 503, "The server is stopping");
        request->aborted = true;
    }
    const bool waits = !request->answered;
    if (waits) {
        MHD_suspend_connection(request->mhd);
        request->suspended = true;
    }
    pthread_mutex_unlock(&server->deferred_lock);
    return waits ? MHD_YES : http_answer_send(request);
}

static enum MHD_Result first_call(struct http_request *request, const char *method,
                                  const char *version)
{
    request->begun = true;
    http_admit(request, method, version);
    if (request->answered) {
        if (!request->has_body && !request->closes)
            return MHD_YES; /* answered in the next call; doing it now would cost the connection */
        request->closes = true;
        request->connection->linger = request->has_body;
        return http_answer_send(request);
    }
    if (request->has_body) {
        http_connection_enter(request->connection, HTTP_PHASE_BODY, request->since_ns);
        atomic_store_explicit(&request->connection->moved, 0, memory_order_relaxed);
    }
    return MHD_YES;
}

struct trailers {
    const char *head_end;
    bool found;
};

/* When the empty line that ends a chunked body arrives in two reads, libmicrohttpd 0.9.75 lists the
 * last header line as a trailer; it still lies inside the head. */
static enum MHD_Result find_trailer(void *ctx, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct trailers *trailers = ctx;
    (void)kind;
    (void)value;
    trailers->found = trailers->found || name >= trailers->head_end;
    return MHD_YES;
}

static enum MHD_Result last_call(struct http_request *request)
{
    if (request->deferred) /* resumed: another thread has answered, and we see it under the lock */
        pthread_mutex_lock(&request->server->deferred_lock);
    const bool answered = request->answered, deferred = request->deferred;
    if (deferred)
        pthread_mutex_unlock(&request->server->deferred_lock);
    if (answered)
        return http_answer_send(request);
    if (deferred)
        return MHD_YES;
    if (request->has_body) {
        struct trailers trailers = {.head_end = request->head_end};
        if (request->head.chunked)
            MHD_get_connection_values(request->mhd, MHD_FOOTER_KIND, find_trailer, &trailers);
        http_upload_end(request);
        if (trailers.found && !request->answered) {
            http_refuse(request, HTTP_REFUSED_WIRE, 400, "Trailers are not taken");
            request->closes = true;
        }
        if (request->answered)
            return http_answer_send(request);
    }
    return run_handler(request);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **state)
{
    struct http_request *request = *state;
    (void)ctx;
    (void)mhd;
    (void)url;
    if (request == NULL)
        return MHD_NO; /* no memory for it */
    if (!request->begun)
        return first_call(request, method, version);
    if (*len == 0)
        return last_call(request);
    const struct http_fault fault = http_upload(request, data, *len);
    *len = 0;
    if (fault.text == NULL)
        return MHD_YES;
    http_answer_raw(request, fault);
    return MHD_NO;
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **state,
                         enum MHD_RequestTerminationCode how)
{
    struct http_server *server = ctx;
    struct http_request *request = *state;
    (void)mhd;
    (void)how;
    if (request == NULL)
        return;
    *state = NULL;
    const int64_t now_ns = http_now_ns(server);
    struct http_operation *operation = &server->routes.operations[request->operation];
    const int class = request->answer.status / 100;
    if (class >= 2 && class <= 5) {
        atomic_fetch_add_explicit(&operation->requests[class - 2], 1, memory_order_relaxed);
        fw_histogram_record(&operation->duration, (uint64_t)(now_ns - request->since_ns));
    }
    atomic_fetch_add_explicit(&request->connection->requests, 1, memory_order_relaxed);
    http_connection_enter(request->connection, HTTP_PHASE_IDLE, now_ns);
    http_request_unref(request);
    atomic_fetch_sub(&server->requests_active, 1);
}

/* ---- start and stop ---- */

void http_server_unref(struct http_server *server)
{
    if (atomic_fetch_sub(&server->refs, 1) != 1)
        return;
    http_routes_fini(&server->routes);
    http_policy_free(server->policy);
    http_limiter_free(server->rates);
    http_limiter_free(server->failures);
    http_limiter_free(server->proven);
    pthread_mutex_destroy(&server->deferred_lock);
    fw_free(server);
}

static enum fw_status start_mhd(struct http_server *server, int listen_fd, struct fw_error *err)
{
    const struct http_options *options = &server->options;
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
    /* A pool of one is refused; one thread is libmicrohttpd's plain mode. */
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_END, 0, NULL}
    };
    if (options->threads > 1)
        pool[0] =
            (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)options->threads, NULL};
    server->mhd = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, options->connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)options->pool_bytes, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
        MHD_OPTION_NOTIFY_CONNECTION, http_connections_notify, server, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, server, MHD_OPTION_URI_LOG_CALLBACK, request_line, server,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)512 * 1024, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    return server->mhd != NULL ? FW_OK : fw_fail(err, FW_EIO, "http: libmicrohttpd did not start");
}

static enum fw_status init_parts(struct http_server *server, const struct http_options *options,
                                 const struct http_route *routes, size_t n_routes,
                                 struct fw_error *err)
{
    atomic_init(&server->refs, 1);
    server->connections.wake_fd = -1;
    pthread_mutex_init(&server->deferred_lock, NULL);
    server->options = *options;
    atomic_init(&server->rates_lifted, options->rate_limits_off);
    enum fw_status status = check_options(&server->options, err);
    if (status == FW_OK)
        status = http_routes_init(&server->routes, routes, n_routes, err);
    if (status != FW_OK)
        return status;
    server->policy = http_policy_new(options->host_names, options->n_host_names,
                                     options->cors_origins, options->n_cors_origins);
    server->rates = http_limiter_new(LIMITER_SLOTS, MINUTE_MS);
    server->failures = http_limiter_new(FAILURE_SLOTS, MINUTE_MS);
    server->proven = http_limiter_new(LIMITER_SLOTS, PROVEN_MS);
    if (server->policy == NULL || server->rates == NULL || server->failures == NULL ||
        server->proven == NULL)
        return fw_fail(err, FW_ENOMEM, "http");
    server->vary =
        http_policy_has_origins(server->policy) ? "Accept-Encoding, Origin" : "Accept-Encoding";
    server->wire_checked = strcmp(MHD_get_version(), "0.9.75") == 0;
    if (!server->wire_checked)
        FW_LOG_WARN("http", "unknown libmicrohttpd: bare line feeds go unseen version=%s",
                    MHD_get_version());
    return FW_OK;
}

enum fw_status http_server_start(const struct http_options *options,
                                 const struct http_route *routes, size_t n_routes,
                                 struct http_server **out, struct fw_error *err)
{
    *out = NULL;
    struct http_server *server = fw_calloc(1, sizeof *server);
    if (server == NULL)
        return fw_fail(err, FW_ENOMEM, "http");
    int fd = options->listen_fd;
    enum fw_status status = init_parts(server, options, routes, n_routes, err);
    if (status != FW_OK) {
        http_server_unref(server);
        return status;
    }
    if (fd < 0)
        status = http_socket_listen(server->options.address, server->options.port, &fd, err);
    if (status == FW_OK)
        status = http_connections_init(server, err);
    if (status == FW_OK) {
        server->port = http_socket_port(fd);
        status = start_mhd(server, fd, err);
    }
    server->options.address = NULL; /* the caller's strings are not ours to keep */
    server->options.host_names = server->options.cors_origins = NULL;
    if (status == FW_OK) {
        *out = server;
        return FW_OK;
    }
    if (fd >= 0 && fd != options->listen_fd)
        close(fd);
    http_connections_fini(server);
    http_server_unref(server);
    return status;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

static void sleep_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* Waits until no request is under way. Real time: a clock that stands still must not make the stop
 * wait for ever. */
static void wait_quiet(struct http_server *server, unsigned grace_ms)
{
    const struct fw_clock *clock = fw_clock_system();
    const int64_t until_ns = fw_clock_mono_ns(clock) + (int64_t)grace_ms * 1000000;
    while (atomic_load(&server->requests_active) > 0 && fw_clock_mono_ns(clock) < until_ns)
        sleep_ms(2);
}

/* Answers 503 to all that are still deferred. Their owners' replies come later and are dropped. */
static void abort_deferred(struct http_server *server)
{
    pthread_mutex_lock(&server->deferred_lock);
    server->aborting = true;
    while (server->deferred != NULL) {
        struct http_request *request = server->deferred;
        http_request_undefer(request);
        http_refuse(request, HTTP_REFUSED_BUSY, 503, "The server is stopping");
        request->aborted = true;
        if (request->suspended)
            MHD_resume_connection(request->mhd);
    }
    pthread_mutex_unlock(&server->deferred_lock);
}

void http_server_limit_rates(struct http_server *server, bool limit)
{
    atomic_store(&server->rates_lifted, !limit);
}

void http_server_stop(struct http_server *server, unsigned grace_ms)
{
    if (server == NULL)
        return;
    atomic_store(&server->draining, true);
    /* New connections are refused from here on. The descriptor is closed when the workers are gone:
     * one of them may be about to take it out of its epoll set. */
    const int fd = MHD_quiesce_daemon(server->mhd);
    if (fd >= 0)
        (void)shutdown(fd, SHUT_RDWR);
    http_connections_wake(server); /* idle ones go at once */
    http_streams_end(server);
    wait_quiet(server, grace_ms);
    abort_deferred(server);
    wait_quiet(server, grace_ms < 500 ? grace_ms : 500);
    MHD_stop_daemon(server->mhd);
    if (fd >= 0)
        close(fd);
    http_connections_fini(server);
    http_server_unref(server);
}

/* ---- what others may look at ---- */

const struct http_route *http_server_routes(const struct http_server *server, size_t *n)
{
    *n = server->routes.n;
    return server->routes.all;
}

const char *http_refusal_name(enum http_refusal refusal)
{
    static const char *const names[HTTP_REFUSALS] = {
        "wire",     "host", "route", "key",      "failures",    "origin",  "rate",
        "encoding", "size", "busy",  "deadline", "connections", "stalled",
    };
    assert(refusal < HTTP_REFUSALS);
    return names[refusal];
}

void http_server_stats(const struct http_server *server, struct http_stats *out)
{
    *out = (struct http_stats){
        .connections_open = atomic_load(&server->connections.open),
        .connections_total = atomic_load(&server->connections_total),
        .requests_active = atomic_load(&server->requests_active),
        .body_bytes_in = atomic_load(&server->body_bytes_in),
        .body_bytes_out = atomic_load(&server->body_bytes_out),
        .bodies_held_bytes = atomic_load(&server->bodies_held),
    };
    for (int i = 0; i < HTTP_REFUSALS; i++)
        out->refused[i] = atomic_load(&server->refused[i]);
}

size_t http_server_operations(const struct http_server *server)
{
    return server->routes.n_operations;
}

const char *http_server_operation_name(const struct http_server *server, size_t index)
{
    assert(index < server->routes.n_operations);
    return server->routes.operations[index].name;
}

uint64_t http_server_operation_requests(const struct http_server *server, size_t index,
                                        int status_class)
{
    assert(index < server->routes.n_operations && status_class >= 2 && status_class <= 5);
    return atomic_load(&server->routes.operations[index].requests[status_class - 2]);
}

const struct fw_histogram *http_server_operation_duration(const struct http_server *server,
                                                          size_t index)
{
    assert(index < server->routes.n_operations);
    return &server->routes.operations[index].duration;
}
