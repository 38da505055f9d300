/* Power loss on a disk in memory (RELIABILITY R2, R3): a seed decides what is appended, when the
 * power goes, what the disk keeps of what was not synced, which syncs fail, and when it is full.
 * After each crash: no acknowledged record is missing, none is invented, none comes twice, order
 * holds, and the journal opens.
 *
 * FW_SEEDS sets the number of runs; a failure names its seed, and FW_SEED=n repeats that run alone.
 */
#include "unit/store/store_support.h"

#include "base/log.h"

#include <errno.h>

enum { CRASHES = 4 }; /* in a row on one disk */

struct run {
    char name[64];
    struct fw_rng rng;
    struct store_io_memory *memory;
    struct store_journal_options options;
    struct id_list acked;
    uint64_t next_id;
    uint64_t released;     /* ids up to here may be gone */
    uint64_t released_seq; /* the same as a sequence: a snapshot covers them */
    bool sync_failed;
};

static void check_found(struct run *run, const struct id_list *found,
                        const struct store_journal_report *report)
{
    CHECK_EQ(run->name, found->broken, 0);
    unsigned char *seen = calloc(run->next_id + 1, 1);
    assert_non_null(seen);
    for (size_t i = 0; i < found->n; i++) {
        CHECK_TRUE(run->name, found->ids[i] >= 1 && found->ids[i] < run->next_id);
        CHECK_TRUE(run->name, !seen[found->ids[i]]);
        CHECK_TRUE(run->name, i == 0 || found->seqs[i] > found->seqs[i - 1]);
        CHECK_TRUE(run->name, i == 0 || found->ids[i] > found->ids[i - 1]);
        seen[found->ids[i]] = 1;
    }
    for (size_t i = 0; i < run->acked.n; i++)
        if (run->acked.ids[i] > run->released && !seen[run->acked.ids[i]])
            fail_msg("%s: acknowledged record %llu is gone", run->name,
                     (unsigned long long)run->acked.ids[i]);
    /* Nothing was damaged, so nothing may be called lost. */
    CHECK_EQ(run->name, report->lost_records, 0);
    CHECK_EQ(run->name, report->damaged_headers, 0);
    free(seen);
}

/* What was acknowledged keeps its sequence over every crash. */
static void check_sequences(struct run *run, const struct id_list *found)
{
    size_t at = 0;
    for (size_t i = 0; i < run->acked.n; i++) {
        while (at < found->n && found->ids[at] < run->acked.ids[i])
            at++;
        if (at < found->n && found->ids[at] == run->acked.ids[i])
            CHECK_EQ(run->name, found->seqs[at], run->acked.seqs[i]);
    }
}

static void maybe_release(struct run *run, struct store_journal *journal)
{
    if (run->acked.n == 0 || fw_rng_below(&run->rng, 40) != 0)
        return;
    const size_t upto = (size_t)fw_rng_below(&run->rng, run->acked.n);
    (void)store_journal_release(journal, run->acked.seqs[upto]);
    if (run->released < run->acked.ids[upto]) {
        run->released = run->acked.ids[upto];
        run->released_seq = run->acked.seqs[upto];
    }
}

static void work(struct run *run, struct store_journal *journal, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++) {
        if (fw_rng_below(&run->rng, 3) != 0) {
            const size_t len =
                8 + (size_t)fw_rng_below(&run->rng, fw_rng_below(&run->rng, 8) == 0 ? 6000 : 400);
            if (append_id(journal, &run->acked, run->next_id, len) == FW_OK)
                run->next_id++;
        } else {
            (void)store_journal_pump(journal);
        }
        maybe_release(run, journal);
    }
}

static void plan_trouble(struct run *run)
{
    const uint64_t changes = fw_rng_below(&run->rng, 60);
    store_io_memory_power_off_after(run->memory, changes);
    if (fw_rng_below(&run->rng, 3) == 0)
        store_io_memory_fail_sync(run->memory, 1 + fw_rng_below(&run->rng, 12));
    store_io_memory_set_capacity(run->memory, fw_rng_below(&run->rng, 4) == 0
                                                  ? 8192 + fw_rng_below(&run->rng, 65536)
                                                  : UINT64_MAX);
}

