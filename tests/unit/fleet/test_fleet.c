/* Servers, limits, clocks that jump, steps with many samples, memory that runs out. */
#include "fleet_fixture.h"

#include "base/alloc.h"
#include <stdatomic.h>

static const int64_t minute_ms = 60000;
static const int64_t year_ms = INT64_C(365) * 86400 * 1000;

/* ---- admission ---- */

static void test_time_limits(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t ahead_ms;
        enum batch_reason reason;
    } rows[] = {
        {"now",                    0,                          BATCH_OK       },
        {"the skew",               300000,                     BATCH_OK       },
        {"past the skew",          300001,                     BATCH_IN_FUTURE},
        {"a year ahead",           INT64_C(31536000000),       BATCH_IN_FUTURE},
        {"the oldest step",        -(int64_t)863 * 300000,     BATCH_OK       },
        {"before the oldest step", -(int64_t)863 * 300000 - 1, BATCH_TOO_OLD  },
        {"a year ago",             -INT64_C(31536000000),      BATCH_TOO_OLD  },
        {"1970",                   -T0,                        BATCH_TOO_OLD  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        fixture_init(&f, 300, 864, 10);
        add(&f, "s", T0 + rows[i].ahead_ms, METRIC_CPU_USER, 1);
        add(&f, "good", T0, METRIC_CPU_USER, 2);
        assert_int_equal(fleet_admit(f.fleet, f.batch), FW_OK);
        CHECK_EQ(rows[i].name, f.batch->rejected[rows[i].reason], rows[i].reason != BATCH_OK);
        CHECK_EQ(rows[i].name, f.batch->row_count, 2 - (rows[i].reason != BATCH_OK));
        CHECK_EQ(rows[i].name, f.batch->received_ms, T0);
        if (rows[i].reason != BATCH_OK)
            CHECK_STR(rows[i].name, f.batch->errors[0].field, "timestamp");
        assert_int_equal(fleet_apply(f.fleet, f.batch, 1, &f.applied), FW_OK);
        CHECK_NEAR(rows[i].name, value_at(&f, "good", T0, METRIC_CPU_USER), 2, 0);
        CHECK_EQ(rows[i].name, fleet_find(f.fleet, "s", 1) >= 0, rows[i].reason == BATCH_OK);
        fixture_fini(&f);
    }
}

/* With short steps the skew covers many of them: a sample from there must leave the present alone,
 * before and after it. */
static void test_near_future_evicts_nothing(void **state)
{
    (void)state;
    static const uint32_t step_s[] = {1, 5, 60, 300};
    for (size_t k = 0; k < COUNT_OF(step_s); k++) {
        struct fixture f;
        fixture_init(&f, step_s[k], 300, 10);
        const int64_t step_ms = (int64_t)step_s[k] * 1000;
        const int64_t quarter_ms = 75 * step_ms;
        const int64_t skew_ms = quarter_ms < 300000 ? quarter_ms : 300000;
        for (int i = 0; i < 200; i++)
            add(&f, "s", T0 - i * step_ms, METRIC_CPU_USER, (float)(i % 100));
        add(&f, "s", T0 + skew_ms, METRIC_CPU_USER, 99);
        add(&f, "s", T0 + skew_ms + 1, METRIC_CPU_USER, 99);
        flush(&f);
        assert_int_equal(f.applied.samples, 201);
        add(&f, "s", T0 - 250 * step_ms, METRIC_LOAD_AVERAGE, 3); /* behind the view now, or not */
        add(&f, "s", T0 + step_ms / 2, METRIC_LOAD_AVERAGE, 7);
        flush(&f);
        assert_int_equal(f.applied.samples, 2);
        for (int i = 0; i < 200; i++)
            CHECK_NEAR("present", value_at(&f, "s", T0 - i * step_ms, METRIC_CPU_USER), i % 100, 0);
        CHECK_NEAR("present goes on", value_at(&f, "s", T0, METRIC_LOAD_AVERAGE), 7, 0);
        fixture_fini(&f);
    }
}

