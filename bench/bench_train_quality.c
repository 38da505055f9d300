/* A trained model beside the statistical forecasters on the days that training held out:
 *
 *   bench_train_quality MODEL CSV...
 *
 * The last 15 % of the time (as forewarn train holds them out), an origin every 32 steps per
 * server, the whole horizon. Both see what lies before the origin: the model its history, the
 * statistical forecasters the daemon's three days. Quantiles are sorted and clipped to the metric's
 * bounds, as the daemon does. Printed are, per metric, the mean pinball loss over 0.1, 0.5 and 0.9
 * in the metric's unit, the share of values inside p10..p90, and the loss relative to the
 * statistical one; at the end the geometric mean of that. Metrics of the schema only. */
#include "base/alloc.h"
#include "forecast/model.h"
#include "forecast/statistical.h"
#include "history/history.h"
#include "train/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 864, EVERY = 32, H = FORECAST_HORIZON, PATHS_MAX = 64, METHODS = 2 };

struct score {
    double loss[METHODS];
    size_t inside[METHODS], n;
};

struct bench {
    struct schema schema;
    struct history *data;
    struct forecast_model *model;
    struct score score[SCHEMA_METRICS_MAX];
    float *values; /* (metrics, WINDOW) */
    uint8_t statuses[WINDOW];
    float *paths; /* (targets, 3, H) */
    void *scratch;
    size_t scratch_bytes;
};

static const double levels[3] = {0.1, 0.5, 0.9};

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_train_quality: %s\n", what);
    exit(1);
}

static void sort_and_clip(const struct schema_metric *metric, float *q)
{
    for (size_t h = 0; h < H; h++) {
        float v[3] = {q[h], q[H + h], q[2 * H + h]};
        series_sort(v, 3);
        for (size_t k = 0; k < 3; k++)
            q[k * H + h] = (float)fmin(fmax((double)v[k], metric->min), metric->max);
    }
}

static void count(struct score *score, size_t method, const float *q, const float *truth)
{
    for (size_t h = 0; h < H; h++) {
        if (isnan(truth[h]))
            continue;
        for (size_t k = 0; k < 3; k++) {
            const double e = (double)truth[h] - (double)q[k * H + h];
            score->loss[method] += fmax(levels[k] * e, (levels[k] - 1.0) * e);
        }
        score->inside[method] += truth[h] >= q[h] && truth[h] <= q[2 * H + h];
        score->n += method == 0;
    }
}

static size_t fill_window(struct bench *b, const struct history_series *s, size_t origin)
{
    const size_t steps = origin + 1 < WINDOW ? origin + 1 : WINDOW, from = origin + 1 - steps;
    for (size_t m = 0; m < b->schema.count; m++) {
        const int c = history_column(b->data, b->schema.metrics[m].name);
        for (size_t t = 0; t < steps; t++)
            b->values[m * steps + t] = c < 0 || s->value[c] == NULL ? NAN : s->value[c][from + t];
    }
    for (size_t t = 0; t < steps; t++)
        b->statuses[t] = s->status == NULL ? 0 : s->status[from + t];
    return steps;
}

static void one_metric(struct bench *b, size_t m, size_t steps, const float *truth)
{
    const struct schema_metric *metric = &b->schema.metrics[m];
    const struct series series = {b->values + m * steps, steps, HISTORY_STEP_S, metric};
    const int target = forecast_model_target(b->model, (int)m);
    struct statistical_study study;
    float q[3 * H];
    const struct arena scratch = arena_over(b->scratch, b->scratch_bytes);
    bool observed = false;
    for (size_t t = 0; t < steps; t++)
        observed = observed || !isnan(series.values[t]);
    if (!observed || target < 0)
        return;
    float *path = b->paths + (size_t)target * 3 * H;
    sort_and_clip(metric, path);
    count(&b->score[m], 0, path, truth);
    statistical_study(&series, scratch, &study);
    (void)statistical_forecast(&series, &study, scratch, q);
    sort_and_clip(metric, q);
    count(&b->score[m], 1, q, truth);
}

