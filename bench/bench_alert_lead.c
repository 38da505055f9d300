/* How early alerts come, and how often without need, on the simulated fleet and the statistical
 * forecasters:
 *
 *   bench_alert_lead [--days N] [--seed S]
 *
 * First a healthy fleet of 25 servers (no incidents) for N days (7) after a warm-up of three: what
 * fires there is counted by metric. Then disks that fill and memory that leaks in a straight line
 * over 1 to 24 hours, on each of the servers: how long after the beginning, and how long before the
 * warning and the critical threshold were passed, the first alert of that severity fired. */
#include "alert/alert.h"
#include "base/alloc.h"
#include "forecast/combine.h"
#include "forecast/statistical.h"
#include "risk/risk.h"
#include "simulate/fleet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SERVERS = 25,
    DAY = 288,
    WARM_UP = 3 * DAY,
    WINDOW = 864,
    STEP_S = 300,
    STUDY_STEPS = 12,
    SCRIPTED = 12, /* servers with an incident */
    NEVER = -1,
};
static const int64_t begin_ms = INT64_C(1767571200000); /* Monday, 5 January 2026 */

struct replay {
    struct schema schema;
    size_t steps;
    float *values; /* (SERVERS, schema.count, steps) */
    struct statistical_study *studies;
    void *scratch;
    size_t scratch_bytes;
    struct forecast *forecasts[SERVERS];
    struct forecast_set *set; /* of those */
    struct risk *risks;
    struct alert_book *book;
    size_t now;
    /* what fired first, by server and metric; steps, NEVER: nothing */
    int fired[SERVERS][METRIC_CANONICAL_COUNT][2];
    size_t count[METRIC_CANONICAL_COUNT], before[METRIC_CANONICAL_COUNT];
};

static void die(const char *what)
{
    fprintf(stderr, "bench_alert_lead: %s\n", what);
    exit(1);
}

static float *column(const struct replay *r, size_t server, size_t metric)
{
    return r->values + (server * r->schema.count + metric) * r->steps;
}

static void notice(void *ctx, const struct alert_transition *t)
{
    struct replay *r = ctx;
    if (t->to != ALERT_FIRING || t->alert.metric >= METRIC_CANONICAL_COUNT)
        return;
    const struct forecast *about = forecast_set_find(r->set, t->alert.server);
    if (about == NULL)
        die("an alert about nobody");
    const size_t s = about->slot;
    const size_t m = t->alert.metric;
    if (t->from != ALERT_FIRING) {
        r->count[m]++;
        r->before[m] += t->alert.steps_ahead > 0;
        if (r->fired[s][m][0] == NEVER)
            r->fired[s][m][0] = (int)r->now;
    }
    if (t->alert.severity == ALERT_CRITICAL && r->fired[s][m][1] == NEVER)
        r->fired[s][m][1] = (int)r->now;
}

static void make_paths(struct replay *r, size_t server, struct forecast *f)
{
    const size_t end = r->now + 1, from = end > WINDOW ? end - WINDOW : 0;
    f->path_count = 0;
    for (size_t m = 0; m < METRIC_CANONICAL_COUNT; m++) {
        const struct schema_metric *metric = &r->schema.metrics[m];
        if (isnan(metric->warning))
            continue;
        const struct series series = {.values = column(r, server, m) + from,
                                      .steps = end - from,
                                      .step_s = STEP_S,
                                      .metric = metric};
        const struct arena arena = arena_over(r->scratch, r->scratch_bytes);
        struct statistical_study *study = &r->studies[server * METRIC_CANONICAL_COUNT + m];
        if ((r->now + server) % STUDY_STEPS == 0 || r->now + STUDY_STEPS == WARM_UP)
            statistical_study(&series, arena, study);
        float quantiles[3 * FORECAST_HORIZON];
        struct forecast_path *path = &f->paths[f->path_count++];
        path->metric = (uint16_t)m;
        path->current = series.values[series.steps - 1];
        path->last_seen_ms = f->last_seen_ms;
        const struct forecast_candidate candidate = {
            .method = statistical_forecast(&series, study, arena, quantiles),
            .quantiles = quantiles,
            .pinball = study->loss[study->chosen],
        };
        forecast_combine(&candidate, 1, metric, path);
    }
}

