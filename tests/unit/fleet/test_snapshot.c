/* Windows to disk and back: after any snapshot the rest of the journal gives the same windows, and
 * damaged bytes never do more than lose their server. */
#include "fleet_fixture.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/rng.h"
#include "fleet/snapshot.h"
#include "fleet/snapshot_internal.h"

#include <dirent.h>
#include <unistd.h>

/* As doubles: the macros of math.h are floats. */
#define NONE ((double)NAN)

enum { WINDOW = 300, STEP_S = 60, SERVERS = 6, JOURNAL_MAX = 400 };

static char directory[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/fw-snapshot-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static void remove_tree(const char *path)
{
    char file[512];
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (unlink(file) != 0)
            remove_tree(file);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

static int tear_down(void **state)
{
    (void)state;
    remove_tree(directory);
    return 0;
}

/* The journal: encoded batches, record k has sequence k + 1. */
struct journal {
    struct fw_buf records[JOURNAL_MAX];
    size_t count;
};

static void random_rows(struct fixture *f, struct fw_rng *rng)
{
    static const char *const names[SERVERS] = {"web-1", "web-2", "db-1", "db-2", "\xc3\xa4", "x"};
    const int64_t now_ms = fw_clock_wall_ms(&f->clock.clock);
    const uint64_t rows = 1 + fw_rng_below(rng, 40);
    for (uint64_t i = 0; i < rows; i++) {
        struct sample_value values[3];
        size_t n = 0;
        for (int m = 0; m < 3; m++)
            if (fw_rng_below(rng, 3) > 0)
                values[n++] =
                    (struct sample_value){(uint16_t)(m * 4), (float)fw_rng_below(rng, 99)};
        if (n == 0)
            continue;
        const int64_t ago_ms = (int64_t)fw_rng_below(
            rng, fw_rng_below(rng, 4) == 0 ? (WINDOW - 1) * STEP_S * 1000 : 120 * 1000);
        add_row(f, names[fw_rng_below(rng, SERVERS)], now_ms - ago_ms / 1000 * 1000,
                (uint8_t)fw_rng_below(rng, STATUS_COUNT), values, n);
    }
}

static void post(struct fixture *f, struct journal *journal)
{
    assert_int_equal(fleet_admit(f->fleet, f->batch), FW_OK);
    struct fw_buf *record = &journal->records[journal->count++];
    fw_buf_init(record, 1 << 20);
    batch_encode(f->batch, &f->schema, record);
    assert_false(record->failed);
    assert_int_equal(fleet_apply(f->fleet, f->batch, journal->count, &f->applied), FW_OK);
    batch_reset(f->batch);
}

static void replay(struct fixture *f, const struct journal *journal, uint64_t after)
{
    for (uint64_t seq = after + 1; seq <= journal->count; seq++) {
        const struct fw_buf *record = &journal->records[seq - 1];
        batch_reset(f->batch);
        assert_int_equal(batch_decode(record->data, record->len, &f->schema, f->batch, NULL),
                         FW_OK);
        assert_int_equal(fleet_readmit(f->fleet, f->batch), FW_OK);
        assert_int_equal(fleet_apply(f->fleet, f->batch, seq, &f->applied), FW_OK);
    }
}

static void journal_free(struct journal *journal)
{
    for (size_t i = 0; i < journal->count; i++)
        fw_buf_fini(&journal->records[i]);
}

static void assert_same(const struct fixture *a, const struct fixture *b)
{
    static float va[METRIC_DEFAULT_COUNT * WINDOW], vb[METRIC_DEFAULT_COUNT * WINDOW];
    static uint8_t sa[WINDOW], sb[WINDOW];
    static uint32_t oa[WINDOW], ob[WINDOW];
    size_t compared = 0;
    for (size_t slot = 0; slot < fleet_slots(a->fleet); slot++) {
        struct fleet_view x = {.steps = WINDOW, .values = va, .statuses = sa, .offsets_ms = oa};
        struct fleet_view y = {.steps = WINDOW, .values = vb, .statuses = sb, .offsets_ms = ob};
        if (!fleet_read_view(a->fleet, slot, &x))
            continue;
        const int64_t other = fleet_find(b->fleet, x.server.name, strlen(x.server.name));
        CHECK_TRUE(x.server.name, other >= 0);
        assert_true(fleet_read_view(b->fleet, (size_t)other, &y));
        check_floats(x.server.name, vb, va, COUNT_OF(va), 1, 0);
        assert_memory_equal(sa, sb, sizeof sa);
        assert_memory_equal(oa, ob, sizeof oa);
        CHECK_EQ(x.server.name, y.server.newest_step, x.server.newest_step);
        CHECK_EQ(x.server.name, y.server.steps_held, x.server.steps_held);
        CHECK_EQ(x.server.name, y.server.metrics, x.server.metrics);
        CHECK_EQ(x.server.name, y.server.status, x.server.status);
        CHECK_EQ(x.server.name, y.server.profile, x.server.profile);
        CHECK_EQ(x.server.name, y.server.first_seen_ms, x.server.first_seen_ms);
        CHECK_EQ(x.server.name, y.server.last_seen_ms, x.server.last_seen_ms);
        compared++;
    }
    struct fleet_counts ca, cb;
    fleet_counts(a->fleet, &ca);
    fleet_counts(b->fleet, &cb);
    CHECK_EQ("servers", cb.servers, ca.servers);
    CHECK_EQ("servers compared", compared, ca.servers);
    CHECK_EQ("records", cb.records, ca.records);
    CHECK_EQ("ready", cb.ready, ca.ready);
    CHECK_EQ("batches", cb.batches, ca.batches);
    CHECK_EQ("bytes", cb.bytes, ca.bytes);
}

static void restart(const struct fixture *a, struct fixture *b, const struct journal *journal)
{
    struct store_snapshot_report report;
    struct fw_error err;
    fixture_init(b, STEP_S, WINDOW, SERVERS);
    fw_clock_fake_advance_ms(&b->clock, fw_clock_wall_ms(&a->clock.clock) - T0);
    assert_int_equal(fleet_snapshot_load(b->fleet, directory, NULL, NULL, 2, &report, &err), FW_OK);
    replay(b, journal, report.sequence);
}

static void test_restart_anywhere(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static struct journal journal;
        struct fixture a, b;
        struct fw_rng rng;
        memset(&journal, 0, sizeof journal);
        fw_rng_init(&rng, seed);
        fixture_init(&a, STEP_S, WINDOW, SERVERS);
        for (int i = 0; i < 200; i++) {
            fw_clock_fake_advance_ms(&a.clock, (int64_t)fw_rng_below(&rng, 90) * 1000);
            random_rows(&a, &rng);
            post(&a, &journal);
            if (i % 40 == 20) {
                struct fleet_snapshot_written written;
                assert_int_equal(fleet_snapshot_write(a.fleet, directory, NULL, &written, NULL),
                                 FW_OK);
                assert_int_equal(written.sequence, journal.count);
                assert_int_equal(written.servers, SERVERS);
            }
            if (i % 40 == 25 || i == 199) {
                restart(&a, &b, &journal);
                assert_same(&a, &b);
                /* And both go on alike, open steps and all. */
                struct fw_rng same = rng;
                for (int k = 0; k < 3 && i == 199; k++) {
                    static struct journal more[2];
                    memset(more, 0, sizeof more);
                    more[0].count = more[1].count = journal.count;
                    rng = same;
                    random_rows(&a, &rng);
                    post(&a, &more[0]);
                    random_rows(&b, &same);
                    post(&b, &more[1]);
                    fw_buf_fini(&more[0].records[journal.count]);
                    fw_buf_fini(&more[1].records[journal.count++]);
                    assert_same(&a, &b);
                }
                if (i == 199)
                    journal.count -= 3;
                fixture_fini(&b);
            }
        }
        journal_free(&journal);
        fixture_fini(&a);
        remove_tree(directory);
    }
}

/* A server copied in the middle of a batch says that the batch is not wholly in it. */
static void test_copied_within_a_batch(void **state)
{
    (void)state;
    static struct journal journal;
    struct fixture a, b;
    struct fw_rng rng;
    fw_rng_init(&rng, 77);
    memset(&journal, 0, sizeof journal);
    fixture_init(&a, STEP_S, WINDOW, SERVERS);
    random_rows(&a, &rng);
    post(&a, &journal);
    /* Half of record 2, as a copy between two of its rows would see it: applied without a stamp. */
    random_rows(&a, &rng);
    assert_int_equal(fleet_admit(a.fleet, a.batch), FW_OK);
    struct fw_buf *record = &journal.records[journal.count++];
    fw_buf_init(record, 1 << 20);
    batch_encode(a.batch, &a.schema, record);
    struct sample_batch half = *a.batch;
    half.row_count /= 2;
    half.name_count = 0; /* stamps go by names */
    half.received_ms = a.batch->received_ms;
    assert_int_equal(fleet_apply(a.fleet, &half, 1, &a.applied), FW_OK);
    assert_int_equal(fleet_snapshot_write(a.fleet, directory, NULL, NULL, NULL), FW_OK);
    assert_int_equal(fleet_apply(a.fleet, a.batch, 2, &a.applied), FW_OK);
    restart(&a, &b, &journal);
    assert_same(&a, &b);
    journal_free(&journal);
    fixture_fini(&a);
    fixture_fini(&b);
    remove_tree(directory);
}

static void test_changed_configuration(void **state)
{
    (void)state;
    struct fixture a;
    fixture_init(&a, 60, 400, 10);
    for (int i = 0; i < 380; i++) {
        add(&a, "s", T0 - i * 60000, METRIC_CPU_USER, (float)(i % 100));
        add(&a, "s", T0 - i * 60000, METRIC_LOAD_AVERAGE, 1);
    }
    add(&a, "s", T0 + 1000, METRIC_CPU_USER, 50); /* the newest step has two times */
    flush(&a);
    assert_int_equal(fleet_snapshot_write(a.fleet, directory, NULL, NULL, NULL), FW_OK);
    static const uint32_t windows[] = {300, 500};
    for (size_t k = 0; k < COUNT_OF(windows); k++) {
        struct fixture b;
        struct store_snapshot_report report;
        fixture_init(&b, 60, windows[k], 10);
        /* One metric gone and another one added. */
        struct schema_metric gpu = {"gpu_pct",         "%",  0,   100, false, false,
                                    METRIC_WORSE_NONE, NONE, NONE};
        assert_int_equal(schema_set(&b.schema, &gpu, NULL), FW_OK);
        snprintf(b.schema.metrics[METRIC_LOAD_AVERAGE].name, SCHEMA_METRIC_NAME_MAX, "load_other");
        fleet_free(b.fleet);
        assert_int_equal(fleet_new(&b.options, &b.fleet, NULL), FW_OK);
        assert_int_equal(fleet_snapshot_load(b.fleet, directory, NULL, NULL, 1, &report, NULL),
                         FW_OK);
        b.seq = report.sequence;
        struct fleet_server server;
        assert_true(fleet_read_server(b.fleet, 0, &server));
        CHECK_EQ("held", server.steps_held, windows[k] < 380 ? windows[k] : 380);
        CHECK_EQ("metrics", server.metrics, 1u << METRIC_CPU_USER);
        CHECK_NEAR("value", value_at(&b, "s", T0 - 200 * 60000, METRIC_CPU_USER), 0, 0);
        CHECK_NEAR("newest", value_at(&b, "s", T0, METRIC_CPU_USER), 25, 0);
        add(&b, "s", T0 + 2000, METRIC_CPU_USER, 10);
        flush(&b);
        CHECK_NEAR("still open", value_at(&b, "s", T0, METRIC_CPU_USER), 20, 1e-6);
        fixture_fini(&b);
    }
    struct fixture c;
    struct fw_error err;
    fixture_init(&c, 300, 400, 10);
    assert_int_equal(fleet_snapshot_load(c.fleet, directory, NULL, NULL, 1, NULL, &err), FW_EINVAL);
    assert_non_null(strstr(err.text, "steps of 60 s"));
    fixture_fini(&c);
    fixture_fini(&a);
    remove_tree(directory);
}

/* Every bit of a block, and every cut: refused or taken, never a crash, and what was taken reads
 * without a wild value. */
static void test_damaged_blocks(void **state)
{
    (void)state;
    struct fixture a;
    struct fw_rng rng;
    fw_rng_init(&rng, 5);
    fixture_init(&a, STEP_S, WINDOW, SERVERS);
    for (int i = 0; i < 30; i++) {
        fw_clock_fake_advance_ms(&a.clock, 20000);
        random_rows(&a, &rng);
        for (int k = 0; k < 70 && i == 29; k++)
            add(&a, "web-1", T0 + k * 100, METRIC_CPU_USER, (float)k); /* a folded step */
        flush(&a);
    }
    struct fw_buf block, metadata;
    fw_buf_init(&block, 1 << 20);
    fw_buf_init(&metadata, 1 << 20);
    fleet_snapshot_put_metadata(a.fleet, 30, &metadata);
    assert_true(
        fleet_snapshot_put_server(a.fleet, (size_t)fleet_find(a.fleet, "web-1", 5), &block));
    struct fixture b;
    fixture_init(&b, STEP_S, WINDOW, 4096);
    struct fleet_snapshot_meta meta = {0};
    assert_int_equal(fleet_snapshot_get_metadata(b.fleet, metadata.data, metadata.len, &meta, NULL),
                     FW_OK);
    size_t taken = 0, refused = 0;
    static float values[METRIC_DEFAULT_COUNT * WINDOW];
    for (int i = 0; i < 10000; i++) {
        /* The head and the open steps are small beside the columns: they get half of the flips. */
        const size_t at = i % 2 == 0   ? fw_rng_below(&rng, block.len)
                          : i % 4 == 1 ? fw_rng_below(&rng, 80)
                                       : block.len - 1 - fw_rng_below(&rng, 600);
        const char bit = (char)(1 << fw_rng_below(&rng, 8));
        block.data[at] = (char)(block.data[at] ^ bit);
        const enum fw_status status =
            fleet_snapshot_get_server(b.fleet, &meta, block.data, block.len);
        block.data[at] = (char)(block.data[at] ^ bit);
        CHECK_TRUE("flip", status == FW_OK || status == FW_ECORRUPT || status == FW_ELIMIT);
        taken += status == FW_OK;
        refused += status == FW_ECORRUPT;
    }
    for (size_t cut = 0; cut < block.len; cut += cut < 200 ? 1 : 37)
        CHECK_EQ("cut", fleet_snapshot_get_server(b.fleet, &meta, block.data, cut), FW_ECORRUPT);
    for (size_t slot = 0; slot < fleet_slots(b.fleet); slot++) {
        struct fleet_view view = {.steps = WINDOW, .values = values};
        if (!fleet_read_view(b.fleet, slot, &view))
            continue;
        for (size_t i = 0; i < COUNT_OF(values); i++)
            CHECK_TRUE("values", isnan(values[i]) || fabsf(values[i]) <= 1e31f);
        /* What was taken goes on working. */
        add(&b, view.server.name, T0 + 600000, METRIC_CPU_USER, 1);
    }
    flush(&b);
    assert_true(taken > 1000 && refused > 1000);
    for (size_t i = 0; i < metadata.len * 8; i++) {
        metadata.data[i / 8] = (char)(metadata.data[i / 8] ^ (1 << i % 8));
        (void)!fleet_snapshot_get_metadata(b.fleet, metadata.data, metadata.len, &meta, NULL);
        metadata.data[i / 8] = (char)(metadata.data[i / 8] ^ (1 << i % 8));
        (void)!fleet_snapshot_get_metadata(b.fleet, metadata.data, i / 8, &meta, NULL);
    }
    fw_buf_fini(&block);
    fw_buf_fini(&metadata);
    fixture_fini(&a);
    fixture_fini(&b);
}

/* A bad block in the newest file: its server comes from the older one and the journal. */
static void test_damaged_file(void **state)
{
    (void)state;
    static struct journal journal;
    struct fixture a, b;
    struct fw_rng rng;
    char path[STORE_PATH_MAX] = "";
    fw_rng_init(&rng, 3);
    memset(&journal, 0, sizeof journal);
    fixture_init(&a, STEP_S, WINDOW, SERVERS);
    for (int i = 0; i < 60; i++) {
        fw_clock_fake_advance_ms(&a.clock, 20000);
        random_rows(&a, &rng);
        post(&a, &journal);
        if (i == 20 || i == 40)
            assert_int_equal(fleet_snapshot_write(a.fleet, directory, NULL, NULL, NULL), FW_OK);
    }
    struct store_snapshot_report report;
    fixture_init(&b, STEP_S, WINDOW, SERVERS);
    assert_int_equal(fleet_snapshot_load(b.fleet, directory, NULL, NULL, 1, &report, NULL), FW_OK);
    assert_int_equal(report.sequence, 41);
    snprintf(path, sizeof path, "%s", report.path);
    fixture_fini(&b);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, (long)report.bytes / 2, SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, (long)report.bytes / 2, SEEK_SET);
    fputc(byte ^ 0x10, file);
    fclose(file);
    fixture_init(&b, STEP_S, WINDOW, SERVERS);
    fw_clock_fake_advance_ms(&b.clock, fw_clock_wall_ms(&a.clock.clock) - T0);
    assert_int_equal(fleet_snapshot_load(b.fleet, directory, NULL, NULL, 2, &report, NULL), FW_OK);
    assert_int_equal(report.damaged_blocks, 1);
    assert_int_equal(report.sequence, 21);
    replay(&b, &journal, report.sequence);
    assert_same(&a, &b);
    journal_free(&journal);
    fixture_fini(&a);
    fixture_fini(&b);
    remove_tree(directory);
}

