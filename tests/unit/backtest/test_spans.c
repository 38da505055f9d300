/* Alarms against incidents, by hand. Times are minutes of a watched day. */
#include "support.h"

#include "backtest/spans.h"

enum { MINUTE = 60, START = 1580000000, DAY_MINUTES = 1440 };

static struct backtest_span minutes(int64_t first, int64_t last)
{
    return (struct backtest_span){START + first * MINUTE, START + last * MINUTE};
}

static void add(struct backtest_spans *spans, int64_t first, int64_t last)
{
    assert_true(backtest_spans_add(spans, minutes(first, last)));
}

static void init(struct backtest_watch *w)
{
    *w = (struct backtest_watch){.watched = minutes(0, DAY_MINUTES)};
}

static void fini(struct backtest_watch *w)
{
    backtest_spans_fini(&w->alarms);
    backtest_spans_fini(&w->incidents);
}

static void test_firings_join(void **state)
{
    (void)state;
    struct backtest_spans spans = {0};
    static const int64_t fired[] = {0, 5, 65, 126, 200};
    for (size_t i = 0; i < COUNT_OF(fired); i++)
        assert_true(backtest_spans_fire(&spans, START + fired[i] * MINUTE));
    /* 5 and 65 are an hour apart: one alarm; 65 and 126 are not. */
    CHECK_EQ("alarms", spans.n, 3);
    CHECK_EQ("first", spans.items[0].first, START);
    CHECK_EQ("its end", spans.items[0].last, START + 65 * MINUTE);
    CHECK_EQ("second", spans.items[1].first, START + 126 * MINUTE);
    CHECK_EQ("third", spans.items[2].first, START + 200 * MINUTE);
    backtest_spans_fini(&spans);
}

static void test_one_alarm(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t first, last; /* of the alarm; the incident is 600 to 660 */
        size_t caught, warned;
        double lead_s;
    } rows[] = {
        {"two hours before to the minute", 470, 480, 1, 1, 7200.0        },
        {"a minute too early",             470, 479, 0, 0, (double)NAN   },
        {"half an hour before",            570, 570, 1, 1, 1800.0        },
        {"a little less",                  571, 571, 1, 0, 29.0 * MINUTE },
        {"inside",                         630, 640, 1, 0, -30.0 * MINUTE},
        {"in its last minute",             660, 700, 1, 0, -60.0 * MINUTE},
        {"behind it",                      661, 700, 0, 0, (double)NAN   },
        {"all day: no more than 2 h",      0,   900, 1, 1, 7200.0        },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct backtest_watch w;
        struct backtest_match m;
        init(&w);
        add(&w.incidents, 600, 660);
        add(&w.alarms, rows[i].first, rows[i].last);
        assert_int_equal(backtest_match(1, &w, &m, NULL), FW_OK);
        CHECK_EQ(rows[i].name, m.incidents, 1);
        CHECK_EQ(rows[i].name, m.caught, rows[i].caught);
        CHECK_EQ(rows[i].name, m.good, rows[i].caught);
        CHECK_EQ(rows[i].name, m.warned, rows[i].warned);
        CHECK_NEAR(rows[i].name, m.false_per_day, rows[i].caught == 1 ? 0.0 : 1.0, 1e-9);
        CHECK_TRUE(rows[i].name,
                   m.lead_s == rows[i].lead_s || (isnan(m.lead_s) && isnan(rows[i].lead_s)));
        fini(&w);
    }
}

/* Two servers, worked out by hand. The first: incidents at 200 to 210, 300 to 310 and 1000 to 1100,
 * alarms at 190 to 195 (about the first two), 500 (about none), 1050 (the third), 1190 to 1200
 * (none). The second: an incident that began before it was watched, one alarm. */
static void test_by_hand(void **state)
{
    (void)state;
    struct backtest_watch w[2];
    struct backtest_match m;
    init(&w[0]);
    init(&w[1]);
    add(&w[0].incidents, 200, 210);
    add(&w[0].incidents, 300, 310);
    add(&w[0].incidents, 1000, 1100);
    add(&w[0].alarms, 190, 195);
    add(&w[0].alarms, 500, 500);
    add(&w[0].alarms, 1050, 1050);
    add(&w[0].alarms, 1190, 1200);
    add(&w[1].incidents, -10, 20);
    add(&w[1].alarms, 10, 10);
    w[1].watched.last = START + 2 * DAY_MINUTES * MINUTE;
    assert_int_equal(backtest_match(2, w, &m, NULL), FW_OK);
    CHECK_EQ("incidents", m.incidents, 3);
    CHECK_EQ("caught", m.caught, 3);
    CHECK_EQ("alarms", m.alarms, 5);
    CHECK_EQ("good", m.good, 2);
    CHECK_NEAR("days", m.days, 3.0, 1e-9);
    CHECK_NEAR("recall", m.recall, 1.0, 1e-9);
    CHECK_NEAR("precision", m.precision, 0.4, 1e-9);
    CHECK_NEAR("false", m.false_per_day, 1.0, 1e-9);
    /* +10 min, +110 min, -50 min */
    CHECK_NEAR("lead", m.lead_s, 10.0 * MINUTE, 1e-9);
    CHECK_EQ("warned", m.warned, 1);
    fini(&w[0]);
    fini(&w[1]);
}

/* An alarm of 20 minutes against an incident of 100: by chance it meets the 240 minutes that count
 * in 240 of 1440 minutes, begin and end counted. */
static void test_chance(void **state)
{
    (void)state;
    struct backtest_watch w;
    struct backtest_match m;
    init(&w);
    add(&w.incidents, 600, 700);
    add(&w.alarms, 1300, 1320);
    assert_int_equal(backtest_match(1, &w, &m, NULL), FW_OK);
    CHECK_EQ("not caught", m.caught, 0);
    CHECK_NEAR("by chance", m.chance_recall, 240.0 / DAY_MINUTES, 0.07); /* 2.5 sigma of 200 */
    CHECK_NEAR("the alarm is good as often", m.chance_precision, m.chance_recall, 1e-9);
    fini(&w);
}

static void test_nothing(void **state)
{
    (void)state;
    struct backtest_watch w;
    struct backtest_match m;
    init(&w);
    assert_int_equal(backtest_match(1, &w, &m, NULL), FW_OK);
    CHECK_TRUE("no incidents", isnan(m.recall) && isnan(m.chance_recall) && isnan(m.lead_s));
    CHECK_TRUE("no alarms", isnan(m.precision) && m.false_per_day == 0.0);
}

static void test_median(void **state)
{
    (void)state;
    double odd[] = {5.0, 1.0, 3.0}, even[] = {4.0, 1.0, 3.0, 2.0};
    CHECK_NEAR("odd", backtest_median(odd, 3), 3.0, 0.0);
    CHECK_NEAR("even", backtest_median(even, 4), 2.5, 0.0);
    CHECK_TRUE("none", isnan(backtest_median(odd, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_firings_join), cmocka_unit_test(test_one_alarm),
        cmocka_unit_test(test_by_hand),      cmocka_unit_test(test_chance),
        cmocka_unit_test(test_nothing),      cmocka_unit_test(test_median),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
