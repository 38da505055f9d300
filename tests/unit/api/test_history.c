/* What is shown of the long history. */
#include "client.h"

static bool history(void *ctx, struct api_history *out)
{
    const struct api_history *shown = ctx;
    if (shown == NULL)
        return false;
    *out = *shown;
    return true;
}

static void start(struct stack *s, struct api_history *shown)
{
    stack_start(s, &(struct api_options){0}, false);
    api_attach(s->api, &(struct api_parts){.fleet = s->fleet,
                                           .board = s->board,
                                           .journal = s->journal,
                                           .history = history,
                                           .history_ctx = shown});
}

static void expect(struct stack *s, const char *target, const char *text, bool there)
{
    struct answer answer = get(s, target);
    if ((strstr(answer.body, text) != NULL) != there)
        fail_msg("%s: %s: %s", target, text, answer.body);
    answer_free(&answer);
}

static void test_shown(void **state)
{
    (void)state;
    struct stack s;
    struct api_history shown = {.days_max = 60,
                                .blocks = 7,
                                .bytes = 8192,
                                .oldest_s = 1767225600,
                                .written = 9,
                                .rewritten = 2,
                                .missed_steps = 5};
    start(&s, &shown);
    expect(&s, "/metrics", "\nforewarn_history_bytes 8192\n", true);
    expect(&s, "/metrics", "\nforewarn_history_blocks 7\n", true);
    expect(&s, "/metrics", "\nforewarn_history_oldest_timestamp_seconds 1767225600\n", true);
    expect(&s, "/metrics", "\nforewarn_history_failing 0\n", true);
    expect(&s, "/metrics", "\nforewarn_history_written_blocks_total 9\n", true);
    expect(&s, "/metrics", "\nforewarn_history_missed_steps_total 5\n", true);
    expect(&s, "/api/v1/status",
           "\"history\":{\"state\":\"ok\",\"days_kept\":60,\"blocks\":7,\"bytes\":8192,"
           "\"oldest\":\"2026-01-01T00:00:00",
           true);
    shown.failing = true;
    shown.oldest_s = -1;
    expect(&s, "/metrics", "\nforewarn_history_failing 1\n", true);
    expect(&s, "/metrics", "forewarn_history_oldest", false);
    expect(&s, "/api/v1/status", "\"oldest\":null,\"oldest_unix\":null,", true);
    expect(&s, "/api/v1/status", "\"history\":{\"state\":\"failing\",", true);
    stack_stop(&s);
}

static void test_switched_off(void **state)
{
    (void)state;
    struct stack s;
    start(&s, NULL);
    expect(&s, "/metrics", "forewarn_history", false);
    expect(&s, "/api/v1/status", "\"history\":null,", true);
    stack_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
