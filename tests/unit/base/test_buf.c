/* The growing buffer and what it writes as JSON. */
#include "support.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/rng.h"

#include <stdlib.h>

/* As doubles: the macros of math.h are floats. */
#define NONE ((double)NAN)
#define UNBOUNDED ((double)INFINITY)

static struct fw_buf buf;

static const char *terminated(void)
{
    assert_false(buf.failed);
    static char copy[4096];
    assert_true(buf.len < sizeof copy);
    if (buf.len > 0)
        memcpy(copy, buf.data, buf.len);
    copy[buf.len] = '\0';
    return copy;
}

static void test_growth_and_ceiling(void **state)
{
    (void)state;
    fw_buf_init(&buf, 1000);
    for (int i = 0; i < 1000; i++)
        fw_buf_putc(&buf, (char)i);
    assert_false(buf.failed);
    assert_int_equal(buf.len, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal((unsigned char)buf.data[i], i & 255);
    fw_buf_putc(&buf, 'x');
    assert_true(buf.failed);
    assert_int_equal(buf.len, 1000);
    fw_buf_reset(&buf);
    fw_buf_puts(&buf, "again");
    assert_string_equal(terminated(), "again");
    assert_null(fw_buf_reserve(&buf, SIZE_MAX));
    assert_true(buf.failed);
    fw_buf_put(&buf, "more", 4); /* nothing after a failure */
    assert_int_equal(buf.len, 5);
    fw_buf_fini(&buf);
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    fw_buf_init(&buf, 1 << 20);
    fw_buf_puts(&buf, "kept");
    fw_alloc_fail_at(1);
    char large[4096] = "";
    fw_buf_put(&buf, large, sizeof large);
    fw_alloc_fail_at(0);
    assert_true(buf.failed);
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.data, "kept", 4);
    fw_buf_fini(&buf);
}

static void test_numbers_in_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double value;
        int decimals;
        const char *text;
    } rows[] = {
        {"zero",           0,           3, "0"               },
        {"minus zero",     -0.0,        3, "0"               },
        {"rounds to zero", -0.0004,     3, "0"               },
        {"integer",        12,          6, "12"              },
        {"half",           12.5,        6, "12.5"            },
        {"cut zeros",      12.340,      4, "12.34"           },
        {"no decimals",    12.7,        0, "13"              },
        {"negative",       -3.25,       2, "-3.25"           },
        {"leading zeros",  0.001,       3, "0.001"           },
        {"carry",          0.9999,      3, "1"               },
        {"keeps inner 0",  100,         2, "100"             },
        {"nine decimals",  0.123456789, 9, "0.123456789"     },
        {"large",          1e15,        0, "1000000000000000"},
        {"NaN",            NONE,        3, "null"            },
        {"infinity",       UNBOUNDED,   3, "null"            },
        {"minus infinity", -UNBOUNDED,  3, "null"            },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fw_buf_init(&buf, 100);
        fw_buf_json_number(&buf, rows[i].value, rows[i].decimals);
        CHECK_STR(rows[i].name, terminated(), rows[i].text);
        fw_buf_fini(&buf);
    }
    fw_buf_init(&buf, 100);
    fw_buf_put_i64(&buf, INT64_MIN);
    fw_buf_putc(&buf, ' ');
    fw_buf_put_i64(&buf, INT64_MAX);
    fw_buf_printf(&buf, " %d", 0);
    assert_string_equal(terminated(), "-9223372036854775808 9223372036854775807 0");
    fw_buf_fini(&buf);
}

