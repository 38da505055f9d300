/* The HTTP/1.1 server: routes in, handlers called, replies out. Behind it stands libmicrohttpd;
 * before the handlers stand our own guard, keys, limits and deadlines. It knows nothing of servers,
 * samples or risk.
 *
 * A handler is called once for each request that passed every check, when the whole body is there,
 * on one of the server's own threads. It must not block. It ends in exactly one of
 *   - http_reply() from inside, or
 *   - http_defer() from inside, and later exactly one http_reply() from any thread.
 * A deferred request stays valid until its http_reply(), also when the client left or the server
 * stopped meanwhile.
 *
 * Order of the checks, each with its answer: wire guard (400, 414, 431), Host (400), CORS
 * preflight, route (404, 405), key and role (401, 403, 429), foreign Origin on a state-changing
 * request without a key header (403), rate limit (429), Content-Encoding (415), Content-Length
 * (413). Only then is a byte of the body read, or "100 Continue" sent. */
#ifndef FW_HTTP_SERVER_H
#define FW_HTTP_SERVER_H

#include "base/clock.h"
#include "base/status.h"
#include "http/body.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;
struct http_request;
struct http_keys;

/* What a key may do; each role includes those before it. */
enum http_role { HTTP_OPEN, HTTP_READ, HTTP_WRITE, HTTP_ADMIN };

typedef void http_handler(void *ctx, struct http_request *request);

struct http_route {
    const char *method; /* "GET" (answers HEAD as well), "POST", "PUT", "PATCH" or "DELETE" */
    const char
        *path; /* "/api/v1/servers/{name}/window"; a parameter is one segment and may hold %2F */
    enum http_role role;
    bool legacy; /* a bad key gives 403 in the reference's words; otherwise 401, and 403 when the
                    role is too low */
    unsigned rate_per_minute; /* per key, or per peer when no key is configured; 0: none */
    size_t
        body_max; /* bytes of the body as sent and, if compressed, decoded; 0: no body is taken */
    const char *operation; /* name in statistics and OpenAPI; routes may share one */
    http_handler *handler;
    void *ctx;
    const char *coding; /* a Content-Encoding that the handler decodes itself: such a body arrives
                           as it was sent. NULL: none */
};

/* Zero means the default in brackets; http_options_init() fills them in. Strings need to live only
 * until http_server_start() returns. */
struct http_options {
    const char *address;      /* "127.0.0.1" [127.0.0.1], "::1", "0.0.0.0", "::" */
    uint16_t port;            /* 0: the system picks one; see http_server_port() */
    int listen_fd;            /* a listening socket to take over (socket activation), or -1 [-1] */
    unsigned threads;         /* [2] */
    unsigned connections_max; /* [12000]; lowered to what RLIMIT_NOFILE allows */
    unsigned connections_keyed;  /* of these, kept for peers that showed a valid key [64] */
    unsigned pool_bytes;         /* memory of a connection for a request's head [8192] */
    unsigned header_bytes_max;   /* [16384]; a head must also fit the pool */
    unsigned header_lines_max;   /* [64] */
    unsigned target_bytes_max;   /* [4096] */
    size_t bodies_bytes_max;     /* of all request bodies held at once [1 GiB]; beyond it 503 */
    size_t inflated_bytes_max;   /* of all bodies that arrived compressed, decoded [192 MiB]; beyond
                                    it 413 */
    unsigned header_deadline_ms; /* [5000] */
    unsigned request_deadline_ms; /* [30000], plus a second for each body_bytes_per_s received */
    unsigned body_bytes_per_s;    /* [65536] */
    unsigned idle_ms;             /* [60000] */
    unsigned stream_stall_ms;     /* [20000] */
    unsigned stream_bytes;        /* [8192] */
    bool rate_limits_off;         /* lifts every rate_per_minute; brute-force protection stays */
    unsigned failures_per_minute; /* bad keys from one source before 429 [20] */
    const char *const *
        host_names; /* names accepted in Host beside IP literals, localhost and the machine's own */
    size_t n_host_names;             /* one of them "*": Host is not compared with anything */
    const char *const *cors_origins; /* origins allowed beside the own one:
                                        "https://grafana.example:3000" or "*" */
    size_t n_cors_origins;
    struct http_keys
        *keys; /* NULL or empty: everything is open. Stays the caller's; outlives the server */
    const struct fw_clock *clock; /* for rate limits and deadlines [the system's] */
};
void http_options_init(struct http_options *options);

