/* Bodies, their variants, and how they are served: ETag, HEAD, gzip, zstd, many clients at once. */
#include "server_fixture.h"

#include "base/alloc.h"

#include <zlib.h>
#include <zstd.h>

static void unpack(const char *encoding, const struct answer *answer, char *out, size_t len)
{
    if (strcmp(encoding, "gzip") == 0) {
        z_stream z = {0};
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        z.next_in = (Bytef *)answer->body;
        z.avail_in = (uInt)answer->body_len;
        z.next_out = (Bytef *)out;
        z.avail_out = (uInt)len;
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(z.total_out, len);
        inflateEnd(&z);
    } else if (strcmp(encoding, "zstd") == 0) {
        assert_int_equal(ZSTD_decompress(out, len, answer->body, answer->body_len), len);
    } else {
        assert_int_equal(answer->body_len, len);
        memcpy(out, answer->body, len);
    }
}

static void test_negotiation(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        int status;
        const char *encoding;
    } rows[] = {
        {"",                                                          200, ""    },
        {"Accept-Encoding: gzip\r\n",                                 200, "gzip"},
        {"Accept-Encoding: gzip, deflate, br, zstd\r\n",              200, "zstd"},
        {"Accept-Encoding: zstd;q=0.1, gzip;q=0.9\r\n",               200, "gzip"},
        {"Accept-Encoding: gzip;q=0\r\n",                             200, ""    },
        {"Accept-Encoding: identity\r\n",                             200, ""    },
        {"Accept-Encoding: br\r\n",                                   200, ""    },
        {"If-None-Match: W/\"v1-200000\"\r\n",                        304, ""    },
        {"If-None-Match: \"v1-200000\"\r\nAccept-Encoding: gzip\r\n", 304, ""    },
        {"If-None-Match: \"other\", W/\"v1-200000\"\r\n",             304, ""    },
        {"If-None-Match: *\r\n",                                      304, ""    },
        {"If-None-Match: \"v1\"\r\n",                                 200, ""    },
        {"If-None-Match: v1-200000\r\n",                              200, ""    },
    };
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    size_t len;
    const void *plain = http_body_bytes(fixture.big, HTTP_IDENTITY, &len);
    assert_int_equal(len, 200000);
    char *out = malloc(len);
    for (int round = 0; round < 2; round++) /* the second time from what was kept */
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            char text[512];
            for (int head = 0; head < 2; head++) {
                snprintf(text, sizeof text, "%s /api/v1/big HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                         head ? "HEAD" : "GET", rows[i].headers);
                struct answer answer = ask(fixture.port, text);
                CHECK_EQ(rows[i].headers, answer.status, rows[i].status);
                CHECK_STR(rows[i].headers, header_of(&answer, "ETag"), "W/\"v1-200000\"");
                CHECK_STR(rows[i].headers, header_of(&answer, "Vary"), "Accept-Encoding");
                CHECK_STR(rows[i].headers, header_of(&answer, "Cache-Control"), "no-cache");
                CHECK_STR(rows[i].headers, header_of(&answer, "X-Content-Type-Options"), "nosniff");
                const char *encoding = header_of(&answer, "Content-Encoding");
                CHECK_STR(rows[i].headers, encoding == NULL ? "" : encoding, rows[i].encoding);
                if (rows[i].status == 200 && !head) {
                    unpack(rows[i].encoding, &answer, out, len);
                    assert_memory_equal(out, plain, len);
                } else {
                    assert_int_equal(answer.body_len, 0);
                }
                answer_free(&answer);
            }
        }
    free(out);
    fixture_stop(&fixture);
}

/* A small body gains nothing from compression. */
static void test_small_stays_plain(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    struct answer answer =
        ask(fixture.port, GET_WITH("/status", "Accept-Encoding: gzip, zstd\r\n"));
    assert_null(header_of(&answer, "Content-Encoding"));
    assert_string_equal(header_of(&answer, "Cache-Control"), "no-store");
    assert_string_equal(answer.body, "{\"ok\":true}");
    answer_free(&answer);
    fixture_stop(&fixture);
}

static void *get_many(void *ctx)
{
    const struct fixture *fixture = ctx;
    static const char *const texts[] = {
        GET("/api/v1/big"), GET_WITH("/api/v1/big", "Accept-Encoding: gzip\r\n"),
        GET_WITH("/api/v1/big", "Accept-Encoding: zstd\r\n"),
        GET_WITH("/api/v1/big", "If-None-Match: \"v1-200000\"\r\n")};
    const int fd = connect_to(NULL, fixture->port);
    for (size_t i = 0; i < 40; i++) {
        const char *text = texts[(i + (size_t)fd) % COUNT_OF(texts)];
        send_all(fd, text, strlen(text));
        struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
        assert_true(answer.status == 200 || answer.status == 304);
        answer_free(&answer);
    }
    close(fd);
    return NULL;
}

/* The first ones race for making the variants and the ready-made responses. */
static void test_race_for_variants(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct fixture fixture;
        fixture_start(&fixture, NULL);
        pthread_t threads[8];
        for (size_t i = 0; i < COUNT_OF(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, get_many, &fixture), 0);
        for (size_t i = 0; i < COUNT_OF(threads); i++)
            pthread_join(threads[i], NULL);
        fixture_stop(&fixture);
    }
}

