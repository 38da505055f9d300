/* The long history's writer on a clock that the test moves: when blocks are written, that restarts
 * and failures lose and double nothing. */
#include "unit/fleet/fleet_fixture.h"

#include "archive/archive.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"
#include "daemon/archiver.h"
#include "fleet/changes.h"
#include "fleet/snapshot.h"

#include <sqlite3.h>
#include <unistd.h>

enum { STEP_S = 60, WINDOW = 600, SERVERS = 40 };
#define STEP_MS (INT64_C(1000) * STEP_S)
#define BLOCK INT64_C(208334) /* the first block of a test */
#define FIRST (BLOCK * ARCHIVE_STEPS)

struct world {
    struct fixture f;
    struct store_state *state;
    struct archiver *archiver;
    struct archiver_options options;
    struct fw_rng rng;
    size_t servers;
    int64_t step; /* the next to come */
    uint64_t most_in_a_tick;
};

static char dir[] = "/tmp/fw-archiver-XXXXXX";
static char path[64], snap[64];

static int fresh(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/fw-archiver-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/history.db", dir);
    snprintf(snap, sizeof snap, "%s/snap", dir);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void set_clock(struct world *w, int64_t ms)
{
    fw_clock_fake_advance_ms(&w->f.clock, ms - fw_clock_wall_ms(&w->f.clock.clock));
}

static void start_archiver(struct world *w)
{
    struct fw_error err = {0};
    if (w->state == NULL && store_state_open(path, NULL, NULL, &w->state, &err) != FW_OK)
        fail_msg("%s", err.text);
    w->options.fleet = w->f.fleet;
    w->options.state = w->state;
    w->options.clock = &w->f.clock.clock;
    if (archiver_new(&w->options, &w->archiver, &err) != FW_OK)
        fail_msg("%s", err.text);
}

static void begin(struct world *w, size_t servers)
{
    memset(w, 0, sizeof *w);
    fixture_init(&w->f, STEP_S, WINDOW, SERVERS);
    set_clock(w, FIRST * STEP_MS);
    w->servers = servers;
    w->step = FIRST;
    w->options.days = 60;
    fw_rng_init(&w->rng, 1);
    start_archiver(w);
}

static void end(struct world *w)
{
    archiver_free(w->archiver);
    store_state_close(w->state);
    fixture_fini(&w->f);
}

/* A new process: the windows from a snapshot, or from nothing; the database is opened again. */
static void restart(struct world *w, bool snapshot)
{
    const int64_t now_ms = fw_clock_wall_ms(&w->f.clock.clock);
    archiver_free(w->archiver);
    store_state_close(w->state);
    w->state = NULL;
    if (snapshot)
        assert_int_equal(fleet_snapshot_write(w->f.fleet, snap, NULL, NULL, NULL), FW_OK);
    fixture_fini(&w->f);
    fixture_init(&w->f, STEP_S, WINDOW, SERVERS);
    set_clock(w, now_ms);
    if (snapshot)
        assert_int_equal(fleet_snapshot_load(w->f.fleet, snap, NULL, NULL, 1, NULL, NULL), FW_OK);
    w->f.seq = 1000000;
    start_archiver(w);
}

static struct archiver_stats stats_of(const struct world *w)
{
    struct archiver_stats stats;
    archiver_stats(w->archiver, &stats);
    return stats;
}

static void tick(struct world *w)
{
    const uint64_t before = stats_of(w).written;
    archiver_tick(w->archiver);
    const uint64_t written = stats_of(w).written - before;
    w->most_in_a_tick = written > w->most_in_a_tick ? written : w->most_in_a_tick;
}

static void name_of(size_t i, char name[32])
{
    snprintf(name, 32, "web-%zu", i);
}

/* A sample of each server for the step. */
static void feed(struct world *w, int64_t step)
{
    for (size_t i = 0; i < w->servers; i++) {
        char name[32];
        name_of(i, name);
        const struct sample_value values[2] = {
            {METRIC_CPU_USER,              (float)(50.0 + 5.0 * fw_rng_normal(&w->rng))},
            { METRIC_LOAD_AVERAGE, (float)fw_rng_below(&w->rng,                                           9)},
        };
        add_row(&w->f, name, step * STEP_MS + 1000, STATUS_HEALTHY, values, 2);
    }
    flush(&w->f);
}

/* The clock to the beginning of a step, with a tick every ten seconds and, when `fed`, samples. */
static void run_to(struct world *w, int64_t step, bool fed)
{
    for (; w->step < step; w->step++) {
        for (int64_t ms = 0; ms < STEP_MS; ms += 10000) {
            set_clock(w, w->step * STEP_MS + ms);
            if (ms == 0 && fed)
                feed(w, w->step);
            tick(w);
        }
    }
}

struct tally {
    size_t blocks, damaged;
    int64_t oldest, newest;
};

static bool tally_block(void *ctx, const struct archive_found *found)
{
    struct tally *t = ctx;
    if (found->block == NULL) {
        t->damaged++;
        return true;
    }
    if (t->blocks == 0)
        t->oldest = found->block->number;
    t->newest = found->block->number;
    t->blocks++;
    return true;
}

static struct tally blocks_in(const struct world *w)
{
    struct tally t = {0, 0, -1, -1};
    assert_int_equal(archive_each(w->state, tally_block, &t, NULL), FW_OK);
    return t;
}

/* What is kept of a server, NaN where nothing is. */
static float kept_value(const struct world *w, const char *server, int64_t step, const char *metric)
{
    struct archive_codec *codec = archive_codec_new();
    struct archive_block *block = malloc(sizeof *block);
    struct fw_buf scratch;
    float value = NAN;
    assert_true(codec != NULL && block != NULL);
    fw_buf_init(&scratch, ARCHIVE_BLOCK_MAX);
    if (archive_get(w->state, codec, server, STEP_S, step / ARCHIVE_STEPS, &scratch, block, NULL) ==
        FW_OK) {
        const struct archive_metric *found = archive_block_find(block, metric);
        if (found != NULL)
            value = found->values[step % ARCHIVE_STEPS];
    }
    fw_buf_fini(&scratch);
    free(block);
    archive_codec_free(codec);
    return value;
}

/* Every step of the block is kept as the windows have it: the integers exactly, the noise about. */
static void check_kept(const struct world *w, const char *what, int64_t number)
{
    for (size_t i = 0; i < w->servers; i++) {
        char name[32];
        name_of(i, name);
        for (int64_t k = 0; k < ARCHIVE_STEPS; k += 7) {
            const int64_t step = number * ARCHIVE_STEPS + k;
            CHECK_NEAR(what, kept_value(w, name, step, "load_average"),
                       value_at(&w->f, name, step * STEP_MS, METRIC_LOAD_AVERAGE), 0);
            CHECK_NEAR(what, kept_value(w, name, step, "cpu_user_pct"),
                       value_at(&w->f, name, step * STEP_MS, METRIC_CPU_USER), 0.2);
        }
    }
}

static void test_written_in_time(void **state)
{
    (void)state;
    struct world w;
    begin(&w, SERVERS);
    run_to(&w, FIRST + ARCHIVE_STEPS + ARCHIVER_DELAY_STEPS, true);
    CHECK_EQ("not before the delay is over", blocks_in(&w).blocks, 0);
    run_to(&w, FIRST + ARCHIVE_STEPS + ARCHIVER_DELAY_STEPS + ARCHIVER_TURN_STEPS / 2, true);
    const size_t half = blocks_in(&w).blocks;
    CHECK_TRUE("some in half a period", half > SERVERS / 4 && half < SERVERS);
    run_to(&w, FIRST + ARCHIVE_STEPS + ARCHIVER_DELAY_STEPS + ARCHIVER_TURN_STEPS, true);
    CHECK_EQ("all in a period", blocks_in(&w).blocks, SERVERS);
    CHECK_TRUE("never many at once", w.most_in_a_tick <= 2);
    check_kept(&w, "first", BLOCK);
    run_to(&w, FIRST + 3 * ARCHIVE_STEPS + ARCHIVER_DELAY_STEPS + ARCHIVER_TURN_STEPS, true);
    CHECK_EQ("each once", blocks_in(&w).blocks, 3 * SERVERS);
    check_kept(&w, "third", BLOCK + 2);
    const struct archiver_stats stats = stats_of(&w);
    CHECK_EQ("written", stats.written, 3 * SERVERS);
    CHECK_EQ("held", stats.blocks, 3 * SERVERS);
    CHECK_EQ("again", stats.rewritten, 0);
    CHECK_EQ("oldest", stats.oldest_s, FIRST * STEP_S);
    CHECK_EQ("missed", stats.missed_steps, 0);
    CHECK_TRUE("size", stats.file_bytes > 0 && !stats.failing);
    end(&w);
}

static void put_late(struct world *w, const char *name, int64_t step, float value)
{
    add(&w->f, name, step * STEP_MS + 30000, METRIC_LOAD_AVERAGE, value);
    flush(&w->f);
}

static void test_late_samples(void **state)
{
    (void)state;
    struct world w;
    const int64_t written = FIRST + ARCHIVE_STEPS + ARCHIVER_DELAY_STEPS + ARCHIVER_TURN_STEPS;
    begin(&w, 3);
    run_to(&w, FIRST + ARCHIVE_STEPS + 5, true);
    put_late(&w, "web-1", FIRST + 50, 20.0f); /* before the block is written */
    run_to(&w, written, true);
    CHECK_EQ("once", stats_of(&w).written, 3);
    check_kept(&w, "late, in time", BLOCK);
    const float was = value_at(&w.f, "web-1", (FIRST + 60) * STEP_MS, METRIC_LOAD_AVERAGE);
    put_late(&w, "web-1", FIRST + 60, 40.0f);
    put_late(&w, "web-1", FIRST + 61, 41.0f);
    run_to(&w, written + ARCHIVER_TURN_STEPS, true);
    CHECK_EQ("both with one write", stats_of(&w).rewritten, 1);
    CHECK_NEAR("mean", kept_value(&w, "web-1", FIRST + 60, "load_average"), (was + 40.0f) / 2, 0);
    check_kept(&w, "late", BLOCK);
    /* The same again changes nothing, and nothing is written. */
    put_late(&w, "web-1", FIRST + 60, 40.0f);
    run_to(&w, written + 2 * ARCHIVER_TURN_STEPS, true);
    CHECK_EQ("sent twice", stats_of(&w).rewritten, 1);
    CHECK_EQ("blocks", blocks_in(&w).blocks, 3);
    end(&w);
}

/* A block that is half out of the window gets a late sample for its other half. */
static void test_late_at_the_windows_end(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 2);
    run_to(&w, FIRST + WINDOW + ARCHIVE_STEPS / 2, true);
    const float first = kept_value(&w, "web-0", FIRST, "load_average");
    CHECK_TRUE("kept", !isnan(first));
    CHECK_TRUE("out of the window",
               isnan(value_at(&w.f, "web-0", FIRST * STEP_MS, METRIC_LOAD_AVERAGE)));
    put_late(&w, "web-0", FIRST + ARCHIVE_STEPS - 3, 90.0f);
    run_to(&w, w.step + ARCHIVER_TURN_STEPS + 1, true);
    CHECK_EQ("written again", stats_of(&w).rewritten, 1);
    CHECK_NEAR("what left the window stays", kept_value(&w, "web-0", FIRST, "load_average"), first,
               0);
    CHECK_NEAR("and the late one is there",
               kept_value(&w, "web-0", FIRST + ARCHIVE_STEPS - 3, "load_average"),
               value_at(&w.f, "web-0", (FIRST + ARCHIVE_STEPS - 3) * STEP_MS, METRIC_LOAD_AVERAGE),
               0);
    end(&w);
}

