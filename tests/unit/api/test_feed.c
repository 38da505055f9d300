/* POST /feed/data against the real server, journal and windows. */
#include "client.h"

#include <errno.h>
#include <time.h>

static void test_answers(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s, &(struct api_options){0}, true);
    static const struct {
        const char *name, *body;
        int status;
        const char *path, *text; /* text expected at that path */
    } rows[] = {
        {"empty list",     "{\"records\":[]}",                                                       200, "status", "ignored"    },
        {"and why",        "{\"records\":[]}",                                                       200, "reason", "empty batch"},
        {"one record",
         "{\"records\":[{\"server_name\":\"a\",\"timestamp\":\"2026-01-01T00:00:00\","
         "\"cpu_user_pct\":12.5}]}",                                                                 200, "status", "accepted"   },
        {"numeric text",
         "{\"records\":[{\"server_name\":\"a\",\"timestamp\":\"2026-01-01T00:00:01\","
         "\"cpu_user_pct\":\"12.5\"}]}",                                                             200, "status", "accepted"   },
        {"bare array",
         "[{\"server_name\":\"a\",\"timestamp\":\"2026-01-01T00:00:02\",\"cpu_user_pct\":1}]",       200,
         "status",                                                                                                  "accepted"   },
        {"one bad of two",
         "{\"records\":[{\"server_name\":\"a\",\"timestamp\":\"2026-01-01T00:00:03\","
         "\"cpu_user_pct\":1},{\"server_name\":\"b\",\"timestamp\":\"never\",\"cpu_user_pct\":1}]}", 200, "status", "accepted"   },
        {"all bad",
         "{\"records\":[{\"server_name\":\"b\",\"timestamp\":\"never\",\"cpu_user_pct\":1}]}",       422,
         "status",                                                                                                  "rejected"   },
        {"too old",
         "{\"records\":[{\"server_name\":\"b\",\"timestamp\":\"1999-01-01\",\"cpu_user_pct\":1}]}",  422, "status", "rejected"   },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = post(&s, "/feed/data", rows[i].body);
        struct fw_json_parser *parser;
        const struct fw_json_value root = answer_json(&answer, &parser);
        CHECK_EQ(rows[i].name, answer.status, rows[i].status);
        CHECK_STR(rows[i].name, fixture_text(root, rows[i].path), rows[i].text);
        fw_json_parser_free(parser);
        answer_free(&answer);
    }
    CHECK_EQ("woken for each batch that was taken", s.wakes, 4);
    stack_stop(&s);
}

static void test_keys_and_counts(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s, &(struct api_options){0}, true);
    struct answer answer = post(
        &s, "/feed/data",
        "{\"records\":[{\"server_name\":\"a\",\"timestamp\":\"2026-01-01T00:00:00\","
        "\"cpu_user_pct\":1,\"mem_used_pct\":2},{\"server_name\":\"\",\"timestamp\":0},"
        "{\"server_name\":\"c\",\"timestamp\":\"2026-01-01T00:00:00\",\"cpu_user_pct\":900}, 7]}");
    struct fw_json_parser *parser;
    struct fw_json_value root = answer_json(&answer, &parser);
    static const struct {
        const char *path;
        double value;
    } numbers[] = {
        {"tick",                1},
        {"window_size",         1},
        {"rolling_window_size", 1},
        {"servers_tracked",     1},
        {"servers_ready",       0},
        {"records_received",    4},
        {"records_accepted",    1},
        {"records_rejected",    3},
        {"samples.stored",      2}
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        CHECK_NEAR(numbers[i].path, fixture_number(root, numbers[i].path), numbers[i].value, 0);
    CHECK_EQ("errors", fw_json_count(fixture_at(root, "errors")), 3);
    struct fw_json_iter iter = fw_json_walk(fixture_at(root, "errors"));
    struct fw_json_value error;
    for (int i = 0; i < 3; i++) {
        assert_true(fw_json_next(&iter, &error));
        CHECK_NEAR("index", fixture_number(error, "index"), i + 1, 0);
        fixture_text(error, "type");
        fixture_text(error, "msg");
        fixture_at(error, "server_name");
        fixture_at(error, "field");
    }
    fw_json_parser_free(parser);
    answer_free(&answer);
    answer = get(&s, "/api/v1/status");
    root = answer_json(&answer, &parser);
    CHECK_NEAR("counted", fixture_number(root, "ingest.records"), 1, 0);
    CHECK_NEAR("by reason", fixture_number(root, "ingest.rejected.bad_value"), 1, 0);
    fw_json_parser_free(parser);
    answer_free(&answer);
    stack_stop(&s);
}

/* Contract 1.4: what is wrong with a body as a whole. */
static void test_whole_body(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s, &(struct api_options){0}, true);
    static const struct {
        const char *name, *body, *type, *loc;
    } rows[] = {
        {"no body",    "",                "missing",      "[\"body\"]"            },
        {"broken",     "{\"records\":[}", "json_invalid", "[\"body\","            },
        {"no records", "{\"x\":1}",       "missing",      "[\"body\",\"records\"]"},
        {"no list",    "{\"records\":5}", "list_type",    "[\"body\",\"records\"]"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = post(&s, "/feed/data", rows[i].body);
        char type[64];
        snprintf(type, sizeof type, "\"type\":\"%s\"", rows[i].type);
        CHECK_EQ(rows[i].name, answer.status, 422);
        CHECK_TRUE(rows[i].name, strstr(answer.body, "{\"detail\":[{") == answer.body);
        CHECK_TRUE(rows[i].name, strstr(answer.body, type) != NULL);
        CHECK_TRUE(rows[i].name, strstr(answer.body, rows[i].loc) != NULL);
        CHECK_TRUE(rows[i].name, strstr(answer.body, "\"input\":") != NULL);
        CHECK_TRUE(rows[i].name, strstr(answer.body, "\"msg\":\"") != NULL);
        answer_free(&answer);
    }
    CHECK_EQ("nothing was taken", s.wakes, 0);
    stack_stop(&s);
}

