/* From an answer to what libmicrohttpd sends. */
#include "http/body_internal.h"
#include "http/server_internal.h"

#include "base/alloc.h"
#include "http/negotiate.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const char json[] = "application/json";
static const char closed_policy[] = "default-src 'none'; frame-ancestors 'none'";

/* Text that may stand in a header: letters, digits, '.', '_', '-'. */
static bool plain_text(const char *text, size_t max)
{
    static const char allowed[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-";
    const size_t len = strlen(text);
    return len >= 1 && len <= max && strspn(text, allowed) == len;
}

void http_answer_set(struct http_request *request, const struct http_reply *reply)
{
    struct http_answer *answer = &request->answer;
    assert(!request->answered);
    assert(reply->status >= 200 && reply->status <= 599);
    *answer = (struct http_answer){
        .status = reply->status,
        .content_type = reply->content_type == NULL ? json : reply->content_type,
        .cache_control = reply->cache_control,
        .policy = reply->policy == NULL ? closed_policy : reply->policy,
        .allow = reply->allow,
        .extra_name = reply->extra_name,
        .extra_value = reply->extra_value,
        .body = reply->body,
        .retry_after_s = reply->retry_after_s,
        .authenticate = reply->authenticate,
    };
    if (reply->etag != NULL) {
        assert(plain_text(reply->etag, HTTP_ETAG_MAX));
        memcpy(answer->etag, reply->etag, strlen(reply->etag));
    }
    if (reply->filename != NULL) {
        assert(plain_text(reply->filename, HTTP_FILENAME_MAX));
        memcpy(answer->filename, reply->filename, strlen(reply->filename));
    }
    if (answer->cache_control == NULL)
        answer->cache_control = reply->etag == NULL ? "no-store" : "no-cache";
    request->answered = true;
}

/* {"detail": text}, with the same text as "error" where the reference's clients look for that. */
static struct http_body *detail_body(const char *text, bool error_too)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 4096);
    fw_buf_putc(&buf, '{');
    if (error_too) {
        fw_buf_json_key(&buf, "error");
        fw_buf_json_string(&buf, text, strlen(text));
        fw_buf_putc(&buf, ',');
    }
    fw_buf_json_key(&buf, "detail");
    fw_buf_json_string(&buf, text, strlen(text));
    fw_buf_putc(&buf, '}');
    return http_body_new_take(&buf);
}

void http_refuse(struct http_request *request, enum http_refusal why, int status, const char *text)
{
    http_count_refused(request->server, why);
    const struct http_reply reply = {.status = status, .body = detail_body(text, status == 429)};
    http_answer_set(request, &reply);
}

/* ---- building a response ---- */

static const char *const encoding_names[HTTP_ENCODINGS] = {"", "gzip", "zstd"};

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_number(struct MHD_Response *response, const char *name, long value)
{
    char text[24];
    snprintf(text, sizeof text, "%ld", value);
    return add(response, name, text);
}

/* The headers that depend on nothing but the body and how it is served. */
static bool add_common(struct MHD_Response *response, const struct http_answer *answer,
                       const char *vary, enum http_encoding encoding, bool unchanged)
{
    char etag[HTTP_ETAG_MAX + 8];
    snprintf(etag, sizeof etag, "W/\"%s\"", answer->etag);
    return (unchanged || add(response, "Content-Type", answer->content_type)) &&
           (unchanged || encoding == HTTP_IDENTITY ||
            add(response, "Content-Encoding", encoding_names[encoding])) &&
           (answer->etag[0] == '\0' || add(response, "ETag", etag)) &&
           add(response, "Cache-Control", answer->cache_control) && add(response, "Vary", vary) &&
           add(response, "X-Content-Type-Options", "nosniff") &&
           add(response, "X-Frame-Options", "DENY") &&
           add(response, "Referrer-Policy", "no-referrer") &&
           add(response, "Content-Security-Policy", answer->policy);
}