static void test_server_limit(void **state)
{
    (void)state;
    struct fixture f;
    char name[32];
    fixture_init(&f, 300, 300, 100);
    for (int i = 0; i < 250; i++) {
        snprintf(name, sizeof name, "s%d", i);
        add(&f, name, T0, METRIC_CPU_USER, 1);
        add(&f, name, T0, METRIC_MEM_USED, 1);
    }
    assert_int_equal(fleet_admit(f.fleet, f.batch), FW_OK);
    assert_int_equal(f.batch->rejected[BATCH_SERVER_LIMIT], 300);
    assert_int_equal(f.batch->row_count, 200);
    assert_string_equal(f.batch->errors[0].server_name, "s100");
    assert_int_equal(fleet_apply(f.fleet, f.batch, 1, &f.applied), FW_OK);
    struct fleet_counts before, after;
    fleet_counts(f.fleet, &before);
    assert_int_equal(before.servers, 100);
    /* A flood of names costs nothing but their refusal, and the old ones stay. */
    for (int i = 0; i < 20000; i++) {
        batch_reset(f.batch);
        for (int k = 0; k < 10; k++) {
            snprintf(name, sizeof name, "flood-%d-%d", i, k);
            add(&f, name, T0, METRIC_CPU_USER, 1);
        }
        assert_int_equal(fleet_admit(f.fleet, f.batch), FW_OK);
        assert_int_equal(f.batch->row_count, 0);
        assert_int_equal(f.batch->rejected[BATCH_SERVER_LIMIT], 10);
    }
    fleet_counts(f.fleet, &after);
    assert_int_equal(after.bytes, before.bytes);
    assert_int_equal(fleet_slots(f.fleet), 100);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_true(fleet_find(f.fleet, name, strlen(name)) >= 0);
    }
    fixture_fini(&f);
}

/* A name whose rows are all refused gets no place. */
static void test_refused_names_take_no_place(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 300, 300, 1);
    add(&f, "old", T0 - year_ms, METRIC_CPU_USER, 1);
    add(&f, "good", T0, METRIC_CPU_USER, 1);
    flush(&f);
    assert_true(fleet_find(f.fleet, "good", 4) >= 0);
    assert_true(fleet_find(f.fleet, "old", 3) < 0);
    assert_true(fleet_find(f.fleet, "", 0) < 0);
    fixture_fini(&f);
}

/* ---- steps ---- */

static void test_samples_of_one_step(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int n;
        struct {
            int at_s;
            float value;
        } sent[6];
        double mean;
        size_t samples, duplicates, overwritten;
    } rows[] = {
        {"one",                     1, {{0, 5}},                             5,   1, 0, 0},
        {"same again",              2, {{7, 5}, {7, 5}},                     5,   1, 1, 0},
        {"same time, other",        2, {{7, 5}, {7, 9}},                     9,   1, 0, 1},
        {"two",                     2, {{0, 4}, {60, 8}},                    6,   2, 0, 0},
        {"two backwards",           2, {{60, 8}, {0, 4}},                    6,   2, 0, 0},
        {"three, one twice",        4, {{0, 3}, {60, 6}, {120, 9}, {60, 6}}, 6,   3, 1, 0},
        {"overwritten in the mean", 3, {{0, 3}, {60, 6}, {0, 10}},           8,   2, 0, 1},
        {"overwritten and back",    4, {{0, 3}, {60, 6}, {0, 10}, {0, 3}},   4.5, 2, 0, 2},
        {"last millisecond",        2, {{299, 1}, {0, 3}},                   2,   2, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        fixture_init(&f, 300, 300, 10);
        for (int k = 0; k < rows[i].n; k++)
            add(&f, "s", T0 + rows[i].sent[k].at_s * 1000 - 600000, METRIC_CPU_USER,
                rows[i].sent[k].value);
        flush(&f);
        CHECK_NEAR(rows[i].name, value_at(&f, "s", T0 - 600000, METRIC_CPU_USER), rows[i].mean,
                   1e-6);
        CHECK_EQ(rows[i].name, f.applied.samples, rows[i].samples);
        CHECK_EQ(rows[i].name, f.applied.duplicates, rows[i].duplicates);
        CHECK_EQ(rows[i].name, f.applied.overwritten, rows[i].overwritten);
        fixture_fini(&f);
    }
}

