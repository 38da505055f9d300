/* A daemon's own data directory as history: the blocks, and behind them the newest snapshot. */
#include "unit/fleet/fleet_fixture.h"

#include "archive/archive.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/text.h"
#include "fleet/snapshot.h"
#include "history/history.h"
#include "store/directory.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <unistd.h>

enum { STEP_S = 300, WINDOW = 300 };
#define STEP_MS (INT64_C(1000) * STEP_S)
#define BLOCK INT64_C(41666) /* T0 lies in it */
#define FIRST (BLOCK * ARCHIVE_STEPS)

static char base[] = "/tmp/fw-datadir-XXXXXX";
static char data[64], database[80], snap[80];
static const struct history_options five_minutes = {.step_s = STEP_S};
static char said[4096];

static int fresh(void **state)
{
    (void)state;
    struct store_directory directory;
    strcpy(base, "/tmp/fw-datadir-XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    snprintf(data, sizeof data, "%s/data", base);
    snprintf(database, sizeof database, "%s/history.db", data);
    snprintf(snap, sizeof snap, "%s/snap", data);
    said[0] = '\0';
    if (store_directory_init(&directory, data, NULL, STORE_DIRECTORY_CREATE, NULL) != FW_OK)
        return -1;
    store_directory_fini(&directory);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

static struct store_state *open_database(void)
{
    struct store_state *state = NULL;
    assert_int_equal(store_state_open(database, NULL, NULL, &state, NULL), FW_OK);
    return state;
}

/* cpu_user_pct is the step's place in the block, load_average always 2. */
static void put_block(struct store_state *state, const char *server, uint32_t step_s,
                      int64_t number, int from, int to)
{
    struct archive_codec *codec = archive_codec_new();
    struct archive_block *block = calloc(1, sizeof *block);
    struct fw_buf buf;
    fw_buf_init(&buf, 1 << 20);
    assert_true(codec != NULL && block != NULL);
    block->step_s = step_s;
    block->number = number;
    block->profile = PROFILE_DATABASE;
    block->metrics = 2;
    strcpy(block->metric[0].name, "cpu_user_pct");
    strcpy(block->metric[1].name, "load_average");
    for (int i = 0; i < ARCHIVE_STEPS; i++) {
        const bool there = i >= from && i < to;
        block->metric[0].values[i] = there ? (float)(i % 100) : NAN;
        block->metric[1].values[i] = there ? 2.0f : NAN;
        block->statuses[i] = there ? STATUS_IDLE : STATUS_UNKNOWN;
    }
    assert_int_equal(archive_block_encode(codec, block, &buf, NULL), FW_OK);
    assert_int_equal(archive_put(state, server, step_s, number, buf.data, buf.len, NULL), FW_OK);
    fw_buf_fini(&buf);
    free(block);
    archive_codec_free(codec);
}

static void put_blocks(void)
{
    struct store_state *state = open_database();
    put_block(state, "a", STEP_S, BLOCK, 0, ARCHIVE_STEPS);
    put_block(state, "a", STEP_S, BLOCK + 1, 0, 10); /* the rest is in the window */
    put_block(state, "b", STEP_S, BLOCK, 4, 5);
    store_state_close(state);
}

/* Windows that end `steps` after FIRST: load 7 wherever there is a sample. */
static void put_snapshot(int from, int to)
{
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 4);
    fw_clock_fake_advance_ms(&f.clock, (FIRST + to) * STEP_MS - T0);
    for (int i = from; i < to; i++) {
        const struct sample_value load = {METRIC_LOAD_AVERAGE, 7.0f};
        add_row(&f, "a", (FIRST + i) * STEP_MS, STATUS_HEALTHY, &load, 1);
        if (i == to - 1)
            add_row(&f, "new", (FIRST + i) * STEP_MS, STATUS_HEALTHY, &load, 1);
    }
    flush(&f);
    assert_int_equal(fleet_snapshot_write(f.fleet, snap, NULL, NULL, NULL), FW_OK);
    fixture_fini(&f);
}

static struct history *must_read(const struct history_options *options, size_t n,
                                 const char *const *paths)
{
    struct history *d;
    struct fw_error err = {0};
    if (history_read(options, n, paths, &d, &err) != FW_OK)
        fail_msg("%s", err.text);
    return d;
}

static const struct history_series *series_of(const struct history *d, const char *name)
{
    for (size_t i = 0; i < d->n_series; i++)
        if (strcmp(d->series[i].name, name) == 0)
            return &d->series[i];
    fail_msg("no server %s", name);
    return NULL;
}

static float value_of(const struct history *d, const char *server, const char *metric, int64_t step)
{
    const struct history_series *s = series_of(d, server);
    const int column = history_column(d, metric);
    if (column < 0 || s->value[column] == NULL || step < s->first ||
        step >= s->first + (int64_t)s->steps)
        return NAN;
    return s->value[column][step - s->first];
}

static void test_blocks(void **state)
{
    (void)state;
    const char *path = data;
    put_blocks();
    struct history *d = must_read(&five_minutes, 1, &path);
    CHECK_EQ("servers", d->n_series, 2);
    CHECK_EQ("blocks", d->blocks, 3);
    CHECK_EQ("rows", d->rows, ARCHIVE_STEPS + 10 + 1);
    CHECK_EQ("values", d->values, 2 * (ARCHIVE_STEPS + 10 + 1));
    const struct history_series *a = series_of(d, "a"), *b = series_of(d, "b");
    CHECK_EQ("first", a->first, FIRST);
    CHECK_EQ("steps", a->steps, ARCHIVE_STEPS + 10);
    CHECK_EQ("first", b->first, FIRST + 4);
    CHECK_EQ("steps", b->steps, 1);
    CHECK_EQ("profile", a->profile, PROFILE_DATABASE);
    CHECK_TRUE("status", d->has_status && a->status[7] == STATUS_IDLE);
    for (int i = 0; i < ARCHIVE_STEPS; i++)
        CHECK_NEAR("value", value_of(d, "a", "cpu_user_pct", FIRST + i), i % 100, 0);
    CHECK_NEAR("value", value_of(d, "b", "load_average", FIRST + 4), 2, 0);
    history_free(d);
}

static void test_the_snapshot_fills(void **state)
{
    (void)state;
    const char *path = data;
    put_blocks();
    put_snapshot(100, ARCHIVE_STEPS + 20);
    struct history *d = must_read(&five_minutes, 1, &path);
    CHECK_EQ("servers", d->n_series, 3);
    CHECK_NEAR("the block's own", value_of(d, "a", "load_average", FIRST + 120), 2, 0);
    CHECK_NEAR("of a block that was not full",
               value_of(d, "a", "load_average", FIRST + ARCHIVE_STEPS + 9), 2, 0);
    CHECK_NEAR("its rest is the window's",
               value_of(d, "a", "load_average", FIRST + ARCHIVE_STEPS + 10), 7, 0);
    CHECK_EQ("statuses too", series_of(d, "a")->status[ARCHIVE_STEPS + 10], STATUS_HEALTHY);
    CHECK_EQ("the block's own", series_of(d, "a")->status[120], STATUS_IDLE);
    CHECK_NEAR("a server that has no block yet",
               value_of(d, "new", "load_average", FIRST + ARCHIVE_STEPS + 19), 7, 0);
    history_free(d);
    /* And without any block. */
    assert_int_equal(unlink(database), 0);
    d = must_read(&five_minutes, 1, &path);
    CHECK_EQ("servers", d->n_series, 2);
    CHECK_EQ("blocks", d->blocks, 0);
    CHECK_NEAR("the window's", value_of(d, "a", "load_average", FIRST + 120), 7, 0);
    history_free(d);
}

/* Steps of ten seconds become one of five minutes, in blocks and in windows. */
static void test_a_coarser_grid(void **state)
{
    (void)state;
    const char *path = data;
    const int64_t number = FIRST * 30 / ARCHIVE_STEPS; /* begins with a step of the grid */
    struct store_state *kept = open_database();
    put_block(kept, "a", 10, number, 0, 60);
    store_state_close(kept);
    struct history *d = must_read(&five_minutes, 1, &path);
    const int64_t first = number * ARCHIVE_STEPS * 10 / STEP_S;
    CHECK_EQ("steps", series_of(d, "a")->steps, 2);
    CHECK_NEAR("mean of thirty", value_of(d, "a", "cpu_user_pct", first), 14.5, 1e-5);
    CHECK_NEAR("mean of thirty", value_of(d, "a", "cpu_user_pct", first + 1), 44.5, 1e-5);
    history_free(d);
}

static void test_exact_means(void **state)
{
    (void)state;
    const struct history_options exact = {
        .step_s = STEP_S, .exact = true, .complement = "cpu_user_pct"};
    const char *path = data;
    put_blocks();
    struct history *d = must_read(&exact, 1, &path);
    const struct history_series *a = series_of(d, "a");
    const int cpu = history_column(d, "cpu_user_pct"), load = history_column(d, "load_average");
    for (int i = 0; i < ARCHIVE_STEPS; i++) {
        CHECK_NEAR("as it is", a->value[cpu][i], i % 100, 0);
        CHECK_NEAR("of the complement", a->exact[cpu][i], 100 - i % 100, 0);
        CHECK_NEAR("of the value", a->exact[load][i], 2, 0);
    }
    history_free(d);
}

static void test_beside_csv(void **state)
{
    (void)state;
    char file[80];
    snprintf(file, sizeof file, "%s/more.csv", base);
    FILE *csv = fopen(file, "w");
    assert_non_null(csv);
    char time[FW_TIME_SIZE];
    fw_time_format_z((FIRST + ARCHIVE_STEPS + 50) * STEP_MS, time);
    fprintf(csv, "timestamp,server_name,load_average\n%s,a,5\n", time);
    assert_int_equal(fclose(csv), 0);
    const char *const paths[] = {file, data};
    put_blocks();
    struct history *d = must_read(&five_minutes, 2, paths);
    CHECK_NEAR("of the file", value_of(d, "a", "load_average", FIRST + ARCHIVE_STEPS + 50), 5, 0);
    CHECK_NEAR("of the blocks", value_of(d, "a", "load_average", FIRST), 2, 0);
    history_free(d);
}

static void change(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_a_damaged_block_costs_itself(void **state)
{
    (void)state;
    const char *path = data;
    put_blocks();
    change("UPDATE blob SET data = x'01' WHERE key LIKE '%/b'");
    struct history *d = must_read(&five_minutes, 1, &path);
    CHECK_EQ("servers", d->n_series, 1);
    CHECK_EQ("passed over", d->blocks_damaged, 1);
    CHECK_EQ("the others", d->blocks, 2);
    CHECK_TRUE("named", strstr(said, "history.db") != NULL && strstr(said, "server=b") != NULL);
    char time[FW_TIME_SIZE];
    fw_time_format_z(FIRST * STEP_MS, time);
    CHECK_TRUE("named", strstr(said, time) != NULL);
    history_free(d);
}

static void expect_error(const char *name, enum fw_status status, const char *text)
{
    struct history *d;
    struct fw_error err = {0};
    const char *path = data;
    CHECK_EQ(name, history_read(&five_minutes, 1, &path, &d, &err), status);
    CHECK_TRUE(name, d == NULL);
    if (strstr(err.text, text) == NULL)
        fail_msg("%s: %s", name, err.text);
}

static void test_errors(void **state)
{
    (void)state;
    char file[80];
    expect_error("nothing yet", FW_ENOTFOUND, "no samples are in it yet");
    FILE *out = fopen(database, "w");
    assert_non_null(out);
    for (int i = 0; i < 5000; i++)
        fputc('x', out);
    assert_int_equal(fclose(out), 0);
    expect_error("no database", FW_ECORRUPT, "history.db");
    assert_int_equal(unlink(database), 0);
    struct store_state *kept = open_database();
    put_block(kept, "a", STEP_S, 1, 0, 1);
    put_block(kept, "a", STEP_S, INT64_C(5000000), 0, 1);
    store_state_close(kept);
    expect_error("a span of centuries", FW_ELIMIT, "server a from 8814-10-08T00:00:00Z");
    snprintf(file, sizeof file, "%s/FORMAT", data);
    out = fopen(file, "w");
    assert_non_null(out);
    fputs("forewarn data 2\n", out);
    assert_int_equal(fclose(out), 0);
    expect_error("a later program's", FW_EVERSION, "format 2");
}

/* ---- while the daemon writes ---- */

static void *keep_writing(void *ctx)
{
    const atomic_bool *stop = ctx;
    struct store_state *state = open_database();
    for (int64_t n = 0; !atomic_load(stop); n++) {
        char server[16];
        snprintf(server, sizeof server, "s%d", (int)(n % 50));
        put_block(state, server, STEP_S, BLOCK + n / 50, 0, ARCHIVE_STEPS);
    }
    store_state_close(state);
    return NULL;
}

static void test_beside_a_writer(void **state)
{
    (void)state;
    atomic_bool stop = false;
    pthread_t writer;
    const char *path = data;
    uint64_t blocks = 0;
    put_blocks();
    assert_int_equal(pthread_create(&writer, NULL, keep_writing, &stop), 0);
    for (int i = 0; i < 20; i++) {
        struct history *d = must_read(&five_minutes, 1, &path);
        CHECK_EQ("damaged", d->blocks_damaged, 0);
        CHECK_TRUE("never fewer", d->blocks >= blocks);
        CHECK_NEAR("whole", value_of(d, "a", "cpu_user_pct", FIRST + 77), 77, 0);
        blocks = d->blocks;
        history_free(d);
    }
    atomic_store(&stop, true);
    pthread_join(writer, NULL);
    CHECK_STR("nothing to tell", said, "");
}

static void test_no_memory(void **state)
{
    (void)state;
    const char *path = data;
    put_blocks();
    put_snapshot(100, ARCHIVE_STEPS + 20);
    for (long n = 1;; n++) {
        struct history *d;
        struct fw_error err;
        fw_alloc_fail_at(n);
        const enum fw_status status = history_read(&five_minutes, 1, &path, &d, &err);
        fw_alloc_fail_at(0);
        if (status == FW_OK) {
            CHECK_TRUE("some allocations were made to fail", n > 20);
            history_free(d);
            return;
        }
        CHECK_EQ("status", status, FW_ENOMEM);
    }
}

static void keep(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    const size_t have = strlen(said);
    if (have + len < sizeof said)
        snprintf(said + have, sizeof said - have, "%.*s", (int)len, line);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    fw_log_configure(&(struct fw_log_options){.level = FW_INFO, .sink = keep});
    const struct CMUnitTest tests[] = {
        TEST(test_blocks),         TEST(test_the_snapshot_fills),
        TEST(test_a_coarser_grid), TEST(test_exact_means),
        TEST(test_beside_csv),     TEST(test_a_damaged_block_costs_itself),
        TEST(test_errors),         TEST(test_beside_a_writer),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
