/* How good the statistical forecasters are on histories in CSV, under a fixed protocol:
 *
 *   bench_forecast_quality DIR [--sets a,b] [--window STEPS] [--method NAME] [--metrics]
 *
 * DIR holds one folder per set with servers.csv (columns server_name and test_from) and one
 * SERVER.csv.gz per server. Every 96th step of the test part is an origin; the forecaster sees the
 * window before it and nothing else. Printed are, per set, the means over metrics of the normalised
 * quantile losses at 0.1, 0.5 and 0.9, the coverage of p10..p90 and, where DIR holds
 * baselines_forecast.csv, the same means of the baselines and the geometric mean over metrics of
 * our loss relative to the best of them. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "domain/schema.h"
#include "forecast/combine.h"
#include "forecast/statistical.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    COLUMNS_MAX = 64,
    LINE_MAX_BYTES = 4096,
    CONTEXT = 288,
    SERVERS_MAX = 4096,
    BASELINES_MAX = 1024,
};

struct history {
    size_t columns, steps, test;
    int64_t start_step;
    uint32_t step_s;
    char names[COLUMNS_MAX][64];
    float *values; /* (columns, steps) */
};

struct score {
    char name[64];
    double loss[3], scale;
    size_t inside, count, methods[FORECAST_METHOD_COUNT];
    size_t block_inside[4], block_count[4];
};

static const double levels[3] = {0.1, 0.5, 0.9};
static size_t option_window = 864;
static bool option_metrics;
static int option_method = -1;
static double seconds_study, seconds_path;
static size_t made;

static int split(char *line, char **fields, int max)
{
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; n < max; at++) {
        fields[n++] = at;
        at = strchr(at, ',');
        if (at == NULL)
            break;
        *at = '\0';
    }
    return n;
}

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "%s: %s\n", what, path);
    exit(1);
}

static int64_t epoch_of(const char *text)
{
    int64_t ms = 0;
    if (!fw_time_parse(text, strlen(text), &ms))
        fail("not a time", text);
    return ms / 1000;
}

/* Reads a server's file twice: once for its span, once into the means of the grid's cells. */
static void load(const char *path, uint32_t step_s, struct history *out)
{
    static char line[LINE_MAX_BYTES];
    char *fields[COLUMNS_MAX + 2];
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (int pass = 0; pass < 2; pass++) {
        gzFile in = gzopen(path, "rb");
        if (in == NULL || gzgets(in, line, sizeof line) == NULL)
            fail("cannot read", path);
        const int n = split(line, fields, COLUMNS_MAX + 2);
        const int skip = n > 1 && strcmp(fields[1], "server_name") == 0 ? 2 : 1;
        float *sum = out->values;
        uint16_t *seen = NULL;
        if (pass == 1) {
            out->columns = (size_t)(n - skip);
            out->steps = (size_t)(last - first + 1);
            out->start_step = first;
            out->step_s = step_s;
            sum = fw_calloc(out->columns * out->steps, sizeof *sum);
            seen = fw_calloc(out->columns * out->steps, sizeof *seen);
            for (size_t c = 0; c < out->columns; c++)
                snprintf(out->names[c], sizeof out->names[c], "%s", fields[(int)c + skip]);
        }
        while (gzgets(in, line, sizeof line) != NULL) {
            const int got = split(line, fields, COLUMNS_MAX + 2);
            const int64_t step = epoch_of(fields[0]) / step_s;
            first = step < first ? step : first;
            last = step > last ? step : last;
            for (int c = skip; pass == 1 && c < got; c++) {
                if (fields[c][0] == '\0')
                    continue;
                const size_t at = (size_t)(c - skip) * out->steps + (size_t)(step - first);
                sum[at] += strtof(fields[c], NULL);
                seen[at]++;
            }
        }
        gzclose(in);
        if (pass == 1) {
            for (size_t i = 0; i < out->columns * out->steps; i++)
                sum[i] = seen[i] > 0 ? sum[i] / (float)seen[i] : NAN;
            out->values = sum;
            fw_free(seen);
        }
    }
    for (size_t c = 0; c < out->columns; c++)
        if (strcmp(out->names[c], "cpu_idle_pct") == 0) {
            strcpy(out->names[c], "cpu_used_pct");
            for (size_t t = 0; t < out->steps; t++)
                out->values[c * out->steps + t] = 100.0f - out->values[c * out->steps + t];
        }
}

