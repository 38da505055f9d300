#include "store_support.h"

#include "base/log.h"
#include "store/state.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/fw-state-XXXXXX";
static char path[64], quarantine[64];

static int fresh(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/fw-state-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/state.db", dir);
    snprintf(quarantine, sizeof quarantine, "%s/quarantine", dir);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static struct store_state *open_state(struct store_state_report *report)
{
    struct store_state *state = NULL;
    struct fw_error err = {0};
    const struct store_state_options options = {.quarantine_dir = quarantine};
    if (store_state_open(path, &options, report, &state, &err) != FW_OK)
        fail_msg("state does not open: %s", err.text);
    return state;
}

static void expect_blob(struct store_state *state, const char *ns, const char *key,
                        const char *text)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 1 << 20);
    const enum fw_status status = store_state_get(state, ns, key, &buf, NULL);
    if (text == NULL) {
        assert_int_equal(status, FW_ENOTFOUND);
    } else {
        assert_int_equal(status, FW_OK);
        assert_int_equal(buf.len, strlen(text));
        if (buf.len > 0)
            assert_memory_equal(buf.data, text, buf.len);
    }
    fw_buf_fini(&buf);
}

static void put(struct store_state *state, const char *ns, const char *key, const char *text)
{
    assert_int_equal(store_state_put(state, ns, key, text, strlen(text), NULL), FW_OK);
}