static void test_restart(void **state)
{
    (void)state;
    struct world w;
    begin(&w, SERVERS);
    /* In the middle of the period: some have been written, some have not. */
    run_to(&w, FIRST + ARCHIVE_STEPS + ARCHIVER_DELAY_STEPS + ARCHIVER_TURN_STEPS / 2, true);
    const size_t before = blocks_in(&w).blocks;
    CHECK_TRUE("some", before > 0 && before < SERVERS);
    restart(&w, true);
    run_to(&w, w.step + ARCHIVER_TURN_STEPS + 1, true);
    CHECK_EQ("the others", blocks_in(&w).blocks, SERVERS);
    CHECK_EQ("none again", stats_of(&w).written, SERVERS - before);
    CHECK_EQ("counted", stats_of(&w).blocks, SERVERS);
    check_kept(&w, "whole", BLOCK);
    /* A late sample that was in the window and not yet in the history when the process died. */
    put_late(&w, "web-7", FIRST + 60, 40.0f);
    restart(&w, true);
    run_to(&w, w.step + ARCHIVER_TURN_STEPS + 1, true);
    CHECK_EQ("that block alone", stats_of(&w).written, 1);
    CHECK_EQ("again", stats_of(&w).rewritten, 1);
    check_kept(&w, "late", BLOCK);
    restart(&w, true);
    run_to(&w, w.step + ARCHIVER_TURN_STEPS + 1, false);
    CHECK_EQ("nothing to do", stats_of(&w).written, 0);
    end(&w);
}

