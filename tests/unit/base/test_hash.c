/* Checksums against published vectors, random numbers and the allocator's door. */
#include "support.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"

#include <stdlib.h>

static void test_crc32c(void **state)
{
    (void)state;
    unsigned char data[32];
    /* RFC 3720, B.4. */
    memset(data, 0, sizeof data);
    assert_int_equal(fw_crc32c(0, data, 32), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    assert_int_equal(fw_crc32c(0, data, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        data[i] = (unsigned char)i;
    assert_int_equal(fw_crc32c(0, data, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        data[i] = (unsigned char)(31 - i);
    assert_int_equal(fw_crc32c(0, data, 32), 0x113fdb5c);
    assert_int_equal(fw_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(fw_crc32c(0, "", 0), 0);
    /* Chained in any two pieces, at any alignment, against one bit at a time. */
    static unsigned char bytes[300];
    struct fw_rng rng;
    fw_rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)fw_rng_next(&rng);
    for (size_t start = 0; start < 9; start++) {
        uint32_t slow = 0xffffffff;
        for (size_t i = start; i < sizeof bytes; i++) {
            slow ^= bytes[i];
            for (int bit = 0; bit < 8; bit++)
                slow = slow >> 1 ^ (slow & 1 ? 0x82f63b78 : 0);
        }
        const uint32_t whole = fw_crc32c(0, bytes + start, sizeof bytes - start);
        assert_int_equal(whole, ~slow);
        for (size_t cut = start; cut <= sizeof bytes; cut++)
            assert_int_equal(fw_crc32c(fw_crc32c(0, bytes + start, cut - start), bytes + cut,
                                       sizeof bytes - cut),
                             whole);
    }
}

static void test_sha256(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } rows[] = {
        {"",                                                         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc",                                                      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"                                                            },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char digest[FW_SHA256_SIZE];
        char hex[2 * FW_SHA256_SIZE + 1];
        fw_sha256(rows[i].text, strlen(rows[i].text), digest);
        for (size_t k = 0; k < sizeof digest; k++)
            snprintf(hex + 2 * k, 3, "%02x", digest[k]);
        CHECK_STR(rows[i].text, hex, rows[i].hex);
    }
}

static void test_hashes(void **state)
{
    (void)state;
    assert_true(fw_hash_stable("", 0) == UINT64_C(0x2d06800538d394c2)); /* XXH3's own vector */
    assert_true(fw_hash_keyed("a", 1) == fw_hash_keyed("a", 1));
    assert_true(fw_hash_keyed("a", 1) != fw_hash_keyed("b", 1));
    assert_true(fw_hash_keyed("a", 1) != fw_hash_stable("a", 1));
}

static void test_random_numbers(void **state)
{
    (void)state;
    struct fw_rng a, b;
    double sum = 0, squares = 0;
    fw_rng_init(&a, 42);
    fw_rng_init(&b, 42);
    for (int i = 0; i < 100; i++)
        assert_true(fw_rng_next(&a) == fw_rng_next(&b));
    enum { N = 100000 };
    unsigned dice[6] = {0};
    for (int i = 0; i < N; i++) {
        const double u = fw_rng_uniform(&a), z = fw_rng_normal(&a);
        assert_true(u >= 0 && u < 1 && isfinite(z));
        sum += z;
        squares += z * z;
        dice[fw_rng_below(&a, 6)]++;
    }
    CHECK_NEAR("mean", sum / N, 0, 0.02);
    CHECK_NEAR("variance", squares / N, 1, 0.03);
    for (int i = 0; i < 6; i++)
        CHECK_NEAR("dice", dice[i], N / 6.0, 700);
    assert_int_equal(fw_rng_below(&a, 1), 0);
    assert_true(fw_rng_entropy() != fw_rng_entropy());
}

static void test_allocator(void **state)
{
    (void)state;
    assert_null(fw_calloc(SIZE_MAX / 2, 3));
    assert_null(fw_realloc_array(NULL, SIZE_MAX / 2, 3));
    assert_null(fw_alloc_aligned(SIZE_MAX, 1));
    fw_alloc_fail_at(2);
    void *first = fw_malloc(1), *second = fw_calloc(1, 1), *third = fw_strdup("x");
    assert_int_equal(fw_alloc_count(), 3);
    fw_alloc_fail_at(0);
    assert_true(first != NULL && second == NULL && third != NULL);
    fw_free(first);
    fw_free(third);
    void *aligned = fw_alloc_aligned(3, 5);
    assert_int_equal((uintptr_t)aligned % 64, 0);
    fw_free(aligned);
    fw_free(NULL);
}

static void test_arena(void **state)
{
    (void)state;
    _Alignas(64) unsigned char memory[256];
    memset(memory, 0xaa, sizeof memory);
    struct arena arena = arena_over(memory, sizeof memory);
    char *byte = ARENA_NEW(&arena, 1, char);
    double *doubles = ARENA_NEW(&arena, 4, double);
    assert_true(byte != NULL && doubles != NULL);
    assert_int_equal((uintptr_t)doubles % _Alignof(double), 0);
    for (int i = 0; i < 4; i++)
        CHECK_NEAR("zeroed", doubles[i], 0, 0);
    float *floats = ARENA_FLOATS(&arena, 8);
    assert_int_equal((uintptr_t)floats % 64, 0);
    const unsigned char *raw = arena_take_raw(&arena, 8, 1, 8);
    assert_int_equal((uintptr_t)raw % 8, 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(raw[i], 0xaa);
    assert_null(ARENA_NEW(&arena, SIZE_MAX, double));
    assert_null(ARENA_NEW(&arena, arena_left(&arena) + 1, char));
    assert_non_null(ARENA_NEW(&arena, arena_left(&arena), char));
    assert_int_equal(arena_left(&arena), 0);
    assert_null(ARENA_NEW(&arena, 1, char));
}

static void test_clocks_and_errors(void **state)
{
    (void)state;
    struct fw_clock_fake fake;
    fw_clock_fake_init(&fake, 1000);
    const int64_t mono = fw_clock_mono_ns(&fake.clock);
    fw_clock_fake_advance_ms(&fake, 5);
    assert_int_equal(fw_clock_wall_ms(&fake.clock), 1005);
    assert_int_equal(fw_clock_mono_ns(&fake.clock) - mono, 5000000);
    const int64_t first = fw_clock_mono_ns(fw_clock_system());
    assert_true(fw_clock_mono_ns(fw_clock_system()) >= first);
    assert_true(fw_clock_wall_ms(fw_clock_system()) > INT64_C(1600000000000));
    struct fw_error err;
    char text[400];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(fw_fail_at(&err, FW_EIO, 7, "%s", text), FW_EIO);
    assert_true(err.offset == 7 && err.status == FW_EIO && strlen(err.text) < sizeof err.text);
    assert_int_equal(fw_fail(NULL, FW_EINVAL, "x"), FW_EINVAL);
    for (int status = FW_OK; status <= FW_ETIMEOUT; status++)
        assert_true(strlen(fw_status_name((enum fw_status)status)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_random_numbers),
        cmocka_unit_test(test_allocator),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_clocks_and_errors),
    };
    return cmocka_run_group_tests_name("base hash", tests, NULL, NULL);
}