/* Starts listening. `routes` is copied (its strings and contexts are not: they outlive the server).
 * FW_EINVAL: a route or an option is wrong; FW_EIO: the address cannot be listened on; FW_ENOMEM.
 */
FW_MUST_CHECK enum fw_status http_server_start(const struct http_options *options,
                                               const struct http_route *routes, size_t n_routes,
                                               struct http_server **out, struct fw_error *err);
uint16_t http_server_port(const struct http_server *server);
/* Accepts no more, lets requests in flight finish for up to `grace_ms`, cuts the rest (deferred
 * ones are answered 503 if their client still listens; their http_reply() stays due and is then
 * ignored), joins all threads, frees. NULL is fine. Not from a handler. */
void http_server_stop(struct http_server *server, unsigned grace_ms);
/* Lifts the routes' limits per minute, or sets them again. Any thread. */
void http_server_limit_rates(struct http_server *server, bool limit);

/* The routes as given, for OpenAPI and the tests' "every endpoint" loops. */
const struct http_route *http_server_routes(const struct http_server *server, size_t *n);

/* ---- the request: valid until its reply; strings are terminated and belong to the request ---- */

/* "GET" for HEAD as well; see http_request_is_head(). */
const char *http_request_method(const struct http_request *request);
bool http_request_is_head(const struct http_request *request);
const struct http_route *http_request_route(const struct http_request *request);
/* Decoded: valid UTF-8 without control bytes, never "." or "..". Parameters count from 0, left to
 * right. NULL when there is none of that index or name. */
const char *http_request_path_at(const struct http_request *request, size_t index);
const char *http_request_path(const struct http_request *request, const char *name);
/* Decoded ('+' is a blank), in the order sent; at most 64. A name without '=' has the value "". */
size_t http_request_query_count(const struct http_request *request);
const char *http_request_query_name(const struct http_request *request, size_t index);
const char *http_request_query_value(const struct http_request *request, size_t index);
/* The first of that name, or NULL. */
const char *http_request_query(const struct http_request *request, const char *name);
/* The first header of that name, any case, blanks before it cut; NULL when absent. Only inside the
 * handler: gone once the request is deferred. */
const char *http_request_header(const struct http_request *request, const char *name);
/* The body after decoding. Never NULL; terminated by a NUL that is not counted. */
const char *http_request_body(const struct http_request *request, size_t *len);
/* Bytes as they came over the wire, before decoding. */
uint64_t http_request_body_wire(const struct http_request *request);
/* "192.0.2.1" or "2001:db8::1". */
const char *http_request_peer(const struct http_request *request);
/* The name of the key shown, "" when none was needed and none valid was shown. */
const char *http_request_key_name(const struct http_request *request);
/* HTTP_ADMIN when no key is configured; HTTP_OPEN for an unknown caller of an open route. */
enum http_role http_request_role(const struct http_request *request);
/* Monotonic clock when the request line had arrived. */
int64_t http_request_since_ns(const struct http_request *request);
/* Zeroed memory that dies with the request; NULL when out of memory or beyond 4 MiB in all. */
void *http_request_alloc(struct http_request *request, size_t size);

/* ---- the reply ---- */

/* An answer holds these headers and the fixed ones (nosniff, frame, referrer, CORS), and none is
 * built from input. */
struct http_reply {
    int status;               /* 200 to 599 */
    const char *content_type; /* a literal (its address is compared); NULL: application/json */
    struct http_body *body;   /* the reply takes over one reference; NULL: empty */
    const char *etag; /* bare text of [0-9A-Za-z._-], at most 64; sent as W/"text". NULL: none. With
                       * it, a request whose If-None-Match matches is answered 304 */
    const char *cache_control; /* a literal; NULL: "no-store", or "no-cache" with an etag */
    int retry_after_s;         /* > 0: Retry-After */
    const char *filename;      /* [0-9A-Za-z._-], at most 128: Content-Disposition: attachment */
    const char *allow;         /* a literal: Allow */
    const char *extra_name, *extra_value; /* literals: one header more. NULL: none */
    const char *policy; /* a literal: Content-Security-Policy; NULL: "default-src 'none';
                           frame-ancestors 'none'" */
    bool authenticate;  /* WWW-Authenticate: Bearer realm="forewarn" */
};

