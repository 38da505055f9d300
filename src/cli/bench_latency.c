/* How soon a sample is in a forecast: from the moment it is acknowledged until GET
 * /predictions/current for its server has another ETag and the outlook behind it holds the sample;
 * while nothing else goes on, and while the whole fleet is being forecast. And what forecasting
 * does to feeds: posts of 50 records alone, and beside runs of the whole fleet one after the
 * other. */
#include "agent/feed.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/bench_client.h"
#include "cli/cli.h"
#include "cli/feeder.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "forecast/forecaster.h"
#include "forecast/shipped.h"
#include "outlook/outlook.h"
#include "simulate/fleet.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    STEP_S = 300,
    STEPS = 864,
    READY_S = 600,
    QUIET_MAX_S = 60, /* without anything to do before a measurement: credit for runs grows */
    PAUSE_MS = 200,
    ASK_PAUSE_US = 250, /* who asks without a pause takes one of two cores from the daemon */
    SEEN_S = 60,        /* a forecast that takes longer is a failure */
    SAMPLES_MAX = 36000,
    FEED_ROWS = 50,
    FEED_PAUSE_MS = 10,
    UNTOUCHED_LINES = 256,
    UNTOUCHED_STRIDE = 4096 + 64, /* each in a page of its own */
    BODY_MAX = 1 << 20,
    ANSWER_MAX = 1 << 18,
};

struct latency {
    const struct bench_options *options;
    struct bench_daemon daemon;
    struct simulate_fleet *source;
    struct sample_batch *now; /* a record of every server */
    struct schema schema;
    struct fw_rng rng;
    int feed, reader; /* connections */
    struct fw_buf body;
    char *answer;
    char *untouched;   /* (UNTOUCHED_LINES * UNTOUCHED_STRIDE) */
    int64_t newest_ms; /* of the samples sent */
};

static void sleep_ms(double ms)
{
    const struct timespec t = {(time_t)(ms / 1e3), (long)(fmod(ms, 1e3) * 1e6)};
    nanosleep(&t, NULL);
}

/* ---- samples ---- */

/* Records `first` and following, as the fleet is now, later than all before so that none is a
 * duplicate; as many as there are up to the fleet's end, at most n. */
static bool put_rows(struct latency *l, size_t first, size_t n)
{
    struct sample_batch *now = l->now;
    const int64_t now_ms = fw_clock_wall_ms(fw_clock_system());
    first %= now->row_count;
    n = first + n <= now->row_count ? n : now->row_count - first;
    l->newest_ms = now_ms > l->newest_ms ? now_ms : l->newest_ms + 1;
    for (size_t i = first; i < first + n; i++)
        now->rows[i].time_ms = l->newest_ms;
    fw_buf_reset(&l->body);
    agent_feed_begin(&l->body);
    agent_feed_rows(&l->body, now, &l->schema, first, n);
    agent_feed_end(&l->body);
    return !l->body.failed;
}

static const char *name_of(const struct latency *l, size_t record)
{
    return l->now->names[l->now->rows[record % l->now->row_count].name].text;
}

