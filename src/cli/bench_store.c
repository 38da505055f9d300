/* The journal alone (appends a second, by record size and by how many wait at once), and what a
 * restart of the daemon takes. */
#include "base/alloc.h"
#include "base/clock.h"
#include "cli/bench.h"
#include "cli/bench_client.h"
#include "cli/cli.h"
#include "cli/feeder.h"
#include "daemon/daemon.h"
#include "fleet/fleet.h"
#include "simulate/fleet.h"
#include "store/journal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { STEP_S = 300, RUNS_MAX = 100, RESTART_STEPS_MAX = 860, RECORD_MAX = 131072 };

static const struct kind {
    const char *path;
    size_t bytes;
    unsigned in_flight;
} kinds[] = {
    {"append 100 B, one at a time", 100,   1  },
    {"append 100 B, 256 at once",   100,   256},
    {"append 7 kB, 64 at once",     7000,  64 }, /* a body of 100 records */
    {"append 70 kB, 16 at once",    70000, 16 }, /* a body of 1000 */
};

struct window {
    pthread_mutex_t mutex;
    pthread_cond_t room;
    unsigned in_flight;
    uint64_t done, refused;
};

static void on_done(void *ctx, enum fw_status status, uint64_t seq)
{
    (void)seq;
    struct window *window = ctx;
    pthread_mutex_lock(&window->mutex);
    window->in_flight--;
    window->done += status == FW_OK;
    window->refused += status != FW_OK;
    pthread_cond_signal(&window->room);
    pthread_mutex_unlock(&window->mutex);
}

static enum fw_status append_for(struct store_journal *journal, const struct kind *kind,
                                 double seconds, struct window *window, struct fw_error *err)
{
    static unsigned char record[RECORD_MAX];
    enum fw_status status = FW_OK;
    for (size_t i = 0; i < kind->bytes; i++)
        record[i] = (unsigned char)(i * 2654435761u >> 24);
    const double end_s = bench_now_s() + seconds;
    while (status == FW_OK && bench_now_s() < end_s) {
        pthread_mutex_lock(&window->mutex);
        while (window->in_flight >= kind->in_flight)
            pthread_cond_wait(&window->room, &window->mutex);
        window->in_flight++;
        pthread_mutex_unlock(&window->mutex);
        status = store_journal_append(journal, record, kind->bytes, on_done, window);
    }
    if (status != FW_OK)
        return fw_fail(err, status, "append: %s", fw_status_name(status));
    pthread_mutex_lock(&window->mutex);
    while (window->in_flight > 0)
        pthread_cond_wait(&window->room, &window->mutex);
    pthread_mutex_unlock(&window->mutex);
    return window->refused == 0 ? FW_OK
                                : fw_fail(err, FW_EIO, "%llu appends were refused",
                                          (unsigned long long)window->refused);
}

static enum fw_status bench_appends(const struct bench_options *options, const struct kind *kind,
                                    const char *dir, struct fw_error *err)
{
    char log[300];
    struct store_journal *journal;
    struct window window = {.mutex = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER};
    const struct store_journal_options settings = {0};
    snprintf(log, sizeof log, "%s/%zu-%u", dir, kind->bytes, kind->in_flight);
    enum fw_status status = store_journal_open(log, &settings, 0, NULL, NULL, NULL, &journal, err);
    if (status != FW_OK)
        return status;
    double began_s = bench_now_s();
    status = append_for(journal, kind, options->seconds, &window, err);
    double seconds = bench_now_s() - began_s;
    struct store_journal_stats stats;
    store_journal_stats(journal, &stats);
    store_journal_close(journal);
    if (status != FW_OK)
        return status;
    struct bench_report report;
    bench_report_begin(&report, options, "store", kind->path);
    bench_report_times(&report, &seconds, 1);
    bench_report_number(&report, "appends_per_s", (double)window.done / seconds, 0);
    bench_report_number(&report, "megabytes_per_s",
                        (double)window.done * (double)kind->bytes / 1e6 / seconds, 1);
    bench_report_number(&report, "syncs_per_s", (double)stats.sync_ns.count / seconds, 0);
    bench_report_number(&report, "sync_p50_ms",
                        (double)fw_histogram_quantile(&stats.sync_ns, 0.5) / 1e6, 3);
    bench_report_number(&report, "sync_p99_ms",
                        (double)fw_histogram_quantile(&stats.sync_ns, 0.99) / 1e6, 3);
    bench_report_end(&report);
    return FW_OK;
}

