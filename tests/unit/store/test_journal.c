#include "store_support.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/io_fault.h"

#include <errno.h>
#include <pthread.h>

static void pump_all(struct store_journal *journal)
{
    while (store_journal_pump(journal)) {
        struct store_journal_stats stats;
        store_journal_stats(journal, &stats);
        if (stats.queue_records == 0)
            break;
    }
}

static void test_what_goes_in_comes_out(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_journal_options options = manual_options(memory, 1);
    struct id_list acked = {0}, found = {0};
    struct store_journal_report report;
    struct store_journal *journal = reopen(&options, &found, &report);
    assert_int_equal(report.records, 0);
    for (uint64_t id = 1; id <= 100; id++) {
        assert_int_equal(append_id(journal, &acked, id, 8 + id * 13 % 3000), FW_OK);
        if (id % 7 == 0)
            pump_all(journal);
    }
    store_journal_close(journal); /* makes the rest durable */
    assert_int_equal(acked.n, 100);
    journal = reopen(&options, &found, &report);
    assert_int_equal(found.n, 100);
    assert_int_equal(found.broken, 0);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(found.ids[i], i + 1);
        assert_int_equal(found.seqs[i], i + 1);
        assert_int_equal(acked.seqs[i], i + 1);
    }
    assert_int_equal(report.records, 100);
    assert_int_equal(report.replayed, 100);
    assert_int_equal(report.torn_bytes + report.damaged_bytes + report.lost_records +
                         report.refused_records + report.stale_records + report.missing_to,
                     0);
    assert_true(report.segments > 3);
    store_journal_close(journal);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

static void test_sequences_go_on(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_journal_options options = manual_options(memory, 1);
    struct id_list acked = {0};
    for (uint64_t round = 0; round < 5; round++) {
        struct id_list found = {0};
        struct store_journal *journal = reopen(&options, &found, NULL);
        assert_int_equal(found.n, round * 3);
        for (uint64_t i = 1; i <= 3; i++)
            assert_int_equal(append_id(journal, &acked, round * 3 + i, 50), FW_OK);
        store_journal_close(journal);
        assert_int_equal(acked.seqs[acked.n - 1], round * 3 + 3);
        id_list_fini(&found);
    }
    /* A snapshot ahead of everything in the log decides too. */
    struct store_journal *journal = NULL;
    assert_int_equal(store_journal_open("/log", &options, 1000, NULL, NULL, NULL, &journal, NULL),
                     FW_OK);
    assert_int_equal(append_id(journal, &acked, 77, 50), FW_OK);
    store_journal_close(journal);
    assert_int_equal(acked.seqs[acked.n - 1], 1001);
    id_list_fini(&acked);
    store_io_memory_free(memory);
}

static void test_replay_after(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_journal_options options = manual_options(memory, 1);
    struct id_list acked = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    for (uint64_t id = 1; id <= 60; id++) {
        assert_int_equal(append_id(journal, &acked, id, 1000), FW_OK);
        pump_all(journal);
    }
    store_journal_close(journal);
    for (uint64_t after = 0; after <= 61; after++) {
        struct id_list found = {0};
        struct store_journal_report report;
        assert_int_equal(
            store_journal_open("/log", &options, after, collect, &found, &report, &journal, NULL),
            FW_OK);
        assert_int_equal(found.n, after >= 60 ? 0 : 60 - after);
        if (found.n > 0)
            assert_int_equal(found.ids[0], after + 1);
        assert_true(report.records <= 60 - after + 16 ||
                    after > 60); /* whole segments are skipped */
        assert_int_equal(report.missing_to, 0);
        store_journal_close(journal);
        id_list_fini(&found);
    }
    id_list_fini(&acked);
    store_io_memory_free(memory);
}