/* Records of one moment that name different metrics are one sample. */
static void test_metrics_arrive_apart(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 300, 300, 10);
    for (int minute = 0; minute < 5; minute++)
        for (int m = 0; m < 4; m++)
            add(&f, "s", T0 + minute * minute_ms - 300000, m, (float)(10 * m + minute));
    flush(&f);
    assert_int_equal(f.applied.samples, 20);
    for (int m = 0; m < 4; m++)
        CHECK_NEAR("mean", value_at(&f, "s", T0 - 300000, m), 10 * m + 2, 1e-6);
    struct fleet_server server;
    assert_true(fleet_read_server(f.fleet, 0, &server));
    assert_int_equal(server.metrics, 0xf);
    assert_int_equal(server.steps_held, 1);
    fixture_fini(&f);
}

/* A sample a second: beyond 64 the step folds, exact as long as they come in order. */
static void test_dense_step(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 300, 300, 10);
    double sum = 0;
    for (int s = 0; s < 300; s++) {
        const float value = (float)(s * 37 % 101);
        sum += (double)value;
        add(&f, "s", T0 - 300000 + s * 1000, METRIC_CPU_USER, value);
        if (s % 2 == 0) /* a metric that comes half as often keeps its own count */
            add(&f, "s", T0 - 300000 + s * 1000, METRIC_MEM_USED, value / 2);
    }
    flush(&f);
    assert_int_equal(f.applied.samples, 450);
    CHECK_NEAR("mean", value_at(&f, "s", T0 - 300000, METRIC_CPU_USER), sum / 300, 1e-5);
    double half = 0;
    for (int s = 0; s < 300; s += 2)
        half += s * 37 % 101 / 2.0;
    CHECK_NEAR("mean of the half", value_at(&f, "s", T0 - 300000, METRIC_MEM_USED), half / 150,
               1e-5);
    add(&f, "s", T0 - 300000 + 5000, METRIC_CPU_USER, 99);
    add(&f, "s", T0 - 300000 + 299000, METRIC_CPU_USER, 99);
    add(&f, "s", T0 - 300000 + 299000, METRIC_MEM_USED, 99); /* new for this metric */
    flush(&f);
    assert_int_equal(f.applied.sealed, 2);
    assert_int_equal(f.applied.samples, 1);
    CHECK_NEAR("mean as before", value_at(&f, "s", T0 - 300000, METRIC_CPU_USER), sum / 300, 1e-5);
    /* A metric that the folded step has never had. */
    add(&f, "s", T0 - 300000, METRIC_LOAD_AVERAGE, 4);
    flush(&f);
    CHECK_NEAR("new metric", value_at(&f, "s", T0 - 300000, METRIC_LOAD_AVERAGE), 4, 0);
    fixture_fini(&f);
}

