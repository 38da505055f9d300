/* Alerts to unusual behaviour: raised by closed steps, resolved an hour after the last one, held
 * without data, the same after a restart. */
#include "unit/alert/book_turn.h"
#include "unit/alert/memory_state.h"
#include "unit/risk/build_forecast.h"

#include "alert/alert.h"
#include "base/rng.h"

#include "support.h"

enum { SERVERS = 4, METRICS = 3, DAY = 288, STEP_S = BUILD_STEP_MS / 1000 };
static const int64_t base_ms = (int64_t)1700000 * 1000000;
static const char *const names[SERVERS] = {"a", "b", "c", "d"};
static struct schema schema;

struct world {
    struct fw_rng rng;
    struct store_state *state;
    struct surprise *surprise;
    struct alert_book *book;
    const struct alert_list *list;
    struct forecast *forecasts[SERVERS];
    struct forecast_set *set;
    struct risk risks[SERVERS];
    int64_t step;
    uint64_t revision;
    size_t fired, resolved; /* of the last run */
    struct alert last;
};

static void note(void *ctx, const struct alert_transition *t)
{
    struct world *w = ctx;
    if (t->alert.metric == ALERT_METRIC_SILENT)
        return;
    w->fired += t->to == ALERT_FIRING ? 1 : 0;
    w->resolved += t->to == ALERT_RESOLVED ? 1 : 0;
    w->last = t->alert;
    CHECK_STR("nothing else alerts", alert_metric_name(&schema, t->alert.metric),
              "unusual_behaviour");
}

static void open_book(struct world *w)
{
    struct alert_options options;
    alert_options_default(&options, &schema, STEP_S);
    assert_int_equal(alert_book_open(&options, w->state, &w->book, NULL), FW_OK);
    alert_book_watch(w->book, w->surprise);
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    const struct surprise_options options = {.step_s = STEP_S, .alarms_per_server_day = 0.1};
    assert_non_null(w);
    schema_default(&schema);
    fw_rng_init(&w->rng, 1);
    w->state = memory_state_new();
    assert_int_equal(surprise_new(&options, &w->surprise, NULL), FW_OK);
    for (size_t s = 0; s < SERVERS; s++) {
        w->forecasts[s] = build_forecast(names[s], METRICS);
        build_flat(w->forecasts[s], METRIC_NET_IN, 50.0);
        build_flat(w->forecasts[s], METRIC_NET_OUT, 50.0);
        build_flat(w->forecasts[s], METRIC_LOAD_AVERAGE, 0.5);
        for (size_t m = 0; m < METRICS; m++)
            for (size_t h = 0; h < FORECAST_HORIZON; h++) {
                w->forecasts[s]->paths[m].p10[h] -= 0.1f;
                w->forecasts[s]->paths[m].p90[h] += 0.1f;
            }
    }
    w->set = build_set((const struct forecast *const *)w->forecasts, SERVERS);
    open_book(w);
    return w;
}

static void world_free(struct world *w)
{
    alert_list_release(w->list);
    alert_book_close(w->book);
    surprise_free(w->surprise);
    memory_state_free(w->state);
    for (size_t s = 0; s < SERVERS; s++)
        fw_free(w->forecasts[s]);
    fw_free(w->set);
    free(w);
}

/* A run `into_ms` after the step's begin; b is `off` away from what was forecast. */
static void run(struct world *w, int64_t into_ms, double off)
{
    const int64_t begin_ms = base_ms + w->step * BUILD_STEP_MS;
    w->revision++;
    w->fired = w->resolved = 0;
    for (size_t s = 0; s < SERVERS; s++) {
        struct forecast *f = w->forecasts[s];
        f->revision = w->revision;
        if (f->stale)
            continue;
        f->origin_ms = begin_ms + BUILD_STEP_MS;
        f->last_seen_ms = begin_ms;
        for (size_t m = 0; m < METRICS; m++) {
            f->paths[m].last_seen_ms = begin_ms;
            f->paths[m].current = (float)((double)f->paths[m].p50[0] +
                                          0.1 * fw_rng_normal(&w->rng) + (s == 1 ? off : 0.0));
        }
    }
    assert_int_equal(surprise_update(w->surprise, w->set, NULL, NULL), FW_OK);
    alert_list_release(w->list);
    assert_int_equal(
        book_turn(w->book, w->set, w->risks, begin_ms + into_ms, note, w, &w->list, NULL), FW_OK);
}

static void close_step(struct world *w, double off)
{
    run(w, BUILD_STEP_MS, off);
    w->step++;
}

static struct world *learned_world(void)
{
    struct world *w = world_new();
    for (int t = 0; t < 12 * DAY; t++)
        close_step(w, 0.0);
    return w;
}

static const struct alert *find(const struct world *w)
{
    for (size_t i = 0; i < w->list->count; i++) {
        if (w->list->items[i].metric == ALERT_METRIC_UNUSUAL)
            return &w->list->items[i];
    }
    fail_msg("no such alert");
    return NULL;
}

