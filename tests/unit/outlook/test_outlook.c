/* What an outlook says, how runs fail, the history, and when runs are made. */
#include "unit/alert/memory_state.h"
#include "unit/outlook/doubles.h"

#include "outlook/outlook_internal.h"

#include "support.h"

static const int64_t base_ms = (int64_t)5666667 * BUILD_STEP_MS;

struct world {
    struct schema schema;
    struct fleet fleet;
    struct forecaster forecaster;
    struct fw_clock_fake clock;
    struct store_state *state;
    struct alert_book *alerts;
    struct outlook_board *board;
    struct outlook_runner_options options;
    size_t heard, fired, told;
    long commits_heard, commits_told; /* that the store had seen by then */
    uint64_t heard_current;           /* the outlook that readers had while the listener ran */
};

static void on_transition(void *ctx, const struct alert_transition *t)
{
    struct world *w = ctx;
    w->fired += t->to == ALERT_FIRING && t->from == ALERT_PENDING;
    w->commits_heard = w->state->commits;
}

static void open_world(struct world *w)
{
    struct alert_options alert_options;
    alert_options_default(&alert_options, &w->schema, BUILD_STEP_MS / 1000);
    assert_int_equal(alert_book_open(&alert_options, w->state, &w->alerts, NULL), FW_OK);
    w->board = outlook_board_new();
    assert_non_null(w->board);
    memset(&w->options, 0, sizeof w->options);
    w->options.fleet = &w->fleet;
    w->options.forecaster = &w->forecaster;
    w->options.alerts = w->alerts;
    w->options.state = w->state;
    w->options.clock = &w->clock.clock;
    w->options.board = w->board;
    w->options.on_transition = on_transition;
    w->options.on_transition_ctx = w;
    risk_options_default(&w->options.risk, &w->schema);
}

static void close_world(struct world *w)
{
    outlook_board_free(w->board);
    alert_book_close(w->alerts);
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    schema_default(&w->schema);
    double_fleet_init(&w->fleet);
    fw_clock_fake_init(&w->clock, base_ms);
    w->forecaster.clock = &w->clock.clock;
    w->state = memory_state_new();
    open_world(w);
    return w;
}

static void world_free(struct world *w)
{
    close_world(w);
    double_fleet_fini(&w->fleet);
    memory_state_free(w->state);
    free(w);
}

static struct forecast *server(struct world *w, const char *name, double disk,
                               enum forecast_method method)
{
    struct forecast *f = build_forecast(name, 1);
    f->origin_ms = (fw_clock_wall_ms(&w->clock.clock) / BUILD_STEP_MS + 1) * BUILD_STEP_MS;
    f->last_seen_ms = f->origin_ms - 1000;
    struct forecast_path *path = build_flat(f, METRIC_DISK_USAGE, disk);
    path->method = (uint8_t)method;
    path->model_share = method == FORECAST_TFT ? 1.0f : 0.0f;
    return f;
}

static void run_once(struct world *w)
{
    assert_int_equal(outlook_run_once(&w->options, NULL), FW_OK);
}

static void test_empty_fleet(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_null(outlook_board_current(w->board));
    run_once(w);
    const struct outlook *o = outlook_board_current(w->board);
    CHECK_EQ("servers", o->set->count, 0);
    CHECK_STR("health", o->environment.fleet_health, "unknown");
    CHECK_NEAR("average", o->average_risk, 0, 0);
    CHECK_EQ("alerts", o->alerts->count, 0);
    CHECK_STR("model", o->model_type, "heuristic");
    CHECK_STR("name", o->model_name, "none");
    outlook_release(o);
    world_free(w);
}