static void test_blobs(void **unused)
{
    (void)unused;
    struct store_state_report report;
    struct store_state *state = open_state(&report);
    assert_true(report.created);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    put(state, "a", "k", "one");
    put(state, "a", "k", "two");
    put(state, "b", "k", "other");
    put(state, "a", "empty", "");
    expect_blob(state, "a", "k", "two");
    expect_blob(state, "b", "k", "other");
    expect_blob(state, "a", "empty", "");
    expect_blob(state, "a", "none", NULL);
    assert_int_equal(store_state_delete(state, "b", "k", NULL), FW_OK);
    assert_int_equal(store_state_delete(state, "b", "k", NULL), FW_OK);
    expect_blob(state, "b", "k", NULL);
    char long_name[STORE_STATE_NAME_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    struct fw_error err;
    assert_int_equal(store_state_put(state, "", "k", "", 0, &err), FW_EINVAL);
    assert_int_equal(store_state_put(state, "a", long_name, "", 0, &err), FW_EINVAL);
    assert_int_equal(store_state_put(state, "a", "k", "", (size_t)STORE_STATE_BLOB_MAX + 1, &err),
                     FW_ELIMIT);
    struct fw_buf small;
    fw_buf_init(&small, 2);
    assert_int_equal(store_state_get(state, "a", "k", &small, &err), FW_ELIMIT);
    fw_buf_fini(&small);
    store_state_close(state);
    state = open_state(&report);
    assert_false(report.created);
    assert_true(report.integrity_checked);
    expect_blob(state, "a", "k", "two");
    store_state_close(state);
    store_state_close(NULL);
}

struct collected {
    char text[256];
    size_t n, stop_at;
};

static bool collect_key(void *ctx, const char *key, const void *data, size_t len)
{
    struct collected *c = ctx;
    char item[64];
    snprintf(item, sizeof item, "%s=%.*s ", key, (int)len, (const char *)data);
    strcat(c->text, item);
    return ++c->n != c->stop_at;
}

static void test_each_in_key_order(void **unused)
{
    (void)unused;
    struct store_state *state = open_state(NULL);
    put(state, "n", "b", "2");
    put(state, "n", "a", "1");
    put(state, "m", "z", "9");
    put(state, "n", "\xc3\xa4", "4");
    put(state, "n", "c", "3");
    struct collected all = {0}, two = {.stop_at = 2};
    uint64_t damaged = 7;
    assert_int_equal(store_state_each(state, "n", collect_key, &all, &damaged, NULL), FW_OK);
    assert_string_equal(all.text, "a=1 b=2 c=3 \xc3\xa4=4 ");
    assert_int_equal(damaged, 0);
    assert_int_equal(store_state_each(state, "n", collect_key, &two, NULL, NULL), FW_OK);
    assert_string_equal(two.text, "a=1 b=2 ");
    store_state_close(state);
}

static void test_transactions(void **unused)
{
    (void)unused;
    struct store_state *state = open_state(NULL);
    assert_int_equal(store_state_begin(state, NULL), FW_OK);
    put(state, "n", "a", "1");
    store_state_rollback(state);
    expect_blob(state, "n", "a", NULL);
    assert_int_equal(store_state_begin(state, NULL), FW_OK);
    put(state, "n", "a", "1");
    put(state, "n", "b", "2");
    expect_blob(state, "n", "b", "2");
    assert_int_equal(store_state_commit(state, NULL), FW_OK);
    assert_int_equal(store_state_begin(state, NULL), FW_OK);
    put(state, "n", "c", "3");
    store_state_close(state); /* rolls back */
    state = open_state(NULL);
    expect_blob(state, "n", "b", "2");
    expect_blob(state, "n", "c", NULL);
    store_state_close(state);
}

static bool collect_event(void *ctx, const struct store_state_event *event)
{
    struct collected *c = ctx;
    char item[64];
    snprintf(item, sizeof item, "%lld:%lld:%s:%.*s ", (long long)event->id,
             (long long)event->time_ms, event->subject, (int)event->len, (const char *)event->data);
    strcat(c->text, item);
    return ++c->n != c->stop_at;
}

static void test_events(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        struct store_state_event_query query;
        const char *expected;
    } rows[] = {
        {"all, oldest first",
         {"alert", INT64_MIN, INT64_MAX, NULL, false, 0},
         "3:50:b:z 1:100:a:X 2:200:b:y "                                                   },
        {"newest first",
         {"alert", INT64_MIN, INT64_MAX, NULL, true, 0},
         "2:200:b:y 1:100:a:X 3:50:b:z "                                                   },
        {"half-open range",       {"alert", 50, 200, NULL, false, 0}, "3:50:b:z 1:100:a:X "},
        {"one subject",           {"alert", 0, 1000, "b", true, 0},   "2:200:b:y 3:50:b:z "},
        {"subject, oldest first", {"alert", 0, 1000, "b", false, 0},  "3:50:b:z 2:200:b:y "},
        {"limit",                 {"alert", 0, 1000, NULL, true, 1},  "2:200:b:y "         },
        {"other kind",            {"env", 0, 1000, NULL, false, 0},   "4:100::e "          },
        {"no such kind",          {"none", 0, 1000, NULL, false, 0},  ""                   },
    };
    struct store_state *state = open_state(NULL);
    int64_t id = 0;
    assert_int_equal(store_state_event_append(state, "alert", 100, "a", "x", 1, &id, NULL), FW_OK);
    assert_int_equal(id, 1);
    assert_int_equal(store_state_event_append(state, "alert", 200, "b", "y", 1, NULL, NULL), FW_OK);
    assert_int_equal(store_state_event_append(state, "alert", 50, "b", "z", 1, NULL, NULL), FW_OK);
    assert_int_equal(store_state_event_append(state, "env", 100, "", "e", 1, &id, NULL), FW_OK);
    assert_int_equal(store_state_event_update(state, 1, "X", 1, NULL), FW_OK);
    struct fw_error err;
    assert_int_equal(store_state_event_update(state, 99, "X", 1, &err), FW_ENOTFOUND);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct collected c = {0};
        uint64_t damaged;
        CHECK_EQ(rows[i].name,
                 store_state_event_each(state, &rows[i].query, collect_event, &c, &damaged, NULL),
                 FW_OK);
        CHECK_STR(rows[i].name, c.text, rows[i].expected);
        CHECK_EQ(rows[i].name, damaged, 0);
    }
    uint64_t removed = 0;
    /* By time, not by the order they came in: the one of 50 is the oldest. */
    assert_int_equal(store_state_event_trim(state, "alert", 3, &removed, NULL), FW_OK);
    assert_int_equal(removed, 0);
    assert_int_equal(store_state_event_append(state, "alert", 40, "c", "q", 1, NULL, NULL), FW_OK);
    assert_int_equal(store_state_event_append(state, "alert", 40, "d", "r", 1, NULL, NULL), FW_OK);
    assert_int_equal(store_state_event_trim(state, "alert", 4, &removed, NULL), FW_OK);
    assert_int_equal(removed, 1);
    struct collected left = {0};
    const struct store_state_event_query all = {"alert", 0, 1000, NULL, true, 0};
    assert_int_equal(store_state_event_each(state, &all, collect_event, &left, NULL, NULL), FW_OK);
    CHECK_STR("the newest of the same time", left.text, "2:200:b:y 1:100:a:X 3:50:b:z 6:40:d:r ");
    assert_int_equal(store_state_event_trim(state, "alert", 3, &removed, NULL), FW_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(store_state_event_trim(state, "none", 0, &removed, NULL), FW_OK);
    assert_int_equal(removed, 0);
    assert_int_equal(store_state_event_prune(state, "alert", 200, &removed, NULL), FW_OK);
    assert_int_equal(removed, 2);
    assert_int_equal(store_state_event_prune(state, "alert", 1000, &removed, NULL), FW_OK);
    /* Numbers are not used twice. */
    assert_int_equal(store_state_event_append(state, "alert", 1, "a", "", 0, &id, NULL), FW_OK);
    assert_int_equal(id, 7);
    store_state_close(state);
}