/* Each allocation fails in turn, in a block written and in a block read. */
static void test_memory_runs_out(void **state)
{
    (void)state;
    struct fixture a;
    struct fw_rng rng;
    struct fleet_snapshot_meta meta = {0};
    struct fw_buf block, metadata;
    fw_rng_init(&rng, 11);
    fixture_init(&a, STEP_S, WINDOW, SERVERS);
    for (int i = 0; i < 20; i++) {
        random_rows(&a, &rng);
        flush(&a);
    }
    fw_buf_init(&metadata, 1 << 20);
    fleet_snapshot_put_metadata(a.fleet, 20, &metadata);
    fw_buf_init(&block, 1 << 20);
    fw_alloc_fail_at(1);
    fleet_snapshot_put_server(a.fleet, 0, &block);
    fw_alloc_fail_at(0);
    assert_true(block.failed);
    fw_buf_reset(&block);
    assert_true(fleet_snapshot_put_server(a.fleet, 0, &block));
    long n = 1;
    for (bool ran_out = true; ran_out; n++) {
        struct fixture b;
        struct fleet_counts counts;
        fixture_init(&b, STEP_S, WINDOW, SERVERS);
        assert_int_equal(
            fleet_snapshot_get_metadata(b.fleet, metadata.data, metadata.len, &meta, NULL), FW_OK);
        fw_alloc_fail_at(n);
        const enum fw_status status =
            fleet_snapshot_get_server(b.fleet, &meta, block.data, block.len);
        ran_out = fw_alloc_count() >= n;
        fw_alloc_fail_at(0);
        CHECK_EQ("load", status, ran_out ? FW_ENOMEM : FW_OK);
        fleet_counts(b.fleet, &counts);
        CHECK_EQ("servers", counts.servers, ran_out ? 0 : 1);
        CHECK_EQ("again", fleet_snapshot_get_server(b.fleet, &meta, block.data, block.len), FW_OK);
        fixture_fini(&b);
    }
    assert_true(n > 5);
    fw_buf_fini(&block);
    fw_buf_fini(&metadata);
    fixture_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restart_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_copied_within_a_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changed_configuration, set_up, tear_down),
        cmocka_unit_test(test_damaged_blocks),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test_setup_teardown(test_damaged_file, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("fleet snapshot", tests, NULL, NULL);
}
