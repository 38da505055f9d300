/* Incidents do what their labels say, when they say it. */
#include "support.h"

#include "simulate/fleet.h"

#define MONDAY_MS 1767571200000
enum { SERVER = 2, STEP_MS = 300000 };

static struct simulate_fleet *make(double incidents)
{
    struct simulate_options options;
    struct simulate_fleet *fleet;
    simulate_options_default(&options);
    options.incidents = incidents;
    options.start_ms = MONDAY_MS;
    assert_int_equal(simulate_fleet_new(&options, &fleet, NULL), FW_OK);
    return fleet;
}

static float step_value(struct simulate_fleet *fleet, enum metric_index metric)
{
    struct sample_batch *batch = batch_new();
    assert_int_equal(simulate_fleet_step(fleet, batch), FW_OK);
    const float value = batch->values[batch->rows[SERVER].first_value + metric].value;
    batch_free(batch);
    return value;
}

static void test_scripted(void **state)
{
    (void)state;
    static const struct {
        enum simulate_incident_kind kind;
        enum metric_index metric;
        double during_at_least, otherwise_at_most;
    } rows[] = {
        {SIMULATE_MEMORY_LEAK, METRIC_MEM_USED,        93, 80},
        {SIMULATE_DISK_FILL,   METRIC_DISK_USAGE,      93, 85},
        {SIMULATE_RETRY_STORM, METRIC_BACK_CLOSE_WAIT, 50, 25},
        {SIMULATE_RUNAWAY,     METRIC_CPU_USER,        60, 95},
        {SIMULATE_SLOW_DISK,   METRIC_CPU_IOWAIT,      15, 14},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct simulate_fleet *fleet = make(0);
        const char *name = simulate_incident_name(rows[i].kind);
        const int64_t start_ms = MONDAY_MS + 20 * STEP_MS;
        assert_int_equal(
            simulate_fleet_script(fleet, SERVER, rows[i].kind, start_ms, 48 * STEP_MS / 1000, 0),
            FW_OK);
        double peak = 0, otherwise = 0;
        for (int k = 0; k < 100; k++) {
            const double value = (double)step_value(fleet, rows[i].metric);
            if (k >= 20 && k < 68)
                peak = value > peak ? value : peak;
            else if (k < 20 || k > 90) /* what is left of it fades */
                otherwise = value > otherwise ? value : otherwise;
        }
        CHECK_TRUE(name, peak >= rows[i].during_at_least);
        CHECK_TRUE(name, otherwise <= rows[i].otherwise_at_most);
        size_t count;
        const struct simulate_incident *label = simulate_fleet_incidents(fleet, &count);
        CHECK_EQ(name, count, 1);
        CHECK_EQ(name, label->server, SERVER);
        CHECK_EQ(name, label->kind, rows[i].kind);
        CHECK_EQ(name, label->start_ms, start_ms);
        CHECK_EQ(name, label->end_ms, start_ms + 47 * STEP_MS);
        CHECK_TRUE(name, (label->metrics >> rows[i].metric & 1u) != 0);
        simulate_fleet_free(fleet);
    }
}

/* A leak rises steadily: that is what makes it one that can be seen coming. */
static void test_leak_is_gradual(void **state)
{
    (void)state;
    struct simulate_fleet *fleet = make(0);
    assert_int_equal(
        simulate_fleet_script(fleet, SERVER, SIMULATE_DISK_FILL, MONDAY_MS + STEP_MS, 100 * 300, 0),
        FW_OK);
    double last = (double)step_value(fleet, METRIC_DISK_USAGE), largest = 0;
    for (int k = 0; k < 80; k++) {
        const double now = (double)step_value(fleet, METRIC_DISK_USAGE);
        CHECK_TRUE("never falls by more than a rotation", now >= last - 0.6);
        largest = now - last > largest ? now - last : largest;
        last = now;
    }
    CHECK_TRUE("in small steps", largest < 1.2);
    CHECK_TRUE("and full in the end", last > 93);
    simulate_fleet_free(fleet);
}

static void test_chance(void **state)
{
    (void)state;
    struct simulate_fleet *fleet = make(5);
    const int steps = 288 * 30;
    for (int k = 0; k < steps; k++)
        (void)step_value(fleet, METRIC_CPU_USER);
    size_t count, kinds[SIMULATE_INCIDENTS] = {0};
    const struct simulate_incident *labels = simulate_fleet_incidents(fleet, &count);
    for (size_t i = 0; i < count; i++) {
        kinds[labels[i].kind]++;
        CHECK_TRUE("starts ascend", i == 0 || labels[i].start_ms >= labels[i - 1].start_ms);
        CHECK_TRUE("ends behind the start", labels[i].end_ms >= labels[i].start_ms);
        CHECK_TRUE("on the grid", (labels[i].start_ms - MONDAY_MS) % STEP_MS == 0);
        CHECK_TRUE("a server", labels[i].server < 25);
        for (size_t k = 0; k < i; k++)
            if (labels[k].server == labels[i].server && labels[i].kind < SIMULATE_NEIGHBOUR &&
                labels[k].kind < SIMULATE_NEIGHBOUR)
                CHECK_TRUE("one at a time", labels[k].end_ms < labels[i].start_ms);
    }
    for (int k = 0; k <= SIMULATE_NEIGHBOUR; k++)
        CHECK_TRUE(simulate_incident_name((enum simulate_incident_kind)k), kinds[k] > 5);
    CHECK_EQ("no scenario", kinds[SIMULATE_SCENARIO], 0);
    simulate_fleet_free(fleet);
}

static void test_none(void **state)
{
    (void)state;
    struct simulate_fleet *fleet = make(0);
    size_t count;
    for (int k = 0; k < 288 * 3; k++)
        (void)step_value(fleet, METRIC_CPU_USER);
    simulate_fleet_incidents(fleet, &count);
    CHECK_EQ("incidents at rate 0", count, 0);
    for (int i = 0; i < 16; i++)
        assert_int_equal(simulate_fleet_script(fleet, 0, SIMULATE_RUNAWAY, INT64_MAX / 2, 600, 0),
                         FW_OK);
    assert_int_equal(simulate_fleet_script(fleet, 0, SIMULATE_RUNAWAY, INT64_MAX / 2, 600, 0),
                     FW_ELIMIT);
    simulate_fleet_free(fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scripted),
                                       cmocka_unit_test(test_leak_is_gradual),
                                       cmocka_unit_test(test_chance), cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