static bool context_enough(const struct history *h, size_t origin)
{
    size_t seen = 0;
    for (size_t t = origin - CONTEXT; t < origin; t++) {
        bool any = false;
        for (size_t c = 0; c < h->columns && !any; c++)
            any = isfinite(h->values[c * h->steps + t]);
        seen += any;
    }
    return 2 * seen >= CONTEXT;
}

static struct schema_metric metric_of(const char *name)
{
    static struct schema schema;
    if (schema.count == 0)
        schema_default(&schema);
    const int known = schema_find(&schema, name, strlen(name));
    struct schema_metric metric = {.min = 0.0, .max = (double)INFINITY, .worse = METRIC_WORSE_NONE};
    if (known >= 0)
        return schema.metrics[known];
    const size_t len = strlen(name);
    if (len > 4 && strcmp(name + len - 4, "_pct") == 0)
        metric.max = 100.0;
    if (strcmp(name, "OT") == 0 || strstr(name, "UL") != NULL || strstr(name, "UF") != NULL ||
        name[0] == 'L' || name[0] == 'H' || name[0] == 'M')
        metric.min = -(double)INFINITY;
    return metric;
}

static void one_forecast(const struct history *h, size_t column, size_t origin, struct arena arena,
                         struct score *score)
{
    const struct schema_metric metric = metric_of(h->names[column]);
    const float *all = h->values + column * h->steps;
    const size_t steps = origin < option_window ? origin : option_window;
    const struct series series = {
        .values = all + origin - steps, .steps = steps, .step_s = h->step_s, .metric = &metric};
    struct statistical_study study;
    struct forecast_path path = {0};
    float quantiles[3 * FORECAST_HORIZON];
    bool served = false;
    for (size_t t = 0; t < steps; t++)
        served = served || !isnan(series.values[t]);
    if (served) {
        const int64_t t0 = fw_clock_mono_ns(fw_clock_system());
        statistical_study(&series, arena, &study);
        const int64_t t1 = fw_clock_mono_ns(fw_clock_system());
        size_t chosen = study.chosen;
        for (size_t c = 0; c < STUDY_METHODS; c++)
            if (option_method == (int)study_method(c))
                chosen = c;
        enum forecast_method method = study_method(chosen);
        if (option_method < 0)
            method = statistical_forecast(&series, &study, arena, quantiles);
        else
            statistical_path(&series, &study, chosen, arena, quantiles);
        const struct forecast_candidate candidate = {.method = method,
                                                     .quantiles = quantiles,
                                                     .pinball = study.loss[chosen],
                                                     .coverage = study.coverage[chosen]};
        forecast_combine(&candidate, 1, &metric, &path);
        const int64_t t2 = fw_clock_mono_ns(fw_clock_system());
        seconds_study += 1e-9 * (double)(t1 - t0);
        seconds_path += 1e-9 * (double)(t2 - t1);
    }
    made++;
    score->methods[path.method]++;
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        const double y = (double)all[origin + i];
        if (!isfinite(y))
            continue;
        const double p[3] = {served ? (double)path.p10[i] : 0.0, served ? (double)path.p50[i] : 0.0,
                             served ? (double)path.p90[i] : 0.0};
        for (int k = 0; k < 3; k++) {
            const double d = y - p[k];
            score->loss[k] += fmax(levels[k] * d, (levels[k] - 1.0) * d);
        }
        const bool inside = y >= p[0] && y <= p[2];
        score->inside += inside;
        score->count++;
        score->block_inside[i / 24] += inside;
        score->block_count[i / 24]++;
        score->scale += fabs(y);
    }
}

struct baseline {
    char set[16], metric[64], method[32];
    double q[3], coverage;
};
static struct baseline baselines[BASELINES_MAX];
static size_t baseline_count;