static void test_sealed_step(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 300, 300, 10);
    const int64_t old_ms = T0 - 100 * 300000;
    add(&f, "s", old_ms, METRIC_CPU_USER, 10);
    add(&f, "s", old_ms + minute_ms, METRIC_CPU_USER, 20);
    for (int k = 1; k <= 8; k++) { /* eight more steps with two times each */
        add(&f, "s", old_ms + k * 300000, METRIC_CPU_USER, 1);
        add(&f, "s", old_ms + k * 300000 + 1, METRIC_CPU_USER, 3);
    }
    flush(&f);
    CHECK_NEAR("mean", value_at(&f, "s", old_ms, METRIC_CPU_USER), 15, 0);
    add(&f, "s", old_ms, METRIC_CPU_USER, 10); /* even the same: it cannot be told any more */
    add(&f, "s", old_ms + 30000, METRIC_CPU_USER, 90);
    add(&f, "s", old_ms + minute_ms, METRIC_CPU_USER, 90);
    flush(&f);
    assert_int_equal(f.applied.sealed, 3);
    assert_int_equal(f.applied.samples, 0);
    CHECK_NEAR("mean as before", value_at(&f, "s", old_ms, METRIC_CPU_USER), 15, 0);
    add(&f, "s", old_ms + 2 * minute_ms, METRIC_CPU_USER, 30);
    flush(&f);
    assert_int_equal(f.applied.samples, 1);
    CHECK_NEAR("newer joins", value_at(&f, "s", old_ms, METRIC_CPU_USER), 20, 1e-6);
    CHECK_NEAR("others stay", value_at(&f, "s", old_ms + 300000, METRIC_CPU_USER), 2, 0);
    fixture_fini(&f);
}

static void test_statuses_and_profiles(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 300, 300, 10);
    const struct sample_value v = {METRIC_CPU_USER, 1};
    add_row(&f, "ppdb001", T0 - 600000, STATUS_IDLE, &v, 1);
    add_row(&f, "ppdb001", T0 - 300000, STATUS_HEALTHY, &v, 1);
    add_row(&f, "ppdb001", T0 - 300000 + minute_ms, STATUS_CRITICAL_ISSUE, &v, 1);
    add_row(&f, "ppdb001", T0 - 300000 + 2 * minute_ms, STATUS_UNKNOWN, &v, 1);
    add_row(&f, "ppdb001", T0 - 300000 + minute_ms / 2, STATUS_RECOVERY, &v, 1);
    flush(&f);
    struct fleet_server server;
    assert_true(fleet_read_server(f.fleet, 0, &server));
    assert_int_equal(server.status, STATUS_CRITICAL_ISSUE);
    assert_int_equal(server.profile, PROFILE_DATABASE);
    assert_int_equal(server.last_seen_ms, T0 - 300000 + 2 * minute_ms);
    assert_int_equal(server.first_seen_ms, T0);
    static float values[METRIC_DEFAULT_COUNT * 3];
    uint8_t statuses[3];
    uint32_t offsets[3];
    struct fleet_view view = {
        .steps = 3, .values = values, .statuses = statuses, .offsets_ms = offsets};
    assert_true(fleet_read_view(f.fleet, 0, &view));
    assert_int_equal(statuses[0], STATUS_UNKNOWN);
    assert_int_equal(statuses[1], STATUS_IDLE);
    assert_int_equal(statuses[2], STATUS_CRITICAL_ISSUE);
    assert_int_equal(offsets[2], 2 * minute_ms);
    uint32_t name;
    assert_int_equal(batch_name(f.batch, "ppdb001", 7, &name), FW_OK);
    const struct sample_row head = {.name = name, .time_ms = T0, .profile = PROFILE_WEB_API};
    assert_int_equal(batch_row_put(f.batch, &head, &v, 1), FW_OK);
    flush(&f);
    assert_true(fleet_read_server(f.fleet, 0, &server));
    assert_int_equal(server.profile, PROFILE_WEB_API);
    assert_int_equal(server.status, STATUS_CRITICAL_ISSUE);
    fixture_fini(&f);
}

