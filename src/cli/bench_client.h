/* A load of HTTP requests over kept-alive connections: threads with epoll, one request at a time
 * per connection, latency of each from the first byte sent to the last byte received. */
#ifndef FW_CLI_BENCH_CLIENT_H
#define FW_CLI_BENCH_CLIENT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_request {
    const char *bytes; /* head and body; stays valid until answered */
    size_t len;
};

struct bench_load {
    const char *host; /* an IPv4 address */
    uint16_t port;
    unsigned threads, connections; /* connections in all, at least one per thread */
    double seconds;                /* no request is begun after so long; 0: until next() ends */
    /* The next request of a connection; false: none is left. Any thread. */
    bool (*next)(void *ctx, struct bench_request *request);
    /* Whether an answer is the wanted one; `body` is its beginning (at most 2047 bytes,
     * terminated). NULL: 200 is. */
    bool (*good)(void *ctx, int status, const char *body);
    void *ctx;
};

struct bench_result {
    double seconds;
    uint64_t requests, failed; /* failed: of the requests */
    uint64_t bytes;            /* of answers, heads included */
    double p50_ms, p99_ms, max_ms;
    char failure[256]; /* the first one's answer */
};

/* FW_EIO: nobody answers; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status bench_client_run(const struct bench_load *load,
                                              struct bench_result *result, struct fw_error *err);

/* One connection and one request at a time, by a thread that waits. -1: nobody answers. */
int bench_client_open(const char *host, uint16_t port);
/* The answer's head and body, terminated, into `answer` (cap bytes, of which all of it must fit).
 * Its status, or 0 when the connection is of no more use. */
int bench_client_ask(int fd, const char *request, size_t len, char *answer, size_t cap);

/* One request; the answer's head and body up to cap - 1 bytes, terminated, into `answer`. The
 * status, or 0. */
int bench_client_get(const char *host, uint16_t port, const char *request, char *answer,
                     size_t cap);

#endif
