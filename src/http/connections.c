/* The list of open connections and the watchdog that cuts those that overstay.
 *
 * libmicrohttpd knows an idle time-out only: a byte now and then keeps a connection for ever. The
 * watchdog goes through the list several times a second and shuts the sockets of those past their
 * deadline; libmicrohttpd then notices and cleans up. A socket is shut under the list's lock, and
 * libmicrohttpd closes it only after it has left the list, so a descriptor is never somebody else's
 * by then. */
#include "http/server_internal.h"

#include "base/alloc.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINGER_MS = 2000, PROBE_PACE_NS = 300000 };

#define NS_PER_MS INT64_C(1000000)

void http_connection_enter(struct http_connection *connection, enum http_phase phase,
                           int64_t now_ns)
{
    atomic_store_explicit(&connection->since_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&connection->phase, phase, memory_order_release);
}

void http_connections_wake(struct http_server *server)
{
    const uint64_t one = 1;
    (void)!write(server->connections.wake_fd, &one, sizeof one);
}

static unsigned open_limit(const struct http_server *server)
{
    return server->options.connections_max - server->options.connections_keyed;
}

static void opened(struct http_server *server, struct MHD_Connection *mhd, void **context)
{
    struct http_connections *list = &server->connections;
    struct http_connection *connection = fw_calloc(1, sizeof *connection);
    *context = connection; /* NULL: the first request line closes it */
    if (connection == NULL)
        return;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    connection->fd = info->connect_fd;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    http_socket_peer(info == NULL ? NULL : info->client_addr, &connection->peer);
    http_connection_enter(connection, HTTP_PHASE_IDLE, http_now_ns(server));
    connection->probed_ns = atomic_load(&connection->since_ns);
    atomic_fetch_add_explicit(&server->connections_total, 1, memory_order_relaxed);
    pthread_mutex_lock(&list->lock);
    connection->prev = list->last;
    if (list->last != NULL)
        list->last->next = connection;
    else
        list->first = connection;
    list->last = connection;
    const unsigned open = atomic_fetch_add(&list->open, 1) + 1;
    pthread_mutex_unlock(&list->lock);
    if (open > open_limit(server))
        http_connections_wake(server);
}

/* Keeps the socket a little longer, reading and dropping, so that a client which was refused in the
 * middle of its upload gets to read why: closing at once would reset the connection and may destroy
 * the answer on its way. */
static bool start_linger(struct http_server *server, int fd)
{
    struct http_connections *list = &server->connections;
    if (list->n_lingering == HTTP_LINGER_MAX || atomic_load(&list->stop))
        return false;
    const int copy = http_socket_linger(fd);
    if (copy < 0)
        return false;
    list->lingering[list->n_lingering] = copy;
    list->lingering_until_ns[list->n_lingering] = http_now_ns(server) + LINGER_MS * NS_PER_MS;
    list->n_lingering++;
    return true;
}

static void closed(struct http_server *server, struct http_connection *connection)
{
    struct http_connections *list = &server->connections;
    pthread_mutex_lock(&list->lock);
    if (connection->prev != NULL)
        connection->prev->next = connection->next;
    else
        list->first = connection->next;
    if (connection->next != NULL)
        connection->next->prev = connection->prev;
    else
        list->last = connection->prev;
    atomic_fetch_sub(&list->open, 1);
    const bool lingers = connection->linger && start_linger(server, connection->fd);
    pthread_mutex_unlock(&list->lock);
    fw_free(connection);
    if (lingers)
        http_connections_wake(server);
}

void http_connections_notify(void *ctx, struct MHD_Connection *mhd, void **context,
                             enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        opened(server, mhd, context);
    else if (*context != NULL)
        closed(server, *context);
}

/* Nanoseconds that so many bytes may take beyond the whole request's deadline. */
static int64_t allowance_ns(const struct http_server *server, uint64_t bytes)
{
    const uint64_t rate = server->options.body_bytes_per_s;
    const uint64_t ms = bytes / rate * 1000 + bytes % rate * 1000 / rate;
    return (ms > 86400000 ? 86400000 : (int64_t)ms) * NS_PER_MS;
}

/* What only the kernel knows, asked for now and then:
 *   - between requests, bytes that arrived but never became a request line: the server sees nothing
 * of a line that comes byte by byte;
 *   - the peer's end of sending, which libmicrohttpd's edge-triggered loop misses when it comes
 * together with the last bytes: twice seen, with nothing moved in between, the request will never
 * be whole. */
