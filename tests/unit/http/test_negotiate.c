#include "support.h"

#include "http/negotiate.h"

static void test_accept_encoding(void **state)
{
    (void)state;
    enum { G = 1 << HTTP_GZIP, Z = 1 << HTTP_ZSTD };
    static const struct {
        const char *value;
        unsigned allowed;
        enum http_encoding best;
    } rows[] = {
        {"",                         0,     HTTP_IDENTITY},
        {"gzip",                     G,     HTTP_GZIP    },
        {"GZIP",                     G,     HTTP_GZIP    },
        {"x-gzip",                   G,     HTTP_GZIP    },
        {"zstd",                     Z,     HTTP_ZSTD    },
        {"gzip, zstd",               G | Z, HTTP_ZSTD    },
        {"gzip;q=1.0, zstd;q=0.999", G | Z, HTTP_GZIP    },
        {"gzip;q=0, zstd;q=0",       0,     HTTP_IDENTITY},
        {"gzip;q=0.000",             0,     HTTP_IDENTITY},
        {"gzip;q=0.001",             G,     HTTP_GZIP    },
        {"gzip ; q=0.5",             G,     HTTP_GZIP    },
        {"*",                        G | Z, HTTP_ZSTD    },
        {"*;q=0, gzip",              G,     HTTP_GZIP    },
        {"*, zstd;q=0",              G,     HTTP_GZIP    },
        {"*;q=0",                    0,     HTTP_IDENTITY},
        {"identity;q=0",             0,     HTTP_IDENTITY},
        {"gzip;q=2",                 0,     HTTP_IDENTITY},
        {"gzip;q=1.001",             0,     HTTP_IDENTITY},
        {"gzip;q=0.0001",            0,     HTTP_IDENTITY},
        {"gzip;q=",                  0,     HTTP_IDENTITY},
        {"gzip;x=1",                 0,     HTTP_IDENTITY},
        {"gzip;q=-1",                0,     HTTP_IDENTITY},
        {"gzip;q=.5",                0,     HTTP_IDENTITY},
        {"gzipp",                    0,     HTTP_IDENTITY},
        {"gzi",                      0,     HTTP_IDENTITY},
        {",,, gzip ,,",              G,     HTTP_GZIP    },
        {"deflate, br, compress",    0,     HTTP_IDENTITY},
        {";q=1",                     0,     HTTP_IDENTITY},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum http_encoding best;
        CHECK_EQ(rows[i].value, http_accept_encoding(rows[i].value, strlen(rows[i].value), &best),
                 rows[i].allowed);
        CHECK_EQ(rows[i].value, best, rows[i].best);
    }
}

static void test_none_match(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool match;
    } rows[] = {
        {"\"a-1\"",             true },
        {"W/\"a-1\"",           true },
        {" \"a-1\" ",           true },
        {"*",                   true },
        {" * ",                 true },
        {"\"x\", \"a-1\"",      true },
        {"\"x\",\"a-1\",\"y\"", true },
        {", ,\"a-1\"",          true },
        {"\"x,y\", \"a-1\"",    true },
        {"",                    false},
        {"a-1",                 false},
        {"\"a-1",               false},
        {"\"a-2\"",             false},
        {"\"a-1 \"",            false},
        {"\"A-1\"",             false},
        {"w/\"a-1\"",           false},
        {"\"x\"\"a-1\"",        false},
        {"W/",                  false},
        {"\"",                  false},
        {"**",                  false},
        {"\"x\" *",             false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].value, http_none_match(rows[i].value, strlen(rows[i].value), "a-1"),
                 rows[i].match);
}

static void test_lists(void **state)
{
    (void)state;
    assert_true(http_list_has("Accept, X-API-Key", 17, "x-api-key"));
    assert_false(http_list_has("Accept, X-API-Key", 16, "x-api-key"));
    assert_false(http_list_has("", 0, "a"));
    assert_true(http_same_nocase("AbC", 3, "aBc"));
    assert_false(http_same_nocase("AbC", 3, "aBcd"));
    assert_false(http_same_nocase("AbCd", 4, "aBc"));
    const char *text = " \t a b \t";
    size_t len = strlen(text);
    http_trim(&text, &len);
    assert_int_equal(len, 3);
    assert_memory_equal(text, "a b", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_encoding),
        cmocka_unit_test(test_none_match),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
