/* Who gets in: keys, roles, brute force, rate limits, Host, Origin and CORS. */
#include "server_fixture.h"

#include "base/clock.h"

static struct answer ask_with(uint16_t port, const char *from, const char *method, const char *path,
                              const char *headers)
{
    char text[16384];
    const int len = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                             method, path, headers);
    assert_true(len > 0 && (size_t)len < sizeof text);
    return ask_from(from, port, text, (size_t)len);
}

static int status_with(uint16_t port, const char *from, const char *method, const char *path,
                       const char *headers)
{
    struct answer answer = ask_with(port, from, method, path, headers);
    answer_free(&answer);
    return answer.status;
}

static void start_with_keys(struct fixture *fixture, struct fw_clock_fake *clock)
{
    struct http_options options;
    http_options_init(&options);
    options.keys = three_keys();
    options.failures_per_minute = 1000000; /* the tests of brute force lower it */
    if (clock != NULL) {
        fw_clock_fake_init(clock, 0);
        options.clock = &clock->clock;
    }
    fixture_start(fixture, &options);
}

static void test_key_table(void **state)
{
    (void)state;
    static const struct {
        const char *name, *headers;
        int role; /* what it opens: 0 nothing, 1 reading, 2 writing, 3 all */
    } keys[] = {
        {"none",                              "",                                                       0},
        {"empty",                             "X-API-Key:\r\n",                                         0},
        {"blank",                             "X-API-Key:  \r\n",                                       0},
        {"right",                             "X-API-Key: read-key-1\r\n",                              1},
        {"right with blanks",                 "X-API-Key:   read-key-1  \t\r\n",                        1},
        {"header name in capitals",           "X-API-KEY: read-key-1\r\n",                              1},
        {"writer",                            "X-API-Key: write-key-1\r\n",                             2},
        {"admin",                             "X-API-Key: admin-key-1\r\n",                             3},
        {"bearer",                            "Authorization: Bearer admin-key-1\r\n",                  3},
        {"bearer, any case",                  "authorization: bEARER   admin-key-1\r\n",                3},
        {"token",                             "Authorization: Token write-key-1\r\n",                   2},
        {"basic",                             "Authorization: Basic dXNlcjphZG1pbi1rZXktMQ==\r\n",      3},
        {"basic without a user",              "Authorization: Basic OmFkbWluLWtleS0x\r\n",              3},
        {"basic, key as the user",            "Authorization: Basic YWRtaW4ta2V5LTE6\r\n",              0},
        {"basic, no colon",                   "Authorization: Basic YWRtaW4ta2V5LTE=\r\n",              0},
        {"basic, not base64",                 "Authorization: Basic !!!!\r\n",                          0},
        {"basic, padding only",               "Authorization: Basic ====\r\n",                          0},
        {"basic, nothing",                    "Authorization: Basic\r\n",                               0},
        {"digest",                            "Authorization: Digest admin-key-1\r\n",                  0},
        {"no scheme",                         "Authorization: admin-key-1\r\n",                         0},
        {"scheme alone",                      "Authorization: Bearer\r\n",                              0},
        {"two words",                         "Authorization: Bearer admin-key-1 x\r\n",                0},
        {"comma list",                        "Authorization: Bearer x, Bearer admin-key-1\r\n",        0},
        {"X-API-Key wins over Authorization",
         "X-API-Key: bad\r\nAuthorization: Bearer admin-key-1\r\n",                                     0},
        {"X-API-Key wins when right",         "X-API-Key: read-key-1\r\nAuthorization: Bearer bad\r\n", 1},
        {"capitals",                          "X-API-Key: READ-KEY-1\r\n",                              0},
        {"first byte wrong",                  "X-API-Key: sead-key-1\r\n",                              0},
        {"last byte wrong",                   "X-API-Key: read-key-2\r\n",                              0},
        {"one byte short",                    "X-API-Key: read-key-\r\n",                               0},
        {"one byte long",                     "X-API-Key: read-key-11\r\n",                             0},
        {"prefix of all",                     "X-API-Key: r\r\n",                                       0},
        {"two keys with a blank",             "X-API-Key: read-key-1 admin-key-1\r\n",                  0},
        {"two keys with a comma",             "X-API-Key: read-key-1,admin-key-1\r\n",                  0},
        {"quoted",                            "X-API-Key: \"admin-key-1\"\r\n",                         0},
        {"single quotes",                     "X-API-Key: 'admin-key-1'\r\n",                           0},
        {"percent-encoded",                   "X-API-Key: admin%2Dkey-1\r\n",                           0},
        {"name of a key",                     "X-API-Key: boss\r\n",                                    0},
        {"name and key",                      "X-API-Key: boss:admin-key-1\r\n",                        0},
        {"null",                              "X-API-Key: null\r\n",                                    0},
        {"undefined",                         "X-API-Key: undefined\r\n",                               0},
        {"zero",                              "X-API-Key: 0\r\n",                                       0},
        {"asterisk",                          "X-API-Key: *\r\n",                                       0},
        {"SQL",                               "X-API-Key: ' OR '1'='1\r\n",                             0},
        {"format",                            "X-API-Key: %s%s%n\r\n",                                  0},
        {"path",                              "X-API-Key: ../../etc/passwd\r\n",                        0},
        {"UTF-8",                             "X-API-Key: \xc3\xa9\xc3\xa9\r\n",                        0},
        {"not UTF-8",                         "X-API-Key: \xff\xfe\r\n",                                0},
        {"hash of the key",
         "X-API-Key: "
         "c8b4c0e0e6a1b5d0f6a6b0e5c6ad3b2d3c6d4f5a0b1c2d3e4f5061728394a5b6\r\n",                        0},
        {"in a cookie",                       "Cookie: X-API-Key=admin-key-1\r\n",                      0},
        {"another header",                    "X-API-Token: admin-key-1\r\n",                           0},
        {"underscores",                       "X_API_Key: admin-key-1\r\n",                             0},
        {"forwarded for",                     "X-Forwarded-For: 127.0.0.1\r\n",                         0},
        {"method override",                   "X-HTTP-Method-Override: GET\r\n",                        0},
        {"original URL",                      "X-Original-URL: /health\r\n",                            0},
        {"rewrite URL",                       "X-Rewrite-URL: /health\r\n",                             0},
        {"two words after basic",             "Authorization: Basic dXNlcjphZG1pbi1rZXktMQ== x\r\n",    0},
    };
    struct fixture fixture;
    start_with_keys(&fixture, NULL);
    size_t n_routes;
    const struct http_route *routes = http_server_routes(fixture.server, &n_routes);
    for (size_t k = 0; k < COUNT_OF(keys); k++) {
        for (size_t r = 0; r < n_routes; r++) {
            const struct http_route *route = &routes[r];
            if (strcmp(route->path, "/later") == 0)
                continue; /* never answers by itself */
            if (route->rate_per_minute > 0 && keys[k].role > 0)
                continue;
            const char *path = strcmp(route->path, "/echo/{name}") == 0 ? "/echo/x" : route->path;
            const unsigned before = fixture.handled;
            struct answer answer =
                ask_with(fixture.port, NULL, route->method, path, keys[k].headers);
            char name[200];
            snprintf(name, sizeof name, "%s: %s %s", keys[k].name, route->method, path);
            const bool allowed = keys[k].role >= (int)route->role;
            const int refused =
                route->legacy || (keys[k].role > 0 && keys[k].role < (int)route->role) ? 403 : 401;
            CHECK_EQ(name, answer.status, allowed ? 200 : refused);
            CHECK_EQ(name, fixture.handled - before, allowed);
            if (!allowed && route->legacy)
                CHECK_STR(name, answer.body,
                          "{\"detail\":\"Invalid or missing API key. Set TFT_API_KEY environment "
                          "variable.\"}");
            if (answer.status == 401)
                CHECK_STR(name, header_of(&answer, "WWW-Authenticate"),
                          "Bearer realm=\"forewarn\"");
            CHECK_TRUE(name, strstr(answer.body, "-key-1") == NULL);
            answer_free(&answer);
        }
    }
    fixture_stop(&fixture);
}