static void test_summary(void **state)
{
    (void)state;
    struct world *w = world_new();
    static const double disks[] = {100, 50, 88, 95, 100, 91, 50};
    for (size_t i = 0; i < COUNT_OF(disks); i++) {
        const char name[] = {'s', (char)('0' + i), '\0'};
        double_fleet_put(&w->fleet, i, server(w, name, disks[i], FORECAST_TREND));
    }
    run_once(w);
    const struct outlook *o = outlook_board_current(w->board);
    CHECK_EQ("critical", o->level_counts[RISK_CRITICAL], 3);
    CHECK_EQ("warning", o->level_counts[RISK_WARNING], 1);
    CHECK_EQ("watch", o->level_counts[RISK_WATCH], 1);
    CHECK_EQ("healthy", o->level_counts[RISK_HEALTHY], 2);
    CHECK_EQ("top", o->top_count, 7);
    static const uint32_t order[] = {0, 4, 3, 5, 2, 1, 6}; /* ties by name */
    for (size_t i = 0; i < COUNT_OF(order); i++)
        CHECK_EQ("order", o->top[i], order[i]);
    double sum = 0;
    for (size_t i = 0; i < o->set->count; i++)
        sum += (double)o->risks[i].score;
    CHECK_NEAR("average", o->average_risk, sum / 7, 1e-9);
    CHECK_NEAR("most", o->max_risk, 95.0, 0.01);
    CHECK_NEAR("health", o->health_score, 100 - sum / 7, 1e-9);
    CHECK_EQ("records", o->records, 70);
    CHECK_STR("scorer", o->risk_model, "forewarn");
    CHECK_STR("truthful", o->model_type, "heuristic");
    CHECK_EQ("id", o->id, 1);
    outlook_release(o);

    double_fleet_put(&w->fleet, 3, server(w, "s3", 50, FORECAST_TFT));
    w->forecaster.model_name = "tft-7";
    w->options.risk.argus_counts = true;
    run_once(w);
    o = outlook_board_current(w->board);
    CHECK_STR("one path is enough", o->model_type, "TFT");
    CHECK_STR("name", o->model_name, "tft-7");
    CHECK_EQ("80/60/50", o->level_counts[RISK_CRITICAL], 2);
    outlook_release(o);
    world_free(w);
}

static void test_top_of_many(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (size_t i = 0; i < 500; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%03zu", i);
        double_fleet_put(&w->fleet, i,
                         server(w, name, 85 + (double)(i * 37 % 150) / 10, FORECAST_TREND));
    }
    run_once(w);
    const struct outlook *o = outlook_board_current(w->board);
    CHECK_EQ("twenty", o->top_count, OUTLOOK_TOP_MAX);
    for (size_t i = 1; i < o->top_count; i++) {
        const float before = o->risks[o->top[i - 1]].score, after = o->risks[o->top[i]].score;
        assert_true(before > after || (before == after && o->top[i - 1] < o->top[i]));
    }
    size_t above = 0;
    for (size_t i = 0; i < o->set->count; i++)
        above += o->risks[i].score > o->risks[o->top[19]].score;
    CHECK_TRUE("none was missed", above < 20);
    outlook_release(o);
    world_free(w);
}

/* Unchanged servers keep the score they have; changed ones are scored anew, also when others come
 * and go around them. */
static void test_scores_follow_their_servers(void **state)
{
    (void)state;
    struct world *w = world_new();
    double_fleet_put(&w->fleet, 0, server(w, "b", 100, FORECAST_TREND));
    double_fleet_put(&w->fleet, 1, server(w, "d", 50, FORECAST_TREND));
    run_once(w);
    /* "a" comes before, "d" becomes "c". */
    struct forecast *b = forecast_retain(w->fleet.forecasts[0]);
    double_fleet_put(&w->fleet, 0, server(w, "a", 50, FORECAST_TREND));
    double_fleet_put(&w->fleet, 1, b);
    double_fleet_put(&w->fleet, 2, server(w, "c", 91, FORECAST_TREND));
    run_once(w);
    const struct outlook *o = outlook_board_current(w->board);
    CHECK_NEAR("a", o->risks[0].score, 0, 0.01);
    CHECK_NEAR("b", o->risks[1].score, 95, 0.01);
    CHECK_NEAR("c", o->risks[2].score, 52, 0.01);
    outlook_release(o);
    world_free(w);
}

