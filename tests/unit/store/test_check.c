/* Checking, copying and shrinking whole data directories (RELIABILITY R14), on the real file
 * system. */
#include "store_support.h"

#include "base/log.h"
#include "store/check.h"
#include "store/snapshot.h"
#include "store/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64], data[80], copy[80], journal_dir[96], snap_dir[96], state_path[96];
static struct id_list acked;

static void write_snapshot(uint64_t sequence)
{
    struct store_snapshot_writer *writer = NULL;
    unsigned char bytes[1000];
    assert_int_equal(store_snapshot_begin(snap_dir, NULL, NULL, sequence, "meta", 4, &writer, NULL),
                     FW_OK);
    for (uint64_t id = 1; id <= 20; id++)
        assert_int_equal(
            store_snapshot_put(writer, 1, bytes, payload_make(bytes, id, 100 + 40 * id), NULL),
            FW_OK);
    assert_int_equal(store_snapshot_commit(writer, NULL, NULL), FW_OK);
}

static void put_keys(const char *path)
{
    struct store_state *kept = NULL;
    assert_int_equal(store_state_open(path, NULL, NULL, &kept, NULL), FW_OK);
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(store_state_put(kept, "n", key, key, strlen(key), NULL), FW_OK);
    }
    store_state_close(kept);
}

