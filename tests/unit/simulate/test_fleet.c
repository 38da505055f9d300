/* Every row of a simulated fleet is one that a daemon would believe, and the same options give the
 * same fleet. */
#include "support.h"

#include "base/hash.h"
#include "simulate/fleet.h"
#include "simulate/profile.h"

#define MONDAY_MS 1767571200000 /* 2026-01-05T00:00:00Z */

static struct simulate_fleet *make(unsigned servers, uint64_t seed, double incidents)
{
    struct simulate_options options;
    struct simulate_fleet *fleet;
    simulate_options_default(&options);
    options.servers = servers;
    options.seed = seed;
    options.incidents = incidents;
    options.start_ms = MONDAY_MS;
    assert_int_equal(simulate_fleet_new(&options, &fleet, NULL), FW_OK);
    return fleet;
}

static struct sample_batch *step(struct simulate_fleet *fleet)
{
    struct sample_batch *batch = batch_new();
    assert_non_null(batch);
    assert_int_equal(simulate_fleet_step(fleet, batch), FW_OK);
    return batch;
}

static uint64_t fingerprint(struct simulate_fleet *fleet, int steps)
{
    uint64_t sum = 0;
    for (int i = 0; i < steps; i++) {
        struct sample_batch *batch = step(fleet);
        for (size_t v = 0; v < batch->value_count; v++)
            sum = sum * 31 + fw_hash_stable(&batch->values[v].value, sizeof(float));
        for (size_t r = 0; r < batch->row_count; r++)
            sum = sum * 31 + batch->rows[r].status;
        batch_free(batch);
    }
    return sum;
}

static void test_same_options_same_fleet(void **state)
{
    (void)state;
    struct simulate_fleet *a = make(25, 7, 1), *b = make(25, 7, 1), *c = make(25, 8, 1);
    const uint64_t of_a = fingerprint(a, 600);
    assert_true(of_a == fingerprint(b, 600));
    assert_true(of_a != fingerprint(c, 600));
    simulate_fleet_free(a);
    simulate_fleet_free(b);
    simulate_fleet_free(c);
}

/* A scenario on other servers, or an incident of another, must not move a server's own numbers. */
static void test_streams_are_apart(void **state)
{
    (void)state;
    struct simulate_fleet *a = make(10, 3, 0), *b = make(10, 3, 0);
    assert_int_equal(simulate_fleet_script(b, 0, SIMULATE_RUNAWAY, MONDAY_MS, 7200, 0), FW_OK);
    for (int i = 0; i < 50; i++) {
        struct sample_batch *x = step(a), *y = step(b);
        CHECK_EQ("values", x->value_count, y->value_count);
        for (size_t v = METRIC_CANONICAL_COUNT; v < x->value_count; v++)
            CHECK_NEAR("an untouched server", x->values[v].value, y->values[v].value, 0);
        batch_free(x);
        batch_free(y);
    }
    simulate_fleet_free(a);
    simulate_fleet_free(b);
}

static void check_row(const struct schema *schema, const struct sample_batch *batch, size_t r)
{
    const struct sample_row *row = &batch->rows[r];
    const char *name = batch->names[row->name].text;
    double shares = 0;
    CHECK_EQ(name, row->value_count, METRIC_CANONICAL_COUNT);
    CHECK_TRUE(name, row->status > STATUS_UNKNOWN && row->status < STATUS_COUNT);
    for (int m = 0; m < METRIC_CANONICAL_COUNT; m++) {
        const struct sample_value *v = &batch->values[row->first_value + (size_t)m];
        const struct schema_metric *metric = &schema->metrics[m];
        CHECK_EQ(metric->name, v->metric, m);
        CHECK_TRUE(metric->name, isfinite(v->value) && (double)v->value >= metric->min &&
                                     (double)v->value <= metric->max);
        if (metric->integer || m == METRIC_UPTIME_DAYS)
            CHECK_NEAR(metric->name, v->value, floor((double)v->value), 0);
        if (m <= METRIC_CPU_IDLE)
            shares += (double)v->value;
    }
    CHECK_TRUE("CPU shares", shares <= 100.0005 && shares > 60);
}

static void test_rows_are_whole(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double incidents;
        enum simulate_scenario scenario;
    } rows[] = {
        {"quiet",              0,  SIMULATE_HEALTHY },
        {"trouble everywhere", 60, SIMULATE_HEALTHY },
        {"critical",           5,  SIMULATE_CRITICAL},
        {"cascade",            5,  SIMULATE_CASCADE },
    };
    struct schema schema;
    schema_default(&schema);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct simulate_fleet *fleet = make(40, 11 + i, rows[i].incidents);
        simulate_fleet_set_scenario(fleet, rows[i].scenario);
        for (int k = 0; k < 8 * 288; k++) {
            struct sample_batch *batch = step(fleet);
            CHECK_EQ(rows[i].name, batch->row_count, 40);
            for (size_t r = 0; r < batch->row_count; r++) {
                CHECK_EQ("time", batch->rows[r].time_ms, MONDAY_MS + (int64_t)k * 300000);
                check_row(&schema, batch, r);
            }
            batch_free(batch);
        }
        simulate_fleet_free(fleet);
    }
}