/* Three days of downtime would push the windows' end out with the first sample. */
static void test_stood_still(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 5);
    run_to(&w, FIRST + ARCHIVE_STEPS + 30, true);
    CHECK_EQ("so far", blocks_in(&w).blocks, 5);
    restart(&w, true);
    CHECK_TRUE("a short stop", !archiver_urgent(w.f.fleet, &w.f.clock.clock));
    archiver_catch_up(w.archiver);
    CHECK_EQ("changes nothing", stats_of(&w).written, 0);
    w.step += WINDOW;
    set_clock(&w, w.step * STEP_MS);
    CHECK_TRUE("a long one", archiver_urgent(w.f.fleet, &w.f.clock.clock));
    archiver_catch_up(w.archiver);
    CHECK_EQ("the block that was not full", stats_of(&w).written, 5);
    for (int k = 0; k < 30; k++) {
        const int64_t step = FIRST + ARCHIVE_STEPS + k;
        CHECK_NEAR("kept", kept_value(&w, "web-3", step, "load_average"),
                   value_at(&w.f, "web-3", step * STEP_MS, METRIC_LOAD_AVERAGE), 0);
    }
    run_to(&w, w.step + ARCHIVE_STEPS, true);
    CHECK_EQ("missed", stats_of(&w).missed_steps, 0);
    end(&w);
}

