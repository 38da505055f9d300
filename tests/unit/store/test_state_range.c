/* Ranges of keys, and reading a database that somebody else writes. */
#include "store_support.h"

#include "base/log.h"
#include "store/state.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <unistd.h>

static char dir[] = "/tmp/fw-range-XXXXXX";
static char path[64];
static struct store_state *state;

static int fresh(void **unused)
{
    (void)unused;
    strcpy(dir, "/tmp/fw-range-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/history.db", dir);
    return store_state_open(path, NULL, NULL, &state, NULL) == FW_OK ? 0 : -1;
}

static int clean(void **unused)
{
    (void)unused;
    char command[64];
    store_state_close(state);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void put(const char *ns, const char *key, const char *text)
{
    assert_int_equal(store_state_put(state, ns, key, text, strlen(text), NULL), FW_OK);
}

struct collected {
    char text[256];
    size_t n, stop_at;
};

static bool collect_key(void *ctx, const char *key, const void *data, size_t len)
{
    struct collected *c = ctx;
    char item[64];
    if (data == NULL)
        snprintf(item, sizeof item, "%s damaged ", key);
    else
        snprintf(item, sizeof item, "%s=%.*s ", key, (int)len, (const char *)data);
    strcat(c->text, item);
    return ++c->n != c->stop_at;
}

static void put_letters(void)
{
    put("n", "a", "1");
    put("n", "b", "2");
    put("n", "ba", "3");
    put("n", "c", "");
    put("n", "\xc3\xa4", "5");
    put("m", "b", "other");
}

static void test_ranges(void **unused)
{
    (void)unused;
    static const struct {
        const char *name, *from, *to, *keys;
        uint64_t count;
    } rows[] = {
        {"all",                NULL, NULL,       "a=1 b=2 ba=3 c= \xc3\xa4=5 ", 5},
        {"from, included",     "b",  NULL,       "b=2 ba=3 c= \xc3\xa4=5 ",     4},
        {"to, not included",   NULL, "c",        "a=1 b=2 ba=3 ",               3},
        {"both",               "aa", "bb",       "b=2 ba=3 ",                   2},
        {"none between",       "bb", "c",        "",                            0},
        {"the wrong way",      "c",  "a",        "",                            0},
        {"bytes, not letters", "d",  "\xc3\xa5", "\xc3\xa4=5 ",                 1},
    };
    put_letters();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct store_state_range range = {"n", rows[i].from, rows[i].to};
        struct collected c = {0};
        uint64_t count = 77;
        CHECK_EQ(rows[i].name, store_state_range_each(state, &range, collect_key, &c, NULL), FW_OK);
        CHECK_STR(rows[i].name, c.text, rows[i].keys);
        CHECK_EQ(rows[i].name, store_state_range_count(state, &range, &count, NULL), FW_OK);
        CHECK_EQ(rows[i].name, count, rows[i].count);
    }
    struct collected two = {.stop_at = 2};
    const struct store_state_range all = {.ns = "n"};
    assert_int_equal(store_state_range_each(state, &all, collect_key, &two, NULL), FW_OK);
    assert_string_equal(two.text, "a=1 b=2 ");
    const struct store_state_range nameless = {.ns = ""};
    struct fw_error err;
    uint64_t count;
    assert_int_equal(store_state_range_each(state, &nameless, collect_key, &two, &err), FW_EINVAL);
    assert_int_equal(store_state_range_count(state, &nameless, &count, &err), FW_EINVAL);
    assert_int_equal(store_state_range_delete(state, &nameless, 0, NULL, &err), FW_EINVAL);
}

