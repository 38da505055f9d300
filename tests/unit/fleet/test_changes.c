/* What the long history is told of the windows. */
#include "fleet_fixture.h"

#include "fleet/changes.h"
#include "fleet/snapshot.h"

#include <unistd.h>

enum { STEP_S = 60, WINDOW = 300 };
#define STEP_MS (INT64_C(1000) * STEP_S)
#define NOW_STEP (T0 / STEP_MS)

static void test_oldest_change(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 4);
    CHECK_TRUE("nobody there", fleet_changes_take(f.fleet, 0) == FLEET_UNCHANGED);
    CHECK_TRUE("nowhere", fleet_changes_take(f.fleet, 1000) == FLEET_UNCHANGED);
    add(&f, "a", T0, METRIC_CPU_USER, 1.0f);
    add(&f, "b", T0 - 5 * STEP_MS, METRIC_CPU_USER, 1.0f);
    flush(&f);
    add(&f, "a", T0 - 20 * STEP_MS, METRIC_CPU_USER, 1.0f);
    add(&f, "a", T0 - 10 * STEP_MS, METRIC_CPU_USER, 1.0f);
    flush(&f);
    const size_t a = (size_t)fleet_find(f.fleet, "a", 1), b = (size_t)fleet_find(f.fleet, "b", 1);
    CHECK_EQ("the oldest of three", fleet_changes_take(f.fleet, a), NOW_STEP - 20);
    CHECK_TRUE("taken", fleet_changes_take(f.fleet, a) == FLEET_UNCHANGED);
    CHECK_EQ("each server for itself", fleet_changes_take(f.fleet, b), NOW_STEP - 5);
    add(&f, "a", T0 - 3 * STEP_MS, METRIC_CPU_USER, 2.0f);
    flush(&f);
    fleet_changes_put(f.fleet, a, NOW_STEP - 7);
    CHECK_EQ("given back, older", fleet_changes_take(f.fleet, a), NOW_STEP - 7);
    fleet_changes_put(f.fleet, a, NOW_STEP - 7);
    fleet_changes_put(f.fleet, a, NOW_STEP - 1);
    CHECK_EQ("given back, newer", fleet_changes_take(f.fleet, a), NOW_STEP - 7);
    fleet_changes_put(f.fleet, 1000, 1); /* nowhere */
    fixture_fini(&f);
}

static void test_forgotten_and_taken_anew(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 1);
    add(&f, "a", T0 - 50 * STEP_MS, METRIC_CPU_USER, 1.0f);
    flush(&f);
    fw_clock_fake_advance_ms(&f.clock, f.options.expire_ms + 1000);
    assert_int_equal(fleet_expire(f.fleet), 1);
    CHECK_TRUE("gone", fleet_changes_take(f.fleet, 0) == FLEET_UNCHANGED);
    const int64_t now_ms = T0 + f.options.expire_ms;
    add(&f, "b", now_ms, METRIC_CPU_USER, 1.0f);
    flush(&f);
    CHECK_EQ("another's", fleet_changes_take(f.fleet, 0), now_ms / STEP_MS);
    fixture_fini(&f);
}

static void test_all_is_news_after_a_start(void **state)
{
    (void)state;
    char directory[] = "/tmp/fw-changes-XXXXXX", command[64];
    struct fixture f, g;
    assert_non_null(mkdtemp(directory));
    fixture_init(&f, STEP_S, WINDOW, 4);
    add(&f, "a", T0, METRIC_CPU_USER, 1.0f);
    flush(&f);
    (void)fleet_changes_take(f.fleet, 0);
    assert_int_equal(fleet_snapshot_write(f.fleet, directory, NULL, NULL, NULL), FW_OK);
    fixture_init(&g, STEP_S, WINDOW, 4);
    assert_int_equal(fleet_snapshot_load(g.fleet, directory, NULL, NULL, 1, NULL, NULL), FW_OK);
    CHECK_EQ("all of it", fleet_changes_take(g.fleet, 0), 0);
    fixture_fini(&f);
    fixture_fini(&g);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_change),
        cmocka_unit_test(test_forgotten_and_taken_anew),
        cmocka_unit_test(test_all_is_news_after_a_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
