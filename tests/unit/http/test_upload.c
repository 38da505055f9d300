/* Bodies: chunked in every way, compressed, too long, and bombs. */
#include "server_fixture.h"

#include "base/rng.h"

#include <zlib.h>
#include <time.h>

/* gzip of `len` bytes; the caller frees. */
static char *gzip(const char *data, size_t len, size_t *out_len)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    const size_t cap = deflateBound(&z, len) + 64;
    char *out = malloc(cap);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *out_len = z.total_out;
    deflateEnd(&z);
    return out;
}

static struct answer post(uint16_t port, const char *headers, const char *body, size_t len)
{
    char *text = malloc(len + 1024);
    const int head =
        sprintf(text, "POST /take HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n",
                headers, len);
    memcpy(text + head, body, len);
    struct answer answer = ask_from(NULL, port, text, (size_t)head + len);
    free(text);
    return answer;
}

static void expect_sum(const char *name, const struct answer *answer, const char *body, size_t len)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + (unsigned char)body[i];
    char expected[80];
    snprintf(expected, sizeof expected, "{\"len\":%zu,\"sum\":%lu}", len, sum);
    CHECK_EQ(name, answer->status, 200);
    CHECK_STR(name, answer->body, expected);
}

static char *random_text(size_t len)
{
    struct fw_rng rng;
    fw_rng_init(&rng, len);
    char *text = malloc(len);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('0' + fw_rng_below(&rng, 10));
    return text;
}

static void test_lengths(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 2, 4095, 4096, 4097, 65535, 65536, BODY_MAX - 1, BODY_MAX};
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        char *text = random_text(lengths[i]), name[32];
        snprintf(name, sizeof name, "%zu", lengths[i]);
        struct answer answer = post(fixture.port, "", text, lengths[i]);
        expect_sum(name, &answer, text, lengths[i]);
        answer_free(&answer);
        size_t packed_len;
        char *packed = gzip(text, lengths[i], &packed_len);
        answer = post(fixture.port, "Content-Encoding: gzip\r\n", packed, packed_len);
        expect_sum(name, &answer, text, lengths[i]);
        answer_free(&answer);
        free(packed);
        free(text);
    }
    fixture_stop(&fixture);
}

/* Chunks of random sizes, sent in pieces of random sizes: what arrives is what was sent. */
static void test_random_chunks(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    struct fw_rng rng;
    fw_rng_init(&rng, 7);
    for (int round = 0; round < 60; round++) {
        const size_t len = 1 + fw_rng_below(&rng, round < 40 ? 200 : 100000);
        const size_t most = 1 + fw_rng_below(&rng, round % 3 == 0 ? 4 : 20000);
        char *text = random_text(len);
        struct fw_buf wire;
        fw_buf_init(&wire, 1 << 24);
        fw_buf_puts(&wire, POST_WITH("/take", "Transfer-Encoding: chunked\r\n"));
        for (size_t at = 0; at < len;) {
            size_t n = 1 + fw_rng_below(&rng, most);
            n = n < len - at ? n : len - at;
            fw_buf_printf(&wire, "%zx\r\n", n);
            fw_buf_put(&wire, text + at, n);
            fw_buf_puts(&wire, "\r\n");
            at += n;
        }
        fw_buf_puts(&wire, "0\r\n\r\n");
        const int fd = connect_to(NULL, fixture.port);
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, 1, &on, sizeof on);
        const size_t pieces = 1 + fw_rng_below(&rng, 30);
        for (size_t at = 0; at < wire.len;) {
            size_t n = 1 + fw_rng_below(&rng, wire.len / pieces + 1);
            n = n < wire.len - at ? n : wire.len - at;
            send_all(fd, wire.data + at, n);
            at += n;
        }
        struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
        expect_sum("chunks", &answer, text, len);
        answer_free(&answer);
        close(fd);
        fw_buf_fini(&wire);
        free(text);
    }
    fixture_stop(&fixture);
}

static void test_endless_chunks(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    const char *head = POST_WITH("/take", "Transfer-Encoding: chunked\r\n");
    char *chunk = malloc(66000);
    const int start = sprintf(chunk, "10000\r\n");
    memset(chunk + start, 'x', 65536);
    memcpy(chunk + start + 65536, "\r\n", 2);
    const int fd = connect_to(NULL, fixture.port);
    send_all(fd, head, strlen(head));
    for (int i = 0; i < 64; i++) /* 4 MiB, beyond the limit of one */
        if (!send_all(fd, chunk, (size_t)start + 65538))
            break;
    struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
    assert_int_equal(answer.status, 413);
    answer_free(&answer);
    close(fd);
    free(chunk);
    assert_int_equal(fixture.handled, 0);
    fixture_stop(&fixture);
}

