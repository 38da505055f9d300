#include "api/text.h"

#include "base/rng.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_number_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double value;
        int decimals;
        const char *text;
    } rows[] = {
        {"whole keeps a point",                 96.0,              API_DECIMALS_AUTO, "96.0"                  },
        {"zero",                                0.0,               API_DECIMALS_AUTO, "0.0"                   },
        {"no negative zero",                    -0.0,              1,                 "0.0"                   },
        {"small negative rounds to plain zero", -0.04,             1,                 "0.0"                   },
        {"three decimals from ten on",          61.53472,          API_DECIMALS_AUTO, "61.535"                },
        {"four from one on",                    4.123456,          API_DECIMALS_AUTO, "4.1235"                },
        {"five below one",                      0.000412,          API_DECIMALS_AUTO, "0.00041"               },
        {"trailing zeros go",                   12.5,              6,                 "12.5"                  },
        {"six",                                 57.569801,         6,                 "57.569801"             },
        {"none: no point",                      12.5,              0,                 "13"                    },
        {"negative",                            -4.1,              1,                 "-4.1"                  },
        {"half away from zero",                 0.25,              1,                 "0.3"                   },
        {"not a number",                        (double)NAN,       1,                 "null"                  },
        {"infinite",                            -(double)INFINITY, 3,                 "null"                  },
        {"carry",                               9.99996,           API_DECIMALS_AUTO, "10.0"                  },
        {"huge",                                1e30,              2,                 "1.0000000000000000e+30"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[API_NUMBER_SIZE + 1];
        *api_number_write(text, rows[i].value, rows[i].decimals) = '\0';
        if (fabs(rows[i].value) < 1e15 || !isfinite(rows[i].value))
            CHECK_STR(rows[i].name, text, rows[i].text);
        else
            CHECK_NEAR(rows[i].name, strtod(text, NULL) / rows[i].value, 1.0, 1e-12);
    }
}

/* Digit by digit, whatever the way: those of the rounded number, zeros at the end cut. */
static void test_number_digits(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 2);
    for (int i = 0; i < 300000; i++) {
        const int decimals = (int)fw_rng_below(&rng, API_DECIMALS_MAX + 1);
        const uint64_t size = (uint64_t)pow(10.0, (double)fw_rng_below(&rng, 13));
        const uint64_t scaled = fw_rng_below(&rng, size + 1);
        const double power = pow(10.0, (double)decimals), value = (double)scaled / power;
        char text[API_NUMBER_SIZE + 1], digits[32], wanted[48];
        *api_number_write(text, i % 2 == 0 ? value : -value, decimals) = '\0';
        snprintf(digits, sizeof digits, "%0*llu", decimals + 1, (unsigned long long)scaled);
        const int whole = (int)strlen(digits) - decimals;
        snprintf(wanted, sizeof wanted, "%s%.*s%s%s", i % 2 != 0 && scaled > 0 ? "-" : "", whole,
                 digits, decimals > 0 ? "." : "", digits + whole);
        for (size_t end = strlen(wanted);
             decimals > 0 && wanted[end - 1] == '0' && wanted[end - 2] != '.';)
            wanted[--end] = '\0';
        if (strcmp(text, wanted) != 0)
            fail_msg("%.17g with %d: %s, not %s", value, decimals, text, wanted);
    }
}

/* What is larger is never written smaller: ordered quantiles stay ordered. */
static void test_number_order(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 1);
    for (int i = 0; i < 200000; i++) {
        const double a = (fw_rng_uniform(&rng) - 0.1) * pow(10.0, (double)fw_rng_below(&rng, 6));
        const double b = a + fw_rng_uniform(&rng) * 1e-3;
        char ta[API_NUMBER_SIZE + 1], tb[API_NUMBER_SIZE + 1];
        *api_number_write(ta, a, API_DECIMALS_AUTO) = '\0';
        *api_number_write(tb, b, API_DECIMALS_AUTO) = '\0';
        if (strtod(ta, NULL) > strtod(tb, NULL))
            fail_msg("%.17g -> %s, %.17g -> %s", a, ta, b, tb);
        const double gap = fabs(strtod(ta, NULL) - a);
        if (gap > 0.00050001 || gap > 1e-5 + 1e-4 * fabs(a))
            fail_msg("%.17g -> %s", a, ta);
    }
}

static void test_zone_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *time; /* NULL: refused */
    } rows[] = {
        {"naive",                "naive",         "\"2026-11-23T01:56:54.765000\""      },
        {"utc",                  "UTC",           "\"2026-11-23T01:56:54.765000Z\""     },
        {"z",                    "z",             "\"2026-11-23T01:56:54.765000Z\""     },
        {"east",                 "+02:00",        "\"2026-11-23T03:56:54.765000+02:00\""},
        {"plus sent as a blank", " 05:30",        "\"2026-11-23T07:26:54.765000+05:30\""},
        {"west over midnight",   "-03:00",        "\"2026-11-22T22:56:54.765000-03:00\""},
        {"too far",              "+15:00",        NULL                                  },
        {"no minutes",           "+02",           NULL                                  },
        {"a place",              "Europe/Berlin", NULL                                  },
        {"empty",                "",              NULL                                  },
        {"letters",              "+0a:00",        NULL                                  },
        {"quote",                "\"",            NULL                                  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct api_zone zone;
        const bool good = api_zone_parse(rows[i].text, &zone);
        CHECK_EQ(rows[i].name, good, rows[i].time != NULL);
        if (!good)
            continue;
        struct fw_buf buf;
        fw_buf_init(&buf, 4096);
        api_put_time(&buf, 1795399014765, &zone);
        fw_buf_putc(&buf, '\0');
        CHECK_STR(rows[i].name, buf.data, rows[i].time);
        fw_buf_fini(&buf);
    }
}

static void test_time_pair(void **state)
{
    (void)state;
    struct fw_buf buf;
    fw_buf_init(&buf, 4096);
    api_put_time_pair(&buf, "seen", 0, &api_zone_naive);
    fw_buf_putc(&buf, ' ');
    api_put_time_pair(&buf, "seen", 1795399014765, &api_zone_naive);
    fw_buf_putc(&buf, '\0');
    assert_string_equal(buf.data, "\"seen\":null,\"seen_unix\":null "
                                  "\"seen\":\"2026-11-23T01:56:54.765000\","
                                  "\"seen_unix\":1795399014");
    fw_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_rows),  cmocka_unit_test(test_number_digits),
        cmocka_unit_test(test_number_order), cmocka_unit_test(test_zone_rows),
        cmocka_unit_test(test_time_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
