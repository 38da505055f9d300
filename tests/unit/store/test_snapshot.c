#include "store_support.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/io_fault.h"
#include "store/snapshot.h"

#include <errno.h>
#include <pthread.h>

enum { BLOCKS = 40 };

static size_t block_len(uint64_t id)
{
    return 8 + id * 311 % 1500;
}

/* Blocks id = sequence * 1000 + 1 .. + BLOCKS. */
static enum fw_status write_one(const struct store_io *io, uint64_t sequence, uint64_t *release_seq)
{
    struct store_snapshot_writer *writer = NULL;
    unsigned char bytes[2048];
    enum fw_status status = store_snapshot_begin("/snap", io, NULL, sequence, &sequence,
                                                 sizeof sequence, &writer, NULL);
    for (uint64_t i = 1; status == FW_OK && i <= BLOCKS; i++) {
        const uint64_t id = sequence * 1000 + i;
        const size_t len = payload_make(bytes, id, block_len(id));
        status = store_snapshot_put(writer, (uint32_t)i % 3, bytes, len, NULL);
        if (status != FW_OK)
            store_snapshot_abort(writer);
    }
    return status == FW_OK ? store_snapshot_commit(writer, release_seq, NULL) : status;
}

struct seen {
    pthread_mutex_t lock;
    uint64_t sequence;
    unsigned starts;
    size_t blocks, broken, misplaced;
    bool have[BLOCKS + 1];
    enum fw_status answer;
    uint64_t refuse_sequence; /* start() says FW_ECORRUPT to this one */
};

static enum fw_status start(void *ctx, uint64_t sequence, const void *metadata, size_t len)
{
    struct seen *seen = ctx;
    assert_int_equal(len, sizeof sequence);
    assert_memory_equal(metadata, &sequence, sizeof sequence);
    seen->starts++;
    seen->sequence = sequence;
    return sequence == seen->refuse_sequence ? FW_ECORRUPT : FW_OK;
}

static enum fw_status visit(void *ctx, const struct store_snapshot_block *block)
{
    struct seen *seen = ctx;
    const uint64_t id = payload_id(block->data, block->len);
    pthread_mutex_lock(&seen->lock);
    seen->blocks++;
    seen->broken += id == 0;
    const uint64_t n = id - seen->sequence * 1000;
    if (n >= 1 && n <= BLOCKS) {
        seen->misplaced += block->index != n - 1 || block->kind != n % 3 || seen->have[n];
        seen->have[n] = true;
    } else {
        seen->misplaced++;
    }
    pthread_mutex_unlock(&seen->lock);
    return seen->answer;
}

static enum fw_status load(const struct store_io *io, unsigned threads, struct seen *seen,
                           struct store_snapshot_report *report, struct fw_error *err)
{
    const struct store_snapshot_load_options options = {
        .start = start, .quarantine_dir = "/quarantine", .threads = threads};
    const uint64_t refuse = seen->refuse_sequence;
    const enum fw_status answer = seen->answer;
    memset(seen, 0, sizeof *seen);
    seen->refuse_sequence = refuse;
    seen->answer = answer;
    pthread_mutex_init(&seen->lock, NULL);
    return store_snapshot_load("/snap", io, &options, visit, seen, report, err);
}

static void test_write_and_load(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_io *io = store_io_memory_io(memory);
    struct seen seen = {0};
    struct store_snapshot_report report;
    assert_int_equal(load(io, 1, &seen, &report, NULL), FW_OK); /* no directory at all */
    assert_false(report.found);
    uint64_t release = 77;
    assert_int_equal(write_one(io, 5, &release), FW_OK);
    assert_int_equal(release, 0);
    for (unsigned threads = 0; threads <= 4; threads++) {
        assert_int_equal(load(io, threads, &seen, &report, NULL), FW_OK);
        assert_true(report.found);
        assert_int_equal(report.sequence, 5);
        assert_int_equal(report.blocks, BLOCKS);
        assert_int_equal(seen.blocks, BLOCKS);
        assert_int_equal(seen.broken + seen.misplaced, 0);
        assert_int_equal(seen.starts, 1);
        assert_int_equal(report.damaged_bytes + report.damaged_blocks + report.unreadable_files, 0);
    }
    /* Two are kept; the journal may go up to the older of them. */
    assert_int_equal(write_one(io, 9, &release), FW_OK);
    assert_int_equal(release, 5);
    assert_int_equal(write_one(io, 12, &release), FW_OK);
    assert_int_equal(release, 9);
    assert_int_equal(load(io, 2, &seen, &report, NULL), FW_OK);
    assert_int_equal(report.sequence, 12);
    assert_int_equal(report.files, 2);
    store_io_memory_free(memory);
}

