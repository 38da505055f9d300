#include "server_fixture.h"

/* Bare braces make clang-format 14 crash on this table. */
#define ROW(...)                                                                                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *request;
        int status;
        const char *body;
    } rows[] = {
        ROW("root", GET("/"), 200, "{\"ok\":true}"),
        ROW("a trailing slash is served directly", GET("/status/"), 200, "{\"ok\":true}"),
        ROW("unknown path", GET("/nothing"), 404, "{\"detail\":\"Not Found\"}"),
        ROW("deeper path", GET("/status/x"), 404, "{\"detail\":\"Not Found\"}"),
        ROW("wrong method", "POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            405, "{\"detail\":\"Method Not Allowed\"}"),
        ROW("a method nobody knows", "BREW /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, NULL),
        ROW("HEAD", "HEAD /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, ""),
        ROW("HTTP/1.0", "GET /status HTTP/1.0\r\nHost: localhost\r\n\r\n", 200, "{\"ok\":true}"),
        ROW("literal before parameter", GET("/echo/literal"), 200, "{\"ok\":true}"),
        ROW("parameter with a slash", GET("/echo/a%2Fb"), 200,
            "{\"path\":\"a/"
            "b\",\"query\":[],\"key\":\"\",\"role\":\"admin\",\"peer\":\"127.0.0.1\"}"),
        ROW("encoded literal", GET("/st%61tus"), 200, "{\"ok\":true}"),
        ROW("parameter UTF-8", GET("/echo/%C3%A9"), 200, NULL),
        ROW("parameter not UTF-8", GET("/echo/%C3"), 400, NULL),
        ROW("parameter NUL", GET("/echo/a%00b"), 400, NULL),
        ROW("parameter line feed", GET("/echo/a%0ab"), 400, NULL),
        ROW("broken escape", GET("/echo/a%4"), 400, NULL),
        ROW("query", GET("/echo/x?a=1&b=%20+y&a=2&c"), 200,
            "{\"path\":\"x\",\"query\":[\"a\",\"1\",\"b\",\"  "
            "y\",\"a\",\"2\",\"c\",\"\"],\"key\":\"\","
            "\"role\":\"admin\",\"peer\":\"127.0.0.1\"}"),
        ROW("body", POST_WITH("/take", "Content-Length: 3\r\n") "abc", 200,
            "{\"len\":3,\"sum\":96354}"),
        ROW("chunked body",
            POST_WITH("/take", "Transfer-Encoding: chunked\r\n") "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
            200, "{\"len\":3,\"sum\":96354}"),
        ROW("empty body", POST_WITH("/take", "Content-Length: 0\r\n"), 200,
            "{\"len\":0,\"sum\":0}"),
        ROW("body where none is taken",
            "GET /status HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: 1\r\n\r\na",
            413, NULL),
        ROW("declared too long", POST_WITH("/take", "Content-Length: 1048577\r\n"), 413, NULL),
        ROW("ten gigabytes", POST_WITH("/take", "Content-Length: 10000000000\r\n"), 413, NULL),
        ROW("unknown coding",
            POST_WITH("/take", "Content-Length: 1\r\nContent-Encoding: br\r\n") "a", 415, NULL),
    };
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask(fixture.port, rows[i].request);
        CHECK_EQ(rows[i].name, answer.status, rows[i].status);
        if (rows[i].body != NULL)
            CHECK_STR(rows[i].name, answer.body, rows[i].body);
        CHECK_STR(rows[i].name, header_of(&answer, "X-Content-Type-Options"), "nosniff");
        CHECK_STR(rows[i].name, header_of(&answer, "X-Frame-Options"), "DENY");
        CHECK_STR(rows[i].name, header_of(&answer, "Referrer-Policy"), "no-referrer");
        if (rows[i].status == 405)
            CHECK_STR(rows[i].name, header_of(&answer, "Allow"), "GET, HEAD");
        answer_free(&answer);
    }
    fixture_stop(&fixture);
}

/* Refusals must not cost a well-behaved client its connection. */
static void test_keep_alive(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    const int fd = connect_to(NULL, fixture.port);
    static const char *const requests[] = {GET("/status"), GET("/nothing"), GET("/echo/%C3"),
                                           POST_WITH("/take", "Content-Length: 3\r\n") "abc",
                                           GET("/status")};
    static const int statuses[] = {200, 404, 400, 200, 200};
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        send_all(fd, requests[i], strlen(requests[i]));
        struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
        CHECK_EQ(requests[i], answer.status, statuses[i]);
        answer_free(&answer);
        if (statuses[i] == 400)
            break; /* malformed: closed */
    }
    close(fd);
    struct http_stats stats;
    http_server_stats(fixture.server, &stats);
    assert_int_equal(stats.refused[HTTP_REFUSED_ROUTE], 1);
    assert_int_equal(stats.refused[HTTP_REFUSED_WIRE], 1);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_keep_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
