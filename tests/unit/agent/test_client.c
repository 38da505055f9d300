/* The HTTP client against a server of a few lines: what it sends, and what it makes of answers. */
#include "support.h"

#include "agent/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Takes connections one after the other; each request on them gets the canned answer. */
struct peer {
    int listener;
    char url[64];
    const char *answer;
    pthread_t thread;
    char seen[8192]; /* the last request's head */
    size_t connections, requests;
};

static bool serve_one(struct peer *peer, int fd)
{
    size_t len = 0, body = 0;
    const char *end = NULL, *length;
    while (end == NULL || len < (size_t)(end + 4 - peer->seen) + body) {
        const ssize_t n = recv(fd, peer->seen + len, sizeof peer->seen - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        peer->seen[len] = '\0';
        end = strstr(peer->seen, "\r\n\r\n");
        length = strstr(peer->seen, "Content-Length: ");
        body = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    }
    peer->requests++;
    return send(fd, peer->answer, strlen(peer->answer), MSG_NOSIGNAL) > 0;
}

static void *serve(void *ctx)
{
    struct peer *peer = ctx;
    int fd;
    while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
        peer->connections++;
        while (serve_one(peer, fd))
            ;
        close(fd);
    }
    return NULL;
}

static void peer_begin(struct peer *peer, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    memset(peer, 0, sizeof *peer);
    peer->answer = answer;
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(peer->listener, 4), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &len), 0);
    snprintf(peer->url, sizeof peer->url, "http://127.0.0.1:%u/prefix/", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

static void peer_end(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *answer;
        long code;
        int64_t retry_after_s;
        const char *text;
    } rows[] = {
        {"taken",                              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",                     200, -1, "{}"},
        {"wait",                               "HTTP/1.1 503 x\r\nRetry-After: 17\r\nContent-Length: 4\r\n\r\nbusy", 503, 17,
         "busy"                                                                                                                   },
        {"a redirect is an answer, not a way",
         "HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",                             307, -1,
         ""                                                                                                                       },
        {"no body",                            "HTTP/1.1 204 x\r\n\r\n",                                             204, -1, ""  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct peer peer;
        struct agent_client *client;
        struct agent_answer answer;
        peer_begin(&peer, rows[i].answer);
        const struct agent_client_options options = {.url = peer.url, .api_key = "secret"};
        assert_int_equal(agent_client_new(&options, &client, NULL), FW_OK);
        for (int n = 0; n < 3; n++) {
            agent_client_request(client, "/feed/data", "{\"records\":[]}", 14, &answer);
            CHECK_EQ(rows[i].name, answer.code, rows[i].code);
            CHECK_EQ(rows[i].name, answer.retry_after_s, rows[i].retry_after_s);
            CHECK_STR(rows[i].name, answer.text, rows[i].text);
        }
        agent_client_free(client);
        peer_end(&peer);
        CHECK_EQ("kept alive", peer.connections, 1);
        CHECK_EQ("requests", peer.requests, 3);
        CHECK_TRUE("path", strncmp(peer.seen, "POST /prefix/feed/data HTTP/1.1\r\n", 33) == 0);
        CHECK_TRUE("key", strstr(peer.seen, "\r\nX-API-Key: secret\r\n") != NULL);
        CHECK_TRUE("type", strstr(peer.seen, "\r\nContent-Type: application/json\r\n") != NULL);
        CHECK_TRUE("no Expect", strstr(peer.seen, "Expect") == NULL);
    }
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct agent_client *client;
    struct agent_answer answer;
    const struct agent_client_options options = {.url = "http://127.0.0.1:1"};
    assert_int_equal(agent_client_new(&options, &client, NULL), FW_OK);
    agent_client_request(client, "/", NULL, 0, &answer);
    CHECK_EQ("no code", answer.code, 0);
    CHECK_TRUE("a reason", answer.text[0] != '\0');
    agent_client_free(client);
}

/* Reads, and never answers. */
static void *swallow(void *ctx)
{
    struct peer *peer = ctx;
    const int fd = accept(peer->listener, NULL, NULL);
    while (recv(fd, peer->seen, sizeof peer->seen, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static bool yes(void *ctx)
{
    (void)ctx;
    return true;
}

static void test_silence_ends(void **state)
{
    (void)state;
    for (int interrupted = 0; interrupted < 2; interrupted++) {
        struct peer peer;
        struct agent_client *client;
        struct agent_answer answer;
        peer_begin(&peer, "");
        peer_end(&peer);
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        peer.listener = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(peer.listener, (struct sockaddr *)&address, len), 0);
        assert_int_equal(listen(peer.listener, 1), 0);
        assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&address, &len), 0);
        snprintf(peer.url, sizeof peer.url, "http://127.0.0.1:%u", ntohs(address.sin_port));
        assert_int_equal(pthread_create(&peer.thread, NULL, swallow, &peer), 0);
        const struct agent_client_options options = {.url = peer.url,
                                                     .total_ms = interrupted ? 600000 : 200,
                                                     .interrupted = interrupted ? yes : NULL};
        assert_int_equal(agent_client_new(&options, &client, NULL), FW_OK);
        agent_client_request(client, "/", "x", 1, &answer);
        CHECK_EQ("no code", answer.code, 0);
        agent_client_free(client);
        shutdown(peer.listener, SHUT_RDWR);
        pthread_join(peer.thread, NULL);
        close(peer.listener);
    }
}

static void test_a_whole_answer(void **state)
{
    (void)state;
    static char text[2200];
    const size_t head =
        (size_t)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
    memset(text + head, 'x', 2000);
    struct peer peer;
    struct agent_client *client;
    struct agent_answer answer;
    struct fw_buf whole;
    fw_buf_init(&whole, 2000);
    peer_begin(&peer, text);
    const struct agent_client_options options = {.url = peer.url,
                                                 .bearer = "of.news",
                                                 .content_type =
                                                     "application/x-www-form-urlencoded",
                                                 .whole = &whole};
    assert_int_equal(agent_client_new(&options, &client, NULL), FW_OK);
    for (int i = 0; i < 2; i++) { /* not one behind the other */
        agent_client_request(client, "/q", "a=b", 3, &answer);
        CHECK_EQ("code", answer.code, 200);
        CHECK_EQ("all of it", whole.len, 2000);
    }
    agent_client_free(client);
    peer_end(&peer); /* before its thread's words are looked at */
    CHECK_TRUE("authorization", strstr(peer.seen, "Authorization: Bearer of.news\r\n") != NULL);
    CHECK_TRUE("type",
               strstr(peer.seen, "Content-Type: application/x-www-form-urlencoded\r\n") != NULL);
    CHECK_TRUE("no key", strstr(peer.seen, "X-API-Key") == NULL);
    peer_begin(&peer, text);
    assert_int_equal(agent_client_new(&options, &client, NULL), FW_OK);
    whole.max = 1999;
    agent_client_request(client, "/q", NULL, 0, &answer);
    CHECK_EQ("more than there is room for", answer.code, 0);
    CHECK_TRUE("is told", whole.failed);
    static char path[AGENT_PATH_MAX + 1];
    memset(path, '/', sizeof path - 1);
    agent_client_request(client, path, NULL, 0, &answer);
    CHECK_STR("an address", answer.text, "the address is too long");
    CHECK_TRUE("is no long answer", !whole.failed);
    agent_client_free(client);
    peer_end(&peer);
    fw_buf_fini(&whole);
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        enum fw_status status;
    } rows[] = {
        {"http://localhost:8000", FW_OK    },
        {"https://h.example/x/",  FW_OK    },
        {"http://[::1]:8000",     FW_OK    },
        {"ftp://h/",              FW_EINVAL},
        {"file:///etc/passwd",    FW_EINVAL},
        {"localhost:8000",        FW_EINVAL},
        {"http://h/?a=b",         FW_EINVAL},
        {"",                      FW_EINVAL},
        {"http://h:99999",        FW_EINVAL},
        {"http://a b/",           FW_EINVAL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct agent_client *client;
        const struct agent_client_options options = {.url = rows[i].url};
        CHECK_EQ(rows[i].url, agent_client_new(&options, &client, NULL), rows[i].status);
        agent_client_free(client);
    }
}

static void test_key_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *content, *key; /* key NULL: refused */
    } rows[] = {
        {"plain",            "abc",                              "abc"},
        {"a line",           "abc\n",                            "abc"},
        {"blanks around it", "  abc \r\nsecond line\n",          "abc"},
        {"empty",            "",                                 NULL },
        {"blank",            " \n",                              NULL },
        {"a control byte",   "a\033b\n",                         NULL },
        {"too long",         "0123456789abcdef0123456789abcdef", NULL },
    };
    char path[] = "/tmp/fw-key-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char key[32] = "";
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_true(pwrite(fd, rows[i].content, strlen(rows[i].content), 0) >= 0);
        const enum fw_status status = agent_client_read_key(path, key, sizeof key, NULL);
        CHECK_EQ(rows[i].name, status, rows[i].key == NULL ? FW_EINVAL : FW_OK);
        if (rows[i].key != NULL)
            CHECK_STR(rows[i].name, key, rows[i].key);
    }
    close(fd);
    unlink(path);
    char key[32];
    assert_int_equal(agent_client_read_key(path, key, sizeof key, NULL), FW_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),      cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_silence_ends), cmocka_unit_test(test_a_whole_answer),
        cmocka_unit_test(test_urls),         cmocka_unit_test(test_key_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
