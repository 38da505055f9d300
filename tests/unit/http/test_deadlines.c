/* Slow and silent clients of every kind, with deadlines shortened: each is cut, none is cut too
 * early, and a normal client never notices. Bounds are generous: they tell "cut" from "never cut".
 */
#include "server_fixture.h"

#include "base/clock.h"

/* Bare braces make clang-format 14 crash on this table. */
#define ROW(...)                                                                                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

enum { CUT_WITHIN_MS = 6000 };

static void start_short(struct fixture *fixture, unsigned header_ms, unsigned request_ms,
                        unsigned idle_ms)
{
    struct http_options options;
    http_options_init(&options);
    options.header_deadline_ms = header_ms;
    options.request_deadline_ms = request_ms;
    options.idle_ms = idle_ms;
    fixture_start(fixture, &options);
}

/* Sends a byte of `text` (from the start again at its end) every `every_ms`, 0 for never, until the
 * server hangs up. */
static int64_t drip_until_cut(int fd, const char *text, long every_ms)
{
    const struct fw_clock *clock = fw_clock_system();
    const int64_t start_ns = fw_clock_mono_ns(clock);
    size_t at = 0;
    for (;;) {
        const int64_t age_ms = (fw_clock_mono_ns(clock) - start_ns) / 1000000;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        char sink[4096];
        if (poll(&wait, 1, every_ms == 0 ? 20 : (int)every_ms) > 0 &&
            recv(fd, sink, sizeof sink, 0) <= 0)
            return age_ms;
        if (age_ms > CUT_WITHIN_MS)
            return -1;
        if (every_ms > 0) {
            (void)!send(fd, text + at, 1, MSG_NOSIGNAL);
            at = text[at + 1] == '\0' ? 0 : at + 1;
        }
    }
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *name, *first, *drip;
        unsigned header_ms, request_ms, idle_ms;
    } rows[] = {
        ROW("silent from the start", "", NULL, 60000, 60000, 300),
        ROW("silent after a request", GET("/status"), NULL, 60000, 60000, 300),
        ROW("request line byte by byte", "", "G", 300, 60000, 60000),
        ROW("request line byte by byte, second request", GET("/status"), "G", 300, 60000, 60000),
        ROW("half a request line", "GET /sta", NULL, 300, 60000, 60000),
        ROW("header lines byte by byte", "GET /status HTTP/1.1\r\nX-A: ", "a", 300, 60000, 60000),
        ROW("header lines that never end", "GET /status HTTP/1.1\r\n", "X-A: b\r\n", 300, 60000,
            60000),
        ROW("head without its end", "GET /status HTTP/1.1\r\nHost: localhost\r\n", NULL, 300, 60000,
            60000),
        ROW("body byte by byte", POST_WITH("/take", "Content-Length: 100000\r\n"), "a", 60000, 300,
            60000),
        ROW("body that never comes", POST_WITH("/take", "Content-Length: 100000\r\n"), NULL, 60000,
            300, 60000),
        ROW("chunk size byte by byte", POST_WITH("/take", "Transfer-Encoding: chunked\r\n"), "0",
            60000, 300, 60000),
        ROW("chunks byte by byte", POST_WITH("/take", "Transfer-Encoding: chunked\r\n") "ffff\r\n",
            "a", 60000, 300, 60000),
        ROW("trailer byte by byte", POST_WITH("/take", "Transfer-Encoding: chunked\r\n") "0\r\nX: ",
            "a", 60000, 300, 60000),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        start_short(&fixture, rows[i].header_ms, rows[i].request_ms, rows[i].idle_ms);
        const int fd = connect_to(NULL, fixture.port);
        send_all(fd, rows[i].first, strlen(rows[i].first));
        const int64_t age_ms =
            drip_until_cut(fd, rows[i].drip == NULL ? "x" : rows[i].drip, rows[i].drip ? 20 : 0);
        CHECK_TRUE(rows[i].name, age_ms >= 200);
        CHECK_EQ(rows[i].name, ask_status(fixture.port, GET("/health")), 200);
        struct http_stats stats;
        http_server_stats(fixture.server, &stats);
        CHECK_EQ(rows[i].name, stats.refused[HTTP_REFUSED_DEADLINE], 1);
        close(fd);
        fixture_stop(&fixture);
    }
}

/* A client that asks for a lot and reads nothing. */
static void test_reads_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_options options;
    http_options_init(&options);
    options.request_deadline_ms = 200;
    options.body_bytes_per_s = 10000000;
    fixture_start(&fixture, &options);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const int small = 2048;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(fixture.port)};
    inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    struct http_stats stats;
    for (int i = 0; i < 100; i++) /* more than the socket buffers hold */
        (void)!send(fd, GET("/api/v1/big"), strlen(GET("/api/v1/big")), MSG_NOSIGNAL);
    int waited = 0;
    do {
        pause_ms(20);
        http_server_stats(fixture.server, &stats);
    } while (stats.refused[HTTP_REFUSED_DEADLINE] == 0 && ++waited < CUT_WITHIN_MS / 20);
    assert_int_equal(stats.refused[HTTP_REFUSED_DEADLINE], 1);
    close(fd);
    fixture_stop(&fixture);
}

