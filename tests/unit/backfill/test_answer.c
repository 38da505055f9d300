/* Answers of Prometheus' HTTP API, those that are none, and those that mean harm. */
#include "backfill/answer.h"

#include "ingest/remote_write.h"

#include "support.h"

#include <stdlib.h>

#define MATRIX(result)                                                                             \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":" result "}}"
#define SERIES(labels, values) "{\"metric\":" labels ",\"values\":" values "}"

static struct fw_buf of(const char *text)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 64 << 20);
    fw_buf_puts(&buf, text);
    return buf;
}

struct read {
    enum fw_status status;
    size_t series, samples;
    struct fw_buf request;
    struct fw_error err;
};

static void read_text(struct backfill_reader *reader, const char *text, struct read *r)
{
    struct fw_buf answer = of(text);
    *r = (struct read){0};
    fw_buf_init(&r->request, 1 << 20);
    r->status = backfill_read_matrix(reader, &answer, "node_load1", &r->request, &r->series,
                                     &r->samples, &r->err);
    fw_buf_fini(&answer);
}

/* "name{a="b"}:time=value time=value;" of what is in the request. */
static enum fw_status tell(void *ctx, const struct remote_write_series *series)
{
    struct fw_buf *out = ctx;
    struct remote_write_sample sample;
    fw_buf_put(out, series->id.name, series->id.name_len);
    for (size_t i = 0; i < series->id.label_count; i++) {
        const struct raw_label *label = &series->id.labels[i];
        fw_buf_printf(out, ",%.*s=%.*s", (int)label->name_len, label->name, (int)label->value_len,
                      label->value);
    }
    for (const unsigned char *at = NULL; remote_write_next(series, &at, &sample);)
        fw_buf_printf(out, " %lld:%.10g", (long long)sample.time_ms, sample.value);
    fw_buf_putc(out, ';');
    return FW_OK;
}

static void test_matrices(void **state)
{
    (void)state;
    static const struct {
        const char *name, *answer, *told;
    } rows[] = {
        {"none",                                                                           MATRIX("[]"), ""           },
        {                                 "no samples",                                                          MATRIX("[" SERIES("{}",   "[]") "]"), "node_load1;"},
        {                                 "a native histogram",                  MATRIX("[{\"metric\":{\"a\":\"b\"},\"histograms\":[[1,{}]]}]"),
         "node_load1,a=b;"                                                                                          },
        { "its own name, a point less a ms",
         MATRIX("[" SERIES("{\"__name__\":\"x\",\"instance\":\"a:1\"}",
         "[[1700000040,\"1.5\"],[1700000100.5,\"-2e3\"]]") "]"),
         "node_load1,instance=a:1 1700000039999:1.5 1700000100499:-2000;"},
        {                                                 "an empty label, more texts",
         "{\"status\":\"success\",\"warnings\":[\"w\"],\"data\":{\"result\":[" SERIES(
             "{\"a\":\"\"}",                                               "[[60,\"NaN\"],[120,\"+Inf\"],[180,\"-Inf\"]]") "],\"resultType\":\"matrix\"}}",
         "node_load1,a= 59999:nan 119999:inf 179999:inf;"},
        {                                                                            "beyond a double",                                                        MATRIX("[" SERIES("{}",                                                                        "[[60,\"1e999\"]]") "]"),
         "node_load1 59999:inf;"},
    };
    struct backfill_reader *reader = backfill_reader_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct read r;
        struct fw_buf told;
        fw_buf_init(&told, 1 << 20);
        read_text(reader, rows[i].answer, &r);
        CHECK_EQ(rows[i].name, r.status, FW_OK);
        CHECK_EQ(rows[i].name, remote_write_read(r.request.data, r.request.len, tell, &told, NULL),
                 FW_OK);
        fw_buf_putc(&told, '\0');
        CHECK_STR(rows[i].name, told.data, rows[i].told);
        fw_buf_fini(&told);
        fw_buf_fini(&r.request);
    }
    backfill_reader_free(reader);
}