static void check_risks(const struct outlook *a, const struct outlook *b)
{
    CHECK_EQ("servers", a->set->count, b->set->count);
    for (size_t i = 0; i < a->set->count; i++) {
        const struct risk *x = &a->risks[i], *y = &b->risks[i];
        CHECK_STR("server", a->set->items[i]->name, b->set->items[i]->name);
        CHECK_NEAR(a->set->items[i]->name, x->score, y->score, 0);
        CHECK_EQ(a->set->items[i]->name, x->driver_count, y->driver_count);
        for (size_t k = 0; k < x->driver_count; k++)
            if (memcmp(&x->drivers[k], &y->drivers[k], sizeof x->drivers[k]) != 0)
                fail_msg("driver %zu of %s differs", k, a->set->items[i]->name);
    }
}

/* What risks point to is shared between outlooks, and outlives those that made it. */
static void test_drivers_are_shared(void **state)
{
    (void)state;
    enum { MANY = 150 };
    struct world *w = world_new(), *anew = world_new();
    for (size_t i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%03zu", i);
        double_fleet_put(&w->fleet, i, server(w, name, 60 + (double)(i % 40), FORECAST_TREND));
    }
    w->forecaster.roster = 1;
    run_once(w);
    for (size_t n = 0; n < 12; n++) {
        const size_t i = n * 31 % MANY;
        char name[16];
        snprintf(name, sizeof name, "m%03zu", i);
        const struct outlook *before = outlook_board_current(w->board);
        double_fleet_put(&w->fleet, i, server(w, name, 95 - (double)n, FORECAST_TREND));
        run_once(w);
        const struct outlook *after = outlook_board_current(w->board);
        size_t shared = 0;
        for (size_t block = 0; block < after->driver_blocks; block++)
            shared += after->drivers[block] == before->drivers[block];
        CHECK_EQ("all but one block", shared, after->driver_blocks - 1);
        outlook_release(before);
        outlook_release(after);
    }
    for (size_t i = 0; i < MANY; i++)
        double_fleet_put(&anew->fleet, i, forecast_retain(w->fleet.forecasts[i]));
    run_once(anew);
    const struct outlook *a = outlook_board_current(w->board);
    const struct outlook *b = outlook_board_current(anew->board);
    check_risks(a, b);
    outlook_release(a);
    outlook_release(b);
    world_free(w);
    world_free(anew);
}

static void listener(void *ctx, const struct outlook *outlook)
{
    struct world *w = ctx;
    const struct outlook *current = outlook_board_current(w->board);
    w->heard++;
    w->heard_current = current != NULL ? current->id : 0;
    assert_true(outlook->id == w->heard);
    outlook_release(current);
}

static void test_listeners_come_before_readers(void **state)
{
    (void)state;
    struct world *w = world_new();
    outlook_board_listen(w->board, listener, w);
    for (uint64_t i = 1; i <= 3; i++) {
        run_once(w);
        CHECK_EQ("heard", w->heard, i);
        CHECK_EQ("readers still had the last one", w->heard_current, i - 1);
    }
    world_free(w);
}

static void follower(void *ctx, const struct outlook *outlook)
{
    struct world *w = ctx;
    const struct outlook *current = outlook_board_current(w->board);
    w->told++;
    w->commits_told = w->state->commits;
    assert_ptr_equal(current, outlook);
    outlook_release(current);
}

static void before_readers(void *ctx, const struct outlook *outlook)
{
    struct world *w = ctx;
    (void)outlook;
    CHECK_EQ("what this run found is not written yet", w->state->commits, w->commits_told);
}