/* Random doubles of all sizes: what is written reads back as the value rounded to the decimals. */
static void test_numbers_read_back(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 6);
    fw_buf_init(&buf, 1000);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = fw_rng_next(&rng);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (i % 2 == 0)
            value = (fw_rng_uniform(&rng) - 0.5) * pow(10, (double)fw_rng_below(&rng, 14));
        const int decimals = (int)fw_rng_below(&rng, 10);
        fw_buf_reset(&buf);
        fw_buf_json_number(&buf, value, decimals);
        const char *text = terminated();
        if (!isfinite(value)) {
            assert_string_equal(text, "null");
            continue;
        }
        char *end;
        const double back = strtod(text, &end);
        assert_int_equal(*end, '\0');
        const double half = 0.5000001 * pow(10, -decimals);
        if (!(fabs(back - value) <= half + fabs(value) * 1e-15))
            fail_msg("%.17g with %d decimals is %s", value, decimals, text);
        assert_true(strncmp(text, "-0", 3) != 0);
    }
    fw_buf_fini(&buf);
}

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *json;
    } rows[] = {
        {"plain",    "abc",                      "\"abc\""                         },
        {"quotes",   "a\"b\\c",                  "\"a\\\"b\\\\c\""                 },
        {"newline",  "a\nb",                     "\"a\\nb\""                       },
        {"controls", "\x01\x1f\x7f",             "\"\\u0001\\u001f\\u007f\""       },
        {"markup",   "</script>&",               "\"\\u003c/script\\u003e\\u0026\""},
        {"UTF-8",    "\xc3\xa4\xf0\x9f\x98\x80", "\"\xc3\xa4\xf0\x9f\x98\x80\""    },
        {"invalid",  "a\xff\xc3z",               "\"a\xef\xbf\xbd\xef\xbf\xbdz\""  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        fw_buf_init(&buf, 1000);
        fw_buf_json_string(&buf, rows[i].text, strlen(rows[i].text));
        CHECK_STR(rows[i].name, terminated(), rows[i].json);
        fw_buf_fini(&buf);
    }
    fw_buf_init(&buf, 1000);
    fw_buf_json_key(&buf, "k");
    fw_buf_json_bool(&buf, true);
    fw_buf_json_bool(&buf, false);
    assert_string_equal(terminated(), "\"k\":truefalse");
    fw_buf_fini(&buf);
}

/* Every byte, and random ones: no raw control, quote or markup inside, and a reader gets them back.
 */
static void test_strings_read_back(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 8);
    struct fw_json_parser *parser = fw_json_parser_new(10000, 4);
    fw_buf_init(&buf, 10000);
    for (int i = 0; i < 20000; i++) {
        char text[40];
        const size_t n = fw_rng_below(&rng, sizeof text);
        for (size_t k = 0; k < n; k++)
            text[k] = (char)fw_rng_below(&rng, 128);
        fw_buf_reset(&buf);
        fw_buf_json_string(&buf, text, n);
        for (size_t k = 1; k + 1 < buf.len; k++)
            assert_null(memchr("<>&\x7f", buf.data[k], 4));
        struct fw_json_value root;
        assert_int_equal(fw_json_parse(parser, buf.data, buf.len, &root, NULL), FW_OK);
        size_t len;
        const char *back = fw_json_string(root, &len);
        assert_int_equal(len, n);
        assert_memory_equal(back, text, n);
    }
    fw_buf_fini(&buf);
    fw_json_parser_free(parser);
}

static void test_part_of_a_url(void **state)
{
    (void)state;
    static const char text[] = "a-Z_0.~ /?&=%+\"\xc3\xa9\0b";
    static const char expected[] = "a-Z_0.~%20%2F%3F%26%3D%25%2B%22%C3%A9%00b";
    struct fw_buf part;
    fw_buf_init(&part, 1024);
    fw_buf_put_url(&part, text, sizeof text - 1);
    assert_int_equal(part.len, sizeof expected - 1);
    assert_memory_equal(part.data, expected, part.len);
    fw_buf_fini(&part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_and_ceiling), cmocka_unit_test(test_part_of_a_url),
        cmocka_unit_test(test_memory_runs_out),    cmocka_unit_test(test_numbers_in_rows),
        cmocka_unit_test(test_numbers_read_back),  cmocka_unit_test(test_strings),
        cmocka_unit_test(test_strings_read_back),
    };
    return cmocka_run_group_tests_name("base buf", tests, NULL, NULL);
}
