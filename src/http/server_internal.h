/* The inside of the server: what its files share. */
#ifndef FW_HTTP_SERVER_INTERNAL_H
#define FW_HTTP_SERVER_INTERNAL_H

#include "base/buf.h"
#include "base/histogram.h"
#include "http/guard.h"
#include "http/inflate.h"
#include "http/keys.h"
#include "http/limiter.h"
#include "http/policy.h"
#include "http/server.h"
#include "http/socket_linux.h"
#include "http/target.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    HTTP_METHODS = 5, /* GET POST PUT PATCH DELETE */
    HTTP_ALLOW_SIZE = 48,
    HTTP_ETAG_MAX = 64,
    HTTP_FILENAME_MAX = 128,
    HTTP_LINGER_MAX = 64,
    HTTP_REQUEST_ALLOC_MAX = 4 << 20,
};

/* ---- routes (routes.c) ---- */

/* A path and the routes on it, one per method. */
struct http_path {
    const char *pattern;
    size_t parameters;
    const struct http_route *routes[HTTP_METHODS];
    char allow[HTTP_ALLOW_SIZE];
};

struct http_operation {
    const char *name;
    _Atomic uint64_t requests[4]; /* 2xx to 5xx; 1xx is never an answer */
    struct fw_histogram duration;
};

struct http_routes {
    struct http_route *all;
    size_t n;
    unsigned *operation_of;  /* by route */
    struct http_path *paths; /* fewer parameters first, so that a literal wins over a parameter */
    size_t n_paths;
    struct http_operation *operations; /* the last one is "other" */
    size_t n_operations;
};
FW_MUST_CHECK enum fw_status http_routes_init(struct http_routes *routes,
                                              const struct http_route *all, size_t n,
                                              struct fw_error *err);
void http_routes_fini(struct http_routes *routes);
/* NULL: no such path. */
const struct http_path *http_routes_find(const struct http_routes *routes,
                                         const struct http_target *target,
                                         uint8_t at[HTTP_SEGMENTS_MAX], size_t *n_at);
/* "GET" for HEAD; -1 for methods that no route can have. */
int http_method_index(const char *method);

/* ---- connections (connections.c) ---- */

enum http_phase {
    HTTP_PHASE_IDLE,   /* no request line yet */
    HTTP_PHASE_HEAD,   /* header lines are arriving */
    HTTP_PHASE_BODY,   /* the body is arriving */
    HTTP_PHASE_WORK,   /* with the handler; takes as long as it takes */
    HTTP_PHASE_SEND,   /* the client is reading the answer */
    HTTP_PHASE_STREAM, /* there is something to read for the client, or was when it last read */
    HTTP_PHASE_QUIET,  /* a stream with nothing to say */
};

struct http_connection {
    struct http_connection *next, *prev; /* oldest first; under connections.lock, as is `fd` */
    int fd;
    struct in6_addr peer;
    _Atomic int phase;
    _Atomic int64_t since_ns;  /* of the phase; of the request line in HEAD and BODY */
    _Atomic uint64_t moved;    /* BODY: bytes received; SEND: bytes to send */
    _Atomic unsigned requests; /* finished on this connection */
    _Atomic bool keyed;        /* has shown a valid key */
    bool linger; /* closes while the client may be sending: see http_socket_linger() */
    /* The watchdog's notes. */
    bool cut;
    bool at_end;
    unsigned probed_requests;
    uint64_t probed_received, probed_moved;
    int64_t probed_ns, partial_ns;
};

struct http_connections {
    pthread_mutex_t lock;
    struct http_connection *first, *last;
    _Atomic unsigned open;
    pthread_t watchdog;
    bool watchdog_runs;
    int wake_fd;
    _Atomic bool stop;
    int lingering[HTTP_LINGER_MAX]; /* under the lock */
    int64_t lingering_until_ns[HTTP_LINGER_MAX];
    size_t n_lingering;
    int64_t probe_ns; /* the watchdog's: how often it asks the kernel about a connection */
};
struct http_server;
FW_MUST_CHECK enum fw_status http_connections_init(struct http_server *server,
                                                   struct fw_error *err);
/* Stops the watchdog. All connections are closed by then. */
void http_connections_fini(struct http_server *server);
void http_connections_wake(struct http_server *server);
/* For MHD_OPTION_NOTIFY_CONNECTION. */
void http_connections_notify(void *server, struct MHD_Connection *mhd, void **context,
                             enum MHD_ConnectionNotificationCode code);
void http_connection_enter(struct http_connection *connection, enum http_phase phase,
                           int64_t now_ns);

/* ---- requests ---- */

