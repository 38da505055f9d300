#include "support.h"

#include "http/guard.h"

#include <stdlib.h>

static struct http_fault check(struct http_head *head, const char *lines)
{
    memset(head, 0, sizeof *head);
    while (*lines != '\0') {
        const char *colon = strchr(lines, ':'), *end = strchr(lines, '\n');
        const struct http_fault fault = http_guard_header(head, lines, (size_t)(colon - lines),
                                                          colon + 1, (size_t)(end - colon - 1));
        if (fault.text != NULL)
            return fault;
        lines = end + 1;
    }
    return http_guard_finish(head);
}

static void test_heads(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        int status; /* 0: fine */
        uint64_t length;
        bool chunked;
    } rows[] = {
        {"Host: a\n",                                                0,   0,                  false},
        {"host:a\n",                                                 0,   0,                  false},
        {"Host: a\nContent-Length: 17\n",                            0,   17,                 false},
        {"Host: a\nContent-Length:  17 \t\n",                        0,   17,                 false},
        {"Host: a\nContent-Length: 0017\n",                          0,   17,                 false},
        {"Host: a\nContent-Length: 999999999999999999\n",            0,   999999999999999999, false},
        {"Host: a\nContent-Length: 9999999999999999999\n",           413, 0,                  false},
        {"Host: a\nContent-Length: 9999999999999999999x\n",          400, 0,                  false},
        {"Host: a\nContent-Length: 1 7\n",                           400, 0,                  false},
        {"Host: a\nContent-Length: 1_7\n",                           400, 0,                  false},
        {"Host: a\nContent-Length: 1e3\n",                           400, 0,                  false},
        {"Host: a\nTransfer-Encoding: chunked\n",                    0,   0,                  true },
        {"Host: a\nTransfer-Encoding: CHUNKED\n",                    0,   0,                  true },
        {"Host: a\nTransfer-Encoding: chunked;q=1\n",                400, 0,                  false},
        {"Host: a\nTransfer-Encoding: \"chunked\"\n",                400, 0,                  false},
        {"Host: a\nTransfer-Encoding: chunked\nContent-Length: 0\n", 400, 0,                  false},
        {"Host: a\nContent-Length: 0\nTransfer-Encoding: chunked\n", 400, 0,                  false},
        {"Host: a\nExpect: 100-Continue\n",                          0,   0,                  false},
        {"Host: a\nExpect: magic\n",                                 417, 0,                  false},
        {"Accept: b\n",                                              400, 0,                  false},
        {"Host: a\nHOST: a\n",                                       400, 0,                  false},
        {"Host: a\nX-\x80: b\n",                                     400, 0,                  false},
        {"Host: a\nX: \x80\xff\n",                                   0,   0,                  false},
        {"Host: a\nX: \x0b\n",                                       400, 0,                  false},
        {"Host: a\nAccept-Encoding: gzip\nAccept-Encoding: zstd\n",  0,   0,                  false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_head head;
        const struct http_fault fault = check(&head, rows[i].lines);
        CHECK_EQ(rows[i].lines, fault.status, rows[i].status);
        if (fault.text != NULL)
            continue;
        CHECK_EQ(rows[i].lines, head.content_length, rows[i].length);
        CHECK_EQ(rows[i].lines, head.chunked, rows[i].chunked);
    }
}

static void test_words(void **state)
{
    (void)state;
    static const char *const methods[] = {"", "get", "GeT", "G T", "GET1", "AAAAAAAAAAAAAAAAA"};
    static const char *const versions[] = {"", "HTTP/1", "HTTP/1.2", "http/1.1", "HTTP/1.1 "};
    static const char *const targets[] = {"",     "*",    "a",     "http://a/",
                                          "/a b", "/a#b", "/\x80", "/\\"};
    assert_null(http_guard_method("GET").text);
    assert_null(http_guard_version("HTTP/1.0").text);
    assert_null(http_guard_target("/a?b=%20", 8).text);
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        CHECK_EQ(methods[i], http_guard_method(methods[i]).status, 400);
    for (size_t i = 0; i < COUNT_OF(versions); i++)
        CHECK_EQ(versions[i], http_guard_version(versions[i]).status, 400);
    for (size_t i = 0; i < COUNT_OF(targets); i++)
        CHECK_EQ(targets[i], http_guard_target(targets[i], strlen(targets[i])).status, 400);
}

/* Heads as libmicrohttpd leaves them: line ends and colons overwritten with NULs. */
static void test_wire(void **state)
{
    (void)state;
    static const char text[] = "GET\0/a\0HTTP/1.1\0\0Host\0 b\0\0X\0c\0\0\0\0";
    const size_t size = sizeof text - 1;
    const char *method = text, *version = text + 7, *host = text + 17, *x = host + 9;
    struct http_wire wire;
    http_wire_begin(&wire, method, 2, version);
    http_wire_header(&wire, host, 4, host + 6, 1);
    http_wire_header(&wire, x, 1, x + 2, 1);
    assert_true(http_wire_whole(&wire, size));
    assert_false(http_wire_whole(&wire, size - 1));
    assert_false(http_wire_whole(&wire, size + 1));
    http_wire_begin(&wire, method, 1, version); /* a target cut short by NUL */
    http_wire_header(&wire, host, 4, host + 6, 1);
    assert_false(http_wire_whole(&wire, size));
    http_wire_begin(&wire, method, 2, version);
    http_wire_header(&wire, host, 4, host + 5, 1); /* one byte missing before the next line */
    http_wire_header(&wire, x, 1, x + 2, 1);
    assert_false(http_wire_whole(&wire, size));
}

static void test_chunks(void **state)
{
    (void)state;
    static const struct {
        const char *gap;
        bool good;
    } rows[] = {
        {"1\r\n",                true },
        {"\r\n1\r\n",            true },
        {"ffff\r\n",             true },
        {"FFFF\r\n",             true },
        {"00ff\r\n",             true },
        {"10000\r\n",            false},
        {"1\n",                  false},
        {"\r\n\r\n",             false},
        {"\n1\r\n",              false},
        {"1;a\r\n",              false},
        {" 1\r\n",               false},
        {"1 \r\n",               false},
        {"g\r\n",                false},
        {"\r\n",                 false},
        {"",                     false},
        {"1\r\r\n",              false},
        {"0000000000000001\r\n", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].gap, http_wire_chunk(rows[i].gap, strlen(rows[i].gap), 0xffff),
                 rows[i].good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_wire),
        cmocka_unit_test(test_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
