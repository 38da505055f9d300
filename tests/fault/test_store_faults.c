/* Calls that fail: each write, sync, rename, ... of the file layer in turn (RELIABILITY R7), the
 * disk full and back (R8), a read-only file system (R9), and the proof that no acknowledgement
 * precedes its sync. */
#include "unit/store/store_support.h"

#include "base/log.h"
#include "store/io_fault.h"

#include <errno.h>
#include <time.h>

/* ---- each call in turn ---- */

static void check_all_acked(const char *name, const struct id_list *acked,
                            const struct id_list *found)
{
    CHECK_EQ(name, found->broken, 0);
    size_t at = 0;
    for (size_t i = 0; i < acked->n; i++) {
        while (at < found->n && found->ids[at] < acked->ids[i])
            at++;
        CHECK_TRUE(name, at < found->n && found->ids[at] == acked->ids[i]);
        CHECK_EQ(name, found->seqs[at], acked->seqs[i]);
    }
    for (size_t i = 1; i < found->n; i++)
        CHECK_TRUE(name, found->ids[i] > found->ids[i - 1]);
}

struct row {
    enum store_io_call call;
    int error;
    uint64_t times;
};

static void one_failure(const struct row *row, uint64_t nth, size_t short_writes)
{
    char name[96];
    snprintf(name, sizeof name, "%s number %llu fails with %d, %llu times",
             store_io_call_name(row->call), (unsigned long long)nth, row->error,
             (unsigned long long)row->times);
    struct store_io_memory *memory = store_io_memory_new(nth);
    struct store_io_fault fault;
    store_io_fault_init(&fault, store_io_memory_io(memory));
    fault.write_bytes_max = short_writes;
    struct store_journal_options options = manual_options(memory, nth);
    options.io = &fault.io;
    options.segment_bytes = 2048;
    struct id_list acked = {0}, found = {0};
    struct store_journal *journal = NULL;
    store_io_fault_plan(&fault, row->call, nth, row->times, row->error);
    uint64_t id = 1;
    for (int opened = 0; opened < 2; opened++) {
        if (store_journal_open("/log", &options, 0, NULL, NULL, NULL, &journal, NULL) != FW_OK)
            continue; /* refused with an error: fine, nothing was promised */
        for (; id <= (uint64_t)(opened + 1) * 40; id++) {
            (void)append_id(journal, &acked, id, 100 + id * 37 % 300);
            if (id % 3 == 0)
                (void)store_journal_pump(journal);
        }
        (void)store_journal_release(journal, 0);
        store_journal_close(journal);
    }
    store_io_fault_clear(&fault);
    journal = reopen(&options, &found, NULL);
    check_all_acked(name, &acked, &found);
    /* And it is in good health again. */
    const size_t before = acked.n;
    CHECK_EQ(name, append_id(journal, &acked, 1000, 100), FW_OK);
    store_journal_close(journal);
    CHECK_EQ(name, acked.n, before + 1);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_fault_fini(&fault);
    store_io_memory_free(memory);
}