/* Ways to write a protected path: each is refused or not found, and no handler runs. */
static void test_path_twists(void **state)
{
    (void)state;
    static const char *const twists[] = {
        "/status",
        "/status/",
        "//status",
        "/status//",
        "/./status",
        "/health/../status",
        "/health/..%2fstatus",
        "/health%2f..%2fstatus",
        "/%73tatus",
        "/status?x=1",
        "/status?/health",
        "/status;/health",
        "/status%00/health",
        "/status%20",
        "/STATUS",
        "/status%2f",
        "/status/.",
        "/health/%2e%2e/status",
        "/%2e/status",
        "/status%3fhealth",
        "/admin/x",
        "/admin//x",
        "/admin/%78",
        "/api/v1/big",
        "/api/v1/../v1/big",
        "/echo/..",
        "/echo/%2e%2e",
        "/echo/health",
    };
    static const char *const methods[] = {"GET",    "HEAD",    "POST",  "PUT",     "PATCH",
                                          "DELETE", "OPTIONS", "TRACE", "PROPFIND"};
    struct fixture fixture;
    start_with_keys(&fixture, NULL);
    for (size_t i = 0; i < COUNT_OF(twists); i++)
        for (size_t m = 0; m < COUNT_OF(methods); m++) {
            const int status = status_with(fixture.port, NULL, methods[m], twists[i], "");
            CHECK_TRUE(twists[i], status >= 400 && status <= 499);
        }
    assert_int_equal(fixture.handled, 0);
    fixture_stop(&fixture);
}