static void test_what_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *name, *answer, *says;
    } rows[] = {
        {"nothing",                 "",                                                                            "no JSON"                                                              },
        {"a page",                  "<html>404</html>",                                                            "no JSON"                                                              },
        {"cut off",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"met",                         "no JSON"                                                              },
        {"an array",                "[1]",                                                                         "status"                                                               },
        {"an error",                "{\"status\":\"error\",\"error\":\"x\"}",                                      "status"                                                               },
        {"status is a number",      "{\"status\":1,\"data\":{}}",                                                  "status"                                                               },
        {"no data",                 "{\"status\":\"success\"}",                                                    "no \"data\""                                                          },
        {"data is a text",          "{\"status\":\"success\",\"data\":\"x\"}",                                     "resultType"                                                           },
        {"a vector",                "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}",
         "resultType"                                                                                                                                                                     },
        {"no result",               "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\"}}",
         "data.result"                                                                                                                                                                    },
        {"result an object",        MATRIX("{}"),                                                                  "data.result"                                                          },
        {"a series is a text",      MATRIX("[\"x\"]"),                                                             "result[0] has no"                                                     },
        {"no metric",               MATRIX("[{\"values\":[]}]"),                                                   "result[0] has no"                                                     },
        {"metric an array",         MATRIX("[" SERIES("[]",                                                        "[]") "]"),                                                              "metric is not"},
        {"a label is a number",                         MATRIX("[" SERIES("{\"a\":1}",                                                                                  "[]") "]"),                                                                                                    "label a is not"},
        {"values a text",         MATRIX("[" SERIES("{}",                                                                                      "\"x\"") "]"),                                            "values is not"},
        {"a point of three",            MATRIX("[" SERIES("{}","[[1,\"1\",2]]") "]"),                 "[0].values[0] is not"},
        {"a point of one",MATRIX("[" SERIES("{}",                                                            "[[60,\"1\"],[120]]") "]"),
         "[0].values[1] is not"},
        {"a point is a text",          MATRIX("[" SERIES("{}",                                                                          "[\"60\"]") "]"),                                                            "values[0] is not"},
        {"time is a text",                         MATRIX("[" SERIES("{}",                                                                                    "[[\"60\",\"1\"]]") "]"),                                                                                                                            "values[0] is not"},
        {"before 1970",       MATRIX("[" SERIES("{}",                                                                                    "[[-60,\"1\"]]") "]"),                                                                                 "values[0] is not"},
        {"after 9999", MATRIX("[" SERIES("{}","[[1e300,\"1\"]]") "]"),"values[0] is not"},
        {"value is a number",MATRIX("[" SERIES("{}","[[60,1]]") "]"),"values[0] is not"},
        {"value is empty",              MATRIX("[" SERIES("{}",                                                                     "[[60,\"\"]]") "]"),                                                                                                                                             "values[0] is not"},
        {"value is a word",                         MATRIX("[" SERIES("{}",                                                                                    "[[60,\"nan(1)\"]]") "]"),                                                                                                                                         "values[0] is not"},
        {"value is hex",       MATRIX("[" SERIES("{}",                                                                                    "[[60,\"0x10\"]]") "]"),                                                                                                                                                                                                      "values[0] is not"},
        {"a blank before",      MATRIX("[" SERIES("{}","[[60,\" 1\"]]") "]"),"values[0] is not"},
        {"two numbers",MATRIX("[" SERIES("{}","[[60,\"1-1\"]]") "]"),"values[0] is not"},
        {"a NUL inside",            MATRIX("[" SERIES("{}",                                                             "[[60,\"1\\u0000\"]]") "]"),                          "values[0] is not"},
        {"a very long number",
         MATRIX("[" SERIES(
             "{}",                                                                                       "[[60,\"1000000000000000000000000000000000000000000000000000000000000000000\"]]") "]"),
         "values[0] is not"},
        {"very deep",       "[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]",                                                                                    "no JSON"                                                                                                                                                                                                                       },
    };
    struct backfill_reader *reader = backfill_reader_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct read r;
        read_text(reader, rows[i].answer, &r);
        CHECK_EQ(rows[i].name, r.status, FW_EINVAL);
        if (strstr(r.err.text, rows[i].says) == NULL)
            fail_msg("%s: \"%s\"", rows[i].name, r.err.text);
        fw_buf_fini(&r.request);
    }
    backfill_reader_free(reader);
}