static void test_each_call_fails_in_turn(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {STORE_IO_OPEN,       EIO,    1 },
        {STORE_IO_OPEN,       EMFILE, 5 },
        {STORE_IO_READ,       EIO,    1 },
        {STORE_IO_WRITE,      EIO,    1 },
        {STORE_IO_WRITE,      ENOSPC, 1 },
        {STORE_IO_WRITE,      ENOSPC, 10},
        {STORE_IO_WRITE,      EIO,    7 },
        {STORE_IO_WRITE,      EINTR,  3 },
        {STORE_IO_SYNC_DATA,  EIO,    1 },
        {STORE_IO_SYNC_DATA,  EIO,    6 },
        {STORE_IO_SYNC_DATA,  ENOSPC, 1 },
        {STORE_IO_SYNC_DIR,   EIO,    1 },
        {STORE_IO_SYNC_DIR,   EIO,    4 },
        {STORE_IO_TRUNCATE,   EIO,    1 },
        {STORE_IO_SIZE,       EIO,    1 },
        {STORE_IO_UNLINK,     EIO,    1 },
        {STORE_IO_MKDIR,      EIO,    1 },
        {STORE_IO_LIST,       EIO,    1 },
        {STORE_IO_LOCK,       EIO,    1 },
        {STORE_IO_FREE_BYTES, EIO,    1 },
        {STORE_IO_CLOSE,      EIO,    1 },
        {STORE_IO_DROP_CACHE, EIO,    1 },
        {STORE_IO_RENAME,     EIO,    1 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (uint64_t nth = 1; nth <= 40; nth++)
            one_failure(&rows[i], nth, nth % 2 == 0 ? 0 : 61);
}

/* ---- a failed sync ---- */

static void test_failed_sync(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 20; nth++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct store_io_memory *memory = store_io_memory_new(seed * 100 + nth);
            const struct store_journal_options options = manual_options(memory, seed + 1);
            struct id_list acked = {0}, found = {0};
            struct store_journal *journal = reopen(&options, NULL, NULL);
            store_io_memory_fail_sync(memory, nth);
            for (uint64_t id = 1; id <= 60; id++) {
                assert_int_equal(append_id(journal, &acked, id, 200), FW_OK);
                if (id % 2 == 0)
                    assert_true(store_journal_pump(journal));
            }
            struct store_journal_stats stats;
            store_journal_stats(journal, &stats);
            assert_int_equal(stats.sync_failures, 1);
            assert_int_equal(stats.reopened, 1);
            assert_int_equal(stats.readback_missing, 0);
            assert_int_equal(stats.state, STORE_JOURNAL_OK);
            assert_int_equal(acked.refused, 2); /* the group, nobody else */
            assert_int_equal(acked.n, 58);
            /* The next segment's header says where the truth ended: what was refused does not come
             * back. */
            store_io_memory_power_off_after(memory, 0);
            store_journal_close(journal);
            store_io_memory_crash(memory);
            struct store_journal_report report;
            journal = reopen(&options, &found, &report);
            check_all_acked("failed sync", &acked, &found);
            assert_int_equal(found.n, 58);
            assert_int_equal(report.lost_records, 0);
            assert_int_equal(report.damaged_regions, 0);
            store_journal_close(journal);
            id_list_fini(&acked);
            id_list_fini(&found);
            store_io_memory_free(memory);
        }
    }
}

/* The sync fails and the file cannot be cut either, so the refused records stay in it: the next
 * segment's header keeps them from coming back, and their sequences are not used again. */
