#include "support.h"

#include "base/buf.h"
#include "base/bytes.h"

static void test_varints(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t value;
        size_t len;
    } rows[] = {
        {"zero",       0,          1 },
        {"one byte",   127,        1 },
        {"two bytes",  128,        2 },
        {"three",      1 << 14,    3 },
        {"32 bits",    UINT32_MAX, 5 },
        {"the most",   UINT64_MAX, 10},
        {"sign alone", 1ull << 63, 10},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_buf buf;
        fw_buf_init(&buf, 64);
        fw_buf_put_varint(&buf, rows[i].value);
        CHECK_EQ(rows[i].name, buf.len, rows[i].len);
        struct fw_bytes in = fw_bytes_of(buf.data, buf.len);
        CHECK_TRUE(rows[i].name, fw_bytes_varint(&in) == rows[i].value);
        CHECK_TRUE(rows[i].name, !in.bad && in.at == in.end);
        for (size_t cut = 0; cut < buf.len; cut++) {
            in = fw_bytes_of(buf.data, cut);
            CHECK_EQ(rows[i].name, fw_bytes_varint(&in), 0);
            CHECK_TRUE(rows[i].name, in.bad);
        }
        fw_buf_fini(&buf);
    }
}

static void test_a_varint_without_end(void **state)
{
    (void)state;
    unsigned char bytes[32];
    memset(bytes, 0xff, sizeof bytes);
    struct fw_bytes in = fw_bytes_of(bytes, sizeof bytes);
    CHECK_EQ("endless", fw_bytes_varint(&in), 0);
    CHECK_TRUE("endless", in.bad);
}

static void test_zigzag(void **state)
{
    (void)state;
    static const int64_t values[] = {0, -1, 1, -2, 2, INT64_MAX, INT64_MIN, -64, 63};
    for (size_t i = 0; i < COUNT_OF(values); i++)
        CHECK_TRUE("back", fw_unzigzag(fw_zigzag(values[i])) == values[i]);
    CHECK_EQ("small", fw_zigzag(-1), 1);
    CHECK_EQ("small", fw_zigzag(2), 4);
}

static void test_taking(void **state)
{
    (void)state;
    struct fw_bytes in = fw_bytes_of("abcd", 4);
    CHECK_EQ("byte", fw_bytes_byte(&in), 'a');
    const char *two = fw_bytes_take(&in, 2);
    CHECK_TRUE("two", two != NULL && memcmp(two, "bc", 2) == 0);
    CHECK_TRUE("too many", fw_bytes_take(&in, 2) == NULL && in.bad);
    CHECK_TRUE("bad stays", fw_bytes_take(&in, 1) == NULL && fw_bytes_byte(&in) == 0);
    in = fw_bytes_of(NULL, 0);
    CHECK_TRUE("nothing", fw_bytes_take(&in, 1) == NULL && in.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_a_varint_without_end),
        cmocka_unit_test(test_zigzag),
        cmocka_unit_test(test_taking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
