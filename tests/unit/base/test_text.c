/* UTF-8, names, globs, and times against a calendar that is counted day by day. */
#include "support.h"

#include "base/rng.h"
#include "base/text.h"

#include <stdlib.h>
#include <time.h>

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        size_t length;
    } rows[] = {
        {"ascii",             "a",                1},
        {"two bytes",         "\xc3\xa4",         2},
        {"first of two",      "\xc2\x80",         2},
        {"three bytes",       "\xe2\x82\xac",     3},
        {"first of three",    "\xe0\xa0\x80",     3},
        {"before surrogates", "\xed\x9f\xbf",     3},
        {"behind surrogates", "\xee\x80\x80",     3},
        {"four bytes",        "\xf0\x9f\x98\x80", 4},
        {"first of four",     "\xf0\x90\x80\x80", 4},
        {"last of all",       "\xf4\x8f\xbf\xbf", 4},
        {"empty",             "",                 0},
        {"continuation",      "\x80",             0},
        {"overlong NUL",      "\xc0\x80",         0},
        {"overlong two",      "\xc1\xbf",         0},
        {"overlong three",    "\xe0\x9f\xbf",     0},
        {"overlong four",     "\xf0\x8f\xbf\xbf", 0},
        {"surrogate",         "\xed\xa0\x80",     0},
        {"too high",          "\xf4\x90\x80\x80", 0},
        {"five bytes",        "\xf8\x88\x80\x80", 0},
        {"cut two",           "\xc3",             0},
        {"cut three",         "\xe2\x82",         0},
        {"cut four",          "\xf0\x9f\x98",     0},
        {"bad second",        "\xc3z",            0},
        {"bad third",         "\xe2\x82z",        0},
        {"bad fourth",        "\xf0\x9f\x98z",    0},
        {"ff",                "\xff",             0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK_EQ(rows[i].name, fw_utf8_length(rows[i].text, strlen(rows[i].text)), rows[i].length);
        CHECK_EQ(rows[i].name, fw_utf8_valid(rows[i].text, strlen(rows[i].text)),
                 rows[i].length > 0 || rows[i].text[0] == '\0');
    }
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        bool valid;
    } rows[] = {
        {"plain",           "web-1",                  true },
        {"dots and colons", "node1.example.com:9100", true },
        {"inner blank",     "a b",                    true },
        {"umlaut",          "Server-\xc3\x84",        true },
        {"emoji",           "\xf0\x9f\x98\x80",       true },
        {"markup",          "<b>&\"'",                true },
        {"empty",           "",                       false},
        {"leading blank",   " a",                     false},
        {"trailing blank",  "a ",                     false},
        {"tab",             "a\tb",                   false},
        {"newline",         "a\nb",                   false},
        {"carriage return", "a\rb",                   false},
        {"escape",          "\x1b[31m",               false},
        {"delete",          "a\x7f",                  false},
        {"C1",              "a\xc2\x85z",             false},
        {"line separator",  "a\xe2\x80\xa8z",         false},
        {"right to left",   "a\xe2\x80\xaez",         false},
        {"isolate",         "a\xe2\x81\xa6z",         false},
        {"zero width",      "a\xe2\x80\x8bz",         false},
        {"byte order mark",
         "\xef\xbb\xbf"
         "a",                                         false},
        {"invalid UTF-8",   "a\xff",                  false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, fw_name_valid(rows[i].text, strlen(rows[i].text), 32),
                 rows[i].valid);
    assert_false(fw_name_valid("abc", 3, 2));
    assert_false(fw_name_valid("a\0b", 3, 9));
}

/* The definition of a glob, by recursion. */
static bool slow_glob(const char *p, const char *t)
{
    if (*p == '\0')
        return *t == '\0';
    if (*p == '*')
        return slow_glob(p + 1, t) || (*t != '\0' && slow_glob(p, t + 1));
    return *t != '\0' && (*p == '?' || *p == *t) && slow_glob(p + 1, t + 1);
}