static void test_refused_records_stay_refused(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    struct store_io_fault fault;
    store_io_fault_init(&fault, store_io_memory_io(memory));
    struct store_journal_options options = manual_options(memory, 1);
    options.io = &fault.io;
    struct id_list acked = {0}, found = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    for (uint64_t id = 1; id <= 9; id++)
        assert_int_equal(append_id(journal, &acked, id, 100), FW_OK);
    assert_true(store_journal_pump(journal));
    store_io_fault_plan(&fault, STORE_IO_SYNC_DATA, 1, 1, EIO);
    store_io_fault_plan(&fault, STORE_IO_TRUNCATE, 1, 1, EIO);
    for (uint64_t id = 10; id <= 12; id++)
        assert_int_equal(append_id(journal, &acked, id, 100), FW_OK);
    assert_true(store_journal_pump(journal));
    assert_int_equal(acked.refused, 3);
    for (uint64_t id = 13; id <= 14; id++)
        assert_int_equal(append_id(journal, &acked, id, 100), FW_OK);
    store_journal_close(journal);
    assert_int_equal(acked.seqs[9], 13);
    for (int opened = 0; opened < 3; opened++) {
        struct store_journal_report report;
        id_list_fini(&found);
        journal = reopen(&options, &found, &report);
        check_all_acked("refused stay refused", &acked, &found);
        assert_int_equal(found.n, acked.n);
        assert_int_equal(report.refused_records, 3);
        assert_int_equal(report.lost_records + report.damaged_regions + report.stale_records, 0);
        assert_int_equal(append_id(journal, &acked, (uint64_t)20 + (uint64_t)opened, 100), FW_OK);
        store_journal_close(journal);
    }
    store_io_fault_fini(&fault);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);

    /* The same without a record behind them: what they used up stays used up over the next start.
     */
    memory = store_io_memory_new(1);
    store_io_fault_init(&fault, store_io_memory_io(memory));
    journal = reopen(&options, NULL, NULL);
    assert_int_equal(append_id(journal, &acked, 1, 100), FW_OK);
    assert_true(store_journal_pump(journal));
    store_io_fault_plan(&fault, STORE_IO_SYNC_DATA, 1, 1, EIO);
    store_io_fault_plan(&fault, STORE_IO_TRUNCATE, 1, 1, EIO);
    assert_int_equal(append_id(journal, &acked, 2, 100), FW_OK);
    assert_true(store_journal_pump(journal));
    store_journal_close(journal);
    journal = reopen(&options, NULL, NULL);
    assert_int_equal(append_id(journal, &acked, 3, 100), FW_OK);
    store_journal_close(journal);
    assert_int_equal(acked.seqs[acked.n - 1], 3);
    journal = reopen(&options, &found, NULL);
    assert_int_equal(found.n, 2);
    assert_int_equal(found.ids[1], 3);
    store_journal_close(journal);
    store_io_fault_fini(&fault);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

/* A disk that stays broken: refused at once, asked again by the probe, and well when the disk is.
 */
