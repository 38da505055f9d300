/* Patterns against what they are meant to fit, against the C library's as a second opinion, and
 * against patterns that blow up others. */
#include "query/regex.h"

#include "base/alloc.h"
#include "base/rng.h"

#include "support.h"

#include <regex.h>
#include <stdlib.h>

static bool fits(const char *pattern, const char *text)
{
    struct query_regex *regex;
    struct fw_error err = {0};
    if (query_regex_new(pattern, strlen(pattern), &regex, &err) != FW_OK)
        fail_msg("%s: %s", pattern, err.text);
    const bool result = query_regex_match(regex, text, strlen(text));
    query_regex_free(regex);
    return result;
}

static void test_patterns(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool fits;
    } rows[] = {
        {"",            "",           true },
        {"",            "a",          false},
        {"a",           "a",          true },
        {"a",           "ab",         false},
        {"a",           "ba",         false},
        {".*",          "",           true },
        {".+",          "",           false},
        {".+",          "x\xc3\xa4y", true },
        {"a|b",         "b",          true },
        {"a|b|",        "",           true },
        {"(a|b)c",      "bc",         true },
        {"(?:a|b)c",    "ac",         true },
        {"db.*",        "db-17",      true },
        {"db.*",        "xdb",        false},
        {"^db$",        "db",         true },
        {"a?b",         "b",          true },
        {"a?b",         "aab",        false},
        {"a*?b",        "aaab",       true },
        {"a{3}",        "aaa",        true },
        {"a{3}",        "aa",         false},
        {"a{2,}",       "aaaa",       true },
        {"a{2,}",       "a",          false},
        {"a{1,2}",      "aaa",        false},
        {"a{0}",        "",           true },
        {"(ab){2}",     "abab",       true },
        {"[a-c]+",      "abcabc",     true },
        {"[^a-c]+",     "xyz",        true },
        {"[^a-c]+",     "xaz",        false},
        {"[]a]+",       "]a",         true },
        {"[a-]+",       "-a",         true },
        {"[\\d_]+",     "1_2",        true },
        {"\\d+",        "123",        true },
        {"\\D+",        "12a",        false},
        {"\\w+",        "a_1",        true },
        {"\\s",         "\t",         true },
        {"a\\.b",       "a.b",        true },
        {"a\\.b",       "axb",        false},
        {"a.b",         "a\nb",       false},
        {"web-1|web-2", "web-2",      true },
        {"\\(x\\)",     "(x)",        true },
        {"(a|b)*c",     "ababc",      true },
        {"(a*)*",       "aaa",        true },
        {"(a|)+",       "aa",         true },
        {"x*",          "",           true },
        {"[\\]]",       "]",          true },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].pattern, fits(rows[i].pattern, rows[i].text), rows[i].fits);
}

static void test_faults(void **state)
{
    static const struct {
        const char *pattern;
        enum fw_status status;
    } rows[] = {
        {"(",               FW_EINVAL},
        {")",               FW_EINVAL},
        {"[",               FW_EINVAL},
        {"[]",              FW_EINVAL},
        {"*",               FW_EINVAL},
        {"a**",             FW_EINVAL},
        {"a{",              FW_EINVAL},
        {"a{2",             FW_EINVAL},
        {"a{2,1}",          FW_EINVAL},
        {"a{1001}",         FW_EINVAL},
        {"\\",              FW_EINVAL},
        {"[\\",             FW_EINVAL},
        {"\\q",             FW_EINVAL},
        {"[z-a]",           FW_EINVAL},
        {"(?i)a",           FW_EINVAL},
        {"(?=a)",           FW_EINVAL},
        {"((a{100}){100})", FW_ELIMIT},
        {"(.{1000}){1000}", FW_ELIMIT},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct query_regex *regex;
        struct fw_error err = {0};
        CHECK_EQ(rows[i].pattern,
                 query_regex_new(rows[i].pattern, strlen(rows[i].pattern), &regex, &err),
                 rows[i].status);
        CHECK_TRUE(rows[i].pattern, regex == NULL && err.text[0] != '\0');
    }
    char deep[200];
    memset(deep, '(', sizeof deep);
    struct query_regex *regex;
    CHECK_EQ("deep", query_regex_new(deep, sizeof deep, &regex, NULL), FW_ELIMIT);
    /* Nothing, a thousand times a thousand times a thousand. */
    CHECK_TRUE("nothing", fits("(((((){1000}){1000}){1000}){1000}){1000}", ""));
    CHECK_TRUE("linear",
               !fits("(a*)*(a|aa)*(a|a)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

/* Random patterns and texts of few letters: as POSIX's extended ones say. */
static void random_pattern(struct fw_rng *rng, char *out, int depth)
{
    static const char *const atoms[] = {"a", "b", "c", ".", "[ab]", "[^a]"};
    static const char *const repeats[] = {"", "", "", "*", "+", "?", "{2}", "{1,2}"};
    const uint64_t parts = 1 + fw_rng_next(rng) % 3;
    for (uint64_t i = 0; i < parts; i++) {
        if (depth < 2 && fw_rng_next(rng) % 3 == 0) {
            strcat(out, "(");
            random_pattern(rng, out, depth + 1);
            if (fw_rng_next(rng) % 2 == 0) {
                strcat(out, "|");
                random_pattern(rng, out, depth + 1);
            }
            strcat(out, ")");
        } else {
            strcat(out, atoms[fw_rng_next(rng) % COUNT_OF(atoms)]);
        }
        strcat(out, repeats[fw_rng_next(rng) % COUNT_OF(repeats)]);
    }
}

static void test_second_opinion(void **state)
{
    struct fw_rng rng;
    (void)state;
    fw_rng_init(&rng, 7);
    for (int turn = 0; turn < 3000; turn++) {
        char pattern[1024] = "", anchored[1100], text[12];
        regex_t posix;
        struct query_regex *regex;
        random_pattern(&rng, pattern, 0);
        snprintf(anchored, sizeof anchored, "^(%s)$", pattern);
        assert_int_equal(regcomp(&posix, anchored, REG_EXTENDED | REG_NOSUB), 0);
        assert_int_equal(query_regex_new(pattern, strlen(pattern), &regex, NULL), FW_OK);
        for (int k = 0; k < 20; k++) {
            const size_t len = fw_rng_next(&rng) % 10;
            for (size_t i = 0; i < len; i++)
                text[i] = (char)('a' + fw_rng_next(&rng) % 3);
            text[len] = '\0';
            const bool expected = regexec(&posix, text, 0, NULL, 0) == 0;
            if (query_regex_match(regex, text, len) != expected)
                fail_msg("\"%s\" and \"%s\": expected %d", pattern, text, expected);
        }
        regfree(&posix);
        query_regex_free(regex);
    }
}

static void test_allocations_fail(void **state)
{
    (void)state;
    for (long n = 1; n < 20; n++) {
        struct query_regex *regex;
        fw_alloc_fail_at(n);
        const enum fw_status status = query_regex_new("a|b", 3, &regex, NULL);
        fw_alloc_fail_at(0);
        CHECK_EQ("status", status, regex != NULL ? FW_OK : FW_ENOMEM);
        query_regex_free(regex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_second_opinion),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