/* Who asks has the outlook before its alerts are written, who passes them on hears of it after. */
static void test_nobody_waits_for_the_disk(void **state)
{
    (void)state;
    struct world *w = world_new();
    outlook_board_listen(w->board, before_readers, w);
    outlook_board_follow(w->board, follower, w);
    w->options.history_keep_ms = -1;
    for (size_t i = 1; i <= 3; i++) {
        const long before = w->state->commits;
        double_fleet_put(&w->fleet, 0, server(w, "a", i == 3 ? 20 : 100, FORECAST_TREND));
        run_once(w);
        CHECK_EQ("told", w->told, i);
        if (i < 3) {
            CHECK_EQ("transitions heard when they were written", w->commits_heard, before + 1);
            CHECK_EQ("and followers", w->commits_told, before + 1);
        }
        w->commits_told = w->state->commits; /* the environment's history comes last */
        fw_clock_fake_advance_ms(&w->clock, BUILD_STEP_MS);
    }
    CHECK_EQ("fired", w->fired, 1);
    world_free(w);
}

static void test_failure_keeps_the_last(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct outlook_statistics statistics;
    double_fleet_put(&w->fleet, 0, server(w, "a", 50, FORECAST_TREND));
    run_once(w);
    w->forecaster.fail = FW_ENOMEM;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(outlook_run_once(&w->options, NULL), FW_ENOMEM);
        outlook_board_statistics(w->board, &statistics);
        CHECK_TRUE("failing", statistics.failing);
        CHECK_EQ("failures", statistics.failures, i + 1);
        const struct outlook *o = outlook_board_current(w->board);
        CHECK_EQ("the last one", o->id, 1);
        outlook_release(o);
    }
    w->forecaster.fail = FW_OK;
    run_once(w);
    outlook_board_statistics(w->board, &statistics);
    CHECK_TRUE("well again", !statistics.failing);
    CHECK_EQ("runs", statistics.runs, 2);
    CHECK_EQ("in the histogram", statistics.run.count, 2);
    CHECK_EQ("age", statistics.made_ms, base_ms);
    /* The n-th allocation of a run fails: an error and the last outlook, or a whole new one. */
    size_t failed = 0;
    for (long n = 1; n < 12; n++) {
        struct fw_error err;
        const struct outlook *before = outlook_board_current(w->board);
        fw_alloc_fail_at(n);
        const enum fw_status status = outlook_run_once(&w->options, &err);
        fw_alloc_fail_at(0);
        const struct outlook *after = outlook_board_current(w->board);
        assert_true(status == FW_OK || status == FW_ENOMEM);
        assert_true((status == FW_OK) == (after != before));
        failed += status != FW_OK;
        outlook_release(before);
        outlook_release(after);
    }
    CHECK_TRUE("some did fail", failed >= 3);
    world_free(w);
}

static size_t snapshots(const struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->state->now.event_count; i++)
        n += strcmp(w->state->now.events[i].kind, OUTLOOK_ENVIRONMENT_KIND) == 0;
    return n;
}