/* Two servers that are forgotten after 80 steps, and written out after 40. */
static void begin_forgetful(struct world *w)
{
    begin(w, 2);
    fleet_free(w->f.fleet);
    archiver_free(w->archiver);
    w->f.options.expire_ms = 80 * STEP_MS;
    assert_int_equal(fleet_new(&w->f.options, &w->f.fleet, NULL), FW_OK);
    start_archiver(w);
}

/* Forgotten and back within one block: what was kept of it stays. */
static void test_silent_servers(void **state)
{
    (void)state;
    struct world w;
    begin_forgetful(&w);
    run_to(&w, FIRST + 10, true);
    const float was = value_at(&w.f, "web-1", (FIRST + 5) * STEP_MS, METRIC_LOAD_AVERAGE);
    run_to(&w, FIRST + 10 + 39, false);
    CHECK_EQ("not yet silent for long", blocks_in(&w).blocks, 0);
    run_to(&w, FIRST + 10 + 40 + ARCHIVER_TURN_STEPS, false);
    CHECK_EQ("written before it is full", blocks_in(&w).blocks, 2);
    run_to(&w, FIRST + 10 + 81, false);
    CHECK_EQ("forgotten", fleet_expire(w.f.fleet), 2);
    run_to(&w, FIRST + ARCHIVE_STEPS + 2 * ARCHIVER_TURN_STEPS + 1, true);
    CHECK_EQ("the same blocks", blocks_in(&w).blocks, 2);
    CHECK_EQ("again", stats_of(&w).rewritten, 2);
    CHECK_NEAR("of the first life", kept_value(&w, "web-1", FIRST + 5, "load_average"), was, 0);
    CHECK_TRUE("nothing between", isnan(kept_value(&w, "web-1", FIRST + 50, "load_average")));
    CHECK_NEAR("of the second", kept_value(&w, "web-1", FIRST + 120, "load_average"),
               value_at(&w.f, "web-1", (FIRST + 120) * STEP_MS, METRIC_LOAD_AVERAGE), 0);
    end(&w);
}