/* The answer comes without a byte of the body having been sent, and no "100 Continue" invites one.
 */
static void test_unknown_key_sends_no_body(void **state)
{
    (void)state;
    struct fixture fixture;
    start_with_keys(&fixture, NULL);
    static const char *const headers[] = {
        "X-API-Key: bad\r\nContent-Length: 1000000\r\n",
        "X-API-Key: bad\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n",
        "X-API-Key: bad\r\nTransfer-Encoding: chunked\r\n",
        "X-API-Key: read-key-1\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n",
        "Content-Length: 1000000\r\nContent-Encoding: gzip\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        char text[512];
        snprintf(text, sizeof text, "POST /take HTTP/1.1\r\nHost: localhost\r\n%s\r\n", headers[i]);
        const int fd = connect_to(NULL, fixture.port);
        send_all(fd, text, strlen(text));
        struct reader in = {0};
        while (in.data == NULL || memmem(in.data, in.len, "\r\n\r\n", 4) == NULL)
            if (read_more(fd, &in, CLIENT_TIMEOUT_MS) <= 0)
                fail_msg("%s: no answer", headers[i]);
        CHECK_TRUE(headers[i], strncmp(in.data, "HTTP/1.1 403", 12) == 0);
        free(in.data);
        close(fd);
    }
    struct http_stats stats;
    http_server_stats(fixture.server, &stats);
    assert_int_equal(stats.body_bytes_in, 0);
    assert_int_equal(stats.refused[HTTP_REFUSED_KEY], COUNT_OF(headers));
    fixture_stop(&fixture);
}

/* A client that sends all of a large body before it reads still gets to read why it was refused. */
static void test_refused_upload_is_answered(void **state)
{
    (void)state;
    struct fixture fixture;
    start_with_keys(&fixture, NULL);
    enum { LEN = 4 << 20 };
    char *text = malloc(LEN + 200);
    const int head = sprintf(text,
                             "POST /take HTTP/1.1\r\nHost: localhost\r\nX-API-Key: bad\r\n"
                             "Content-Length: %d\r\n\r\n",
                             LEN);
    memset(text + head, 'x', LEN);
    for (int i = 0; i < 5; i++) {
        struct answer answer = ask_from(NULL, fixture.port, text, (size_t)head + LEN);
        assert_int_equal(answer.status, 403);
        assert_true(answer.closed);
        answer_free(&answer);
    }
    free(text);
    fixture_stop(&fixture);
}

