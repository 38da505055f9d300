#include "support.h"

#include "http/inflate.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <zlib.h>

static unsigned char *pack(const void *data, size_t len, size_t *out_len)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    unsigned char *out = malloc(deflateBound(&z, len));
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)deflateBound(&z, len);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *out_len = z.total_out;
    deflateEnd(&z);
    return out;
}

/* Wherever the input is cut, the output is the same; END comes with the last byte and not before.
 */
static void test_pieces(void **state)
{
    (void)state;
    const char *text = "some text, some text, and some more text";
    size_t len;
    unsigned char *packed = pack(text, strlen(text), &len);
    for (size_t cut = 0; cut <= len; cut++) {
        struct http_inflate *inflate = http_inflate_new();
        struct fw_buf out;
        fw_buf_init(&out, 1000);
        enum http_inflate_result result = http_inflate_feed(inflate, packed, cut, &out);
        assert_int_equal(result, cut == len ? HTTP_INFLATE_END : HTTP_INFLATE_MORE);
        result = http_inflate_feed(inflate, packed + cut, len - cut, &out);
        assert_int_equal(result, HTTP_INFLATE_END);
        assert_int_equal(out.len, strlen(text));
        assert_memory_equal(out.data, text, out.len);
        fw_buf_fini(&out);
        http_inflate_free(inflate);
    }
    free(packed);
}

static void test_cap(void **state)
{
    (void)state;
    static char text[300000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 23);
    size_t len;
    unsigned char *packed = pack(text, sizeof text, &len);
    for (size_t cap = sizeof text - 2; cap <= sizeof text + 1; cap++) {
        struct http_inflate *inflate = http_inflate_new();
        struct fw_buf out;
        fw_buf_init(&out, cap);
        assert_int_equal(http_inflate_feed(inflate, packed, len, &out),
                         cap < sizeof text ? HTTP_INFLATE_FULL : HTTP_INFLATE_END);
        assert_true(out.len <= cap && out.cap <= cap);
        fw_buf_fini(&out);
        http_inflate_free(inflate);
    }
    free(packed);
}

/* Growth beyond two hundred times is no data anybody sends. */
static void test_ratio(void **state)
{
    (void)state;
    const size_t zeros_len = (size_t)8 << 20;
    char *zeros = calloc(1, zeros_len);
    size_t len;
    unsigned char *packed = pack(zeros, zeros_len, &len);
    struct http_inflate *inflate = http_inflate_new();
    struct fw_buf out;
    fw_buf_init(&out, 2 * zeros_len);
    assert_int_equal(http_inflate_feed(inflate, packed, len, &out), HTTP_INFLATE_FULL);
    assert_true(out.len < zeros_len / 2);
    fw_buf_fini(&out);
    http_inflate_free(inflate);
    free(packed);
    free(zeros);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    size_t len;
    unsigned char *packed = pack("text", 4, &len);
    fw_alloc_fail_at(1);
    assert_null(http_inflate_new());
    fw_alloc_fail_at(0);
    struct http_inflate *inflate = http_inflate_new();
    struct fw_buf out;
    fw_buf_init(&out, 1000);
    fw_alloc_fail_at(1);
    assert_int_equal(http_inflate_feed(inflate, packed, len, &out), HTTP_INFLATE_NOMEM);
    fw_alloc_fail_at(0);
    fw_buf_fini(&out);
    http_inflate_free(inflate);
    http_inflate_free(NULL);
    free(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
