/* The book on the real store: closed and opened again between any two runs, it tells the same
 * story, and the history can be read back. */
#include "unit/alert/book_turn.h"
#include "unit/risk/build_forecast.h"

#include "alert/event.h"

#include "support.h"

#include <stdlib.h>
#include <unistd.h>

static const int64_t base_ms = (int64_t)5666667 * BUILD_STEP_MS;

static struct schema schema;

struct counts {
    size_t fired, resolved, severity_changes;
};

static void count(void *ctx, const struct alert_transition *t)
{
    struct counts *counts = ctx;
    counts->fired += t->from == ALERT_PENDING && t->to == ALERT_FIRING;
    counts->resolved += t->from == ALERT_FIRING && t->to == ALERT_RESOLVED;
    counts->severity_changes += t->from == ALERT_FIRING && t->to == ALERT_FIRING;
}

/* Opens everything, makes one run over two servers, closes everything. */
static void run_in_new_process(const char *path, int step, double cpu, struct counts *counts,
                               struct alert *out)
{
    struct store_state *state = NULL;
    struct store_state_options options = {0};
    struct store_state_report report;
    struct alert_options alert_options;
    struct alert_book *book = NULL;
    struct fw_error err = {0};
    if (store_state_open(path, &options, &report, &state, &err) != FW_OK)
        fail_msg("open: %s", err.text);
    alert_options_default(&alert_options, &schema, BUILD_STEP_MS / 1000);
    assert_int_equal(alert_book_open(&alert_options, state, &book, &err), FW_OK);

    struct forecast *items[2] = {build_forecast("a \"quoted\" name", 1), build_forecast("b", 1)};
    for (size_t i = 0; i < 2; i++) {
        items[i]->origin_ms = base_ms + (step + 1) * (int64_t)BUILD_STEP_MS;
        items[i]->last_seen_ms = items[i]->origin_ms - 1000;
    }
    build_flat(items[0], METRIC_CPU_USER, cpu);
    build_flat(items[1], METRIC_CPU_USER, 20);
    struct forecast_set *set = build_set((const struct forecast *const *)items, 2);
    const struct risk risks[2] = {{.score = 42.0f}, {.score = 0.0f}};
    const struct alert_list *list = NULL;
    assert_int_equal(book_turn(book, set, risks, items[0]->origin_ms, count, counts, &list, &err),
                     FW_OK);
    assert_true(list->count <= 1);
    *out = list->count == 1 ? list->items[0] : (struct alert){0};
    struct alert_book_statistics statistics;
    alert_book_statistics(book, &statistics);
    assert_false(statistics.store_failing);
    alert_list_release(list);
    fw_free(set);
    fw_free(items[0]);
    fw_free(items[1]);
    alert_book_close(book);
    store_state_close(state);
}

struct rows {
    struct fw_json_parser *parser;
    size_t count, closed;
    char types[128];
};

static bool gather(void *ctx, const struct store_state_event *stored)
{
    struct rows *rows = ctx;
    struct alert_event event;
    assert_int_equal(alert_event_decode(rows->parser, stored->data, stored->len, &event, NULL),
                     FW_OK);
    assert_string_equal(stored->subject, "a \"quoted\" name");
    rows->count++;
    rows->closed += event.resolved_at_ms != 0 && event.duration_minutes > 0;
    strcat(rows->types, alert_event_type_name(event.type));
    strcat(rows->types, " ");
    return true;
}

static void test_a_new_process_for_every_run(void **unused)
{
    (void)unused;
    static const double values[] = {50, 90, 90, 97, 97, 97, 70, 70, 70, 60, 60};
    static const int states[] = {-1, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2};
    schema_default(&schema);
    char dir[] = "/tmp/forewarn-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/state.db", dir);
    struct counts counts = {0};
    uint64_t id = 0;
    for (int step = 0; step < (int)COUNT_OF(values); step++) {
        for (int again = 0; again < 2; again++) { /* the same data twice */
            struct alert alert;
            run_in_new_process(path, step, values[step], &counts, &alert);
            CHECK_EQ("listed", alert.id != 0, states[step] >= 0);
            if (states[step] < 0)
                continue;
            CHECK_EQ("state", alert.state, states[step]);
            assert_true(id == 0 || id == alert.id);
            id = alert.id;
        }
    }
    CHECK_EQ("fired", counts.fired, 1);
    CHECK_EQ("resolved", counts.resolved, 1);
    CHECK_EQ("escalated", counts.severity_changes, 1);

    struct store_state *state = NULL;
    struct store_state_options options = {0};
    struct store_state_report report;
    assert_int_equal(store_state_open(path, &options, &report, &state, NULL), FW_OK);
    const struct store_state_event_query query = {
        .kind = ALERT_EVENT_KIND, .from_ms = 0, .to_ms = INT64_MAX};
    static struct rows rows;
    rows.parser = fw_json_parser_new(16384, 8);
    assert_int_equal(store_state_event_each(state, &query, gather, &rows, NULL, NULL), FW_OK);
    assert_string_equal(rows.types, "escalation escalation resolved ");
    CHECK_EQ("all closed", rows.closed, 3);
    fw_json_parser_free(rows.parser);
    store_state_close(state);
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_process_for_every_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
