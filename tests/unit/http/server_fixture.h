/* A server with a few routes, as the tests of this folder need it. */
#ifndef FW_TESTS_HTTP_FIXTURE_H
#define FW_TESTS_HTTP_FIXTURE_H

#include "client.h"

#include "base/buf.h"
#include "http/keys.h"
#include "http/server.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BODY_MAX = 1 << 20 };

struct fixture {
    struct http_server *server;
    struct http_keys *keys;
    struct http_body *big; /* 200,000 bytes of JSON-like text */
    uint16_t port;
    _Atomic unsigned handled; /* calls of any handler */
    _Atomic uint64_t body_seen;
    pthread_mutex_t lock;
    struct http_request *held; /* deferred by /later */
};

/* GET /echo/{name}: what the server understood, as JSON. */
static void on_echo(void *ctx, struct http_request *request)
{
    struct fixture *fixture = ctx;
    fixture->handled++;
    struct fw_buf buf;
    fw_buf_init(&buf, 1 << 20);
    fw_buf_puts(&buf, "{\"path\":");
    const char *name = http_request_path(request, "name");
    fw_buf_json_string(&buf, name == NULL ? "" : name, name == NULL ? 0 : strlen(name));
    fw_buf_puts(&buf, ",\"query\":[");
    for (size_t i = 0; i < http_request_query_count(request); i++) {
        const char *key = http_request_query_name(request, i);
        const char *value = http_request_query_value(request, i);
        if (i > 0)
            fw_buf_putc(&buf, ',');
        fw_buf_json_string(&buf, key, strlen(key));
        fw_buf_putc(&buf, ',');
        fw_buf_json_string(&buf, value, strlen(value));
    }
    const char *key_name = http_request_key_name(request);
    fw_buf_printf(&buf, "],\"key\":\"%s\",\"role\":\"%s\",\"peer\":\"%s\"}", key_name,
                  http_role_name(http_request_role(request)), http_request_peer(request));
    http_reply_json(request, 200, &buf);
}

/* POST /take: {"len":n,"sum":n} of the body. */
static void on_take(void *ctx, struct http_request *request)
{
    struct fixture *fixture = ctx;
    fixture->handled++;
    size_t len;
    const char *body = http_request_body(request, &len);
    unsigned long sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + (unsigned char)body[i];
    assert_int_equal(body[len], '\0');
    fixture->body_seen += len;
    struct fw_buf buf;
    fw_buf_init(&buf, 4096);
    fw_buf_printf(&buf, "{\"len\":%zu,\"sum\":%lu}", len, sum);
    http_reply_json(request, 200, &buf);
}

static void on_ok(void *ctx, struct http_request *request)
{
    struct fixture *fixture = ctx;
    fixture->handled++;
    const struct http_reply reply = {.status = 200, .body = http_body_static("{\"ok\":true}", 11)};
    http_reply(request, &reply);
}

static void on_big(void *ctx, struct http_request *request)
{
    struct fixture *fixture = ctx;
    fixture->handled++;
    pthread_mutex_lock(&fixture->lock);
    struct http_body *big = http_body_ref(fixture->big);
    pthread_mutex_unlock(&fixture->lock);
    const struct http_reply reply = {.status = 200, .body = big, .etag = "v1-200000"};
    http_reply(request, &reply);
}

static void on_later(void *ctx, struct http_request *request)
{
    struct fixture *fixture = ctx;
    fixture->handled++;
    http_defer(request);
    pthread_mutex_lock(&fixture->lock);
    assert_null(fixture->held);
    fixture->held = request;
    pthread_mutex_unlock(&fixture->lock);
}

static inline struct http_request *take_held(struct fixture *fixture)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&fixture->lock);
        struct http_request *held = fixture->held;
        fixture->held = NULL;
        pthread_mutex_unlock(&fixture->lock);
        if (held != NULL)
            return held;
        pause_ms(2);
    }
    fail_msg("no request was deferred");
    return NULL;
}