static void test_other_profiles(void **state)
{
    (void)state;
    struct fixture f;
    struct fleet_server server;
    fixture_init(&f, 300, 864, 8);
    add(&f, "ora-1", T0, METRIC_CPU_USER, 1);
    add(&f, "named-1", T0, METRIC_CPU_USER, 1);
    f.batch->rows[1].profile = PROFILE_WEB_API;
    flush(&f);
    assert_int_equal(profile_rules_prepend(&f.profiles, "ora-*", PROFILE_DATABASE, NULL), FW_OK);
    assert_int_equal(profile_rules_prepend(&f.profiles, "named-*", PROFILE_DATABASE, NULL), FW_OK);
    assert_true(fleet_read_server(f.fleet, 0, &server));
    CHECK_EQ("the caller's rules are not read", server.profile, PROFILE_GENERIC);
    fleet_set_profiles(f.fleet, &f.profiles);
    assert_true(fleet_read_server(f.fleet, 0, &server));
    CHECK_EQ("of who is there", server.profile, PROFILE_DATABASE);
    assert_true(fleet_read_server(f.fleet, 1, &server));
    CHECK_EQ("but not of who names its own", server.profile, PROFILE_WEB_API);
    add(&f, "ora-2", T0, METRIC_CPU_USER, 1);
    flush(&f);
    assert_true(fleet_read_server(f.fleet, 2, &server));
    CHECK_EQ("of who comes", server.profile, PROFILE_DATABASE);
    fixture_fini(&f);
}

static void test_window_moves(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 300, 300, 10);
    for (int i = 0; i < 1000; i++) {
        add(&f, "s", fw_clock_wall_ms(&f.clock.clock), METRIC_CPU_USER, (float)(i % 100));
        if (i < 10)
            add(&f, "s", fw_clock_wall_ms(&f.clock.clock), METRIC_MEM_USED, 1);
        flush(&f);
        struct fleet_server server;
        assert_true(fleet_read_server(f.fleet, 0, &server));
        CHECK_EQ("held", server.steps_held, i < 299 ? i + 1 : 300);
        CHECK_EQ("metrics", (server.metrics & 1u << METRIC_MEM_USED) != 0, i < 309);
        fw_clock_fake_advance_ms(&f.clock, 300000);
    }
    const int64_t last_ms = fw_clock_wall_ms(&f.clock.clock) - 300000;
    for (int i = 0; i < 300; i++)
        CHECK_NEAR("ring", value_at(&f, "s", last_ms - i * INT64_C(300000), METRIC_CPU_USER),
                   (999 - i) % 100, 0);
    /* A long silence: nothing of before is in view. */
    fw_clock_fake_advance_ms(&f.clock, 290 * INT64_C(300000));
    add(&f, "s", fw_clock_wall_ms(&f.clock.clock), METRIC_CPU_USER, 5);
    flush(&f);
    struct fleet_server server;
    assert_true(fleet_read_server(f.fleet, 0, &server));
    assert_int_equal(server.steps_held, 10);
    fw_clock_fake_advance_ms(&f.clock, 1000 * INT64_C(300000));
    add(&f, "s", fw_clock_wall_ms(&f.clock.clock), METRIC_CPU_USER, 6);
    flush(&f);
    assert_true(fleet_read_server(f.fleet, 0, &server));
    assert_int_equal(server.steps_held, 1);
    struct fleet_counts counts;
    fleet_counts(f.fleet, &counts);
    assert_int_equal(counts.records, 1);
    assert_int_equal(counts.ready, 0);
    fixture_fini(&f);
}

/* ---- clocks ---- */

/* The wall clock jumps by `jump_ms`; whoever has the right time sends on, and so, in the second
 * half, does a sender on the same wrong clock. When the clock is right again, true samples are
 * taken at once. */