static void step(struct replay *r)
{
    struct fw_error err;
    const struct alert_list *list;
    if (r->now + STUDY_STEPS < WARM_UP)
        return;
    const int64_t origin_ms = begin_ms + (int64_t)(r->now + 1) * STEP_S * 1000;
    for (size_t s = 0; s < SERVERS; s++) {
        struct forecast *f = r->forecasts[s];
        f->origin_ms = origin_ms;
        f->last_seen_ms = origin_ms - STEP_S * 1000;
        f->revision++;
        make_paths(r, s, f);
    }
    r->set->run++;
    r->set->made_ms = origin_ms;
    if (r->now < WARM_UP)
        return;
    alert_book_alive(r->book, origin_ms);
    if (alert_book_update(r->book, r->set, r->risks, origin_ms, &list, &err) != FW_OK)
        die("out of memory");
    alert_list_release(list);
    alert_book_write(r->book, notice, r);
}

static int by_name(const void *a, const void *b)
{
    const struct forecast *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void set_up(struct replay *r, const struct simulate_fleet *fleet, size_t steps)
{
    struct alert_options options;
    struct fw_error err;
    memset(r, 0, sizeof *r);
    schema_default(&r->schema);
    r->steps = steps;
    r->values = fw_calloc(SERVERS * r->schema.count * steps, sizeof *r->values);
    r->studies = fw_calloc((size_t)SERVERS * METRIC_CANONICAL_COUNT, sizeof *r->studies);
    r->scratch_bytes = statistical_scratch_bytes(WINDOW);
    r->scratch = fw_alloc_aligned(r->scratch_bytes, 1);
    r->set = fw_calloc(1, sizeof *r->set + SERVERS * sizeof r->set->items[0]);
    r->risks = fw_calloc(SERVERS, sizeof *r->risks);
    alert_options_default(&options, &r->schema, STEP_S);
    if (r->values == NULL || r->studies == NULL || r->scratch == NULL || r->set == NULL ||
        r->risks == NULL || alert_book_open(&options, NULL, &r->book, &err) != FW_OK)
        die("out of memory");
    r->set->step_s = STEP_S;
    r->set->count = SERVERS;
    for (size_t s = 0; s < SERVERS; s++) {
        struct forecast *f = fw_calloc(1, sizeof *f + METRIC_CANONICAL_COUNT * sizeof f->paths[0]);
        if (f == NULL)
            die("out of memory");
        snprintf(f->name, sizeof f->name, "%s", simulate_fleet_name(fleet, (unsigned)s));
        f->slot = (uint32_t)s;
        r->set->items[s] = r->forecasts[s] = f;
        for (size_t m = 0; m < METRIC_CANONICAL_COUNT; m++)
            r->fired[s][m][0] = r->fired[s][m][1] = NEVER;
    }
    qsort(r->set->items, SERVERS, sizeof r->set->items[0], by_name);
}

static void tear_down(struct replay *r)
{
    alert_book_close(r->book);
    for (size_t s = 0; s < SERVERS; s++)
        fw_free(r->forecasts[s]);
    fw_free(r->set);
    fw_free(r->risks);
    fw_free(r->scratch);
    fw_free(r->studies);
    fw_free(r->values);
}

static struct simulate_fleet *new_fleet(uint64_t seed)
{
    struct simulate_options options;
    struct simulate_fleet *fleet;
    struct fw_error err;
    simulate_options_default(&options);
    options.servers = SERVERS;
    options.seed = seed;
    options.start_ms = begin_ms;
    options.incidents = 0.0;
    if (simulate_fleet_new(&options, &fleet, &err) != FW_OK)
        die("no fleet");
    return fleet;
}

static void take_step(struct replay *r, struct simulate_fleet *fleet)
{
    struct sample_batch *batch = batch_new();
    if (batch == NULL || simulate_fleet_step(fleet, batch) != FW_OK || batch->row_count != SERVERS)
        die("no step");
    for (size_t s = 0; s < SERVERS; s++)
        for (size_t i = 0; i < batch->rows[s].value_count; i++) {
            const struct sample_value *v = &batch->values[batch->rows[s].first_value + i];
            column(r, s, v->metric)[r->now] = v->value;
        }
    batch_free(batch);
}

static void healthy(size_t days, uint64_t seed)
{
    struct replay r;
    struct simulate_fleet *fleet = new_fleet(seed);
    set_up(&r, fleet, WARM_UP + days * DAY);
    for (; r.now < r.steps; r.now++) {
        take_step(&r, fleet);
        step(&r);
    }
    printf("healthy fleet, %d servers, %zu days:\n", SERVERS, days);
    for (size_t m = 0; m < METRIC_CANONICAL_COUNT; m++)
        if (r.count[m] > 0) {
            size_t idle = 0;
            for (size_t s = 0; s < SERVERS; s++) {
                bool beyond = false;
                for (size_t t = WARM_UP; t < r.steps; t++)
                    beyond =
                        beyond || risk_beyond(&r.schema.metrics[m], (double)column(&r, s, m)[t],
                                              r.schema.metrics[m].warning);
                idle += r.fired[s][m][0] != NEVER && !beyond;
            }
            printf("  %-16s %zu fired (%.4f a server-day), %zu ahead of the value; servers whose "
                   "value never was beyond the warning: %zu\n",
                   r.schema.metrics[m].name, r.count[m],
                   (double)r.count[m] / (double)(SERVERS * days), r.before[m], idle);
        }
    tear_down(&r);
    simulate_fleet_free(fleet);
}

static int compare(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* The first step from `from` on at which the value is beyond. */
static int crossing(const struct replay *r, size_t s, size_t m, double threshold, size_t from)
{
    for (size_t t = from; t < r->now; t++)
        if (risk_beyond(&r->schema.metrics[m], (double)column(r, s, m)[t], threshold))
            return (int)t;
    return NEVER;
}

static void print_leads(const char *what, const int *leads, size_t n, size_t crossed)
{
    if (n == 0) {
        printf("; %s: %zu crossed, none alerted", what, crossed);
        return;
    }
    printf("; %s: %zu crossed, %zu alerted, lead %.1f / %.1f / %.1f h", what, crossed, n,
           (double)leads[0] / 12.0, (double)leads[n / 2] / 12.0, (double)leads[n - 1] / 12.0);
}

static void incident(enum simulate_incident_kind kind, size_t m, double hours, double peak,
                     uint64_t seed)
{
    struct replay r;
    struct simulate_fleet *fleet = new_fleet(seed);
    struct fw_error err;
    const size_t begin = WARM_UP + 120;
    const int64_t length_s = (int64_t)(hours * 3600.0 / 0.8);
    (void)err;
    for (unsigned s = 0; s < SCRIPTED; s++)
        if (simulate_fleet_script(fleet, 2 * s, kind, begin_ms + (int64_t)begin * STEP_S * 1000,
                                  length_s, peak) != FW_OK)
            die("no script");
    set_up(&r, fleet, begin + (size_t)length_s / STEP_S + 12);
    for (; r.now < r.steps; r.now++) {
        take_step(&r, fleet);
        step(&r);
    }
    printf("  %s to %.0f %% in %4.1f h", simulate_incident_name(kind), peak, hours);
    for (int severity = 0; severity < 2; severity++) {
        const struct schema_metric *metric = &r.schema.metrics[m];
        int leads[SCRIPTED];
        size_t n = 0, crossed = 0;
        for (size_t s = 0; s < SCRIPTED; s++) {
            const int at =
                crossing(&r, 2 * s, m, severity == 0 ? metric->warning : metric->critical, begin);
            const int fired = r.fired[2 * s][m][severity];
            crossed += at != NEVER;
            if (at != NEVER && fired != NEVER)
                leads[n++] = at - fired;
        }
        qsort(leads, n, sizeof leads[0], compare);
        print_leads(severity == 0 ? "warning" : "critical", leads, n, crossed);
    }
    printf("\n");
    tear_down(&r);
    simulate_fleet_free(fleet);
}

int main(int argc, char **argv)
{
    static const double hours[] = {1.0, 3.0, 6.0, 9.0, 24.0};
    size_t days = 7;
    uint64_t seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--days") == 0)
            days = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
    }
    healthy(days, seed);
    printf("first alert before the value crossed (least / median / most):\n");
    for (size_t i = 0; i < COUNT(hours); i++)
        incident(SIMULATE_DISK_FILL, METRIC_DISK_USAGE, hours[i], 98.0, seed);
    for (size_t i = 0; i < COUNT(hours); i++)
        incident(SIMULATE_MEMORY_LEAK, METRIC_MEM_USED, hours[i], 99.0, seed);
    return 0;
}
