/* Sums of losses: which step counts where, what a missing value does, and the figures made of them.
 */
#include "support.h"

#include "base/alloc.h"
#include "evaluate/score.h"

static void test_one_point(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double truth, forecast[3], loss[3], scale;
        size_t inside, count;
    } rows[] = {
        {"within",            10,          {8, 11, 12}, {0.2, 0.5, 0.2}, 10, 1, 1},
        {"above the band",    14,          {8, 11, 12}, {0.6, 1.5, 1.8}, 14, 0, 1},
        {"below the band",    7,           {8, 11, 12}, {0.9, 2.0, 0.5}, 7,  0, 1},
        {"on the lower edge", 8,           {8, 8, 8},   {0, 0, 0},       8,  1, 1},
        {"negative",          -2,          {-2, 0, 2},  {0, 1.0, 0.4},   2,  1, 1},
        {"missing",           (double)NAN, {8, 11, 12}, {0, 0, 0},       0,  0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct evaluate_sums spans[EVALUATE_SPANS] = {
            {{0}, 0, 0, 0}
        };
        double truth[EVALUATE_HORIZON], forecast[EVALUATE_HORIZON][EVALUATE_QUANTILES] = {{0}};
        for (size_t h = 0; h < EVALUATE_HORIZON; h++)
            truth[h] = (double)NAN;
        truth[20] = rows[i].truth;
        memcpy(forecast[20], rows[i].forecast, sizeof forecast[20]);
        evaluate_score_add(spans, truth, forecast);
        for (size_t s = 0; s < EVALUATE_SPANS; s++) {
            const bool here = s == 1 || s == EVALUATE_WHOLE; /* the 21st step */
            for (size_t k = 0; k < 3; k++)
                CHECK_NEAR(rows[i].name, spans[s].loss[k], here ? rows[i].loss[k] : 0.0, 1e-12);
            CHECK_NEAR(rows[i].name, spans[s].scale, here ? rows[i].scale : 0.0, 0.0);
            CHECK_EQ(rows[i].name, spans[s].inside, here ? rows[i].inside : 0);
            CHECK_EQ(rows[i].name, spans[s].count, here ? rows[i].count : 0);
        }
    }
}

static void test_blocks(void **state)
{
    (void)state;
    static const size_t counts[EVALUATE_SPANS] = {12, 24, 24, 36, 96};
    struct evaluate_sums spans[EVALUATE_SPANS] = {
        {{0}, 0, 0, 0}
    };
    double truth[EVALUATE_HORIZON], forecast[EVALUATE_HORIZON][EVALUATE_QUANTILES] = {{0}};
    for (size_t h = 0; h < EVALUATE_HORIZON; h++)
        truth[h] = 1.0;
    evaluate_score_add(spans, truth, forecast);
    for (size_t s = 0; s < EVALUATE_SPANS; s++)
        CHECK_EQ("points", spans[s].count, counts[s]);
    CHECK_EQ("first block", evaluate_score_block_from(0), 1);
    CHECK_EQ("first block", evaluate_score_block_to(0), 12);
    CHECK_EQ("last block", evaluate_score_block_from(3), 61);
    CHECK_EQ("last block", evaluate_score_block_to(3), 96);
}

static void test_figures(void **state)
{
    (void)state;
    struct evaluate_sums a =
                             {
                                 {1, 2, 3},
                                 10, 3, 5
    },
                         b = {{1, 1, 1}, 30, 5, 5}, zero = {{0}, 0, 4, 4};
    evaluate_score_join(&a, &b);
    struct evaluate_figures f = evaluate_score_figures(&a);
    CHECK_NEAR("P10", f.q[0], 2.0 * 2 / 40, 1e-15);
    CHECK_NEAR("P50", f.q[1], 2.0 * 3 / 40, 1e-15);
    CHECK_NEAR("P90", f.q[2], 2.0 * 4 / 40, 1e-15);
    CHECK_NEAR("coverage", f.coverage, 0.8, 1e-15);
    CHECK_EQ("points", f.points, 10);
    f = evaluate_score_figures(&zero);
    CHECK_TRUE("nothing but zeros has no q-Risk", isnan(f.q[0]) && isnan(f.q[2]));
    CHECK_NEAR("but a coverage", f.coverage, 1.0, 0.0);
    f = evaluate_score_figures(&(struct evaluate_sums){.scale = 0.0});
    CHECK_TRUE("no points", isnan(f.coverage) && f.points == 0);
}

static void test_places(void **state)
{
    (void)state;
    struct evaluate_scores scores;
    struct fw_error err;
    assert_int_equal(evaluate_score_init(&scores, 2, 3, &err), FW_OK);
    size_t n = 0;
    for (size_t server = 0; server < 2; server++)
        for (size_t metric = 0; metric < 3; metric++)
            for (size_t m = 0; m < EVALUATE_METHODS; m++)
                CHECK_EQ("apart from all others",
                         evaluate_score_at(&scores, server, metric, (enum evaluate_method)m) -
                             scores.sums,
                         EVALUATE_SPANS * n++);
    evaluate_score_fini(&scores);
    fw_alloc_fail_at(1);
    CHECK_EQ("no memory", evaluate_score_init(&scores, 2, 3, &err), FW_ENOMEM);
    fw_alloc_fail_at(0);
    CHECK_STR("names", evaluate_score_method(EVALUATE_SEASONAL_RESIDUAL),
              "seasonal_naive_day+resid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_point),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
