/* The runner on a real fleet: complete, sorted, shared between runs, the same whatever the number
 * of threads, and whole or not at all when memory ends. */
#include "base/alloc.h"
#include "base/rng.h"
#include "forecast/argus.h"
#include "forecast/forecaster.h"
#include "forecast/share.h"
#include "unit/fleet/fleet_fixture.h"

enum { STEP_S = 300, WINDOW = 600, SERVERS = 40, YOUNG_SERVERS = 38 };
#define STEP_MS ((int64_t)STEP_S * 1000)

static void server_name(size_t i, char name[16])
{
    (void)snprintf(name, 16, "%s%03zu", i % 3 == 0 ? "ppdb" : "ppweb", (i * 17) % SERVERS);
}

/* What server i shows in metric m at step t; NaN now and then. */
static float shown(size_t i, int m, size_t t)
{
    struct fw_rng rng;
    fw_rng_init(&rng, (i * 64 + (size_t)m) * 4096 + t);
    const double noise = fw_rng_normal(&rng);
    if (fw_rng_below(&rng, 20) == 0)
        return NAN;
    const double day = sin(6.2831853 * (double)t / 288.0 + (double)m);
    return (float)(30.0 + 10.0 * day * (double)(i % 2) + noise + 0.01 * (double)(t * (i % 3)));
}

/* Server i has i * 15 + 1 steps of history, and i % 5 + 2 metrics. */
static void feed(struct fixture *f, size_t first, size_t last, size_t server_from, size_t server_to)
{
    for (size_t t = first; t < last; t++) {
        for (size_t i = server_from; i < server_to; i++) {
            struct sample_value values[8];
            char name[16];
            size_t n = 0;
            if (t + 1 + i * 15 < WINDOW)
                continue;
            for (int m = 0; m < (int)(i % 5 + 2); m++) {
                const float v = shown(i, m, t);
                if (!isnan(v))
                    values[n++] = (struct sample_value){(uint16_t)m, v};
            }
            server_name(i, name);
            if (n > 0)
                add_row(f, name, T0 + (int64_t)t * STEP_MS + 1000, STATUS_HEALTHY, values, n);
        }
        if (f->batch->row_count > 0)
            flush(f);
    }
}

static void set_clock(struct fixture *f, size_t step)
{
    f->clock.wall_now_ms = T0 + (int64_t)step * STEP_MS + 2000;
}

static void full_fleet(struct fixture *f)
{
    fixture_init(f, STEP_S, WINDOW, 1000);
    set_clock(f, WINDOW - 1);
    feed(f, 0, WINDOW, 0, SERVERS);
}

/* The options but for what the fixture has. */
static struct forecaster *forecaster_of(struct fixture *f, struct forecaster_options options)
{
    struct forecaster *forecaster;
    options.schema = &f->schema;
    options.clock = &f->clock.clock;
    options.step_s = STEP_S;
    assert_int_equal(forecaster_new(&options, &forecaster, NULL), FW_OK);
    return forecaster;
}

static struct forecaster *new_forecaster(struct fixture *f, unsigned threads,
                                         enum forecaster_kind kind)
{
    return forecaster_of(f, (struct forecaster_options){.threads = threads, .kind = kind});
}

static const struct forecast_set *run(struct forecaster *forecaster, struct fixture *f,
                                      const struct forecast_set *previous)
{
    const struct forecast_set *set;
    assert_int_equal(forecaster_run(forecaster, f->fleet, previous, &set, NULL), FW_OK);
    return set;
}

static void check_same(const char *what, const struct forecast_set *a, const struct forecast_set *b)
{
    CHECK_EQ(what, a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct forecast *x = a->items[i], *y = b->items[i];
        CHECK_STR(what, x->name, y->name);
        CHECK_EQ(x->name, x->origin_ms, y->origin_ms);
        CHECK_EQ(x->name, x->path_count, y->path_count);
        if (memcmp(x->paths, y->paths, x->path_count * sizeof x->paths[0]) != 0)
            fail_msg("%s: the paths of %s differ", what, x->name);
    }
}

