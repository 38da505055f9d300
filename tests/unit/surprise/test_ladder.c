/* Alarms counted at every threshold, and the threshold for a wanted rate of them. */
#include "support.h"

#include "base/rng.h"
#include "surprise/ladder.h"

enum { STEP_S = 300, DAY = 288 };

/* The highest level below a score. */
static size_t level_below(double score)
{
    size_t level = 0;
    while (level + 1 < SURPRISE_LEVELS && surprise_ladder_level(level + 1) < score)
        level++;
    return level;
}

static void test_counts_by_hand(void **state)
{
    (void)state;
    struct surprise_ladder ladder;
    surprise_ladder_init(&ladder);
    for (int64_t t = 0; t < 60; t++) {
        /* 0: an alarm to 1.0. 12: an hour later, still the same one; 25: more than an hour after
         * that, another. 40: one that reaches 2.0. */
        const double score = t == 0 || t == 12 || t == 25 ? 1.0 : t == 40 ? 2.0 : 0.0;
        surprise_ladder_add(&ladder, t, STEP_S, score);
    }
    CHECK_NEAR("days", ladder.days, 60.0 / DAY, 1e-2);
    CHECK_NEAR("below one", ladder.alarms[level_below(1.0)], 3.0, 0.03);
    CHECK_NEAR("above one", ladder.alarms[level_below(1.0) + 1], 1.0, 0.01);
    CHECK_NEAR("below two", ladder.alarms[level_below(2.0)], 1.0, 0.01);
    CHECK_NEAR("above two", ladder.alarms[level_below(2.0) + 1], 0.0, 0.0);
    CHECK_NEAR("the lowest", ladder.alarms[0], 3.0, 0.03);
}

static void test_thresholds_by_hand(void **state)
{
    (void)state;
    struct surprise_counts counts = {.days = 40.0};
    for (size_t i = 0; i < 10; i++)
        counts.alarms[i] = 1.0; /* passed all the time: one long alarm */
    for (size_t i = 10; i < 30; i++)
        counts.alarms[i] = 19.0;
    for (size_t i = 30; i < 40; i++)
        counts.alarms[i] = 3.0;
    static const struct {
        const char *name;
        double per_day, unseen;
        size_t above, at_most; /* levels; above: 0 = none */
    } rows[] = {
        {"4 of 4 allowed",          0.1,   1.0, 29, 30},
        {"one less is not",         0.09,  1.0, 39, 40},
        {"20 allowed",              0.5,   1.0, 9,  10},
        {"none seen, one reckoned", 0.025, 1.0, 39, 40},
        {"three without reckoning", 0.075, 0.0, 29, 30},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const double t = surprise_counts_threshold(&counts, rows[i].per_day, rows[i].unseen);
        CHECK_TRUE(rows[i].name, t > surprise_ladder_level(rows[i].above));
        CHECK_TRUE(rows[i].name, t <= surprise_ladder_level(rows[i].at_most) * (1 + 1e-12));
    }
    CHECK_TRUE("less than one allowed: still learning",
               isinf(surprise_counts_threshold(&counts, 0.02, 1.0)));
}

static void test_old_counts_fade(void **state)
{
    (void)state;
    struct surprise_ladder ladder;
    surprise_ladder_init(&ladder);
    surprise_ladder_add(&ladder, 0, STEP_S, 1.0);
    for (int64_t t = 1; t <= 30 * DAY; t++)
        surprise_ladder_add(&ladder, t, STEP_S, 0.0);
    CHECK_NEAR("a time constant later", ladder.alarms[0], exp(-1.0), 0.001);
    CHECK_NEAR("as the days do", ladder.days, 30 * (1 - exp(-1.0)), 0.01);
}

/* Scores without memory: the learned threshold gives the promised number of alarms on data that it
 * was not learned from, whatever the shape of their tail. */
static void test_promised_rate(void **state)
{
    (void)state;
    enum { SERVERS = 10, LEARN = 40 * DAY, LATER = 40 * DAY };
    static struct surprise_ladder ladders[SERVERS];
    for (int tail = 0; tail < 2; tail++) {
        struct fw_rng rng;
        double alarms = 0.0, threshold = 0.0;
        fw_rng_init(&rng, 7);
        for (size_t s = 0; s < SERVERS; s++)
            surprise_ladder_init(&ladders[s]);
        for (int64_t t = 0; t < LEARN + LATER; t++) {
            struct surprise_counts fleet = {0};
            for (size_t s = 0; s < SERVERS && t == LEARN; s++)
                surprise_counts_add(&fleet, &ladders[s], (double)INFINITY);
            if (t == LEARN)
                threshold = surprise_counts_threshold(&fleet, 0.1, 1.0);
            for (size_t s = 0; s < SERVERS; s++) {
                const double u = fw_rng_uniform(&rng);
                const double score = tail == 0 ? -0.1 * log1p(-u) : 0.02 * pow(1 - u, -0.5);
                alarms += t >= LEARN && score > threshold; /* so rare that none merge */
                surprise_ladder_add(&ladders[s], t, STEP_S, score);
            }
        }
        const double rate = alarms * DAY / (SERVERS * (double)LATER);
        CHECK_TRUE(tail == 0 ? "exponential" : "heavy", rate > 0.05 && rate < 0.15);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_by_hand),
        cmocka_unit_test(test_thresholds_by_hand),
        cmocka_unit_test(test_old_counts_fade),
        cmocka_unit_test(test_promised_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