static void test_empty_and_large_blocks(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_io *io = store_io_memory_io(memory);
    struct store_snapshot_writer *writer = NULL;
    assert_int_equal(store_snapshot_begin("/snap", io, NULL, 1, NULL, 0, &writer, NULL), FW_OK);
    assert_int_equal(store_snapshot_put(writer, 7, NULL, 0, NULL), FW_OK);
    const size_t large = 3 << 20;
    unsigned char *bytes = calloc(1, large);
    assert_non_null(bytes);
    bytes[large - 1] = 9;
    assert_int_equal(store_snapshot_put(writer, 8, bytes, large, NULL), FW_OK);
    assert_int_equal(store_snapshot_commit(writer, NULL, NULL), FW_OK);
    struct store_snapshot_report report;
    assert_int_equal(store_snapshot_load("/snap", io, NULL, NULL, NULL, &report, NULL), FW_OK);
    assert_int_equal(report.blocks, 2);
    assert_true(report.bytes > large);
    /* Limits. */
    struct fw_error err;
    assert_int_equal(store_snapshot_begin("/snap", io, NULL, 1, bytes,
                                          STORE_SNAPSHOT_METADATA_MAX + 1, &writer, &err),
                     FW_EINVAL);
    assert_int_equal(store_snapshot_begin("/snap", io, NULL, 2, NULL, 0, &writer, NULL), FW_OK);
    assert_int_equal(
        store_snapshot_put(writer, 8, bytes, (size_t)STORE_SNAPSHOT_BLOCK_MAX + 1, &err),
        FW_ELIMIT);
    store_snapshot_abort(writer);
    store_snapshot_abort(NULL);
    assert_int_equal(store_snapshot_load("/snap", io, NULL, NULL, NULL, &report, NULL), FW_OK);
    assert_int_equal(report.sequence, 1);
    assert_int_equal(report.files, 1);
    free(bytes);
    store_io_memory_free(memory);
}

static void flip(struct store_io_memory *memory, const char *path, uint64_t bit)
{
    size_t len;
    unsigned char *bytes = store_io_memory_bytes(memory, path, &len);
    assert_true(bit / 8 < len);
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
}

static const char only[] = "/snap/snapshot-0000000000000005.fws";
static const char newer[] = "/snap/snapshot-0000000000000009.fws";

/* With one snapshot alone: a flip costs one block at most, and is noticed unless it hits padding.
 */
static void test_flips_in_the_only_snapshot(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 12);
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_io *io = store_io_memory_io(memory);
    assert_int_equal(write_one(io, 5, NULL), FW_OK);
    size_t len;
    unsigned char *bytes = store_io_memory_bytes(memory, only, &len);
    unsigned char *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    size_t harmless = 0;
    for (int i = 0; i < 10000; i++) {
        const uint64_t bit = fw_rng_below(&rng, len * 8);
        assert_true(store_io_memory_put(memory, only, copy, len));
        flip(memory, only, bit);
        struct seen seen = {0};
        struct store_snapshot_report report;
        char name[40];
        snprintf(name, sizeof name, "bit %llu", (unsigned long long)bit);
        CHECK_EQ(name, load(io, 1 + (unsigned)i % 2, &seen, &report, NULL), FW_OK);
        CHECK_EQ(name, seen.broken + seen.misplaced, 0);
        const bool noticed =
            report.damaged_blocks + report.damaged_bytes + report.unreadable_files > 0 ||
            report.index_damaged;
        if (bit / 8 < 64 + 8) /* header or metadata: nothing says what this file is */
            CHECK_EQ(name, report.unreadable_files, 1);
        else
            CHECK_TRUE(name, seen.blocks >= BLOCKS - 1);
        CHECK_TRUE(name, noticed || seen.blocks == BLOCKS);
        harmless += !noticed;
    }
    assert_true(harmless < 300); /* padding and a few unused bytes */
    free(copy);
    store_io_memory_free(memory);
}

/* With an older one behind it, damage to the newest's structure makes the loader take the older
 * one, whole. */
