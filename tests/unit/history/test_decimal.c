/* Decimals are read as pandas 1.5 reads them; expected values were taken from it. */
#include "support.h"

#include "history/decimal.h"

#include <stdlib.h>

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
        bool nearest; /* as strtod() has it */
    } rows[] = {
        {"0.1",                     0x1.999999999999ap-4,    true },
        {"93.83",                   0x1.7751eb851eb85p+6,    true },
        {"6.51e-05",                0x1.110c97bdf746fp-14,   true },
        {"1.438e+08",               0x1.1246d80000000p+27,   true },
        {"-2.5",                    -2.5,                    true },
        {"+3",                      3.0,                     true },
        {"5.",                      5.0,                     true },
        {".5E1",                    5.0,                     true },
        {"0.4620000123977661",      0x1.d916880000000p-2,    true },
        {"5.0900001525878915",      0x1.45c2900000002p+2,    false},
        {"21.173999786376953",      0x1.52c8b40000001p+4,    false},
        {"19.979000091552734",      0x1.3fa9fbfffffffp+4,    false},
        {"0.30000000000000004",     0x1.3333333333333p-2,    false},
        {"12345678901234567890",    0x1.56a95319d63e1p+63,   true },
        {"0.00000000000000000001",  0.0,                     false}, /* 17 digits are zeros */
        {"1e23",                    0x1.52d02c7e14af6p+76,   true },
        {"123456789.123456789e-30", 0x1.2a800d1ab50afp-73,   true },
        {"1e308",                   0x1.1ccf385ebc8a0p+1023, true },
        {"1e999",                   (double)INFINITY,        true },
        {"1e-999",                  0.0,                     true },
        {"0x10",                    16.0,                    true },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_TRUE(rows[i].text, history_decimal(rows[i].text) == rows[i].value);
        CHECK_EQ(rows[i].text, strtod(rows[i].text, NULL) == rows[i].value, rows[i].nearest);
    }
}

/* Up to 15 digits both readings are the nearest double. */
static void test_fifteen_digits(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u; /* xorshift64 */
    for (int i = 0; i < 200000; i++) {
        char text[32];
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (void)snprintf(text, sizeof text, "%llu.%05llu", (unsigned long long)(x % 10000000000u),
                       (unsigned long long)(x / 10000000000u % 100000u));
        CHECK_TRUE(text, history_decimal(text) == strtod(text, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_fifteen_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