static void test_clock_jumps(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t jump_ms;
    } rows[] = {
        {"an hour back",     -INT64_C(3600000)        },
        {"an hour ahead",    INT64_C(3600000)         },
        {"a year back",      -INT64_C(31536000000)    },
        {"a year ahead",     INT64_C(31536000000)     },
        {"ten years ahead",  INT64_C(315360000000)    },
        {"past 2038",        INT64_C(13) * 31536000000},
        {"the window ahead", INT64_C(300) * 300000    },
    };
    for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
        const char *name = rows[i / 2].name;
        const bool wrong_sender = i % 2 == 1;
        struct fixture f;
        fixture_init(&f, 300, 300, 10);
        for (int k = 100; k > 0; k--)
            add(&f, "s", T0 - k * 300000, METRIC_CPU_USER, 10);
        flush(&f);
        atomic_fetch_add(&f.clock.wall_now_ms, rows[i / 2].jump_ms);
        for (int k = 0; k < 5; k++) {
            const int64_t true_ms = T0 + k * minute_ms;
            add(&f, "s", wrong_sender ? true_ms + rows[i / 2].jump_ms : true_ms, METRIC_CPU_USER,
                20);
            flush(&f);
            fw_clock_fake_advance_ms(&f.clock, minute_ms);
        }
        CHECK_EQ(name, fleet_expire(f.fleet), 0);
        atomic_fetch_sub(&f.clock.wall_now_ms, rows[i / 2].jump_ms);
        const int64_t now_ms = fw_clock_wall_ms(&f.clock.clock);
        add(&f, "s", now_ms, METRIC_MEM_USED, 30);
        flush(&f);
        CHECK_EQ(name, f.applied.samples, 1);
        CHECK_NEAR(name, value_at(&f, "s", now_ms, METRIC_MEM_USED), 30, 0);
        if (!wrong_sender)
            CHECK_NEAR(name, value_at(&f, "s", T0 - 300000, METRIC_CPU_USER), 10, 0);
        fixture_fini(&f);
    }
}

static void test_stale_and_expiry(void **state)
{
    (void)state;
    struct fixture f;
    struct fleet_counts counts;
    struct fleet_server server;
    fixture_init(&f, 300, 300, 3);
    add(&f, "a", T0, METRIC_CPU_USER, 1);
    add(&f, "b", T0, METRIC_CPU_USER, 1);
    flush(&f);
    const int64_t slot = fleet_find(f.fleet, "a", 1);
    fw_clock_fake_advance_ms(&f.clock, 900000);
    assert_true(fleet_read_server(f.fleet, (size_t)slot, &server) && !server.stale);
    fw_clock_fake_advance_ms(&f.clock, 1000);
    assert_true(fleet_read_server(f.fleet, (size_t)slot, &server) && server.stale);
    fleet_counts(f.fleet, &counts);
    assert_int_equal(counts.stale, 2);
    add(&f, "b", fw_clock_wall_ms(&f.clock.clock), METRIC_CPU_USER, 1);
    flush(&f);
    fw_clock_fake_advance_ms(&f.clock, 1000);
    fleet_counts(f.fleet, &counts);
    assert_int_equal(counts.stale, 1);
    fw_clock_fake_advance_ms(&f.clock, f.options.expire_ms - 2000);
    assert_int_equal(fleet_expire(f.fleet), 1);
    assert_true(fleet_find(f.fleet, "a", 1) < 0);
    assert_int_equal(fleet_revision(f.fleet, (size_t)slot), 0);
    assert_false(fleet_read_server(f.fleet, (size_t)slot, &server));
    fleet_counts(f.fleet, &counts);
    assert_int_equal(counts.servers, 1);
    assert_int_equal(counts.records, 2);
    /* Its place is taken anew, with a window of its own. */
    add(&f, "c", fw_clock_wall_ms(&f.clock.clock), METRIC_LOAD_AVERAGE, 1);
    flush(&f);
    assert_int_equal(fleet_find(f.fleet, "c", 1), slot);
    assert_true(fleet_read_server(f.fleet, (size_t)slot, &server));
    assert_int_equal(server.metrics, 1u << METRIC_LOAD_AVERAGE);
    assert_int_equal(server.steps_held, 1);
    fixture_fini(&f);
}

/* A batch that waits for the journal while its server is forgotten and the place goes to another.
 */
