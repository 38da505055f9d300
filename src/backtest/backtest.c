#include "backtest/backtest.h"

#include "backtest/choices.h"
#include "backtest/labels.h"
#include "base/alloc.h"
#include "replay/replay.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { DAY_S = 86400, LEARN_SHARE = 3 /* of the time, one in so many, where there is no split */ };

/* Everything that is alive during a run. */
struct run {
    const struct evaluate_set *set;
    const struct backtest_options *options;
    struct backtest_result *result;
    struct risk_options risk;
    struct risk *risks;                             /* (servers) */
    struct risk_driver drivers[SCHEMA_METRICS_MAX]; /* of the last one: nobody asks for them */
    size_t *place; /* (servers) of each forecast of the set, the server's place by name */
    int64_t *origins;
    size_t n_origins, done;
    enum fw_status status;
    struct fw_error *err;
};

/* ---- what is watched ---- */

static int64_t step_at_or_after(int64_t ms, uint32_t step_s)
{
    const int64_t step_ms = (int64_t)step_s * 1000;
    return (ms + step_ms - 1) / step_ms;
}

static int64_t split_of(const struct evaluate_set *set, const struct history_series *series)
{
    for (size_t i = 0; i < set->n_servers; i++) {
        if (set->servers[i].series == series)
            return series->first + (int64_t)set->servers[i].test;
    }
    return INT64_MAX; /* not one of the set */
}

static void find_span(const struct history *h, int64_t *first, int64_t *last)
{
    *first = INT64_MAX;
    *last = INT64_MIN;
    for (size_t i = 0; i < h->n_series; i++) {
        const int64_t end = h->series[i].first + (int64_t)h->series[i].steps - 1;
        *first = h->series[i].first < *first ? h->series[i].first : *first;
        *last = end > *last ? end : *last;
    }
}

static enum fw_status find_watched(struct run *run)
{
    struct backtest_result *r = run->result;
    const struct backtest_options *o = run->options;
    const struct history *h = r->history;
    int64_t first, last;
    find_span(h, &first, &last);
    const int64_t third = first + (last - first + 1) / LEARN_SHARE;
    const int64_t to = o->to_ms < 0 ? last : step_at_or_after(o->to_ms, r->step_s) - 1;
    for (size_t i = 0; i < h->n_series; i++) {
        const struct history_series *s = &h->series[i];
        const int64_t end = s->first + (int64_t)s->steps - 1;
        int64_t from = o->from_ms >= 0 ? step_at_or_after(o->from_ms, r->step_s)
                       : o->split      ? split_of(run->set, s)
                                       : third;
        from = from < s->first ? s->first : from;
        r->watch_from[i] = from;
        r->watch_to[i] = end < to ? end : to;
        if (r->watch_to[i] < from)
            continue;
        r->servers_watched++;
        r->days += (double)(r->watch_to[i] - from) * r->step_s / DAY_S;
        r->days_learned += (double)(from - s->first) * r->step_s / DAY_S;
    }
    if (r->servers_watched == 0)
        return fw_fail(run->err, FW_EINVAL, "%s: no server has data in the time asked for", r->set);
    run->n_origins = (size_t)((to < last ? to : last) - first + 1);
    run->origins = fw_calloc(run->n_origins, sizeof *run->origins);
    if (run->origins == NULL)
        return fw_fail(run->err, FW_ENOMEM, "no memory for %zu steps", run->n_origins);
    for (size_t i = 0; i < run->n_origins; i++)
        run->origins[i] = first + (int64_t)i;
    return FW_OK;
}

/* ---- set-up ---- */

static void take_thresholds(struct schema *schema, const struct schema *from)
{
    for (size_t m = 0; from != NULL && m < schema->count; m++) {
        struct schema_metric *to = &schema->metrics[m];
        const int at = schema_find(from, to->name, strlen(to->name));
        if (at < 0)
            continue;
        to->worse = from->metrics[at].worse;
        to->warning = from->metrics[at].warning;
        to->critical = from->metrics[at].critical;
    }
}

