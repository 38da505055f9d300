#include "support.h"

#include "http/policy.h"

#include <string.h>

#define TEXT(literal) literal, sizeof(literal) - 1

/* What a Host line can hold only when somebody calls past the guard, which refuses control bytes;
 * test_access.c has what comes through the server. */
static void test_host_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *label, *at;
        size_t len;
        bool ours;
    } rows[] = {
        {"an address",               TEXT("[::1]"),            true },
        {"an address and a port",    TEXT("[::1]:8000"),       true },
        {"NUL after the address",    TEXT("[::1\0]:8000"),     false},
        {"text hidden behind a NUL", TEXT("[::1\0evil]"),      false},
        {"NUL before the address",   TEXT("[\0::1]"),          false},
        {"empty brackets",           TEXT("[]"),               false},
        {"NUL after a v4 address",   TEXT("127.0.0.1\0"),      false},
        {"NUL within a name",        TEXT("metrics\0example"), false},
        {"NUL after a name",         TEXT("localhost\0"),      false},
        {"nothing",                  TEXT(""),                 false},
    };
    static const char *const names[] = {"metrics.example", "metrics"};
    struct http_policy *policy = http_policy_new(names, 2, NULL, 0);
    assert_non_null(policy);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct http_text host = {rows[i].at, rows[i].len};
        if (http_policy_host(policy, host) != rows[i].ours)
            fail_msg("%s: %s", rows[i].label, rows[i].ours ? "refused" : "let in");
    }
    http_policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_host_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