static void test_place_changes_hands_meanwhile(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 300, 300, 1);
    add(&f, "a", T0, METRIC_CPU_USER, 1);
    flush(&f);
    struct sample_batch *waiting = f.batch;
    add(&f, "a", T0 + minute_ms, METRIC_CPU_USER, 1);
    assert_int_equal(fleet_admit(f.fleet, waiting), FW_OK);
    fw_clock_fake_advance_ms(&f.clock, f.options.expire_ms);
    assert_int_equal(fleet_expire(f.fleet), 1);
    f.batch = batch_new();
    add(&f, "b", fw_clock_wall_ms(&f.clock.clock), METRIC_CPU_USER, 50);
    flush(&f);
    assert_int_equal(fleet_apply(f.fleet, waiting, ++f.seq, &f.applied), FW_OK);
    assert_int_equal(f.applied.outrun, 1);
    assert_int_equal(f.applied.samples, 0);
    struct fleet_server server;
    assert_true(fleet_read_server(f.fleet, 0, &server));
    assert_string_equal(server.name, "b");
    assert_int_equal(server.steps_held, 1);
    batch_free(waiting);
    fixture_fini(&f);
}

/* ---- revisions, replays, options ---- */

static void test_revisions(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 300, 300, 10);
    assert_int_equal(fleet_revision(f.fleet, 0), 0);
    assert_int_equal(fleet_revision(f.fleet, 100000), 0);
    add(&f, "s", T0, METRIC_CPU_USER, 1);
    assert_int_equal(fleet_admit(f.fleet, f.batch), FW_OK);
    assert_int_equal(fleet_revision(f.fleet, 0), 0); /* a place, no sample */
    assert_true(fleet_find(f.fleet, "s", 1) < 0);
    assert_int_equal(fleet_apply(f.fleet, f.batch, ++f.seq, &f.applied), FW_OK);
    const uint64_t first = fleet_revision(f.fleet, 0);
    assert_int_not_equal(first, 0);
    assert_int_equal(fleet_apply(f.fleet, f.batch, ++f.seq, &f.applied), FW_OK);
    assert_int_equal(fleet_revision(f.fleet, 0), first); /* duplicates change nothing */
    batch_reset(f.batch);
    add(&f, "s", T0, METRIC_CPU_USER, 2);
    flush(&f);
    assert_int_not_equal(fleet_revision(f.fleet, 0), first);
    uint64_t seq, batches;
    fleet_position(f.fleet, &seq, &batches);
    assert_int_equal(seq, 3);
    assert_int_equal(batches, 3);
    fixture_fini(&f);
}

static void test_options(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, 300, 300, 10);
    static const struct {
        const char *name;
        uint32_t step_s, window_steps;
        size_t servers_max;
        bool fine;
    } rows[] = {
        {"shortest step", 1,    300,  1,        true },
        {"longest step",  3600, 8640, 1,        true },
        {"no step",       0,    300,  1,        false},
        {"step too long", 3601, 300,  1,        false},
        {"short window",  300,  299,  1,        false},
        {"long window",   300,  8641, 1,        false},
        {"no servers",    300,  300,  0,        false},
        {"many servers",  300,  300,  10000001, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fleet_options options = f.options;
        struct fleet *fleet;
        struct fw_error err;
        options.step_s = rows[i].step_s;
        options.window_steps = rows[i].window_steps;
        options.servers_max = rows[i].servers_max;
        CHECK_EQ(rows[i].name, fleet_new(&options, &fleet, &err) == FW_OK, rows[i].fine);
        CHECK_EQ(rows[i].name, fleet != NULL, rows[i].fine);
        fleet_free(fleet);
    }
    fleet_free(NULL);
    fixture_fini(&f);
}

/* ---- memory ---- */

static void feed_for_memory(struct fixture *f)
{
    for (int k = 0; k < 3; k++) {
        add(f, "a", T0 - k * 300000, METRIC_CPU_USER, 1);
        add(f, "a", T0 - k * 300000 + 1000, METRIC_CPU_USER, 2);
        add(f, "a", T0 - k * 300000 + 2000, METRIC_MEM_USED, 2);
        add(f, "b", T0 - k * 300000, METRIC_LOAD_AVERAGE, 3);
    }
}

