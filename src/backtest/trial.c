#include "backtest/trial.h"

#include "backtest/spans.h"
#include "base/alloc.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *backtest_outcome_name(enum backtest_outcome outcome)
{
    static const char *const names[] = {"true", "false", "unknown", "unjudged"};
    assert((size_t)outcome < COUNT(names));
    return names[outcome];
}

struct backtest_column backtest_fleet_column(const struct backtest_fleet *fleet, size_t server,
                                             uint16_t metric)
{
    const struct history_series *series = &fleet->history->series[server];
    const int column = fleet->column_of[metric];
    return (struct backtest_column){.series = series,
                                    .values = column < 0 ? NULL : series->value[column],
                                    .metric = &fleet->schema->metrics[metric]};
}

/* ---- playing through ---- */

enum fw_status backtest_trial_init(struct backtest_trial *t, const struct backtest_fleet *fleet,
                                   const struct schema *schema, const struct alert_options *options,
                                   struct fw_error *err)
{
    *t = (struct backtest_trial){.fleet = fleet, .schema = *schema, .options = *options};
    t->options.schema = &t->schema;
    return alert_book_open(&t->options, NULL, &t->book, err);
}

void backtest_trial_fini(struct backtest_trial *t)
{
    alert_book_close(t->book);
    fw_free(t->alerts);
    fw_free(t->open);
    *t = (struct backtest_trial){0};
}

static bool make_room(void **array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return true;
    const size_t wanted = *capacity == 0 ? 64 : 2 * *capacity;
    void *wider = fw_realloc_array(*array, wanted, size);
    if (wider == NULL)
        return false;
    *array = wider;
    *capacity = wanted;
    return true;
}

static int compare_series(const void *key, const void *series)
{
    return strcmp(key, ((const struct history_series *)series)->name);
}

static size_t server_of(const struct backtest_trial *t, const char *name)
{
    const struct history *h = t->fleet->history;
    const struct history_series *series =
        bsearch(name, h->series, h->n_series, sizeof *h->series, compare_series);
    assert(series != NULL);
    return (size_t)(series - h->series);
}

static int64_t step_of(const struct backtest_trial *t, int64_t now_ms)
{
    return now_ms / ((int64_t)t->options.step_s * 1000) - 1;
}

static void note_fired(struct backtest_trial *t, const struct alert *a)
{
    const size_t server = server_of(t, a->server);
    const int64_t step = step_of(t, a->starts_ms);
    if (step < t->fleet->watch_from[server] || step > t->fleet->watch_to[server])
        return;
    if (t->n == BACKTEST_ALERTS_MAX) {
        t->status = FW_ELIMIT;
        return;
    }
    if (!make_room((void **)&t->alerts, &t->capacity, t->n, sizeof *t->alerts) ||
        !make_room((void **)&t->open, &t->open_capacity, t->n_open, sizeof *t->open)) {
        t->status = FW_ENOMEM;
        return;
    }
    t->open[t->n_open++] = t->n;
    t->alerts[t->n++] = (struct backtest_alert){
        .id = a->id,
        .server = server,
        .metric = a->metric,
        .severity = a->severity,
        .pending_step = step_of(t, a->pending_since_ms),
        .fired_step = step,
        .resolved_step = INT64_MAX,
        .threshold = a->threshold,
        .predicted = a->predicted,
        .current = a->current,
        .probability = a->probability,
        .steps_ahead = a->steps_ahead,
        .crossed_step = INT64_MAX,
    };
}

static void note(void *ctx, const struct alert_transition *transition)
{
    struct backtest_trial *t = ctx;
    const struct alert *a = &transition->alert;
    if (transition->from == ALERT_PENDING && transition->to == ALERT_FIRING) {
        note_fired(t, a);
        return;
    }
    for (size_t i = 0; i < t->n_open; i++) {
        struct backtest_alert *mine = &t->alerts[t->open[i]];
        if (mine->id != a->id)
            continue;
        if (a->severity > mine->severity)
            mine->severity = a->severity;
        if (transition->to == ALERT_RESOLVED) {
            mine->resolved_step = step_of(t, a->ends_ms);
            t->open[i] = t->open[--t->n_open];
        }
        return;
    }
}

enum fw_status backtest_trial_update(struct backtest_trial *t, int64_t step,
                                     const struct forecast_set *set, const struct risk *risks,
                                     struct fw_error *err)
{
    const struct alert_list *list;
    const int64_t now_ms = (step + 1) * (int64_t)t->options.step_s * 1000;
    const enum fw_status status = alert_book_update(t->book, set, risks, now_ms, &list, err);
    if (status != FW_OK)
        return status;
    alert_list_release(list);
    alert_book_write(t->book, note, t);
    if (t->status == FW_ELIMIT)
        return fw_fail(err, FW_ELIMIT, "more than %d alerts", BACKTEST_ALERTS_MAX);
    if (t->status != FW_OK)
        return fw_fail(err, t->status, "no memory for %zu alerts", t->n);
    return FW_OK;
}