/* Posts them; seconds until they were acknowledged, negative on failure. */
static double post_rows(struct latency *l, size_t first, size_t n, struct fw_error *err)
{
    char head[160];
    struct fw_buf request;
    if (!put_rows(l, first, n)) {
        fw_fail(err, FW_ENOMEM, "no memory for a feed");
        return -1.0;
    }
    const int len = snprintf(head, sizeof head,
                             "POST /feed/data HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                             l->body.len);
    fw_buf_init(&request, 2 * BODY_MAX);
    fw_buf_put(&request, head, (size_t)len);
    fw_buf_put(&request, l->body.data, l->body.len);
    const double begin_s = bench_now_s();
    const int status = request.failed ? 0
                                      : bench_client_ask(l->feed, request.data, request.len,
                                                         l->answer, ANSWER_MAX);
    const double taken_s = bench_now_s() - begin_s;
    fw_buf_fini(&request);
    if (status == 200 && strstr(l->answer, "\"records_rejected\":0") != NULL)
        return taken_s;
    fw_fail(err, FW_EIO, "a feed was answered %d: %.150s", status, l->answer);
    return -1.0;
}

/* ---- what is visible ---- */

/* [W/]"pBOOT-OUTLOOK-..." as api/predictions.c writes it. */
static bool find_etag(const char *answer, char etag[96], uint64_t *outlook)
{
    const char *at = strstr(answer, "ETag: ");
    unsigned long long boot, id;
    if (at == NULL || sscanf(at + 6, "%95[^\r]", etag) != 1)
        return false;
    const char *quote = strchr(etag, '"');
    if (quote == NULL || sscanf(quote, "\"p%llx-%llx", &boot, &id) != 2)
        return false;
    *outlook = id;
    return true;
}

/* Whether the outlook of that number is current, and holds the server's sample. */
static bool holds(const struct latency *l, uint64_t id, const char *server, int64_t time_ms)
{
    const struct outlook *outlook = outlook_board_current(daemon_board(l->daemon.daemon));
    const struct forecast *forecast =
        outlook == NULL ? NULL : forecast_set_find(outlook->set, server);
    const bool found = forecast != NULL && outlook->id == id && forecast->last_seen_ms >= time_ms;
    outlook_release(outlook);
    return found;
}

/* Asks four times a millisecond until the sample is in; false after a minute. */
static bool await_sample(struct latency *l, const char *server, int64_t time_ms)
{
    const double deadline_s = bench_now_s() + SEEN_S;
    char request[512], etag[96] = "\"none\"";
    uint64_t outlook = 0;
    while (bench_now_s() < deadline_s) {
        const int len =
            snprintf(request, sizeof request,
                     "GET /predictions/current?servers=%s&metrics=cpu_user_pct HTTP/1.1\r\n"
                     "Host: 127.0.0.1\r\nIf-None-Match: %s\r\n\r\n",
                     server, etag);
        const int status = bench_client_ask(l->reader, request, (size_t)len, l->answer, ANSWER_MAX);
        if (status == 200 && find_etag(l->answer, etag, &outlook) &&
            holds(l, outlook, server, time_ms))
            return true;
        if (status != 200 && status != 304)
            return false;
        sleep_ms(1e-3 * ASK_PAUSE_US);
    }
    return false;
}

static uint64_t runs_made(const struct latency *l, double *longest_s)
{
    struct outlook_statistics statistics;
    outlook_board_statistics(daemon_board(l->daemon.daemon), &statistics);
    const struct outlook *outlook = outlook_board_current(daemon_board(l->daemon.daemon));
    if (outlook != NULL && longest_s != NULL)
        *longest_s = fmax(*longest_s, outlook->set->seconds);
    outlook_release(outlook);
    return statistics.runs;
}

static void disconnect(struct latency *l)
{
    if (l->feed >= 0)
        close(l->feed);
    if (l->reader >= 0)
        close(l->reader);
    l->feed = l->reader = -1;
}

/* Whether the outlook holds all that the windows do. */
static bool all_forecast(const struct latency *l)
{
    const struct fleet *fleet = daemon_fleet(l->daemon.daemon);
    const struct outlook *outlook = outlook_board_current(daemon_board(l->daemon.daemon));
    bool all = outlook != NULL && outlook->set->count == l->options->servers;
    for (size_t i = 0; all && i < outlook->set->count; i++) {
        const struct forecast *forecast = outlook->set->items[i];
        all = fleet_revision(fleet, forecast->slot) == forecast->revision;
    }
    outlook_release(outlook);
    return all;
}

/* Until there is nothing to forecast for a while: what came before must not be in the way. */
static enum fw_status await_quiet(struct latency *l, struct fw_error *err)
{
    const double deadline_s = bench_now_s() + READY_S;
    const double quiet_s = fmin(2.0 * (double)l->options->seconds, QUIET_MAX_S);
    double since_s = bench_now_s();
    while (bench_now_s() - since_s < quiet_s) {
        if (!all_forecast(l))
            since_s = bench_now_s();
        if (since_s > deadline_s)
            return fw_fail(err, FW_ETIMEOUT, "%u servers are not all forecast after %d s",
                           l->options->servers, READY_S);
        sleep_ms(20);
    }
    disconnect(l); /* the daemon has given up connections that were idle for so long */
    l->feed = bench_client_open("127.0.0.1", l->daemon.port);
    l->reader = bench_client_open("127.0.0.1", l->daemon.port);
    return l->feed >= 0 && l->reader >= 0 ? FW_OK
                                          : fw_fail(err, FW_EIO, "cannot connect to the daemon");
}

/* ---- measurements ---- */

struct series_of_times {
    size_t n;
    double ms[SAMPLES_MAX];
};

static void add(struct series_of_times *times, double seconds)
{
    if (times->n < SAMPLES_MAX)
        times->ms[times->n++] = 1e3 * seconds;
}

static void report_times(struct bench_report *report, const char *what,
                         struct series_of_times *times)
{
    char key[64];
    const double median = bench_median(times->ms, times->n); /* sorts */
    snprintf(key, sizeof key, "%sp50_ms", what);
    bench_report_number(report, key, median, 3);
    snprintf(key, sizeof key, "%sp99_ms", what);
    bench_report_number(report, key, times->n == 0 ? (double)NAN : times->ms[times->n * 99 / 100],
                        3);
    snprintf(key, sizeof key, "%smax_ms", what);
    bench_report_number(report, key, times->n == 0 ? (double)NAN : times->ms[times->n - 1], 3);
}

static struct series_of_times acknowledged, visible, woken_late, untouched;

/* What the machine does to anybody who rests as long as the daemon does: how late the pause ends,
 * and what it costs to read a line of each of 256 pages that nobody touched meanwhile. */
static void pause_between(struct latency *l)
{
    const volatile char *memory = l->untouched;
    const double pause_ms = PAUSE_MS * (0.5 + fw_rng_uniform(&l->rng));
    const double begin_s = bench_now_s();
    sleep_ms(pause_ms);
    const double woken_s = bench_now_s();
    for (size_t i = 0; i < UNTOUCHED_LINES; i++)
        (void)memory[i * UNTOUCHED_STRIDE];
    add(&woken_late, woken_s - begin_s - 1e-3 * pause_ms);
    add(&untouched, bench_now_s() - woken_s);
}

static enum fw_status one_sample(struct latency *l, size_t server, struct fw_error *err)
{
    const double posted_s = post_rows(l, server, 1, err);
    if (posted_s < 0.0)
        return FW_EIO;
    const double begin_s = bench_now_s();
    const char *name = name_of(l, server);
    if (!await_sample(l, name, l->newest_ms))
        return fw_fail(err, FW_ETIMEOUT, "a sample of %s is in no forecast after %d s", name,
                       SEEN_S);
    add(&acknowledged, posted_s);
    add(&visible, bench_now_s() - begin_s);
    return FW_OK;
}

static void report_samples(struct latency *l, const char *path, uint64_t runs, double longest_s)
{
    struct bench_report report;
    bench_report_begin(&report, l->options, "latency", path);
    bench_report_number(&report, "samples", (double)visible.n, 0);
    report_times(&report, "", &visible);
    report_times(&report, "acknowledged_", &acknowledged);
    if (untouched.n > 0) {
        report_times(&report, "machine_woken_late_", &woken_late);
        report_times(&report, "machine_256_untouched_lines_", &untouched);
    }
    bench_report_number(&report, "forecast_runs", (double)runs, 0);
    bench_report_number(&report, "longest_run_ms", 1e3 * longest_s, 3);
    bench_report_end(&report);
}

static enum fw_status measure_idle(struct latency *l, struct fw_error *err)
{
    const double until_s = bench_now_s() + (double)l->options->seconds;
    const uint64_t runs = runs_made(l, NULL);
    double longest_s = 0.0;
    enum fw_status status = FW_OK;
    acknowledged.n = visible.n = woken_late.n = untouched.n = 0;
    while (status == FW_OK && (visible.n < 3 || bench_now_s() < until_s)) {
        status = one_sample(l, visible.n * 7, err);
        (void)runs_made(l, &longest_s);
        pause_between(l);
    }
    if (status == FW_OK)
        report_samples(l, "idle", runs_made(l, NULL) - runs, longest_s);
    return status;
}

/* The whole fleet at once, then single samples while it is being forecast. */
static enum fw_status measure_during_run(struct latency *l, struct fw_error *err)
{
    const uint64_t runs = runs_made(l, NULL);
    double longest_s = 0.0;
    enum fw_status status = FW_OK;
    acknowledged.n = visible.n = woken_late.n = untouched.n = 0;
    for (unsigned round = 0; round < l->options->runs && status == FW_OK; round++) {
        for (size_t i = 0; i < l->options->servers && status == FW_OK; i += FEED_ROWS)
            status = post_rows(l, i, FEED_ROWS, err) < 0.0 ? FW_EIO : FW_OK;
        for (size_t i = 0; i < 3 && status == FW_OK; i++) {
            status = one_sample(l, 7 * (visible.n + 1), err);
            (void)runs_made(l, &longest_s);
        }
        if (status == FW_OK)
            status = await_quiet(l, err);
    }
    if (status == FW_OK)
        report_samples(l, "while the fleet is forecast", runs_made(l, NULL) - runs, longest_s);
    return status;
}

/* ---- feeds beside runs ---- */

struct runs {
    struct latency *l;
    struct forecaster *forecaster;
    atomic_bool stop;
    atomic_uint made;
    double seconds;
};

/* Nothing is shared with the run before, so every run is one of the whole fleet. */
static void *run_always(void *ctx)
{
    struct runs *r = ctx;
    const double begin_s = bench_now_s();
    while (!atomic_load(&r->stop)) {
        const struct forecast_set *set = NULL;
        if (forecaster_run(r->forecaster, daemon_fleet(r->l->daemon.daemon), NULL, &set, NULL) ==
            FW_OK)
            atomic_fetch_add(&r->made, 1);
        forecast_set_release(set);
    }
    r->seconds = bench_now_s() - begin_s;
    return NULL;
}

static enum fw_status feed_for(struct latency *l, struct series_of_times *times,
                               struct fw_error *err)
{
    const double until_s = bench_now_s() + (double)l->options->seconds;
    size_t first = 0;
    times->n = 0;
    while (times->n < 3 || bench_now_s() < until_s) {
        const double posted_s = post_rows(l, first, FEED_ROWS, err);
        if (posted_s < 0.0)
            return FW_EIO;
        add(times, posted_s);
        first += FEED_ROWS;
        sleep_ms(FEED_PAUSE_MS);
    }
    return FW_OK;
}

static void report_feeds(const struct latency *l, const char *path, struct series_of_times *times,
                         const struct runs *runs, double idle_p99_ms)
{
    struct bench_report report;
    bench_report_begin(&report, l->options, "latency", path);
    bench_report_number(&report, "batch", FEED_ROWS, 0);
    bench_report_number(&report, "posts", (double)times->n, 0);
    report_times(&report, "", times);
    if (runs != NULL) {
        const double made = (double)atomic_load(&runs->made);
        bench_report_number(&report, "forecast_runs", made, 0);
        bench_report_number(&report, "run_s", made > 0.0 ? runs->seconds / made : (double)NAN, 3);
        bench_report_number(&report, "p99_ratio", times->ms[times->n * 99 / 100] / idle_p99_ms, 2);
    }
    bench_report_end(&report);
}

static enum fw_status make_runs(struct latency *l, const char *name, struct runs *runs,
                                struct fw_error *err)
{
    const struct forecaster_options how = {.schema = &l->schema,
                                           .clock = fw_clock_system(),
                                           .step_s = STEP_S,
                                           .threads = l->options->threads,
                                           .reuse_bytes_max = FORECASTER_REUSE_BYTES};
    struct forecast_model *model = NULL;
    const struct forecast_set *first = NULL;
    *runs = (struct runs){.l = l};
    enum fw_status status = forecaster_new(&how, &runs->forecaster, err);
    if (status == FW_OK && strcmp(name, "none") != 0)
        status = forecast_model_open_named(name, &l->schema, STEP_S, &model, err);
    if (status != FW_OK)
        return status;
    forecaster_set_model(runs->forecaster, model);
    /* The first run learns from all that the windows hold. */
    status = forecaster_run(runs->forecaster, daemon_fleet(l->daemon.daemon), NULL, &first, err);
    forecast_set_release(first);
    return status;
}

static enum fw_status measure_feeds(struct latency *l, const char *model, struct fw_error *err)
{
    static struct series_of_times times;
    struct runs runs;
    pthread_t thread;
    enum fw_status status = make_runs(l, model, &runs, err);
    if (status == FW_OK)
        status = await_quiet(l, err);
    if (status == FW_OK)
        status = feed_for(l, &times, err);
    if (status == FW_OK) {
        report_feeds(l, "feeds alone", &times, NULL, 0.0);
        const double idle_p99_ms = times.ms[times.n * 99 / 100];
        if (pthread_create(&thread, NULL, run_always, &runs) != 0) {
            forecaster_free(runs.forecaster);
            return fw_fail(err, FW_ELIMIT, "no thread for the runs");
        }
        status = feed_for(l, &times, err);
        atomic_store(&runs.stop, true);
        pthread_join(thread, NULL);
        if (status == FW_OK)
            report_feeds(l, "feeds beside runs", &times, &runs, idle_p99_ms);
    }
    forecaster_free(runs.forecaster);
    return status;
}

/* ---- the daemon ---- */

static enum fw_status fill(struct latency *l, struct fw_error *err)
{
    struct simulate_options made;
    struct cli_feeder *feeder = NULL;
    char url[64];
    simulate_options_default(&made);
    made.servers = l->options->servers;
    made.step_s = STEP_S;
    const int64_t now_ms = fw_clock_wall_ms(fw_clock_system());
    const int64_t until_ms = now_ms - now_ms % (STEP_S * 1000);
    made.start_ms = until_ms - (int64_t)(STEPS - 1) * STEP_S * 1000;
    enum fw_status status = simulate_fleet_new(&made, &l->source, err);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", l->daemon.port);
    const struct cli_feeder_options feeding = {.fleet = l->source, .url = url, .speed = 1};
    if (status == FW_OK)
        status = cli_feeder_new(&feeding, &feeder, err);
    if (status == FW_OK)
        status = cli_feeder_history(feeder, until_ms, err);
    cli_feeder_free(feeder);
    l->newest_ms = until_ms;
    l->now = batch_new();
    if (status == FW_OK && (l->now == NULL || simulate_fleet_step(l->source, l->now) != FW_OK ||
                            l->now->row_count == 0))
        status = fw_fail(err, FW_ENOMEM, "out of memory");
    return status;
}

static enum fw_status open_daemon(struct latency *l, const char *model, const char *dir,
                                  struct fw_error *err)
{
    enum fw_status status = bench_daemon_start(dir, model, &l->daemon, err);
    if (status == FW_OK)
        status = fill(l, err);
    l->answer = fw_malloc(ANSWER_MAX);
    l->untouched = fw_malloc(UNTOUCHED_LINES * UNTOUCHED_STRIDE);
    if (l->untouched != NULL)
        memset(l->untouched, 1, UNTOUCHED_LINES * UNTOUCHED_STRIDE); /* pages of its own */
    fw_buf_init(&l->body, BODY_MAX);
    if (status == FW_OK && (l->answer == NULL || l->untouched == NULL))
        status = fw_fail(err, FW_ENOMEM, "out of memory");
    return status == FW_OK ? await_quiet(l, err) : status;
}

static void close_daemon(struct latency *l)
{
    disconnect(l);
    bench_daemon_stop(&l->daemon);
    simulate_fleet_free(l->source);
    batch_free(l->now);
    fw_free(l->answer);
    fw_free(l->untouched);
    fw_buf_fini(&l->body);
}

int bench_latency(const struct bench_options *options, struct fw_error *err)
{
    const char *model = options->model == NULL ? FORECAST_SHIPPED : options->model;
    struct latency l = {.options = options, .feed = -1, .reader = -1};
    char dir[256] = "";
    schema_default(&l.schema);
    fw_rng_init(&l.rng, 1);
    enum fw_status status = bench_directory_make(options, dir, err);
    if (status == FW_OK) {
        status = open_daemon(&l, model, dir, err);
        if (status == FW_OK)
            status = measure_idle(&l, err);
        if (status == FW_OK)
            status = measure_during_run(&l, err);
        if (status == FW_OK)
            status = measure_feeds(&l, model, err);
        close_daemon(&l);
        bench_directory_remove(options, dir);
    }
    return status == FW_OK ? CLI_OK : CLI_FAILURE;
}