/* Silent since before the turn in which the block was written: the steps behind it stay news. */
static void test_silent_behind_a_block(void **state)
{
    (void)state;
    struct world w;
    begin_forgetful(&w);
    run_to(&w, FIRST + ARCHIVE_STEPS + 10, true);
    run_to(&w, FIRST + ARCHIVE_STEPS + 2 * ARCHIVER_TURN_STEPS, false);
    CHECK_EQ("the block", blocks_in(&w).blocks, 2);
    run_to(&w, FIRST + ARCHIVE_STEPS + 50 + ARCHIVER_TURN_STEPS, false);
    CHECK_EQ("and what came behind it", blocks_in(&w).blocks, 4);
    CHECK_TRUE("its last step",
               !isnan(kept_value(&w, "web-1", FIRST + ARCHIVE_STEPS + 9, "load_average")));
    end(&w);
}

static void test_retention(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 3);
    archiver_free(w.archiver);
    w.options.days = 1; /* ten blocks */
    start_archiver(&w);
    run_to(&w, FIRST + 15 * ARCHIVE_STEPS + ARCHIVER_DELAY_STEPS - 1, true);
    struct tally t = blocks_in(&w);
    CHECK_EQ("the newest", t.newest, BLOCK + 13);
    CHECK_EQ("nothing that ended a day ago", t.oldest, BLOCK + 5);
    CHECK_EQ("blocks", t.blocks, 3 * 9);
    CHECK_EQ("removed", stats_of(&w).removed, 3 * 5);
    CHECK_EQ("counted", stats_of(&w).blocks, t.blocks);
    CHECK_EQ("oldest", stats_of(&w).oldest_s, (BLOCK + 5) * ARCHIVE_STEPS * STEP_S);
    /* A clock a year ahead makes nothing old. */
    w.step += 365 * 1440;
    run_to(&w, w.step + 3 * ARCHIVER_TURN_STEPS, false);
    t = blocks_in(&w);
    CHECK_EQ("kept", t.oldest, BLOCK + 5);
    /* Nor does a window that reaches further back than the history bring old blocks back. */
    restart(&w, true);
    run_to(&w, w.step + 3 * ARCHIVER_TURN_STEPS, false);
    CHECK_EQ("kept", blocks_in(&w).oldest, BLOCK + 5);
    end(&w);
}

/* ---- failures ---- */

static int no_room(void *ctx, const char *directory, uint64_t *free_bytes)
{
    (void)directory;
    *free_bytes = *(uint64_t *)ctx;
    return 0;
}

static void test_a_full_disk(void **state)
{
    (void)state;
    struct world w;
    uint64_t free_bytes = 0;
    struct store_io io = *store_io_system();
    io.ctx = &free_bytes;
    io.free_bytes = no_room;
    begin(&w, SERVERS);
    archiver_free(w.archiver);
    w.options.directory = dir;
    w.options.io = &io;
    w.options.reserve_bytes = 1 << 20;
    start_archiver(&w);
    run_to(&w, FIRST + 2 * ARCHIVE_STEPS, true);
    CHECK_EQ("nothing written", blocks_in(&w).blocks, 0);
    CHECK_TRUE("told", stats_of(&w).failing && stats_of(&w).failures > 5);
    CHECK_EQ("samples go in all the same", w.f.applied.samples, 2 * SERVERS);
    free_bytes = 1 << 20;
    run_to(&w, FIRST + 2 * ARCHIVE_STEPS + ARCHIVER_TURN_STEPS, true);
    CHECK_EQ("tried again", blocks_in(&w).blocks, SERVERS);
    CHECK_TRUE("well again", !stats_of(&w).failing);
    check_kept(&w, "nothing is lost", BLOCK);
    CHECK_EQ("missed", stats_of(&w).missed_steps, 0);
    end(&w);
}