static void know_schema(struct backtest_result *r, const struct replay *replay,
                        const struct schema *thresholds)
{
    r->schema = *replay_schema(replay);
    take_thresholds(&r->schema, thresholds);
    r->fleet = (struct backtest_fleet){.history = r->history,
                                       .schema = &r->schema,
                                       .watch_from = r->watch_from,
                                       .watch_to = r->watch_to};
    for (size_t m = 0; m < SCHEMA_METRICS_MAX; m++)
        r->fleet.column_of[m] =
            m < r->schema.count ? history_column(r->history, r->schema.metrics[m].name) : -1;
}

static enum fw_status start_trials(struct backtest_result *r, const struct alert_options *alerts,
                                   struct fw_error *err)
{
    struct alert_options now;
    enum fw_status status = FW_OK;
    alert_options_default(&now, &r->schema, r->step_s);
    if (alerts != NULL) {
        now = *alerts;
        now.schema = &r->schema;
        now.step_s = r->step_s;
    }
    const size_t n = backtest_choices(&now, r->choices);
    r->trials = fw_calloc(n, sizeof *r->trials);
    if (r->trials == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu settings", n);
    for (; r->n_choices < n && status == FW_OK; r->n_choices++) {
        struct alert_options options = now;
        struct schema schema = r->schema;
        backtest_choice_apply(&r->choices[r->n_choices], &options, &schema);
        status = backtest_trial_init(&r->trials[r->n_choices], &r->fleet, &schema, &options, err);
    }
    return status;
}

static enum fw_status start_unusual(struct backtest_result *r,
                                    const struct backtest_options *options, struct fw_error *err)
{
    struct surprise_options surprise;
    double rates[BACKTEST_RATES_MAX];
    surprise_options_default(&surprise, r->step_s);
    if (options->alarms_per_server_day > 0.0)
        surprise.alarms_per_server_day = options->alarms_per_server_day;
    r->alarms_per_server_day = surprise.alarms_per_server_day;
    const size_t n = backtest_rates(surprise.alarms_per_server_day, rates);
    return backtest_unusual_init(&r->unusual, &surprise, r->history->n_series, r->watch_from,
                                 r->watch_to, n, rates, err);
}

static enum fw_status read_labels(struct backtest_result *r, const char *path, struct fw_error *err)
{
    const size_t n = r->history->n_series;
    if (path == NULL)
        return FW_OK;
    const char **names = fw_calloc(n, sizeof *names);
    if (names == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu names", n);
    for (size_t i = 0; i < n; i++)
        names[i] = r->history->series[i].name;
    const enum fw_status status =
        backtest_labels_read(path, n, names, r->incidents, &r->labels_unknown, err);
    fw_free(names);
    r->labelled = status == FW_OK;
    return status;
}

/* ---- the replay ---- */

static bool visit(void *ctx, int64_t origin, const struct forecast_set *set)
{
    struct run *run = ctx;
    struct backtest_result *r = run->result;
    size_t at = 0;
    for (size_t i = 0; i < set->count; i++) { /* both ascend by name */
        while (strcmp(r->history->series[at].name, set->items[i]->name) != 0) {
            at++;
            assert(at < r->history->n_series);
        }
        run->place[i] = at;
        risk_score(&run->risk, set->items[i], &run->risks[i], run->drivers);
    }
    for (size_t k = 0; k < r->n_choices && run->status == FW_OK; k++)
        run->status = backtest_trial_update(&r->trials[k], origin, set, run->risks, run->err);
    if (run->status == FW_OK)
        run->status = backtest_unusual_update(&r->unusual, origin, set, run->place, run->err);
    run->done++;
    if (run->options->progress != NULL && run->done % 16 == 0)
        run->options->progress(run->options->progress_ctx, r->set, run->done, run->n_origins);
    return run->status == FW_OK;
}

static enum fw_status play(struct run *run)
{
    struct backtest_result *r = run->result;
    struct replay *replay = NULL;
    const struct replay_options options = {.model = run->options->model,
                                           .threads = run->options->threads,
                                           .origins = run->origins,
                                           .n_origins = run->n_origins};
    enum fw_status status = replay_new(r->history, &options, &replay, run->err);
    if (status == FW_OK) {
        know_schema(r, replay, run->options->thresholds);
        risk_options_default(&run->risk, &r->schema);
        status = start_trials(r, run->options->alerts, run->err);
    }
    if (status == FW_OK)
        status = start_unusual(r, run->options, run->err);
    if (status == FW_OK)
        status = replay_run(replay, visit, run, run->err);
    replay_free(replay);
    return status != FW_OK ? status : run->status;
}

/* ---- sums ---- */

static bool is_alerted(const struct schema_metric *m)
{
    return m->worse != METRIC_WORSE_NONE && !(isnan(m->warning) && isnan(m->critical));
}

/* What each metric's thresholds would have cost, had they been elsewhere. */
static enum fw_status sum_metrics(struct backtest_result *r, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    r->metric_choices = fw_calloc(r->schema.count * r->n_choices, sizeof *r->metric_choices);
    if (r->metric_choices == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu metrics", r->schema.count);
    for (size_t m = 0; m < r->schema.count; m++) {
        if (r->fleet.column_of[m] < 0 || !is_alerted(&r->schema.metrics[m]))
            continue;
        for (size_t k = 0; k < r->n_choices && status == FW_OK; k++) {
            const struct backtest_choice *choice = &r->choices[k];
            if (choice->knob != BACKTEST_THRESHOLDS && choice->knob != BACKTEST_AS_SET)
                continue;
            struct backtest_metric_choice *c = &r->metric_choices[r->n_metric_choices++];
            const struct schema_metric *metric = &r->trials[k].schema.metrics[m];
            *c = (struct backtest_metric_choice){.metric = (uint16_t)m,
                                                 .factor = choice->value,
                                                 .warning = metric->warning,
                                                 .critical = metric->critical};
            status = backtest_trial_sum(&r->trials[k], (int)m, r->days, &c->sums, err);
        }
    }
    return status;
}

static enum fw_status sum_choices(struct backtest_result *r, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    for (size_t k = 0; k < r->n_choices && status == FW_OK; k++) {
        backtest_trial_judge(&r->trials[k]);
        status = backtest_trial_sum(&r->trials[k], -1, r->days, &r->choices[k].sums, err);
    }
    return status != FW_OK ? status : sum_metrics(r, err);
}

/* ---- against labels ---- */

static struct backtest_span alert_span(const struct backtest_result *r,
                                       const struct backtest_alert *a)
{
    const int64_t end =
        a->resolved_step < r->watch_to[a->server] ? a->resolved_step : r->watch_to[a->server];
    return (struct backtest_span){a->fired_step * (int64_t)r->step_s, end * (int64_t)r->step_s};
}

/* The alarms of a kind, by server. False: no memory. */
static bool gather(const struct backtest_result *r, enum backtest_kind kind, size_t rate,
                   struct backtest_watch *watches)
{
    for (size_t s = 0; s < r->history->n_series && kind != BACKTEST_KIND_THRESHOLDS; s++) {
        const struct backtest_spans *spans = backtest_unusual_spans(&r->unusual, rate, s);
        for (size_t i = 0; i < spans->n; i++)
            if (!backtest_spans_add(&watches[s].alarms, spans->items[i]))
                return false;
    }
    for (size_t i = 0; i < r->trials[0].n && kind != BACKTEST_KIND_UNUSUAL; i++) {
        const struct backtest_alert *a = &r->trials[0].alerts[i];
        if (!backtest_spans_add(&watches[a->server].alarms, alert_span(r, a)))
            return false;
    }
    return true;
}

static enum fw_status match(const struct backtest_result *r, enum backtest_kind kind, size_t rate,
                            struct backtest_match *out, struct fw_error *err)
{
    const size_t n = r->history->n_series;
    size_t watched = 0;
    struct backtest_watch *watches = fw_calloc(n, sizeof *watches);
    bool good = watches != NULL && gather(r, kind, rate, watches);
    enum fw_status status = good ? FW_OK : fw_fail(err, FW_ENOMEM, "no memory for the incidents");
    for (size_t s = 0; s < n && good; s++) {
        if (r->watch_to[s] < r->watch_from[s])
            continue;
        watches[watched] = watches[s]; /* moves towards the front */
        if (watched != s)
            watches[s].alarms = (struct backtest_spans){0};
        watches[watched].watched = (struct backtest_span){r->watch_from[s] * (int64_t)r->step_s,
                                                          r->watch_to[s] * (int64_t)r->step_s};
        watches[watched++].incidents = r->incidents[s];
    }
    if (good)
        status = backtest_match(watched, watches, out, err);
    for (size_t s = 0; s < n && watches != NULL; s++)
        backtest_spans_fini(&watches[s].alarms);
    fw_free(watches);
    return status;
}

static enum fw_status sum_unusual(struct backtest_result *r, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    for (size_t k = 0; k < r->unusual.n_rates && status == FW_OK; k++) {
        struct backtest_rate_choice *c = &r->rates[k];
        c->rate = r->unusual.rates[k];
        c->current = c->rate == r->alarms_per_server_day;
        for (size_t s = 0; s < r->history->n_series; s++)
            c->alarms += backtest_unusual_spans(&r->unusual, k, s)->n;
        c->per_day = r->days > 0.0 ? (double)c->alarms / r->days : (double)NAN;
        if (r->labelled)
            status = match(r, BACKTEST_KIND_UNUSUAL, k, &c->match, err);
        for (size_t kind = 0; kind < BACKTEST_KINDS && c->current && r->labelled; kind++)
            if (status == FW_OK)
                status = match(r, (enum backtest_kind)kind, k, &r->against[kind], err);
    }
    return status;
}

bool backtest_result_about(const struct backtest_result *r, size_t server,
                           struct backtest_span alarm)
{
    if (!r->labelled)
        return false;
    for (size_t i = 0; i < r->incidents[server].n; i++) {
        const struct backtest_span *incident = &r->incidents[server].items[i];
        if (alarm.first <= incident->last && alarm.last >= incident->first - BACKTEST_EARLY_S)
            return true;
    }
    return false;
}

/* ---- a run ---- */

static enum fw_status run_all(struct run *run, struct fw_error *err)
{
    struct backtest_result *r = run->result;
    const size_t n = r->history->n_series;
    r->watch_from = fw_calloc(n, sizeof *r->watch_from);
    r->watch_to = fw_calloc(n, sizeof *r->watch_to);
    r->incidents = fw_calloc(n, sizeof *r->incidents);
    run->risks = fw_calloc(n, sizeof *run->risks);
    run->place = fw_calloc(n, sizeof *run->place);
    if (r->watch_from == NULL || r->watch_to == NULL || r->incidents == NULL ||
        run->risks == NULL || run->place == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu servers", n);
    enum fw_status status = find_watched(run);
    if (status == FW_OK)
        status = read_labels(r, run->options->labels, err);
    if (status == FW_OK)
        status = play(run);
    if (status == FW_OK)
        status = sum_choices(r, err);
    return status != FW_OK ? status : sum_unusual(r, err);
}

enum fw_status backtest_run(const struct evaluate_set *set, const struct backtest_options *options,
                            struct backtest_result **out, struct fw_error *err)
{
    *out = NULL;
    struct run run = {.set = set, .options = options, .err = err};
    run.result = fw_calloc(1, sizeof *run.result);
    if (run.result == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for a backtest");
    memcpy(run.result->set, set->name, sizeof run.result->set);
    run.result->history = set->history;
    run.result->step_s = set->history->step_s;
    const enum fw_status status = run_all(&run, err);
    fw_free(run.risks);
    fw_free(run.place);
    fw_free(run.origins);
    if (status != FW_OK) {
        backtest_result_free(run.result);
        return status;
    }
    *out = run.result;
    return FW_OK;
}

void backtest_result_free(struct backtest_result *r)
{
    if (r == NULL)
        return;
    for (size_t k = 0; r->trials != NULL && k < r->n_choices; k++)
        backtest_trial_fini(&r->trials[k]);
    for (size_t i = 0; r->incidents != NULL && i < r->history->n_series; i++)
        backtest_spans_fini(&r->incidents[i]);
    backtest_unusual_fini(&r->unusual);
    fw_free(r->trials);
    fw_free(r->metric_choices);
    fw_free(r->watch_from);
    fw_free(r->watch_to);
    fw_free(r->incidents);
    fw_free(r);
}
