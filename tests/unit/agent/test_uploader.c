/* The queue and its pauses, against a daemon that answers as the test wants. */
#include "support.h"

#include "agent/uploader.h"
#include "base/json.h"
#include "base/log.h"

#include <stdlib.h>

struct daemon {
    long code;
    int64_t retry_after_s;
    size_t too_large; /* records beyond which it answers 413; 0: none */
    size_t posts, taken;
    int64_t times[4096]; /* of the records it took, in the order of arrival */
};

static size_t count_records(struct daemon *daemon, const char *body, size_t len, bool keep)
{
    struct fw_json_parser *parser = fw_json_parser_new(1 << 20, 8);
    struct fw_json_value root, records, record, value;
    struct fw_error err;
    size_t n = 0;
    if (fw_json_parse(parser, body, len, &root, &err) != FW_OK)
        fail_msg("the body is not JSON: %s", err.text);
    assert_true(fw_json_get(root, "records", &records));
    struct fw_json_iter iter = fw_json_walk(records);
    for (; fw_json_next(&iter, &record); n++) {
        size_t name_len;
        double load;
        assert_true(fw_json_get(record, "server_name", &value));
        assert_string_equal(fw_json_string(value, &name_len), "db1");
        assert_true(fw_json_get(record, "load_average", &value) && fw_json_number(value, &load));
        assert_false(fw_json_get(record, "java_cpu_pct", &value)); /* missing is absent */
        if (keep)
            daemon->times[daemon->taken++] = (int64_t)load;
    }
    fw_json_parser_free(parser);
    return n;
}

static void answer(void *ctx, const char *body, size_t len, struct agent_answer *out)
{
    struct daemon *daemon = ctx;
    const size_t n = count_records(daemon, body, len, false);
    daemon->posts++;
    *out = (struct agent_answer){.code = daemon->code, .retry_after_s = daemon->retry_after_s};
    if (daemon->too_large > 0 && n > daemon->too_large)
        out->code = 413;
    if (out->code == 200)
        count_records(daemon, body, len, true);
}

static struct agent_uploader *begin(struct daemon *daemon, size_t queue, size_t batch)
{
    const struct agent_uploader_options options = {.server_name = "db1",
                                                   .queue_max = queue,
                                                   .batch_max = batch,
                                                   .post = answer,
                                                   .post_ctx = daemon,
                                                   .seed = 7};
    struct agent_uploader *up;
    assert_int_equal(agent_uploader_new(&options, &up, NULL), FW_OK);
    daemon->retry_after_s = -1;
    return up;
}

static void push(struct agent_uploader *up, int from, int to)
{
    for (int i = from; i < to; i++) {
        struct agent_reading reading = {.time_ms = 1800000000000 + i * 60000,
                                        .present = 1u << METRIC_LOAD_AVERAGE};
        reading.values[METRIC_LOAD_AVERAGE] = (float)i;
        agent_uploader_push(up, &reading);
    }
}

static void check_counts(const char *name, const struct agent_uploader *up, size_t queued,
                         uint64_t sent, uint64_t refused, uint64_t overflow)
{
    struct agent_uploader_counts counts;
    agent_uploader_counts(up, &counts);
    CHECK_EQ(name, counts.queued, queued);
    CHECK_EQ(name, counts.sent, sent);
    CHECK_EQ(name, counts.refused, refused);
    CHECK_EQ(name, counts.overflow, overflow);
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        long code;
        bool kept;
    } rows[] = {
        {"no answer",         0,   true },
        {"too many requests", 429, true },
        {"key refused",       403, true },
        {"no key",            401, true },
        {"time is up",        408, true },
        {"moved",             301, true },
        {"broken",            500, true },
        {"busy",              503, true },
        {"disk full",         507, true },
        {"bad request",       400, false},
        {"not found",         404, false},
        {"unusable",          422, false},
        {"not for JSON",      415, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct daemon daemon = {.code = rows[i].code};
        struct agent_uploader *up = begin(&daemon, 100, 10);
        push(up, 0, 3);
        CHECK_EQ(rows[i].name, agent_uploader_run(up, 5000, false), !rows[i].kept);
        check_counts(rows[i].name, up, rows[i].kept ? 3 : 0, 0, rows[i].kept ? 0 : 3, 0);
        CHECK_EQ(rows[i].name, daemon.posts, 1);
        agent_uploader_free(up);
    }
}

static void test_oldest_first_in_batches(void **state)
{
    (void)state;
    struct daemon daemon = {.code = 503};
    struct agent_uploader *up = begin(&daemon, 1440, 100);
    push(up, 0, 250);
    assert_false(agent_uploader_run(up, 0, false));
    push(up, 250, 1000);
    daemon.code = 200;
    daemon.posts = 0;
    assert_true(agent_uploader_run(up, 10000, false));
    CHECK_EQ("posts", daemon.posts, 10);
    CHECK_EQ("all", daemon.taken, 1000);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ("in order, each once", daemon.times[i], i);
    CHECK_TRUE("nothing is due", agent_uploader_due_ms(up) == INT64_MAX);
    agent_uploader_free(up);
}

static void test_overflow_drops_the_oldest(void **state)
{
    (void)state;
    struct daemon daemon = {.code = 0};
    struct agent_uploader *up = begin(&daemon, 10, 4);
    push(up, 0, 25);
    check_counts("full", up, 10, 0, 0, 15);
    daemon.code = 200;
    assert_true(agent_uploader_run(up, 0, false));
    CHECK_EQ("the newest ten", daemon.times[0], 15);
    CHECK_EQ("the newest ten", daemon.times[9], 24);
    agent_uploader_free(up);
}