static inline void fixture_start(struct fixture *fixture, const struct http_options *options)
{
    const struct http_route routes[] = {
        {"GET",    "/",             HTTP_OPEN,  true,  0, 0,        "root",    on_ok,    fixture, NULL},
        {"GET",    "/health",       HTTP_OPEN,  true,  0, 0,        "health",  on_ok,    fixture, NULL},
        {"GET",    "/status",       HTTP_READ,  true,  0, 0,        "status",  on_ok,    fixture, NULL},
        {"GET",    "/limited",      HTTP_READ,  true,  5, 0,        "limited", on_ok,    fixture, NULL},
        {"GET",    "/also-limited", HTTP_READ,  false, 3, 0,        "limited", on_ok,    fixture, NULL},
        {"POST",   "/take",         HTTP_WRITE, true,  0, BODY_MAX, "take",    on_take,  fixture, NULL},
        {"POST",   "/limited-take", HTTP_WRITE, true,  2, BODY_MAX, "take",    on_take,  fixture, NULL},
        {"GET",    "/echo/{name}",  HTTP_READ,  false, 0, 0,        "echo",    on_echo,  fixture, NULL},
        {"GET",    "/echo/literal", HTTP_READ,  false, 0, 0,        "literal", on_ok,    fixture, NULL},
        {"GET",    "/api/v1/big",   HTTP_READ,  false, 0, 0,        "big",     on_big,   fixture, NULL},
        {"POST",   "/later",        HTTP_WRITE, false, 0, BODY_MAX, "later",   on_later, fixture, NULL},
        {"GET",    "/later",        HTTP_READ,  false, 0, 0,        "later",   on_later, fixture, NULL},
        {"GET",    "/admin/x",      HTTP_ADMIN, false, 0, 0,        "admin",   on_ok,    fixture, NULL},
        {"DELETE", "/admin/x",      HTTP_ADMIN, false, 0, 0,        "admin",   on_ok,    fixture, NULL},
    };
    struct http_options defaults;
    if (options == NULL) {
        http_options_init(&defaults);
        options = &defaults;
    }
    *fixture = (struct fixture){.keys = options->keys};
    pthread_mutex_init(&fixture->lock, NULL);
    struct fw_buf buf;
    fw_buf_init(&buf, 1 << 20);
    while (buf.len < 200000)
        fw_buf_printf(&buf, "{\"t\":%zu,\"v\":%zu.5},", buf.len, buf.len * 7 % 1000);
    buf.len = 200000;
    fixture->big = http_body_new_take(&buf);
    struct fw_error err = {0};
    if (http_server_start(options, routes, COUNT_OF(routes), &fixture->server, &err) != FW_OK)
        fail_msg("start: %s", err.text);
    fixture->port = http_server_port(fixture->server);
}

static inline void fixture_stop(struct fixture *fixture)
{
    http_server_stop(fixture->server, 2000);
    http_body_unref(fixture->big);
    http_keys_free(fixture->keys);
    pthread_mutex_destroy(&fixture->lock);
}

/* Three keys, one per role. */
static inline struct http_keys *three_keys(void)
{
    struct http_keys *keys = http_keys_new();
    assert_int_equal(http_keys_add_plain(keys, "reader", HTTP_READ, "read-key-1", NULL), FW_OK);
    assert_int_equal(http_keys_add_plain(keys, "writer", HTTP_WRITE, "write-key-1", NULL), FW_OK);
    assert_int_equal(http_keys_add_plain(keys, "boss", HTTP_ADMIN, "admin-key-1", NULL), FW_OK);
    return keys;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define GET_WITH(path, headers) "GET " path " HTTP/1.1\r\nHost: localhost\r\n" headers "\r\n"
#define POST_WITH(path, headers) "POST " path " HTTP/1.1\r\nHost: localhost\r\n" headers "\r\n"

#endif