/* The headers of one answer only. */
static bool add_special(struct MHD_Response *response, const struct http_request *request)
{
    const struct http_answer *answer = &request->answer;
    bool good = true;
    if (answer->retry_after_s > 0)
        good = good && add_number(response, "Retry-After", answer->retry_after_s);
    if (answer->rate_limit > 0)
        good = good && add_number(response, "X-RateLimit-Limit", answer->rate_limit) &&
               add(response, "X-RateLimit-Remaining", "0") &&
               add_number(response, "X-RateLimit-Reset", answer->retry_after_s);
    if (answer->filename[0] != '\0') {
        char text[HTTP_FILENAME_MAX + 32];
        snprintf(text, sizeof text, "attachment; filename=\"%s\"", answer->filename);
        good = good && add(response, "Content-Disposition", text);
    }
    if (answer->allow != NULL)
        good = good && add(response, "Allow", answer->allow);
    if (answer->extra_name != NULL)
        good = good && add(response, answer->extra_name, answer->extra_value);
    if (answer->authenticate)
        good = good && add(response, "WWW-Authenticate", "Bearer realm=\"forewarn\"");
    if (request->allow_origin != NULL) {
        good = good && add(response, "Access-Control-Allow-Origin", request->allow_origin);
        if (request->allow_origin[0] != '*')
            good = good && add(response, "Access-Control-Allow-Credentials", "true");
    }
    if (answer->preflight)
        good = good && add(response, "Access-Control-Allow-Methods", "GET, POST") &&
               add(response, "Access-Control-Max-Age", "600") &&
               add(response, "Access-Control-Allow-Headers",
                   "Accept, Accept-Language, Content-Language, Content-Type, X-API-Key");
    if (request->closes || atomic_load_explicit(&request->server->draining, memory_order_relaxed))
        good = good && add(response, "Connection", "close");
    return good;
}

static bool is_special(const struct http_request *request)
{
    const struct http_answer *answer = &request->answer;
    return answer->retry_after_s > 0 || answer->extra_name != NULL || answer->filename[0] != '\0' ||
           answer->allow != NULL || answer->authenticate || answer->rate_limit > 0 ||
           answer->preflight || request->allow_origin != NULL || request->closes ||
           atomic_load_explicit(&request->server->draining, memory_order_relaxed);
}

/* A response that points at the body's bytes and keeps them alive; it holds the common headers. */
static struct MHD_Response *new_response(const struct http_answer *answer, const char *vary,
                                         enum http_encoding encoding, bool unchanged)
{
    struct MHD_Response *response;
    if (answer->stream != NULL) {
        response = http_stream_response(answer->stream);
    } else if (unchanged || answer->body == NULL) {
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    } else {
        size_t len;
        const void *data = http_body_bytes(answer->body, encoding, &len);
        void *bytes; /* libmicrohttpd only reads it, but does not say so */
        memcpy(&bytes, &data, sizeof bytes);
        http_body_pin(answer->body);
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            len, bytes, http_body_unpin, answer->body);
        if (response == NULL)
            http_body_unpin(answer->body);
    }
    if (response != NULL && !add_common(response, answer, vary, encoding, unchanged)) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

static bool prepared_for(const struct http_prepared_for *have, const struct http_answer *answer,
                         const char *vary)
{
    return have->content_type == answer->content_type && have->policy == answer->policy &&
           have->cache_control == answer->cache_control && have->vary == vary &&
           strcmp(have->etag, answer->etag) == 0;
}

/* The body's own ready-made response, made now if it is the first of its kind; it stays the body's.
 * NULL: none for answers like this one. */
static struct MHD_Response *prepared_response(const struct http_answer *answer, const char *vary,
                                              enum http_encoding encoding, bool unchanged)
{
    struct http_body *body = answer->body;
    struct MHD_Response *ready = atomic_load(&body->prepared[encoding][unchanged]);
    if (ready != NULL)
        return prepared_for(&body->prepared_for, answer, vary) ? ready : NULL;
    size_t len;
    (void)http_body_bytes(body, encoding, &len); /* takes the same lock */
    pthread_mutex_lock(&body->lock);
    if (!body->prepared_any) {
        body->prepared_for = (struct http_prepared_for){
            .content_type = answer->content_type,
            .cache_control = answer->cache_control,
            .policy = answer->policy,
            .vary = vary,
        };
        memcpy(body->prepared_for.etag, answer->etag, sizeof answer->etag);
        body->prepared_any = true;
    }
    ready = atomic_load(&body->prepared[encoding][unchanged]);
    if (!prepared_for(&body->prepared_for, answer, vary)) {
        ready = NULL;
    } else if (ready == NULL) {
        ready = new_response(answer, vary, encoding, unchanged);
        atomic_store(&body->prepared[encoding][unchanged], ready);
    }
    pthread_mutex_unlock(&body->lock);
    return ready;
}

static enum http_encoding choose_encoding(const struct http_request *request)
{
    const struct http_text accepted = request->head.accept_encoding;
    struct http_body *body = request->answer.body;
    if (accepted.at == NULL || body == NULL)
        return HTTP_IDENTITY;
    enum http_encoding best;
    const unsigned allowed = http_accept_encoding(accepted.at, accepted.len, &best);
    size_t len;
    if (best != HTTP_IDENTITY && http_body_bytes(body, best, &len) != NULL)
        return best;
    const enum http_encoding other = best == HTTP_ZSTD ? HTTP_GZIP : HTTP_ZSTD;
    if ((allowed & 1U << other) != 0 && http_body_bytes(body, other, &len) != NULL)
        return other;
    return HTTP_IDENTITY;
}

