/* Durable appends beside their peers in the same run: a plain write + fdatasync loop, and SQLite
 * (WAL, FULL). Every commit waits for the disk; ratios are what to trust, the disk is shared. Then
 * reading back: journal and snapshot. bench_store_journal [DIR]     DIR: where to write, default
 * "." */
#include "base/clock.h"
#include "base/rng.h"
#include "store/journal.h"
#include "store/snapshot.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 3 };

static char base[512];
static unsigned char *payload;

static double now_s(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) * 1e-9;
}

static void clear(void)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s/bench-store'", base);
    if (system(command) != 0)
        exit(1);
}

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench: %s failed\n", what);
        exit(1);
    }
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t change;
    size_t open;
};

static void done(void *ctx, enum fw_status status, uint64_t seq)
{
    struct waiter *waiter = ctx;
    (void)seq;
    require(status == FW_OK, "append");
    pthread_mutex_lock(&waiter->lock);
    if (--waiter->open == 0)
        pthread_cond_signal(&waiter->change);
    pthread_mutex_unlock(&waiter->lock);
}

struct job {
    struct store_journal *journal;
    size_t bytes, per_commit, commits;
};

/* Appends `per_commit` records, waits for all of them, and so on. */
static void *append_and_wait(void *ctx)
{
    const struct job *job = ctx;
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    for (size_t c = 0; c < job->commits; c++) {
        waiter.open = job->per_commit;
        for (size_t i = 0; i < job->per_commit; i++)
            require(store_journal_append(job->journal, payload, job->bytes, done, &waiter) == FW_OK,
                    "append");
        pthread_mutex_lock(&waiter.lock);
        while (waiter.open > 0)
            pthread_cond_wait(&waiter.change, &waiter.lock);
        pthread_mutex_unlock(&waiter.lock);
    }
    return NULL;
}

static double journal_run(size_t bytes, size_t per_commit, size_t commits, unsigned writers)
{
    char dir[600];
    clear();
    snprintf(dir, sizeof dir, "%s/bench-store", base);
    struct store_journal *journal = NULL;
    require(store_journal_open(dir, NULL, 0, NULL, NULL, NULL, &journal, NULL) == FW_OK, "open");
    const struct job job = {
        .journal = journal, .bytes = bytes, .per_commit = per_commit, .commits = commits / writers};
    pthread_t threads[16];
    const double begun = now_s();
    for (unsigned i = 0; i < writers; i++)
        require(pthread_create(&threads[i], NULL, append_and_wait, (void *)(uintptr_t)&job) == 0,
                "thread");
    for (unsigned i = 0; i < writers; i++)
        pthread_join(threads[i], NULL);
    const double seconds = now_s() - begun;
    store_journal_close(journal);
    return (double)(job.commits * writers * per_commit) / seconds;
}

static double plain_run(size_t bytes, size_t per_commit, size_t commits, unsigned writers)
{
    char path[600];
    (void)writers;
    clear();
    snprintf(path, sizeof path, "%s/bench-store", base);
    const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    unsigned char *group = malloc(bytes * per_commit);
    require(fd >= 0 && group != NULL, "plain file");
    for (size_t i = 0; i < per_commit; i++)
        memcpy(group + i * bytes, payload, bytes);
    const double begun = now_s();
    for (size_t c = 0; c < commits; c++) {
        require(write(fd, group, bytes * per_commit) == (ssize_t)(bytes * per_commit), "write");
        require(fdatasync(fd) == 0, "fdatasync");
    }
    const double seconds = now_s() - begun;
    close(fd);
    free(group);
    return (double)(commits * per_commit) / seconds;
}