static void test_history(void **state)
{
    (void)state;
    struct world *w = world_new();
    double_fleet_put(&w->fleet, 0, server(w, "a", 91, FORECAST_TREND));
    for (int i = 0; i < 60; i++) { /* ten minutes, a run every ten seconds */
        run_once(w);
        fw_clock_fake_advance_ms(&w->clock, 10000);
    }
    CHECK_EQ("one a minute", snapshots(w), 10);
    const struct memory_event *first = NULL;
    for (size_t i = 0; i < w->state->now.event_count && first == NULL; i++) {
        if (strcmp(w->state->now.events[i].kind, OUTLOOK_ENVIRONMENT_KIND) == 0)
            first = &w->state->now.events[i];
    }
    CHECK_STR("shape", first->data,
              "{\"total_servers\":1,\"critical_count\":0,\"warning_count\":1,"
              "\"degraded_count\":0,\"healthy_count\":0,\"prob_30m\":0,\"prob_8h\":0,"
              "\"avg_risk_score\":52,\"max_risk_score\":52,\"top_risk_server\":\"a\","
              "\"fleet_health\":\"healthy\",\"fleet_health_score\":48}");
    /* A restart within the minute adds none. */
    fw_clock_fake_advance_ms(&w->clock, -5000);
    const size_t before = snapshots(w);
    close_world(w);
    open_world(w);
    run_once(w);
    CHECK_EQ("no second in the minute", snapshots(w), before);
    /* Put back by a day: it goes on. */
    fw_clock_fake_advance_ms(&w->clock, -86400000);
    run_once(w);
    CHECK_EQ("not stopped for a day", snapshots(w), before + 1);
    /* A store that fails costs the history, not the run. */
    w->state->fail_from = w->state->writes + 1;
    w->state->fail_to = w->state->writes + 1000;
    fw_clock_fake_advance_ms(&w->clock, 120000);
    run_once(w);
    struct outlook_statistics statistics;
    outlook_board_statistics(w->board, &statistics);
    CHECK_EQ("counted", statistics.history_failures, 1);
    w->state->fail_from = w->state->fail_to = 0;
    /* Old rows go. */
    fw_clock_fake_advance_ms(&w->clock, (int64_t)91 * 86400 * 1000);
    run_once(w);
    CHECK_EQ("only the new one", snapshots(w), 1);
    world_free(w);
}

/* What a schedule says at given times. */
#define NEXT(at) outlook_schedule_next(&s, wall + (at), mono + (at), &wait)
#define RAN(good, begin, end)                                                                      \
    outlook_schedule_ran(&s, good, wall + (begin), mono + (begin), mono + (end), (end) - (begin))

static void test_schedule(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct outlook_schedule s;
    int64_t wait;
    /* Wall and monotonic clocks differ; the step began 40 s ago. */
    const int64_t wall = base_ms + 40000, mono = 1000000;
    outlook_schedule_init(&s, &w->options, mono);
    CHECK_EQ("nothing yet", NEXT(0), OUTLOOK_WAIT);
    CHECK_EQ("but the check", wait, 60000);
    outlook_schedule_wake(&s, mono);
    CHECK_EQ("the very first run is at once", NEXT(0), OUTLOOK_RUN);
    RAN(true, 0, 5);
    CHECK_EQ("nothing came", NEXT(1000), OUTLOOK_WAIT);
    outlook_schedule_wake(&s, mono + 1000);
    CHECK_EQ("what comes later is forecast at once", NEXT(1000), OUTLOOK_RUN);
    RAN(true, 1000, 1001);
    outlook_schedule_wake(&s, mono + 1001);
    CHECK_EQ("after a short run a short rest", NEXT(1004), OUTLOOK_WAIT);
    CHECK_EQ("of four times its length", wait, 1);
    CHECK_EQ("then the next", NEXT(1005), OUTLOOK_RUN);
    RAN(true, 1005, 1205);
    outlook_schedule_wake(&s, mono + 1100);
    CHECK_EQ("after a long one too", NEXT(1214), OUTLOOK_WAIT);
    CHECK_EQ("no longer than that", NEXT(1215), OUTLOOK_RUN);
    RAN(true, 1215, 1215);
    CHECK_EQ("nothing came: no run, for a minute", NEXT(59999), OUTLOOK_WAIT);
    CHECK_EQ("a check", NEXT(60000), OUTLOOK_CHECK);
    CHECK_EQ("once", NEXT(60001), OUTLOOK_WAIT);
    world_free(w);
}

