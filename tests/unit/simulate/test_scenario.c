/* The ramps of the reference's generator. */
#include "support.h"

#include "simulate/fleet.h"

#define MONDAY_MS 1767571200000
enum { SERVERS = 100 };

struct level {
    double cpu, mem, io; /* of the worst affected server */
};

static struct simulate_fleet *make(unsigned servers)
{
    struct simulate_options options;
    struct simulate_fleet *fleet;
    simulate_options_default(&options);
    options.servers = servers;
    options.incidents = 0;
    options.start_ms = MONDAY_MS;
    assert_int_equal(simulate_fleet_new(&options, &fleet, NULL), FW_OK);
    return fleet;
}

/* Makes `steps` steps; the means over `which` servers in the last one. */
static struct level run(struct simulate_fleet *fleet, int steps, const unsigned *which, size_t n)
{
    struct level mean = {0, 0, 0};
    for (int k = 0; k < steps; k++) {
        struct sample_batch *batch = batch_new();
        assert_int_equal(simulate_fleet_step(fleet, batch), FW_OK);
        for (size_t i = 0; i < n && k == steps - 1; i++) {
            const struct sample_value *v = &batch->values[batch->rows[which[i]].first_value];
            mean.cpu += (100.0 - (double)v[METRIC_CPU_IDLE].value) / (double)n;
            mean.mem += (double)v[METRIC_MEM_USED].value / (double)n;
            mean.io += (double)v[METRIC_CPU_IOWAIT].value / (double)n;
        }
        batch_free(batch);
    }
    return mean;
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        enum simulate_scenario scenario;
        unsigned affected;
        int steps;
        double cpu, mem, io;
    } rows[] = {
        {SIMULATE_DEGRADING, 20, 60, 75, 80, 18},
        {SIMULATE_CRITICAL,  25, 24, 90, 93, 35},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct simulate_fleet *fleet = make(SERVERS);
        struct simulate_state before, after;
        const char *name = simulate_scenario_name(rows[i].scenario);
        CHECK_EQ(name, simulate_fleet_set_scenario(fleet, rows[i].scenario), SIMULATE_HEALTHY);
        simulate_fleet_state(fleet, &before);
        CHECK_EQ(name, before.affected, rows[i].affected);
        const struct level half =
            run(fleet, rows[i].steps / 2, before.shown, SIMULATE_AFFECTED_SHOWN);
        const struct level full =
            run(fleet, rows[i].steps / 2 + 1, before.shown, SIMULATE_AFFECTED_SHOWN);
        CHECK_TRUE(name, half.io > rows[i].io / 3 && half.io < rows[i].io * 0.75);
        CHECK_NEAR(name, full.cpu, rows[i].cpu, 4);
        CHECK_NEAR(name, full.mem, rows[i].mem, 3);
        CHECK_NEAR(name, full.io, rows[i].io, 3);
        simulate_fleet_state(fleet, &after);
        CHECK_EQ(name, after.affected, rows[i].affected);
        CHECK_EQ(name, after.ticks, rows[i].steps + 1);
        simulate_fleet_free(fleet);
    }
}

static void test_escalation(void **state)
{
    (void)state;
    struct simulate_fleet *fleet = make(SERVERS);
    struct simulate_state degraded, critical;
    simulate_fleet_set_scenario(fleet, SIMULATE_DEGRADING);
    simulate_fleet_state(fleet, &degraded);
    const struct level before = run(fleet, 61, degraded.shown, SIMULATE_AFFECTED_SHOWN);
    simulate_fleet_set_scenario(fleet, SIMULATE_CRITICAL);
    simulate_fleet_state(fleet, &critical);
    CHECK_EQ("the same servers and some more", critical.affected, 25);
    const struct level first = run(fleet, 1, degraded.shown, SIMULATE_AFFECTED_SHOWN);
    CHECK_TRUE("no jump", fabs(first.cpu - before.cpu) < 5 && fabs(first.mem - before.mem) < 5);
    const struct level full = run(fleet, 12, degraded.shown, SIMULATE_AFFECTED_SHOWN);
    CHECK_NEAR("cpu", full.cpu, 92, 4);
    CHECK_NEAR("memory", full.mem, 95, 3);
    CHECK_NEAR("io", full.io, 40, 3);
    simulate_fleet_free(fleet);
}