/* A wrong byte inside a value is an error, not a value. */
static void test_checksums(void **unused)
{
    (void)unused;
    struct store_state *state = open_state(NULL);
    put(state, "n", "a", "1");
    put(state, "n", "b", "2");
    assert_int_equal(store_state_event_append(state, "k", 5, "s", "data", 4, NULL, NULL), FW_OK);
    store_state_close(state);
    static const char *const damage[] = {"UPDATE blob SET data = x'33' WHERE key = 'a'",
                                         "UPDATE event SET subject = 't'"};
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < COUNT_OF(damage); i++)
        assert_int_equal(sqlite3_exec(db, damage[i], NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    state = open_state(NULL);
    struct fw_buf buf;
    fw_buf_init(&buf, 100);
    struct fw_error err;
    assert_int_equal(store_state_get(state, "n", "a", &buf, &err), FW_ECORRUPT);
    assert_int_equal(buf.len, 0);
    struct collected c = {0};
    uint64_t damaged;
    assert_int_equal(store_state_each(state, "n", collect_key, &c, &damaged, NULL), FW_OK);
    assert_string_equal(c.text, "b=2 ");
    assert_int_equal(damaged, 1);
    const struct store_state_event_query query = {.kind = "k", .from_ms = 0, .to_ms = 10};
    assert_int_equal(store_state_event_each(state, &query, collect_event, &c, &damaged, NULL),
                     FW_OK);
    assert_int_equal(damaged, 1);
    fw_buf_fini(&buf);
    store_state_close(state);
}

static void copy(const char *from, const char *to)
{
    char command[256];
    snprintf(command, sizeof command, "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
}

static void flip_file(const char *name, long at)
{
    const int fd = open(name, O_RDWR);
    assert_true(fd >= 0);
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* One flipped bit in the middle of the write-ahead log: SQLite drops every later commit without a
 * word. */
static void test_wal_damage_is_told(void **unused)
{
    (void)unused;
    char wal[80], wal_copy[80], db_copy[80];
    snprintf(wal, sizeof wal, "%s-wal", path);
    snprintf(wal_copy, sizeof wal_copy, "%s/copy-wal", dir);
    snprintf(db_copy, sizeof db_copy, "%s/copy", dir);
    struct store_state *state = open_state(NULL);
    for (int i = 0; i < 30; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%02d", i);
        put(state, "n", key, "value");
    }
    copy(path, db_copy); /* as after kill -9: closing would empty the log */
    copy(wal, wal_copy);
    store_state_close(state);

    struct stat st;
    assert_int_equal(stat(wal_copy, &st), 0);
    copy(db_copy, path);
    copy(wal_copy, wal);
    struct store_state_report report;
    state = open_state(&report);
    assert_true(report.wal_commits >= 30);
    assert_int_equal(report.wal_lost_commits, 0);
    assert_false(report.wal_torn);
    expect_blob(state, "n", "k29", "value");
    store_state_close(state);

    static const struct {
        const char *name;
        double where; /* in the log */
        bool torn;
    } rows[] = {
        {"middle",     0.5,   false},
        {"header",     0.0,   false},
        {"last frame", 0.999, true }
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        copy(db_copy, path);
        copy(wal_copy, wal);
        flip_file(wal, rows[i].where > 0.0 ? (long)((double)st.st_size * rows[i].where) : 17);
        state = open_state(&report);
        CHECK_EQ(rows[i].name, report.wal_torn, rows[i].torn);
        CHECK_TRUE(rows[i].name,
                   rows[i].torn ? report.wal_lost_commits == 0 : report.wal_lost_commits > 10);
        if (!rows[i].torn) {
            CHECK_TRUE(rows[i].name, access(report.copy_path, R_OK) == 0);
            expect_blob(state, "n", "k29", NULL);
        }
        put(state, "n", "new", "works");
        store_state_close(state);
    }
}

/* Damage to the file itself: it is set aside, and what can be read goes into a new one. */
static void test_rebuild(void **unused)
{
    (void)unused;
    struct store_state *state = open_state(NULL);
    char value[400];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    assert_int_equal(store_state_begin(state, NULL), FW_OK);
    for (int i = 0; i < 500; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%03d", i);
        put(state, "n", key, value);
        assert_int_equal(store_state_event_append(state, "e", i, "s", "d", 1, NULL, NULL), FW_OK);
    }
    assert_int_equal(store_state_commit(state, NULL), FW_OK);
    store_state_close(state);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    /* A page in the middle of the tables becomes noise. */
    const int fd = open(path, O_RDWR);
    char noise[4096];
    memset(noise, 0x5a, sizeof noise);
    assert_int_equal(pwrite(fd, noise, sizeof noise, (st.st_size / 4096 / 2) * 4096), sizeof noise);
    close(fd);
    struct store_state_report report;
    state = open_state(&report);
    assert_true(report.rebuilt);
    assert_true(report.salvaged_rows > 900);
    assert_true(access(report.copy_path, R_OK) == 0);
    expect_blob(state, "n", "k000", value);
    expect_blob(state, "n", "k499", value);
    store_state_close(state);
    /* And one that is no database at all. */
    const int garbage = open(path, O_RDWR | O_TRUNC);
    assert_int_equal(write(garbage, noise, sizeof noise), sizeof noise);
    close(garbage);
    state = open_state(&report);
    assert_true(report.rebuilt);
    assert_int_equal(report.salvaged_rows, 0);
    put(state, "n", "a", "1");
    store_state_close(state);
    /* Reading only, nothing is repaired. */
    flip_file(path, 18);
    flip_file(path, 3);
    struct fw_error err;
    const struct store_state_options look = {.read_only = true};
    assert_int_equal(store_state_open(path, &look, NULL, &state, &err), FW_ECORRUPT);
    assert_null(state);
}

static void test_later_schema(void **unused)
{
    (void)unused;
    store_state_close(open_state(NULL));
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    struct store_state *state;
    struct fw_error err;
    assert_int_equal(store_state_open(path, NULL, NULL, &state, &err), FW_EVERSION);
    assert_non_null(strstr(err.text, "99"));
}

static void test_full(void **unused)
{
    (void)unused;
    struct store_state *state;
    const struct store_state_options options = {.page_count_max = 20};
    assert_int_equal(store_state_open(path, &options, NULL, &state, NULL), FW_OK);
    char *big = calloc(1, 200000);
    assert_non_null(big);
    struct fw_error err;
    put(state, "n", "a", "1");
    assert_int_equal(store_state_put(state, "n", "big", big, 200000, &err), FW_ENOSPC);
    assert_int_equal(store_state_begin(state, NULL), FW_OK);
    assert_int_equal(store_state_put(state, "n", "big", big, 200000, &err), FW_ENOSPC);
    store_state_rollback(state);
    expect_blob(state, "n", "a", "1"); /* reads go on */
    put(state, "n", "b", "2");
    free(big);
    store_state_close(state);
}

static void test_backup_and_compact(void **unused)
{
    (void)unused;
    char to[64];
    snprintf(to, sizeof to, "%s/backup.db", dir);
    struct store_state *state = open_state(NULL);
    put(state, "n", "a", "1");
    assert_int_equal(store_state_backup(state, to, NULL), FW_OK);
    put(state, "n", "a", "2");
    struct fw_error err;
    assert_int_equal(store_state_backup(state, to, &err), FW_EINVAL);
    char *big = calloc(1, 1 << 20);
    assert_non_null(big);
    assert_int_equal(store_state_put(state, "n", "big", big, 1 << 20, NULL), FW_OK);
    free(big);
    assert_int_equal(store_state_delete(state, "n", "big", NULL), FW_OK);
    assert_int_equal(store_state_compact(state, NULL), FW_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 100000);
    store_state_close(state);
    strcpy(path, to);
    state = open_state(NULL);
    expect_blob(state, "n", "a", "1");
    store_state_close(state);
}

struct worker {
    struct store_state *state;
    int number;
};

static void *work(void *ctx)
{
    const struct worker *worker = ctx;
    for (int i = 0; i < 40; i++) {
        char key[32];
        snprintf(key, sizeof key, "w%d-%d", worker->number, i);
        assert_int_equal(store_state_begin(worker->state, NULL), FW_OK);
        put(worker->state, "n", key, key);
        expect_blob(worker->state, "n", key, key);
        assert_int_equal(store_state_commit(worker->state, NULL), FW_OK);
    }
    return NULL;
}

static void test_threads(void **unused)
{
    (void)unused;
    struct store_state *state = open_state(NULL);
    struct worker workers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){.state = state, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    expect_blob(state, "n", "w3-39", "w3-39");
    store_state_close(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    fw_log_configure(&(struct fw_log_options){
        .level = FW_ERROR, .lines_per_minute = 10, .sink = quiet_log_sink});
    const struct CMUnitTest tests[] = {
        TEST(test_blobs),        TEST(test_each_in_key_order),
        TEST(test_transactions), TEST(test_events),
        TEST(test_checksums),    TEST(test_wal_damage_is_told),
        TEST(test_rebuild),      TEST(test_later_schema),
        TEST(test_full),         TEST(test_backup_and_compact),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