static void test_mix_and_names(void **state)
{
    (void)state;
    static const struct {
        enum profile profile;
        unsigned of_100, of_25;
        const char *first;
    } rows[] = {
        {PROFILE_WEB_API,        28, 7, "ppweb001" },
        {PROFILE_ML_COMPUTE,     22, 6, "ppml0001" },
        {PROFILE_DATABASE,       17, 4, "ppdb001"  },
        {PROFILE_DATA_INGEST,    11, 3, "ppetl001" },
        {PROFILE_RISK_ANALYTICS, 9,  2, "pprisk001"},
        {PROFILE_GENERIC,        7,  2, "ppgen001" },
        {PROFILE_CONDUCTOR_MGMT, 6,  1, "ppcon01"  },
    };
    struct simulate_fleet *fleet = make(100, 1, 0);
    struct profile_rules rules;
    unsigned counts[PROFILE_COUNT];
    profile_rules_default(&rules);
    simulate_profile_mix(25, counts);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned n = 0;
        for (unsigned s = 0; s < 100; s++)
            n += simulate_fleet_profile(fleet, s) == rows[i].profile;
        const unsigned first = simulate_fleet_first_of(fleet, rows[i].profile);
        CHECK_EQ(rows[i].first, n, rows[i].of_100);
        CHECK_EQ(rows[i].first, counts[rows[i].profile], rows[i].of_25);
        CHECK_STR("first name", simulate_fleet_name(fleet, first), rows[i].first);
        CHECK_EQ("the daemon's rules agree", profile_resolve(&rules, rows[i].first),
                 rows[i].profile);
    }
    simulate_fleet_free(fleet);
    for (unsigned servers = 1; servers < 60; servers++) {
        unsigned total = 0;
        simulate_profile_mix(servers, counts);
        for (int p = 0; p < PROFILE_COUNT; p++)
            total += counts[p];
        CHECK_EQ("nobody is lost", total, servers);
    }
}

/* Mean of a metric over servers of a profile, for steps of one hour of day. */
static double mean_at(enum profile profile, int day, int hour, enum metric_index metric)
{
    struct simulate_fleet *fleet = make(100, 5, 0);
    double sum = 0, n = 0;
    for (int k = 0; k < 288 * 7; k++) {
        struct sample_batch *batch = step(fleet);
        for (unsigned s = 0; s < 100 && k / 288 == day && k % 288 / 12 == hour; s++) {
            if (simulate_fleet_profile(fleet, s) == profile) {
                sum += (double)batch->values[s * METRIC_CANONICAL_COUNT + metric].value;
                n++;
            }
        }
        batch_free(batch);
    }
    simulate_fleet_free(fleet);
    return sum / n;
}

static void test_rhythms(void **state)
{
    (void)state;
    const double noon = mean_at(PROFILE_WEB_API, 1, 15, METRIC_CPU_USER);
    const double night = mean_at(PROFILE_WEB_API, 1, 4, METRIC_CPU_USER);
    const double sunday = mean_at(PROFILE_WEB_API, 6, 15, METRIC_CPU_USER);
    CHECK_TRUE("web: days are busier than nights", noon > 2 * night);
    CHECK_TRUE("web: weekdays are busier than Sundays", noon > 1.3 * sunday);
    CHECK_TRUE("ingest: nights are busier than days",
               mean_at(PROFILE_DATA_INGEST, 1, 3, METRIC_CPU_USER) >
                   1.3 * mean_at(PROFILE_DATA_INGEST, 1, 13, METRIC_CPU_USER));
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned servers;
        uint32_t step_s;
        double incidents;
        int64_t start_ms;
    } rows[] = {
        {"no server",          0,                        300,  1,           0 },
        {"too many",           SIMULATE_SERVERS_MAX + 1, 300,  1,           0 },
        {"no step",            1,                        0,    1,           0 },
        {"too long a step",    1,                        3601, 1,           0 },
        {"negative incidents", 1,                        300,  -1,          0 },
        {"NaN incidents",      1,                        300,  (double)NAN, 0 },
        {"before 1970",        1,                        300,  1,           -1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct simulate_fleet *fleet;
        const struct simulate_options options = {.servers = rows[i].servers,
                                                 .step_s = rows[i].step_s,
                                                 .incidents = rows[i].incidents,
                                                 .start_ms = rows[i].start_ms};
        CHECK_EQ(rows[i].name, simulate_fleet_new(&options, &fleet, NULL), FW_EINVAL);
    }
}

/* Labels say where the truth is: a rack is what a noisy neighbour takes at once. */
static void test_labels(void **state)
{
    (void)state;
    struct simulate_fleet *fleet = make(400, 5, 20);
    for (int i = 0; i < 300; i++)
        batch_free(step(fleet));
    size_t count, pairs = 0;
    const struct simulate_incident *all = simulate_fleet_incidents(fleet, &count);
    struct label_set a, b;
    for (size_t i = 1; i < count; i++) {
        simulate_fleet_labels(fleet, all[i - 1].server, &a);
        simulate_fleet_labels(fleet, all[i].server, &b);
        assert_int_equal(a.count, 3);
        const bool same = strcmp(label_set_get(&a, "rack"), label_set_get(&b, "rack")) == 0;
        assert_true(!same ||
                    strcmp(label_set_get(&a, "datacenter"), label_set_get(&b, "datacenter")) == 0);
        pairs += same && all[i].kind == SIMULATE_NEIGHBOUR &&
                 all[i - 1].kind == SIMULATE_NEIGHBOUR && all[i].start_ms == all[i - 1].start_ms;
    }
    assert_true(pairs > 10);
    simulate_fleet_labels(fleet, simulate_fleet_first_of(fleet, PROFILE_DATABASE), &a);
    CHECK_STR("role", label_set_get(&a, "role"), "database");
    simulate_fleet_free(fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_options_same_fleet),
        cmocka_unit_test(test_streams_are_apart),
        cmocka_unit_test(test_rows_are_whole),
        cmocka_unit_test(test_mix_and_names),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_rhythms),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