static void load_baselines(const char *dir)
{
    char path[1024], line[LINE_MAX_BYTES], *f[8];
    snprintf(path, sizeof path, "%s/baselines_forecast.csv", dir);
    FILE *in = fopen(path, "r");
    if (in == NULL)
        return;
    while (baseline_count < BASELINES_MAX && fgets(line, sizeof line, in) != NULL) {
        if (split(line, f, 8) < 7 || strcmp(f[0], "set") == 0)
            continue;
        struct baseline *b = &baselines[baseline_count++];
        snprintf(b->set, sizeof b->set, "%s", f[0]);
        snprintf(b->metric, sizeof b->metric, "%s", f[1]);
        snprintf(b->method, sizeof b->method, "%s", f[2]);
        for (int k = 0; k < 3; k++)
            b->q[k] = atof(f[3 + k]);
        b->coverage = atof(f[6]);
    }
    fclose(in);
}

static void report(const char *set, const struct score *scores, size_t count)
{
    double mean[3] = {0}, cover = 0.0, geo[3] = {0}, block[4] = {0};
    size_t used = 0, geo_used[3] = {0}, methods[FORECAST_METHOD_COUNT] = {0};
    double worst = 0.0;
    const char *worst_name = "";
    for (size_t m = 0; m < count; m++) {
        const struct score *s = &scores[m];
        if (!(s->scale > 0.0))
            continue;
        used++;
        cover += (double)s->inside / (double)s->count;
        for (int b = 0; b < 4; b++)
            block[b] += (double)s->block_inside[b] / (double)s->block_count[b];
        for (int k = 0; k < FORECAST_METHOD_COUNT; k++)
            methods[k] += s->methods[k];
        double best[3] = {(double)INFINITY, (double)INFINITY, (double)INFINITY}, q[3];
        for (size_t b = 0; b < baseline_count; b++)
            if (strcmp(baselines[b].set, set) == 0 && strcmp(baselines[b].metric, s->name) == 0)
                for (int k = 0; k < 3; k++)
                    best[k] = fmin(best[k], baselines[b].q[k]);
        for (int k = 0; k < 3; k++) {
            q[k] = 2.0 * s->loss[k] / s->scale;
            mean[k] += q[k];
            if (best[k] > 1e-9 && isfinite(best[k])) {
                geo[k] += log(q[k] / best[k]);
                geo_used[k]++;
                if (q[k] / best[k] > worst) {
                    worst = q[k] / best[k];
                    worst_name = s->name;
                }
            }
        }
        if (option_metrics)
            printf("   %-18s %.3f %.3f %.3f cov %.2f  vs best %.2f %.2f %.2f\n", s->name, q[0],
                   q[1], q[2], (double)s->inside / (double)s->count, q[0] / best[0], q[1] / best[1],
                   q[2] / best[2]);
    }
    if (used == 0)
        return;
    const double n = (double)used;
    printf("%-10s ours %-16s %.3f %.3f %.3f sum %.3f cov %.3f (%.2f %.2f %.2f %.2f)  geo vs best: "
           "%.3f %.3f %.3f worst %.2f %s | p %zu s %zu c %zu t %zu\n",
           set, "", mean[0] / n, mean[1] / n, mean[2] / n, (mean[0] + mean[1] + mean[2]) / n,
           cover / n, block[0] / n, block[1] / n, block[2] / n, block[3] / n,
           exp(geo[0] / (double)geo_used[0]), exp(geo[1] / (double)geo_used[1]),
           exp(geo[2] / (double)geo_used[2]), worst, worst_name, methods[FORECAST_PERSISTENCE],
           methods[FORECAST_SEASONAL], methods[FORECAST_CLIMATOLOGY], methods[FORECAST_TREND]);
    for (size_t b = 0; b < baseline_count; b++)
        if (option_metrics && strcmp(baselines[b].set, set) == 0 && baselines[b].metric[0] == '(')
            printf("%-10s base %-24s %.3f %.3f %.3f sum %.3f cov %.3f\n", set, baselines[b].method,
                   baselines[b].q[0], baselines[b].q[1], baselines[b].q[2],
                   baselines[b].q[0] + baselines[b].q[1] + baselines[b].q[2],
                   baselines[b].coverage);
    fflush(stdout);
}