/* SQLite says that the file may not grow; the window goes on, and what it loses is counted. */
static void test_a_database_that_cannot_grow(void **state)
{
    (void)state;
    struct world w;
    const struct store_state_options full = {.page_count_max = 12};
    begin(&w, SERVERS);
    archiver_free(w.archiver);
    store_state_close(w.state);
    assert_int_equal(store_state_open(path, &full, NULL, &w.state, NULL), FW_OK);
    start_archiver(&w);
    run_to(&w, FIRST + WINDOW + 2 * ARCHIVE_STEPS, true);
    const struct archiver_stats stats = stats_of(&w);
    CHECK_TRUE("told", stats.failing && stats.failures > 5);
    CHECK_TRUE("counted", stats.missed_steps > 0);
    CHECK_EQ("nothing half written", blocks_in(&w).damaged, 0);
    CHECK_EQ("what is said to be there is there", blocks_in(&w).blocks, stats.blocks);
    CHECK_EQ("samples go in all the same", w.f.applied.samples, 2 * SERVERS);
    restart(&w, true);
    run_to(&w, w.step + ARCHIVER_TURN_STEPS + 1, true);
    CHECK_TRUE("what is still in the windows", blocks_in(&w).newest == BLOCK + 5);
    check_kept(&w, "whole", BLOCK + 4);
    end(&w);
}

static void test_a_damaged_block(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 3);
    run_to(&w, FIRST + ARCHIVE_STEPS + 30, true);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "UPDATE blob SET data = x'01' WHERE key LIKE '%/web-1'", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    CHECK_EQ("damaged", blocks_in(&w).damaged, 1);
    restart(&w, true); /* when all is compared */
    run_to(&w, w.step + ARCHIVER_TURN_STEPS + 1, true);
    CHECK_EQ("counted", stats_of(&w).damaged, 1);
    CHECK_EQ("written anew", blocks_in(&w).damaged, 0);
    CHECK_EQ("blocks", stats_of(&w).blocks, 3);
    check_kept(&w, "whole", BLOCK);
    end(&w);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct world w;
    struct fw_error err;
    struct archiver *none;
    begin(&w, 3);
    for (long n = 1;; n++) {
        fw_alloc_fail_at(n);
        const enum fw_status status = archiver_new(&w.options, &none, &err);
        fw_alloc_fail_at(0);
        if (status == FW_OK)
            break;
        CHECK_EQ("status", status, FW_ENOMEM);
        CHECK_TRUE("nothing", none == NULL);
    }
    archiver_free(none);
    archiver_free(NULL);
    /* Whatever fails in the tick that would write, a later one does it. */
    for (int64_t step = FIRST; step < FIRST + ARCHIVE_STEPS; step++) {
        set_clock(&w, step * STEP_MS);
        feed(&w, step);
    }
    w.step = FIRST + ARCHIVE_STEPS + 100;
    bool failed = true;
    for (long n = 1; failed; n++) {
        restart(&w, true);
        set_clock(&w, w.step * STEP_MS);
        tick(&w);
        set_clock(&w, w.step * STEP_MS + ARCHIVER_TURN_STEPS * STEP_MS); /* everybody's turn */
        const uint64_t before = stats_of(&w).failures;
        fw_alloc_fail_at(n);
        tick(&w);
        fw_alloc_fail_at(0);
        failed = stats_of(&w).failures > before;
        w.step += 2 * ARCHIVER_TURN_STEPS;
        set_clock(&w, w.step * STEP_MS);
        tick(&w);
        set_clock(&w, w.step * STEP_MS + ARCHIVER_TURN_STEPS * STEP_MS);
        tick(&w);
        CHECK_EQ("all there", blocks_in(&w).blocks, 3);
        check_kept(&w, "whole", BLOCK);
        assert_int_equal(store_state_range_delete(
                             w.state, &(struct store_state_range){.ns = "history"}, 0, NULL, NULL),
                         FW_OK);
    }
    end(&w);
}

static void quiet(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    (void)line;
    (void)len;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    fw_log_configure(&(struct fw_log_options){.level = FW_ERROR, .sink = quiet});
    const struct CMUnitTest tests[] = {
        TEST(test_written_in_time),
        TEST(test_late_samples),
        TEST(test_late_at_the_windows_end),
        TEST(test_restart),
        TEST(test_stood_still),
        TEST(test_silent_servers),
        TEST(test_silent_behind_a_block),
        TEST(test_retention),
        TEST(test_a_full_disk),
        TEST(test_a_database_that_cannot_grow),
        TEST(test_a_damaged_block),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
