/* GETs against a daemon that holds a fleet with half a window of history. */
#include "base/alloc.h"
#include "base/clock.h"
#include "cli/bench.h"
#include "cli/bench_client.h"
#include "cli/cli.h"
#include "cli/feeder.h"
#include "daemon/daemon.h"
#include "outlook/outlook.h"
#include "simulate/fleet.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { STEP_S = 300, STEPS = 320, READY_S = 120, ANSWER_MAX = 65536, CONNECTIONS = 32 };

struct shot {
    const char *path; /* what the report calls it */
    char request[1024];
    size_t len;
    int wanted; /* status */
};

static bool next_shot(void *ctx, struct bench_request *request)
{
    const struct shot *shot = ctx;
    *request = (struct bench_request){shot->request, shot->len};
    return true;
}

static bool wanted(void *ctx, int status, const char *body)
{
    (void)body;
    return status == ((const struct shot *)ctx)->wanted;
}

static void make_shot(struct shot *shot, const char *label, const char *target, const char *headers,
                      int status)
{
    shot->path = label;
    shot->wanted = status;
    shot->len = (size_t)snprintf(shot->request, sizeof shot->request,
                                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", target, headers);
}

static enum fw_status fire(const struct bench_options *options, const char *host, uint16_t port,
                           struct shot *shot, struct fw_error *err)
{
    const struct bench_load load = {.host = host,
                                    .port = port,
                                    .threads = options->threads == 0 ? 1 : options->threads,
                                    .connections = CONNECTIONS,
                                    .seconds = options->seconds,
                                    .next = next_shot,
                                    .good = wanted,
                                    .ctx = shot};
    struct bench_result result;
    const enum fw_status status = bench_client_run(&load, &result, err);
    if (status != FW_OK)
        return status;
    if (result.failed > 0)
        return fw_fail(err, FW_EIO, "%s: %llu of %llu failed, the first one: %.150s", shot->path,
                       (unsigned long long)result.failed, (unsigned long long)result.requests,
                       result.failure);
    struct bench_report report;
    bench_report_begin(&report, options, "http", shot->path);
    bench_report_times(&report, &result.seconds, 1);
    bench_report_number(&report, "connections", CONNECTIONS, 0);
    bench_report_number(&report, "requests_per_s", (double)result.requests / result.seconds, 1);
    bench_report_number(&report, "p50_ms", result.p50_ms, 3);
    bench_report_number(&report, "p99_ms", result.p99_ms, 3);
    bench_report_number(&report, "max_ms", result.max_ms, 3);
    bench_report_number(&report, "bytes_per_answer",
                        (double)result.bytes / (double)(result.requests + 1), 0);
    bench_report_number(&report, "megabytes_per_s", (double)result.bytes / 1e6 / result.seconds, 1);
    bench_report_end(&report);
    return FW_OK;
}

/* The value of the ETag header, quotes and all. */
static bool find_etag(const char *answer, char *etag, size_t cap)
{
    const char *at = strstr(answer, "ETag: ");
    const char *end = at == NULL ? NULL : strstr(at, "\r\n");
    if (end == NULL || (size_t)(end - at - 6) >= cap)
        return false;
    memcpy(etag, at + 6, (size_t)(end - at - 6));
    etag[end - at - 6] = '\0';
    return true;
}

static enum fw_status fire_all(const struct bench_options *options, const char *host, uint16_t port,
                               const char *server, struct fw_error *err)
{
    static const char current[] = "/predictions/current";
    char etag[160], headers[256], target[256];
    struct shot shots[6];
    char *answer = fw_malloc(ANSWER_MAX);
    if (answer == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    const int code = bench_client_get(host, port,
                                      "HEAD /predictions/current HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                      "Connection: close\r\n\r\n",
                                      answer, ANSWER_MAX);
    const bool tagged = code == 200 && find_etag(answer, etag, sizeof etag);
    fw_free(answer);
    if (!tagged)
        return fw_fail(err, FW_EIO, "HEAD %s gave %d and no ETag", current, code);
    snprintf(headers, sizeof headers, "If-None-Match: %s\r\n", etag);
    make_shot(&shots[0], "/predictions/current 304", current, headers, 304);
    make_shot(&shots[1], "/predictions/current gzip", current, "Accept-Encoding: gzip\r\n", 200);
    make_shot(&shots[2], "/predictions/current plain", current, "", 200);
    snprintf(target, sizeof target, "/predictions/current?servers=%s&metrics=cpu_user_pct", server);
    make_shot(&shots[3], "/predictions/current one server and metric", target, "", 200);
    make_shot(&shots[4], "/status", "/status", "", 200);
    make_shot(&shots[5], "/livez", "/livez", "", 200);
    enum fw_status status = FW_OK;
    for (size_t i = 0; i < COUNT(shots) && status == FW_OK; i++)
        status = fire(options, host, port, &shots[i], err);
    return status;
}

/* History through the front door, as any source would send it. */
static enum fw_status fill(const struct bench_options *options, struct bench_daemon *daemon,
                           struct simulate_fleet *fleet, int64_t until_ms, struct fw_error *err)
{
    char url[64];
    struct cli_feeder *feeder = NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%u", daemon->port);
    const struct cli_feeder_options feeding = {.fleet = fleet, .url = url, .speed = 1};
    enum fw_status status = cli_feeder_new(&feeding, &feeder, err);
    if (status == FW_OK)
        status = cli_feeder_history(feeder, until_ms, err);
    cli_feeder_free(feeder);
    const double deadline_s = bench_now_s() + READY_S;
    for (size_t ready = 0; status == FW_OK && ready < options->servers;) {
        const struct outlook *outlook = outlook_board_current(daemon_board(daemon->daemon));
        ready = outlook == NULL ? 0 : outlook->set->count;
        outlook_release(outlook);
        if (bench_now_s() > deadline_s)
            status = fw_fail(err, FW_ETIMEOUT, "no forecasts for %u servers within %d s",
                             options->servers, READY_S);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    /* One more run may be under way for what came last; let it pass, so that answers stay the same
     * while we measure. */
    if (status == FW_OK)
        nanosleep(&(struct timespec){.tv_sec = 12}, NULL);
    return status;
}

int bench_http(const struct bench_options *options, struct fw_error *err)
{
    char dir[256] = "";
    struct bench_daemon daemon = {0};
    struct simulate_fleet *fleet = NULL;
    struct simulate_options made;
    simulate_options_default(&made);
    made.servers = options->servers;
    const int64_t now_ms = fw_clock_wall_ms(fw_clock_system());
    const int64_t until_ms = now_ms - now_ms % (STEP_S * 1000);
    made.start_ms = until_ms - (int64_t)STEPS * STEP_S * 1000;
    enum fw_status status = simulate_fleet_new(&made, &fleet, err);
    if (status == FW_OK && options->host == NULL) {
        status = bench_directory_make(options, dir, err);
        if (status == FW_OK)
            status = bench_daemon_start(dir, options->model, &daemon, err);
        if (status == FW_OK)
            status = fill(options, &daemon, fleet, until_ms, err);
    }
    if (status == FW_OK)
        status = fire_all(options, options->host == NULL ? "127.0.0.1" : options->host,
                          options->host == NULL ? daemon.port : options->port,
                          simulate_fleet_name(fleet, 0), err);
    bench_daemon_stop(&daemon);
    simulate_fleet_free(fleet);
    if (dir[0] != '\0')
        bench_directory_remove(options, dir);
    return status == FW_OK ? CLI_OK : CLI_FAILURE;
}
