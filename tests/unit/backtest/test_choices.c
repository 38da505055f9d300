/* The settings that are tried. */
#include "support.h"

#include "backtest/choices.h"

static void test_moved_thresholds(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct schema_metric metric;
        double factor, warning, critical;
    } rows[] = {
        {"odds of 85 are 17 to 3",
         {.max = 100, .worse = METRIC_WORSE_HIGH, .warning = 85, .critical = 95},
         2.0, 1700.0 / 23.0,
         1900.0 / 21.0},
        {"later",
         {.max = 100, .worse = METRIC_WORSE_HIGH, .warning = 80, .critical = 90},
         0.5, 800.0 / 9.0,
         1800.0 / 19.0},
        {"low is bad",
         {.max = 100, .worse = METRIC_WORSE_LOW, .warning = 10, .critical = 4},
         2.0, 2000.0 / 110.0,
         800.0 / 104.0},
        {"without end",
         {.max = (double)INFINITY, .worse = METRIC_WORSE_HIGH, .warning = 8, .critical = 16},
         2.0, 4.0,
         8.0          },
        {"at the end",
         {.max = 100, .worse = METRIC_WORSE_HIGH, .warning = 50, .critical = 100},
         4.0, 20.0,
         100.0        },
        {"no warning",
         {.max = 100, .worse = METRIC_WORSE_HIGH, .warning = (double)NAN, .critical = 50},
         1.0, (double)NAN,
         50.0         },
        {"neither good nor bad",
         {.max = 100, .worse = METRIC_WORSE_NONE, .warning = 50, .critical = 60},
         4.0, 50.0,
         60.0         },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct schema_metric m = rows[i].metric;
        backtest_move_thresholds(&m, rows[i].factor);
        CHECK_TRUE(rows[i].name, isnan(rows[i].warning) == isnan(m.warning));
        if (!isnan(m.warning))
            CHECK_NEAR(rows[i].name, m.warning, rows[i].warning, 1e-9);
        CHECK_NEAR(rows[i].name, m.critical, rows[i].critical, 1e-9);
    }
}

static void test_choices(void **state)
{
    (void)state;
    struct schema schema;
    struct alert_options now;
    struct backtest_choice choices[BACKTEST_CHOICES_MAX];
    schema_default(&schema);
    alert_options_default(&now, &schema, 300);
    now.for_runs = 3;
    const size_t n = backtest_choices(&now, choices);
    CHECK_TRUE("the present one first", choices[0].current && choices[0].knob == BACKTEST_AS_SET);
    for (size_t i = 1; i < n; i++) {
        struct alert_options options = now;
        struct schema moved = schema;
        backtest_choice_apply(&choices[i], &options, &moved);
        const int differ =
            (options.near_probability != now.near_probability) +
            (options.min_probability != now.min_probability) + (options.for_runs != now.for_runs) +
            (options.horizon_steps != now.horizon_steps) +
            (moved.metrics[METRIC_DISK_USAGE].warning != schema.metrics[METRIC_DISK_USAGE].warning);
        CHECK_EQ("each changes one thing", differ, 1);
    }
}

static void test_rates(void **state)
{
    (void)state;
    static const struct {
        double now;
        size_t n, at;
    } rows[] = {
        {0.1,   10, 2 },
        {0.12,  11, 3 },
        {0.001, 11, 0 },
        {9.0,   11, 10},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double rates[BACKTEST_RATES_MAX];
        const size_t n = backtest_rates(rows[i].now, rates);
        CHECK_EQ("how many", n, rows[i].n);
        CHECK_NEAR("its place", rates[rows[i].at], rows[i].now, 0.0);
        for (size_t k = 1; k < n; k++)
            CHECK_TRUE("ascending", rates[k] > rates[k - 1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moved_thresholds),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