static void check_sound(const struct fixture *f, const struct forecast_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct forecast *x = set->items[i];
        CHECK_TRUE(x->name, i == 0 || strcmp(set->items[i - 1]->name, x->name) < 0);
        for (size_t p = 0; p < x->path_count; p++) {
            const struct forecast_path *path = &x->paths[p];
            const struct schema_metric *metric = &f->schema.metrics[path->metric];
            CHECK_TRUE(x->name, p == 0 || path->metric > x->paths[p - 1].metric);
            CHECK_TRUE(x->name, path->last_seen_ms <= x->last_seen_ms);
            for (size_t h = 0; h < FORECAST_HORIZON; h++)
                if (!(path->p10[h] <= path->p50[h] && path->p50[h] <= path->p90[h] &&
                      (double)path->p10[h] >= metric->min && (double)path->p90[h] <= metric->max))
                    fail_msg("%s, %s, step %zu", x->name, metric->name, h);
        }
    }
}

static void every_server_has_its_forecast(void **state)
{
    (void)state;
    struct fixture f;
    full_fleet(&f);
    struct forecaster *forecaster = new_forecaster(&f, 2, FORECASTER_AUTO);
    const struct forecast_set *set = run(forecaster, &f, NULL);
    CHECK_EQ("servers", set->count, SERVERS);
    CHECK_EQ("computed", set->computed, SERVERS);
    CHECK_EQ("run", set->run, 1);
    CHECK_EQ("step", set->step_s, STEP_S);
    CHECK_TRUE("gathering takes time", set->stage_s[FORECAST_GATHER] > 0.0);
    CHECK_TRUE("experts take time", set->stage_s[FORECAST_EXPERTS] > 0.0);
    check_sound(&f, set);
    for (size_t i = 0; i < SERVERS; i++) {
        char name[16];
        server_name(i, name);
        const struct forecast *forecast = forecast_set_find(set, name);
        assert_non_null(forecast);
        CHECK_TRUE(name, forecast->path_count <= i % 5 + 2 && forecast->path_count >= 1);
        CHECK_TRUE(name, forecast->steps_held <= i * 15 + 1);
        CHECK_EQ(name, forecast->origin_ms, T0 + WINDOW * STEP_MS);
        CHECK_EQ(name, forecast->stale, false);
        for (size_t p = 0; p < forecast->path_count; p++)
            CHECK_EQ(name, forecast->paths[p].reason, FORECAST_NO_MODEL);
    }
    assert_null(forecast_set_find(set, "ppweb"));
    assert_null(forecast_set_find(set, ""));
    forecast_set_release(forecast_set_retain(set));
    forecast_set_release(set);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    struct fixture f;
    full_fleet(&f);
    const struct forecast_set *want = NULL;
    for (unsigned threads = 1; threads <= 5; threads++) {
        struct forecaster *forecaster = new_forecaster(&f, threads, FORECASTER_AUTO);
        const struct forecast_set *set = run(forecaster, &f, NULL);
        if (want == NULL)
            want = forecast_set_retain(set);
        check_same("threads", set, want);
        forecast_set_release(set);
        forecaster_free(forecaster);
    }
    forecast_set_release(want);
    fixture_fini(&f);
}

static void unchanged_servers_share_their_forecast(void **state)
{
    (void)state;
    struct fixture f;
    full_fleet(&f);
    struct forecaster *forecaster = new_forecaster(&f, 2, FORECASTER_AUTO);
    const struct forecast_set *first = run(forecaster, &f, NULL);
    const struct forecast_set *second = run(forecaster, &f, first);
    CHECK_EQ("computed", second->computed, 0);
    for (size_t i = 0; i < SERVERS; i++)
        assert_ptr_equal(first->items[i], second->items[i]);

    add(&f, "ppweb017", f.clock.wall_now_ms, METRIC_CPU_USER, 77.0f);
    flush(&f);
    const struct forecast_set *third = run(forecaster, &f, second);
    CHECK_EQ("computed", third->computed, 1);
    for (size_t i = 0; i < SERVERS; i++)
        if (strcmp(third->items[i]->name, "ppweb017") == 0)
            assert_ptr_not_equal(third->items[i], second->items[i]);
        else
            assert_ptr_equal(third->items[i], second->items[i]);

    /* Another basis: nothing is shared. */
    forecaster_set_model(forecaster, NULL);
    const struct forecast_set *fourth = run(forecaster, &f, third);
    CHECK_EQ("computed", fourth->computed, SERVERS);
    check_same("the same windows", fourth, third);
    forecast_set_release(first);
    forecast_set_release(second);
    forecast_set_release(third);
    forecast_set_release(fourth);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

/* Studies are kept for some steps; whoever comes fresh must find the same numbers. (Servers whose
 * two days are full have learned beyond their windows: test_learned.c.) */
static void what_is_kept_changes_no_result(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 1000);
    set_clock(&f, WINDOW - 1);
    feed(&f, 0, WINDOW - 30, 0, YOUNG_SERVERS);
    struct forecaster *forecaster = new_forecaster(&f, 2, FORECASTER_AUTO);
    const struct forecast_set *set = run(forecaster, &f, NULL);
    for (size_t t = WINDOW - 30; t < WINDOW; t++) {
        feed(&f, t, t + 1, 0, YOUNG_SERVERS);
        const struct forecast_set *next = run(forecaster, &f, set);
        forecast_set_release(set);
        set = next;
    }
    struct forecaster *fresh = new_forecaster(&f, 1, FORECASTER_AUTO);
    const struct forecast_set *want = run(fresh, &f, NULL);
    check_same("after thirty runs", set, want);
    forecast_set_release(set);
    forecast_set_release(want);
    forecaster_free(forecaster);
    forecaster_free(fresh);
    fixture_fini(&f);
}

