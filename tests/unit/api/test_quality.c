/* What is shown of the forecasts' quality: sums over the fleet, by metric and block. */
#include "api/api_internal.h"
#include "client.h"

static void expect(struct stack *s, const char *target, const char *text, bool there)
{
    struct answer answer = get(s, target);
    if ((strstr(answer.body, text) != NULL) != there)
        fail_msg("%s: %s: %s", target, text,
                 strstr(answer.body, "forecast_quality") != NULL
                     ? strstr(answer.body, "forecast_quality")
                     : answer.body);
    answer_free(&answer);
}

/* Two servers; twenty values came after forecasts of 13 to 36 steps, 16 inside the band. */
static const struct forecast_quality sums = {
    .tracks = 2,
    .scored = 20.0,
    .inside = 16.0,
    .issued = {2.0,       10.0,      3.0                        },
    .persistence = {20.0,      20.0,      20.0                       },
    .day = {6.0,       12.0,      6.0                        },
    .weight = {[0] = 0.5, [6] = 1.0, [FORECAST_VOICES - 1] = 0.5},
};

static void means_by_hand(void **state)
{
    (void)state;
    const struct api_block_quality q = api_block_quality(&sums, 1);
    assert_int_equal(q.from, 13);
    assert_int_equal(q.to, 36);
    CHECK_NEAR("coverage", q.coverage, 0.8, 1e-12);
    CHECK_NEAR("ours", q.mean[0], 0.25, 1e-12);
    CHECK_NEAR("persistence", q.mean[1], 1.0, 1e-12);
    CHECK_NEAR("day before", q.mean[2], 0.4, 1e-12);
    CHECK_NEAR("p50", q.median[0], 0.5, 1e-12);
    CHECK_NEAR("weight", q.weight[6], 0.5, 1e-12);
}

static void shown_where_they_belong(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    stack_start(&s, &(struct api_options){0}, true);
    expect(&s, "/api/v1/status", "\"forecast_quality\":[]", true);
    fixture_init(&f, NULL, 0, NULL, 0);
    f.set->quality = fw_calloc(f.schema.count, sizeof *f.set->quality);
    assert_non_null(f.set->quality);
    f.set->quality[METRIC_CPU_USER][1] = sums;
    atomic_init(&f.outlook.references, 2); /* the board takes one, the test keeps one */
    stack_publish(s.board, &f.outlook);
    expect(
        &s, "/api/v1/status",
        "\"forecast_quality\":[{\"metric\":\"cpu_user_pct\",\"block\":1,\"horizon_from\":13,"
        "\"horizon_to\":36,\"samples\":20,\"coverage\":0.8,\"pinball\":{\"ours\":0.25,"
        "\"persistence\":1.0,\"day_before\":0.4},\"pinball_p50\":{\"ours\":0.5,\"persistence\":1.0,"
        "\"day_before\":0.6},\"weights\":{\"persistence\":0.25,\"level\":0.0,\"day\":0.0,\"week\":"
        "0.0,"
        "\"recent\":0.0,\"trend\":0.0,\"linear\":0.5,\"yesterday\":0.0,\"climate\":0.0,\"tft\":0."
        "25}}]",
        true);
    expect(&s, "/metrics",
           "\nforewarn_block_coverage_ratio{metric=\"cpu_user_pct\",horizon=\"13-36\"} 0.8\n",
           true);
    expect(&s, "/metrics",
           "\nforewarn_block_pinball_loss{metric=\"cpu_user_pct\",horizon=\"13-36\","
           "forecaster=\"day_before\"} 0.4\n",
           true);
    expect(&s, "/metrics",
           "\nforewarn_blend_weight_ratio{metric=\"cpu_user_pct\",horizon=\"13-36\","
           "forecaster=\"linear\"} 0.5\n",
           true);
    expect(&s, "/metrics", "metric=\"cpu_user_pct\",horizon=\"1-12\"", false);
    stack_stop(&s);
    fw_free(f.set->quality);
    fixture_fini(&f);
}

/* Two servers with one metric; NaN: not measured there. */
static void measured_outlook(struct fixture *f, uint64_t id, float first, float second)
{
    const struct fixture_metric metric = {.metric = METRIC_CPU_USER, .current = 1, .predicted = 1};
    struct forecast *forecasts[] = {fixture_forecast("a", &metric, 1),
                                    fixture_forecast("b", &metric, 1)};
    forecasts[0]->paths[0].coverage = first;
    forecasts[1]->paths[0].coverage = second;
    forecasts[1]->paths[0].pinball = 0.5f;
    fixture_init(f, forecasts, 2, NULL, 0);
    f->outlook.id = id;
    atomic_init(&f->outlook.references, 2);
}

/* Means over servers, made when somebody asks: of the newest outlook, once or more often. */
static void means_of_the_newest(void **state)
{
    (void)state;
    static const char line[] = "\nforewarn_forecast_coverage_ratio{metric=\"cpu_user_pct\","
                               "horizon=\"all\"} ";
    struct stack s;
    static struct fixture f[3];
    char text[160];
    stack_start(&s, &(struct api_options){0}, true);
    measured_outlook(&f[0], 1, 0.75f, 0.25f);
    measured_outlook(&f[1], 2, 0.75f, (float)NAN);
    measured_outlook(&f[2], 3, (float)NAN, (float)NAN);
    static const double means[] = {0.5, 0.75};
    for (size_t i = 0; i < COUNT_OF(means); i++) {
        stack_publish(s.board, &f[i].outlook);
        snprintf(text, sizeof text, "%s%g\n", line, means[i]);
        expect(&s, "/metrics", text, true);
        expect(&s, "/metrics", text, true);
        expect(&s, "/metrics", "\nforewarn_pinball_loss{metric=\"cpu_user_pct\",", true);
    }
    stack_publish(s.board, &f[2].outlook);
    expect(&s, "/metrics", line, false);
    stack_stop(&s);
    for (size_t i = 0; i < COUNT_OF(f); i++)
        fixture_fini(&f[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_by_hand),
        cmocka_unit_test(shown_where_they_belong),
        cmocka_unit_test(means_of_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
