/* The metrics and what counts as a possible value. */
#include "support.h"

#include "domain/schema.h"

/* As doubles: the macros of math.h are floats. */
#define NONE ((double)NAN)
#define UNBOUNDED ((double)INFINITY)

static void test_default(void **state)
{
    (void)state;
    static const char *const names[METRIC_DEFAULT_COUNT] = {
        "cpu_user_pct",    "cpu_sys_pct",      "cpu_iowait_pct", "cpu_idle_pct", "java_cpu_pct",
        "mem_used_pct",    "swap_used_pct",    "disk_usage_pct", "net_in_mb_s",  "net_out_mb_s",
        "back_close_wait", "front_close_wait", "load_average",   "uptime_days",  "cascade_impact"};
    struct schema schema;
    schema_default(&schema);
    assert_int_equal(schema.count, METRIC_DEFAULT_COUNT);
    for (int i = 0; i < METRIC_DEFAULT_COUNT; i++) {
        CHECK_EQ(names[i], schema_find(&schema, names[i], strlen(names[i])), i);
        /* Each default would be accepted as configuration. */
        CHECK_EQ(names[i], schema_set(&schema, &schema.metrics[i], NULL), FW_OK);
    }
    assert_int_equal(schema.count, METRIC_DEFAULT_COUNT);
    static const char *const none[] = {"", "cpu", "cpu_user_pct2", "Cpu_user_pct", "cpu_user_pc"};
    for (size_t i = 0; i < COUNT_OF(none); i++)
        CHECK_EQ(none[i], schema_find(&schema, none[i], strlen(none[i])), -1);
    char long_name[100];
    memset(long_name, 'x', sizeof long_name);
    assert_int_equal(schema_find(&schema, long_name, sizeof long_name), -1);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum metric_index metric;
        double value;
        bool accepted;
        double kept;
    } rows[] = {
        {"inside",             METRIC_CPU_USER,       50,         true,  50  },
        {"lower bound",        METRIC_CPU_USER,       0,          true,  0   },
        {"upper bound",        METRIC_CPU_USER,       100,        true,  100 },
        {"rounded up",         METRIC_CPU_USER,       100.5,      true,  100 },
        {"rounded down",       METRIC_CPU_USER,       -0.5,       true,  0   },
        {"too high",           METRIC_CPU_USER,       100.51,     false, 0   },
        {"too low",            METRIC_CPU_USER,       -0.51,      false, 0   },
        {"NaN",                METRIC_CPU_USER,       NONE,       false, 0   },
        {"infinite",           METRIC_NET_IN,         UNBOUNDED,  false, 0   },
        {"minus infinite",     METRIC_NET_IN,         -UNBOUNDED, false, 0   },
        {"absurd",             METRIC_NET_IN,         1e308,      false, 0   },
        {"largest",            METRIC_NET_IN,         1e30,       true,  1e30},
        {"no slack unbounded", METRIC_NET_IN,         -1e-9,      false, 0   },
        {"denormal",           METRIC_NET_IN,         4.9e-324,   true,  0   },
        {"float denormal",     METRIC_NET_IN,         1e-40,      true,  0   },
        {"small",              METRIC_NET_IN,         1e-9,       true,  1e-9},
        {"minus zero",         METRIC_NET_IN,         -0.0,       true,  0   },
        {"share",              METRIC_CASCADE_IMPACT, 1.004,      true,  1   },
    };
    struct schema schema;
    schema_default(&schema);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double value = rows[i].value;
        CHECK_EQ(rows[i].name, schema_accept(&schema.metrics[rows[i].metric], &value),
                 rows[i].accepted);
        if (rows[i].accepted)
            CHECK_NEAR(rows[i].name, value, rows[i].kept, 0);
    }
}

