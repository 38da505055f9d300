/* Blocks in the store: keys, ranges of time, damage. */
#include "block_support.h"

#include "archive/archive.h"
#include "base/alloc.h"

#include <sqlite3.h>
#include <unistd.h>

static char dir[] = "/tmp/fw-archive-XXXXXX";
static char path[64];
static struct store_state *state;
static struct archive_codec *codec;
static struct fw_buf buf;

static int fresh(void **unused)
{
    (void)unused;
    strcpy(dir, "/tmp/fw-archive-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/history.db", dir);
    fw_buf_init(&buf, 1 << 20);
    codec = archive_codec_new();
    return codec != NULL && store_state_open(path, NULL, NULL, &state, NULL) == FW_OK ? 0 : -1;
}

static int clean(void **unused)
{
    (void)unused;
    char command[64];
    store_state_close(state);
    archive_codec_free(codec);
    fw_buf_fini(&buf);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void test_keys(void **unused)
{
    (void)unused;
    char key[ARCHIVE_KEY_SIZE], long_name[SERVER_NAME_MAX + 1];
    const char *server;
    int64_t start_s;
    archive_key(key, 1767225600, "web-1");
    CHECK_STR("key", key, "006955b900/web-1");
    CHECK_TRUE("back", archive_key_parse(key, &start_s, &server));
    CHECK_EQ("back", start_s, 1767225600);
    CHECK_STR("back", server, "web-1");
    memset(long_name, 'x', SERVER_NAME_MAX);
    long_name[SERVER_NAME_MAX] = '\0';
    archive_key(key, INT64_C(253402300799), long_name); /* the end of the year 9999 */
    CHECK_TRUE("the longest", archive_key_parse(key, &start_s, &server));
    CHECK_EQ("the longest", start_s, INT64_C(253402300799));
    CHECK_STR("the longest", server, long_name);
    static const char *const wrong[] = {
        "",           "006955b900",      "006955b900/",      "006955b900-web",
        "06955b900/", "006955B900/web",  "006955b9000/web",  "006955b90g/web",
        "web",        "006955b900/ web", "006955b900/we\nb",
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        CHECK_TRUE(wrong[i], !archive_key_parse(wrong[i], &start_s, &server));
}

static void put(const char *server, uint32_t step_s, int64_t number, float value)
{
    struct archive_block *block = block_new(step_s, number);
    block_metric(block, "cpu_user_pct")[0] = value;
    fw_buf_reset(&buf);
    assert_int_equal(archive_block_encode(codec, block, &buf, NULL), FW_OK);
    assert_int_equal(archive_put(state, server, step_s, number, buf.data, buf.len, NULL), FW_OK);
    free(block);
}

static enum fw_status get(const char *server, uint32_t step_s, int64_t number, float *value)
{
    struct archive_block *block = block_new(0, 0);
    struct fw_buf scratch;
    struct fw_error err;
    fw_buf_init(&scratch, 1 << 20);
    const enum fw_status status =
        archive_get(state, codec, server, step_s, number, &scratch, block, &err);
    *value = status == FW_OK ? block->metric[0].values[0] : NAN;
    fw_buf_fini(&scratch);
    free(block);
    return status;
}

static void test_putting_and_getting(void **unused)
{
    (void)unused;
    float value;
    put("a", 300, 40000, 1.0f);
    put("b", 300, 40000, 2.0f);
    put("a", 300, 40001, 3.0f);
    put("a", 300, 40000, 4.0f);
    CHECK_EQ("there", get("a", 300, 40000, &value), FW_OK);
    CHECK_NEAR("replaced", value, 4, 0);
    CHECK_EQ("there", get("b", 300, 40000, &value), FW_OK);
    CHECK_NEAR("another server", value, 2, 0);
    CHECK_EQ("not there", get("b", 300, 40001, &value), FW_ENOTFOUND);
    CHECK_EQ("of another grid", get("a", 150, 80000, &value), FW_ENOTFOUND);
}

/* What archive_each() tells, a line a block. */
static bool collect(void *ctx, const struct archive_found *found)
{
    char *text = ctx, line[160];
    const float value = found->block == NULL ? NAN : found->block->metric[0].values[0];
    if (found->block != NULL)
        snprintf(line, sizeof line, "%lld %s %g\n", (long long)found->start_s, found->server,
                 (double)value);
    else
        snprintf(line, sizeof line, "%s: %s%s\n", found->key, found->trouble,
                 found->checksum_failed ? "!" : "");
    strcat(text, line);
    return true;
}

static void expect_all(const char *expected)
{
    char text[2000] = "";
    assert_int_equal(archive_each(state, collect, text, NULL), FW_OK);
    assert_string_equal(text, expected);
}

static void test_in_order_of_time(void **unused)
{
    (void)unused;
    put("b", 1, 3, 3.0f);
    put("a", 1, 3, 4.0f);
    put("a", 1, 2, 2.0f);
    put("z", 1, 0, 1.0f);
    put("c", 60, 0, 0.5f);
    expect_all("0 c 0.5\n0 z 1\n288 a 2\n432 a 4\n432 b 3\n");
    uint64_t blocks = 0;
    int64_t oldest_s = 7;
    assert_int_equal(archive_count(state, &blocks, NULL), FW_OK);
    assert_int_equal(blocks, 5);
    assert_int_equal(archive_oldest(state, &oldest_s, NULL), FW_OK);
    assert_int_equal(oldest_s, 0);
}

static void test_the_oldest_go(void **unused)
{
    (void)unused;
    uint64_t removed = 7;
    int64_t oldest_s;
    assert_int_equal(archive_oldest(state, &oldest_s, NULL), FW_OK);
    assert_int_equal(oldest_s, -1);
    put("a", 1, 0, 1.0f);
    put("b", 1, 0, 1.0f);
    put("a", 1, 1, 2.0f);
    put("a", 1, 2, 3.0f);
    assert_int_equal(archive_prune(state, 1, 143, 0, &removed, NULL), FW_OK);
    CHECK_EQ("none ends before", removed, 0);
    assert_int_equal(archive_prune(state, 1, -5, 0, &removed, NULL), FW_OK);
    CHECK_EQ("before 1970", removed, 0);
    assert_int_equal(archive_prune(state, 1, 288, 1, &removed, NULL), FW_OK);
    CHECK_EQ("at most one", removed, 1);
    expect_all("0 b 1\n144 a 2\n288 a 3\n");
    assert_int_equal(archive_prune(state, 1, 288, 0, &removed, NULL), FW_OK);
    CHECK_EQ("those that end there", removed, 2);
    expect_all("288 a 3\n");
}

static void change(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_damage(void **unused)
{
    (void)unused;
    float value;
    put("a", 1, 0, 1.0f);
    put("a", 1, 1, 2.0f);
    put("a", 1, 2, 3.0f);
    change("UPDATE blob SET data = x'0102' WHERE key = '0000000090/a'");
    assert_int_equal(store_state_put(state, "history", "0000000120/a", "\x01no", 3, NULL), FW_OK);
    assert_int_equal(store_state_put(state, "history", "of no time", "\x01no", 3, NULL), FW_OK);
    assert_int_equal(store_state_put(state, "history", "0000000121/a", buf.data, buf.len, NULL),
                     FW_OK);
    expect_all("0 a 1\n"
               "0000000090/a: the block fails its checksum!\n"
               "0000000120/a: not a block of history\n"
               "0000000121/a: the block is of another time than its key\n"
               "of no time: not a block of history\n");
    CHECK_EQ("the others can be read", get("a", 1, 0, &value), FW_OK);
    CHECK_EQ("this cannot", get("a", 1, 1, &value), FW_ECORRUPT);
    CHECK_EQ("nor this", get("a", 1, 2, &value), FW_ECORRUPT);
    put("a", 1, 1, 2.0f);
    CHECK_EQ("written again it is whole", get("a", 1, 1, &value), FW_OK);
}

static void test_no_memory(void **unused)
{
    (void)unused;
    char text[200] = "";
    struct fw_error err;
    put("a", 1, 0, 1.0f);
    for (long n = 1;; n++) {
        fw_alloc_fail_at(n);
        const enum fw_status status = archive_each(state, collect, text, &err);
        fw_alloc_fail_at(0);
        if (status == FW_OK) {
            CHECK_TRUE("some allocations were made to fail", n > 2);
            break;
        }
        CHECK_EQ("status", status, FW_ENOMEM);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keys),
        TEST(test_putting_and_getting),
        TEST(test_in_order_of_time),
        TEST(test_the_oldest_go),
        TEST(test_damage),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
