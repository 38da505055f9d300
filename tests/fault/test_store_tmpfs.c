/* A real full disk (RELIABILITY R8): the journal on a small tmpfs, a filler file that comes and
 * goes fifty times, and a file system that turns read-only (R9). Needs the right to mount; skipped
 * without it. */
#include "unit/store/store_support.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

static char base[] = "/tmp/fw-tmpfs-XXXXXX";

struct fate {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool known;
    enum fw_status status;
};

static void told(void *ctx, enum fw_status status, uint64_t seq)
{
    struct fate *fate = ctx;
    (void)seq;
    pthread_mutex_lock(&fate->lock);
    fate->known = true;
    fate->status = status;
    pthread_cond_signal(&fate->change);
    pthread_mutex_unlock(&fate->lock);
}

/* Appends and waits for the answer. */
static enum fw_status append_now(struct store_journal *journal, uint64_t id, size_t len)
{
    unsigned char bytes[32768];
    struct fate fate = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    const enum fw_status status =
        store_journal_append(journal, bytes, payload_make(bytes, id, len), told, &fate);
    if (status != FW_OK)
        return status;
    pthread_mutex_lock(&fate.lock);
    while (!fate.known)
        pthread_cond_wait(&fate.change, &fate.lock);
    pthread_mutex_unlock(&fate.lock);
    return fate.status;
}

static void fill(const char *path)
{
    static const char block[65536] = {1};
    const int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static void test_fill_and_free_fifty_times(void **state)
{
    (void)state;
    char log[64], filler[64];
    snprintf(log, sizeof log, "%s/log", base);
    snprintf(filler, sizeof filler, "%s/filler", base);
    const struct store_journal_options options = {.probe_ms = 10, .segment_bytes = 512 << 10};
    struct store_journal *journal = NULL;
    assert_int_equal(store_journal_open(log, &options, 0, NULL, NULL, NULL, &journal, NULL), FW_OK);
    struct id_list acked = {0}, found = {0};
    uint64_t id = 0;
    for (int cycle = 0; cycle < 50; cycle++) {
        fill(filler);
        enum fw_status status = append_now(journal, ++id, 20000);
        assert_int_equal(status, FW_ENOSPC);
        assert_int_equal(unlink(filler), 0);
        for (int i = 0; i < 5000 && status != FW_OK; i++) {
            status = append_now(journal, ++id, 20000);
            if (status != FW_OK)
                nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        assert_int_equal(status, FW_OK);
        id_list_add(&acked, id, 0);
    }
    struct store_journal_stats stats;
    store_journal_stats(journal, &stats);
    assert_int_equal(stats.sync_failures + stats.readback_missing, 0);
    store_journal_close(journal);
    assert_int_equal(store_journal_open(log, &options, 0, collect, &found, NULL, &journal, NULL),
                     FW_OK);
    store_journal_close(journal);
    assert_int_equal(found.broken, 0);
    for (size_t i = 0; i < acked.n; i++)
        assert_true(id_list_has(&found, acked.ids[i]));
    id_list_fini(&acked);
    id_list_fini(&found);
}

static void test_read_only(void **state)
{
    (void)state;
    char log[64];
    snprintf(log, sizeof log, "%s/log", base);
    assert_int_equal(mount("tmpfs", base, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=8m"), 0);
    struct store_journal *journal = NULL;
    struct fw_error err = {0};
    assert_int_equal(store_journal_open(log, NULL, 0, NULL, NULL, NULL, &journal, &err), FW_EIO);
    assert_non_null(strstr(err.text, "Read-only file system"));
}

int main(void)
{
    fw_log_configure(&(struct fw_log_options){
        .level = FW_ERROR, .lines_per_minute = 10, .sink = quiet_log_sink});
    if (mkdtemp(base) == NULL)
        return 1;
    if (mount("tmpfs", base, "tmpfs", 0, "size=8m") < 0) {
        printf("skipped: cannot mount a tmpfs\n");
        (void)rmdir(base);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill_and_free_fifty_times),
        cmocka_unit_test(test_read_only),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)umount(base);
    (void)rmdir(base);
    return failed;
}