/* Each allocation fails in turn: an error, never a crash, and a second try brings all of it. */
static void test_memory_runs_out(void **state)
{
    (void)state;
    int failures = 0;
    for (long n = 1; n < 200; n++) {
        struct fixture f;
        fixture_init(&f, 300, 300, 10);
        feed_for_memory(&f);
        fw_alloc_fail_at(n);
        enum fw_status status = fleet_admit(f.fleet, f.batch);
        if (status == FW_OK)
            status = fleet_apply(f.fleet, f.batch, ++f.seq, &f.applied);
        const bool ran_out = fw_alloc_count() >= n;
        fw_alloc_fail_at(0);
        CHECK_EQ("status", status, ran_out ? FW_ENOMEM : FW_OK);
        failures += ran_out;
        batch_reset(f.batch);
        feed_for_memory(&f);
        flush(&f);
        for (int k = 0; k < 3; k++) {
            CHECK_NEAR("a", value_at(&f, "a", T0 - k * 300000, METRIC_CPU_USER), 1.5, 0);
            CHECK_NEAR("a", value_at(&f, "a", T0 - k * 300000, METRIC_MEM_USED), 2, 0);
            CHECK_NEAR("b", value_at(&f, "b", T0 - k * 300000, METRIC_LOAD_AVERAGE), 3, 0);
        }
        fixture_fini(&f);
        if (!ran_out)
            break;
        assert_true(n < 199);
    }
    assert_true(failures >= 10);
    for (long n = 1;; n++) {
        struct fixture f;
        struct fleet *fleet;
        fixture_init(&f, 300, 300, 10);
        fw_alloc_fail_at(n);
        const enum fw_status status = fleet_new(&f.options, &fleet, NULL);
        const bool ran_out = fw_alloc_count() >= n;
        fw_alloc_fail_at(0);
        CHECK_EQ("new", status, ran_out ? FW_ENOMEM : FW_OK);
        fleet_free(fleet);
        fixture_fini(&f);
        if (!ran_out)
            break;
    }
}

static void test_bytes_per_server(void **state)
{
    (void)state;
    struct fixture f;
    struct fleet_counts empty, full;
    fixture_init(&f, 300, 864, 1000);
    fleet_counts(f.fleet, &empty);
    for (int s = 0; s < 256; s++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", s);
        for (int i = 0; i < 40; i++) { /* a sample a minute: every open step is full */
            struct sample_value values[METRIC_CANONICAL_COUNT];
            for (int m = 0; m < METRIC_CANONICAL_COUNT; m++)
                values[m] = (struct sample_value){(uint16_t)m, 1};
            add_row(&f, name, T0 - i * minute_ms, STATUS_HEALTHY, values, METRIC_CANONICAL_COUNT);
        }
    }
    flush(&f);
    fleet_counts(f.fleet, &full);
    const size_t bytes = (full.bytes - empty.bytes) / 256;
    if (bytes > 56 * 1024)
        fail_msg("%zu bytes a server", bytes);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_limits),
        cmocka_unit_test(test_near_future_evicts_nothing),
        cmocka_unit_test(test_server_limit),
        cmocka_unit_test(test_refused_names_take_no_place),
        cmocka_unit_test(test_samples_of_one_step),
        cmocka_unit_test(test_metrics_arrive_apart),
        cmocka_unit_test(test_dense_step),
        cmocka_unit_test(test_sealed_step),
        cmocka_unit_test(test_statuses_and_profiles),
        cmocka_unit_test(test_other_profiles),
        cmocka_unit_test(test_window_moves),
        cmocka_unit_test(test_clock_jumps),
        cmocka_unit_test(test_stale_and_expiry),
        cmocka_unit_test(test_place_changes_hands_meanwhile),
        cmocka_unit_test(test_revisions),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_bytes_per_server),
    };
    return cmocka_run_group_tests_name("fleet", tests, NULL, NULL);
}