static void test_fall_back(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t byte; /* from the front, or from the end when negative */
        uint64_t sequence;
        size_t blocks;
    } rows[] = {
        {"header",           20,   5, BLOCKS    },
        {"metadata",         66,   5, BLOCKS    },
        {"trailer",          -20,  5, BLOCKS    },
        {"end magic",        -2,   5, BLOCKS    },
        {"index",            -100, 5, BLOCKS    },
        {"content of block", 110,  9, BLOCKS - 1},
        {"head of block",    73,   9, BLOCKS    },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct store_io_memory *memory = store_io_memory_new(1);
        const struct store_io *io = store_io_memory_io(memory);
        assert_int_equal(write_one(io, 5, NULL), FW_OK);
        assert_int_equal(write_one(io, 9, NULL), FW_OK);
        size_t len;
        (void)store_io_memory_bytes(memory, newer, &len);
        const uint64_t byte =
            rows[i].byte >= 0 ? (uint64_t)rows[i].byte : len - (uint64_t)-rows[i].byte;
        flip(memory, newer, byte * 8 + 3);
        struct seen seen = {0};
        struct store_snapshot_report report;
        CHECK_EQ(rows[i].name, load(io, 1, &seen, &report, NULL), FW_OK);
        CHECK_EQ(rows[i].name, report.sequence, rows[i].sequence);
        CHECK_EQ(rows[i].name, seen.blocks, rows[i].blocks);
        CHECK_EQ(rows[i].name, seen.broken + seen.misplaced, 0);
        CHECK_TRUE(rows[i].name, report.damaged_bytes + report.unreadable_files > 0);
        if (rows[i].sequence ==
            5) { /* put away, so that it is not counted as one of the two kept */
            size_t gone;
            CHECK_TRUE(rows[i].name, store_io_memory_bytes(memory, newer, &gone) == NULL);
            CHECK_TRUE(rows[i].name,
                       store_io_memory_bytes(memory, "/quarantine/snapshot-0000000000000009.fws",
                                             &gone) != NULL);
        }
        store_io_memory_free(memory);
    }
}

static void test_every_cut(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_io *io = store_io_memory_io(memory);
    assert_int_equal(write_one(io, 5, NULL), FW_OK);
    size_t len;
    unsigned char *copy = malloc(1 << 20);
    assert_non_null(copy);
    const unsigned char *bytes = store_io_memory_bytes(memory, only, &len);
    memcpy(copy, bytes, len);
    for (size_t cut = 1; cut < len; cut += 7) {
        assert_true(store_io_memory_put(memory, only, copy, len - cut));
        struct seen seen = {0};
        struct store_snapshot_report report;
        assert_int_equal(load(io, 1, &seen, &report, NULL), FW_OK);
        assert_int_equal(seen.broken + seen.misplaced, 0);
        size_t whole = 0; /* blocks before the cut, none invented behind it */
        uint64_t end = 64 + 8;
        while (whole < BLOCKS) {
            end += 24 + (block_len(5001 + whole) + 7) / 8 * 8;
            if (end > len - cut)
                break;
            whole++;
        }
        assert_int_equal(seen.blocks, whole);
        assert_true(len - cut < 72 ? !report.found : report.index_damaged);
    }
    free(copy);
    store_io_memory_free(memory);
}

static void test_caller_may_refuse(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_io *io = store_io_memory_io(memory);
    assert_int_equal(write_one(io, 5, NULL), FW_OK);
    struct seen seen = {.answer = FW_ECORRUPT};
    struct store_snapshot_report report;
    assert_int_equal(load(io, 2, &seen, &report, NULL), FW_OK);
    assert_int_equal(report.damaged_blocks, BLOCKS);
    assert_int_equal(report.blocks, 0);
    seen = (struct seen){.answer = FW_ENOMEM};
    struct fw_error err;
    assert_int_equal(load(io, 2, &seen, &report, &err), FW_ENOMEM);
    assert_true(seen.blocks < BLOCKS);
    assert_int_equal(write_one(io, 9, NULL), FW_OK);
    seen = (struct seen){.refuse_sequence = 9};
    assert_int_equal(load(io, 2, &seen, &report, &err), FW_OK);
    assert_int_equal(report.sequence, 5);
    assert_int_equal(report.unreadable_files, 1);
    /* The older one on request. */
    assert_int_equal(write_one(io, 11, NULL), FW_OK);
    const struct store_snapshot_load_options options = {.skip_newest = 1};
    assert_int_equal(store_snapshot_load("/snap", io, &options, NULL, NULL, &report, NULL), FW_OK);
    assert_int_equal(report.sequence, 5);
    store_io_memory_free(memory);
}

static void test_later_version(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_io *io = store_io_memory_io(memory);
    assert_int_equal(write_one(io, 5, NULL), FW_OK);
    size_t len;
    unsigned char *bytes = store_io_memory_bytes(memory, only, &len);
    store_put_u32(bytes + 8, 2);
    store_put_u32(bytes + 60, fw_crc32c(0, bytes, 60));
    struct seen seen = {0};
    struct fw_error err;
    struct store_snapshot_report report;
    assert_int_equal(load(io, 1, &seen, &report, &err), FW_EVERSION);
    store_io_memory_free(memory);
}

/* Each call fails in turn while a third snapshot is written: an error, and the two before are as
 * good as they were; or success, and it is there. */