/* Five segments, two snapshots, some state and history. */
static int fresh(void **state)
{
    (void)state;
    strcpy(base, "/tmp/fw-check-XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    snprintf(data, sizeof data, "%s/data", base);
    snprintf(copy, sizeof copy, "%s/copy", base);
    snprintf(journal_dir, sizeof journal_dir, "%s/log", data);
    snprintf(snap_dir, sizeof snap_dir, "%s/snap", data);
    snprintf(state_path, sizeof state_path, "%s/state.db", data);
    struct store_directory directory;
    assert_int_equal(store_directory_init(&directory, data, NULL, STORE_DIRECTORY_CREATE, NULL),
                     FW_OK);
    const struct store_journal_options options = {.segment_bytes = 8000, .manual = true};
    struct store_journal *journal = NULL;
    assert_int_equal(
        store_journal_open(directory.log, &options, 0, NULL, NULL, NULL, &journal, NULL), FW_OK);
    for (uint64_t id = 1; id <= 50; id++) {
        assert_int_equal(append_id(journal, &acked, id, 500 + id), FW_OK);
        (void)store_journal_pump(journal);
    }
    store_journal_close(journal);
    write_snapshot(20);
    write_snapshot(40);
    put_keys(directory.state);
    put_keys(directory.history);
    store_directory_fini(&directory);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    char command[128];
    id_list_fini(&acked);
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

static uint64_t findings_of(const char *path, struct store_check_report *report)
{
    struct fw_error err = {0};
    if (store_check(path, NULL, NULL, report, &err) != FW_OK)
        fail_msg("check of %s: %s", path, err.text);
    return report->findings;
}

static void make_copy(struct store_check_report *report)
{
    struct fw_error err = {0};
    if (store_copy(data, copy, NULL, NULL, report, &err) != FW_OK)
        fail_msg("copy: %s", err.text);
}

static void remove_copy(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", copy);
    assert_int_equal(system(command), 0);
}

/* What a journal in the copy gives after sequence 0. */
static void read_journal(const char *path, struct id_list *found)
{
    char log[96];
    snprintf(log, sizeof log, "%s/log", path);
    const struct store_journal_options options = {.manual = true};
    struct store_journal *journal = NULL;
    assert_int_equal(store_journal_open(log, &options, 0, collect, found, NULL, &journal, NULL),
                     FW_OK);
    store_journal_close(journal);
    assert_int_equal(found->broken, 0);
}

static void test_clean_directory(void **state)
{
    (void)state;
    struct store_check_report report;
    assert_int_equal(findings_of(data, &report), 0);
    assert_int_equal(report.journal.records, 50);
    assert_int_equal(report.snapshots, 2);
    assert_int_equal(report.snapshot_blocks, 40);
    assert_int_equal(report.snapshot_sequence, 40);
    assert_true(report.state_present && report.history_present);
    make_copy(&report);
    assert_int_equal(report.findings, 0);
    assert_int_equal(findings_of(copy, &report), 0);
    assert_int_equal(report.journal.records, 50);
    assert_int_equal(report.snapshot_blocks, 40);
    struct id_list found = {0};
    read_journal(copy, &found);
    assert_int_equal(found.n, 50);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(found.seqs[i], acked.seqs[i]);
    id_list_fini(&found);
    struct fw_error err;
    assert_int_equal(store_copy(data, copy, NULL, NULL, &report, &err), FW_EINVAL);
}

static void test_in_use(void **state)
{
    (void)state;
    struct store_directory directory;
    struct store_check_report report;
    struct fw_error err;
    assert_int_equal(store_directory_init(&directory, data, NULL, STORE_DIRECTORY_EXISTING, NULL),
                     FW_OK);
    assert_int_equal(store_check(data, NULL, NULL, &report, &err), FW_EBUSY);
    struct store_compact_report compacted;
    assert_int_equal(store_compact(data, &compacted, &err), FW_EBUSY);
    /* A backup is possible all the same, while the journal and the state are open and written to.
     */
    const struct store_journal_options options = {.segment_bytes = 8000};
    struct store_journal *journal = NULL;
    struct store_state *kept = NULL;
    assert_int_equal(
        store_journal_open(directory.log, &options, 40, NULL, NULL, NULL, &journal, NULL), FW_OK);
    assert_int_equal(store_state_open(directory.state, NULL, NULL, &kept, NULL), FW_OK);
    assert_int_equal(store_state_put(kept, "n", "late", "x", 1, NULL), FW_OK);
    for (uint64_t id = 51; id <= 80; id++)
        assert_int_equal(append_id(journal, &acked, id, 500), FW_OK);
    assert_int_equal(store_journal_release(journal, 20), FW_OK);
    make_copy(&report);
    assert_false(report.locked);
    assert_int_equal(report.findings, 0);
    store_journal_close(journal);
    store_state_close(kept);
    store_directory_fini(&directory);
    assert_int_equal(findings_of(copy, &report), 0);
    assert_true(report.journal.last_seq >= 50);
}

static void test_compact(void **state)
{
    (void)state;
    struct store_compact_report report;
    struct store_check_report checked;
    assert_int_equal(store_compact(data, &report, NULL), FW_OK);
    assert_int_equal(report.removed_segments,
                     1); /* of records 1 to 14; the next reaches beyond 20 */
    assert_int_equal(findings_of(data, &checked), 0);
    assert_int_equal(checked.journal.last_seq, 50);
    assert_int_equal(store_compact(data, &report, NULL), FW_OK);
    assert_int_equal(report.removed_segments, 0);
    assert_true(report.state_bytes_before > 0 && report.history_bytes_before > 0);
}

/* ---- two hundred damaged directories ---- */

struct victim {
    char path[400];
    off_t size;
};

static size_t list_victims(const char *dir, struct victim *out, size_t n, size_t max)
{
    DIR *handle = opendir(dir);
    const struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL && n < max) {
        struct stat st;
        snprintf(out[n].path, sizeof out[n].path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] == '.' || stat(out[n].path, &st) < 0 || !S_ISREG(st.st_mode) ||
            st.st_size < 65)
            continue;
        out[n++].size = st.st_size;
    }
    if (handle != NULL)
        closedir(handle);
    return n;
}

static unsigned char swap_byte(const char *path, off_t at, unsigned char flip)
{
    unsigned char byte;
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= flip;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
    return byte;
}

static void test_two_hundred_damages(void **state)
{
    (void)state;
    struct victim victims[32];
    size_t n = list_victims(journal_dir, victims, 0, 16);
    n = list_victims(snap_dir, victims, n, 20);
    struct fw_rng rng;
    fw_rng_init(&rng, 77);
    unsigned noticed = 0;
    for (int i = 0; i < 200; i++) {
        const struct victim *victim = &victims[fw_rng_below(&rng, n)];
        const off_t at = (off_t)fw_rng_below(&rng, (uint64_t)victim->size);
        const unsigned char flip = (unsigned char)(1u << fw_rng_below(&rng, 8));
        swap_byte(victim->path, at, flip);
        struct store_check_report report, copied;
        const uint64_t findings = findings_of(data, &report);
        noticed += findings > 0;
        make_copy(&copied);
        CHECK_EQ("the copy says the same", copied.findings > 0, findings > 0);
        CHECK_EQ("the copy is clean", findings_of(copy, &report), 0);
        CHECK_TRUE("one record at most", report.journal.records >= 49);
        CHECK_TRUE("one block at most, or one file", report.snapshot_blocks >= 20);
        if (i % 20 == 0) {
            struct id_list found = {0};
            read_journal(copy, &found);
            assert_int_equal(found.n, report.journal.records);
            id_list_fini(&found);
        }
        remove_copy();
        swap_byte(victim->path, at,
                  flip); /* looking changed nothing, so this makes it whole again */
    }
    struct store_check_report report;
    assert_int_equal(findings_of(data, &report), 0);
    assert_true(noticed >= 190); /* the rest hit padding */
}

