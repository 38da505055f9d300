#include "support.h"

#include "http/limiter.h"

#include "base/alloc.h"
#include "base/hash.h"

static void test_window(void **state)
{
    (void)state;
    struct http_limiter *limiter = http_limiter_new(64, 60000);
    uint32_t left;
    assert_int_equal(http_limiter_count(limiter, 7, 0, 1000, &left), 0);
    assert_int_equal(left, 60000);
    assert_int_equal(http_limiter_count(limiter, 7, 1, 1000, &left), 1);
    assert_int_equal(http_limiter_count(limiter, 7, 1, 31000, &left), 2);
    assert_int_equal(left, 30000);
    assert_int_equal(http_limiter_count(limiter, 7, 0, 60999, &left), 2);
    assert_int_equal(left, 1);
    assert_int_equal(http_limiter_count(limiter, 7, 0, 61000, &left), 0);
    assert_int_equal(http_limiter_count(limiter, 7, 5, 61000, &left), 5);
    assert_int_equal(http_limiter_count(limiter, 0, 1, 61000, &left), 1); /* 0 is a source too */
    assert_int_equal(http_limiter_count(limiter, 7, UINT32_MAX, 61001, NULL), UINT32_MAX);
    assert_int_equal(http_limiter_count(limiter, 7, 1, 61002, NULL), UINT32_MAX);
    http_limiter_free(limiter);
    http_limiter_free(NULL);
}

/* A million sources pass by; who counted most keeps its count. */
static void test_crowd(void **state)
{
    (void)state;
    struct http_limiter *limiter = http_limiter_new(4096, 60000);
    for (uint64_t i = 0; i < 200; i++)
        for (int k = 0; k < 10; k++)
            http_limiter_count(limiter, fw_hash_stable(&i, sizeof i), 1, 0, NULL);
    for (uint64_t i = 1000; i < 1001000; i++)
        assert_int_equal(http_limiter_count(limiter, fw_hash_stable(&i, sizeof i), 1, 1000, NULL),
                         1);
    unsigned kept = 0;
    for (uint64_t i = 0; i < 200; i++)
        kept += http_limiter_count(limiter, fw_hash_stable(&i, sizeof i), 0, 2000, NULL) == 10;
    assert_true(kept >= 199);
    http_limiter_free(limiter);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    fw_alloc_fail_at(1);
    assert_null(http_limiter_new(64, 1000));
    fw_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
