/* The parser against a table of documents, and the second reader that finds the fault. */
#include "support.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/json_locate.h"

#include <pthread.h>
#include <stdlib.h>

enum { DEPTH = 16, DOCUMENT_MAX = 1 << 20 };

/* Turns the table's escapes back into bytes; returns their number. */
static size_t unescape(const char *text, char *out)
{
    size_t n = 0;
    unsigned repeat = 1;
    if (text[0] == '*') {
        char *end;
        repeat = (unsigned)strtoul(text + 1, &end, 10);
        text = end + 1;
    }
    for (; *text != '\0' && *text != '\n'; text++) {
        unsigned byte = (unsigned char)*text;
        if (*text == '\\' && text[1] == '\\')
            text++;
        else if (*text == '\\' && sscanf(text + 2, "%2x", &byte) == 1)
            text += 3;
        out[n++] = (char)byte;
    }
    const size_t unit = n;
    for (; repeat > 1; repeat--, n += unit)
        memcpy(out + n, out, unit);
    return n;
}

static void test_documents(void **state)
{
    (void)state;
    static char line[8192], document[DOCUMENT_MAX];
    FILE *file = fopen(FW_SOURCE_DIR "/tests/golden/json/documents.txt", "r");
    assert_non_null(file);
    struct fw_json_parser *parser = fw_json_parser_new(DOCUMENT_MAX, DEPTH);
    unsigned good = 0, bad = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#')
            continue;
        const bool expected = line[0] == 'y';
        char *name = line + 2, *text = strchr(name, '\t');
        *text++ = '\0';
        const size_t len = unescape(text, document);
        struct fw_json_value root;
        struct fw_error err = {0};
        const enum fw_status status = fw_json_parse(parser, document, len, &root, &err);
        CHECK_EQ(name, status == FW_OK, expected);
        size_t offset;
        const char *reason;
        CHECK_EQ(name, fw_json_locate(document, len, DEPTH, &offset, &reason), expected);
        CHECK_TRUE(name, offset <= len);
        CHECK_TRUE(name, (reason == NULL) == expected);
        if (status == FW_EINVAL)
            CHECK_TRUE(name, err.offset <= len && strstr(err.text, "JSON") != NULL);
        good += expected;
        bad += !expected;
    }
    fw_json_parser_free(parser);
    fclose(file);
    assert_true(good >= 60 && bad >= 120);
}

static void test_places_of_faults(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        size_t offset, line, column;
        const char *reason;
    } rows[] = {
        {"empty",          "",            0, 1, 1, "expecting value"                                  },
        {"trailing comma", "[1,\n2,]",    6, 2, 3, "expecting value"                                  },
        {"no comma",       "[1 2]",       3, 1, 4, "expecting ',' delimiter"                          },
        {"no colon",       "{\"a\" 1}",   5, 1, 6, "expecting ':' delimiter"                          },
        {"bare key",       "{\n\n a:1}",  4, 3, 2, "expecting property name enclosed in double quotes"},
        {"extra data",     "{} x",        3, 1, 4, "extra data"                                       },
        {"open string",    "[\"abc",      1, 1, 2, "unterminated string"                              },
        {"control",        "\"a\x01\"",   2, 1, 3, "control character in a string"                    },
        {"bad escape",     "\"a\\x\"",    2, 1, 3, "invalid escape"                                   },
        {"lone surrogate", "\"\\udc00\"", 1, 1, 2, "lone surrogate"                                   },
        {"invalid UTF-8",  "\"a\xff\"",   2, 1, 3, "invalid UTF-8"                                    },
        {"bad number",     "[-x]",        2, 1, 3, "expecting a digit"                                },
        {"out of range",   "[1,1e999]",   3, 1, 4, "number out of range"                              },
        {"too deep",       "[[[[]]]]",    3, 1, 4, "nested too deep"                                  },
        {"bad word",       "[trve]",      1, 1, 2, "expecting value"                                  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t offset, line, column;
        const char *reason;
        const size_t len = strlen(rows[i].text);
        assert_false(fw_json_locate(rows[i].text, len, 3, &offset, &reason));
        fw_json_line_column(rows[i].text, offset, &line, &column);
        CHECK_EQ(rows[i].name, offset, rows[i].offset);
        CHECK_EQ(rows[i].name, line, rows[i].line);
        CHECK_EQ(rows[i].name, column, rows[i].column);
        CHECK_STR(rows[i].name, reason, rows[i].reason);
    }
}