static void test_deleting_in_order(void **unused)
{
    (void)unused;
    put_letters();
    const struct store_state_range below_c = {"n", NULL, "c"}, all = {.ns = "n"};
    uint64_t removed = 77;
    struct collected c = {0}, none = {0};
    assert_int_equal(store_state_range_delete(state, &below_c, 2, &removed, NULL), FW_OK);
    assert_int_equal(removed, 2);
    assert_int_equal(store_state_range_each(state, &all, collect_key, &c, NULL), FW_OK);
    assert_string_equal(c.text, "ba=3 c= \xc3\xa4=5 ");
    assert_int_equal(store_state_range_delete(state, &below_c, 2, &removed, NULL), FW_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(store_state_range_delete(state, &below_c, 2, &removed, NULL), FW_OK);
    assert_int_equal(removed, 0);
    assert_int_equal(store_state_range_delete(state, &all, 0, NULL, NULL), FW_OK);
    assert_int_equal(store_state_range_each(state, &all, collect_key, &none, NULL), FW_OK);
    assert_string_equal(none.text, "");
    const struct store_state_range other = {.ns = "m"};
    uint64_t count;
    assert_int_equal(store_state_range_count(state, &other, &count, NULL), FW_OK);
    assert_int_equal(count, 1);
}

static void test_a_damaged_blob_is_told(void **unused)
{
    (void)unused;
    put_letters();
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE blob SET data = x'39' WHERE ns = 'n' AND key = 'b'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    const struct store_state_range range = {"n", NULL, "c"};
    struct collected c = {0};
    assert_int_equal(store_state_range_each(state, &range, collect_key, &c, NULL), FW_OK);
    assert_string_equal(c.text, "a=1 b damaged ba=3 ");
}

static void test_size(void **unused)
{
    (void)unused;
    uint64_t before = 0, after = 0;
    static char big[100000];
    assert_int_equal(store_state_size(state, &before, NULL), FW_OK);
    assert_int_equal(store_state_put(state, "n", "big", big, sizeof big, NULL), FW_OK);
    assert_int_equal(store_state_size(state, &after, NULL), FW_OK);
    assert_true(before > 0 && after >= before + 90000);
}

/* ---- a reader beside the writer ---- */

static bool count_blob(void *ctx, const char *key, const void *data, size_t len)
{
    (void)key;
    if (data == NULL || len != 500)
        fail_msg("a blob of %zu bytes", len);
    ++*(uint64_t *)ctx;
    return true;
}

static void *keep_writing(void *ctx)
{
    const atomic_bool *stop = ctx;
    char bytes[500] = {0}, key[16];
    for (int n = 0; !atomic_load(stop) && n < 100000; n += 10) {
        if (store_state_begin(state, NULL) != FW_OK)
            abort();
        for (int i = 0; i < 10; i++) {
            snprintf(key, sizeof key, "%08d", n + i);
            if (store_state_put(state, "n", key, bytes, sizeof bytes, NULL) != FW_OK)
                abort();
        }
        if (store_state_commit(state, NULL) != FW_OK)
            abort();
    }
    return NULL;
}

/* Whole transactions, never fewer than before, and no word about a log that changes meanwhile. */
static void test_reading_beside_a_writer(void **unused)
{
    (void)unused;
    atomic_bool stop = false;
    pthread_t writer;
    const struct store_state_options look = {.read_only = true, .unchecked = true};
    const struct store_state_range all = {.ns = "n"};
    uint64_t last = 0;
    assert_int_equal(pthread_create(&writer, NULL, keep_writing, &stop), 0);
    for (int round = 0; round < 50; round++) {
        struct store_state *reader = NULL;
        struct store_state_report report;
        struct fw_error err = {0};
        uint64_t seen = 0;
        if (store_state_open(path, &look, &report, &reader, &err) != FW_OK)
            fail_msg("%s", err.text);
        CHECK_EQ("no alarm", report.wal_lost_commits, 0);
        assert_int_equal(store_state_range_each(reader, &all, count_blob, &seen, NULL), FW_OK);
        CHECK_TRUE("whole transactions", seen % 10 == 0 && seen >= last);
        last = seen;
        assert_int_equal(store_state_put(reader, "n", "x", "", 0, &err), FW_EIO);
        store_state_close(reader);
    }
    atomic_store(&stop, true);
    pthread_join(writer, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    fw_log_configure(&(struct fw_log_options){.level = FW_ERROR, .sink = quiet_log_sink});
    const struct CMUnitTest tests[] = {
        TEST(test_ranges), TEST(test_deleting_in_order),       TEST(test_a_damaged_blob_is_told),
        TEST(test_size),   TEST(test_reading_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
