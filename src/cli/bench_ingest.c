/* POST /feed/data with bodies made beforehand: each record has its own server and time, so nothing
 * is a duplicate. */
#include "agent/feed.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "cli/bench.h"
#include "cli/bench_client.h"
#include "cli/cli.h"
#include "simulate/fleet.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    STEP_S = 300,
    RECORDS_LARGE = 400000, /* of a measurement with batches; about 450 bytes of body each */
    RECORDS_SINGLE = 20000,
    STEPS_LARGE =
        320, /* at most: small fleets make fewer records, so that all lie within the window */
    STEPS_SINGLE = 80,
    BODY_MAX = 4 << 20
};

static const struct size {
    unsigned batch;
    unsigned connections;
    const char *path;
} sizes[] = {
    {1,    64, "batch 1"   },
    {100,  16, "batch 100" },
    {1000, 8,  "batch 1000"},
};

struct bodies {
    char **texts; /* head and body */
    size_t *lens;
    size_t count;
    atomic_size_t next;
};

static void bodies_free(struct bodies *bodies)
{
    for (size_t i = 0; bodies->texts != NULL && i < bodies->count; i++)
        fw_free(bodies->texts[i]);
    fw_free(bodies->texts);
    fw_free(bodies->lens);
}

static bool put_body(struct bodies *bodies, const struct sample_batch *batch,
                     const struct schema *schema, size_t first, size_t count, struct fw_buf *body)
{
    char head[256];
    fw_buf_reset(body);
    agent_feed_begin(body);
    agent_feed_rows(body, batch, schema, first, count);
    agent_feed_end(body);
    const int head_len = snprintf(head, sizeof head,
                                  "POST /feed/data HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                  "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                                  body->len);
    char *text = body->failed ? NULL : fw_malloc((size_t)head_len + body->len);
    if (text == NULL)
        return false;
    memcpy(text, head, (size_t)head_len);
    memcpy(text + head_len, body->data, body->len);
    bodies->texts[bodies->count] = text;
    bodies->lens[bodies->count++] = (size_t)head_len + body->len;
    return true;
}

/* `records` of the fleet's next steps in bodies of `batch`. */
static enum fw_status make_bodies(struct simulate_fleet *fleet, size_t records, size_t batch_size,
                                  struct bodies *bodies, struct fw_error *err)
{
    struct schema schema;
    struct fw_buf body;
    struct sample_batch *batch = batch_new();
    bool good = batch != NULL;
    schema_default(&schema);
    fw_buf_init(&body, BODY_MAX);
    memset(bodies, 0, sizeof *bodies);
    bodies->texts = fw_calloc(records / batch_size + 1, sizeof *bodies->texts);
    bodies->lens = fw_calloc(records / batch_size + 1, sizeof *bodies->lens);
    good = good && bodies->texts != NULL && bodies->lens != NULL;
    while (good && batch->row_count < records)
        good = simulate_fleet_step(fleet, batch) == FW_OK;
    for (size_t first = 0; good && first + batch_size <= records; first += batch_size)
        good = put_body(bodies, batch, &schema, first, batch_size, &body);
    fw_buf_fini(&body);
    batch_free(batch);
    if (good)
        return FW_OK;
    bodies_free(bodies);
    return fw_fail(err, FW_ENOMEM, "out of memory");
}

static bool next_body(void *ctx, struct bench_request *request)
{
    struct bodies *bodies = ctx;
    const size_t i = atomic_fetch_add(&bodies->next, 1);
    if (i >= bodies->count)
        return false;
    *request = (struct bench_request){bodies->texts[i], bodies->lens[i]};
    return true;
}

static bool all_taken(void *ctx, int status, const char *body)
{
    (void)ctx;
    return status == 200 && strstr(body, "\"records_rejected\":0") != NULL;
}

static enum fw_status measure(const struct bench_options *options, const struct size *size,
                              uint16_t port, struct simulate_fleet *fleet, struct fw_error *err)
{
    const size_t most = size->batch == 1 ? RECORDS_SINGLE : RECORDS_LARGE;
    const size_t held = (size_t)options->servers * (size->batch == 1 ? STEPS_SINGLE : STEPS_LARGE);
    const size_t records = held < most ? held : most;
    struct bodies bodies;
    struct bench_result result;
    enum fw_status status = make_bodies(fleet, records, size->batch, &bodies, err);
    if (status != FW_OK)
        return status;
    const struct bench_load load = {.host = options->host == NULL ? "127.0.0.1" : options->host,
                                    .port = port,
                                    .threads = options->threads == 0 ? 1 : options->threads,
                                    .connections = size->connections,
                                    .next = next_body,
                                    .good = all_taken,
                                    .ctx = &bodies};
    status = bench_client_run(&load, &result, err);
    bodies_free(&bodies);
    if (status == FW_OK && result.failed > 0)
        status = fw_fail(err, FW_EIO, "%llu of %llu posts failed, the first one: %.180s",
                         (unsigned long long)result.failed, (unsigned long long)result.requests,
                         result.failure);
    if (status != FW_OK)
        return status;
    struct bench_report report;
    const double taken = (double)(result.requests * size->batch);
    bench_report_begin(&report, options, "ingest", size->path);
    bench_report_times(&report, &result.seconds, 1);
    bench_report_number(&report, "batch", size->batch, 0);
    bench_report_number(&report, "connections", size->connections, 0);
    bench_report_number(&report, "samples_per_s", taken * METRIC_CANONICAL_COUNT / result.seconds,
                        0);
    bench_report_number(&report, "records_per_s", taken / result.seconds, 0);
    bench_report_number(&report, "requests_per_s", (double)result.requests / result.seconds, 0);
    bench_report_number(&report, "p50_ms", result.p50_ms, 3);
    bench_report_number(&report, "p99_ms", result.p99_ms, 3);
    bench_report_number(&report, "max_ms", result.max_ms, 3);
    bench_report_end(&report);
    return FW_OK;
}

int bench_ingest(const struct bench_options *options, struct fw_error *err)
{
    char dir[256] = "";
    struct bench_daemon daemon = {0};
    struct simulate_fleet *fleet = NULL;
    struct simulate_options made;
    simulate_options_default(&made);
    made.servers = options->servers;
    made.step_s = STEP_S;
    made.start_ms = fw_clock_wall_ms(fw_clock_system()) - (int64_t)70 * 3600000;
    made.start_ms -= made.start_ms % (STEP_S * 1000);
    /* The steps of all sizes end before now. */
    static_assert((STEPS_SINGLE + 2 * STEPS_LARGE + 3) * STEP_S < 69 * 3600, "within 3 days");
    enum fw_status status = simulate_fleet_new(&made, &fleet, err);
    if (status == FW_OK && options->host == NULL) {
        status = bench_directory_make(options, dir, err);
        if (status == FW_OK)
            status = bench_daemon_start(dir, NULL, &daemon, err);
    }
    for (size_t i = 0; i < COUNT(sizes) && status == FW_OK; i++)
        status = measure(options, &sizes[i], options->host == NULL ? daemon.port : options->port,
                         fleet, err);
    bench_daemon_stop(&daemon);
    simulate_fleet_free(fleet);
    if (dir[0] != '\0')
        bench_directory_remove(options, dir);
    return status == FW_OK ? CLI_OK : CLI_FAILURE;
}