static void test_release(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    struct store_io_fault fault;
    store_io_fault_init(&fault, store_io_memory_io(memory));
    struct store_journal_options options = manual_options(memory, 1);
    options.io = &fault.io;
    struct id_list acked = {0}, found = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    for (uint64_t id = 1; id <= 60; id++) {
        assert_int_equal(append_id(journal, &acked, id, 1000), FW_OK);
        pump_all(journal);
    }
    struct store_journal_stats before, after;
    store_journal_stats(journal, &before);
    assert_int_equal(before.segments, 4);
    assert_int_equal(store_journal_release(journal, 14), FW_OK); /* the first ends with 15 */
    store_journal_stats(journal, &after);
    assert_int_equal(after.segments, before.segments);
    /* A file that cannot be removed waits. */
    store_io_fault_plan(&fault, STORE_IO_UNLINK, 1, 1, EIO);
    assert_int_equal(store_journal_release(journal, 33), FW_EIO);
    store_journal_stats(journal, &after);
    assert_int_equal(after.segments, 4);
    assert_int_equal(store_journal_release(journal, 33), FW_OK);
    store_journal_stats(journal, &after);
    assert_int_equal(after.segments, 2);
    assert_int_equal(after.first_seq, 31);
    assert_true(after.bytes < before.bytes);
    /* The one being written stays, whatever is covered. */
    assert_int_equal(store_journal_release(journal, UINT64_MAX - 1), FW_OK);
    store_journal_stats(journal, &after);
    assert_int_equal(after.segments, 1);
    store_journal_close(journal);
    struct store_journal_report report;
    assert_int_equal(
        store_journal_open("/log", &options, 60, collect, &found, &report, &journal, NULL), FW_OK);
    assert_int_equal(found.n, 0);
    assert_int_equal(report.missing_to, 0);
    store_journal_close(journal);
    /* Without the snapshot, that the beginning is missing is said. */
    journal = reopen(&options, &found, &report);
    assert_int_equal(report.missing_from, 1);
    assert_int_equal(report.missing_to, 45);
    store_journal_close(journal);
    store_io_fault_fini(&fault);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

static void test_limits(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    struct store_journal_options options = manual_options(memory, 1);
    options.record_bytes_max = 1000;
    options.queue_bytes_max = 2980;
    struct id_list acked = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    assert_int_equal(store_journal_append(journal, "x", 0, note_done, NULL), FW_EINVAL);
    assert_int_equal(append_id(journal, &acked, 1, 1001), FW_EINVAL);
    assert_int_equal(append_id(journal, &acked, 1, 1000), FW_OK);
    assert_int_equal(append_id(journal, &acked, 2, 1000), FW_OK);
    assert_int_equal(append_id(journal, &acked, 3, 1000), FW_ELIMIT);
    assert_int_equal(append_id(journal, &acked, 3, 900), FW_OK);
    struct store_journal_stats stats;
    store_journal_stats(journal, &stats);
    assert_int_equal(stats.queue_records, 3);
    assert_int_equal(stats.queue_bytes, 2900 + 3 * STORE_RECORD_HEADER);
    assert_int_equal(stats.refused_limit, 1);
    pump_all(journal);
    assert_int_equal(append_id(journal, &acked, 4, 1000), FW_OK);
    store_journal_close(journal);
    assert_int_equal(acked.n, 4);
    id_list_fini(&acked);
    store_io_memory_free(memory);
}

static void test_second_opener_is_refused(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_journal_options options = manual_options(memory, 1);
    struct store_journal *first = reopen(&options, NULL, NULL), *second = NULL;
    struct fw_error err;
    assert_int_equal(store_journal_open("/log", &options, 0, NULL, NULL, NULL, &second, &err),
                     FW_EBUSY);
    assert_null(second);
    assert_non_null(strstr(err.text, "in use"));
    store_journal_close(first);
    assert_int_equal(store_journal_open("/log", &options, 0, NULL, NULL, NULL, &second, &err),
                     FW_OK);
    store_journal_close(second);
    store_journal_close(NULL);
    store_io_memory_free(memory);
}

static void test_later_version_is_refused(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_journal_options options = manual_options(memory, 1);
    struct id_list acked = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    assert_int_equal(append_id(journal, &acked, 1, 100), FW_OK);
    store_journal_close(journal);
    char path[STORE_PATH_MAX];
    size_t len;
    newest_segment(memory, path);
    unsigned char *bytes = store_io_memory_bytes(memory, path, &len);
    store_put_u32(bytes + 8, 2);
    store_put_u32(bytes + 60, fw_crc32c(0, bytes, 60));
    struct fw_error err;
    assert_int_equal(store_journal_open("/log", &options, 0, NULL, NULL, NULL, &journal, &err),
                     FW_EVERSION);
    assert_non_null(strstr(err.text, "later version"));
    id_list_fini(&acked);
    store_io_memory_free(memory);
}

struct picky {
    uint64_t bad_seq;
    enum fw_status answer;
    size_t seen;
};

static enum fw_status pick(void *ctx, uint64_t seq, const void *payload, size_t len)
{
    (void)payload;
    (void)len;
    struct picky *picky = ctx;
    picky->seen++;
    return seq == picky->bad_seq ? picky->answer : FW_OK;
}

static void test_replay_may_object(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_journal_options options = manual_options(memory, 1);
    struct id_list acked = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    for (uint64_t id = 1; id <= 5; id++)
        assert_int_equal(append_id(journal, &acked, id, 100), FW_OK);
    store_journal_close(journal);
    struct picky picky = {.bad_seq = 3, .answer = FW_ECORRUPT};
    struct store_journal_report report;
    assert_int_equal(store_journal_open("/log", &options, 0, pick, &picky, &report, &journal, NULL),
                     FW_OK);
    assert_int_equal(picky.seen, 5);
    assert_int_equal(report.rejected_records, 1);
    assert_int_equal(report.replayed, 4);
    assert_int_equal(report.quarantined_bytes, 100 + STORE_RECORD_HEADER);
    store_journal_close(journal);
    picky = (struct picky){.bad_seq = 3, .answer = FW_ENOMEM};
    struct fw_error err;
    assert_int_equal(store_journal_open("/log", &options, 0, pick, &picky, &report, &journal, &err),
                     FW_ENOMEM);
    assert_int_equal(picky.seen, 3);
    assert_null(journal);
    id_list_fini(&acked);
    store_io_memory_free(memory);
}

/* ---- with the thread ---- */

struct writer {
    struct store_journal *journal;
    pthread_mutex_t lock;
    pthread_cond_t change;
    uint64_t acked, last_seq, out_of_order, not_durable;
    struct store_io_memory *memory;
    uint64_t ids; /* next id */
};

struct waiting {
    struct writer *writer;
    size_t len;
};

static void done_in_order(void *ctx, enum fw_status status, uint64_t seq)
{
    struct waiting *waiting = ctx;
    struct writer *writer = waiting->writer;
    assert_int_equal(status, FW_OK);
    pthread_mutex_lock(&writer->lock);
    if (seq != writer->last_seq + 1)
        writer->out_of_order++;
    writer->last_seq = seq;
    writer->acked++;
    pthread_cond_broadcast(&writer->change);
    pthread_mutex_unlock(&writer->lock);
    free(waiting);
}

enum { WRITERS = 4, EACH = 300 };

static void *write_many(void *ctx)
{
    struct writer *writer = ctx;
    static _Thread_local unsigned char bytes[4096];
    for (int i = 0; i < EACH; i++) {
        pthread_mutex_lock(&writer->lock);
        const uint64_t id = ++writer->ids;
        pthread_mutex_unlock(&writer->lock);
        struct waiting *waiting = malloc(sizeof *waiting);
        assert_non_null(waiting);
        *waiting =
            (struct waiting){.writer = writer, .len = payload_make(bytes, id, 8 + id % 2000)};
        enum fw_status status;
        while ((status = store_journal_append(writer->journal, bytes, waiting->len, done_in_order,
                                              waiting)) == FW_ELIMIT)
            sched_yield();
        assert_int_equal(status, FW_OK);
    }
    return NULL;
}

static void test_many_writers(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    struct store_journal_options options = manual_options(memory, 1);
    options.manual = false;
    options.segment_bytes = 128 << 10;
    struct writer writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    writer.journal = reopen(&options, NULL, NULL);
    pthread_t threads[WRITERS];
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writer), 0);
    for (int i = 0; i < 50; i++) { /* stats and release run beside it */
        struct store_journal_stats stats;
        store_journal_stats(writer.journal, &stats);
        assert_true(stats.acknowledged <= stats.appended);
        assert_int_equal(store_journal_release(writer.journal, 0), FW_OK);
    }
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    struct store_journal_stats stats;
    store_journal_close(writer.journal);
    assert_int_equal(writer.acked, WRITERS * EACH);
    assert_int_equal(writer.out_of_order, 0);
    struct id_list found = {0};
    options.manual = true;
    struct store_journal *journal = reopen(&options, &found, NULL);
    assert_int_equal(found.n, WRITERS * EACH);
    assert_int_equal(found.broken, 0);
    uint64_t sum = 0;
    for (size_t i = 0; i < found.n; i++)
        sum += found.ids[i];
    assert_int_equal(sum, (uint64_t)WRITERS * EACH * (WRITERS * EACH + 1) / 2);
    store_journal_stats(journal, &stats);
    assert_int_equal(stats.last_seq, WRITERS * EACH);
    store_journal_close(journal);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