static void test_each_call_fails(void **state)
{
    (void)state;
    static const enum store_io_call calls[] = {
        STORE_IO_OPEN,  STORE_IO_WRITE,  STORE_IO_SYNC_DATA, STORE_IO_RENAME, STORE_IO_SYNC_DIR,
        STORE_IO_MKDIR, STORE_IO_UNLINK, STORE_IO_LIST,      STORE_IO_CLOSE};
    for (size_t c = 0; c < COUNT_OF(calls); c++) {
        for (uint64_t nth = 1; nth <= 20; nth++) {
            struct store_io_memory *memory = store_io_memory_new(nth);
            struct store_io_fault fault;
            store_io_fault_init(&fault, store_io_memory_io(memory));
            if (nth > 5)
                fault.write_bytes_max = 5000;
            assert_int_equal(write_one(&fault.io, 5, NULL), FW_OK);
            assert_int_equal(write_one(&fault.io, 9, NULL), FW_OK);
            store_io_fault_plan(&fault, calls[c], nth, 1, nth % 2 == 0 ? ENOSPC : EIO);
            uint64_t release = 77;
            const enum fw_status status = write_one(&fault.io, 12, &release);
            store_io_fault_clear(&fault);
            store_io_memory_crash(memory);
            struct seen seen = {0};
            struct store_snapshot_report report;
            assert_int_equal(load(&fault.io, 1, &seen, &report, NULL), FW_OK);
            assert_int_equal(seen.broken + seen.misplaced + report.damaged_blocks, 0);
            assert_int_equal(seen.blocks, BLOCKS);
            if (status == FW_OK) {
                assert_int_equal(report.sequence, 12);
                assert_int_equal(release, 9);
            } else {
                assert_true(report.sequence == 9 || report.sequence == 12);
                assert_true(status == FW_EIO || status == FW_ENOSPC);
            }
            store_io_fault_fini(&fault);
            store_io_memory_free(memory);
        }
    }
}

/* The power goes at every change of a write: what was committed before is there. */
static void test_power_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 600; seed++) {
        struct store_io_memory *memory = store_io_memory_new(seed);
        const struct store_io *io = store_io_memory_io(memory);
        uint64_t committed = 0, released = 0;
        store_io_memory_power_off_after(memory, seed % 60);
        for (uint64_t sequence = 1; sequence <= 6; sequence++) {
            uint64_t release;
            if (write_one(io, sequence, &release) != FW_OK)
                break;
            committed = sequence;
            released = release;
        }
        store_io_memory_crash(memory);
        struct seen seen = {0};
        struct store_snapshot_report report;
        assert_int_equal(load(io, 1, &seen, &report, NULL), FW_OK);
        assert_true(report.sequence >= committed);
        assert_int_equal(seen.broken + seen.misplaced + report.damaged_blocks, 0);
        if (report.found)
            assert_int_equal(seen.blocks, BLOCKS);
        if (released >
            0) { /* what the journal let go of is still covered by the older one, whole */
            const struct store_snapshot_load_options options = {.skip_newest = 1};
            assert_int_equal(store_snapshot_load("/snap", io, &options, NULL, NULL, &report, NULL),
                             FW_OK);
            assert_true(report.sequence >= released);
        }
        store_io_memory_free(memory);
    }
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (long nth = 1; nth <= 60; nth++) {
        struct store_io_memory *memory = store_io_memory_new(1);
        const struct store_io *io = store_io_memory_io(memory);
        assert_int_equal(write_one(io, 5, NULL), FW_OK);
        struct seen seen = {0};
        struct store_snapshot_report report;
        fw_alloc_fail_at(nth);
        (void)write_one(io, 9, NULL);
        fw_alloc_fail_at(nth);
        const enum fw_status status = load(io, 2, &seen, &report, NULL);
        fw_alloc_fail_at(0);
        if (status == FW_OK && report.found)
            assert_int_equal(seen.blocks, BLOCKS);
        assert_int_equal(load(io, 1, &seen, &report, NULL), FW_OK);
        assert_true(report.found);
        assert_int_equal(seen.blocks, BLOCKS);
        store_io_memory_free(memory);
    }
}

int main(void)
{
    fw_log_configure(&(struct fw_log_options){
        .level = FW_ERROR, .lines_per_minute = 10, .sink = quiet_log_sink});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_load),
        cmocka_unit_test(test_empty_and_large_blocks),
        cmocka_unit_test(test_flips_in_the_only_snapshot),
        cmocka_unit_test(test_fall_back),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_caller_may_refuse),
        cmocka_unit_test(test_later_version),
        cmocka_unit_test(test_each_call_fails),
        cmocka_unit_test(test_power_loss),
        cmocka_unit_test(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