static void test_brute_force(void **state)
{
    (void)state;
    struct fw_clock_fake clock;
    struct http_options options;
    struct fixture fixture;
    fw_clock_fake_init(&clock, 0);
    http_options_init(&options);
    options.clock = &clock.clock;
    options.keys = three_keys();
    fixture_start(&fixture, &options);
    const char *bad = "X-API-Key: wrong\r\n", *good = "X-API-Key: read-key-1\r\n";
    const char *here = "127.0.0.2", *proven = "127.0.0.3", *elsewhere = "127.0.0.4";
    assert_int_equal(status_with(fixture.port, proven, "GET", "/status", good), 200);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(status_with(fixture.port, here, "GET", "/echo/x", bad), 401);
        assert_int_equal(status_with(fixture.port, proven, "GET", "/status", bad), 403);
    }
    struct answer answer = ask_with(fixture.port, here, "GET", "/status", bad);
    assert_int_equal(answer.status, 429);
    assert_non_null(header_of(&answer, "Retry-After"));
    answer_free(&answer);
    /* Guessing right does not show, but whoever proved the key before, or is elsewhere, goes on. */
    assert_int_equal(status_with(fixture.port, here, "GET", "/status", good), 429);
    assert_int_equal(status_with(fixture.port, here, "GET", "/health", good), 200);
    assert_int_equal(status_with(fixture.port, here, "GET", "/status", ""), 403);
    assert_int_equal(status_with(fixture.port, proven, "GET", "/status", bad), 429);
    assert_int_equal(status_with(fixture.port, proven, "GET", "/status", good), 200);
    assert_int_equal(status_with(fixture.port, elsewhere, "GET", "/status", good), 200);
    assert_int_equal(status_with(fixture.port, elsewhere, "GET", "/status", bad), 403);
    fw_clock_fake_advance_ms(&clock, 60000);
    assert_int_equal(status_with(fixture.port, here, "GET", "/status", good), 200);
    fixture_stop(&fixture);
}

static void test_rate_limits(void **state)
{
    (void)state;
    struct fw_clock_fake clock;
    struct fixture fixture;
    start_with_keys(&fixture, &clock);
    const char *reader = "X-API-Key: read-key-1\r\n", *writer = "X-API-Key: write-key-1\r\n";
    for (int i = 0; i < 5; i++) /* per key: the address makes no difference */
        assert_int_equal(
            status_with(fixture.port, i % 2 ? "127.0.0.2" : NULL, "GET", "/limited", reader), 200);
    fw_clock_fake_advance_ms(&clock, 20500);
    struct answer answer = ask_with(fixture.port, NULL, "GET", "/limited", reader);
    assert_int_equal(answer.status, 429);
    assert_string_equal(answer.body, "{\"error\":\"Rate limit exceeded: 5 per 1 minute\","
                                     "\"detail\":\"Rate limit exceeded: 5 per 1 minute\"}");
    assert_string_equal(header_of(&answer, "Retry-After"), "40");
    assert_string_equal(header_of(&answer, "X-RateLimit-Limit"), "5");
    assert_string_equal(header_of(&answer, "X-RateLimit-Remaining"), "0");
    assert_string_equal(header_of(&answer, "X-RateLimit-Reset"), "40");
    answer_free(&answer);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", writer), 200);
    for (int i = 0; i < 3; i++) /* each route counts on its own */
        assert_int_equal(status_with(fixture.port, NULL, "GET", "/also-limited", reader), 200);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/also-limited", reader), 429);
    /* Beyond the limit no body is read. */
    const char *upload = "X-API-Key: write-key-1\r\nContent-Length: 500000\r\n";
    const char *empty = "X-API-Key: write-key-1\r\nContent-Length: 0\r\n";
    assert_int_equal(status_with(fixture.port, NULL, "POST", "/limited-take", empty), 200);
    assert_int_equal(status_with(fixture.port, NULL, "POST", "/limited-take", empty), 200);
    assert_int_equal(status_with(fixture.port, NULL, "POST", "/limited-take", upload), 429);
    fw_clock_fake_advance_ms(&clock, 39499);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", reader), 429);
    fw_clock_fake_advance_ms(&clock, 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", reader), 200);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", reader), 429);
    fixture_stop(&fixture);
}