static void a_stale_server_keeps_its_last_forecast(void **state)
{
    (void)state;
    struct fixture f;
    full_fleet(&f);
    struct forecaster *forecaster = new_forecaster(&f, 1, FORECASTER_AUTO);
    const struct forecast_set *first = run(forecaster, &f, NULL);
    set_clock(&f, WINDOW + 5);
    const struct forecast_set *second = run(forecaster, &f, first);
    CHECK_EQ("computed", second->computed, 0);
    check_same("paths", first, second);
    for (size_t i = 0; i < SERVERS; i++) {
        CHECK_EQ(first->items[i]->name, first->items[i]->stale, false);
        CHECK_EQ(first->items[i]->name, second->items[i]->stale, true);
    }
    const struct forecast_set *third = run(forecaster, &f, second);
    assert_ptr_equal(third->items[0], second->items[0]);
    forecast_set_release(first);
    forecast_set_release(second);
    forecast_set_release(third);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

static void argus_draws_its_line(void **state)
{
    (void)state;
    struct fixture f;
    full_fleet(&f);
    struct forecaster *forecaster = new_forecaster(&f, 2, FORECASTER_ARGUS);
    const struct forecast_set *set = run(forecaster, &f, NULL);
    check_sound(&f, set);
    float values[WINDOW];
    struct argus_line line;
    const struct forecast *x = forecast_set_find(set, "ppdb023"); /* i = 39 */
    assert_non_null(x);
    for (size_t t = 0; t < WINDOW; t++)
        values[t] = shown(39, METRIC_CPU_USER, t);
    assert_true(argus_forecast("cpu_user_pct", values, WINDOW, &line));
    CHECK_EQ("method", x->paths[0].method, FORECAST_ARGUS);
    CHECK_NEAR("trend", x->paths[0].trend, line.trend, 1e-6);
    for (size_t h = 0; h < FORECAST_HORIZON; h++)
        CHECK_NEAR("p90", x->paths[0].p90[h], line.p90[h], 1e-5);
    forecast_set_release(set);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

static void an_empty_fleet_has_an_empty_set(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 10);
    struct forecaster *forecaster = new_forecaster(&f, 0, FORECASTER_AUTO);
    const struct forecast_set *set = run(forecaster, &f, NULL);
    CHECK_EQ("count", set->count, 0);
    assert_null(forecast_set_find(set, "any"));
    assert_null(forecaster_model(forecaster));
    forecast_set_release(set);
    forecast_set_release(NULL);
    forecaster_free(forecaster);
    forecaster_free(NULL);
    fixture_fini(&f);
}

/* The n-th allocation of new, run and run again fails: no set, no leak (asan looks), and the next
 * run is as good as any. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    struct fixture f;
    full_fleet(&f);
    struct forecaster *good = new_forecaster(&f, 2, FORECASTER_AUTO);
    const struct forecast_set *want = run(good, &f, NULL);
    const struct forecaster_options options = {
        .schema = &f.schema, .clock = &f.clock.clock, .step_s = STEP_S, .threads = 2};
    size_t refused = 0;
    bool through = false;
    for (long n = 1; !through; n += n < 30 ? 1 : 13) {
        struct forecaster *forecaster = NULL;
        const struct forecast_set *set = NULL;
        fw_alloc_fail_at(n);
        enum fw_status status = forecaster_new(&options, &forecaster, NULL);
        if (status == FW_OK)
            status = forecaster_run(forecaster, f.fleet, NULL, &set, NULL);
        through = fw_alloc_count() < n;
        fw_alloc_fail_at(0);
        CHECK_EQ("status", status, through ? FW_OK : FW_ENOMEM);
        refused += status != FW_OK;
        assert_true((set != NULL) == (status == FW_OK));
        if (forecaster != NULL && status != FW_OK) {
            assert_int_equal(forecaster_run(forecaster, f.fleet, want, &set, NULL), FW_OK);
            check_same("after a refusal", set, want);
        }
        forecast_set_release(set);
        forecaster_free(forecaster);
    }
    CHECK_TRUE("refusals", refused > 30);
    forecast_set_release(want);
    forecaster_free(good);
    fixture_fini(&f);
}

static void feed_one(struct fixture *f, size_t first, size_t last)
{
    for (size_t t = first; t < last; t++)
        add(f, "refilled", T0 + (int64_t)t * STEP_MS + 1000, METRIC_CPU_USER, shown(1, 0, t) + 40);
    flush(f);
}

/* What was learned of a window that was all but empty is given up when its past arrives late. */
static void a_past_that_comes_late_is_learned_from(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 1000);
    set_clock(&f, WINDOW - 1);
    feed_one(&f, 0, 110);
    feed_one(&f, WINDOW - 1, WINDOW);
    struct forecaster *forecaster = new_forecaster(&f, 1, FORECASTER_AUTO);
    const struct forecast_set *sparse = run(forecaster, &f, NULL);
    CHECK_EQ("enough to begin", sparse->items[0]->paths[0].method, FORECAST_BLEND);
    feed_one(&f, 110, WINDOW - 1);
    const struct forecast_set *filled = run(forecaster, &f, sparse);
    struct forecaster *fresh = new_forecaster(&f, 1, FORECASTER_AUTO);
    const struct forecast_set *want = run(fresh, &f, NULL);
    CHECK_EQ("blended", want->items[0]->paths[0].method, FORECAST_BLEND);
    check_same("as if it had been there", filled, want);
    forecast_set_release(want);
    forecast_set_release(filled);
    forecast_set_release(sparse);
    forecaster_free(fresh);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

/* A run for one server does not ask the others each time whether they are silent, but soon enough.
 */
static void silence_is_looked_at_in_time(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 1000);
    set_clock(&f, 0);
    add(&f, "quiet", T0 + 1000, METRIC_CPU_USER, 5.0f);
    add(&f, "talks", T0 + 1000, METRIC_CPU_USER, 5.0f);
    flush(&f);
    struct forecaster *forecaster = new_forecaster(&f, 2, FORECASTER_AUTO);
    const struct forecast_set *set = run(forecaster, &f, NULL);
    for (size_t tenth = 1; tenth <= 45; tenth++) {
        fw_clock_fake_advance_ms(&f.clock, STEP_MS / 10);
        add(&f, "talks", f.clock.wall_now_ms, METRIC_CPU_USER, (float)tenth);
        flush(&f);
        const struct forecast_set *next = run(forecaster, &f, set);
        struct fleet_server quiet;
        assert_true(fleet_read_server(f.fleet, forecast_set_find(next, "quiet")->slot, &quiet));
        CHECK_EQ("as the fleet has it", forecast_set_find(next, "quiet")->stale, quiet.stale);
        CHECK_EQ("only the one", next->computed, 1);
        forecast_set_release(set);
        set = next;
    }
    CHECK_TRUE("in the end", forecast_set_find(set, "quiet")->stale);
    forecast_set_release(set);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

enum { MANY = 200, PART = 64 }; /* of which a run in parts makes so many */

static void feed_many(struct fixture *f, size_t from, size_t to, size_t step)
{
    for (size_t i = from; i < to; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "many%03zu", (i * 37) % MANY);
        add(f, name, T0 + (int64_t)step * STEP_MS + 1000, METRIC_CPU_USER, (float)(i % 90));
    }
    flush(f);
}