static void test_walking(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,2.5,-3],\"b\":\"x\\u0000y\",\"c\":true,\"d\":null,\"a\":{"
                               "},\"big\":18446744073709551615}";
    struct fw_json_parser *parser = fw_json_parser_new(1024, DEPTH);
    struct fw_json_value root, value, item;
    assert_int_equal(fw_json_parse(parser, text, strlen(text), &root, NULL), FW_OK);
    assert_int_equal(fw_json_type(root), FW_JSON_OBJECT);
    assert_int_equal(fw_json_count(root), 6);
    assert_true(fw_json_get(root, "a", &value));
    assert_int_equal(fw_json_count(value), 3);
    double sum = 0, number;
    int64_t whole;
    struct fw_json_iter iter = fw_json_walk(value);
    while (fw_json_next(&iter, &item)) {
        assert_true(fw_json_number(item, &number));
        sum += number;
    }
    CHECK_NEAR("sum", sum, 0.5, 0);
    assert_true(fw_json_get(root, "b", &value));
    size_t len;
    assert_memory_equal(fw_json_string(value, &len), "x\0y", 4);
    assert_int_equal(len, 3);
    assert_false(fw_json_number(value, &number));
    bool flag = false;
    assert_true(fw_json_get(root, "c", &value) && fw_json_bool(value, &flag) && flag);
    assert_true(fw_json_get(root, "big", &value) && !fw_json_int64(value, &whole));
    assert_true(fw_json_number(value, &number));
    assert_false(fw_json_get(root, "e", &value));
    assert_false(fw_json_get(item, "e", &value));
    iter = fw_json_walk(root);
    const char *key;
    size_t key_len, members = 0;
    while (fw_json_next_member(&iter, &key, &key_len, &value))
        members++;
    assert_int_equal(members, 6);
    iter = fw_json_walk(item);
    assert_false(fw_json_next(&iter, &value));
    fw_json_parser_free(parser);
}

static void test_limits(void **state)
{
    (void)state;
    struct fw_json_parser *parser = fw_json_parser_new(16, 2);
    struct fw_json_value root;
    struct fw_error err;
    assert_int_equal(fw_json_parse(parser, "[1,2,3,4,5,6,7,8,9]", 19, &root, &err), FW_ELIMIT);
    assert_int_equal(fw_json_parse(parser, "[[[1]]]", 7, &root, &err), FW_ELIMIT);
    assert_int_equal(fw_json_parse(parser, "[[1]]", 5, &root, &err), FW_OK);
    fw_json_parser_free(parser);
}

/* Nesting must cost no stack: both readers run with 64 KiB of it. */
static void *parse_deep(void *arg)
{
    (void)arg;
    enum { LEN = 100000 };
    char *deep = malloc(LEN);
    struct fw_json_parser *parser = fw_json_parser_new(LEN, 1000);
    struct fw_json_value root;
    memset(deep, '[', LEN);
    const enum fw_status open = fw_json_parse(parser, deep, LEN, &root, NULL);
    deep[LEN - 1] = (char)0xff;
    const enum fw_status broken = fw_json_parse(parser, deep, LEN, &root, NULL);
    fw_json_parser_free(parser);
    free(deep);
    return open != FW_OK && broken == FW_EINVAL ? arg : NULL;
}

static void test_small_stack(void **state)
{
    (void)state;
#ifdef FW_SANITIZED
    skip(); /* sanitizers need stacks of their own */
#endif
    pthread_attr_t attributes;
    pthread_t thread;
    int token;
    void *result = NULL;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 64 << 10), 0);
    assert_int_equal(pthread_create(&thread, &attributes, parse_deep, &token), 0);
    pthread_join(thread, &result);
    pthread_attr_destroy(&attributes);
    assert_non_null(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),   cmocka_unit_test(test_places_of_faults),
        cmocka_unit_test(test_walking),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_small_stack),
    };
    return cmocka_run_group_tests_name("base json", tests, NULL, NULL);
}