/* ---- what came of them ---- */

static void judge(const struct backtest_trial *t, struct backtest_alert *a)
{
    if (a->metric == ALERT_METRIC_SILENT) {
        a->outcome = BACKTEST_UNJUDGED;
        return;
    }
    const struct backtest_column column = backtest_fleet_column(t->fleet, a->server, a->metric);
    const int64_t end = column.series->first + (int64_t)column.series->steps - 1;
    const int64_t horizon =
        column.metric->accumulates ? FORECAST_HORIZON : (int64_t)t->options.horizon_steps;
    const int64_t promised = a->fired_step + horizon;
    int64_t until = promised > a->resolved_step ? promised : a->resolved_step;
    until = until == INT64_MAX ? end : until; /* it still fires */
    a->crossed_step = backtest_first_beyond(&column, (double)a->threshold, a->pending_step, until);
    if (a->crossed_step != INT64_MAX)
        a->outcome = BACKTEST_CAME_TRUE;
    else if (a->resolved_step == INT64_MAX || until > end)
        a->outcome = BACKTEST_UNKNOWN;
    else
        a->outcome = BACKTEST_CAME_FALSE;
}

void backtest_trial_judge(struct backtest_trial *t)
{
    for (size_t i = 0; i < t->n; i++)
        judge(t, &t->alerts[i]);
}

/* Whether any alert of the metric fired at some time of a crossing, or just after its end. */
static bool was_alerted(const struct backtest_trial *t, size_t server, uint16_t metric,
                        const struct backtest_crossing *crossing)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct backtest_alert *a = &t->alerts[i];
        if (a->server == server && a->metric == metric && a->fired_step <= crossing->last &&
            a->resolved_step >= crossing->first)
            return true;
    }
    return false;
}

static void count_crossings(const struct backtest_trial *t, size_t server, uint16_t metric,
                            struct backtest_sums *out)
{
    struct backtest_crossing crossing;
    const struct schema_metric *m = &t->schema.metrics[metric];
    const struct backtest_column column = backtest_fleet_column(t->fleet, server, metric);
    const double threshold = isnan(m->warning) ? m->critical : m->warning;
    int64_t after = t->fleet->watch_from[server] - 1;
    while (backtest_next_crossing(&column, threshold, t->options.step_s, after,
                                  t->fleet->watch_to[server], &crossing)) {
        after = crossing.last;
        out->crossings++;
        if (was_alerted(t, server, metric, &crossing))
            continue;
        out->missed++;
        out->brief += crossing.steps < t->options.for_runs ? 1 : 0;
    }
}

enum fw_status backtest_trial_sum(const struct backtest_trial *t, int metric, double days,
                                  struct backtest_sums *out, struct fw_error *err)
{
    size_t n_true = 0;
    *out = (struct backtest_sums){0};
    double *leads_s = fw_calloc(t->n + 1, sizeof *leads_s);
    if (leads_s == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu alerts", t->n);
    for (size_t i = 0; i < t->n; i++) {
        const struct backtest_alert *a = &t->alerts[i];
        if (metric >= 0 && a->metric != metric)
            continue;
        if (a->outcome == BACKTEST_UNJUDGED) {
            out->silences++;
            continue;
        }
        out->alerts++;
        out->outcomes[a->outcome]++;
        if (a->outcome == BACKTEST_CAME_TRUE) {
            leads_s[n_true++] =
                (double)(a->crossed_step - a->fired_step) * (double)t->options.step_s;
            out->ahead += a->crossed_step > a->fired_step ? 1 : 0;
        }
    }
    out->lead_s = backtest_median(leads_s, n_true);
    fw_free(leads_s);
    const size_t wrong = out->outcomes[BACKTEST_CAME_FALSE];
    out->precision = n_true + wrong > 0 ? (double)n_true / (double)(n_true + wrong) : (double)NAN;
    out->false_per_day = days > 0.0 ? (double)wrong / days : (double)NAN;
    for (size_t s = 0; s < t->fleet->history->n_series; s++)
        for (size_t m = 0; m < t->schema.count; m++)
            if (metric < 0 || (size_t)metric == m)
                count_crossings(t, s, (uint16_t)m, out);
    return FW_OK;
}
