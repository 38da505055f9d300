/* Malformed requests on the wire: each must be refused with a 4xx or closed, without reaching a
 * handler, and the server must answer the next client as if nothing had been. */
#include "server_fixture.h"

#include <sched.h>

#define HOST "Host: localhost\r\n"
#define END "\r\n"
#define CHUNKED "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

/* Literals may hold NUL, so lengths are taken from the array. */
#define ROW(name, text)                                                                            \
    {                                                                                              \
        name, text, sizeof(text) - 1, 0                                                            \
    }
/* Refused by libmicrohttpd itself with 505, the status made for it. */
#define ROW_505(name, text)                                                                        \
    {                                                                                              \
        name, text, sizeof(text) - 1, 505                                                          \
    }

static const struct {
    const char *name, *text;
    size_t len;
    int status; /* 0: any 4xx, or closed */
} rows[] = {
    ROW("no version", "GET /status\r\n" HOST END),
    ROW("no target", "GET\r\n" HOST END),
    ROW("only a line end and garbage", "\r\n\x01\x02\x03\r\n\r\n"),
    ROW("a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n"),
    ROW("binary rubbish", "\xff\xfe\xfd\xfc\r\n\r\n"),
    ROW("lower-case method", "get /status HTTP/1.1\r\n" HOST END),
    ROW("mixed-case method", "Get /status HTTP/1.1\r\n" HOST END),
    ROW("method with a sign", "GET! /status HTTP/1.1\r\n" HOST END),
    ROW("method of 17 letters", "AAAAAAAAAAAAAAAAA /status HTTP/1.1\r\n" HOST END),
    ROW("two blanks before the target", "GET  /status HTTP/1.1\r\n" HOST END),
    ROW("two blanks after the target", "GET /status  HTTP/1.1\r\n" HOST END),
    ROW("blank at the line's end", "GET /status HTTP/1.1 \r\n" HOST END),
    ROW("blank before the method", " GET /status HTTP/1.1\r\n" HOST END),
    ROW("tab instead of a blank", "GET\t/status HTTP/1.1\r\n" HOST END),
    ROW("tab in the target", "GET /sta\ttus HTTP/1.1\r\n" HOST END),
    ROW("blank in the target", "GET /sta tus HTTP/1.1\r\n" HOST END),
    ROW("NUL in the target", "GET /status\0x HTTP/1.1\r\n" HOST END),
    ROW("control byte in the target", "GET /status\x01 HTTP/1.1\r\n" HOST END),
    ROW("DEL in the target", "GET /status\x7f HTTP/1.1\r\n" HOST END),
    ROW("raw UTF-8 in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" HOST END),
    ROW("fragment", "GET /status#x HTTP/1.1\r\n" HOST END),
    ROW("backslash", "GET /..\\status HTTP/1.1\r\n" HOST END),
    ROW("absolute target", "GET http://localhost/status HTTP/1.1\r\n" HOST END),
    ROW("asterisk", "OPTIONS * HTTP/1.1\r\n" HOST END),
    ROW("authority", "CONNECT localhost:80 HTTP/1.1\r\n" HOST END),
    ROW("relative target", "GET status HTTP/1.1\r\n" HOST END),
    ROW("query without a path", "GET ?a=1 HTTP/1.1\r\n" HOST END),
    ROW("broken escape in the path", "GET /sta%2 HTTP/1.1\r\n" HOST END),
    ROW("escape of no digits", "GET /sta%zzus HTTP/1.1\r\n" HOST END),
    ROW("encoded NUL", "GET /status%00 HTTP/1.1\r\n" HOST END),
    ROW("encoded overlong slash", "GET /status%c0%af HTTP/1.1\r\n" HOST END),
    ROW("broken escape in the query", "GET /status?a=%f HTTP/1.1\r\n" HOST END),
    ROW("encoded line end in the query", "GET /status?a=%0d%0a HTTP/1.1\r\n" HOST END),
    ROW_505("HTTP/2.0", "GET /status HTTP/2.0\r\n" HOST END),
    ROW_505("HTTP/0.9", "GET /status HTTP/0.9\r\n" HOST END),
    ROW("HTTP/1.2", "GET /status HTTP/1.2\r\n" HOST END),
    ROW("HTTP/1.9", "GET /status HTTP/1.9\r\n" HOST END),
    ROW("HTTP/1.10", "GET /status HTTP/1.10\r\n" HOST END),
    ROW("HTTP/01.1", "GET /status HTTP/01.1\r\n" HOST END),
    ROW("http/1.1", "GET /status http/1.1\r\n" HOST END),
    ROW("HTTP 1.1", "GET /status HTTP 1.1\r\n" HOST END),
    ROW("HTTPS/1.1", "GET /status HTTPS/1.1\r\n" HOST END),
    ROW_505("PRI of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n"),
    ROW("no Host", "GET /status HTTP/1.1\r\n\r\n"),
    ROW("no Host, HTTP/1.0", "GET /status HTTP/1.0\r\n\r\n"),
    ROW("two Hosts", "GET /status HTTP/1.1\r\n" HOST HOST END),
    ROW("two differing Hosts", "GET /status HTTP/1.1\r\n" HOST "Host: other\r\n" END),
    ROW("empty Host", "GET /status HTTP/1.1\r\nHost:\r\n" END),
    ROW("Host with a path", "GET /status HTTP/1.1\r\nHost: localhost/x\r\n" END),
    ROW("Host with a user", "GET /status HTTP/1.1\r\nHost: a@localhost\r\n" END),
    ROW("Host with a bad port", "GET /status HTTP/1.1\r\nHost: localhost:80a\r\n" END),
    ROW("Host of a stranger", "GET /status HTTP/1.1\r\nHost: evil.example\r\n" END),
    ROW("Host list", "GET /status HTTP/1.1\r\nHost: localhost, localhost\r\n" END),
    ROW("header without a colon", "GET /status HTTP/1.1\r\n" HOST "Broken\r\n" END),
    ROW("header without a name", "GET /status HTTP/1.1\r\n" HOST ": x\r\n" END),
    ROW("blank before the colon", "GET /status HTTP/1.1\r\n" HOST "X-A : b\r\n" END),
    ROW("tab before the colon", "GET /status HTTP/1.1\r\n" HOST "X-A\t: b\r\n" END),
    ROW("blank in the name", "GET /status HTTP/1.1\r\n" HOST "X A: b\r\n" END),
    ROW("bracket in the name", "GET /status HTTP/1.1\r\n" HOST "X(A): b\r\n" END),
    ROW("control byte in the name", "GET /status HTTP/1.1\r\n" HOST "X\x01: b\r\n" END),
    ROW("NUL in the name", "GET /status HTTP/1.1\r\n" HOST "X\0A: b\r\n" END),
    ROW("UTF-8 in the name", "GET /status HTTP/1.1\r\n" HOST "X-\xc3\xa9: b\r\n" END),
    ROW("NUL in a value", "GET /status HTTP/1.1\r\n" HOST "X-A: b\0c\r\n" END),
    ROW("NUL at the end of a value", "GET /status HTTP/1.1\r\n" HOST "X-A: b\0\r\n" END),
    ROW("NUL in the last value", "GET /status HTTP/1.1\r\nX-A: b\0c\r\n" HOST END),
    ROW("control byte in a value", "GET /status HTTP/1.1\r\n" HOST "X-A: b\x01\r\n" END),
    ROW("escape byte in a value", "GET /status HTTP/1.1\r\n" HOST "X-A: \x1b[31m\r\n" END),
    ROW("DEL in a value", "GET /status HTTP/1.1\r\n" HOST "X-A: \x7f\r\n" END),
    ROW("bare CR in a value", "GET /status HTTP/1.1\r\n" HOST "X-A: b\rc\r\n" END),
    ROW("bare CR hides a header",
        "POST /take HTTP/1.1\r\n" HOST "Content-Length: 3\r\nX-A: b\rTransfer-Encoding: chunked\r\n"
        "\r\nabc"),
    ROW("CR CR LF", "GET /status HTTP/1.1\r\n" HOST "X-A: b\r\r\n" END),
    ROW("folded line", "GET /status HTTP/1.1\r\n" HOST "X-A: b\r\n c\r\n" END),
    ROW("folded line, tab", "GET /status HTTP/1.1\r\n" HOST "X-A: b\r\n\tc\r\n" END),
    ROW("folded Host", "GET /status HTTP/1.1\r\nHost: local\r\n host\r\n" END),
    ROW("folded last line", "GET /status HTTP/1.1\r\n" HOST "X-A: b\r\n \r\n" END),
    ROW("first line folded", "GET /status HTTP/1.1\r\n X-A: b\r\n" HOST END),
    ROW("folded key", "GET /status HTTP/1.1\r\n" HOST "X-API-Key:\r\n secret\r\n" END),
    ROW("bare LF after the request line", "GET /status HTTP/1.1\n" HOST END),
    ROW("bare LF after a header", "GET /status HTTP/1.1\r\nHost: localhost\nX-A: b\r\n" END),
    ROW("bare LF after the last header", "GET /status HTTP/1.1\r\nHost: localhost\n\r\n"),
    ROW("bare LF as the empty line", "GET /status HTTP/1.1\r\n" HOST "\n"),
    ROW("bare LF everywhere", "GET /status HTTP/1.1\nHost: localhost\n\n"),
    ROW("LF CR", "GET /status HTTP/1.1\n\rHost: localhost\n\r\n\r"),
    ROW("Content-Length and Transfer-Encoding",
        "POST /take HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n"),
    ROW("two Content-Lengths",
        "POST /take HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    ROW("two equal Content-Lengths",
        "POST /take HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    ROW("Content-Length list", "POST /take HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc"),
    ROW("Content-Length +3", "POST /take HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc"),
    ROW("Content-Length -1", "POST /take HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\nabc"),
    ROW("Content-Length 3 3", "POST /take HTTP/1.1\r\n" HOST "Content-Length: 3 3\r\n\r\nabc"),
    ROW("Content-Length 0x3", "POST /take HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\nabc"),
    ROW("Content-Length 3.0", "POST /take HTTP/1.1\r\n" HOST "Content-Length: 3.0\r\n\r\nabc"),
    ROW("Content-Length empty", "POST /take HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"),
    ROW("Content-Length of 30 digits",
        "POST /take HTTP/1.1\r\n" HOST "Content-Length: 999999999999999999999999999999\r\n\r\n"),
    ROW("Content-Length 2^64+3",
        "POST /take HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551619\r\n\r\nabc"),
    ROW("Transfer-Encoding gzip",
        "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
    ROW("Transfer-Encoding gzip, chunked",
        "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ROW("Transfer-Encoding chunked, chunked",
        "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ROW("Transfer-Encoding xchunked",
        "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ROW("Transfer-Encoding identity",
        "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"),
    ROW("Transfer-Encoding twice",
        "POST /take HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ROW("Transfer-Encoding empty",
        "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
    ROW("Transfer-Encoding with a blank before the colon",
        "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ROW("chunk size 0x1", CHUNKED "0x1\r\na\r\n0\r\n\r\n"),
    ROW("chunk size with a sign", CHUNKED "+1\r\na\r\n0\r\n\r\n"),
    ROW("chunk size negative", CHUNKED "-1\r\na\r\n0\r\n\r\n"),
    ROW("chunk size not hexadecimal", CHUNKED "g\r\na\r\n0\r\n\r\n"),
    ROW("chunk size empty", CHUNKED "\r\na\r\n0\r\n\r\n"),
    ROW("chunk size with a blank before", CHUNKED " 1\r\na\r\n0\r\n\r\n"),
    ROW("chunk size with a blank behind", CHUNKED "1 \r\na\r\n0\r\n\r\n"),
    ROW("chunk size beyond 64 bits", CHUNKED "fffffffffffffffff\r\na\r\n0\r\n\r\n"),
    ROW("chunk size of 64 bits", CHUNKED "ffffffffffffffff\r\na\r\n0\r\n\r\n"),
    ROW("chunk size beyond the limit", CHUNKED "100001\r\na\r\n0\r\n\r\n"),
    ROW("chunk size of zeros", CHUNKED "00000000000000001\r\na\r\n0\r\n\r\n"),
    ROW("chunk extension", CHUNKED "1;a=b\r\na\r\n0\r\n\r\n"),
    ROW("chunk extension later", CHUNKED "1\r\na\r\n1;a\r\na\r\n0\r\n\r\n"),
    ROW("bare LF after a chunk size", CHUNKED "1\na\r\n0\r\n\r\n"),
    ROW("bare LF after a chunk", CHUNKED "1\r\na\n1\r\nb\r\n0\r\n\r\n"),
    ROW("chunk longer than said", CHUNKED "1\r\nab\r\n0\r\n\r\n"),
    ROW("chunk without its line end", CHUNKED "1\r\na0\r\n\r\n"),
    ROW("trailer", CHUNKED "1\r\na\r\n0\r\nX-A: b\r\n\r\n"),
    ROW("trailer that sets a length", CHUNKED "1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n"),
    ROW("Expect of something else",
        "POST /take HTTP/1.1\r\n" HOST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\na"),
    ROW("two keys", "GET /status HTTP/1.1\r\n" HOST "X-API-Key: a\r\nX-API-Key: b\r\n" END),
    ROW("Content-Encoding twice",
        "POST /take HTTP/1.1\r\n" HOST
        "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\na"),
    ROW("Content-Encoding deflate",
        "POST /take HTTP/1.1\r\n" HOST "Content-Encoding: deflate\r\nContent-Length: 1\r\n\r\na"),
    ROW("Content-Encoding gzip, gzip",
        "POST /take HTTP/1.1\r\n" HOST
        "Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\na"),
    ROW("gzip that is none",
        "POST /take HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
};

static void check_health(struct fixture *fixture, const char *name)
{
    CHECK_EQ(name, ask_status(fixture->port, GET("/health")), 200);
}

static void test_malformed(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    assert_true(COUNT_OF(rows) >= 100);
    unsigned healthy = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask_from(NULL, fixture.port, rows[i].text, rows[i].len);
        if (rows[i].status != 0)
            CHECK_EQ(rows[i].name, answer.status, rows[i].status);
        else if (answer.status != 0)
            CHECK_TRUE(rows[i].name, answer.status >= 400 && answer.status <= 499);
        answer_free(&answer);
        CHECK_EQ(rows[i].name, fixture.handled, healthy); /* no handler saw it */
        check_health(&fixture, rows[i].name);
        healthy++;
    }
    fixture_stop(&fixture);
}

/* The same, second on a connection that began well: what the first request taught us must not
 * matter. */
static void test_malformed_second(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char first[] = GET("/health");
        const int fd = connect_to(NULL, fixture.port);
        const unsigned before = fixture.handled;
        send_all(fd, first, strlen(first));
        struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
        CHECK_EQ(rows[i].name, answer.status, 200);
        answer_free(&answer);
        send_all(fd, rows[i].text, rows[i].len);
        answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
        CHECK_TRUE(rows[i].name, answer.status == 0 || answer.status >= 400);
        CHECK_EQ(rows[i].name, fixture.handled, before + 1);
        answer_free(&answer);
        close(fd);
    }
    check_health(&fixture, "at the end");
    fixture_stop(&fixture);
}

/* Well-formed requests, cut in two at every byte: the same answer as in one piece. A false alarm of
 * the layout check would show here. */
static void test_split_everywhere(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /echo/a%2Fb?x=1 HTTP/1.1\r\nHost: localhost\r\nX-Empty:\r\nX-Blank:   \r\n"
        "Accept: */*\t\r\nUser-Agent:  forewarn test \r\n\r\n",
        "POST /take HTTP/1.1\r\nHost: [::1]:8000\r\nTransfer-Encoding: Chunked\r\n\r\n"
        "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n",
        "POST /take HTTP/1.1\r\nHost: 127.0.0.1:8000\r\ncontent-length: 5\r\n"
        "Expect: 100-continue\r\n\r\nabcde",
        "\r\n\r\nHEAD /status HTTP/1.0\r\nHost: localhost\r\n\r\n",
    };
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        const size_t len = strlen(requests[i]);
        const bool head_only = strstr(requests[i], "HEAD") != NULL;
        for (size_t cut = 0; cut < len; cut++) {
            const int fd = connect_to(NULL, fixture.port);
            const int on = 1;
            setsockopt(fd, 6, 1, &on, sizeof on); /* TCP_NODELAY */
            send_all(fd, requests[i], cut);
            if (cut > 0)
                sched_yield();
            send_all(fd, requests[i] + cut, len - cut);
            struct answer answer = read_answer(fd, head_only, CLIENT_TIMEOUT_MS);
            if (answer.status != 200)
                fail_msg("%zu cut at %zu: %d %s", i, cut, answer.status,
                         answer.status > 0 ? answer.body : "");
            answer_free(&answer);
            close(fd);
        }
    }
    fixture_stop(&fixture);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t target, headers, header_len;
        bool good;
    } sizes[] = {
        {"target of 4096",      4096,   0,     0,       true },
        {"target of 4097",      4097,   0,     0,       false},
        {"target of 100000",    100000, 0,     0,       false},
        {"63 more headers",     7,      63,    8,       true },
        {"64 more headers",     7,      64,    8,       false},
        {"10000 headers",       7,      10000, 8,       false},
        {"header of 3000",      7,      1,     3000,    true },
        {"header of 17000",     7,      1,     17000,   false},
        {"header of a million", 7,      1,     1000000, false},
    };
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct fw_buf buf;
        fw_buf_init(&buf, 1 << 24);
        fw_buf_puts(&buf, "GET /status?");
        for (size_t k = 8; k < sizes[i].target; k++)
            fw_buf_putc(&buf, 'a');
        fw_buf_puts(&buf, " HTTP/1.1\r\nHost: localhost\r\n");
        for (size_t k = 0; k < sizes[i].headers; k++) {
            fw_buf_printf(&buf, "X-%zu: ", k);
            for (size_t j = 0; j < sizes[i].header_len; j++)
                fw_buf_putc(&buf, 'v');
            fw_buf_puts(&buf, "\r\n");
        }
        fw_buf_puts(&buf, "\r\n");
        assert_false(buf.failed);
        struct answer answer = ask_from(NULL, fixture.port, buf.data, buf.len);
        if (sizes[i].good)
            CHECK_EQ(sizes[i].name, answer.status, 200);
        else
            CHECK_TRUE(sizes[i].name,
                       answer.status == 0 || answer.status == 414 || answer.status == 431);
        answer_free(&answer);
        fw_buf_fini(&buf);
        check_health(&fixture, sizes[i].name);
    }
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_malformed_second),
        cmocka_unit_test(test_split_everywhere),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