static bool count_key(void *ctx, const char *key, const void *bytes, size_t len)
{
    (void)key;
    (void)bytes;
    (void)len;
    ++*(unsigned *)ctx;
    return true;
}

static unsigned keys_in_copy(const char *name)
{
    char path[96];
    unsigned keys = 0;
    struct store_state *kept = NULL;
    snprintf(path, sizeof path, "%s/%s", copy, name);
    assert_int_equal(store_state_open(path, NULL, NULL, &kept, NULL), FW_OK);
    assert_int_equal(store_state_each(kept, "n", count_key, &keys, NULL, NULL), FW_OK);
    store_state_close(kept);
    return keys;
}

static void test_damaged_state(void **state)
{
    (void)state;
    struct stat st;
    unsigned noticed = 0;
    assert_int_equal(stat(state_path, &st), 0);
    for (off_t page = 0; page < st.st_size / 4096; page++) {
        for (int k = 0; k < 40; k++)
            swap_byte(state_path, page * 4096 + 8 + k, 0xff);
        struct store_check_report report;
        const uint64_t findings = findings_of(data, &report);
        make_copy(&report);
        CHECK_EQ("told", report.findings > 0, findings > 0);
        CHECK_EQ("the copy is clean", findings_of(copy, &report), 0);
        noticed += findings > 0;
        if (findings == 0) /* the unused part of an empty page: then everything must be there */
            CHECK_EQ("harmless", keys_in_copy("state.db"), 50);
        remove_copy();
        for (int k = 0; k < 40; k++)
            swap_byte(state_path, page * 4096 + 8 + k, 0xff);
    }
    assert_true(noticed >= 3);
}

static void keep_text(void *ctx, const struct store_finding *finding)
{
    if (strcmp(finding->kind, "damaged-row") == 0 && strstr(finding->path, "/history.db") != NULL)
        snprintf(ctx, sizeof finding->text, "%s", finding->text);
}

/* A block of history costs itself alone, and is named. */
static void test_damaged_history(void **state)
{
    (void)state;
    char path[96], text[sizeof((struct store_finding *)NULL)->text] = "";
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/history.db", data);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "UPDATE blob SET data = 'x' WHERE key = 'k7'", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    struct store_check_report report;
    assert_int_equal(store_check(data, keep_text, text, &report, NULL), FW_OK);
    assert_int_equal(report.findings, 1);
    assert_int_equal(report.history_damaged_rows, 1);
    assert_int_equal(report.state_damaged_rows, 0);
    assert_string_equal(text, "blob n/k7 fails its checksum");
    make_copy(&report);
    assert_int_equal(report.findings, 1);
    assert_int_equal(findings_of(copy, &report), 0);
    assert_int_equal(keys_in_copy("history.db"), 49);
    assert_int_equal(keys_in_copy("state.db"), 50);
}

static void test_not_a_data_directory(void **state)
{
    (void)state;
    struct store_check_report report;
    struct fw_error err;
    assert_int_equal(store_check(base, NULL, NULL, &report, &err), FW_ENOTFOUND);
    assert_int_equal(store_copy(base, copy, NULL, NULL, &report, &err), FW_ENOTFOUND);
    assert_int_not_equal(access(copy, F_OK), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    fw_log_configure(&(struct fw_log_options){
        .level = FW_ERROR, .lines_per_minute = 10, .sink = quiet_log_sink});
    const struct CMUnitTest tests[] = {
        TEST(test_clean_directory),      TEST(test_in_use),        TEST(test_compact),
        TEST(test_two_hundred_damages),  TEST(test_damaged_state), TEST(test_damaged_history),
        TEST(test_not_a_data_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