/* A record may be appended from inside done(). */
struct chain {
    struct store_journal *journal;
    _Atomic unsigned left;
    _Atomic bool ended;
};

static void append_next(void *ctx, enum fw_status status, uint64_t seq)
{
    struct chain *chain = ctx;
    (void)seq;
    assert_int_equal(status, FW_OK);
    if (chain->left-- == 0)
        chain->ended = true;
    else
        assert_int_equal(store_journal_append(chain->journal, "link", 4, append_next, chain),
                         FW_OK);
}

static void test_append_from_done(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    struct store_journal_options options = manual_options(memory, 1);
    options.manual = false;
    struct chain chain = {.left = 20};
    chain.journal = reopen(&options, NULL, NULL);
    assert_int_equal(store_journal_append(chain.journal, "link", 4, append_next, &chain), FW_OK);
    while (!chain.ended)
        sched_yield();
    struct store_journal_stats stats;
    store_journal_close(chain.journal);
    chain.journal = reopen(&options, NULL, NULL);
    store_journal_stats(chain.journal, &stats);
    assert_int_equal(stats.last_seq, 21);
    store_journal_close(chain.journal);
    store_io_memory_free(memory);
}

/* Every allocation of open, append, commit and replay fails in turn: an error or success, no crash,
 * no leak, and nothing acknowledged is missing afterwards. */