static double sqlite_run(size_t bytes, size_t per_commit, size_t commits, unsigned writers)
{
    char path[600], command[64];
    (void)writers;
    clear();
    snprintf(path, sizeof path, "mkdir -p '%s/bench-store'", base);
    require(system(path) == 0, "mkdir");
    snprintf(path, sizeof path, "%s/bench-store/db", base);
    sqlite3 *db;
    sqlite3_stmt *insert;
    snprintf(command, sizeof command, "PRAGMA journal_mode=WAL");
    require(
        sqlite3_open(path, &db) == SQLITE_OK &&
            sqlite3_exec(db, command, NULL, NULL, NULL) == SQLITE_OK &&
            sqlite3_exec(db,
                         "PRAGMA synchronous=FULL; CREATE TABLE r(id INTEGER PRIMARY KEY, d BLOB)",
                         NULL, NULL, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(db, "INSERT INTO r(d) VALUES(?1)", -1, &insert, NULL) == SQLITE_OK,
        "sqlite");
    const double begun = now_s();
    for (size_t c = 0; c < commits; c++) {
        sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
        for (size_t i = 0; i < per_commit; i++) {
            sqlite3_bind_blob64(insert, 1, payload, bytes, SQLITE_STATIC);
            require(sqlite3_step(insert) == SQLITE_DONE, "insert");
            sqlite3_reset(insert);
        }
        require(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
    }
    const double seconds = now_s() - begun;
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return (double)(commits * per_commit) / seconds;
}

typedef double (*run_fn)(size_t bytes, size_t per_commit, size_t commits, unsigned writers);

static double best(run_fn run, size_t bytes, size_t per_commit, size_t commits, unsigned writers)
{
    double rate = 0.0;
    for (int i = 0; i < RUNS; i++) {
        const double one = run(bytes, per_commit, commits, writers);
        rate = one > rate ? one : rate;
    }
    return rate;
}

static void row(size_t bytes, size_t per_commit, size_t commits, unsigned writers)
{
    const double own = best(journal_run, bytes, per_commit, commits, writers);
    const double plain = best(plain_run, bytes, per_commit, commits, 1);
    const double sqlite = best(sqlite_run, bytes, per_commit, commits, 1);
    printf("%6zu B x %3zu a commit, %u writers: journal %8.0f/s %6.1f MB/s | write+fdatasync "
           "%8.0f/s (x%.2f) | "
           "SQLite %8.0f/s (x%.2f)\n",
           bytes, per_commit, writers, own, own * (double)bytes * 1e-6, plain, own / plain, sqlite,
           own / sqlite);
    fflush(stdout);
}

static enum fw_status count(void *ctx, uint64_t seq, const void *data, size_t len)
{
    (void)seq;
    (void)data;
    *(uint64_t *)ctx += len;
    return FW_OK;
}

static void replay_rate(void)
{
    char dir[600];
    (void)journal_run(56000, 100, 90, 1); /* about 500 MB */
    snprintf(dir, sizeof dir, "%s/bench-store", base);
    double fastest = 1e9;
    uint64_t bytes = 0;
    for (int i = 0; i < RUNS; i++) {
        struct store_journal *journal = NULL;
        struct store_journal_report report;
        bytes = 0;
        require(store_journal_open(dir, NULL, 0, count, &bytes, &report, &journal, NULL) == FW_OK,
                "replay");
        store_journal_close(journal);
        if ((double)report.duration_ns * 1e-9 < fastest)
            fastest = (double)report.duration_ns * 1e-9;
    }
    printf("replay, warm: %.0f MB in %.3f s, %.0f MB/s\n", (double)bytes * 1e-6, fastest,
           (double)bytes * 1e-6 / fastest);
}

static enum fw_status visit(void *ctx, const struct store_snapshot_block *block)
{
    (void)ctx;
    (void)block;
    return FW_OK;
}

static void snapshot_rate(void)
{
    char dir[600];
    clear();
    snprintf(dir, sizeof dir, "%s/bench-store", base);
    struct store_snapshot_writer *writer = NULL;
    const double begun = now_s();
    require(store_snapshot_begin(dir, NULL, NULL, 1, NULL, 0, &writer, NULL) == FW_OK, "snapshot");
    for (int i = 0; i < 10000; i++)
        require(store_snapshot_put(writer, 1, payload, 50000, NULL) == FW_OK, "put");
    require(store_snapshot_commit(writer, NULL, NULL) == FW_OK, "commit");
    printf("snapshot, written and synced: 500 MB in %.2f s\n", now_s() - begun);
    for (unsigned threads = 1; threads <= 2; threads++) {
        double fastest = 1e9;
        for (int i = 0; i < RUNS; i++) {
            const struct store_snapshot_load_options options = {.threads = threads};
            struct store_snapshot_report report;
            require(store_snapshot_load(dir, NULL, &options, visit, NULL, &report, NULL) == FW_OK,
                    "load");
            if ((double)report.duration_ns * 1e-9 < fastest)
                fastest = (double)report.duration_ns * 1e-9;
        }
        printf("snapshot load, warm, %u threads: 500 MB in %.3f s, %.0f MB/s\n", threads, fastest,
               500.0 / fastest);
    }
}

int main(int argc, char **argv)
{
    snprintf(base, sizeof base, "%s", argc > 1 ? argv[1] : ".");
    payload = malloc(64000);
    require(payload != NULL, "memory");
    struct fw_rng rng;
    fw_rng_init(&rng, 1);
    for (size_t i = 0; i < 64000; i += 8) {
        const uint64_t word = fw_rng_next(&rng);
        memcpy(payload + i, &word, 8);
    }
    printf("cores: %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    row(56000, 1, 1000, 1);
    row(56000, 1, 2000, 4);
    row(56000, 100, 40, 1);
    row(1000, 1, 1000, 1);
    row(1000, 1, 2000, 4);
    row(1000, 100, 200, 1);
    replay_rate();
    snapshot_rate();
    clear();
    return 0;
}