static void test_pauses_grow_and_vary(void **state)
{
    (void)state;
    struct daemon daemon = {.code = 503};
    struct agent_uploader *up = begin(&daemon, 10, 4);
    push(up, 0, 1);
    int64_t now_ms = 0, expected_ms = 1000;
    for (int i = 0; i < 12; i++) {
        daemon.posts = 0;
        assert_false(agent_uploader_run(up, now_ms, false));
        CHECK_EQ("one try", daemon.posts, 1);
        const int64_t wait_ms = agent_uploader_due_ms(up) - now_ms;
        CHECK_TRUE("half to one and a half of the pause",
                   wait_ms >= expected_ms / 2 && wait_ms <= expected_ms + expected_ms / 2);
        assert_false(agent_uploader_run(up, now_ms + wait_ms - 1, false));
        CHECK_EQ("not before its time", daemon.posts, 1);
        now_ms += wait_ms;
        expected_ms = expected_ms * 2 > 300000 ? 300000 : expected_ms * 2;
    }
    daemon.code = 200;
    assert_true(agent_uploader_run(up, now_ms, false));
    daemon.code = 503;
    push(up, 1, 2);
    assert_false(agent_uploader_run(up, now_ms, false));
    CHECK_TRUE("a success makes pauses short again", agent_uploader_due_ms(up) - now_ms <= 1500);
    agent_uploader_free(up);
}

static void test_retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t asked_s, at_least_ms, at_most_ms;
    } rows[] = {
        {"as asked",     120,     120000,  121000 },
        {"at once",      0,       0,       1000   },
        {"not for ever", 1000000, 3600000, 3601000},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct daemon daemon = {.code = 429};
        struct agent_uploader *up = begin(&daemon, 10, 4);
        daemon.retry_after_s = rows[i].asked_s;
        push(up, 0, 1);
        assert_false(agent_uploader_run(up, 1000, false));
        const int64_t wait_ms = agent_uploader_due_ms(up) - 1000;
        CHECK_TRUE(rows[i].name, wait_ms >= rows[i].at_least_ms && wait_ms <= rows[i].at_most_ms);
        agent_uploader_free(up);
    }
}

static void test_too_large_bodies_are_halved(void **state)
{
    (void)state;
    struct daemon daemon = {.code = 200, .too_large = 3};
    struct agent_uploader *up = begin(&daemon, 100, 50);
    push(up, 0, 50);
    assert_true(agent_uploader_run(up, 0, false));
    CHECK_EQ("all arrive", daemon.taken, 50);
    for (int i = 0; i < 50; i++)
        CHECK_EQ("in order", daemon.times[i], i);
    agent_uploader_free(up);
}

static void test_last_try_ignores_the_pause(void **state)
{
    (void)state;
    struct daemon daemon = {.code = 503};
    struct agent_uploader *up = begin(&daemon, 100, 50);
    push(up, 0, 5);
    assert_false(agent_uploader_run(up, 0, false));
    daemon.code = 200;
    assert_false(agent_uploader_run(up, 1, false));
    assert_true(agent_uploader_run(up, 1, true));
    check_counts("flushed", up, 0, 5, 0, 0);
    agent_uploader_free(up);
}

static size_t lines;
static void count_line(void *ctx, const char *line, size_t len)
{
    (void)ctx, (void)line, (void)len;
    lines++;
}

static void test_one_line_per_change(void **state)
{
    (void)state;
    const struct fw_log_options log = {
        .level = FW_INFO, .lines_per_minute = 600, .sink = count_line};
    struct daemon daemon = {.code = 200};
    struct agent_uploader *up = begin(&daemon, 10, 1);
    fw_log_configure(&log);
    lines = 0;
    for (int i = 0; i < 300; i++) {
        daemon.code = i < 100 || i >= 200 ? 200 : 503;
        push(up, i, i + 1);
        agent_uploader_run(up, (int64_t)i * 1000000, false);
    }
    /* taken; away; the queue runs over; taken */
    CHECK_EQ("lines", lines, 4);
    fw_log_configure(&(struct fw_log_options){.level = FW_INFO, .lines_per_minute = 600});
    agent_uploader_free(up);
}

static void test_empty_readings_and_names(void **state)
{
    (void)state;
    struct daemon daemon = {.code = 200};
    struct agent_uploader *up = begin(&daemon, 10, 4);
    const struct agent_reading nothing = {.time_ms = 1};
    agent_uploader_push(up, &nothing);
    check_counts("not queued", up, 0, 0, 0, 0);
    assert_true(agent_uploader_run(up, 0, false));
    CHECK_EQ("not posted", daemon.posts, 0);
    agent_uploader_free(up);
    const struct agent_uploader_options bad = {.server_name = "a\nb", .queue_max = 1};
    assert_int_equal(agent_uploader_new(&bad, &up, NULL), FW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_oldest_first_in_batches),
        cmocka_unit_test(test_overflow_drops_the_oldest),
        cmocka_unit_test(test_pauses_grow_and_vary),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_too_large_bodies_are_halved),
        cmocka_unit_test(test_last_try_ignores_the_pause),
        cmocka_unit_test(test_one_line_per_change),
        cmocka_unit_test(test_empty_readings_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
