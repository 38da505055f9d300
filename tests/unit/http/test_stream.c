/* Answers that are made while they are sent: woken, slept, left, cut, ended. */
#include "server_fixture.h"

#include <time.h>

/* What one client is sent: numbered lines up to `upto`, then sleep. */
struct source {
    struct http_stream *stream;
    _Atomic unsigned upto; /* lines that exist */
    unsigned next;         /* line to be written */
    _Atomic bool end;      /* the source's own wish */
    _Atomic unsigned closed;
    _Atomic unsigned reads;
};

static struct source source;

static size_t on_read(void *ctx, char *to, size_t size)
{
    struct source *s = ctx;
    size_t n = 0;
    s->reads++;
    while (s->next < s->upto && size - n >= 16)
        n += (size_t)snprintf(to + n, size - n, "line %08u\n", s->next++);
    return n == 0 && s->end ? HTTP_SOURCE_END : n;
}

static void on_close(void *ctx)
{
    ((struct source *)ctx)->closed++;
}

static void on_stream(void *ctx, struct http_request *request)
{
    (void)ctx;
    const struct http_source reader = {.read = on_read, .close = on_close, .ctx = &source};
    source.stream = http_reply_stream(request, "text/event-stream", &reader);
}

static struct http_server *start(unsigned threads, unsigned stall_ms, uint16_t *port)
{
    static const struct http_route route = {"GET", "/stream", HTTP_OPEN, false, 0,
                                            0,     "stream",  on_stream, NULL,  NULL};
    struct http_options options;
    struct http_server *server;
    http_options_init(&options);
    options.threads = threads;
    options.stream_stall_ms = stall_ms;
    assert_int_equal(http_server_start(&options, &route, 1, &server, NULL), FW_OK);
    *port = http_server_port(server);
    source.stream = NULL;
    source.upto = 0;
    source.next = 0;
    source.closed = 0;
    source.reads = 0;
    source.end = false;
    return server;
}

static void wait_for(_Atomic unsigned *what, unsigned wanted)
{
    for (int i = 0; i < 5000 && *what < wanted; i++)
        pause_ms(1);
    assert_true(*what >= wanted);
}

/* Reads until `lines` lines have come in order, whatever the chunks; returns the next number. */
static unsigned expect_lines(int fd, unsigned next, unsigned lines)
{
    static char buf[1 << 20];
    static size_t held;
    const unsigned end = next + lines;
    if (next == 0)
        held = 0;
    while (next < end) {
        const ssize_t n = recv(fd, buf + held, sizeof buf - 1 - held, 0);
        assert_true(n > 0);
        held += (size_t)n;
        buf[held] = '\0';
        char line[32];
        for (;;) {
            snprintf(line, sizeof line, "line %08u\n", next);
            const char *found = strstr(buf, line);
            if (found == NULL)
                break;
            next++;
            const size_t used = (size_t)(found - buf) + strlen(line);
            memmove(buf, buf + used, held - used + 1);
            held -= used;
        }
        assert_true(held < sizeof buf / 2);
    }
    return next;
}

static int open_stream(uint16_t port)
{
    const char *text = GET("/stream");
    const int fd = connect_to(NULL, port);
    send_all(fd, text, strlen(text));
    wait_for(&source.reads, 1);
    return fd;
}

static void say(unsigned lines)
{
    source.upto += lines;
    http_stream_wake(source.stream);
}

static void test_woken_again_and_again(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 2; threads++) {
        uint16_t port;
        struct http_server *server = start(threads, 20000, &port);
        const int fd = open_stream(port);
        unsigned next = 0;
        for (unsigned i = 0; i < 2000; i++) {
            say(1 + i % 3); /* often while it is falling asleep */
            next = expect_lines(fd, next, 1 + i % 3);
        }
        assert_int_equal(source.closed, 0);
        close(fd);
        say(1); /* a client that left is noticed with the next words */
        say(1);
        for (int i = 0; i < 2000 && source.closed == 0; i++) {
            pause_ms(1);
            if (source.closed == 0)
                say(1);
        }
        assert_int_equal(source.closed, 1);
        http_server_stop(server, 500);
    }
}

static void test_ends_by_itself(void **state)
{
    (void)state;
    uint16_t port;
    struct http_server *server = start(2, 20000, &port);
    const int fd = open_stream(port);
    source.end = true;
    say(3);
    struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
    wait_for(&source.closed, 1);
    close(fd);
    http_server_stop(server, 500);
}

static void test_server_stops(void **state)
{
    (void)state;
    uint16_t port;
    struct http_server *server = start(2, 20000, &port);
    const int fd = open_stream(port);
    http_server_stop(server, 2000);
    assert_int_equal(source.closed, 1);
    close(fd);
}

/* A client that never reads holds a bounded number of bytes, and is cut off. */
static void test_stalled(void **state)
{
    (void)state;
    uint16_t port;
    struct http_server *server = start(2, 300, &port);
    const int fd = open_stream(port);
    for (int i = 0; i < 5000 && source.closed == 0; i++) {
        say(1000);
        pause_ms(1);
    }
    assert_int_equal(source.closed, 1);
    struct http_stats stats;
    http_server_stats(server, &stats);
    assert_int_equal(stats.refused[HTTP_REFUSED_STALLED], 1);
    assert_int_equal(stats.refused[HTTP_REFUSED_DEADLINE], 0);
    close(fd);
    http_server_stop(server, 500);
}

/* One with nothing to read is nobody's trouble, however long it lasts. */
static void test_quiet(void **state)
{
    (void)state;
    uint16_t port;
    struct http_server *server = start(2, 50, &port);
    const int fd = open_stream(port);
    pause_ms(400);
    assert_int_equal(source.closed, 0);
    say(1);
    expect_lines(fd, 0, 1);
    close(fd);
    http_server_stop(server, 500);
    assert_int_equal(source.closed, 1);
}

static void test_head(void **state)
{
    (void)state;
    uint16_t port;
    struct http_server *server = start(2, 20000, &port);
    assert_int_equal(ask_status(port, "HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200);
    wait_for(&source.closed, 1);
    assert_int_equal(source.reads, 0);
    http_server_stop(server, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_woken_again_and_again),
        cmocka_unit_test(test_ends_by_itself),
        cmocka_unit_test(test_server_stops),
        cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
