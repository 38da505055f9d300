/* Weighted medians, weights, the second opinion's share; the fits and trackers that experts use. */
#include "base/rng.h"
#include "forecast/blend.h"
#include "forecast/ridge.h"
#include "forecast/tracker.h"
#include "support.h"

#include <stdlib.h>

static void medians_by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float value[4], weight[4], median;
    } rows[] = {
        {"one voice",               {5, NAN, NAN, NAN}, {1, 1, 1, 1},         5.0f },
        {"two alike in weight",     {1, 3, NAN, NAN},   {1, 1, 1, 1},         2.0f },
        {"three",                   {9, 1, 2, NAN},     {1, 1, 1, 1},         2.0f },
        {"a far one moves nothing", {1, 2, 1e9f, NAN},  {1, 1, 1, 1},         2.0f },
        {"no weight, no say",       {1, 2, 100, 200},   {1, 1, 0, 0},         1.5f },
        {"the heavy one",           {1, 2, 3, 4},       {0.01f, 10, .01f, 0}, 2.0f },
 /* Middles of the weights at 0.5 (1), 2.5 (2): half of 4 lies three quarters of the way. */
        {"between by weight",       {1, 2, NAN, NAN},   {1, 3, 0, 0},         1.75f},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_NEAR(rows[i].name, blend_median(rows[i].value, rows[i].weight, 4), rows[i].median,
                   1e-5);
    const float silent[2] = {NAN, 1.0f}, weight[2] = {1.0f, 0.0f};
    assert_true(isnan(blend_median(silent, weight, 2)));
}

static void medians_lie_between_and_ignore_order(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 7);
    for (int round = 0; round < 2000; round++) {
        float value[8], weight[8], reversed[8], reversed_weight[8], low = INFINITY,
                                                                    high = -INFINITY;
        for (size_t i = 0; i < 8; i++) {
            value[i] = (float)fw_rng_normal(&rng);
            weight[i] = (float)fw_rng_below(&rng, 1000) / 1000.0f + 0.001f;
            reversed[7 - i] = value[i];
            reversed_weight[7 - i] = weight[i];
            low = fminf(low, value[i]);
            high = fmaxf(high, value[i]);
        }
        const float median = blend_median(value, weight, 8);
        CHECK_TRUE("inside", median >= low && median <= high);
        CHECK_NEAR("order", blend_median(reversed, reversed_weight, 8), median, 1e-5);
    }
}

/* Columns side by side are what they are one by one, silent ones, equals and missing weights too.
 */
static void medians_side_by_side(void **state)
{
    (void)state;
    enum { VOICES = 5, COLUMNS = 21 };
    static float value[VOICES][COLUMNS], weight[VOICES][COLUMNS], out[COLUMNS];
    struct fw_rng rng;
    fw_rng_init(&rng, 8);
    for (size_t c = 0; c < COLUMNS; c++)
        for (size_t e = 0; e < VOICES; e++) {
            const uint64_t kind = fw_rng_below(&rng, 8);
            value[e][c] = kind == 0 || c == 20 ? NAN : kind < 4 ? 1.0f : (float)fw_rng_normal(&rng);
            weight[e][c] = kind == 7 ? 0.0f : (float)(1 + fw_rng_below(&rng, 9));
        }
    blend_medians(value[0], weight[0], VOICES, COLUMNS, out);
    for (size_t c = 0; c < COLUMNS; c++) {
        float v[VOICES], w[VOICES];
        for (size_t e = 0; e < VOICES; e++) {
            v[e] = value[e][c];
            w[e] = weight[e][c];
        }
        const float one = blend_median(v, w, VOICES);
        CHECK_TRUE("alike", one == out[c] || (isnan(one) && isnan(out[c])));
    }
    assert_true(isnan(out[20]));
}

static void weights_follow_losses(void **state)
{
    (void)state;
    const float prior[4] = {1, 1, 1, 0};
    const float loss[4] = {1.0f, 1.1f, NAN, 0.5f};
    float weight[4];
    blend_weights(loss, prior, 4, 0.0f, 1e-9f, weight);
    for (size_t i = 0; i < 4; i++)
        CHECK_NEAR("no trust: the priors", weight[i], prior[i], 1e-6);
    blend_weights(loss, prior, 4, 1.0f, 1e-9f, weight);
    /* The least is the one without a prior: the others count from it all the same. */
    CHECK_NEAR("twice the least", weight[0], exp(-12.0), 1e-7);
    CHECK_TRUE("ordered", weight[1] < weight[0]);
    CHECK_NEAR("not measured", weight[2], 1.0, 1e-6);
    CHECK_NEAR("no prior", weight[3], 0.0, 0.0);
    const float zero[2] = {0.0f, 0.0f};
    blend_weights(zero, prior, 2, 1.0f, 1e-12f, weight);
    CHECK_NEAR("no losses at all", weight[0], 1.0, 1e-6);
    CHECK_NEAR("a third", blend_share(1.0f, 1.0f), 1.0 / 3.0, 1e-6);
    CHECK_NEAR("a third, unmeasured", blend_share(5.0f, 0.0f), 1.0 / 3.0, 1e-6);
    CHECK_TRUE("better, more", blend_share(0.8f, 1.0f) > 0.8f);
    CHECK_TRUE("worse, nearly none", blend_share(1.5f, 1.0f) < 0.01f);
}