/* Sends the reply; the request is the server's again. Thread-safe for deferred requests. */
void http_reply(struct http_request *request, const struct http_reply *reply);
/* {"detail": text}; `text` is escaped. */
void http_reply_detail(struct http_request *request, int status, const char *text);
/* 200 application/json from a buffer that is taken over (left empty); 500 when it had failed. */
struct fw_buf;
void http_reply_json(struct http_request *request, int status, struct fw_buf *buf);
/* Only inside the handler: the reply will come later. The request may already be answered when this
 * returns. */
void http_defer(struct http_request *request);

/* ---- the reply as a stream: made while it is sent, open until the client leaves ---- */

struct http_stream;
#define HTTP_SOURCE_END SIZE_MAX
struct http_source {
    /* Writes up to `size` bytes and returns how many; 0: nothing now, http_stream_wake() will say
     * when; HTTP_SOURCE_END: that was all. On one of the server's threads; must not block. */
    size_t (*read)(void *ctx, char *to, size_t size);
    /* The last call, never while read() runs: the client is gone, or the server stops. */
    void (*close)(void *ctx);
    void *ctx;
};
/* Inside the handler, instead of http_reply(): 200. The stream is the server's, and valid until
 * close(). The kernel holds at most options.stream_bytes for the client; one that takes nothing for
 * stream_stall_ms although there is something is cut off. NULL: no memory, answered 503, and
 * close() is not called. */
struct http_stream *http_reply_stream(struct http_request *request, const char *content_type,
                                      const struct http_source *source);
/* There is something to read. Any thread, until close() has begun. */
void http_stream_wake(struct http_stream *stream);

/* ---- statistics: counted since the start, read at any time from any thread ---- */

enum http_refusal {
    HTTP_REFUSED_WIRE, /* malformed on the wire: 400, 414, 431 */
    HTTP_REFUSED_HOST,
    HTTP_REFUSED_ROUTE,    /* 404, 405 */
    HTTP_REFUSED_KEY,      /* 401, 403 */
    HTTP_REFUSED_FAILURES, /* 429 after too many bad keys */
    HTTP_REFUSED_ORIGIN,
    HTTP_REFUSED_RATE,
    HTTP_REFUSED_ENCODING,    /* 415, or a compressed body that does not decode */
    HTTP_REFUSED_SIZE,        /* 413 */
    HTTP_REFUSED_BUSY,        /* 503: too many body bytes held */
    HTTP_REFUSED_DEADLINE,    /* cut off by the watchdog: head, body or idle */
    HTTP_REFUSED_CONNECTIONS, /* cut off to make room */
    HTTP_REFUSED_STALLED,     /* cut off because they did not read their stream */
    HTTP_REFUSALS
};
const char *http_refusal_name(enum http_refusal refusal);

struct http_stats {
    uint64_t connections_open, connections_total;
    uint64_t requests_active;
    uint64_t body_bytes_in, body_bytes_out; /* bodies as sent on the wire */
    uint64_t bodies_held_bytes;
    uint64_t refused[HTTP_REFUSALS];
};
void http_server_stats(const struct http_server *server, struct http_stats *out);

/* Per operation, in the order of first appearance in the routes; the last one, "other", holds what
 * matched no route. */
struct fw_histogram;
size_t http_server_operations(const struct http_server *server);
const char *http_server_operation_name(const struct http_server *server, size_t index);
/* status_class: 2 to 5. */
uint64_t http_server_operation_requests(const struct http_server *server, size_t index,
                                        int status_class);
/* Durations from the request line to the last byte handed to the socket. */
const struct fw_histogram *http_server_operation_duration(const struct http_server *server,
                                                          size_t index);

#endif