/* The last holder lets go while a client is still reading. */
static void test_outlives_its_holder(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    const int fd = connect_to(NULL, fixture.port);
    send_all(fd, GET("/api/v1/big"), strlen(GET("/api/v1/big")));
    while (fixture.handled == 0)
        pause_ms(1);
    pause_ms(20);
    pthread_mutex_lock(&fixture.lock);
    struct http_body *big = fixture.big;
    fixture.big = http_body_static("x", 1);
    pthread_mutex_unlock(&fixture.lock);
    http_body_unref(big);
    struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
    assert_int_equal(answer.body_len, 200000);
    assert_true(strncmp(answer.body, "{\"t\":0,", 7) == 0);
    answer_free(&answer);
    close(fd);
    fixture_stop(&fixture);
}

static void test_variants(void **state)
{
    (void)state;
    char *text = malloc(5000);
    memset(text, 'a', 5000);
    size_t len;
    struct http_body *body = http_body_new_copy(text, 1023);
    assert_null(http_body_bytes(body, HTTP_GZIP, &len));
    http_body_unref(body);
    body = http_body_new_copy(text, 5000);
    assert_non_null(http_body_bytes(body, HTTP_GZIP, &len));
    assert_true(len < 100);
    const void *first = http_body_bytes(body, HTTP_ZSTD, &len);
    assert_ptr_equal(first, http_body_bytes(body, HTTP_ZSTD, &len));
    http_body_unref(body);
    uint32_t noise = 1;
    for (size_t i = 0; i < 5000; i++)
        text[i] = (char)((noise = noise * 1664525 + 1013904223) >> 24);
    body = http_body_new_copy(text, 5000); /* does not get smaller */
    assert_null(http_body_bytes(body, HTTP_GZIP, &len));
    assert_null(http_body_bytes(body, HTTP_ZSTD, &len));
    http_body_unref(body);
    body = http_body_new_copy(text, 5000);
    http_body_set_variant(body, HTTP_GZIP, "made before", 11);
    assert_memory_equal(http_body_bytes(body, HTTP_GZIP, &len), "made before", 11);
    http_body_unref(body);
    body = http_body_new_copy("", 0);
    assert_non_null(http_body_bytes(body, HTTP_IDENTITY, &len));
    assert_int_equal(len, 0);
    http_body_unref(body);
    http_body_unref(NULL);
    struct fw_buf buf;
    fw_buf_init(&buf, 4);
    fw_buf_puts(&buf, "too long");
    assert_null(http_body_new_take(&buf));
    free(text);
}

/* What lasts is worth a better ratio than an answer that is gone in a minute. */
static void test_lasting(void **state)
{
    (void)state;
    enum { SIZE = 60000 };
    char *text = malloc(SIZE);
    uint32_t noise = 1;
    for (size_t i = 0; i < SIZE; i++)
        text[i] = "abcdefgh"[(noise = noise * 1664525 + 1013904223) >> 29];
    for (size_t i = 30000; i < SIZE; i += 700)
        memcpy(text + i, text + i - 29900, 600);
    struct http_body *passing = http_body_new_copy(text, SIZE);
    struct http_body *lasting = http_body_static(text, SIZE);
    for (enum http_encoding e = HTTP_GZIP; e < HTTP_ENCODINGS; e++) {
        size_t quick, small;
        assert_non_null(http_body_bytes(passing, e, &quick));
        assert_non_null(http_body_bytes(lasting, e, &small));
        assert_true(small < quick);
    }
    http_body_unref(passing);
    http_body_unref(lasting);
    free(text);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'b', sizeof text);
    size_t len;
    for (long n = 1; n < 6; n++) {
        fw_alloc_fail_at(n);
        struct http_body *body = http_body_new_copy(text, sizeof text);
        if (body != NULL) {
            (void)http_body_bytes(body, HTTP_GZIP, &len);
            assert_memory_equal(http_body_bytes(body, HTTP_IDENTITY, &len), text, sizeof text);
        }
        fw_alloc_fail_at(0);
        http_body_unref(body);
    }
}

/* Each allocation of a request fails in turn: an error or a closed connection, and the server goes
 * on. */
static void test_server_out_of_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    static const char *const texts[] = {GET("/echo/x?a=1"), GET("/nothing"),
                                        POST_WITH("/take", "Content-Length: 3\r\n") "abc"};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        for (long n = 1; n < 12; n++) {
            fw_alloc_fail_at(n);
            struct answer answer = ask(fixture.port, texts[i]);
            fw_alloc_fail_at(0);
            assert_true(answer.status == 0 || answer.status >= 200);
            answer_free(&answer);
            assert_int_equal(ask_status(fixture.port, GET("/health")), 200);
        }
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_negotiation),       cmocka_unit_test(test_small_stays_plain),
        cmocka_unit_test(test_race_for_variants), cmocka_unit_test(test_outlives_its_holder),
        cmocka_unit_test(test_variants),          cmocka_unit_test(test_lasting),
        cmocka_unit_test(test_out_of_memory),     cmocka_unit_test(test_server_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