static bool is_current(const struct fixture *f, const struct forecast *forecast)
{
    return fleet_revision(f->fleet, forecast->slot) == forecast->revision;
}

static size_t current_ones(const struct fixture *f, const struct forecast_set *set)
{
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++)
        n += is_current(f, set->items[i]);
    return n;
}

static const struct forecast_set *run_on(struct forecaster *forecaster, struct fixture *f,
                                         const struct forecast_set *previous)
{
    const struct forecast_set *set = run(forecaster, f, previous);
    for (size_t i = 1; i < set->count; i++)
        CHECK_TRUE("by name", strcmp(set->items[i - 1]->name, set->items[i]->name) < 0);
    forecast_set_release(previous);
    return set;
}

/* Whose forecast is oldest comes first, and a server that changes all the time waits its turn. */
static void a_run_in_parts_serves_the_oldest_first(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 1000);
    set_clock(&f, 3);
    feed_many(&f, 0, MANY, 1);
    struct forecaster *forecaster =
        forecaster_of(&f, (struct forecaster_options){.threads = 2, .in_parts = true});
    const struct forecast_set *set = run(forecaster, &f, NULL);
    CHECK_EQ("the first run is whole", set->computed, MANY);
    CHECK_EQ("nobody waits", set->waiting, 0);
    const uint64_t roster = set->roster;
    feed_many(&f, 0, MANY, 2);
    for (size_t done = PART; done <= MANY; done += PART) {
        set = run_on(forecaster, &f, set);
        CHECK_EQ("a part", set->computed, PART);
        CHECK_EQ("the rest waits", set->waiting, MANY - done + (done > PART));
        CHECK_EQ("nobody left", set->count, MANY);
        CHECK_TRUE("the same servers", set->roster == roster);
        const struct forecast *first = forecast_set_find(set, "many000");
        assert_non_null(first); /* fed first, so its forecast was the oldest */
        CHECK_TRUE("in turn", is_current(&f, first) == (done == PART));
        feed_many(&f, 0, 1, 3); /* it changes again */
    }
    set = run_on(forecaster, &f, set);
    CHECK_EQ("the last part", set->computed, MANY % PART + 1);
    CHECK_EQ("nobody waits any more", set->waiting, 0);
    CHECK_EQ("all are current", current_ones(&f, set), MANY);
    const struct forecast_set *whole = run(forecaster, &f, NULL);
    check_same("in parts or at once", set, whole);
    forecast_set_release(whole);
    forecast_set_release(set);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

