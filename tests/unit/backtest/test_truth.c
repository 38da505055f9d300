/* When a value was beyond a threshold, by hand. */
#include "support.h"

#include "backtest/truth.h"

enum { STEP_S = 300, FIRST = 1000, STEPS = 60 };

/* Beyond 90 at 5, 6, 18 (an hour later, the same time beyond), 31 (65 minutes later: another), and
 * from 50 to the end; 7 to 9 are missing. */
static void fill(float *values)
{
    for (int t = 0; t < STEPS; t++)
        values[t] = t == 5 || t == 6 || t == 18 || t == 31 || t >= 50 ? 90.0f : 50.0f;
    values[7] = values[8] = values[9] = NAN;
}

static void test_crossings(void **state)
{
    (void)state;
    float values[STEPS];
    const struct schema_metric metric = {.min = 0, .max = 100, .worse = METRIC_WORSE_HIGH};
    const struct history_series series = {.first = FIRST, .steps = STEPS};
    const struct backtest_column column = {&series, values, &metric};
    struct backtest_crossing c;
    fill(values);
    static const struct {
        const char *name;
        int64_t after;
        int64_t first, last; /* INT64_MAX: none */
        size_t steps;
    } rows[] = {
        {"the first",                0,  5,         18, 3 },
        {"one under way is not new", 5,  31,        31, 1 },
        {"nor right behind it",      19, 31,        31, 1 },
        {"the last goes to the end", 31, 50,        59, 10},
        {"no more",                  50, INT64_MAX, 0,  0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const bool found = backtest_next_crossing(&column, 90.0, STEP_S, FIRST + rows[i].after,
                                                  FIRST + STEPS - 1, &c);
        CHECK_EQ(rows[i].name, found, rows[i].first != INT64_MAX);
        if (!found)
            continue;
        CHECK_EQ(rows[i].name, c.first, FIRST + rows[i].first);
        CHECK_EQ(rows[i].name, c.last, FIRST + rows[i].last);
        CHECK_EQ(rows[i].name, c.steps, rows[i].steps);
    }
    CHECK_TRUE("not behind `to`",
               !backtest_next_crossing(&column, 90.0, STEP_S, FIRST, FIRST + 4, &c));
    CHECK_TRUE("without a threshold",
               !backtest_next_crossing(&column, (double)NAN, STEP_S, FIRST, FIRST + 50, &c));
}

static void test_first_beyond(void **state)
{
    (void)state;
    float values[STEPS];
    const struct schema_metric low = {.min = 0, .max = 100, .worse = METRIC_WORSE_LOW};
    const struct history_series series = {.first = FIRST, .steps = STEPS};
    const struct backtest_column column = {&series, values, &low}, none = {&series, NULL, &low};
    fill(values);
    CHECK_EQ("low is bad", backtest_first_beyond(&column, 60.0, FIRST, FIRST + 9), FIRST);
    CHECK_EQ("missing is not", backtest_first_beyond(&column, 60.0, FIRST + 5, FIRST + 9),
             INT64_MAX);
    CHECK_EQ("outside the data", backtest_first_beyond(&column, 95.0, FIRST - 9, FIRST + 99),
             FIRST);
    CHECK_EQ("no such metric", backtest_first_beyond(&none, 60.0, FIRST, FIRST + 9), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crossings),
        cmocka_unit_test(test_first_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