struct http_answer {
    int status;
    const char *content_type, *cache_control, *policy, *allow, *extra_name, *extra_value;
    struct http_body *body;
    struct http_stream *stream;
    int retry_after_s;
    bool authenticate, preflight;
    unsigned rate_limit; /* 0: no X-RateLimit-* */
    char etag[HTTP_ETAG_MAX + 1];
    char filename[HTTP_FILENAME_MAX + 1];
};

struct http_chunk {
    struct http_chunk *next;
    max_align_t memory[];
};

struct http_request {
    struct http_server *server;
    struct http_connection *connection;
    struct MHD_Connection *mhd;
    const struct http_route *route;
    size_t operation;
    int64_t since_ns;
    struct http_fault fault; /* found with the request line */
    struct http_head head;   /* points into libmicrohttpd's memory: inside the handler only */
    bool head_only, begun, has_body, in_handler, answered, closes;
    const char *head_end;     /* where the body begins in libmicrohttpd's memory */
    const char *piece_end;    /* of the piece of the body handled last */
    const char *allow_origin; /* the configured one that matched */
    enum http_role role;
    char key_name[HTTP_KEY_NAME_MAX + 1];
    char peer[HTTP_PEER_SIZE];
    uint8_t parameter_at[HTTP_SEGMENTS_MAX];
    size_t n_parameters;
    struct http_target target;

    struct fw_buf body;
    size_t body_max, held, held_inflated;
    uint64_t body_wire;
    struct http_inflate *inflate;
    bool inflated_whole;

    struct http_chunk *chunks;
    size_t chunk_bytes;

    /* Deferral. One reference is libmicrohttpd's, a second one the handler's from http_defer() to
     * http_reply(). The rest is under server->deferred_lock once deferred. */
    _Atomic int refs;
    struct http_request *next_deferred, *prev_deferred;
    bool deferred, suspended, aborted;

    struct http_answer answer;
    size_t target_len;
    char text[]; /* the target */
};

/* Takes it off server->deferred. Under server->deferred_lock. */
void http_request_undefer(struct http_request *request);
void http_request_unref(struct http_request *request);
/* Decides whether the request goes on to its handler; otherwise request->answered. (admit.c) */
void http_admit(struct http_request *request, const char *method, const char *version);
/* One piece of the body, still where libmicrohttpd read it. A fault means that the connection must
 * close. (upload.c) */
struct http_fault http_upload(struct http_request *request, const char *data, size_t len);
/* After the last piece. */
void http_upload_end(struct http_request *request);
void http_upload_free(struct http_request *request);

/* Fills the answer. (reply.c) */
void http_refuse(struct http_request *request, enum http_refusal why, int status, const char *text);
void http_answer_set(struct http_request *request, const struct http_reply *reply);
/* Hands the answer to libmicrohttpd. Only on its thread. */
enum MHD_Result http_answer_send(struct http_request *request);
/* For refusals in the middle of a body, where libmicrohttpd takes no answer: written to the socket
 * as far as it takes it; the connection must then close. */
void http_answer_raw(struct http_request *request, struct http_fault fault);

/* ---- streams (stream.c) ---- */

/* Takes over the stream; NULL when out of memory. */
struct MHD_Response *http_stream_response(struct http_stream *stream);
void http_streams_end(struct http_server *server);

struct http_server {
    struct http_options options;
    _Atomic int refs; /* the owner's, and one for each deferred request */
    struct MHD_Daemon *mhd;
    uint16_t port;
    bool wire_checked; /* libmicrohttpd has the layout that http_wire_* knows */
    struct http_routes routes;
    struct http_policy *policy;
    const char *vary;
    atomic_bool rates_lifted;
    struct http_limiter *rates;    /* requests by route and source */
    struct http_limiter *failures; /* bad keys by source */
    struct http_limiter *proven; /* valid keys by source: they are not locked out by its failures */
    struct http_connections connections;
    pthread_mutex_t deferred_lock;
    struct http_request *deferred;
    struct http_stream *streams; /* under deferred_lock, as is `ending` */
    bool ending;                 /* streams end */
    _Atomic bool draining;       /* answers say "Connection: close" */
    bool aborting;               /* under deferred_lock: nothing is deferred any more */
    _Atomic uint64_t connections_total, requests_active, body_bytes_in, body_bytes_out;
    _Atomic size_t bodies_held, inflated_held;
    _Atomic uint64_t refused[HTTP_REFUSALS];
};

void http_server_unref(struct http_server *server);
static inline int64_t http_now_ns(const struct http_server *server)
{
    return fw_clock_mono_ns(server->options.clock);
}
static inline void http_count_refused(struct http_server *server, enum http_refusal why)
{
    atomic_fetch_add_explicit(&server->refused[why], 1, memory_order_relaxed);
}

#endif