static void test_globs(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 4);
    int matched = 0;
    for (int i = 0; i < 20000; i++) {
        char pattern[9] = "", text[9] = "";
        const size_t np = fw_rng_below(&rng, 8), nt = fw_rng_below(&rng, 8);
        for (size_t k = 0; k < np; k++)
            pattern[k] = "ab*?"[fw_rng_below(&rng, 4)];
        for (size_t k = 0; k < nt; k++)
            text[k] = "ab"[fw_rng_below(&rng, 2)];
        const bool expected = slow_glob(pattern, text);
        matched += expected;
        if (fw_glob_match(pattern, text) != expected)
            fail_msg("\"%s\" against \"%s\": expected %d", pattern, text, expected);
    }
    assert_true(matched > 1000);
    /* Linear: this one would take for ever by recursion. */
    char text[5001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(fw_glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

/* Every day of 430 years, counted one by one. */
static void test_calendar(void **state)
{
    (void)state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 1970, month = 1, day = 1;
    for (int64_t days = 0; year < 2400; days++) {
        int y, m, d;
        fw_civil_from_days(days, &y, &m, &d);
        if (y != year || m != month || d != day || fw_days_from_civil(year, month, day) != days)
            fail_msg("day %lld is %d-%d-%d, not %d-%d-%d", (long long)days, year, month, day, y, m,
                     d);
        char text[FW_TIME_SIZE];
        int64_t ms = -1;
        snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
        assert_true(fw_time_parse(text, 10, &ms));
        assert_int_equal(ms, days * 86400000);
        const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if (++day > lengths[month - 1] + (month == 2 && leap)) {
            snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
            assert_false(fw_time_parse(text, 10, &ms));
            day = 1;
            if (++month > 12) {
                month = 1;
                year++;
            }
        }
    }
    for (int64_t days = -800000; days < 3000000; days += 977) {
        int y, m, d;
        fw_civil_from_days(days, &y, &m, &d);
        assert_int_equal(fw_days_from_civil(y, m, d), days);
    }
}

static void test_time_forms(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int64_t ms; /* -1: refused */
    } rows[] = {
        {"epoch",                 "1970-01-01T00:00:00Z",              0                       },
        {"naive",                 "1970-01-01T00:00:01",               1000                    },
        {"blank between",         "1970-01-01 00:00:01",               1000                    },
        {"small letters",         "1970-01-01t00:00:01z",              1000                    },
        {"no seconds",            "1970-01-01T00:01",                  60000                   },
        {"no seconds, zone",      "1970-01-01T00:01Z",                 60000                   },
        {"tenths",                "1970-01-01T00:00:01.5",             1500                    },
        {"comma",                 "1970-01-01T00:00:01,25Z",           1250                    },
        {"microseconds cut",      "1970-01-01T00:00:01.999999",        1999                    },
        {"nanoseconds",           "1970-01-01T00:00:01.123456789Z",    1123                    },
        {"east",                  "1970-01-01T02:00:00+02:00",         0                       },
        {"west",                  "1970-01-01T00:00:00-05:30",         19800000                },
        {"offset without colon",  "1970-01-01T02:00:00+0200",          0                       },
        {"offset of hours",       "1970-01-01T02:00:00+02",            0                       },
        {"leap second",           "2016-12-31T23:59:60Z",              INT64_C(1483228800000)  },
        {"past 2038",             "2038-01-19T03:14:08Z",              INT64_C(2147483648000)  },
        {"last year",             "9999-12-31T23:59:59.999Z",          INT64_C(253402300799999)},
        {"leap day",              "2000-02-29",                        INT64_C(951782400000)   },
        {"empty",                 "",                                  -1                      },
        {"year alone",            "2026",                              -1                      },
        {"no dashes",             "20260101",                          -1                      },
        {"T and nothing",         "2026-01-01T",                       -1                      },
        {"before 1970",           "1969-12-31T23:59:59Z",              -1                      },
        {"before 1970 by zone",   "1970-01-01T00:00:00+01:00",         -1                      },
        {"month 0",               "2026-00-01",                        -1                      },
        {"month 13",              "2026-13-01",                        -1                      },
        {"day 0",                 "2026-01-00",                        -1                      },
        {"April 31",              "2026-04-31",                        -1                      },
        {"February 29",           "2026-02-29",                        -1                      },
        {"1900 was no leap year", "2100-02-29",                        -1                      },
        {"hour 24",               "2026-01-01T24:00:00",               -1                      },
        {"minute 60",             "2026-01-01T00:60:00",               -1                      },
        {"second 61",             "2026-01-01T00:00:61",               -1                      },
        {"point and nothing",     "2026-01-01T00:00:00.",              -1                      },
        {"13 decimals",           "2026-01-01T00:00:00.1234567890123", -1                      },
        {"zone of 19 h",          "2026-01-01T00:00:00+19:00",         -1                      },
        {"zone minute 60",        "2026-01-01T00:00:00+01:60",         -1                      },
        {"zone cut",              "2026-01-01T00:00:00+1",             -1                      },
        {"zone colon only",       "2026-01-01T00:00:00+01:",           -1                      },
        {"trailing",              "2026-01-01T00:00:00Z ",             -1                      },
        {"leading",               " 2026-01-01T00:00:00Z",             -1                      },
        {"words",                 "yesterday",                         -1                      },
        {"sign in number",        "2026-+1-01",                        -1                      },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms = -7;
        const bool parsed = fw_time_parse(rows[i].text, strlen(rows[i].text), &ms);
        CHECK_EQ(rows[i].name, parsed, rows[i].ms >= 0);
        CHECK_EQ(rows[i].name, ms, rows[i].ms >= 0 ? rows[i].ms : -7);
    }
}

static void test_time_formats(void **state)
{
    (void)state;
    struct fw_rng rng;
    char text[FW_TIME_SIZE], expected[FW_TIME_SIZE];
    fw_time_format(INT64_C(1795399014765), text);
    assert_string_equal(text, "2026-11-23T01:56:54.765000");
    fw_time_format_z(INT64_C(1795399014765), text);
    assert_string_equal(text, "2026-11-23T01:56:54.765Z");
    fw_time_format_z(INT64_C(1795399014000), text);
    assert_string_equal(text, "2026-11-23T01:56:54Z");
    fw_time_format_z(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    fw_rng_init(&rng, 9);
    for (int i = 0; i < 20000; i++) {
        const int64_t ms = (int64_t)fw_rng_below(&rng, UINT64_C(253402300800000));
        const time_t seconds = (time_t)(ms / 1000);
        struct tm parts;
        int64_t back = -1;
        gmtime_r(&seconds, &parts);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &parts);
        fw_time_format(ms, text);
        assert_memory_equal(text, expected, 19);
        assert_true(fw_time_parse(text, strlen(text), &back));
        assert_int_equal(back, ms);
        fw_time_format_z(ms, text);
        assert_true(fw_time_parse(text, strlen(text), &back));
        assert_int_equal(back, ms);
    }
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* 0: refused */
    } rows[] = {
        {"90s",                   90000       },
        {"45m",                   2700000     },
        {"2h",                    7200000     },
        {"7d",                    604800000   },
        {"1w",                    604800000   },
        {"3660d",                 316224000000},
        {"3661d",                 0           },
        {"0s",                    0           },
        {"",                      0           },
        {"s",                     0           },
        {"5",                     0           },
        {"-5m",                   0           },
        {"+5m",                   0           },
        {" 5m",                   0           },
        {"5m ",                   0           },
        {"5ms",                   0           },
        {"1.5h",                  0           },
        {"5y",                    0           },
        {"99999999999999999999s", 0           },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms = 0;
        CHECK_EQ(rows[i].text, fw_duration_parse(rows[i].text, &ms), rows[i].ms != 0);
        CHECK_EQ(rows[i].text, ms, rows[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),    cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_calendar),     cmocka_unit_test(test_time_forms),
        cmocka_unit_test(test_time_formats),
    };
    return cmocka_run_group_tests_name("base text", tests, NULL, NULL);
}
