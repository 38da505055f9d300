/* What came of alerts, told step by step: one server, one metric, 85 and 95 its thresholds.
 *
 *   10 to 13  90 is forecast in six steps; fires at 11
 *   14 to 19  and 90 it is; resolved by the third clear step, 22
 *   40, 41    the same forecast; nothing comes of it
 *   70        90 for one step, out of nowhere: too brief to fire
 *   95 to 99  the same forecast as at 10, and the data ends
 */
#include "unit/risk/build_forecast.h"

#include "backtest/trial.h"

#include "support.h"

enum { FIRST = 100000, STEPS = 100 };

static bool beyond(int t)
{
    return (t >= 14 && t <= 19) || t == 70;
}

static bool foreseen(int t)
{
    return (t >= 10 && t <= 13) || t == 40 || t == 41 || t >= 95;
}

struct world {
    struct schema schema;
    float values[STEPS];
    struct history_series series;
    struct history history;
    struct backtest_fleet fleet;
    int64_t from, to;
    struct backtest_trial trial;
};

static void play(struct world *w, int64_t from)
{
    static char name[] = "a";
    struct alert_options options;
    schema_default(&w->schema);
    for (int t = 0; t < STEPS; t++)
        w->values[t] = beyond(t) ? 90.0f : 50.0f;
    w->series = (struct history_series){.name = name, .first = FIRST, .steps = STEPS};
    w->series.value[0] = w->values;
    w->history =
        (struct history){.step_s = 300, .n_columns = 1, .n_series = 1, .series = &w->series};
    w->from = FIRST + from;
    w->to = FIRST + STEPS - 1;
    w->fleet = (struct backtest_fleet){
        .history = &w->history, .schema = &w->schema, .watch_from = &w->from, .watch_to = &w->to};
    for (size_t m = 0; m < SCHEMA_METRICS_MAX; m++)
        w->fleet.column_of[m] = m == METRIC_CPU_USER ? 0 : -1;
    alert_options_default(&options, &w->schema, 300);
    assert_int_equal(backtest_trial_init(&w->trial, &w->fleet, &w->schema, &options, NULL), FW_OK);
    for (int t = 0; t < STEPS; t++) {
        struct forecast *f = build_forecast(name, 1);
        const struct risk risk = {0};
        f->origin_ms = (int64_t)(FIRST + t + 1) * BUILD_STEP_MS;
        f->last_seen_ms = f->origin_ms - BUILD_STEP_MS;
        struct forecast_path *path = build_flat(f, METRIC_CPU_USER, (double)w->values[t]);
        for (size_t h = 5; foreseen(t) && h < FORECAST_HORIZON; h++)
            path->p10[h] = path->p50[h] = path->p90[h] = 90.0f;
        const struct forecast *items[1] = {f};
        struct forecast_set *set = build_set(items, 1);
        assert_int_equal(backtest_trial_update(&w->trial, FIRST + t, set, &risk, NULL), FW_OK);
        fw_free(set);
        fw_free(f);
    }
    backtest_trial_judge(&w->trial);
}

static void test_by_hand(void **state)
{
    (void)state;
    static struct world w;
    play(&w, 0);
    static const struct {
        const char *name;
        int64_t pending, fired, resolved, crossed; /* INT64_MAX: not */
        enum backtest_outcome outcome;
    } rows[] = {
        {"came true",   10, 11, 22,        14,        BACKTEST_CAME_TRUE },
        {"came false",  40, 41, 44,        INT64_MAX, BACKTEST_CAME_FALSE},
        {"cannot tell", 95, 96, INT64_MAX, INT64_MAX, BACKTEST_UNKNOWN   },
    };
    CHECK_EQ("alerts", w.trial.n, COUNT_OF(rows));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct backtest_alert *a = &w.trial.alerts[i];
        CHECK_EQ(rows[i].name, a->metric, METRIC_CPU_USER);
        CHECK_EQ(rows[i].name, a->pending_step - FIRST, rows[i].pending);
        CHECK_EQ(rows[i].name, a->fired_step - FIRST, rows[i].fired);
        CHECK_EQ(rows[i].name, a->resolved_step,
                 rows[i].resolved == INT64_MAX ? INT64_MAX : FIRST + rows[i].resolved);
        CHECK_EQ(rows[i].name, a->crossed_step,
                 rows[i].crossed == INT64_MAX ? INT64_MAX : FIRST + rows[i].crossed);
        CHECK_EQ(rows[i].name, a->outcome, rows[i].outcome);
        CHECK_NEAR(rows[i].name, a->threshold, 85.0, 0.0);
    }
    backtest_trial_fini(&w.trial);
}

static void test_sums(void **state)
{
    (void)state;
    static struct world w;
    struct backtest_sums sums;
    play(&w, 0);
    for (int metric = -1; metric <= METRIC_CPU_USER; metric++) {
        assert_int_equal(backtest_trial_sum(&w.trial, metric, 0.5, &sums, NULL), FW_OK);
        CHECK_EQ("alerts", sums.alerts, 3);
        CHECK_EQ("true", sums.outcomes[BACKTEST_CAME_TRUE], 1);
        CHECK_NEAR("precision", sums.precision, 0.5, 1e-9);
        CHECK_NEAR("false a day", sums.false_per_day, 2.0, 1e-9);
        CHECK_NEAR("three steps of lead", sums.lead_s, 900.0, 1e-9);
        CHECK_EQ("ahead", sums.ahead, 1);
        CHECK_EQ("crossings", sums.crossings, 2);
        CHECK_EQ("missed", sums.missed, 1);
        CHECK_EQ("a brief one", sums.brief, 1);
    }
    assert_int_equal(backtest_trial_sum(&w.trial, METRIC_CPU_SYS, 0.5, &sums, NULL), FW_OK);
    CHECK_TRUE("none of another", sums.alerts == 0 && sums.crossings == 0 && isnan(sums.precision));
    backtest_trial_fini(&w.trial);
}

/* What fired before the watch began is not counted, nor a crossing that was under way. */
static void test_watch(void **state)
{
    (void)state;
    static struct world w;
    struct backtest_sums sums;
    play(&w, 15);
    assert_int_equal(backtest_trial_sum(&w.trial, -1, 0.5, &sums, NULL), FW_OK);
    CHECK_EQ("alerts", sums.alerts, 2);
    CHECK_EQ("crossings", sums.crossings, 1);
    CHECK_EQ("missed", sums.missed, 1);
    backtest_trial_fini(&w.trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