enum MHD_Result http_answer_send(struct http_request *request)
{
    struct http_server *server = request->server;
    struct http_answer *answer = &request->answer;
    const struct http_text seen = request->head.if_none_match;
    const bool reads = request->route != NULL && strcmp(request->route->method, "GET") == 0;
    const bool unchanged = reads && answer->status == 200 && answer->etag[0] != '\0' &&
                           seen.at != NULL && http_none_match(seen.at, seen.len, answer->etag);
    const enum http_encoding encoding = unchanged ? HTTP_IDENTITY : choose_encoding(request);
    const bool special = is_special(request);
    struct MHD_Response *response = NULL;
    bool owned = false;
    if (!special && answer->body != NULL)
        response = prepared_response(answer, server->vary, encoding, unchanged);
    if (response == NULL) {
        response = new_response(answer, server->vary, encoding, unchanged);
        owned = true;
        if (response == NULL || (special && !add_special(response, request))) {
            if (response != NULL)
                MHD_destroy_response(response);
            return MHD_NO; /* out of memory: the connection closes */
        }
    }
    size_t len = 0;
    if (!unchanged && answer->body != NULL && !request->head_only)
        (void)http_body_bytes(answer->body, encoding, &len);
    if (unchanged)
        answer->status = 304;
    atomic_fetch_add_explicit(&server->body_bytes_out, len, memory_order_relaxed);
    atomic_store_explicit(&request->connection->moved, len, memory_order_relaxed);
    http_connection_enter(request->connection,
                          answer->stream != NULL ? HTTP_PHASE_STREAM : HTTP_PHASE_SEND,
                          http_now_ns(server));
    const enum MHD_Result queued =
        MHD_queue_response(request->mhd, (unsigned)answer->status, response);
    if (owned)
        MHD_destroy_response(response);
    http_body_unref(answer->body);
    answer->body = NULL;
    return queued;
}

void http_answer_raw(struct http_request *request, struct http_fault fault)
{
    const char *reason = MHD_get_reason_phrase_for((unsigned)fault.status);
    char text[512];
    const int body_len = (int)strlen(fault.text) + 13; /* {"detail":""} */
    const int len =
        snprintf(text, sizeof text,
                 "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
                 "Content-Length: %d\r\nCache-Control: no-store\r\n"
                 "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
                 "Referrer-Policy: no-referrer\r\n\r\n{\"detail\":\"%s\"}",
                 fault.status, reason == NULL ? "Error" : reason, body_len, fault.text);
    if (len > 0 && (size_t)len < sizeof text)
        (void)send(request->connection->fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
    request->answer.status = fault.status;
    request->connection->linger = true;
}

/* ---- what handlers call ---- */

void http_reply(struct http_request *request, const struct http_reply *reply)
{
    if (!request->deferred) {
        assert(request->in_handler);
        http_answer_set(request, reply);
        return;
    }
    struct http_server *server = request->server;
    pthread_mutex_lock(&server->deferred_lock);
    const bool late = request->aborted;
    if (!late) {
        http_answer_set(request, reply);
        http_request_undefer(request);
        if (request->suspended)
            MHD_resume_connection(request->mhd);
    }
    pthread_mutex_unlock(&server->deferred_lock);
    if (late)
        http_body_unref(reply->body);
    http_request_unref(request);
}

void http_reply_detail(struct http_request *request, int status, const char *text)
{
    const struct http_reply reply = {.status = status, .body = detail_body(text, status == 429)};
    http_reply(request, &reply);
}

void http_reply_json(struct http_request *request, int status, struct fw_buf *buf)
{
    struct http_body *body = http_body_new_take(buf);
    if (body == NULL) {
        http_reply_detail(request, 500, "Out of memory");
        return;
    }
    const struct http_reply reply = {.status = status, .body = body};
    http_reply(request, &reply);
}

void http_defer(struct http_request *request)
{
    struct http_server *server = request->server;
    assert(request->in_handler && !request->deferred && !request->answered);
    atomic_fetch_add(&request->refs, 1);
    atomic_fetch_add(&server->refs, 1);
    request->deferred = true;
    pthread_mutex_lock(&server->deferred_lock);
    request->prev_deferred = NULL;
    request->next_deferred = server->deferred;
    if (server->deferred != NULL)
        server->deferred->prev_deferred = request;
    server->deferred = request;
    pthread_mutex_unlock(&server->deferred_lock);
}
