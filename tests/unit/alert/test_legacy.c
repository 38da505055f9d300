/* The reference's own list of alerts: the vectors of the API contract, section 17. */
#include "unit/risk/build_forecast.h"

#include "alert/alert.h"

#include "support.h"

static struct schema schema;

static int setup(void **state)
{
    (void)state;
    schema_default(&schema);
    return 0;
}

static struct forecast *of_steps(int metric, const double *p50, size_t n, double rest)
{
    struct forecast *f = build_forecast("a", 1);
    struct forecast_path *path = build_flat(f, metric, rest);
    for (size_t i = 0; i < n; i++)
        path->p50[i] = (float)p50[i];
    return f;
}

static const double disk_steps[] = {84, 85, 94.99, 95, 96, 0};

static void test_disk_per_step(void **state)
{
    (void)state;
    static const struct alert_legacy_item expected[] = {
        {METRIC_DISK_USAGE, ALERT_CRITICAL, 95.0f,  95, 4},
        {METRIC_DISK_USAGE, ALERT_CRITICAL, 96.0f,  95, 5},
        {METRIC_DISK_USAGE, ALERT_WARNING,  85.0f,  85, 2},
        {METRIC_DISK_USAGE, ALERT_WARNING,  94.99f, 85, 3},
    };
    struct forecast *f = of_steps(METRIC_DISK_USAGE, disk_steps, COUNT_OF(disk_steps), 0);
    struct alert_legacy_item items[ALERT_LEGACY_ITEMS_MAX];
    CHECK_EQ("items", alert_legacy_items(&schema, f, true, items, COUNT_OF(items)), 4);
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ("metric", items[i].metric, expected[i].metric);
        CHECK_EQ("severity", items[i].severity, expected[i].severity);
        CHECK_EQ("step", items[i].steps_ahead, expected[i].steps_ahead);
        CHECK_NEAR("value", items[i].predicted, expected[i].predicted, 1e-6);
        CHECK_NEAR("threshold", items[i].threshold, expected[i].threshold, 1e-6);
    }
    CHECK_EQ("cut at cap", alert_legacy_items(&schema, f, true, items, 1), 1);
    fw_free(f);
}

static void test_iowait_per_step(void **state)
{
    (void)state;
    const double steps[] = {19.9, 19.9, 19.9, 19.9, 19.9, 19.9, 20, 20, 20, 20, 20, 20};
    struct forecast *f = of_steps(METRIC_CPU_IOWAIT, steps, COUNT_OF(steps), 99);
    struct alert_legacy_item items[ALERT_LEGACY_ITEMS_MAX];
    CHECK_EQ("step 13 is not looked at",
             alert_legacy_items(&schema, f, true, items, COUNT_OF(items)), 6);
    for (size_t i = 0; i < 6; i++) {
        CHECK_EQ("severity", items[i].severity, ALERT_WARNING);
        CHECK_EQ("step", items[i].steps_ahead, 7 + i);
    }
    CHECK_EQ("merged", alert_legacy_items(&schema, f, false, items, COUNT_OF(items)), 1);
    CHECK_EQ("merged: first step", items[0].steps_ahead, 7);
    fw_free(f);
}

static void test_merged_and_sorted(void **state)
{
    (void)state;
    struct forecast *f = build_forecast("a", 3);
    build_flat(f, METRIC_CPU_IOWAIT, 21);
    build_flat(f, METRIC_CPU_IDLE, 0); /* not of the reference's five */
    struct forecast_path *disk = build_flat(f, METRIC_DISK_USAGE, 0);
    for (size_t i = 0; i < COUNT_OF(disk_steps); i++)
        disk->p50[i] = (float)disk_steps[i];
    struct alert_legacy_item items[ALERT_LEGACY_ITEMS_MAX];
    CHECK_EQ("one a metric", alert_legacy_items(&schema, f, false, items, COUNT_OF(items)), 2);
    CHECK_EQ("critical first", items[0].metric, METRIC_DISK_USAGE);
    CHECK_EQ("first crossing of the worst severity", items[0].steps_ahead, 4);
    CHECK_NEAR("its value", items[0].predicted, 95.0, 1e-6);
    CHECK_EQ("then the warning", items[1].metric, METRIC_CPU_IOWAIT);
    CHECK_EQ("full", alert_legacy_items(&schema, f, true, items, COUNT_OF(items)), 16);
    CHECK_EQ("nothing", alert_legacy_items(&schema, f, true, items, 0), 0);
    fw_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_disk_per_step, setup),
        cmocka_unit_test_setup(test_iowait_per_step, setup),
        cmocka_unit_test_setup(test_merged_and_sorted, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