static void test_cascade(void **state)
{
    (void)state;
    struct simulate_fleet *fleet = make(SERVERS);
    struct simulate_state now;
    simulate_fleet_set_scenario(fleet, SIMULATE_CASCADE);
    simulate_fleet_state(fleet, &now);
    CHECK_EQ("two begin", now.affected, 2);
    for (unsigned i = 0; i < 2; i++)
        CHECK_EQ("databases", simulate_fleet_profile(fleet, now.shown[i]), PROFILE_DATABASE);
    const unsigned first[2] = {now.shown[0], now.shown[1]};
    const struct level full = run(fleet, 25, first, 2);
    CHECK_NEAR("cpu", full.cpu, 95, 4);
    CHECK_NEAR("memory", full.mem, 92, 3);
    CHECK_NEAR("io", full.io, 45, 3);
    simulate_fleet_state(fleet, &now);
    CHECK_EQ("two more every third step", now.affected, 2 + 8 * 2);
    (void)run(fleet, 300, first, 2);
    simulate_fleet_state(fleet, &now);
    CHECK_EQ("up to half of the fleet", now.affected, 50);
    simulate_fleet_free(fleet);
}

static void test_recovery_and_labels(void **state)
{
    (void)state;
    struct simulate_fleet *fleet = make(SERVERS);
    struct simulate_state now;
    simulate_fleet_set_scenario(fleet, SIMULATE_CRITICAL);
    (void)run(fleet, 30, NULL, 0);
    CHECK_EQ("was critical", simulate_fleet_set_scenario(fleet, SIMULATE_HEALTHY),
             SIMULATE_CRITICAL);
    (void)run(fleet, 6, NULL, 0);
    simulate_fleet_state(fleet, &now);
    CHECK_EQ("recovering", now.affected, 25);
    (void)run(fleet, 7, NULL, 0);
    simulate_fleet_state(fleet, &now);
    CHECK_EQ("recovered", now.affected, 0);
    size_t count;
    const struct simulate_incident *labels = simulate_fleet_incidents(fleet, &count);
    CHECK_EQ("labels", count, 25);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ("kind", labels[i].kind, SIMULATE_SCENARIO);
        CHECK_EQ("from the first step", labels[i].start_ms, MONDAY_MS);
        CHECK_EQ("to the last one with an effect", labels[i].end_ms, MONDAY_MS + 40 * 300000);
    }
    simulate_fleet_free(fleet);
}

static void test_small_fleets(void **state)
{
    (void)state;
    for (unsigned servers = 1; servers < 5; servers++) {
        for (int s = 0; s < SIMULATE_SCENARIOS; s++) {
            struct simulate_fleet *fleet = make(servers);
            struct simulate_state now;
            simulate_fleet_set_scenario(fleet, (enum simulate_scenario)s);
            (void)run(fleet, 100, NULL, 0);
            simulate_fleet_state(fleet, &now);
            CHECK_TRUE(simulate_scenario_name((enum simulate_scenario)s),
                       s == SIMULATE_HEALTHY ? now.affected == 0
                                             : now.affected >= 1 && now.affected <= servers);
            simulate_fleet_free(fleet);
        }
    }
}

static void test_names(void **state)
{
    (void)state;
    enum simulate_scenario scenario;
    for (int s = 0; s < SIMULATE_SCENARIOS; s++) {
        assert_true(
            simulate_scenario_parse(simulate_scenario_name((enum simulate_scenario)s), &scenario));
        assert_int_equal(scenario, s);
    }
    assert_false(simulate_scenario_parse("Healthy", &scenario));
    assert_false(simulate_scenario_parse("", &scenario));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),      cmocka_unit_test(test_escalation),
        cmocka_unit_test(test_cascade),      cmocka_unit_test(test_recovery_and_labels),
        cmocka_unit_test(test_small_fleets), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
