/* Seconds per forecast run over fleets of 100, 500 and 1000 servers with all 14 metrics and full
 * windows:
 *
 *   bench_forecast_run [--model DIR] [--servers N] [--threads N] [--json]
 *
 * Between runs every server gets one more step, so nothing is shared: this is what a closed step
 * costs. Printed are the best and the median of the runs after the first, which makes all studies,
 * and the processor time of one metric. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "forecast/forecaster.h"
#include "forecast/shipped.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEP_S = 300, WINDOW = 864, RUNS = 13, METRICS = METRIC_CANONICAL_COUNT };
#define STEP_MS ((int64_t)STEP_S * 1000)
#define T0 INT64_C(1800000000000)

static struct schema schema;
static struct profile_rules profiles;
static struct fw_clock_fake fake;

static void die(const char *what, const struct fw_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err == NULL ? "no memory" : err->text);
    exit(1);
}

static float value_of(struct fw_rng *rng, size_t server, int metric, int64_t step)
{
    const double day = sin(6.2831853 * (double)step / 288.0 + (double)metric + (double)server);
    const double value = 30.0 + 12.0 * day + 2.0 * fw_rng_normal(rng);
    return (float)fmin(fmax(value, 0.0), 100.0);
}

/* One step of every server, admitted and applied. */
static void feed_step(struct fleet *fleet, struct sample_batch *batch, struct fw_rng *rng,
                      size_t servers, int64_t step)
{
    struct fleet_applied applied;
    batch_reset(batch);
    fake.wall_now_ms = T0 + step * STEP_MS + 1000;
    for (size_t i = 0; i < servers; i++) {
        struct sample_value values[METRICS];
        char name[32];
        uint32_t index;
        snprintf(name, sizeof name, "server%05zu", i);
        if (batch_name(batch, name, strlen(name), &index) != FW_OK)
            die("batch", NULL);
        for (int m = 0; m < METRICS; m++)
            values[m] = (struct sample_value){(uint16_t)m, value_of(rng, i, m, step)};
        const struct sample_row head = {.name = index,
                                        .time_ms = T0 + step * STEP_MS,
                                        .status = STATUS_HEALTHY,
                                        .profile = PROFILE_UNKNOWN};
        if (batch_row_put(batch, &head, values, METRICS) != FW_OK)
            die("batch", NULL);
    }
    if (fleet_admit(fleet, batch) != FW_OK ||
        fleet_apply(fleet, batch, (uint64_t)step + 1, &applied) != FW_OK)
        die("fleet", NULL);
}

/* Of all threads: the machine may be busy with other things, and workers are niced below them. */
static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct fw_clock bench_clock(void)
{
    /* Steps come from the fake wall, durations from the real monotonic clock. */
    struct fw_clock clock = fake.clock;
    clock.mono_ns = fw_clock_system()->mono_ns;
    return clock;
}

static void bench(const char *model_path, size_t servers, unsigned threads, bool json)
{
    struct fw_error err = {0};
    struct fw_clock clock = bench_clock();
    struct fleet_options options;
    struct fleet *fleet;
    fleet_options_default(&options);
    options.schema = &schema;
    options.profiles = &profiles;
    options.clock = &clock;
    options.step_s = STEP_S;
    options.window_steps = WINDOW;
    if (fleet_new(&options, &fleet, &err) != FW_OK)
        die("fleet", &err);
    struct sample_batch *batch = batch_new();
    struct fw_rng rng;
    fw_rng_init(&rng, 1);
    int64_t step = 0;
    for (; step < WINDOW; step++)
        feed_step(fleet, batch, &rng, servers, step);

    const struct forecaster_options wanted = {
        .schema = &schema, .clock = &clock, .step_s = STEP_S, .threads = threads};
    struct forecaster *forecaster;
    if (forecaster_new(&wanted, &forecaster, &err) != FW_OK)
        die("forecaster", &err);
    if (model_path != NULL) {
        struct forecast_model *model;
        if (forecast_model_open_named(model_path, &schema, STEP_S, &model, &err) != FW_OK)
            die(model_path, &err);
        forecaster_set_model(forecaster, model);
    }
    double seconds[RUNS], first = 0.0, cpu = 0.0;
    const struct forecast_set *last = NULL;
    for (int run = 0; run < RUNS + 1; run++) {
        const struct forecast_set *set;
        if (run > 0)
            feed_step(fleet, batch, &rng, servers, step++);
        const double begin = cpu_seconds();
        if (forecaster_run(forecaster, fleet, last, &set, &err) != FW_OK)
            die("run", &err);
        cpu += run > 0 ? cpu_seconds() - begin : 0.0;
        if (run == 0)
            first = set->seconds;
        else
            seconds[run - 1] = set->seconds;
        forecast_set_release(last);
        last = set;
    }
    qsort(seconds, RUNS, sizeof seconds[0], ascending);
    const double median = seconds[RUNS / 2], least = seconds[0];
    const double metric_us = 1e6 * cpu / (double)(RUNS * servers * METRICS);
    if (json)
        printf("{\"bench\":\"forecast\",\"servers\":%zu,\"threads\":%u,\"path\":\"%s\","
               "\"median_s\":%.6f,\"min_s\":%.6f,\"first_s\":%.6f,\"runs\":%d}\n",
               servers, threads, model_path == NULL ? "statistical" : "plain", median, least, first,
               RUNS);
    else
        printf("%-12s %5zu servers, %u threads: median %.4f s, best %.4f s, first %.4f s; %.1f us "
               "of a core a metric\n",
               model_path == NULL ? "statistical" : "model", servers, threads, median, least, first,
               metric_us);
    fflush(stdout);
    forecast_set_release(last);
    forecaster_free(forecaster);
    batch_free(batch);
    fleet_free(fleet);
}

int main(int argc, char **argv)
{
    const char *model = NULL;
    size_t servers[] = {100, 500, 1000}, only = 0;
    unsigned threads = 0;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--model") == 0 && i + 1 < argc)
            model = argv[++i];
        else if (strcmp(argv[i], "--servers") == 0 && i + 1 < argc)
            only = (size_t)atol(argv[++i]);
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = (unsigned)atol(argv[++i]);
        else if (strcmp(argv[i], "--json") == 0)
            json = true;
        else {
            fprintf(
                stderr,
                "usage: bench_forecast_run [--model DIR] [--servers N] [--threads N] [--json]\n");
            return 2;
        }
    }
    schema_default(&schema);
    profile_rules_default(&profiles);
    fw_clock_fake_init(&fake, T0);
    for (size_t i = 0; i < COUNT(servers); i++)
        for (unsigned n = 1; n <= 2; n++)
            if ((only == 0 || i == 0) && (threads == 0 || n == 1))
                bench(model, only > 0 ? only : servers[i], threads > 0 ? threads : n, json);
    return 0;
}
