/* Lines of the log: whole, single, clean, and not too many. */
#include "support.h"

#include "base/json.h"
#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>

static char lines[64][8192];
static size_t count;

static void sink(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    if (count < COUNT_OF(lines)) {
        assert_true(len < sizeof lines[0]);
        memcpy(lines[count], line, len);
        lines[count][len] = '\0';
    }
    count++;
}

static void configure(enum fw_log_level level, bool json, unsigned per_minute)
{
    count = 0;
    fw_log_configure(&(struct fw_log_options){
        .level = level, .json = json, .lines_per_minute = per_minute, .sink = sink});
}

static void assert_one_clean_line(const char *line)
{
    const size_t len = strlen(line);
    assert_true(len > 0 && line[len - 1] == '\n');
    for (size_t i = 0; i + 1 < len; i++)
        assert_true((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
}

static void test_levels(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool known;
        enum fw_log_level level;
    } rows[] = {
        {"debug",    true,  FW_DEBUG},
        {"INFO",     true,  FW_INFO },
        {"Warn",     true,  FW_WARN },
        {"warning",  true,  FW_WARN },
        {"ERROR",    true,  FW_ERROR},
        {"critical", true,  FW_ERROR},
        {"loud",     false, FW_INFO },
        {"",         false, FW_INFO },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum fw_log_level level = FW_INFO;
        CHECK_EQ(rows[i].text, fw_log_level_parse(rows[i].text, &level), rows[i].known);
        CHECK_EQ(rows[i].text, level, rows[i].level);
    }
    unsetenv("FOREWARN_LOG_LEVEL");
    setenv("NORDIQ_LOG_LEVEL", "ERROR", 1);
    assert_int_equal(fw_log_level_from_environment(FW_DEBUG), FW_ERROR);
    setenv("FOREWARN_LOG_LEVEL", "warn", 1);
    assert_int_equal(fw_log_level_from_environment(FW_DEBUG), FW_WARN);
    setenv("FOREWARN_LOG_LEVEL", "nonsense", 1);
    unsetenv("NORDIQ_LOG_LEVEL");
    assert_int_equal(fw_log_level_from_environment(FW_DEBUG), FW_DEBUG);
    configure(FW_WARN, false, 0);
    FW_LOG_DEBUG("a", "x");
    FW_LOG_INFO("a", "x");
    assert_int_equal(count, 0);
    assert_false(fw_log_enabled(FW_INFO));
    FW_LOG_WARN("a", "seen n=%d", 7);
    FW_LOG_ERROR("a", "seen");
    assert_int_equal(count, 2);
    assert_non_null(strstr(lines[0], " WARN  a: seen n=7\n"));
}

static void test_hostile_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "line\nforged 2026 ERROR x", "\r\n\r\n", "\x1b[2J", "\x7f", "\xc2\x85", "\xff\xfe",
        "quote \" and \\",           "<script>",
    };
    for (int json = 0; json < 2; json++) {
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
            configure(FW_INFO, json, 0);
            FW_LOG_INFO("test", "name=%s", texts[i]);
            assert_int_equal(count, 1);
            assert_one_clean_line(lines[0]);
            if (!json)
                continue;
            struct fw_json_parser *parser = fw_json_parser_new(8192, 4);
            struct fw_json_value root, event;
            assert_int_equal(fw_json_parse(parser, lines[0], strlen(lines[0]), &root, NULL), FW_OK);
            assert_true(fw_json_get(root, "event", &event));
            fw_json_parser_free(parser);
        }
    }
}

static void test_quotes_in_quotes(void **state)
{
    (void)state;
    static const struct {
        const char *reason, *line;
    } cases[] = {
        {"plain",         " why reason=\"plain\" n=7\n"            },
        {"",              " why reason=\"\" n=7\n"                 },
        {"no \"x\" here", " why reason=\"no \\\"x\\\" here\" n=7\n"},
        {"\"x\"",         " why reason=\"\\\"x\\\"\" n=7\n"        },
        {"C:\\dir",       " why reason=\"C:\\\\dir\" n=7\n"        },
        {"a=\"b\"",       " why reason=\"a=\\\"b\\\"\" n=7\n"      },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        configure(FW_INFO, false, 0);
        FW_LOG_INFO("test", "why reason=\"%s\" n=7", cases[i].reason);
        if (strstr(lines[0], cases[i].line) == NULL)
            fail_msg("%s is not in %s", cases[i].line, lines[0]);
    }
    configure(FW_INFO, false, 0);
    FW_LOG_INFO("test", "a \"word\" and a \\ outside");
    assert_non_null(strstr(lines[0], " a \"word\" and a \\ outside\n"));
}

static void test_long_text(void **state)
{
    (void)state;
    char text[5000];
    for (int json = 0; json < 2; json++) {
        for (int byte = 1; byte < 256; byte += 127) { /* 0x01 and 0x80 grow when escaped */
            memset(text, byte, sizeof text - 1);
            text[sizeof text - 1] = '\0';
            configure(FW_INFO, json, 0);
            FW_LOG_INFO("test", "%s", text);
            assert_int_equal(count, 1);
            assert_true(strlen(lines[0]) < 8192);
            assert_one_clean_line(lines[0]);
        }
    }
}

static void test_rate_cap(void **state)
{
    (void)state;
    const unsigned long before = fw_log_suppressed();
    configure(FW_INFO, false, 5);
    for (int i = 0; i < 40; i++)
        FW_LOG_INFO(i % 2 == 0 ? "test" : "other", "i=%d", i);
    /* Twice the cap and a summary, should the minute turn just now. */
    assert_in_range(count, 5, 11);
    assert_in_range(fw_log_suppressed() - before, 29, 35);
    const size_t passed = count;
    FW_LOG_ERROR("test", "always passes");
    assert_true(count > passed);
}

/* A storm of one area leaves room for what another has to say, whose share is as large. */
static void test_areas(void **state)
{
    (void)state;
    configure(FW_INFO, false, 20);
    for (int i = 0; i < 40; i++)
        FW_LOG_INFO("storm", "i=%d", i);
    assert_in_range(count, 10, 21);
    const size_t storm = count;
    for (int i = 0; i < 10; i++)
        FW_LOG_WARN("disk", "i=%d", i);
    assert_in_range(count, storm + 10, storm + 11);
    /* More areas than are told apart: bounded all the same. */
    static char areas[50][4];
    configure(FW_INFO, false, 1000);
    for (size_t i = 0; i < COUNT_OF(areas); i++) {
        snprintf(areas[i], sizeof areas[i], "a%zu", i);
        FW_LOG_INFO(areas[i], "x");
    }
    assert_in_range(count, 50, 51);
    configure(FW_INFO, false, 0);
    for (int i = 0; i < 40; i++)
        FW_LOG_INFO("storm", "i=%d", i);
    assert_int_equal(count, 40);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 10; i++)
        FW_LOG_INFO("thread", "from=%s i=%d", (const char *)arg, i);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static char names[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    configure(FW_INFO, false, 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count, 40);
    for (size_t i = 0; i < count; i++)
        assert_one_clean_line(lines[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),           cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_quotes_in_quotes), cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_rate_cap),         cmocka_unit_test(test_areas),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("base log", tests, NULL, NULL);
}