/* A run for one server makes one row of the set anew, whoever holds which sets meanwhile. */
static void sets_share_what_did_not_change(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 1000);
    set_clock(&f, 3);
    feed_many(&f, 0, MANY, 1);
    struct forecaster *forecaster = new_forecaster(&f, 1, FORECASTER_AUTO);
    const struct forecast_set *last = run(forecaster, &f, NULL), *held[3] = {NULL};
    static const size_t leaves[] = {0, 1, 2, 2, 1, 0, 2, 0, 1}; /* older and younger ones first */
    for (size_t n = 0; n < 50; n++) {
        feed_many(&f, n * 7 % MANY, n * 7 % MANY + 1, 2 + n / 30);
        const struct forecast_set *set = run(forecaster, &f, last);
        size_t anew = 0;
        CHECK_EQ("rows", set->share_count, (MANY + SHARE_ITEMS - 1) / SHARE_ITEMS);
        for (size_t row = 0; row < set->share_count; row++)
            anew += set->shares[row] != last->shares[row];
        CHECK_EQ("one row", anew, 1);
        for (size_t i = 0; i < MANY; i++)
            assert_ptr_equal(set->items[i], set->shares[i / SHARE_ITEMS]->items[i % SHARE_ITEMS]);
        const size_t k = leaves[n % COUNT_OF(leaves)];
        forecast_set_release(held[k]);
        held[k] = last;
        last = set;
    }
    const struct forecast_set *want = run(forecaster, &f, NULL);
    check_same("nothing is lost", last, want);
    forecast_set_release(want);
    forecast_set_release(last);
    for (size_t i = 0; i < COUNT_OF(held); i++) {
        check_sound(&f, held[i]);
        forecast_set_release(held[i]);
    }
    forecaster_free(forecaster);
    fixture_fini(&f);
}

/* A refused run leaves the set before as it was, and the next one takes up from there. */
static void memory_may_end_beside_a_set(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 1000);
    set_clock(&f, 3);
    feed_many(&f, 0, MANY - 1, 1);
    struct forecaster *forecaster = new_forecaster(&f, 1, FORECASTER_AUTO);
    const struct forecast_set *last = run(forecaster, &f, NULL), *set;
    bool through = false;
    size_t refused = 0;
    for (long n = 1; !through; n++) {
        add(&f, "many003", T0 + 3 * STEP_MS + n, METRIC_CPU_USER, 7.0f);
        add(&f, "many170", T0 + 3 * STEP_MS + n, METRIC_CPU_USER, 7.0f);
        flush(&f);
        if (n % 2 == 0)
            feed_many(&f, MANY - 1, MANY, 2); /* comes once, and makes another order */
        fw_alloc_fail_at(n);
        const enum fw_status status = forecaster_run(forecaster, f.fleet, last, &set, NULL);
        through = fw_alloc_count() < n;
        fw_alloc_fail_at(0);
        CHECK_EQ("status", status, through ? FW_OK : FW_ENOMEM);
        if (status != FW_OK) {
            refused++;
            set = run(forecaster, &f, last);
        }
        CHECK_EQ("all are current", current_ones(&f, set), set->count);
        forecast_set_release(last);
        last = set;
    }
    CHECK_TRUE("refusals", refused >= 5);
    forecast_set_release(last);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