static void score_server(const struct history *h, struct arena arena, struct score *scores,
                         size_t *count)
{
    for (size_t c = 0; c < h->columns; c++) {
        size_t m = 0;
        while (m < *count && strcmp(scores[m].name, h->names[c]) != 0)
            m++;
        if (m == *count)
            strcpy(scores[(*count)++].name, h->names[c]);
    }
    for (size_t o = h->test > CONTEXT ? h->test : CONTEXT; o + FORECAST_HORIZON <= h->steps;
         o += FORECAST_HORIZON) {
        if (!context_enough(h, o))
            continue;
        for (size_t c = 0; c < h->columns; c++)
            for (size_t m = 0; m < *count; m++)
                if (strcmp(scores[m].name, h->names[c]) == 0)
                    one_forecast(h, c, o, arena, &scores[m]);
    }
}

static void run_set(const char *dir, const char *set, struct arena arena)
{
    static struct score scores[COLUMNS_MAX * 2];
    size_t count = 0;
    memset(scores, 0, sizeof scores);
    char path[1024], line[LINE_MAX_BYTES], *f[16];
    struct history h;
    if (strcmp(set, "ett") == 0) {
        for (int i = 1; i <= 2; i++) {
            snprintf(path, sizeof path, "%s/ett/ETTh%d.csv.gz", dir, i);
            load(path, 3600, &h);
            h.test = 16 * 720;
            score_server(&h, arena, scores, &count);
            fw_free(h.values);
        }
        report(set, scores, count);
        return;
    }
    snprintf(path, sizeof path, "%s/%s/servers.csv", dir, set);
    FILE *in = fopen(path, "r");
    if (in == NULL)
        fail("cannot read", path);
    while (fgets(line, sizeof line, in) != NULL) {
        if (split(line, f, 16) < 6 || strcmp(f[0], "server_name") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s/%s.csv.gz", dir, set, f[0]);
        const int64_t test_s = epoch_of(f[5]);
        load(path, 300, &h);
        h.test = (size_t)((test_s + 299) / 300 - h.start_step);
        score_server(&h, arena, scores, &count);
        fw_free(h.values);
    }
    fclose(in);
    report(set, scores, count);
}

int main(int argc, char **argv)
{
    const char *dir = NULL, *sets = "services,asd,smd,bitbrains";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sets") == 0 && i + 1 < argc)
            sets = argv[++i];
        else if (strcmp(argv[i], "--window") == 0 && i + 1 < argc)
            option_window = (size_t)atol(argv[++i]);
        else if (strcmp(argv[i], "--method") == 0 && i + 1 < argc) {
            i++;
            for (int k = 0; k < FORECAST_METHOD_COUNT; k++)
                if (strcmp(argv[i], forecast_method_name((enum forecast_method)k)) == 0)
                    option_method = k;
        } else if (strcmp(argv[i], "--metrics") == 0)
            option_metrics = true;
        else
            dir = argv[i];
    }
    if (dir == NULL) {
        fprintf(stderr, "usage: bench_forecast_quality DIR [--sets a,b] [--window STEPS] "
                        "[--method NAME] [--metrics]\n");
        return 2;
    }
    load_baselines(dir);
    const size_t bytes = statistical_scratch_bytes(option_window);
    void *memory = fw_alloc_aligned(bytes, 1);
    char list[256];
    snprintf(list, sizeof list, "%s", sets);
    for (char *set = strtok(list, ","); set != NULL; set = strtok(NULL, ","))
        run_set(dir, set, arena_over(memory, bytes));
    printf("%zu forecasts, study %.1f us, path %.1f us each\n", made,
           1e6 * seconds_study / (double)made, 1e6 * seconds_path / (double)made);
    fw_free(memory);
    return 0;
}
