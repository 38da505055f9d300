/* kill -9 at a random moment (RELIABILITY R1, at the level of the journal): a child appends from
 * four threads and tells each acknowledged number through a pipe; it is killed; whatever came
 * through the pipe must be in the journal, whole, once. FW_CYCLES sets the number of rounds (25).
 */
#include "unit/store/store_support.h"

#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WRITERS = 4 };

static int report_fd;

static void tell_parent(void *ctx, enum fw_status status, uint64_t seq)
{
    uint64_t id = (uint64_t)(uintptr_t)ctx;
    (void)seq;
    if (status == FW_OK && write(report_fd, &id, sizeof id) != sizeof id)
        _exit(1);
}

struct feed {
    struct store_journal *journal;
    uint64_t first;
};

static void *feed_forever(void *ctx)
{
    const struct feed *feed = ctx;
    unsigned char bytes[4000];
    for (uint64_t id = feed->first;; id += WRITERS) {
        const size_t len = payload_make(bytes, id, 8 + id * 131 % 3000);
        /* Full queue: the id is given up, which costs nothing. */
        if (store_journal_append(feed->journal, bytes, len, tell_parent, (void *)(uintptr_t)id) !=
            FW_OK)
            continue;
        if (id % 64 < WRITERS)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    return NULL;
}

static void child(const char *dir, uint64_t first)
{
    struct store_journal *journal = NULL;
    const struct store_journal_options options = {
        .segment_bytes = 200 << 10, .queue_bytes_max = 1 << 20, .record_bytes_max = 8000};
    if (store_journal_open(dir, &options, 0, NULL, NULL, NULL, &journal, NULL) != FW_OK)
        _exit(1);
    struct feed feeds[WRITERS];
    pthread_t thread;
    for (uint64_t i = 0; i < WRITERS; i++) {
        feeds[i] = (struct feed){.journal = journal, .first = first + i};
        if (i + 1 < WRITERS && pthread_create(&thread, NULL, feed_forever, &feeds[i]) != 0)
            _exit(1);
    }
    feed_forever(&feeds[WRITERS - 1]);
}

/* Appends to `acked` what the child tells until it is killed and the pipe ends. */
static uint64_t one_life(const char *dir, uint64_t first, uint64_t delay_us, struct id_list *acked)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        report_fd = ends[1];
        child(dir, first);
        _exit(0);
    }
    close(ends[1]);
    uint64_t highest = first;
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    bool killed = false;
    uint64_t id;
    while (read(ends[0], &id, sizeof id) == sizeof id) {
        id_list_add(acked, id, 0);
        if (id > highest)
            highest = id;
        clock_gettime(CLOCK_MONOTONIC, &now);
        const uint64_t us = (uint64_t)((now.tv_sec - begin.tv_sec) * 1000000 +
                                       (now.tv_nsec - begin.tv_nsec) / 1000);
        if (!killed && us > delay_us) {
            kill(pid, SIGKILL);
            killed = true;
        }
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return highest;
}

static int by_id(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

static void test_kill_nine(void **state)
{
    (void)state;
    char dir[] = "/tmp/fw-kill-XXXXXX", log[64], command[64];
    assert_non_null(mkdtemp(dir));
    snprintf(log, sizeof log, "%s/log", dir);
    const char *wanted = getenv("FW_CYCLES");
    const long cycles = wanted != NULL ? strtol(wanted, NULL, 10) : 25;
    struct id_list acked = {0};
    struct fw_rng rng;
    fw_rng_init(&rng, 3);
    uint64_t first = 1;
    for (long cycle = 0; cycle < cycles; cycle++) {
        /* Ids grow over all lives, so that no two records are alike. */
        first = one_life(log, first, 5000 + fw_rng_below(&rng, 40000), &acked) + 1000000;
        struct id_list found = {0};
        struct store_journal_report report;
        struct store_journal *journal = NULL;
        struct fw_error err = {0};
        if (store_journal_open(log, NULL, 0, collect, &found, &report, &journal, &err) != FW_OK)
            fail_msg("cycle %ld: %s", cycle, err.text);
        store_journal_close(journal);
        assert_int_equal(found.broken, 0);
        assert_int_equal(report.lost_records + report.damaged_regions + report.stale_records, 0);
        qsort(found.ids, found.n, sizeof *found.ids, by_id);
        qsort(acked.ids, acked.n, sizeof *acked.ids, by_id);
        size_t at = 0;
        for (size_t i = 0; i < found.n; i++)
            assert_true(i == 0 || found.ids[i] != found.ids[i - 1]);
        for (size_t i = 0; i < acked.n; i++) {
            while (at < found.n && found.ids[at] < acked.ids[i])
                at++;
            if (at == found.n || found.ids[at] != acked.ids[i])
                fail_msg("cycle %ld: acknowledged record %llu is gone", cycle,
                         (unsigned long long)acked.ids[i]);
        }
        id_list_fini(&found);
    }
    print_message("%ld cycles, %zu acknowledged records, none lost\n", cycles, acked.n);
    assert_true(acked.n > (size_t)cycles);
    id_list_fini(&acked);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    fw_log_configure(&(struct fw_log_options){
        .level = FW_ERROR, .lines_per_minute = 10, .sink = quiet_log_sink});
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill_nine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
