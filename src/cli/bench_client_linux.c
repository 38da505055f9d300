#include "base/alloc.h"
#include "cli/bench.h"
#include "cli/bench_client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, BODY_KEPT = 2048, SCRATCH = 262144, EVENTS = 64, STALL_MS = 30000 };

struct connection {
    int fd;
    bool busy;
    struct bench_request request;
    size_t sent;
    double began_s;
    char head[HEAD_MAX];
    size_t head_len;
    bool head_done;
    int status;
    uint64_t body_left;
    char body[BODY_KEPT];
    size_t body_len;
};

struct worker {
    const struct bench_load *load;
    pthread_t thread;
    unsigned connections;
    float *latencies_ms;
    size_t count, cap;
    uint64_t failed, bytes;
    char failure[256];
    double deadline_s;
    enum fw_status status;
    char scratch[SCRATCH];
};

static int connect_to(const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd < 0)
        return -1;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void note_failure(struct worker *w, const struct connection *c)
{
    if (w->failed++ == 0)
        snprintf(w->failure, sizeof w->failure, "HTTP %d: %.200s", c->status, c->body);
}

static bool note_latency(struct worker *w, double ms)
{
    if (w->count == w->cap) {
        const size_t cap = w->cap == 0 ? 4096 : w->cap * 2;
        float *grown = fw_realloc_array(w->latencies_ms, cap, sizeof *grown);
        if (grown == NULL)
            return false;
        w->latencies_ms = grown;
        w->cap = cap;
    }
    w->latencies_ms[w->count++] = (float)ms;
    return true;
}

/* Content-Length of a terminated head; false when the answer has another framing. */
static bool parse_head(struct connection *c)
{
    if (sscanf(c->head, "HTTP/1.1 %d", &c->status) != 1)
        return false;
    c->body_left = 0;
    if (c->status == 304 || c->status == 204)
        return true;
    for (const char *line = strstr(c->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            c->body_left = strtoull(line + 15, NULL, 10);
            return true;
        }
    }
    return false;
}

static void take_body(struct connection *c, const char *data, size_t len)
{
    const size_t room = BODY_KEPT - 1 - c->body_len;
    const size_t keep = len < room ? len : room;
    memcpy(c->body + c->body_len, data, keep);
    c->body_len += keep;
    c->body[c->body_len] = '\0';
    c->body_left -= len < c->body_left ? len : c->body_left;
}

/* What a read brought; false when it is no answer that we can follow. */
static bool take_bytes(struct connection *c, const char *data, size_t len)
{
    if (!c->head_done) {
        const size_t old = c->head_len;
        const size_t room = HEAD_MAX - 1 - old;
        const size_t copied = len < room ? len : room;
        memcpy(c->head + old, data, copied);
        c->head[old + copied] = '\0';
        char *end = strstr(c->head, "\r\n\r\n");
        if (end == NULL) {
            c->head_len += copied;
            return copied == len;
        }
        end[2] = '\0';
        c->head_done = true;
        if (!parse_head(c))
            return false;
        const size_t head_len = (size_t)(end + 4 - c->head);
        data += head_len - old;
        len -= head_len - old;
    }
    take_body(c, data, len);
    return true;
}

static bool begin_request(struct worker *w, struct connection *c)
{
    c->busy = false;
    if ((w->deadline_s > 0 && bench_now_s() >= w->deadline_s) ||
        !w->load->next(w->load->ctx, &c->request))
        return false;
    c->busy = true;
    c->sent = c->head_len = c->body_len = 0;
    c->body[0] = '\0';
    c->head_done = false;
    c->began_s = bench_now_s();
    return true;
}

/* Sends what the socket takes; false when the peer is gone. */
static bool push(struct connection *c)
{
    while (c->sent < c->request.len) {
        const ssize_t n = send(c->fd, c->request.bytes + c->sent, c->request.len - c->sent,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN;
        c->sent += (size_t)n;
    }
    return true;
}

static bool finish(struct worker *w, struct connection *c)
{
    const bool good =
        w->load->good == NULL ? c->status == 200 : w->load->good(w->load->ctx, c->status, c->body);
    if (!good)
        note_failure(w, c);
    return note_latency(w, (bench_now_s() - c->began_s) * 1e3);
}

/* Reads what is there, and goes on with the next request after a whole answer. False: the
 * connection is done or lost. */
static bool pull(struct worker *w, struct connection *c)
{
    for (;;) {
        const ssize_t n = recv(c->fd, w->scratch, sizeof w->scratch, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0 || !take_bytes(c, w->scratch, (size_t)n)) {
            snprintf(c->body, sizeof c->body,
                     "the connection ended, or an answer without a length");
            c->status = 0;
            note_failure(w, c);
            c->busy = false;
            return false;
        }
        w->bytes += (uint64_t)n;
        if (!c->head_done || c->body_left > 0)
            continue;
        if (!finish(w, c)) {
            w->status = FW_ENOMEM;
            c->busy = false;
            return false;
        }
        if (!begin_request(w, c) || !push(c))
            return false;
    }
}

static void watch(int epoll, struct connection *c, int operation)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c->sent < c->request.len)
        event.events |= EPOLLOUT;
    epoll_ctl(epoll, operation, c->fd, &event);
}

