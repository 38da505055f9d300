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
        {"naive",                "naive",               "\"2026-11-23T01:56:54.765000\""      },
        {"utc",                  "UTC",                 "\"2026-11-23T01:56:54.765000Z\""     },
        {"z",                    "z",                   "\"2026-11-23T01:56:54.765000Z\""     },
        {"east",                 "+02:00",              "\"2026-11-23T03:56:54.765000+02:00\""},
        {"plus sent as a blank", " 05:30",              "\"2026-11-23T07:26:54.765000+05:30\""},
        {"west over midnight",   "-03:00",              "\"2026-11-22T22:56:54.765000-03:00\""},
        {"too far",              "+15:00",              NULL                                  },
        {"no minutes",           "+02",                 NULL                                  },
        {"a place",              "Europe/Berlin",       "\"2026-11-23T02:56:54.765000+01:00\""},
        {"a place in the west",  "America/New_York",    "\"2026-11-22T20:56:54.765000-05:00\""},
        {"half an hour off",     "Asia/Kolkata",        "\"2026-11-23T07:26:54.765000+05:30\""},
        {"no such place",        "Europe/Berlim",       NULL                                  },
        {"a file",               "../../../etc/passwd", NULL                                  },
        {"empty",                "",                    NULL                                  },
        {"letters",              "+0a:00",              NULL                                  },
        {"quote",                "\"",                  NULL                                  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct api_zone zone;
        const bool good = api_zone_parse(rows[i].text, &zone, NULL) == FW_OK;
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

static void put_at(struct fw_buf *buf, const char *zone_name, int64_t ms)
{
    struct api_zone zone;
    assert_int_equal(api_zone_parse(zone_name, &zone, NULL), FW_OK);
    assert_string_equal(api_zone_name(&zone), zone_name);
    buf->len = 0;
    api_put_time(buf, ms, &zone);
    fw_buf_putc(buf, '\0');
}

/* Each time with the offset of its own moment; a zone that once was 44 minutes and 30 seconds off
 * is written in whole minutes, time and offset alike. */
static void test_named_zone(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        int64_t ms;
        const char *time;
    } rows[] = {
        {"Europe/Berlin",   INT64_C(1774745999999),   "\"2026-03-29T01:59:59.999000+01:00\""},
        {"Europe/Berlin",   INT64_C(1774746000000),   "\"2026-03-29T03:00:00.000000+02:00\""},
        {"Europe/Berlin",   INT64_C(1792889999000),   "\"2026-10-25T02:59:59.000000+02:00\""},
        {"Europe/Berlin",   INT64_C(1792890000000),   "\"2026-10-25T02:00:00.000000+01:00\""},
        {"Europe/London",   INT64_C(1795399014765),   "\"2026-11-23T01:56:54.765000+00:00\""},
        {"Africa/Monrovia", INT64_C(86400000),        "\"1970-01-01T23:16:00.000000-00:44\""},
        {"America/Lima",    0,                        "null"                                }, /* 1969 there */
        {"Asia/Tokyo",      INT64_C(253402300799000), "null"                                }, /* the year 10000 there */
        {"Asia/Tokyo",      -1,                       "null"                                },
    };
    struct fw_buf buf;
    fw_buf_init(&buf, 4096);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        put_at(&buf, rows[i].zone, rows[i].ms);
        CHECK_STR(rows[i].time, buf.data, rows[i].time);
    }
    fw_buf_fini(&buf);
}

static void test_zone_refused(void **state)
{
    (void)state;
    struct api_zone zone;
    struct fw_error err = {0};
    assert_int_equal(api_zone_parse("+15:00", &zone, &err), FW_EINVAL);
    assert_int_equal(api_zone_parse("Europe/Berlim", &zone, &err), FW_ENOTFOUND);
    assert_non_null(strstr(err.text, "no time zone Europe/Berlim in "));
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
        cmocka_unit_test(test_named_zone),   cmocka_unit_test(test_zone_refused),
        cmocka_unit_test(test_time_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
