/* Each baseline on series whose losses can be worked out by hand. */
#include "support.h"

#include "evaluate/baseline.h"
#include "unit/evaluate/made_set.h"

enum { STEPS = 1400, TEST = 1304, DAY = 288, HORIZON = EVALUATE_HORIZON }; /* one origin: TEST */

static double ramp(size_t t)
{
    return (double)t;
}

static double constant(size_t t)
{
    (void)t;
    return 0.62;
}

/* Every day the same, a level each hour. */
static double daily(size_t t)
{
    return (double)(t % DAY / 12);
}

/* 10, 20, 10, ... every other day. */
static double alternate_days(size_t t)
{
    return t / DAY % 2 == 0 ? 10.0 : 20.0;
}

static double (*const shapes[])(size_t) = {ramp, constant, daily, alternate_days};

struct expected {
    double loss[3];
    size_t inside;
};

/* The whole horizon's sums of every method for one series. */
static void score(double (*shape)(size_t), size_t steps, size_t test,
                  struct evaluate_sums sums[EVALUATE_BASELINES])
{
    struct evaluate_set *set = made_set(1, 1, steps, test);
    struct evaluate_timeline timeline;
    struct evaluate_scores scores;
    struct fw_error err;
    for (size_t t = 0; t < steps; t++)
        made_value(set, 0, 0, t, shape(t));
    assert_int_equal(evaluate_score_init(&scores, 1, 1, &err), FW_OK);
    assert_int_equal(evaluate_origins_find(set, 0, &timeline, &err), FW_OK);
    if (evaluate_baseline_score(set, 0, &timeline, &scores, &err) != FW_OK)
        fail_msg("%s", err.text);
    for (size_t m = 0; m < EVALUATE_BASELINES; m++)
        sums[m] = evaluate_score_at(&scores, 0, 0, (enum evaluate_method)m)[EVALUATE_WHOLE];
    evaluate_origins_fini(&timeline);
    evaluate_score_fini(&scores);
    evaluate_set_free(set);
}

/* The origin is at 1304 = 4 days and 152 steps, in hour 12; its horizon ends at 1400, in hour 20.
 */
static void test_methods(void **state)
{
    (void)state;
    enum { RAMP, CONSTANT, DAILY, ALTERNATE };
    const double sum = HORIZON * (HORIZON + 1) / 2.0; /* 1 + 2 + ... + 96 */
    /* The hour of 1303 is 12; then come 4 steps of it, 12 each of 13 to 19 and 8 of 20. */
    const double past_hour = 0 * 4 + 12 * (1 + 2 + 3 + 4 + 5 + 6 + 7) + 8 * 8;
    const struct {
        const char *name;
        size_t shape;
        enum evaluate_method method;
        double loss[3];
        size_t inside;
    } rows[] = {
        {"a ramp, its last value",
         RAMP,                                    EVALUATE_PERSISTENCE,
         {0.1 * sum, 0.5 * sum, 0.9 * sum},
         0                                                                                    },
        {"a ramp, a day before",
         RAMP,                                    EVALUATE_SEASONAL,
         {0.1 * DAY * HORIZON, 0.5 * DAY * HORIZON, 0.9 * DAY * HORIZON},
         0                                                                                    },
        {"a ramp is a line",           RAMP,      EVALUATE_LINE,                 {0, 0, 0}, 96},
        {"a ramp errs by its rise",    RAMP,      EVALUATE_PERSISTENCE_RESIDUAL, {0, 0, 0}, 96},
        {"a ramp errs by a day's",     RAMP,      EVALUATE_SEASONAL_RESIDUAL,    {0, 0, 0}, 96},
        {"a constant",                 CONSTANT,  EVALUATE_PERSISTENCE,          {0, 0, 0}, 96},
        {"a constant by hour",         CONSTANT,  EVALUATE_CLIMATOLOGY,          {0, 0, 0}, 96},
        {"a constant, errors too",     CONSTANT,  EVALUATE_SEASONAL_RESIDUAL,    {0, 0, 0}, 96},
        {"a day's shape by the day",   DAILY,     EVALUATE_SEASONAL,             {0, 0, 0}, 96},
        {"by the hour",                DAILY,     EVALUATE_CLIMATOLOGY,          {0, 0, 0}, 96},
        {"by the last value",
         DAILY,                                   EVALUATE_PERSISTENCE,
         {0.1 * past_hour, 0.5 * past_hour, 0.9 * past_hour},
         4                                                                                    },
        {"days apart, a day before",
         ALTERNATE,                               EVALUATE_SEASONAL,
         {0.9 * 960, 0.5 * 960, 0.1 * 960},
         0                                                                                    },
        {"days apart, the last value", ALTERNATE, EVALUATE_PERSISTENCE,          {0, 0, 0}, 96},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct evaluate_sums sums[EVALUATE_BASELINES];
        score(shapes[rows[i].shape], STEPS, TEST, sums);
        const struct evaluate_sums *got = &sums[rows[i].method];
        for (size_t k = 0; k < 3; k++)
            CHECK_NEAR(rows[i].name, got->loss[k], rows[i].loss[k], 1e-8);
        if (rows[i].method != EVALUATE_LINE) /* where rounding decides */
            CHECK_EQ(rows[i].name, got->inside, rows[i].inside);
        CHECK_EQ(rows[i].name, got->count, HORIZON);
    }
}