static bool stalls(const struct http_server *server, struct http_connection *connection, int phase,
                   int64_t now_ns)
{
    const int64_t deadline_ns = server->options.header_deadline_ms * NS_PER_MS;
    if (now_ns - connection->probed_ns < server->connections.probe_ns)
        return false;
    connection->probed_ns = now_ns;
    bool at_end;
    const uint64_t received = http_socket_received(connection->fd, &at_end);
    const uint64_t moved = atomic_load_explicit(&connection->moved, memory_order_relaxed);
    const unsigned requests = atomic_load_explicit(&connection->requests, memory_order_relaxed);
    const bool same = connection->probed_requests == requests && connection->probed_moved == moved;
    const bool over = at_end && connection->at_end && same;
    connection->at_end = at_end;
    connection->probed_moved = moved;
    if (connection->probed_requests != requests) {
        connection->probed_requests = requests;
        connection->probed_received = received;
        connection->partial_ns = 0;
    } else if (received != connection->probed_received && connection->partial_ns == 0) {
        connection->partial_ns = now_ns;
    }
    return over || (phase == HTTP_PHASE_IDLE && connection->partial_ns != 0 &&
                    now_ns - connection->partial_ns > deadline_ns * 3 / 4);
}

static bool overstays(const struct http_server *server, struct http_connection *connection,
                      int64_t now_ns)
{
    const struct http_options *options = &server->options;
    const int phase = atomic_load_explicit(&connection->phase, memory_order_acquire);
    const int64_t age_ns =
        now_ns - atomic_load_explicit(&connection->since_ns, memory_order_relaxed);
    switch (phase) {
    case HTTP_PHASE_IDLE:
        return atomic_load_explicit(&server->draining, memory_order_relaxed) ||
               age_ns > options->idle_ms * NS_PER_MS || stalls(server, connection, phase, now_ns);
    case HTTP_PHASE_HEAD: /* a tick early, so that it is never later than the deadline */
        return age_ns > options->header_deadline_ms * NS_PER_MS * 19 / 20 ||
               stalls(server, connection, phase, now_ns);
    case HTTP_PHASE_BODY:
        if (stalls(server, connection, phase, now_ns))
            return true;
        __attribute__((fallthrough));
    case HTTP_PHASE_SEND:
        return age_ns > options->request_deadline_ms * NS_PER_MS +
                            allowance_ns(server, atomic_load_explicit(&connection->moved,
                                                                      memory_order_relaxed));
    case HTTP_PHASE_STREAM:
        return age_ns > options->stream_stall_ms * NS_PER_MS;
    default:
        return false;
    }
}

static void cut(struct http_server *server, struct http_connection *connection,
                enum http_refusal why)
{
    connection->cut = true;
    shutdown(connection->fd, SHUT_RDWR);
    http_count_refused(server, why);
}

/* Room for peers with a key: of the others the oldest give way, first those that never sent a whole
 * request; nobody in the middle of one. Returns how many are still too many. Under the lock. */
static unsigned make_room(struct http_server *server, unsigned surplus, bool users_too)
{
    struct http_connection *at = server->connections.first;
    for (; at != NULL && surplus > 0; at = at->next) {
        const int phase = atomic_load_explicit(&at->phase, memory_order_acquire);
        const bool used = atomic_load_explicit(&at->requests, memory_order_relaxed) > 0;
        if (at->cut || phase > HTTP_PHASE_HEAD || (used && !users_too) ||
            atomic_load_explicit(&at->keyed, memory_order_relaxed))
            continue;
        cut(server, at, HTTP_REFUSED_CONNECTIONS);
        surplus--;
    }
    return surplus;
}