static void a_ridge_finds_what_is_there(void **state)
{
    (void)state;
    const float truth[RIDGE_FEATURES] = {0.5f, -0.3f, 0.0f, 0.8f, 0.1f, 0.0f, -0.6f, 0.2f};
    struct ridge ridge = {0};
    struct fw_rng rng;
    fw_rng_init(&rng, 11);
    float coefficient[RIDGE_FEATURES];
    ridge_solve(&ridge, coefficient);
    for (size_t i = 0; i < RIDGE_FEATURES; i++)
        CHECK_NEAR("nothing seen", coefficient[i], 0.0, 0.0);
    double before = 0.0, after = 0.0;
    for (int t = 0; t < 6000; t++) {
        float x[RIDGE_FEATURES];
        for (size_t i = 0; i < RIDGE_FEATURES; i++)
            x[i] = (float)fw_rng_normal(&rng);
        const float y = ridge_predict(truth, x) + 0.5f * (float)fw_rng_normal(&rng);
        if (t >= 5000) {
            ridge_solve(&ridge, coefficient);
            const double miss = (double)(y - ridge_predict(coefficient, x));
            before += (double)y * (double)y;
            after += miss * miss;
        }
        ridge_add(&ridge, x, y, 1.0f, 0.999f);
    }
    /* Of the variance 1.40 + 0.25 the noise must be left, and the tenth that the ridge costs. */
    CHECK_TRUE("explains", after < 0.2 * before && after > 0.1 * before);
    for (size_t i = 0; i < RIDGE_FEATURES; i++)
        CHECK_NEAR("coefficient", coefficient[i], 0.91f * truth[i], 0.06);
}

/* Two features that say the same share the work; an endless one does no harm. */
static void a_ridge_stands_anything(void **state)
{
    (void)state;
    struct ridge ridge = {0};
    float coefficient[RIDGE_FEATURES];
    for (int t = 0; t < 500; t++) {
        const float x[RIDGE_FEATURES] = {(float)(t % 7) - 3.0f, (float)(t % 7) - 3.0f};
        ridge_add(&ridge, x, 2.0f * x[0], 1.0f, 0.999f);
    }
    ridge_solve(&ridge, coefficient);
    CHECK_NEAR("alike", coefficient[0], coefficient[1], 1e-3);
    CHECK_NEAR("together", coefficient[0] + coefficient[1], 2.0, 0.2);
    ridge.normal[0] = INFINITY;
    ridge.moment[0] = NAN;
    ridge_solve(&ridge, coefficient);
    for (size_t i = 0; i < RIDGE_FEATURES; i++)
        CHECK_TRUE("finite", isfinite(coefficient[i]));
}

static void trackers_find_quantiles(void **state)
{
    (void)state;
    static const float level[3] = {-1.2816f, 0.0f, 1.2816f};
    struct tracker tracker = {0};
    struct fw_rng rng;
    fw_rng_init(&rng, 3);
    for (int t = 0; t < 5000; t++) {
        tracker_add(&tracker, 10.0f + (float)fw_rng_normal(&rng) * 2.0f);
        CHECK_TRUE("ordered", tracker.quantile[0] <= tracker.quantile[1] &&
                                  tracker.quantile[1] <= tracker.quantile[2]);
    }
    for (size_t i = 0; i < 3; i++)
        CHECK_NEAR("of a normal", tracker.quantile[i], 10.0f + 2.0f * level[i], 0.5);
    /* And follow when the world changes. */
    for (int t = 0; t < 5000; t++)
        tracker_add(&tracker, -5.0f + (float)fw_rng_normal(&rng));
    for (size_t i = 0; i < 3; i++)
        CHECK_NEAR("after a change", tracker.quantile[i], -5.0f + level[i], 0.4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians_by_hand),
        cmocka_unit_test(medians_lie_between_and_ignore_order),
        cmocka_unit_test(medians_side_by_side),
        cmocka_unit_test(weights_follow_losses),
        cmocka_unit_test(a_ridge_finds_what_is_there),
        cmocka_unit_test(a_ridge_stands_anything),
        cmocka_unit_test(trackers_find_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