static enum fw_status fill(uint16_t port, struct simulate_fleet *fleet, int64_t until_ms,
                           struct fw_error *err)
{
    char url[64];
    struct cli_feeder *feeder = NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    const struct cli_feeder_options feeding = {.fleet = fleet, .url = url, .speed = 1};
    enum fw_status status = cli_feeder_new(&feeding, &feeder, err);
    if (status == FW_OK)
        status = cli_feeder_history(feeder, until_ms, err);
    cli_feeder_free(feeder);
    return status;
}

/* From daemon_start() to windows that hold everything and a first outlook. */
static enum fw_status time_starts(const struct bench_options *options, const char *dir,
                                  uint64_t records, struct fw_error *err)
{
    double seconds[RUNS_MAX];
    enum fw_status status = FW_OK;
    double bytes = 0;
    for (unsigned i = 0; i < options->runs && status == FW_OK; i++) {
        struct bench_daemon daemon;
        struct fleet_counts counts;
        const double began_s = bench_now_s();
        status = bench_daemon_start(dir, options->model, &daemon, err);
        seconds[i] = bench_now_s() - began_s;
        if (status != FW_OK)
            break;
        fleet_counts(daemon_fleet(daemon.daemon), &counts);
        bytes = (double)counts.bytes;
        if (counts.records != records)
            status = fw_fail(err, FW_ECORRUPT, "%llu of %llu steps are there after the restart",
                             (unsigned long long)counts.records, (unsigned long long)records);
        bench_daemon_stop(&daemon);
    }
    if (status != FW_OK)
        return status;
    struct bench_report report;
    bench_report_begin(&report, options, "store", "restart");
    bench_report_times(&report, seconds, options->runs);
    bench_report_number(&report, "steps_held", (double)records, 0);
    bench_report_number(&report, "bytes_per_server", bytes / options->servers, 0);
    bench_report_number(&report, "rss_bytes", bench_rss_bytes(), 0);
    bench_report_end(&report);
    return FW_OK;
}

static enum fw_status bench_restart(const struct bench_options *options, const char *dir,
                                    struct fw_error *err)
{
    struct bench_daemon daemon = {0};
    struct simulate_fleet *fleet = NULL;
    struct fleet_counts counts = {0};
    struct simulate_options made;
    simulate_options_default(&made);
    made.servers = options->servers;
    const int64_t now_ms = fw_clock_wall_ms(fw_clock_system());
    const int64_t until_ms = now_ms - now_ms % (STEP_S * 1000);
    made.start_ms = until_ms - (int64_t)RESTART_STEPS_MAX * STEP_S * 1000;
    enum fw_status status = simulate_fleet_new(&made, &fleet, err);
    if (status == FW_OK)
        status = bench_daemon_start(dir, NULL, &daemon, err);
    if (status == FW_OK)
        status = fill(daemon.port, fleet, until_ms, err);
    if (status == FW_OK)
        fleet_counts(daemon_fleet(daemon.daemon), &counts);
    bench_daemon_stop(&daemon);
    simulate_fleet_free(fleet);
    return status == FW_OK ? time_starts(options, dir, counts.records, err) : status;
}

int bench_store(const struct bench_options *options, struct fw_error *err)
{
    char dir[256], data[300];
    enum fw_status status = bench_directory_make(options, dir, err);
    if (status != FW_OK)
        return CLI_FAILURE;
    for (size_t i = 0; i < COUNT(kinds) && status == FW_OK; i++)
        status = bench_appends(options, &kinds[i], dir, err);
    snprintf(data, sizeof data, "%s/data", dir);
    if (status == FW_OK)
        status = bench_restart(options, data, err);
    bench_directory_remove(options, dir);
    return status == FW_OK ? CLI_OK : CLI_FAILURE;
}
