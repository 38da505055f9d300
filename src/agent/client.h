/* Requests to a daemon, or another server of metrics, over HTTP or HTTPS: one kept-alive
 * connection, deadlines on everything, redirects refused. One thread per client. */
#ifndef FW_AGENT_CLIENT_H
#define FW_AGENT_CLIENT_H

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent_client;

struct agent_client_options {
    const char *url;          /* of the daemon: http(s)://host[:port][/prefix] */
    const char *api_key;      /* sent as X-API-Key; NULL: none */
    const char *bearer;       /* a token, sent as Authorization; NULL: none */
    const char *basic;        /* user:password, likewise */
    const char *content_type; /* of bodies; NULL: application/json */
    unsigned connect_ms;      /* 0: 3000 */
    unsigned total_ms;        /* 0: 10000; one whole request */
    /* Asked about every second, and more often while bytes move, during a request; true ends it.
     * May be NULL. */
    bool (*interrupted)(void *ctx);
    void *ctx;
    /* Takes each answer's body whole, emptied first; NULL: its beginning is kept only. A body that
     * is longer than the buffer may be ends the request: code 0, and whole->failed. */
    struct fw_buf *whole;
};

enum { AGENT_ANSWER_TEXT_MAX = 1023 };
struct agent_answer {
    long code;                            /* HTTP status; 0: no answer came */
    int64_t retry_after_s;                /* -1: none given */
    char text[AGENT_ANSWER_TEXT_MAX + 1]; /* the body's beginning, or why no answer came */
};

/* FW_EINVAL: the URL is not http or https, or has a query; FW_ENOMEM. *out is the caller's,
 * released with agent_client_free(). */
FW_MUST_CHECK enum fw_status agent_client_new(const struct agent_client_options *options,
                                              struct agent_client **out, struct fw_error *err);
void agent_client_free(struct agent_client *client);

enum { AGENT_PATH_MAX = 16384 };
/* POST <url><path> with a body, or GET when body is NULL. What happened is in *answer. A path of
 * AGENT_PATH_MAX bytes or more is not asked for: code 0. */
void agent_client_request(struct agent_client *client, const char *path, const char *body,
                          size_t len, struct agent_answer *answer);

/* The first line of a file, without blanks around it, into key[cap]. FW_EIO: cannot be read;
 * FW_EINVAL: empty, too long, or with control bytes in it. */
FW_MUST_CHECK enum fw_status agent_client_read_key(const char *path, char *key, size_t cap,
                                                   struct fw_error *err);

#endif