static void test_life(void **state)
{
    (void)state;
    struct world *w = learned_world();
    run(w, 10000, 5.0);
    CHECK_EQ("a step that is not over raises nothing", w->fired, 0);
    run(w, 20000, 0.0);
    close_step(w, 0.0);
    CHECK_EQ("nor when it thought better of it", w->fired, 0);
    run(w, 10000, 5.0);
    close_step(w, 5.0);
    CHECK_EQ("a closed one does", w->fired, 1);
    CHECK_STR("whose", w->last.server, "b");
    CHECK_TRUE("fires at once", w->last.state == ALERT_FIRING && w->last.severity == ALERT_WARNING);
    CHECK_TRUE("score and threshold", w->last.current > w->last.threshold);
    CHECK_EQ("reasons", w->last.reason_count, METRICS);
    CHECK_NEAR("with values", w->last.reasons[0].value - w->last.reasons[0].p90, 4.9, 0.5);
    for (int t = 0; t < 12; t++) {
        close_step(w, 0.0);
        CHECK_EQ("goes on for an hour", w->fired + w->resolved, 0);
        CHECK_EQ("in the list", w->list->count, 1);
        CHECK_EQ("with its reasons", w->list->items[0].reason_count, METRICS);
    }
    close_step(w, 0.0);
    CHECK_EQ("resolved", w->resolved, 1);
    CHECK_TRUE("cleared", w->last.reason == ALERT_REASON_CLEARED);
    world_free(w);
}

/* The step's end brings no run of its own: the next step's first one tells. */
static void test_told_by_the_next_step(void **state)
{
    (void)state;
    struct world *w = learned_world();
    run(w, 10000, 5.0);
    w->step++;
    run(w, 10000, 0.0);
    CHECK_EQ("fired", w->fired, 1);
    CHECK_EQ("for what was seen in the step before", w->last.reason_count, METRICS);
    world_free(w);
}

/* The step's end makes an alarm of what it saw, also where nothing came since. */
static void test_told_of_a_server_that_rests(void **state)
{
    (void)state;
    struct world *w = learned_world();
    run(w, 10000, 5.0);
    CHECK_EQ("a step that is not over", w->fired, 0);
    for (size_t s = 0; s < SERVERS; s++)
        w->risks[s].kept = true;
    alert_list_release(w->list);
    assert_int_equal(book_turn(w->book, w->set, w->risks, base_ms + (w->step + 1) * BUILD_STEP_MS,
                               note, w, &w->list, NULL),
                     FW_OK);
    CHECK_EQ("is over", w->fired, 1);
    CHECK_STR("whose", w->last.server, "b");
    world_free(w);
}

/* What is unusual ends by time and by thresholds, not by news of the server. */
static void test_resolves_while_it_rests(void **state)
{
    (void)state;
    struct world *w = learned_world();
    close_step(w, 5.0);
    CHECK_EQ("fired", w->fired, 1);
    for (size_t s = 0; s < SERVERS; s++)
        w->risks[s].kept = true;
    size_t resolved = 0;
    for (int t = 0; t < 14; t++) {
        close_step(w, 0.0);
        resolved += w->resolved;
    }
    CHECK_EQ("resolved", resolved, 1);
    world_free(w);
}

static void test_restart(void **state)
{
    (void)state;
    struct world *w = learned_world();
    close_step(w, 5.0);
    CHECK_EQ("fired", w->fired, 1);
    const uint64_t id = w->last.id;
    alert_book_close(w->book);
    open_book(w);
    close_step(w, 5.0);
    CHECK_EQ("not raised again", w->fired, 0);
    CHECK_TRUE("the same one", w->list->count == 1 && w->list->items[0].id == id);
    world_free(w);
}

/* The memory of steps begins anew with the process: until it judges again, nothing is cleared. */
static void test_restart_of_both(void **state)
{
    (void)state;
    struct world *w = learned_world();
    struct surprise_options options = {.step_s = STEP_S, .alarms_per_server_day = 0.1};
    struct surprise *kept = NULL;
    struct fw_buf buf;
    close_step(w, 5.0);
    CHECK_EQ("fired", w->fired, 1);
    const uint64_t id = w->last.id;
    assert_int_equal(surprise_new(&options, &kept, NULL), FW_OK);
    fw_buf_init(&buf, 1 << 20);
    for (size_t i = 0; i < surprise_count(w->surprise); i++) {
        fw_buf_reset(&buf);
        surprise_encode(w->surprise, i, &schema, &buf);
        assert_int_equal(
            surprise_decode(kept, surprise_name(w->surprise, i), &schema, buf.data, buf.len, NULL),
            FW_OK);
    }
    fw_buf_fini(&buf);
    alert_book_close(w->book);
    surprise_free(w->surprise);
    w->surprise = kept;
    open_book(w);
    int steps = 0;
    close_step(w, 0.0);
    CHECK_TRUE("held", find(w)->held && find(w)->id == id);
    while (w->resolved == 0 && steps++ < 40)
        close_step(w, 0.0);
    CHECK_TRUE("not before it judges again", steps >= 3);
    CHECK_EQ("resolved", w->resolved, 1);
    CHECK_TRUE("the same one", w->last.id == id && w->last.reason == ALERT_REASON_CLEARED);
    CHECK_EQ("never raised again", w->fired, 0);
    world_free(w);
}

static void test_no_data_holds(void **state)
{
    (void)state;
    struct world *w = learned_world();
    close_step(w, 5.0);
    w->forecasts[1]->stale = true;
    for (int t = 0; t < 2; t++)
        close_step(w, 0.0);
    CHECK_EQ("not resolved", w->resolved, 0);
    CHECK_TRUE("held", find(w)->held);
    w->forecasts[1]->stale = false;
    close_step(w, 0.0);
    CHECK_TRUE("no longer", !find(w)->held);
    alert_book_watch(w->book, NULL);
    close_step(w, 0.0);
    CHECK_TRUE("held when nobody looks", find(w)->held);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_told_by_the_next_step),
        cmocka_unit_test(test_told_of_a_server_that_rests),
        cmocka_unit_test(test_resolves_while_it_rests),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_restart_of_both),
        cmocka_unit_test(test_no_data_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