static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (long nth = 1; nth <= 40; nth++) {
        struct store_io_memory *memory = store_io_memory_new(1);
        const struct store_journal_options options = manual_options(memory, 1);
        struct id_list acked = {0}, found = {0};
        struct store_journal *journal = reopen(&options, NULL, NULL);
        for (uint64_t id = 1; id <= 40; id++)
            assert_int_equal(append_id(journal, &acked, id, 1000), FW_OK);
        store_journal_close(journal);
        fw_alloc_fail_at(nth);
        enum fw_status status =
            store_journal_open("/log", &options, 0, NULL, NULL, NULL, &journal, NULL);
        if (status == FW_OK) {
            for (uint64_t id = 41; id <= 80; id++) {
                (void)append_id(journal, &acked, id, 1000);
                (void)store_journal_pump(journal);
            }
        }
        fw_alloc_fail_at(0);
        store_journal_close(journal);
        journal = reopen(&options, &found, NULL);
        for (size_t i = 0; i < acked.n; i++)
            assert_true(id_list_has(&found, acked.ids[i]));
        store_journal_close(journal);
        id_list_fini(&acked);
        id_list_fini(&found);
        store_io_memory_free(memory);
    }
}

static void test_preallocated_segments(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    struct store_journal_options options = manual_options(memory, 1);
    options.preallocate = true;
    struct id_list acked = {0}, found = {0};
    struct store_journal_report report;
    struct store_journal *journal = reopen(&options, NULL, NULL);
    for (uint64_t id = 1; id <= 40; id++) {
        assert_int_equal(append_id(journal, &acked, id, 1000), FW_OK);
        pump_all(journal);
    }
    store_io_memory_power_off_after(memory, 0); /* closing changes nothing any more */
    store_journal_close(journal);
    store_io_memory_crash(memory);
    journal = reopen(&options, &found, &report);
    assert_int_equal(found.n, 40);
    assert_int_equal(report.torn_bytes + report.damaged_bytes, 0);
    store_journal_close(journal);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

int main(void)
{
    fw_log_configure(&(struct fw_log_options){
        .level = FW_ERROR, .lines_per_minute = 10, .sink = quiet_log_sink});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_sequences_go_on),
        cmocka_unit_test(test_replay_after),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_second_opener_is_refused),
        cmocka_unit_test(test_later_version_is_refused),
        cmocka_unit_test(test_replay_may_object),
        cmocka_unit_test(test_many_writers),
        cmocka_unit_test(test_append_from_done),
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_preallocated_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
