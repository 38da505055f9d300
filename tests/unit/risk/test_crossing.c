/* The chance of crossing and the fleet's environment. */
#include "unit/risk/build_forecast.h"

#include "base/rng.h"
#include "risk/risk.h"

#include "support.h"

static struct schema schema;

static int setup(void **state)
{
    (void)state;
    schema_default(&schema);
    return 0;
}

static double crossing(const struct forecast_path *path, double threshold, size_t steps)
{
    return risk_crossing_probability(&schema.metrics[path->metric], path, threshold, steps);
}

static void test_single_step(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int metric;
        double current, p10, p50, p90, threshold, chance;
    } rows[] = {
        {"at p90",             METRIC_CPU_USER, 50,          40,   50,   70,   70,          0.1  },
        {"at p50",             METRIC_CPU_USER, 50,          40,   60,   70,   60,          0.5  },
        {"at p10",             METRIC_CPU_USER, 50,          55,   60,   70,   55,          0.9  },
        {"far above",          METRIC_CPU_USER, 10,          8,    10,   12,   90,          0.0  },
        {"far below",          METRIC_CPU_USER, 10,          80,   85,   90,   20,          0.999},
        {"there already",      METRIC_CPU_USER, 96,          10,   11,   12,   95,          0.999},
        {"no spread, under",   METRIC_CPU_USER, 10,          94.9, 94.9, 94.9, 95,          0.0  },
        {"no spread, at",      METRIC_CPU_USER, 10,          95,   95,   95,   95,          0.999},
        {"idle at p10",        METRIC_CPU_IDLE, 50,          10,   30,   40,   10,          0.1  },
        {"idle at p90",        METRIC_CPU_IDLE, 50,          1,    3,    10,   10,          0.9  },
        {"idle there already", METRIC_CPU_IDLE, 3,           40,   50,   60,   4,           0.999},
        {"no threshold",       METRIC_CPU_USER, 96,          90,   95,   99,   (double)NAN, 0.0  },
        {"no direction",       METRIC_NET_IN,   96,          90,   95,   99,   10,          0.0  },
        {"unknown now",        METRIC_CPU_USER, (double)NAN, 40,   50,   70,   70,          0.1  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct forecast *f = build_forecast("a", 1);
        build_band(f, rows[i].metric, rows[i].current, rows[i].p10, rows[i].p50, rows[i].p90);
        CHECK_NEAR(rows[i].name, crossing(&f->paths[0], rows[i].threshold, 1), rows[i].chance,
                   1e-6);
        fw_free(f);
    }
}

/* Six equal steps of 10 %: between the likeliest (0.1) and independence (1 - 0.9^6 = 0.4686), a
 * tenth of the way. */
static void test_several_steps(void **state)
{
    (void)state;
    struct forecast *f = build_forecast("a", 1);
    build_band(f, METRIC_CPU_USER, 50, 40, 50, 70);
    CHECK_NEAR("six steps", crossing(&f->paths[0], 70, 6), 0.1 + 0.1 * (0.468559 - 0.1), 1e-6);
    CHECK_EQ("never so likely",
             risk_crossing_step(&schema.metrics[METRIC_CPU_USER], &f->paths[0], 70, 0.5, 96), 0);
    CHECK_EQ("at once",
             risk_crossing_step(&schema.metrics[METRIC_CPU_USER], &f->paths[0], 50, 0.5, 96), 1);
    fw_free(f);
    f = build_forecast("a", 1);
    build_ramp(f, METRIC_DISK_USAGE, 80, 0.5, 0.001, 0, 100);
    CHECK_EQ("a straight line to 95",
             risk_crossing_step(&schema.metrics[METRIC_DISK_USAGE], &f->paths[0], 95, 0.4, 96), 30);
    fw_free(f);
}

static void test_properties(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 1);
    for (size_t round = 0; round < 2000; round++) {
        struct forecast *f = build_forecast("a", 1);
        const int metric = round % 2 == 0 ? METRIC_CPU_USER : METRIC_CPU_IDLE;
        const double sign = metric == METRIC_CPU_USER ? 1 : -1;
        struct forecast_path *path = build_flat(f, metric, fw_rng_uniform(&rng) * 100);
        for (size_t i = 0; i < FORECAST_HORIZON; i++) {
            path->p50[i] = (float)(fw_rng_uniform(&rng) * 100);
            path->p10[i] = path->p50[i] - (float)(fw_rng_uniform(&rng) * 10);
            path->p90[i] = path->p50[i] + (float)(fw_rng_uniform(&rng) * 10);
        }
        const double threshold = fw_rng_uniform(&rng) * 100;
        const bool there = risk_beyond(&schema.metrics[metric], (double)path->current, threshold);
        double before = 0.0, highest = 0.0, sum = 0.0;
        for (size_t n = 1; n <= FORECAST_HORIZON; n++) {
            struct forecast *one = build_forecast("a", 1);
            build_band(one, metric, (double)NAN, (double)path->p10[n - 1], (double)path->p50[n - 1],
                       (double)path->p90[n - 1]);
            const double step = crossing(&one->paths[0], threshold, 1);
            fw_free(one);
            highest = fmax(highest, step);
            sum += step;
            const double chance = crossing(path, threshold, n);
            assert_true(chance >= before - 1e-12 && chance <= 0.999);
            if (!there) {
                assert_true(chance >= highest - 1e-9);
                assert_true(chance <= sum + 1e-3);
            }
            before = chance;
        }
        for (double t = -20; t < 120; t += 7)
            assert_true(crossing(path, t + sign * 3, 96) <= crossing(path, t, 96) + 1e-12);
        fw_free(f);
    }
}

