/* The reference's straight line, on the vectors of the API contract (section 17). */
#include "forecast/argus.h"
#include "support.h"

enum { VALUES_MAX = 40 };

struct vector {
    const char *name, *metric;
    double (*value)(size_t k);
    size_t count;
    double current, trend, noise;
    double at[3][3]; /* steps 1, 6 and 96; p10, p50, p90 */
};

static double ramp(size_t k)
{
    return 50.0 + 0.5 * (double)k;
}
static double jump(size_t k)
{
    return k < 19 ? 60.0 : 70.0;
}
static double saw(size_t k)
{
    return k % 2 == 0 ? 2.0 : 3.0;
}
static double two(size_t k)
{
    return 10.0 + 4.0 * (double)k;
}
static double one(size_t k)
{
    return 97.0 + (double)k;
}
static double counting(size_t k)
{
    return 5.0 + (double)k;
}
static double falling(size_t k)
{
    return 50.0 - 2.0 * (double)k;
}
static double square(size_t k)
{
    return (double)(k * k) / 20.0;
}

static const struct vector vectors[] = {
    {"ramp",
     "cpu_user_pct",    ramp,
     24, 61.5,
     0.5,            3.461093276,
     {{57.569801, 62, 66.430199}, {53.648272, 64.5, 75.351728}, {56.593088, 100, 100}}        },
    {"jump",
     "mem_used_pct",    jump,
     24, 70,
     0.2891304348,   4.06116431,
     {{65.090840, 70.289130, 75.487421},
      {59.001624, 71.734783, 84.467941},
      {46.823886, 97.756522, 100}}                                                            },
    {"saw",
     "load_average",    saw,
     24, 3,
     0.003652173913, 0.5,
     {{2.363652, 3.003652, 3.643652}, {1.454240, 3.021913, 4.589586}, {0, 3.350609, 9.621302}}},
    {"two values",
     "net_in_mb_s",     two,
     2,  14,
     4,              1.0,
     {{16.72, 18, 19.28}, {34.864653, 38, 41.135347}, {187.458613, 200, 200}}                 },
    {"one value",
     "disk_usage_pct",  one,
     1,  97,
     0,              1.0,
     {{95.72, 97, 98.28}, {93.864653, 97, 100}, {84.458613, 97, 100}}                         },
    {"six counts",
     "back_close_wait", counting,
     6,  10,
     1,              1.707825128,
     {{8.813984, 11, 13.186016}, {9.645376, 15, 20.354624}, {83.581503, 105, 126.418497}}     },
    {"falling",
     "cpu_idle_pct",    falling,
     24, 4,
     -2,
     13.8443731,                  {{0, 2, 19.720798}, {0, 0, 43.406912}, {0, 0, 100}}         },
    {"square",
     "cpu_iowait_pct",  square,
     24, 26.45,
     1.435,          8.242441824,
     {{17.334674, 27.885, 38.435326}, {9.217086, 35.06, 60.902914}, {0, 100, 100}}            },
};

static void check_vector(const struct vector *v, const struct argus_line *line)
{
    static const size_t steps[3] = {1, 6, 96};
    CHECK_NEAR(v->name, line->current, v->current, 2e-6); /* float32 of 26.45 */
    CHECK_NEAR(v->name, line->trend, v->trend, 1e-6);
    CHECK_NEAR(v->name, line->noise, v->noise, 1e-6);
    for (size_t i = 0; i < 3; i++) {
        const double got[3] = {line->p10[steps[i] - 1], line->p50[steps[i] - 1],
                               line->p90[steps[i] - 1]};
        for (size_t k = 0; k < 3; k++)
            if (!(fabs(got[k] - v->at[i][k]) <= 2e-6))
                fail_msg("%s: quantile %zu at step %zu is %.9f, expected %.6f", v->name, k,
                         steps[i], got[k], v->at[i][k]);
    }
}

static void vectors_come_out(void **state)
{
    (void)state;
    for (size_t r = 0; r < COUNT_OF(vectors); r++) {
        float values[VALUES_MAX];
        struct argus_line line;
        for (size_t k = 0; k < vectors[r].count; k++)
            values[k] = (float)vectors[r].value(k);
        assert_true(argus_forecast(vectors[r].metric, values, vectors[r].count, &line));
        check_vector(&vectors[r], &line);
    }
}

/* Steps without a sample are no records to the reference: the last 24 values are meant. */
static void missing_steps_are_skipped(void **state)
{
    (void)state;
    for (size_t r = 0; r < COUNT_OF(vectors); r++) {
        float values[3 * VALUES_MAX];
        struct argus_line line;
        size_t n = 0;
        for (size_t k = 0; k < vectors[r].count; k++) {
            values[n++] = (float)vectors[r].value(k);
            for (size_t hole = 0; hole < k % 3; hole++)
                values[n++] = NAN;
        }
        assert_true(argus_forecast(vectors[r].metric, values, n, &line));
        check_vector(&vectors[r], &line);
    }
}

static void nothing_observed_gives_nothing(void **state)
{
    (void)state;
    const float values[3] = {NAN, NAN, NAN};
    struct argus_line line = {.current = -7.0};
    assert_false(argus_forecast("cpu_user_pct", values, 3, &line));
    assert_false(argus_forecast("cpu_user_pct", values, 0, &line));
    CHECK_NEAR("untouched", line.current, -7.0, 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_come_out),
        cmocka_unit_test(missing_steps_are_skipped),
        cmocka_unit_test(nothing_observed_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