/* A body of `records` records for `servers` servers; the caller frees. */
static char *large_body(int records, size_t *len)
{
    struct fw_buf buf;
    fw_buf_init(&buf, (size_t)64 << 20);
    fw_buf_puts(&buf, "{\"records\":[");
    for (int i = 0; i < records; i++)
        fw_buf_printf(&buf,
                      "%s{\"server_name\":\"s%d\",\"timestamp\":%d,\"cpu_user_pct\":%d.5,"
                      "\"mem_used_pct\":40}",
                      i > 0 ? "," : "", i % 10, STACK_NOW_S - i / 10 * 300, i % 90);
    fw_buf_puts(&buf, "]}");
    assert_false(buf.failed);
    *len = buf.len;
    char *body = malloc(buf.len);
    memcpy(body, buf.data, buf.len);
    fw_buf_fini(&buf);
    return body;
}

static void test_large_bodies_take_the_other_way(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s, &(struct api_options){0}, true);
    size_t len;
    char *body = large_body(5000, &len);
    assert_true(len > 65536);
    struct answer answer = ask(&s, "POST", "/feed/data", "", body, len);
    struct fw_json_parser *parser;
    const struct fw_json_value root = answer_json(&answer, &parser);
    CHECK_EQ("taken", answer.status, 200);
    CHECK_NEAR("all", fixture_number(root, "records_accepted"), 5000, 0);
    CHECK_NEAR("steps", fixture_number(root, "window_size"), 5000, 0);
    CHECK_NEAR("ready", fixture_number(root, "servers_ready"), 10, 0);
    fw_json_parser_free(parser);
    answer_free(&answer);
    free(body);
    stack_stop(&s);
}

static void test_too_many_records(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s, &(struct api_options){.records_max = 10}, true);
    size_t len;
    char *body = large_body(11, &len);
    CHECK_EQ("one over", status_of(ask(&s, "POST", "/feed/data", "", body, len)), 413);
    free(body);
    body = large_body(10, &len);
    CHECK_EQ("just so many", status_of(ask(&s, "POST", "/feed/data", "", body, len)), 200);
    free(body);
    stack_stop(&s);
}

/* A journal that cannot write: the batch is refused, nothing of it is seen, and later it works. */
static void test_journal_failures(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum store_io_call call;
        int error;
        int status;
    } rows[] = {
        {"disk full",   STORE_IO_WRITE,     ENOSPC, 507},
        {"sync fails",  STORE_IO_SYNC_DATA, EIO,    503},
        {"write fails", STORE_IO_WRITE,     EIO,    503},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct stack s;
        stack_start(&s, &(struct api_options){0}, true);
        const char *record = "{\"records\":[{\"server_name\":\"a\",\"timestamp\":1767225600,"
                             "\"cpu_user_pct\":12.5}]}";
        store_io_fault_plan(&s.io, rows[i].call, 1, UINT64_MAX, rows[i].error);
        struct answer answer = post(&s, "/feed/data", record);
        char retry[128];
        CHECK_EQ(rows[i].name, answer.status, rows[i].status);
        answer_header(&answer, "Retry-After", retry);
        CHECK_STR(rows[i].name, retry, "1");
        answer_free(&answer);
        struct fleet_counts counts;
        fleet_counts(s.fleet, &counts);
        CHECK_EQ(rows[i].name, counts.records, 0);
        CHECK_EQ(rows[i].name, s.wakes, 0);
        CHECK_EQ("reads go on", status_of(get(&s, "/predictions/current")), 200);
        CHECK_EQ("and it says so", status_of(get(&s, "/readyz")), 503);
        store_io_fault_clear(&s.io);
        int status = 0;
        for (int k = 0; k < 200 && status != 200; k++) {
            status = status_of(post(&s, "/feed/data", record));
            if (status != 200)
                nanosleep(&(struct timespec){0, 20000000}, NULL);
        }
        CHECK_EQ(rows[i].name, status, 200);
        stack_stop(&s);
    }
}

/* Any failing allocation is an answer (or, where http has no memory for a request at all, a closed
 * connection), and the next request works. */
static void test_allocation_failures(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s, &(struct api_options){0}, true);
    const char *record = "{\"records\":[{\"server_name\":\"a\",\"timestamp\":1767225600,"
                         "\"cpu_user_pct\":12.5}]}";
    for (long n = 1; n < 60; n++) {
        fw_alloc_fail_at(n);
        const int status = status_of(post(&s, "/feed/data", record));
        fw_alloc_fail_at(0);
        if (status != 0 && status != 200 && status != 503 && status != 500)
            fail_msg("allocation %ld: %d", n, status);
        CHECK_EQ("afterwards", status_of(post(&s, "/feed/data", record)), 200);
    }
    stack_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_keys_and_counts),
        cmocka_unit_test(test_whole_body),
        cmocka_unit_test(test_large_bodies_take_the_other_way),
        cmocka_unit_test(test_too_many_records),
        cmocka_unit_test(test_journal_failures),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