static void one_origin(struct bench *b, const struct history_series *s, size_t origin)
{
    const size_t steps = fill_window(b, s, origin);
    const struct forecast_window window = {.name = s->name,
                                           .profile = (enum profile)s->profile,
                                           .newest_step = s->first + (int64_t)origin,
                                           .steps = steps,
                                           .values = b->values,
                                           .statuses = b->statuses};
    if (forecast_model_history(b->model, &window) < forecast_model_info(b->model).history_min)
        return;
    forecast_model_run(b->model, 1, &window, arena_over(b->scratch, b->scratch_bytes), b->paths);
    for (size_t m = 0; m < b->schema.count; m++) {
        const int c = history_column(b->data, b->schema.metrics[m].name);
        if (c >= 0 && s->value[c] != NULL)
            one_metric(b, m, steps, s->value[c] + origin + 1);
    }
}

static void run(struct bench *b)
{
    const struct train_split split = train_split_of(b->data, 0.15, H);
    for (size_t i = 0; i < b->data->n_series; i++) {
        const struct history_series *s = &b->data->series[i];
        int64_t origin = split.validation_from - s->first - 1;
        for (origin = origin < 24 ? 24 : origin; origin + H < (int64_t)s->steps; origin += EVERY)
            one_origin(b, s, (size_t)origin);
    }
}

static void report(const struct bench *b)
{
    double logs = 0.0;
    size_t metrics = 0;
    printf("%-18s %9s %10s %11s %9s %9s %9s\n", "metric", "values", "model", "statistical", "ratio",
           "cover", "cover st");
    for (size_t m = 0; m < b->schema.count; m++) {
        const struct score *s = &b->score[m];
        if (s->n == 0)
            continue;
        const double n = (double)s->n * 3.0, ratio = s->loss[0] / s->loss[1];
        printf("%-18s %9zu %10.4f %11.4f %9.3f %9.3f %9.3f\n", b->schema.metrics[m].name, s->n,
               s->loss[0] / n, s->loss[1] / n, ratio, (double)s->inside[0] / (double)s->n,
               (double)s->inside[1] / (double)s->n);
        if (s->loss[0] > 0.0 && s->loss[1] > 0.0) {
            logs += log(ratio);
            metrics++;
        }
    }
    printf("geometric mean of the ratios over %zu metrics: %.3f\n", metrics,
           exp(logs / (double)(metrics == 0 ? 1 : metrics)));
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct fw_error err;
    const char *paths[PATHS_MAX];
    if (argc < 3 || argc - 2 > PATHS_MAX)
        fail("MODEL CSV...");
    for (int i = 2; i < argc; i++)
        paths[i - 2] = argv[i];
    schema_default(&b.schema);
    if (history_read(&(struct history_options){.step_s = HISTORY_STEP_S}, (size_t)argc - 2, paths,
                     &b.data, &err) != FW_OK ||
        forecast_model_open(argv[1], &b.schema, HISTORY_STEP_S, NULL, &b.model, &err) != FW_OK)
        fail(err.text);
    const size_t model_bytes = forecast_model_scratch_bytes(b.model, 1),
                 study_bytes = statistical_scratch_bytes(WINDOW);
    b.scratch_bytes = model_bytes > study_bytes ? model_bytes : study_bytes;
    b.scratch = fw_alloc_aligned(b.scratch_bytes, 1);
    b.values = fw_calloc(b.schema.count * WINDOW, sizeof *b.values);
    b.paths = fw_calloc(forecast_model_info(b.model).target_count * 3 * H, sizeof *b.paths);
    if (b.scratch == NULL || b.values == NULL || b.paths == NULL)
        fail("out of memory");
    run(&b);
    report(&b);
    fw_free(b.scratch);
    fw_free(b.values);
    fw_free(b.paths);
    forecast_model_release(b.model);
    history_free(b.data);
    return 0;
}