static void check_all(struct http_server *server)
{
    struct http_connections *list = &server->connections;
    const int64_t now_ns = http_now_ns(server);
    const bool draining = atomic_load(&server->draining);
    pthread_mutex_lock(&list->lock);
    const unsigned open = atomic_load(&list->open);
    /* Asking the kernel takes about a microsecond: with thousands of connections each is asked less
     * often. */
    const int64_t often_ns = server->options.header_deadline_ms * NS_PER_MS / 8;
    const int64_t seldom_ns = (int64_t)open * PROBE_PACE_NS;
    list->probe_ns = often_ns > seldom_ns ? often_ns : seldom_ns;
    unsigned surplus = open > open_limit(server) ? open - open_limit(server) : 0;
    for (struct http_connection *at = list->first; at != NULL; at = at->next) {
        if (at->cut) {
            surplus -= surplus > 0;
        } else if (overstays(server, at, now_ns)) {
            const bool stalled = atomic_load(&at->phase) == HTTP_PHASE_STREAM;
            cut(server, at, stalled ? HTTP_REFUSED_STALLED : HTTP_REFUSED_DEADLINE);
            if (draining && !stalled) /* nobody's fault */
                atomic_fetch_sub_explicit(&server->refused[HTTP_REFUSED_DEADLINE], 1,
                                          memory_order_relaxed);
            surplus -= surplus > 0;
        }
    }
    surplus = make_room(server, surplus, false);
    (void)make_room(server, surplus, true);
    pthread_mutex_unlock(&list->lock);
}

static void drain_lingering(struct http_server *server, bool all_over)
{
    struct http_connections *list = &server->connections;
    const int64_t now_ns = http_now_ns(server);
    pthread_mutex_lock(&list->lock);
    for (size_t i = 0; i < list->n_lingering;) {
        if (!all_over && now_ns < list->lingering_until_ns[i] &&
            http_socket_drain(list->lingering[i])) {
            i++;
            continue;
        }
        close(list->lingering[i]);
        list->n_lingering--;
        list->lingering[i] = list->lingering[list->n_lingering];
        list->lingering_until_ns[i] = list->lingering_until_ns[list->n_lingering];
    }
    pthread_mutex_unlock(&list->lock);
}

/* A quarter of a second, or less when the deadlines are shorter than usual. */
static int tick_ms(const struct http_options *options)
{
    unsigned shortest = options->header_deadline_ms;
    if (options->idle_ms < shortest)
        shortest = options->idle_ms;
    if (options->request_deadline_ms < shortest)
        shortest = options->request_deadline_ms;
    if (options->stream_stall_ms < shortest)
        shortest = options->stream_stall_ms;
    const unsigned tick = shortest / 8;
    return tick < 5 ? 5 : tick > 250 ? 250 : (int)tick;
}

static int64_t real_now_ms(void)
{
    return fw_clock_mono_ns(fw_clock_system()) / NS_PER_MS;
}

static void *watch(void *ctx)
{
    struct http_server *server = ctx;
    struct http_connections *list = &server->connections;
    const int tick = tick_ms(&server->options);
    int64_t last_check_ms = 0;
    while (!atomic_load(&list->stop)) {
        struct pollfd fds[1 + HTTP_LINGER_MAX] = {
            {.fd = list->wake_fd, .events = POLLIN}
        };
        pthread_mutex_lock(&list->lock);
        const nfds_t n = 1 + (nfds_t)list->n_lingering;
        for (nfds_t i = 1; i < n; i++)
            fds[i] = (struct pollfd){.fd = list->lingering[i - 1], .events = POLLIN};
        pthread_mutex_unlock(&list->lock);
        (void)poll(fds, n, tick);
        bool woken = (fds[0].revents & POLLIN) != 0;
        if (woken) {
            uint64_t count;
            (void)!read(list->wake_fd, &count, sizeof count);
        }
        if (n > 1)
            drain_lingering(server, false);
        /* A crowd of new connections may ask for attention more often than it can be given. */
        const int64_t now_ms = real_now_ms();
        if (now_ms - last_check_ms >= (woken ? 5 : tick)) {
            last_check_ms = now_ms;
            check_all(server);
        }
    }
    return NULL;
}

enum fw_status http_connections_init(struct http_server *server, struct fw_error *err)
{
    struct http_connections *list = &server->connections;
    pthread_mutex_init(&list->lock, NULL);
    list->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (list->wake_fd < 0)
        return fw_fail(err, FW_EIO, "http: eventfd: %s", strerror(errno));
    const int failed = pthread_create(&list->watchdog, NULL, watch, server);
    if (failed != 0)
        return fw_fail(err, FW_ENOMEM, "http: watchdog: %s", strerror(failed));
    list->watchdog_runs = true;
    return FW_OK;
}

void http_connections_fini(struct http_server *server)
{
    struct http_connections *list = &server->connections;
    atomic_store(&list->stop, true);
    if (list->watchdog_runs) {
        http_connections_wake(server);
        pthread_join(list->watchdog, NULL);
    }
    drain_lingering(server, true);
    if (list->wake_fd >= 0)
        close(list->wake_fd);
    pthread_mutex_destroy(&list->lock);
}