/* Runs that take more than a twentieth of the time wait for their turn. */
static void test_schedule_of_busy_runs(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct outlook_schedule s;
    int64_t wait, ran = 0;
    const int64_t wall = base_ms + 40000, mono = 1000000;
    outlook_schedule_init(&s, &w->options, mono);
    /* Data without end, runs of 300 ms: two seconds of them, then one every six seconds. */
    for (int64_t at = 0; at < 200000; at++) {
        outlook_schedule_wake(&s, mono + at);
        if (NEXT(at) != OUTLOOK_RUN)
            continue;
        RAN(true, at, at + 300);
        at += 300;
        ran++;
    }
    CHECK_TRUE("a twentieth of the time, and two seconds", ran >= 36 && ran <= 42);
    /* Two seconds are saved up again after forty of quiet. */
    RAN(true, 200000, 200300);
    for (int64_t at = 241000; at < 243000; at += 310) {
        outlook_schedule_wake(&s, mono + at);
        CHECK_EQ("saved", NEXT(at), OUTLOOK_RUN);
        RAN(true, at, at + 300);
    }
    world_free(w);
}

static void test_schedule_without_credit(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct outlook_schedule s;
    int64_t wait;
    const int64_t wall = base_ms + 40000, mono = 1000000;
    outlook_schedule_init(&s, &w->options, mono);
    outlook_schedule_wake(&s, mono);
    RAN(true, 0, 4000);
    outlook_schedule_wake(&s, mono + 4000);
    CHECK_EQ("not twice in ten seconds", NEXT(9999), OUTLOOK_WAIT);
    CHECK_EQ("ten seconds after the last began", NEXT(10000), OUTLOOK_RUN);
    /* Data just before the step's end (260 s from here): the run waits for the end. */
    RAN(true, 255000, 259000);
    outlook_schedule_wake(&s, mono + 259000);
    (void)NEXT(259500); /* the minute's check is due as well */
    CHECK_EQ("not ten seconds after the last", NEXT(262999), OUTLOOK_WAIT);
    CHECK_EQ("three after its end, as long as it took", NEXT(263000), OUTLOOK_RUN);
    /* A run that took a minute leaves a minute of air, and no debt beyond an interval. */
    RAN(true, 263000, 323000);
    outlook_schedule_wake(&s, mono + 323000);
    (void)NEXT(323000);
    CHECK_EQ("air", NEXT(382999), OUTLOOK_WAIT);
    CHECK_EQ("enough", NEXT(383000), OUTLOOK_RUN);
    RAN(true, 383000, 383001);
    outlook_schedule_wake(&s, mono + 394000);
    CHECK_EQ("forgiven", NEXT(394000), OUTLOOK_RUN);
    /* Of a run that others held up only its own time counts. */
    outlook_schedule_ran(&s, true, wall + 450000, mono + 450000, mono + 452000, 10);
    outlook_schedule_wake(&s, mono + 452010);
    (void)NEXT(452010);
    CHECK_EQ("held up", NEXT(452010), OUTLOOK_RUN);
    /* A failed run is not tried again at once, credit or not. */
    RAN(false, 500000, 500001);
    outlook_schedule_wake(&s, mono + 500001);
    (void)NEXT(500002);
    CHECK_EQ("failed", NEXT(509999), OUTLOOK_WAIT);
    CHECK_EQ("tried again", NEXT(510000), OUTLOOK_RUN);
    world_free(w);
}

static void sleep_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static uint64_t current_id(struct world *w)
{
    const struct outlook *o = outlook_board_current(w->board);
    const uint64_t id = o != NULL ? o->id : 0;
    outlook_release(o);
    return id;
}

/* Waits up to ten seconds of real time. */
static void expect_id(const char *name, struct world *w, uint64_t id)
{
    for (int i = 0; i < 2000 && current_id(w) != id; i++)
        sleep_ms(5);
    CHECK_EQ(name, current_id(w), id);
}

