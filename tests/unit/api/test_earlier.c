/* Forecasts made earlier: which runs are kept, and that their paths come back. */
#include "api/earlier.h"

#include "fixture.h"

#include <math.h>

enum { STEP_MS = 300000, EVERY_MS = STEP_MS * (FORECAST_HORIZON / API_EARLIER_RUNS) };

/* A run at that time: the disk of "b" rises from `from` by 0.1 a step. */
static void offer(struct api_earlier *earlier, int64_t made_ms, float from)
{
    struct fixture f;
    const struct fixture_metric metrics[] = {
        {METRIC_MEM_USED,   40, 41  },
        {METRIC_DISK_USAGE, 50, from}
    };
    struct forecast *forecasts[] = {
        fixture_forecast("a", metrics, 1),
        fixture_forecast("b", metrics, 2),
    };
    struct forecast_path *disk = &forecasts[1]->paths[1];
    for (int i = 0; i < FORECAST_HORIZON; i++) {
        disk->p10[i] = from;
        disk->p50[i] = from + 0.1F * (float)i;
        disk->p90[i] = from + 0.3F * (float)i;
    }
    forecasts[1]->origin_ms = made_ms - 1000;
    fixture_init(&f, forecasts, 2, NULL, 0);
    f.outlook.made_ms = made_ms;
    api_earlier_offer(earlier, &f.outlook);
    fixture_fini(&f);
}

static struct api_earlier *make(void)
{
    struct api_earlier *earlier;
    struct fw_error err = {0};
    assert_int_equal(api_earlier_new(&earlier, &err), FW_OK);
    return earlier;
}

static void test_which_runs(void **state)
{
    (void)state;
    const int64_t t0 = 1767225600000;
    struct api_earlier *earlier = make();
    struct api_earlier_path paths[API_EARLIER_RUNS];
    CHECK_EQ("none", api_earlier_read(earlier, "b", METRIC_DISK_USAGE, paths), 0);
    static const struct {
        const char *name;
        int64_t after_ms;
        size_t held;
        int64_t newest_ms;
    } rows[] = {
        {"the first",              0,                         1, 0                        },
        {"a step later",           STEP_MS,                   1, 0                        },
        {"not quite a quarter",    EVERY_MS - 1,              1, 0                        },
        {"a quarter",              EVERY_MS,                  2, EVERY_MS                 },
        {"after a gap",            3 * (int64_t)EVERY_MS,     3, 3 * (int64_t)EVERY_MS    },
        {"the fourth",             4 * (int64_t)EVERY_MS,     4, 4 * (int64_t)EVERY_MS    },
        {"the first has to go",    5 * (int64_t)EVERY_MS,     4, 5 * (int64_t)EVERY_MS    },
        {"the clock was set back", 5 * (int64_t)EVERY_MS - 1, 4, 5 * (int64_t)EVERY_MS - 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        offer(earlier, t0 + rows[i].after_ms, 50);
        CHECK_EQ(rows[i].name, api_earlier_read(earlier, "b", METRIC_DISK_USAGE, paths),
                 rows[i].held);
        CHECK_EQ(rows[i].name, paths[0].made_ms - t0, rows[i].newest_ms);
    }
    CHECK_EQ("no such server", api_earlier_read(earlier, "c", METRIC_DISK_USAGE, paths), 0);
    CHECK_EQ("not its metric", api_earlier_read(earlier, "a", METRIC_DISK_USAGE, paths), 0);
    CHECK_TRUE("bounded", api_earlier_bytes(earlier) > 0 && api_earlier_bytes(earlier) < 4096);
    api_earlier_free(earlier);
}

static void test_paths_come_back(void **state)
{
    (void)state;
    struct api_earlier *earlier = make();
    struct api_earlier_path paths[API_EARLIER_RUNS];
    offer(earlier, 1767225600000, 50);
    CHECK_EQ("held", api_earlier_read(earlier, "b", METRIC_DISK_USAGE, paths), 1);
    CHECK_EQ("origin", paths[0].origin_ms, 1767225599000);
    CHECK_EQ("step", paths[0].step_s, 300);
    CHECK_EQ("the last step is there", api_earlier_step(API_EARLIER_POINTS - 1),
             FORECAST_HORIZON - 1);
    for (unsigned i = 0; i < API_EARLIER_POINTS; i++) {
        const double step = (double)api_earlier_step(i);
        CHECK_NEAR("p10", (double)paths[0].p10[i], 50, 0.001);
        CHECK_NEAR("p50", (double)paths[0].p50[i], 50 + 0.1 * step, 0.001);
        CHECK_NEAR("p90", (double)paths[0].p90[i], 50 + 0.3 * step, 0.001);
    }
    CHECK_EQ("flat", api_earlier_read(earlier, "a", METRIC_MEM_USED, paths), 1);
    CHECK_NEAR("flat", (double)paths[0].p50[API_EARLIER_POINTS - 1], 41, 1e-6);
    api_earlier_free(earlier);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct api_earlier *earlier = make();
    struct api_earlier_path paths[API_EARLIER_RUNS];
    for (long n = 1; n <= 3; n++) {
        struct fixture f;
        struct forecast *forecast =
            fixture_forecast("b", &(struct fixture_metric){METRIC_MEM_USED, 1, 1}, 1);
        fixture_init(&f, &forecast, 1, NULL, 0);
        fw_alloc_fail_at(n);
        api_earlier_offer(earlier, &f.outlook);
        fw_alloc_fail_at(0);
        CHECK_EQ("not kept", api_earlier_read(earlier, "b", METRIC_MEM_USED, paths), 0);
        fixture_fini(&f);
    }
    offer(earlier, 1767225600000, 1);
    CHECK_EQ("the next one is", api_earlier_read(earlier, "b", METRIC_MEM_USED, paths), 1);
    api_earlier_free(earlier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_runs),
        cmocka_unit_test(test_paths_come_back),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