static void test_broken_disk_and_back(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    struct store_io_fault fault;
    store_io_fault_init(&fault, store_io_memory_io(memory));
    struct store_journal_options options = manual_options(memory, 1);
    options.io = &fault.io;
    struct id_list acked = {0}, found = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    assert_int_equal(append_id(journal, &acked, 1, 100), FW_OK);
    assert_true(store_journal_pump(journal));
    store_io_fault_plan(&fault, STORE_IO_SYNC_DATA, 1, UINT64_MAX, EIO);
    assert_int_equal(append_id(journal, &acked, 2, 100), FW_OK);
    assert_int_equal(append_id(journal, &acked, 3, 100), FW_OK);
    assert_true(store_journal_pump(journal));
    assert_int_equal(acked.refused, 2);
    assert_int_equal(append_id(journal, &acked, 4, 100), FW_EIO);
    assert_true(store_journal_pump(journal)); /* looks, in vain */
    assert_int_equal(append_id(journal, &acked, 4, 100), FW_EIO);
    struct store_journal_stats stats;
    store_journal_stats(journal, &stats);
    assert_int_equal(stats.state, STORE_JOURNAL_FAILED);
    assert_int_equal(stats.refused_failed, 4);
    store_io_fault_clear(&fault);
    assert_true(store_journal_pump(journal));
    assert_int_equal(append_id(journal, &acked, 5, 100), FW_OK);
    store_journal_close(journal);
    journal = reopen(&options, &found, NULL);
    assert_int_equal(found.n, 2);
    check_all_acked("back", &acked, &found);
    store_journal_close(journal);
    store_io_fault_fini(&fault);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

/* ---- a full disk ---- */

static void test_full_and_back_fifty_times(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(4);
    struct store_journal_options options = manual_options(memory, 4);
    options.reserve_bytes = 64 << 10;
    struct id_list acked = {0}, found = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    uint64_t id = 0;
    for (int cycle = 0; cycle < 50; cycle++) {
        uint64_t free_bytes;
        const struct store_io *io = store_io_memory_io(memory);
        store_io_memory_set_capacity(memory, UINT64_MAX);
        assert_int_equal(io->free_bytes(io->ctx, "/log", &free_bytes), 0);
        /* Room for a few records more, sometimes for none at all. */
        const uint64_t used = UINT64_MAX - free_bytes;
        store_io_memory_set_capacity(memory, used + (uint64_t)(cycle % 5) * 40000);
        const size_t refused = acked.refused;
        enum fw_status status = FW_OK;
        for (int i = 0; i < 400 && status == FW_OK; i++) {
            status = append_id(journal, &acked, ++id, 900);
            (void)store_journal_pump(journal);
        }
        CHECK_EQ("refused while full", status, FW_ENOSPC);
        CHECK_TRUE("whoever waited was told", acked.refused > refused);
        store_io_memory_set_capacity(memory, UINT64_MAX);
        (void)store_journal_pump(journal); /* looks again */
        CHECK_EQ("takes records again", append_id(journal, &acked, ++id, 900), FW_OK);
        (void)store_journal_pump(journal);
    }
    struct store_journal_stats stats;
    store_journal_stats(journal, &stats);
    assert_true(stats.refused_full >= 100);
    store_journal_close(journal);
    struct store_journal_report report;
    journal = reopen(&options, &found, &report);
    assert_int_equal(found.n, acked.n);
    check_all_acked("after fifty cycles", &acked, &found);
    assert_int_equal(report.torn_bytes + report.damaged_bytes + report.lost_records, 0);
    store_journal_close(journal);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

/* ENOSPC in the middle of a write, where free_bytes() had promised more: the partial tail is cut
 * back. */
static void test_full_in_mid_write(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(4);
    struct store_io_fault fault;
    store_io_fault_init(&fault, store_io_memory_io(memory));
    struct store_journal_options options = manual_options(memory, 4);
    options.io = &fault.io;
    fault.write_bytes_max = 100; /* so that a part is written first */
    struct id_list acked = {0}, found = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    assert_int_equal(append_id(journal, &acked, 1, 500), FW_OK);
    (void)store_journal_pump(journal);
    store_io_fault_plan(&fault, STORE_IO_WRITE, 4, 1, ENOSPC);
    assert_int_equal(append_id(journal, &acked, 2, 500), FW_OK);
    (void)store_journal_pump(journal);
    assert_int_equal(acked.refused, 1);
    (void)store_journal_pump(journal);
    assert_int_equal(append_id(journal, &acked, 3, 500), FW_OK);
    (void)store_journal_pump(journal);
    struct store_journal_stats stats;
    store_journal_stats(journal, &stats);
    assert_int_equal(stats.segments, 1); /* the segment was good enough to go on */
    assert_int_equal(stats.bytes, STORE_SEGMENT_HEADER + 2 * (500 + STORE_RECORD_HEADER));
    assert_int_equal(acked.seqs[1], 2);
    store_journal_close(journal);
    journal = reopen(&options, &found, NULL);
    check_all_acked("mid write", &acked, &found);
    assert_int_equal(found.n, 2);
    store_journal_close(journal);
    store_io_fault_fini(&fault);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

static void test_start_on_a_full_disk(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(4);
    const struct store_journal_options options = manual_options(memory, 4);
    struct id_list acked = {0}, found = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    assert_int_equal(append_id(journal, &acked, 1, 500), FW_OK);
    store_journal_close(journal);
    store_io_memory_set_capacity(memory, 1);
    journal = reopen(&options, &found, NULL);
    assert_int_equal(found.n, 1); /* reading works */
    assert_int_equal(append_id(journal, &acked, 2, 500), FW_ENOSPC);
    store_io_memory_set_capacity(memory, UINT64_MAX);
    assert_true(store_journal_pump(journal));
    assert_int_equal(append_id(journal, &acked, 2, 500), FW_OK);
    store_journal_close(journal);
    assert_int_equal(acked.n, 2);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

/* With the thread: room is found again by itself, without anyone appending. */
static void test_thread_probes(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(4);
    struct store_journal_options options = manual_options(memory, 4);
    options.manual = false;
    options.probe_ms = 1;
    struct id_list acked = {0};
    store_io_memory_set_capacity(memory, 1);
    struct store_journal *journal = reopen(&options, NULL, NULL);
    assert_int_equal(append_id(journal, &acked, 1, 500), FW_ENOSPC);
    store_io_memory_set_capacity(memory, UINT64_MAX);
    enum fw_status status = FW_ENOSPC;
    for (int i = 0; i < 5000 && status != FW_OK; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        status = append_id(journal, &acked, 1, 500);
    }
    assert_int_equal(status, FW_OK);
    store_journal_close(journal);
    assert_int_equal(acked.n, 1);
    id_list_fini(&acked);
    store_io_memory_free(memory);
}

static void test_read_only(void **state)
{
    (void)state;
    static const enum store_io_call calls[] = {STORE_IO_OPEN, STORE_IO_MKDIR};
    struct store_io_memory *memory = store_io_memory_new(4);
    const struct store_io *io = store_io_memory_io(memory);
    struct store_io_fault fault;
    store_io_fault_init(&fault, io);
    struct store_journal_options options = manual_options(memory, 4);
    options.io = &fault.io;
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        struct store_journal *journal = NULL;
        struct fw_error err = {0};
        store_io_fault_plan(&fault, calls[i], 1, UINT64_MAX, EROFS);
        assert_int_equal(store_journal_open("/log", &options, 0, NULL, NULL, NULL, &journal, &err),
                         FW_EIO);
        assert_null(journal);
        assert_non_null(strstr(err.text, "Read-only file system"));
        assert_null(strchr(err.text, '\n'));
        store_io_fault_clear(&fault);
    }
    store_io_fault_fini(&fault);
    store_io_memory_free(memory);
}

/* ---- no acknowledgement before its sync ---- */

struct witness {
    struct store_io_memory *memory;
    uint64_t offset; /* expected end of the journal's durable bytes in the newest segment */
    size_t checked;
    size_t len;
};

static void must_be_durable(void *ctx, enum fw_status status, uint64_t seq)
{
    struct witness *witness = ctx;
    (void)seq;
    assert_int_equal(status, FW_OK);
    char path[STORE_PATH_MAX];
    newest_segment(witness->memory, path);
    size_t size;
    const unsigned char *bytes = store_io_memory_bytes(witness->memory, path, &size);
    assert_non_null(bytes);
    /* Everything the segment holds at this moment was written by this group or earlier ones. */
    assert_true(store_io_memory_is_durable(witness->memory, path, 0, size));
    assert_true(size >= STORE_SEGMENT_HEADER + STORE_RECORD_HEADER + witness->len);
    witness->checked++;
}

static void test_no_acknowledgement_before_its_sync(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(4);
    struct store_journal_options options = manual_options(memory, 4);
    options.segment_bytes = 3000; /* new segments often: their names must be durable too */
    struct store_journal *journal = reopen(&options, NULL, NULL);
    struct witness witness = {.memory = memory, .len = 200};
    unsigned char payload[200];
    for (uint64_t id = 1; id <= 300; id++) {
        payload_make(payload, id, sizeof payload);
        assert_int_equal(
            store_journal_append(journal, payload, sizeof payload, must_be_durable, &witness),
            FW_OK);
        if (id % 4 == 0)
            (void)store_journal_pump(journal);
    }
    store_journal_close(journal);
    assert_int_equal(witness.checked, 300);
    store_io_memory_free(memory);
}

int main(void)
{
    fw_log_configure(&(struct fw_log_options){
        .level = FW_ERROR, .lines_per_minute = 10, .sink = quiet_log_sink});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_fails_in_turn),
        cmocka_unit_test(test_failed_sync),
        cmocka_unit_test(test_refused_records_stay_refused),
        cmocka_unit_test(test_broken_disk_and_back),
        cmocka_unit_test(test_full_and_back_fifty_times),
        cmocka_unit_test(test_full_in_mid_write),
        cmocka_unit_test(test_start_on_a_full_disk),
        cmocka_unit_test(test_thread_probes),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_no_acknowledgement_before_its_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
