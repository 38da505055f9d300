/* A whole run over small sets: the same origins and points for all, what is left out, ETT's errors.
 */
#include "support.h"

#include "evaluate/evaluate.h"
#include "evaluate/origins.h"
#include "unit/evaluate/made_set.h"

enum { STEPS = 1400, TEST = 1112 }; /* three origins */

static double wave(size_t t)
{
    return 50.0 + 20.0 * sin((double)t * 6.283185 / 288.0) + (double)(t * 7919 % 11) / 11.0;
}

/* s0 has everything; s1 lacks m1 but in the test part; s2 has no test part. */
static struct evaluate_set *make(void)
{
    struct evaluate_set *set = made_set(3, 2, STEPS, TEST);
    strcpy(set->history->column[0], "cpu_idle_pct");
    for (size_t i = 0; i < 3; i++) {
        for (size_t t = 0; t < STEPS; t++) {
            made_value(set, i, 0, t, wave(t));
            set->history->series[i].exact[0][t] = 100.0 - wave(t);
            if (i != 1 || t >= TEST + 200)
                made_value(set, i, 1, t, wave(t + 100));
        }
    }
    set->servers[2].test = STEPS - 10;
    return set;
}

static struct evaluate_result *run(const struct evaluate_set *set,
                                   const struct evaluate_options *options)
{
    struct evaluate_result *r;
    struct fw_error err;
    if (evaluate_run(set, options, &r, &err) != FW_OK)
        fail_msg("%s", err.text);
    return r;
}

static const struct evaluate_sums *whole(const struct evaluate_result *r, size_t server,
                                         size_t metric, enum evaluate_method method)
{
    return &evaluate_score_at(&r->scores, server, metric, method)[EVALUATE_WHOLE];
}

static void test_baselines_only(void **state)
{
    (void)state;
    struct evaluate_set *set = make();
    struct evaluate_result *r = run(set, &(struct evaluate_options){.baselines_only = true});
    evaluate_set_free(set);
    CHECK_TRUE("none of ours", !r->ours && r->forecasts == 0);
    CHECK_EQ("origins of two servers", r->origins, 6);
    CHECK_EQ("a server without", r->servers_without, 1);
    CHECK_STR("metric", r->metrics[0].name, "cpu_used_pct");
    CHECK_STR("server", r->servers[1], "s1");
    CHECK_EQ("points", whole(r, 0, 1, EVALUATE_PERSISTENCE)->count, 3 * EVALUATE_HORIZON);
    CHECK_EQ("only what was seen", whole(r, 1, 1, EVALUATE_PERSISTENCE)->count, 88);
    CHECK_EQ("no test part", whole(r, 2, 0, EVALUATE_PERSISTENCE)->count, 0);
    CHECK_EQ("ours", whole(r, 0, 0, EVALUATE_OURS)->count, 0);
    evaluate_result_free(r);
}

static void count_calls(void *ctx, const char *set, const char *doing, size_t done, size_t of)
{
    size_t *calls = ctx;
    CHECK_STR("set", set, "made");
    CHECK_TRUE(doing, done <= of);
    ++*calls;
}

static void test_ours(void **state)
{
    (void)state;
    struct evaluate_set *set = make();
    size_t calls = 0, made = 0;
    const struct evaluate_options options = {
        .threads = 1, .progress = count_calls, .progress_ctx = &calls};
    struct evaluate_result *r = run(set, &options);
    CHECK_EQ("progress: servers, then origins", calls, 3 + 3);
    CHECK_TRUE("ours", r->ours);
    for (size_t m = 0; m < FORECAST_METHOD_COUNT; m++)
        made += r->methods[m];
    /* s1's m1 appears within the last horizon, so nothing could be forecast. */
    CHECK_EQ("forecasts", r->forecasts, 3 * 2 + 3);
    CHECK_EQ("each by some method", made, r->forecasts);
    CHECK_EQ("left out", r->left_out, 1);
    CHECK_EQ("left out", whole(r, 1, 1, EVALUATE_OURS)->count, 0);
    for (size_t m = 0; m < 2; m++) {
        const struct evaluate_sums *ours = whole(r, 0, m, EVALUATE_OURS);
        const struct evaluate_sums *seasonal = whole(r, 0, m, EVALUATE_SEASONAL);
        CHECK_EQ("the same points", ours->count, seasonal->count);
        CHECK_TRUE("the same truth", ours->scale == seasonal->scale);
        CHECK_TRUE("a forecast of a wave is near it", ours->loss[1] < 0.02 * ours->scale);
        CHECK_TRUE("its band holds most", ours->inside > ours->count / 2);
    }
    evaluate_result_free(r);
    evaluate_set_free(set);
}

/* A band of no width around 0.01 holds 0.01, though the float next to it is smaller. */
static void test_equality_at_the_edge(void **state)
{
    (void)state;
    struct evaluate_set *set = made_set(1, 1, STEPS, TEST);
    for (size_t t = 0; t < STEPS; t++)
        made_value(set, 0, 0, t, 0.01);
    struct evaluate_result *r = run(set, &(struct evaluate_options){.threads = 1});
    const struct evaluate_sums *ours = whole(r, 0, 0, EVALUATE_OURS);
    CHECK_EQ("points", ours->count, 3 * EVALUATE_HORIZON);
    CHECK_EQ("all inside", ours->inside, ours->count);
    CHECK_TRUE("without an error", ours->loss[0] == 0.0 && ours->loss[2] == 0.0);
    evaluate_result_free(r);
    evaluate_set_free(set);
}

