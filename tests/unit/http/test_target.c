#include "support.h"

#include "http/target.h"

static struct http_fault parse(struct http_target *target, char *space, const char *text)
{
    const size_t len = strlen(text);
    memcpy(space, text, len);
    return http_target_parse(target, space, len);
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        int status;       /* 0: fine */
        const char *path; /* segments joined by '|' */
    } rows[] = {
        {"/",                                          0,   ""                                      },
        {"/a",                                         0,   "a"                                     },
        {"/a/",                                        0,   "a"                                     },
        {"/a/b",                                       0,   "a|b"                                   },
        {"/a%2Fb",                                     0,   "a/b"                                   },
        {"/a%2fb/c",                                   0,   "a/b|c"                                 },
        {"/%61%7A",                                    0,   "az"                                    },
        {"/a+b",                                       0,   "a+b"                                   },
        {"/%C3%A9",                                    0,   "\xc3\xa9"                              },
        {"/a%20b",                                     0,   "a b"                                   },
        {"/a?",                                        0,   "a"                                     },
        {"/a?b/c",                                     0,   "a"                                     },
        {"/a%25b",                                     0,   "a%b"                                   },
        {"/a%252Fb",                                   0,   "a%2Fb"                                 }, /* decoded once only */
        {"//",                                         404, NULL                                    },
        {"//a",                                        404, NULL                                    },
        {"/a//b",                                      404, NULL                                    },
        {"/a//",                                       404, NULL                                    },
        {"/.",                                         404, NULL                                    },
        {"/..",                                        404, NULL                                    },
        {"/a/../b",                                    404, NULL                                    },
        {"/%2e%2E/a",                                  404, NULL                                    },
        {"/...",                                       0,   "..."                                   },
        {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",    0,   "1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16"},
        {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", 404, NULL                                    },
        {"/%",                                         400, NULL                                    },
        {"/%4",                                        400, NULL                                    },
        {"/%4g",                                       400, NULL                                    },
        {"/%g4",                                       400, NULL                                    },
        {"/%00",                                       400, NULL                                    },
        {"/%0a",                                       400, NULL                                    },
        {"/%7f",                                       400, NULL                                    },
        {"/%ff",                                       400, NULL                                    },
        {"/%c0%af",                                    400, NULL                                    },
        {"/%ed%a0%80",                                 400, NULL                                    },
        {"/a%2",                                       400, NULL                                    },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_target target;
        char space[200], path[200] = "";
        const struct http_fault fault = parse(&target, space, rows[i].target);
        CHECK_EQ(rows[i].target, fault.status, rows[i].status);
        CHECK_EQ(rows[i].target, fault.text == NULL, rows[i].status == 0);
        for (size_t k = 0; rows[i].path != NULL && k < target.n_segments; k++) {
            strcat(path, k > 0 ? "|" : "");
            strcat(path, http_target_segment(&target, k));
        }
        if (rows[i].path != NULL)
            CHECK_STR(rows[i].target, path, rows[i].path);
    }
}

static void test_queries(void **state)
{
    (void)state;
    static const struct {
        const char *query, *pairs; /* NULL: refused */
    } rows[] = {
        {"a=1",       "a=1;"      },
        {"a=1&b=2",   "a=1;b=2;"  },
        {"a",         "a=;"       },
        {"a=",        "a=;"       },
        {"=1",        "=1;"       },
        {"a=b=c",     "a=b=c;"    },
        {"a=1&&b=2&", "a=1;b=2;"  },
        {"&",         ""          },
        {"a+b=c+d",   "a b=c d;"  },
        {"a%3Db=%26", "a=b=&;"    },
        {"a=%2B",     "a=+;"      },
        {"a=1?b=2",   "a=1?b=2;"  },
        {"a=/x/../y", "a=/x/../y;"},
        {"%61",       "a=;"       },
        {"a=%",       NULL        },
        {"a=%0a",     NULL        },
        {"%00=1",     NULL        },
        {"a=%ff",     NULL        },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_target target;
        char text[200], space[200], pairs[200] = "";
        snprintf(text, sizeof text, "/x?%s", rows[i].query);
        const struct http_fault fault = parse(&target, space, text);
        CHECK_EQ(rows[i].query, fault.text == NULL, rows[i].pairs != NULL);
        for (size_t k = 0; fault.text == NULL && k < target.n_parameters; k++) {
            strcat(pairs, target.text + target.parameters[k].name);
            strcat(pairs, "=");
            strcat(pairs, target.text + target.parameters[k].value);
            strcat(pairs, ";");
        }
        if (rows[i].pairs != NULL)
            CHECK_STR(rows[i].query, pairs, rows[i].pairs);
    }
}

static void test_too_many(void **state)
{
    (void)state;
    char text[1000] = "/x?", space[1000];
    struct http_target target;
    for (int i = 0; i < HTTP_PARAMETERS_MAX; i++)
        strcat(text, "a=1&");
    assert_null(parse(&target, space, text).text);
    assert_int_equal(target.n_parameters, HTTP_PARAMETERS_MAX);
    strcat(text, "a");
    assert_int_equal(parse(&target, space, text).status, 400);
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *target;
        bool fits;
        size_t n;
    } rows[] = {
        {"/",          "/",          true,  0},
        {"/",          "/a",         false, 0},
        {"/a",         "/a",         true,  0},
        {"/a",         "/a/",        true,  0},
        {"/a",         "/A",         false, 0},
        {"/a",         "/ab",        false, 0},
        {"/ab",        "/a",         false, 0},
        {"/a/{x}",     "/a/b",       true,  1},
        {"/a/{x}",     "/a",         false, 0},
        {"/a/{x}",     "/a/b/c",     false, 0},
        {"/a/{x}/c",   "/a/b%2Fb/c", true,  1},
        {"/{x}/{y}",   "/1/2",       true,  2},
        {"/{x}/c/{y}", "/1/b/2",     false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_target target;
        char space[100];
        uint8_t at[HTTP_SEGMENTS_MAX];
        size_t n = 0;
        assert_null(parse(&target, space, rows[i].target).text);
        CHECK_EQ(rows[i].pattern, http_target_fits(&target, rows[i].pattern, at, &n), rows[i].fits);
        if (rows[i].fits)
            CHECK_EQ(rows[i].pattern, n, rows[i].n);
    }
    static const char *const good[] = {"/", "/a", "/a/{b}/c.d-e_f", "/openapi.json"};
    static const char *const bad[] = {"",    "a",     "/a/",  "//",     "/{}",  "/{a",
                                      "/a}", "/{a}b", "/a b", "/{a-b}", "/%41", "/a?b"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        CHECK_TRUE(good[i], http_pattern_valid(good[i]));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK_TRUE(bad[i], !http_pattern_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