static void drive(struct worker *w, struct connection *connections, int epoll)
{
    unsigned alive = 0;
    for (unsigned i = 0; i < w->connections; i++) {
        struct connection *c = &connections[i];
        c->fd = connect_to(w->load->host, w->load->port);
        if (c->fd < 0) {
            w->status = FW_EIO;
            return;
        }
        if (!begin_request(w, c) || !push(c))
            continue;
        watch(epoll, c, EPOLL_CTL_ADD);
        alive++;
    }
    while (alive > 0) {
        struct epoll_event events[EVENTS];
        const int n = epoll_wait(epoll, events, EVENTS, STALL_MS);
        if (n <= 0 && errno != EINTR) {
            w->failed += alive; /* nothing moved for so long: they hang */
            snprintf(w->failure, sizeof w->failure, "no answer within %d s", STALL_MS / 1000);
            return;
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            const bool sending = c->sent < c->request.len;
            bool on = push(c);
            if (on && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
                on = pull(w, c);
            if (!on) {
                if (c->busy)
                    note_failure(w, c);
                epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
                alive--;
            } else if (sending || c->sent < c->request.len) {
                watch(epoll, c, EPOLL_CTL_MOD);
            }
        }
    }
}

static void *work(void *ctx)
{
    struct worker *w = ctx;
    struct connection *connections = fw_calloc(w->connections, sizeof *connections);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || epoll < 0) {
        w->status = FW_ENOMEM;
    } else {
        for (unsigned i = 0; i < w->connections; i++)
            connections[i].fd = -1;
        drive(w, connections, epoll);
        for (unsigned i = 0; i < w->connections; i++)
            if (connections[i].fd >= 0)
                close(connections[i].fd);
    }
    if (epoll >= 0)
        close(epoll);
    fw_free(connections);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static enum fw_status merge(struct worker **workers, unsigned n, struct bench_result *result)
{
    enum fw_status status = FW_OK;
    size_t total = 0, at = 0;
    for (unsigned i = 0; i < n; i++) {
        total += workers[i]->count;
        result->failed += workers[i]->failed;
        result->bytes += workers[i]->bytes;
        if (workers[i]->failure[0] != '\0' && result->failure[0] == '\0')
            memcpy(result->failure, workers[i]->failure, sizeof result->failure);
        if (workers[i]->status != FW_OK)
            status = workers[i]->status;
    }
    result->requests = total;
    if (total == 0 || status != FW_OK)
        return status;
    float *all = fw_calloc(total, sizeof *all);
    if (all == NULL)
        return FW_ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        if (workers[i]->count > 0)
            memcpy(all + at, workers[i]->latencies_ms, workers[i]->count * sizeof *all);
        at += workers[i]->count;
    }
    qsort(all, total, sizeof *all, by_value);
    result->p50_ms = (double)all[total / 2];
    result->p99_ms = (double)all[total * 99 / 100];
    result->max_ms = (double)all[total - 1];
    fw_free(all);
    return FW_OK;
}

enum fw_status bench_client_run(const struct bench_load *load, struct bench_result *result,
                                struct fw_error *err)
{
    const unsigned threads = load->threads == 0 ? 1 : load->threads;
    const unsigned each =
        load->connections < threads ? 1 : (load->connections + threads - 1) / threads;
    struct worker **workers = fw_calloc(threads, sizeof *workers);
    enum fw_status status = workers == NULL ? FW_ENOMEM : FW_OK;
    unsigned started = 0;
    memset(result, 0, sizeof *result);
    for (unsigned i = 0; i < threads && status == FW_OK; i++) {
        workers[i] = fw_calloc(1, sizeof **workers);
        status = workers[i] == NULL ? FW_ENOMEM : FW_OK;
    }
    const double began_s = bench_now_s();
    for (; started < threads && status == FW_OK; started++) {
        workers[started]->load = load;
        workers[started]->connections = each;
        workers[started]->deadline_s = load->seconds > 0 ? began_s + load->seconds : 0;
        if (pthread_create(&workers[started]->thread, NULL, work, workers[started]) != 0) {
            status = FW_ENOMEM;
            break;
        }
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(workers[i]->thread, NULL);
    result->seconds = bench_now_s() - began_s;
    if (status == FW_OK)
        status = merge(workers, threads, result);
    for (unsigned i = 0; i < threads && workers != NULL && workers[i] != NULL; i++) {
        fw_free(workers[i]->latencies_ms);
        fw_free(workers[i]);
    }
    fw_free(workers);
    return status == FW_OK ? FW_OK
                           : fw_fail(err, status, "load on %s:%u: %s", load->host, load->port,
                                     status == FW_EIO ? "cannot connect" : "out of memory");
}

int bench_client_open(const char *host, uint16_t port)
{
    return connect_to(host, port);
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

int bench_client_ask(int fd, const char *request, size_t len, char *answer, size_t cap)
{
    size_t have = 0;
    if (!send_all(fd, request, len))
        return 0;
    for (;;) {
        const ssize_t n = recv(fd, answer + have, cap - 1 - have, 0);
        if (n <= 0)
            return 0;
        have += (size_t)n;
        answer[have] = '\0';
        const char *end = strstr(answer, "\r\n\r\n");
        if (end == NULL)
            continue;
        const size_t head_len = (size_t)(end - answer) + 4;
        struct connection c;
        if (head_len >= sizeof c.head)
            return 0;
        memcpy(c.head, answer, head_len);
        c.head[head_len] = '\0';
        if (!parse_head(&c))
            return 0;
        if (have - head_len >= c.body_left)
            return c.status;
    }
}

int bench_client_get(const char *host, uint16_t port, const char *request, char *answer, size_t cap)
{
    const int fd = connect_to(host, port);
    size_t len = 0;
    int status = 0;
    answer[0] = '\0';
    if (fd < 0)
        return 0;
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request)) {
        ssize_t n;
        while (len < cap - 1 && (n = recv(fd, answer + len, cap - 1 - len, 0)) > 0)
            len += (size_t)n;
        answer[len] = '\0';
        if (sscanf(answer, "HTTP/1.1 %d", &status) != 1)
            status = 0;
    }
    close(fd);
    return status;
}