/* What lies in front of a server's own origin may differ from server to server. */
static void test_origins_of_each(void **state)
{
    (void)state;
    struct evaluate_set *set = make();
    set->servers[0].test = TEST + 30;
    set->servers[0].steps = STEPS - 40;
    struct evaluate_result *r = run(set, &(struct evaluate_options){.threads = 1});
    CHECK_EQ("two of its own", whole(r, 0, 0, EVALUATE_OURS)->count, 2 * EVALUATE_HORIZON);
    CHECK_EQ("three", whole(r, 1, 0, EVALUATE_OURS)->count, 3 * EVALUATE_HORIZON);
    CHECK_TRUE("the same points as the baselines'",
               whole(r, 0, 0, EVALUATE_OURS)->scale == whole(r, 0, 0, EVALUATE_LINE)->scale);
    evaluate_result_free(r);
    evaluate_set_free(set);
}

/* On a ramp of slope 1 the last value errs by h at step h. */
static void test_ett(void **state)
{
    (void)state;
    struct evaluate_set *set = made_set(1, 1, 800, 600);
    struct evaluate_timeline timeline;
    struct evaluate_ett ett = {.origins = 0};
    struct evaluate_points points = {0};
    struct fw_error err;
    double truth[EVALUATE_HORIZON], pairs[EVALUATE_HORIZON][2];
    set->ett = true;
    set->servers[0].training = 400;
    for (size_t t = 0; t < 800; t++)
        made_value(set, 0, 0, t, (double)t);
    assert_int_equal(evaluate_origins_find(set, 0, &timeline, &err), FW_OK);
    evaluate_ett_fit(&set->servers[0], 1, &ett);
    const double deviation = sqrt((400.0 * 400.0 - 1.0) / 12.0); /* of 0..399 */
    CHECK_NEAR("mean", ett.mean[0], 199.5, 1e-9);
    CHECK_NEAR("deviation", 1.0 / ett.inverse[0], deviation, 1e-9);
    evaluate_ett_persistence(&set->servers[0], 1, &timeline.each, &ett);
    const double n = (double)ett.persistence.count;
    CHECK_EQ("every origin", ett.persistence.count, 105 * EVALUATE_HORIZON);
    CHECK_NEAR("MAE", ett.persistence.absolute / n, 48.5 / deviation, 1e-9);
    CHECK_NEAR("MSE", ett.persistence.square / n,
               97.0 * (2 * 96 + 1) / 6.0 / (deviation * deviation), 1e-9);
    for (size_t h = 0; h < EVALUATE_HORIZON; h++) {
        truth[h] = h == 5 ? (double)NAN : 1.0;
        pairs[h][0] = 1.0 + deviation;
    }
    evaluate_ett_add(&ett, 0, truth, &pairs[0][0], 2, &points);
    CHECK_EQ("a missing truth counts for nothing", points.count, EVALUATE_HORIZON - 1);
    CHECK_NEAR("one deviation away", points.square, (double)points.count, 1e-9);
    evaluate_origins_fini(&timeline);
    evaluate_set_free(set);
}

static void test_ett_of_ours(void **state)
{
    (void)state;
    struct evaluate_set *set = make();
    set->ett = true;
    set->servers[0].training = 500;
    struct evaluate_result *r = run(set, &(struct evaluate_options){.threads = 1});
    const size_t origins = STEPS - TEST - EVALUATE_HORIZON + 1;
    CHECK_EQ("every step is an origin", r->ett[0].origins, origins);
    CHECK_EQ("both columns", r->ett[0].ours.count, 2 * origins * EVALUATE_HORIZON);
    CHECK_EQ("as many", r->ett[0].persistence.count, r->ett[0].ours.count);
    CHECK_TRUE("better", r->ett[0].ours.absolute < r->ett[0].persistence.absolute);
    CHECK_EQ("the protocol's own points stay", whole(r, 0, 0, EVALUATE_OURS)->count,
             3 * EVALUATE_HORIZON);
    evaluate_result_free(r);
    evaluate_set_free(set);
}

static void test_nothing_to_test(void **state)
{
    (void)state;
    struct evaluate_set *set = make();
    struct evaluate_result *r;
    struct fw_error err;
    for (size_t i = 0; i < 3; i++)
        set->servers[i].test = STEPS;
    CHECK_EQ("refused", evaluate_run(set, &(struct evaluate_options){0}, &r, &err), FW_EINVAL);
    CHECK_TRUE("names the set", strstr(err.text, "made") != NULL && r == NULL);
    evaluate_set_free(set);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct evaluate_set *set = make();
    const struct evaluate_options options = {.baselines_only = true};
    for (long n = 1;; n++) {
        struct evaluate_result *r;
        struct fw_error err;
        fw_alloc_fail_at(n);
        const enum fw_status status = evaluate_run(set, &options, &r, &err);
        fw_alloc_fail_at(0);
        if (status == FW_OK) {
            CHECK_TRUE("some allocations were made to fail", n > 15);
            evaluate_result_free(r);
            break;
        }
        CHECK_EQ("status", status, FW_ENOMEM);
        CHECK_TRUE("no result", r == NULL);
    }
    evaluate_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_baselines_only),
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_equality_at_the_edge),
        cmocka_unit_test(test_origins_of_each),
        cmocka_unit_test(test_ett),
        cmocka_unit_test(test_ett_of_ours),
        cmocka_unit_test(test_nothing_to_test),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