static void test_runner(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct outlook_runner *runner;
    double_fleet_put(&w->fleet, 0, server(w, "a", 50, FORECAST_TREND));
    assert_int_equal(outlook_runner_start(&w->options, &runner, NULL), FW_OK);
    expect_id("the first run", w, 1);
    outlook_runner_wake(runner);
    sleep_ms(60);
    CHECK_EQ("not before a rest", current_id(w), 1);
    fw_clock_fake_advance_ms(&w->clock, 10);
    expect_id("then", w, 2);
    for (int i = 0; i < 5; i++) {
        fw_clock_fake_advance_ms(&w->clock, 61000);
        sleep_ms(60);
    }
    CHECK_EQ("nothing new, no run", current_id(w), 2);
    /* A server falls silent: only the check can know. */
    struct forecast *silent = server(w, "a", 50, FORECAST_TREND);
    silent->stale = true;
    double_fleet_put(&w->fleet, 0, silent);
    fw_clock_fake_advance_ms(&w->clock, 61000);
    expect_id("marked", w, 3);
    /* A failing run is tried again. */
    w->forecaster.fail = FW_OK;
    outlook_runner_stop(runner);
    w->forecaster.fail = FW_ENOMEM;
    assert_int_equal(outlook_runner_start(&w->options, &runner, NULL), FW_OK);
    outlook_runner_wake(runner);
    struct outlook_statistics statistics;
    for (int i = 0; i < 400; i++) {
        outlook_board_statistics(w->board, &statistics);
        if (statistics.failures > 0)
            break;
        fw_clock_fake_advance_ms(&w->clock, 1000);
        sleep_ms(25);
    }
    CHECK_TRUE("failed", statistics.failures > 0);
    outlook_runner_stop(runner);
    outlook_runner_stop(NULL);
    outlook_runner_wake(NULL);
    w->forecaster.fail = FW_OK;
    assert_int_equal(outlook_runner_start(&w->options, &runner, NULL), FW_OK);
    outlook_runner_wake(runner);
    for (int i = 0; i < 400 && current_id(w) < 4; i++) {
        fw_clock_fake_advance_ms(&w->clock, 5000);
        sleep_ms(25);
    }
    CHECK_TRUE("and made again", current_id(w) >= 4);
    outlook_runner_stop(runner);
    world_free(w);
}

/* What waited when a run began is forecast part by part, without a rest; each part is an outlook.
 */
static void test_runner_in_parts(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct outlook_runner *runner;
    double_fleet_put(&w->fleet, 0, server(w, "a", 50, FORECAST_TREND));
    w->forecaster.waiting = 6;
    assert_int_equal(outlook_runner_start(&w->options, &runner, NULL), FW_OK);
    expect_id("8 servers, two by two", w, 4);
    sleep_ms(60);
    CHECK_EQ("and no more", current_id(w), 4);
    outlook_runner_stop(runner);
    world_free(w);
}

struct reader {
    struct world *world;
    _Atomic bool stop;
    _Atomic size_t seen;
};

static void *read_much(void *argument)
{
    struct reader *r = argument;
    uint64_t last = 0;
    while (!atomic_load(&r->stop)) {
        const struct outlook *o = outlook_board_current(r->world->board);
        if (o == NULL)
            continue;
        /* An outlook never goes back, and is whole while it is held. */
        if (o->id < last || o->top_count != 1 || o->risks[0].score < 90.0f)
            abort();
        last = o->id;
        outlook_release(o);
        atomic_fetch_add(&r->seen, 1);
    }
    return NULL;
}

/* A run is made by the old rules or by the new ones, and who holds an outlook keeps the rules that
 * it was made by. */