static void test_too_long(void **state)
{
    (void)state;
    static const char text[] =
        MATRIX("[" SERIES("{\"instance\":\"a\"}", "[[60,\"1\"],[120,\"2\"]]") "]");
    struct backfill_reader *reader = backfill_reader_new();
    struct fw_buf answer = of(text), request;
    size_t series = 0, samples = 0;
    fw_buf_init(&request, 40);
    assert_int_equal(backfill_read_matrix(reader, &answer, "n", &request, &series, &samples, NULL),
                     FW_ELIMIT);
    fw_buf_fini(&request);
    fw_buf_fini(&answer);
    /* Longer than the reader takes at all. */
    fw_buf_init(&answer, 2 * (size_t)BACKFILL_ANSWER_MAX);
    fw_buf_init(&request, 1 << 20);
    memset(fw_buf_reserve(&answer, BACKFILL_ANSWER_MAX + 1), ' ', BACKFILL_ANSWER_MAX + 1);
    answer.len = BACKFILL_ANSWER_MAX + 1;
    assert_int_equal(backfill_read_matrix(reader, &answer, "n", &request, &series, &samples, NULL),
                     FW_EINVAL);
    fw_buf_fini(&request);
    fw_buf_fini(&answer);
    backfill_reader_free(reader);
}

static bool join(void *ctx, const char *text, size_t len)
{
    struct fw_buf *out = ctx;
    fw_buf_put(out, text, len);
    fw_buf_putc(out, ' ');
    return out->len < 20;
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *answer, *told;
        enum fw_status status;
    } rows[] = {
        {"three",        "{\"status\":\"success\",\"data\":[\"a\",\"b:1\",\"c\"]}",               "a b:1 c ", FW_OK    },
        {"none",         "{\"status\":\"success\",\"data\":[]}",                                  "",         FW_OK    },
        {"null",         "{\"status\":\"success\",\"data\":null}",                                "",         FW_OK    },
        {"an object",    "{\"status\":\"success\",\"data\":{\"a\":\"b\"}}",                       "",         FW_EINVAL},
        {"a number",     "{\"status\":\"success\",\"data\":[\"a\",1]}",                           "a ",       FW_EINVAL},
        {"nobody takes", "{\"status\":\"success\",\"data\":[\"aaaaaaaaaaaaaaaaaaaaaaa\",\"b\"]}",
         "aaaaaaaaaaaaaaaaaaaaaaa ",                                                                          FW_ENOMEM},
    };
    struct backfill_reader *reader = backfill_reader_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_buf answer = of(rows[i].answer), told;
        fw_buf_init(&told, 1000);
        CHECK_EQ(rows[i].name, backfill_read_values(reader, &answer, join, &told, NULL),
                 rows[i].status);
        fw_buf_putc(&told, '\0');
        CHECK_STR(rows[i].name, told.data, rows[i].told);
        fw_buf_fini(&told);
        fw_buf_fini(&answer);
    }
    backfill_reader_free(reader);
}

static void test_reasons(void **state)
{
    (void)state;
    static const struct {
        const char *name, *answer, *says;
    } rows[] = {
        {"its own words",
         "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"no\\nway\\u0000\"}", "no way"        },
        {"a text",        "Unauthorized\n",                                                 "Unauthorized"  },
        {"another JSON",  "{\"error\":{}}",                                                 "{\"error\":{}}"},
        {"nothing",       "",                                                               ""              },
    };
    struct backfill_reader *reader = backfill_reader_new();
    char out[BACKFILL_REASON_MAX];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_buf answer = of(rows[i].answer);
        backfill_read_reason(reader, &answer, out);
        CHECK_STR(rows[i].name, out, rows[i].says);
        fw_buf_fini(&answer);
    }
    struct fw_buf answer;
    fw_buf_init(&answer, 1000);
    for (int i = 0; i < 500; i++)
        fw_buf_putc(&answer, 'x');
    backfill_read_reason(reader, &answer, out);
    CHECK_EQ("a long one", strlen(out), BACKFILL_REASON_MAX - 1);
    fw_buf_fini(&answer);
    backfill_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrices), cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_too_long), cmocka_unit_test(test_values),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