static void environment_of(const struct forecast *const *items, size_t n,
                           struct risk_environment *environment)
{
    struct risk_options options;
    risk_options_default(&options, &schema);
    struct forecast_set *set = build_set(items, n);
    struct risk *risks = fw_calloc(n + 1, sizeof *risks);
    struct risk_driver drivers[SCHEMA_METRICS_MAX];
    for (size_t i = 0; i < n; i++)
        risk_score(&options, items[i], &risks[i], drivers);
    risk_environment(&options, set, risks, environment);
    fw_free(risks);
    fw_free(set);
}

static void test_argus_environment_vector(void **state)
{
    (void)state;
    struct forecast *a = build_forecast("a", 2), *b = build_forecast("b", 1),
                    *c = build_forecast("c", 3), *d = build_forecast("d", 1);
    build_flat(a, METRIC_CPU_USER, 91);
    build_flat(a, METRIC_CPU_IDLE, 5);
    build_band(b, METRIC_MEM_USED, 80, 80, 80, 90.5);
    build_flat(c, METRIC_CPU_IOWAIT, 41);
    build_flat(c, METRIC_SWAP_USED, 35);
    build_flat(c, METRIC_DISK_USAGE, 91);
    build_flat(d, METRIC_LOAD_AVERAGE, 99);
    const struct forecast *const items[] = {a, b, c, d};
    struct risk_environment e;
    environment_of(items, 4, &e);
    CHECK_NEAR("30m", e.argus_score_30m, 0.3375, 1e-9);
    CHECK_NEAR("8h", e.argus_score_8h, 0.27, 1e-9);
    CHECK_EQ("high risk", e.argus_high_risk_servers, 1);
    CHECK_EQ("total", e.total_servers, 4);
    CHECK_STR("health", e.argus_fleet_health, "warning");
    /* Ours: c's I/O wait is beyond its critical threshold of 30 now. */
    CHECK_TRUE("an incident is near certain", e.prob_30m > 0.99);
    CHECK_TRUE("later is not less likely", e.prob_8h >= e.prob_30m);
    CHECK_EQ("c alone", e.high_risk_servers, 1);
    CHECK_STR("health", e.fleet_health, "critical");
    fw_free(a);
    fw_free(b);
    fw_free(c);
    fw_free(d);
}

static void test_environment_rows(void **state)
{
    (void)state;
    struct risk_environment e;
    environment_of(NULL, 0, &e);
    CHECK_STR("empty fleet", e.fleet_health, "unknown");
    CHECK_NEAR("empty fleet", e.prob_8h, 0.0, 0.0);

    /* One server of a hundred with a chance of 10 % at each step. */
    enum { N = 100 };
    struct forecast *fleet[N];
    for (size_t i = 0; i < N; i++) {
        fleet[i] = build_forecast("a", 1);
        build_band(fleet[i], METRIC_DISK_USAGE, 50, 49, 50, 51);
    }
    environment_of((const struct forecast *const *)fleet, N, &e);
    CHECK_NEAR("healthy fleet", e.prob_8h, 0.0, 1e-6);
    CHECK_STR("healthy fleet", e.fleet_health, "healthy");
    fleet[7]->path_count = 0;
    build_band(fleet[7], METRIC_CPU_USER, 50, 60, 75, 95);
    environment_of((const struct forecast *const *)fleet, N, &e);
    CHECK_NEAR("one in a hundred is not diluted", e.prob_30m, 0.1368559, 1e-5);
    CHECK_TRUE("8 h", e.prob_8h > e.prob_30m && e.prob_8h < 0.25);
    /* Two such servers: independent. */
    fleet[8]->path_count = 0;
    build_band(fleet[8], METRIC_CPU_USER, 50, 60, 75, 95);
    environment_of((const struct forecast *const *)fleet, N, &e);
    CHECK_NEAR("two", e.prob_30m, 1 - (1 - 0.1368559) * (1 - 0.1368559), 1e-5);
    for (size_t i = 0; i < N; i++)
        fw_free(fleet[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_single_step, setup),
        cmocka_unit_test_setup(test_several_steps, setup),
        cmocka_unit_test_setup(test_properties, setup),
        cmocka_unit_test_setup(test_argus_environment_vector, setup),
        cmocka_unit_test_setup(test_environment_rows, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