static void test_rules_of_a_run(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct outlook_runner *runner;
    double_fleet_put(&w->fleet, 0, server(w, "a", 88, FORECAST_TREND));
    assert_int_equal(outlook_runner_start(&w->options, &runner, NULL), FW_OK);
    expect_id("by the first rules", w, 1);
    const struct outlook *before = outlook_board_current(w->board);
    for (int i = 0; i < 2; i++) { /* the newer ones count */
        struct outlook_rules *rules = fw_calloc(1, sizeof *rules);
        rules->schema = w->schema;
        rules->schema.metrics[METRIC_DISK_USAGE].warning = i == 0 ? 10 : 94;
        rules->schema.metrics[METRIC_DISK_USAGE].critical = i == 0 ? 20 : 98;
        rules->scorer = RISK_FOREWARN;
        alert_options_default(&rules->alerts, &w->schema, BUILD_STEP_MS / 1000);
        outlook_runner_use(runner, rules);
    }
    w->schema.metrics[METRIC_DISK_USAGE].warning = 1; /* what the runner began with is not read */
    for (int i = 0; i < 2000 && current_id(w) < 2; i++) {
        fw_clock_fake_advance_ms(&w->clock, 10);
        sleep_ms(5);
    }
    const uint64_t reached = current_id(w);
    outlook_runner_stop(runner);
    const struct outlook *after = outlook_board_current(w->board);
    CHECK_TRUE("a run follows", reached >= 2);
    CHECK_NEAR("its own rules", after->schema->metrics[METRIC_DISK_USAGE].warning, 94, 0);
    CHECK_NEAR("those it was made by", before->schema->metrics[METRIC_DISK_USAGE].warning, 85, 0);
    CHECK_NEAR("forecasts too", w->forecaster.schema.metrics[METRIC_DISK_USAGE].critical, 98, 0);
    CHECK_TRUE("scored anew", after->risks[0].score < before->risks[0].score);
    outlook_release(before);
    outlook_release(after);
    world_free(w);
}

static void test_readers_and_publisher(void **state)
{
    (void)state;
    enum { READERS = 4, RUNS = 300 };
    struct world *w = world_new();
    struct reader reader = {.world = w};
    pthread_t threads[READERS];
    double_fleet_put(&w->fleet, 0, server(w, "a", 100, FORECAST_TREND));
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_much, &reader), 0);
    for (int i = 0; i < RUNS || atomic_load(&reader.seen) == 0; i++) {
        double_fleet_put(&w->fleet, 0, server(w, "a", 100, FORECAST_TREND));
        run_once(w);
    }
    atomic_store(&reader.stop, true);
    for (size_t i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    world_free(w);
}

/* From steady disk to alert, through whole runs. */
static void test_alert_reaches_the_outlook(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int step = 0; step < 3; step++) {
        struct forecast *f = build_forecast("a", 1);
        f->origin_ms = base_ms + (step + 1) * (int64_t)BUILD_STEP_MS;
        f->last_seen_ms = f->origin_ms - 1000;
        build_ramp(f, METRIC_DISK_USAGE, 70 + step, 1, 0.1, 0, 100);
        double_fleet_put(&w->fleet, 0, f);
        fw_clock_fake_advance_ms(&w->clock, BUILD_STEP_MS);
        run_once(w);
    }
    const struct outlook *o = outlook_board_current(w->board);
    CHECK_EQ("fired once", w->fired, 1);
    CHECK_EQ("listed", o->alerts->count, 1);
    CHECK_EQ("critical, 23 steps ahead", o->alerts->items[0].steps_ahead, 23);
    CHECK_NEAR("with its risk", o->alerts->items[0].risk_score, o->risks[0].score, 1e-6);
    CHECK_TRUE("before the metric crosses", o->set->items[0]->paths[0].current < 85.0f);
    outlook_release(o);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_fleet),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_top_of_many),
        cmocka_unit_test(test_scores_follow_their_servers),
        cmocka_unit_test(test_drivers_are_shared),
        cmocka_unit_test(test_listeners_come_before_readers),
        cmocka_unit_test(test_nobody_waits_for_the_disk),
        cmocka_unit_test(test_failure_keeps_the_last),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_schedule_of_busy_runs),
        cmocka_unit_test(test_schedule_without_credit),
        cmocka_unit_test(test_runner),
        cmocka_unit_test(test_runner_in_parts),
        cmocka_unit_test(test_rules_of_a_run),
        cmocka_unit_test(test_readers_and_publisher),
        cmocka_unit_test(test_alert_reaches_the_outlook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