/* A large body that keeps coming may take longer than the deadline of a request. */
static void test_progress_buys_time(void **state)
{
    (void)state;
    struct http_options options;
    http_options_init(&options);
    options.request_deadline_ms = 100;
    options.body_bytes_per_s = 1000;
    struct fixture fixture;
    fixture_start(&fixture, &options);
    const char *head = POST_WITH("/take", "Content-Length: 10000\r\n");
    char piece[1000];
    memset(piece, 'a', sizeof piece);
    const int fd = connect_to(NULL, fixture.port);
    send_all(fd, head, strlen(head));
    for (int i = 0; i < 10; i++) { /* half a second, a thousand bytes at once */
        assert_true(send_all(fd, piece, sizeof piece));
        pause_ms(50);
    }
    struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
    close(fd);
    fixture_stop(&fixture);
}

/* A deferred request waits for us, not for its client: no deadline cuts it. */
static void test_deferred_is_spared(void **state)
{
    (void)state;
    struct fixture fixture;
    start_short(&fixture, 50, 50, 50);
    const int fd = connect_to(NULL, fixture.port);
    send_all(fd, GET("/later"), strlen(GET("/later")));
    struct http_request *request = take_held(&fixture);
    pause_ms(400);
    http_reply_detail(request, 200, "at last");
    struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
    close(fd);
    fixture_stop(&fixture);
}

/* At the cap the oldest connections without a key give way; those that showed one stay, and get in.
 */
static void test_room_for_keys(void **state)
{
    (void)state;
    enum { MAX = 60, KEYED = 10 };
    struct http_options options;
    http_options_init(&options);
    options.threads = 1; /* libmicrohttpd splits the cap among its threads, not evenly used */
    options.connections_max = MAX;
    options.connections_keyed = KEYED;
    options.keys = three_keys();
    struct fixture fixture;
    fixture_start(&fixture, &options);
    const char *text = GET_WITH("/status", "X-API-Key: read-key-1\r\n");
    int old[8], idle[200];
    for (size_t i = 0; i < COUNT_OF(old); i++) {
        old[i] = connect_to(NULL, fixture.port);
        send_all(old[i], text, strlen(text));
        struct answer answer = read_answer(old[i], false, CLIENT_TIMEOUT_MS);
        assert_int_equal(answer.status, 200);
        answer_free(&answer);
    }
    const int used = connect_to(NULL, fixture.port); /* without a key, but not silent */
    send_all(used, GET("/health"), strlen(GET("/health")));
    struct answer first = read_answer(used, false, CLIENT_TIMEOUT_MS);
    assert_int_equal(first.status, 200);
    answer_free(&first);
    for (size_t i = 0; i < COUNT_OF(idle); i++)
        idle[i] = connect_to(NULL, fixture.port);
    for (size_t i = 0; i < COUNT_OF(old); i++) { /* the old ones still work */
        assert_true(send_all(old[i], text, strlen(text)));
        struct answer answer = read_answer(old[i], false, CLIENT_TIMEOUT_MS);
        assert_int_equal(answer.status, 200);
        answer_free(&answer);
        close(old[i]);
    }
    assert_int_equal(ask_status(fixture.port, text), 200); /* and new ones get in */
    send_all(used, GET("/health"), strlen(GET("/health")));
    first = read_answer(used, false, CLIENT_TIMEOUT_MS);
    assert_int_equal(first.status, 200);
    answer_free(&first);
    close(used);
    struct http_stats stats;
    http_server_stats(fixture.server, &stats);
    assert_true(stats.refused[HTTP_REFUSED_CONNECTIONS] >= COUNT_OF(idle) - MAX);
    assert_true(stats.connections_open <= MAX);
    for (size_t i = 0; i < COUNT_OF(idle); i++)
        close(idle[i]);
    fixture_stop(&fixture);
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0, resident = 0;
    assert_int_equal(fscanf(file, "%ld %ld", &pages, &resident), 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A thousand idle connections, each after a request: at most 16 KiB each, both ends of the test
 * included. */
static void test_idle_memory(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    int fds[N];
    const char *text = GET("/api/v1/big");
    assert_int_equal(ask_status(fixture.port, text), 200);
    const long before = resident_kib();
    for (int i = 0; i < N; i++) {
        fds[i] = connect_to(NULL, fixture.port);
        send_all(fds[i], GET("/status"), strlen(GET("/status")));
        struct answer answer = read_answer(fds[i], false, CLIENT_TIMEOUT_MS);
        assert_int_equal(answer.status, 200);
        answer_free(&answer);
    }
    const long grown = resident_kib() - before;
    struct http_stats stats;
    http_server_stats(fixture.server, &stats);
    assert_int_equal(stats.connections_open, N);
    printf("idle connection: %.1f KiB\n", (double)grown / N);
#ifndef FW_SANITIZED
    assert_true(grown <= 16 * N);
#endif
    for (int i = 0; i < N; i++)
        close(fds[i]);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_reads_nothing),
        cmocka_unit_test(test_progress_buys_time),
        cmocka_unit_test(test_deferred_is_spared),
        cmocka_unit_test(test_room_for_keys),
        cmocka_unit_test(test_idle_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