/* Newcomers have no forecast at all: they come before everybody. */
static void newcomers_come_first(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 1000);
    set_clock(&f, 3);
    feed_many(&f, 0, MANY - 10, 1);
    struct forecaster *forecaster =
        forecaster_of(&f, (struct forecaster_options){.threads = 2, .in_parts = true});
    const struct forecast_set *set = run(forecaster, &f, NULL);
    const uint64_t roster = set->roster;
    feed_many(&f, 0, MANY, 2);
    set = run_on(forecaster, &f, set);
    CHECK_EQ("a part", set->computed, PART);
    CHECK_EQ("all are there", set->count, MANY);
    CHECK_TRUE("other servers", set->roster != roster);
    forecast_set_release(set);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

static void a_forgotten_server_leaves(void **state)
{
    (void)state;
    struct fixture f;
    full_fleet(&f);
    struct forecaster *forecaster = new_forecaster(&f, 2, FORECASTER_AUTO);
    const struct forecast_set *first = run(forecaster, &f, NULL);
    fw_clock_fake_advance_ms(&f.clock, INT64_C(8) * 86400 * 1000);
    add(&f, "newcomer", f.clock.wall_now_ms, METRIC_CPU_USER, 5.0f);
    flush(&f);
    assert_int_equal(fleet_expire(f.fleet), SERVERS);
    const struct forecast_set *second = run(forecaster, &f, first);
    CHECK_EQ("left", second->count, 1);
    CHECK_STR("left", second->items[0]->name, "newcomer");
    CHECK_NEAR("current", second->items[0]->paths[0].current, 5.0, 0.0);
    forecast_set_release(first);
    forecast_set_release(second);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

struct spread {
    atomic_uint next, done[1000];
    atomic_bool in_order;
};

static void do_one(void *ctx, size_t i)
{
    struct spread *s = ctx;
    /* The last to begin began after all that have ended. */
    if (i == 999 && atomic_load(&s->next) < 900)
        atomic_store(&s->in_order, false);
    atomic_fetch_add(&s->next, 1);
    atomic_fetch_add(&s->done[i], 1);
}

static void work_is_spread_over_the_threads(void **state)
{
    (void)state;
    struct schema schema;
    schema_default(&schema);
    for (unsigned threads = 1; threads <= 4; threads++) {
        const struct forecaster_options options = {
            .schema = &schema, .clock = fw_clock_system(), .step_s = STEP_S, .threads = threads};
        struct forecaster *forecaster;
        static struct spread s;
        memset(&s, 0, sizeof s);
        atomic_store(&s.in_order, true);
        assert_int_equal(forecaster_new(&options, &forecaster, NULL), FW_OK);
        for (unsigned turn = 0; turn < 3; turn++) {
            forecaster_spread(forecaster, 1000, do_one, &s);
            for (size_t i = 0; i < 1000; i++)
                CHECK_EQ("each once a turn", atomic_load(&s.done[i]), turn + 1);
        }
        forecaster_spread(forecaster, 0, do_one, &s);
        CHECK_EQ("nothing more", atomic_load(&s.next), 3000);
        CHECK_TRUE("begun in order", atomic_load(&s.in_order));
        forecaster_free(forecaster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_server_has_its_forecast),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(unchanged_servers_share_their_forecast),
        cmocka_unit_test(what_is_kept_changes_no_result),
        cmocka_unit_test(a_stale_server_keeps_its_last_forecast),
        cmocka_unit_test(argus_draws_its_line),
        cmocka_unit_test(an_empty_fleet_has_an_empty_set),
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(a_past_that_comes_late_is_learned_from),
        cmocka_unit_test(silence_is_looked_at_in_time),
        cmocka_unit_test(a_run_in_parts_serves_the_oldest_first),
        cmocka_unit_test(sets_share_what_did_not_change),
        cmocka_unit_test(memory_may_end_beside_a_set),
        cmocka_unit_test(newcomers_come_first),
        cmocka_unit_test(a_forgotten_server_leaves),
        cmocka_unit_test(work_is_spread_over_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