static void test_gzip_table(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    const char *header = "Content-Encoding: gzip\r\n";
    size_t len;
    char *good = gzip("hello, hello, hello", 19, &len);
    char twice[256], other[256];
    memcpy(twice, good, len);
    memcpy(twice + len, good, len);
    struct answer answer = post(fixture.port, header, twice, 2 * len);
    expect_sum("two members", &answer, "hello, hello, hellohello, hello, hello", 38);
    answer_free(&answer);
    for (size_t cut = 1; cut < len; cut++) {
        answer = post(fixture.port, header, good, cut);
        CHECK_EQ("cut short", answer.status, 400);
        answer_free(&answer);
    }
    unsigned refused = 0;
    for (size_t bit = 0; bit < len * 8; bit++) {
        memcpy(other, good, len);
        other[bit / 8] = (char)(other[bit / 8] ^ (1 << bit % 8));
        answer = post(fixture.port, header, other, len);
        CHECK_TRUE("one bit flipped", answer.status == 400 || answer.status == 200);
        refused += answer.status == 400;
        answer_free(&answer);
    }
    assert_true(refused >
                len * 8 * 2 / 3); /* bits of the time stamp and of the system do not matter */
    memcpy(other, good, len);
    memcpy(other + len, "tail", 4);
    answer = post(fixture.port, header, other, len + 4);
    assert_int_equal(answer.status, 400);
    answer_free(&answer);
    free(good);
    fixture_stop(&fixture);
}

static void *throw_bomb(void *ctx)
{
    struct fixture *fixture = ctx;
    char *zeros = calloc(1, 64 << 20);
    size_t len;
    char *bomb = gzip(zeros, 64 << 20, &len);
    free(zeros);
    struct answer answer = post(fixture->port, "Content-Encoding: gzip\r\n", bomb, len);
    assert_int_equal(answer.status, 413);
    answer_free(&answer);
    free(bomb);
    return NULL;
}

static void test_bombs(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    throw_bomb(&fixture);
    pthread_t threads[16];
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, throw_bomb, &fixture), 0);
    for (int i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    struct http_stats stats;
    http_server_stats(fixture.server, &stats);
    assert_int_equal(stats.refused[HTTP_REFUSED_SIZE], 17);
    assert_int_equal(fixture.handled, 0);
    assert_int_equal(ask_status(fixture.port, GET("/health")), 200);
    fixture_stop(&fixture);
}

/* All bodies together have a cap: beyond it 503 and a hint to come back, and room again once they
 * are gone. */
static void test_total_cap(void **state)
{
    (void)state;
    struct http_options options;
    http_options_init(&options);
    options.bodies_bytes_max = 600000;
    struct fixture fixture;
    fixture_start(&fixture, &options);
    char *text = random_text(400000), head[200];
    const int head_len =
        snprintf(head, sizeof head,
                 "POST /take HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", 400000);
    const int fd = connect_to(NULL, fixture.port);
    send_all(fd, head, (size_t)head_len);
    send_all(fd, text, 399999);
    struct http_stats stats;
    do
        http_server_stats(fixture.server, &stats);
    while (stats.body_bytes_in < 399999);
    struct answer answer = post(fixture.port, "", text, 400000);
    assert_int_equal(answer.status, 503);
    assert_string_equal(header_of(&answer, "Retry-After"), "1");
    answer_free(&answer);
    send_all(fd, text + 399999, 1);
    answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
    expect_sum("the first", &answer, text, 400000);
    answer_free(&answer);
    close(fd);
    /* The room is given back when the request is over, which is after its answer was read. */
    answer = post(fixture.port, "", text, 400000);
    for (int tries = 0; answer.status == 503 && tries < 1000; tries++) {
        const struct timespec pause = {.tv_nsec = 5000000};
        nanosleep(&pause, NULL);
        answer_free(&answer);
        answer = post(fixture.port, "", text, 400000);
    }
    expect_sum("room again", &answer, text, 400000);
    answer_free(&answer);
    free(text);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_random_chunks),
        cmocka_unit_test(test_endless_chunks), cmocka_unit_test(test_gzip_table),
        cmocka_unit_test(test_bombs),          cmocka_unit_test(test_total_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
