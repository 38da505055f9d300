/* Selectors: what stands in quotes stays there; lists; matchers of the user. */
#include "backfill/select.h"

#include "support.h"

static void test_one_of(void **state)
{
    (void)state;
    static const char *const texts[] = {"b.c:1", "a\"b\\c\nd", "a", "b.c:1", "[::1]:9|(x)+*?^$"};
    struct backfill_texts list = {.max = 100};
    struct fw_buf out;
    fw_buf_init(&out, 1000);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_true(backfill_texts_add(&list, texts[i], strlen(texts[i])));
    backfill_texts_sort(&list);
    CHECK_EQ("each once", list.count, 4);
    backfill_put_one_of(&out, "instance", &list, 0, list.count);
    fw_buf_putc(&out, '\0');
    CHECK_STR("escaped", out.data,
              "instance=~\"\\\\[::1\\\\]:9\\\\|\\\\(x\\\\)\\\\+\\\\*\\\\?\\\\^\\\\$|a|"
              "a\\\"b\\\\\\\\c\\nd|b\\\\.c:1\"");
    fw_buf_reset(&out);
    backfill_put_one_of(&out, "x", &list, 1, 1);
    backfill_put_is(&out, ",y", "a\"b\\c\nd.");
    fw_buf_putc(&out, '\0');
    CHECK_STR("plain", out.data, "x=~\"a\",y=\"a\\\"b\\\\c\\nd.\"");
    fw_buf_fini(&out);
    backfill_texts_fini(&list);
}

static void test_lists_end(void **state)
{
    (void)state;
    struct backfill_texts list = {.max = 2};
    assert_true(backfill_texts_add(&list, "b", 1));
    assert_true(backfill_texts_add(&list, "b", 1));
    assert_false(backfill_texts_add(&list, "c", 1));
    backfill_texts_sort(&list);
    assert_true(backfill_texts_add(&list, "c", 1));
    struct backfill_texts known = {.max = 2};
    assert_true(backfill_texts_add(&known, "a", 1) && backfill_texts_add(&known, "c", 1));
    backfill_texts_keep(&list, &known);
    CHECK_EQ("one is known", list.count, 1);
    CHECK_STR("which", list.items[0], "c");
    backfill_texts_fini(&known);
    backfill_texts_keep(&list, &known);
    CHECK_EQ("none is", list.count, 0);
    backfill_texts_fini(&list);
    backfill_texts_sort(&list);
    CHECK_EQ("empty", list.count, 0);
}

static void test_matchers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *inner; /* NULL: refused */
    } rows[] = {
        {"{job=\"node\"}",                 "job=\"node\""           },
        {"job=\"node\"",                   "job=\"node\""           },
        {" { job=\"a\" , b!~\"c{2}\", } ", "job=\"a\" , b!~\"c{2}\""},
        {"a=~\"x{3}y\"",                   "a=~\"x{3}y\""           },
        {"{}",                             ""                       },
        {"",                               ""                       },
        {"up{job=\"a\"}",                  NULL                     },
        {"{job=\"a\"",                     NULL                     },
        {"job=\"a\"}",                     NULL                     },
        {"{",                              NULL                     },
        {"}",                              NULL                     },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *inner;
        char text[100];
        size_t len;
        const enum fw_status status = backfill_match(rows[i].text, &inner, &len, NULL);
        CHECK_EQ(rows[i].text, status, rows[i].inner != NULL ? FW_OK : FW_EINVAL);
        if (status != FW_OK)
            continue;
        snprintf(text, sizeof text, "%.*s", (int)len, inner);
        CHECK_STR(rows[i].text, text, rows[i].inner);
    }
    const char *inner;
    size_t len;
    assert_int_equal(backfill_match(NULL, &inner, &len, NULL), FW_OK);
    CHECK_EQ("none", len, 0);
    char text[BACKFILL_MATCH_MAX + 2];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(backfill_match(text, &inner, &len, NULL), FW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_of),
        cmocka_unit_test(test_lists_end),
        cmocka_unit_test(test_matchers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