static void one_seed(uint64_t seed)
{
    struct run run = {.next_id = 1};
    snprintf(run.name, sizeof run.name, "FW_SEED=%llu", (unsigned long long)seed);
    fw_rng_init(&run.rng, seed);
    run.memory = store_io_memory_new(seed ^ 0x9e3779b97f4a7c15u);
    run.options = manual_options(run.memory, seed);
    run.options.segment_bytes = UINT64_C(1024) << fw_rng_below(&run.rng, 6);
    for (int crash = 0; crash < CRASHES; crash++) {
        struct store_journal *journal = NULL;
        plan_trouble(&run);
        const enum fw_status status =
            store_journal_open("/log", &run.options, 0, NULL, NULL, NULL, &journal, NULL);
        if (status == FW_OK)
            work(&run, journal, 20 + fw_rng_below(&run.rng, 200));
        store_io_memory_power_off_after(run.memory, 0);
        store_journal_close(
            journal); /* frees memory; the disk is dead and takes nothing any more */
        store_io_memory_crash(run.memory);
        store_io_memory_set_capacity(run.memory, UINT64_MAX);
        struct id_list found = {0};
        struct store_journal_report report;
        struct fw_error err;
        if (store_journal_open("/log", &run.options, run.released_seq, collect, &found, &report,
                               &journal, &err) != FW_OK)
            fail_msg("%s: does not open: %s", run.name, err.text);
        check_found(&run, &found, &report);
        check_sequences(&run, &found);
        store_journal_close(journal);
        id_list_fini(&found);
    }
    id_list_fini(&run.acked);
    store_io_memory_free(run.memory);
}

static void test_power_loss(void **state)
{
    (void)state;
    const char *one = getenv("FW_SEED"), *many = getenv("FW_SEEDS");
    if (one != NULL) {
        one_seed(strtoull(one, NULL, 10));
        return;
    }
    const uint64_t seeds = many != NULL ? strtoull(many, NULL, 10) : 4000;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        one_seed(seed);
}

/* The simulated disk itself: if it kept everything, the test above would prove nothing. */
static void test_the_disk_does_lose(void **state)
{
    (void)state;
    unsigned lost = 0, kept = 0, names_lost = 0, torn = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct store_io_memory *memory = store_io_memory_new(seed);
        const struct store_io *io = store_io_memory_io(memory);
        unsigned char bytes[4096];
        memset(bytes, 0xaa, sizeof bytes);
        const int fd = io->open(io->ctx, "/f", 0101 /* O_CREAT | O_WRONLY */, 0600);
        assert_true(fd >= 0);
        assert_int_equal(io->write_at(io->ctx, fd, bytes, sizeof bytes, 0), sizeof bytes);
        assert_false(store_io_memory_is_durable(memory, "/f", 0, sizeof bytes));
        if (seed % 2 == 0)
            assert_int_equal(io->sync_dir(io->ctx, "/"), 0);
        store_io_memory_crash(memory);
        size_t len;
        const unsigned char *left = store_io_memory_bytes(memory, "/f", &len);
        size_t right = 0;
        for (size_t i = 0; i < len; i++)
            right += left[i] == 0xaa;
        names_lost += left == NULL && len == 0 && seed % 2 == 1;
        lost += right == 0;
        kept += right == sizeof bytes;
        torn += right > 0 && right < sizeof bytes;
        store_io_memory_free(memory);
    }
    assert_true(lost > 50 && kept > 30 && torn > 50 && names_lost > 30);
}

int main(void)
{
    fw_log_configure(&(struct fw_log_options){
        .level = FW_ERROR, .lines_per_minute = 10, .sink = quiet_log_sink});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_loss),
        cmocka_unit_test(test_the_disk_does_lose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