static void test_rate_limits_open(void **state)
{
    (void)state;
    struct fw_clock_fake clock;
    struct http_options options;
    struct fixture fixture;
    fw_clock_fake_init(&clock, 0);
    http_options_init(&options);
    options.clock = &clock.clock;
    fixture_start(&fixture, &options);
    for (int i = 0; i < 5; i++)
        assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", ""), 200);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", ""), 429);
    assert_int_equal(status_with(fixture.port, "127.0.0.2", "GET", "/limited", ""), 200);
    fixture_stop(&fixture);

    options.rate_limits_off = true;
    fixture_start(&fixture, &options);
    for (int i = 0; i < 20; i++)
        assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", ""), 200);
    http_server_limit_rates(fixture.server, true);
    for (int i = 0; i < 5; i++)
        assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", ""), 200);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", ""), 429);
    http_server_limit_rates(fixture.server, false);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/limited", ""), 200);
    fixture_stop(&fixture);
}

static void test_host_names(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int status;
    } rows[] = {
        {"localhost",              200},
        {"localhost:8000",         200},
        {"LOCALHOST",              200},
        {"localhost.",             200},
        {"127.0.0.1",              200},
        {"127.0.0.1:80",           200},
        {"192.0.2.7:8000",         200},
        {"[::1]",                  200},
        {"[::1]:8000",             200},
        {"[2001:db8::1]",          200},
        {"metrics.example",        200},
        {"Metrics.Example:8000",   200},
        {"evil.example",           400},
        {"localhost.evil.example", 400},
        {"xlocalhost",             400},
        {"metrics.example.evil",   400},
        {"[::1",                   400},
        {"[evil]",                 400},
        {"::1",                    400},
        {"localhost:",             200},
        {"localhost:port",         400},
        {"localhost:123456",       400},
        {"127.0.0.1.evil.example", 400},
        {"local host",             400},
        {"localhost\\",            400},
        {"*",                      400},
    };
    static const char *const names[] = {"metrics.example"};
    static const char *const any[] = {"*"};
    struct http_options options;
    struct fixture fixture;
    http_options_init(&options);
    options.host_names = names;
    options.n_host_names = 1;
    fixture_start(&fixture, &options);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, "GET /health HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i].host);
        CHECK_EQ(rows[i].host, ask_status(fixture.port, text), rows[i].status);
    }
    fixture_stop(&fixture);
    options.host_names = any;
    fixture_start(&fixture, &options);
    assert_int_equal(ask_status(fixture.port, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 200);
    assert_int_equal(ask_status(fixture.port, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400);
    fixture_stop(&fixture);
}

static void test_cors(void **state)
{
    (void)state;
    static const char *const origins[] = {"http://grafana.example:3000"};
    struct http_options options;
    struct fixture fixture;
    http_options_init(&options);
    options.cors_origins = origins;
    options.n_cors_origins = 1;
    fixture_start(&fixture, &options);
    static const struct {
        const char *name, *method, *headers;
        int status;
        const char *body, *allow_origin;
    } rows[] = {
        {"preflight allowed",            "OPTIONS",
         "Origin: http://grafana.example:3000\r\nAccess-Control-Request-Method: POST\r\n"
         "Access-Control-Request-Headers: content-type, X-API-Key\r\n",                        200, "OK",                      "http://grafana.example:3000"},
        {"preflight, other origin",      "OPTIONS",
         "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n",             400,
         "Disallowed CORS origin",                                                                                             NULL                         },
        {"preflight, null origin",       "OPTIONS",
         "Origin: null\r\nAccess-Control-Request-Method: GET\r\n",                             400, "Disallowed CORS origin",
         NULL                                                                                                                                               },
        {"preflight, other port",        "OPTIONS",
         "Origin: http://grafana.example\r\nAccess-Control-Request-Method: GET\r\n",           400,
         "Disallowed CORS origin",                                                                                             NULL                         },
        {"preflight, other method",      "OPTIONS",
         "Origin: http://grafana.example:3000\r\nAccess-Control-Request-Method: TRACE\r\n",    400,
         "Disallowed CORS method",                                                                                             "http://grafana.example:3000"},
        {"preflight, other header",      "OPTIONS",
         "Origin: http://grafana.example:3000\r\nAccess-Control-Request-Method: GET\r\n"
         "Access-Control-Request-Headers: x-evil\r\n",                                         400, "Disallowed CORS headers", "http://grafana.example:3000"},
        {"OPTIONS that is no preflight", "OPTIONS", "Origin: http://grafana.example:3000\r\n", 405,
         NULL,                                                                                                                 "http://grafana.example:3000"},
        {"GET from an allowed origin",   "GET",     "Origin: http://grafana.example:3000\r\n", 200, NULL,
         "http://grafana.example:3000"                                                                                                                      },
        {"GET from elsewhere",           "GET",     "Origin: http://evil.example\r\n",         200, NULL,                      NULL                         },
        {"GET without an origin",        "GET",     "",                                        200, NULL,                      NULL                         },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer =
            ask_with(fixture.port, NULL, rows[i].method, "/status", rows[i].headers);
        CHECK_EQ(rows[i].name, answer.status, rows[i].status);
        if (rows[i].body != NULL)
            CHECK_STR(rows[i].name, answer.body, rows[i].body);
        const char *allow = header_of(&answer, "Access-Control-Allow-Origin");
        CHECK_STR(rows[i].name, allow == NULL ? "" : allow,
                  rows[i].allow_origin == NULL ? "" : rows[i].allow_origin);
        if (i == 0) {
            CHECK_STR("preflight", header_of(&answer, "Access-Control-Max-Age"), "600");
            CHECK_STR("preflight", header_of(&answer, "Access-Control-Allow-Methods"), "GET, POST");
            CHECK_STR("preflight", header_of(&answer, "Access-Control-Allow-Credentials"), "true");
        }
        CHECK_STR(rows[i].name, header_of(&answer, "Vary"), "Accept-Encoding, Origin");
        answer_free(&answer);
    }
    fixture_stop(&fixture);
}

/* Without a key a foreign page could make the browser post here. */
static void test_foreign_posts(void **state)
{
    (void)state;
    static const struct {
        const char *name, *headers;
        int open, keyed;
    } rows[] = {
        {"no origin",                  "Content-Length: 0\r\n",                                200, 403},
        {"own origin",                 "Origin: http://localhost\r\nContent-Length: 0\r\n",    200, 403},
        {"foreign",                    "Origin: http://evil.example\r\nContent-Length: 0\r\n", 403, 403},
        {"null",                       "Origin: null\r\nContent-Length: 0\r\n",                403, 403},
        {"foreign, with a key header",
         "Origin: http://evil.example\r\nX-API-Key: write-key-1\r\nContent-Length: 0\r\n",     403,
         200                                                                                           },
        {"foreign, basic",
         "Origin: http://evil.example\r\nContent-Length: 0\r\n"
         "Authorization: Basic OndyaXRlLWtleS0x\r\n",                                          403, 403},
        {"own origin, basic",
         "Origin: http://localhost\r\nContent-Length: 0\r\n"
         "Authorization: Basic OndyaXRlLWtleS0x\r\n",                                          200, 200},
    };
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, status_with(fixture.port, NULL, "POST", "/take", rows[i].headers),
                 rows[i].open);
    fixture_stop(&fixture);
    start_with_keys(&fixture, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, status_with(fixture.port, NULL, "POST", "/take", rows[i].headers),
                 rows[i].keyed);
    fixture_stop(&fixture);
}

static void test_rotation(void **state)
{
    (void)state;
    struct fixture fixture;
    start_with_keys(&fixture, NULL);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/status", "X-API-Key: fresh\r\n"),
                     403);
    struct http_keys *fresh = http_keys_new();
    assert_int_equal(http_keys_add_plain(fresh, "reader", HTTP_READ, "fresh", NULL), FW_OK);
    http_keys_replace(fixture.keys, fresh);
    http_keys_free(fresh);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/status", "X-API-Key: fresh\r\n"),
                     200);
    assert_int_equal(status_with(fixture.port, NULL, "GET", "/status", "X-API-Key: read-key-1\r\n"),
                     403);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_table),
        cmocka_unit_test(test_path_twists),
        cmocka_unit_test(test_unknown_key_sends_no_body),
        cmocka_unit_test(test_refused_upload_is_answered),
        cmocka_unit_test(test_brute_force),
        cmocka_unit_test(test_rate_limits),
        cmocka_unit_test(test_rate_limits_open),
        cmocka_unit_test(test_host_names),
        cmocka_unit_test(test_cors),
        cmocka_unit_test(test_foreign_posts),
        cmocka_unit_test(test_rotation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