/* Before day 4's noon: hours 12 of days 0 to 3 are two days of 10 and two of 20, day 4 has 10. */
static void test_hours_have_quantiles(void **state)
{
    (void)state;
    struct evaluate_sums sums[EVALUATE_BASELINES];
    score(alternate_days, STEPS, TEST, sums);
    /* Hour 12: 8 steps of day 4 before the origin, so 32 tens and 24 twenties; hours 13 to 20: 24
     * of each, of which the median lies between. The truth is 10. */
    const double over = 4 * 0.0 + 92 * 5.0;
    CHECK_NEAR("P10 is 10", sums[EVALUATE_CLIMATOLOGY].loss[0], 0.0, 1e-12);
    CHECK_NEAR("P50 is 10, then 15", sums[EVALUATE_CLIMATOLOGY].loss[1], 0.5 * over, 1e-12);
    CHECK_NEAR("P90 is 20", sums[EVALUATE_CLIMATOLOGY].loss[2], 0.1 * 960, 1e-9);
    CHECK_EQ("inside", sums[EVALUATE_CLIMATOLOGY].inside, HORIZON);
}

/* 20 origins 24 apart with their horizons need 288 + 19 * 24 + 96 = 840 steps. */
static void test_short_past(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t test;
        size_t points;
    } rows[] = {
        {"twenty origins",   840, HORIZON},
        {"nineteen of them", 839, 0      },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct evaluate_sums sums[EVALUATE_BASELINES];
        score(daily, rows[i].test + HORIZON, rows[i].test, sums);
        CHECK_EQ(rows[i].name, sums[EVALUATE_PERSISTENCE].count, HORIZON);
        CHECK_EQ(rows[i].name, sums[EVALUATE_PERSISTENCE_RESIDUAL].count, rows[i].points);
        CHECK_EQ(rows[i].name, sums[EVALUATE_SEASONAL_RESIDUAL].count, rows[i].points);
    }
}

/* Gaps are filled forward, the beginning backward, for the forecasts; the truth stays missing. */
static void test_missing_values(void **state)
{
    (void)state;
    struct evaluate_set *set = made_set(1, 3, STEPS, TEST);
    struct evaluate_timeline timeline;
    struct evaluate_scores scores;
    struct fw_error err;
    for (size_t t = 0; t < STEPS; t++)
        made_value(set, 0, 0, t, 1.0); /* so that every step is seen */
    for (size_t t = 100; t < 1200; t++)
        made_value(set, 0, 1, t, t == 1199 ? 5.0 : 3.0);
    for (size_t t = 1310; t < 1320; t++)
        made_value(set, 0, 1, t,
                   4.0); /* m1: ten points to score, 104 steps behind the last value */
    for (size_t t = 1350; t < 1360; t++)
        made_value(set, 0, 2, t, 6.0); /* m2: never seen before the test part */
    assert_int_equal(evaluate_score_init(&scores, 1, 3, &err), FW_OK);
    assert_int_equal(evaluate_origins_find(set, 0, &timeline, &err), FW_OK);
    assert_int_equal(evaluate_baseline_score(set, 0, &timeline, &scores, &err), FW_OK);
    const struct {
        const char *name;
        size_t metric;
        enum evaluate_method method;
        double loss[3];
    } rows[] = {
        {"the last value, carried on",  1, EVALUATE_PERSISTENCE,          {9, 5, 1}  },
        {"a day before",                1, EVALUATE_SEASONAL,             {1, 5, 9}  },
        {"a line through carried ones", 1, EVALUATE_LINE,                 {9, 5, 1}  },
        {"hours that were seen",        1, EVALUATE_CLIMATOLOGY,          {1, 5, 9}  },
        {"carried back from behind",    2, EVALUATE_PERSISTENCE,          {0, 0, 0}  },
        {"hours never seen are 0",      2, EVALUATE_CLIMATOLOGY,          {6, 30, 54}},
        {"errors never seen are 0",     2, EVALUATE_PERSISTENCE_RESIDUAL, {0, 0, 0}  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct evaluate_sums *got =
            &evaluate_score_at(&scores, 0, rows[i].metric, rows[i].method)[EVALUATE_WHOLE];
        CHECK_EQ(rows[i].name, got->count, 10);
        for (size_t k = 0; k < 3; k++)
            CHECK_NEAR(rows[i].name, got->loss[k], rows[i].loss[k], 1e-9);
    }
    evaluate_origins_fini(&timeline);
    evaluate_score_fini(&scores);
    evaluate_set_free(set);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct evaluate_set *set = made_set(1, 1, STEPS, TEST);
    struct evaluate_timeline timeline;
    struct evaluate_scores scores;
    struct fw_error err;
    for (size_t t = 0; t < STEPS; t++)
        made_value(set, 0, 0, t, 1.0);
    assert_int_equal(evaluate_score_init(&scores, 1, 1, &err), FW_OK);
    assert_int_equal(evaluate_origins_find(set, 0, &timeline, &err), FW_OK);
    for (long n = 1; n <= 3; n++) {
        fw_alloc_fail_at(n);
        CHECK_EQ("no memory", evaluate_baseline_score(set, 0, &timeline, &scores, &err), FW_ENOMEM);
        fw_alloc_fail_at(0);
    }
    evaluate_origins_fini(&timeline);
    evaluate_score_fini(&scores);
    evaluate_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),    cmocka_unit_test(test_hours_have_quantiles),
        cmocka_unit_test(test_short_past), cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