static void test_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct schema_metric metric;
        enum fw_status status;
    } rows[] = {
        {"new",                 {"gpu_pct", "%", 0, 100, false, false, METRIC_WORSE_HIGH, 80, 90}, FW_OK    },
        {"unbounded",
         {"queue", "", -UNBOUNDED, UNBOUNDED, true, false, METRIC_WORSE_NONE, NONE, NONE},
         FW_OK                                                                                              },
        {"only critical",       {"a_1", "", 0, 1, false, false, METRIC_WORSE_HIGH, NONE, 0.5},     FW_OK    },
        {"low is worse",        {"free", "", 0, 100, false, false, METRIC_WORSE_LOW, 20, 10},      FW_OK    },
        {"changed thresholds",
         {"cpu_user_pct", "%", 0, 100, false, false, METRIC_WORSE_HIGH, 70, 80},
         FW_OK                                                                                              },
        {"empty name",          {"", "", 0, 1, false, false, METRIC_WORSE_NONE, NONE, NONE},       FW_EINVAL},
        {"digit first",         {"1a", "", 0, 1, false, false, METRIC_WORSE_NONE, NONE, NONE},     FW_EINVAL},
        {"dash",                {"a-b", "", 0, 1, false, false, METRIC_WORSE_NONE, NONE, NONE},    FW_EINVAL},
        {"newline",             {"a\nb", "", 0, 1, false, false, METRIC_WORSE_NONE, NONE, NONE},   FW_EINVAL},
        {"bounds crossed",      {"b", "", 1, 0, false, false, METRIC_WORSE_NONE, NONE, NONE},      FW_EINVAL},
        {"bounds equal",        {"b", "", 1, 1, false, false, METRIC_WORSE_NONE, NONE, NONE},      FW_EINVAL},
        {"bound NaN",           {"b", "", NONE, 1, false, false, METRIC_WORSE_NONE, NONE, NONE},   FW_EINVAL},
        {"thresholds crossed",  {"b", "", 0, 9, false, false, METRIC_WORSE_HIGH, 5, 4},            FW_EINVAL},
        {"low, crossed",        {"b", "", 0, 9, false, false, METRIC_WORSE_LOW, 4, 5},             FW_EINVAL},
        {"threshold outside",   {"b", "", 0, 9, false, false, METRIC_WORSE_HIGH, 5, 10},           FW_EINVAL},
        {"warning outside",     {"b", "", 0, 9, false, false, METRIC_WORSE_HIGH, -1, 5},           FW_EINVAL},
        {"threshold, no worse",
         {"b", "", 0, 9, false, false, METRIC_WORSE_NONE, 5, NONE},
         FW_EINVAL                                                                                          },
    };
    struct schema schema;
    schema_default(&schema);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, schema_set(&schema, &rows[i].metric, NULL), rows[i].status);
    assert_int_equal(schema.count, METRIC_DEFAULT_COUNT + 4);
    CHECK_NEAR("changed", schema.metrics[METRIC_CPU_USER].warning, 70, 0);
    struct schema_metric more = rows[0].metric;
    while (schema.count < SCHEMA_METRICS_MAX) {
        snprintf(more.name, sizeof more.name, "more_%zu", schema.count);
        assert_int_equal(schema_set(&schema, &more, NULL), FW_OK);
    }
    snprintf(more.name, sizeof more.name, "one_too_many");
    assert_int_equal(schema_set(&schema, &more, NULL), FW_ELIMIT);
    memset(more.name, 'x', sizeof more.name);
    assert_int_equal(schema_set(&schema, &more, NULL), FW_EINVAL);
}

static void test_take_over(void **state)
{
    (void)state;
    struct schema schema, fresh;
    struct schema_metric mine = {.name = "mine", .max = 10, .warning = NONE, .critical = NONE};
    schema_default(&schema);
    schema_default(&fresh);
    assert_int_equal(schema_set(&schema, &mine, NULL), FW_OK);
    snprintf(mine.name, sizeof mine.name, "other"); /* at the place that the first has here */
    mine.max = 20;
    assert_int_equal(schema_set(&fresh, &mine, NULL), FW_OK);
    fresh.metrics[METRIC_MEM_USED].warning = 70;
    snprintf(fresh.metrics[METRIC_MEM_USED].unit, SCHEMA_UNIT_MAX + 1, "percent");
    schema_take_over(&schema, &fresh);
    assert_int_equal(schema.count, METRIC_DEFAULT_COUNT + 1);
    CHECK_NEAR("taken over", schema.metrics[METRIC_MEM_USED].warning, 70, 0);
    CHECK_STR("with its unit", schema.metrics[METRIC_MEM_USED].unit, "percent");
    CHECK_STR("kept", schema.metrics[METRIC_DEFAULT_COUNT].name, "mine");
    CHECK_NEAR("as it was", schema.metrics[METRIC_DEFAULT_COUNT].max, 10, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_take_over),
    };
    return cmocka_run_group_tests_name("domain schema", tests, NULL, NULL);
}
