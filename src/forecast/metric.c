#include "forecast/metric.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "forecast/argus.h"

#include <assert.h>
#include <math.h>

/* A blend begins when the window reaches back so far, gaps or not, and holds a day's third. */
enum { BLEND_STEPS_MIN = 6 * FORECAST_HORIZON, BLEND_VALUES_MIN = 96, SCORED_MIN = 24 };

size_t metric_scratch_bytes(size_t steps, size_t metrics)
{
    const size_t study = statistical_scratch_bytes(steps), series = series_scratch_bytes(steps);
    const size_t answers = metrics * 3 * FORECAST_HORIZON * sizeof(float);
    return (study > series ? study : series) + metrics * sizeof(struct metric_blend) + answers +
           512;
}

static const float *column_of(const struct metric_work *w, size_t metric)
{
    return w->view->values + metric * w->view->steps;
}

static size_t observed(const float *values, size_t n)
{
    size_t seen = 0;
    for (size_t t = 0; t < n; t++)
        seen += isnan(values[t]) ? 0 : 1;
    return seen;
}

/* The column's steps [from, to) without the missing ones at its beginning. */
static struct series series_of(const struct metric_work *w, size_t metric, size_t from, size_t to)
{
    const float *values = column_of(w, metric);
    while (from + 1 < to && isnan(values[from]))
        from++;
    return (struct series){.values = values + from,
                           .steps = to - from,
                           .step_s = w->job->step_s,
                           .metric = &w->job->schema->metrics[metric]};
}

/* Young windows are studied anew at every step: each one teaches something. */
static uint32_t study_period(uint32_t held)
{
    if (held < 32)
        return 1;
    if (held < 64)
        return 2;
    if (held < 144)
        return 4;
    return held < 288 ? 6 : STUDY_PERIOD_STEPS;
}

/* The study of the window as it was at the last multiple of the period; kept until the next one,
 * unless the server was back-filled since. */
static enum fw_status study_of(const struct metric_work *w, size_t metric,
                               const struct statistical_study **out)
{
    const struct fleet_server *server = &w->view->server;
    const uint32_t period = study_period(server->steps_held);
    const uint64_t phase = w->track->name_hash % period;
    const size_t back = (size_t)(((uint64_t)server->newest_step + phase) % period);
    const int64_t step = server->newest_step - (int64_t)back;
    struct block_study *kept = w->track->studies[metric];
    if (kept == NULL) {
        kept = fw_calloc(1, sizeof *kept);
        if (kept == NULL)
            return FW_ENOMEM;
        kept->step = INT64_MIN;
        w->track->studies[metric] = kept;
    }
    *out = &kept->study;
    if (kept->step == step && server->steps_held <= kept->held + kept->held / 4 + 1)
        return FW_OK;
    const size_t steps = w->view->steps;
    size_t from = steps > STUDY_PERIOD_STEPS ? STUDY_PERIOD_STEPS - back : 0, to = steps - back;
    if (observed(column_of(w, metric) + from, to - from) == 0) {
        from = 0; /* only the last few steps hold anything */
        to = steps;
    }
    const struct series series = series_of(w, metric, from, to);
    statistical_study(&series, w->scratch, &kept->study);
    kept->step = step;
    kept->held = server->steps_held;
    return FW_OK;
}

static enum fw_status statistical(const struct metric_work *w, size_t metric,
                                  enum forecast_reason reason, struct forecast_path *path)
{
    const struct statistical_study *study;
    const enum fw_status status = study_of(w, metric, &study);
    if (status != FW_OK)
        return status;
    float quantiles[3 * FORECAST_HORIZON];
    const struct series series = series_of(w, metric, 0, w->view->steps);
    const size_t chosen = study->chosen;
    const enum forecast_method method = statistical_forecast(&series, study, w->scratch, quantiles);
    const struct forecast_candidate candidate = {.method = method,
                                                 .reason = reason,
                                                 .quantiles = quantiles,
                                                 .pinball = study->loss[chosen],
                                                 .coverage = study->coverage[chosen],
                                                 .scored = study->scored[chosen]};
    forecast_combine(&candidate, 1, series.metric, path);
    return FW_OK;
}

/* ---- the blend ---- */

static bool may_blend(const struct metric_work *w, size_t metric)
{
    if (w->track->learned[metric] != NULL)
        return true;
    const struct series series = series_of(w, metric, 0, w->view->steps);
    return series.steps >= BLEND_STEPS_MIN &&
           observed(series.values, series.steps) >= BLEND_VALUES_MIN;
}

static enum fw_status learned_of(const struct metric_work *w, size_t metric,
                                 const struct series *series, struct track **out)
{
    struct track *track = w->track->learned[metric];
    const bool begins = track == NULL;
    if (begins) {
        track = fw_malloc(sizeof *track);
        if (track == NULL)
            return FW_ENOMEM;
    }
    if (begins || track_outgrown(track, series)) {
        track_init(track, series, w->track->name_hash + metric);
        w->track->learned[metric] = track;
    }
    *out = track;
    return FW_OK;
}

/* What its forecasts were worth when their time came. */
static void measure(const struct track *track, struct forecast_candidate *candidate)
{
    float count = 0.0f, inside = 0.0f, loss = 0.0f;
    for (size_t b = 0; b < TRACK_BLOCKS; b++) {
        count += track->score[b].count;
        inside += track->score[b].inside;
        for (size_t q = 0; q < 3; q++)
            loss += track->score[b].issued[q];
    }
    const bool enough = count >= (float)SCORED_MIN;
    candidate->pinball = enough ? loss / (3.0f * count) : NAN;
    candidate->coverage = enough ? inside / count : NAN;
    candidate->scored = (uint32_t)count;
}

static enum fw_status begin_blend(const struct metric_work *w, struct metric_blend *blend)
{
    struct arena scratch = w->scratch;
    const struct series series = series_of(w, blend->metric, 0, w->view->steps);
    struct track_view view;
    const enum fw_status status = learned_of(w, blend->metric, &series, &blend->track);
    if (status != FW_OK)
        return status;
    track_view(blend->track, &series, w->view->server.newest_step, &scratch, &view);
    if (track_refilled(blend->track, &view)) {
        track_init(blend->track, &series, w->track->name_hash + blend->metric);
        scratch = w->scratch;
        track_view(blend->track, &series, w->view->server.newest_step, &scratch, &view);
    }
    track_learn(blend->track, &view);
    measure(blend->track, &blend->candidate);
    track_speak(blend->track, &view, &blend->words);
    blend->ramps = ramp_find(&view.sums, series.metric, &blend->ramp);
    if (blend->asks)
        ladder_build(blend->track, &view, &blend->words, &blend->ladder);
    return FW_OK;
}

void metric_finish(const struct metric_work *w, struct metric_blend *blend)
{
    float quantiles[3 * FORECAST_HORIZON];
    const bool asked = blend->model != NULL && !isnan(blend->model[0]);
    struct forecast_candidate *candidate = &blend->candidate;
    if (blend->asks && !asked)
        candidate->reason = FORECAST_NOT_FINITE;
    candidate->quantiles = quantiles;
    if (blend->ramps) {
        ramp_path(&blend->ramp, quantiles);
        candidate->method = FORECAST_TREND;
        candidate->model_share = 0.0f;
    } else {
        track_finish(blend->track, &blend->words, blend->model, quantiles);
        candidate->method = FORECAST_BLEND;
        candidate->model_share = asked ? track_model_share(blend->track) : 0.0f;
    }
    forecast_combine(candidate, 1, &w->job->schema->metrics[blend->metric], blend->path);
    track_remember(blend->track, w->view->server.newest_step, &blend->words, blend->path->p10,
                   blend->model);
}

/* ---- all of them ---- */

static void straight_line(const struct metric_work *w, size_t metric, struct forecast_path *path)
{
    struct argus_line line;
    const bool any = argus_forecast(w->job->schema->metrics[metric].name, column_of(w, metric),
                                    w->view->steps, &line);
    assert(any);
    (void)any;
    path->method = FORECAST_ARGUS;
    path->reason = FORECAST_BY_CHOICE;
    path->pinball = path->coverage = NAN;
    path->trend = (float)line.trend;
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        path->p10[i] = (float)line.p10[i];
        path->p50[i] = (float)line.p50[i];
        path->p90[i] = (float)line.p90[i];
    }
}

/* Why the model does not serve this metric of this server; FORECAST_BY_CHOICE when it does. */
static enum forecast_reason obstacle(const struct metric_work *w, size_t metric)
{
    const struct forecast_model *model = w->job->model;
    if (model == NULL)
        return FORECAST_NO_MODEL;
    if (!forecast_model_info(model).serves)
        return FORECAST_STEP_MISMATCH;
    if (forecast_model_by_metric(model))
        return may_blend(w, metric) ? FORECAST_BY_CHOICE : FORECAST_SHORT_HISTORY;
    const int target = forecast_model_target(model, (int)metric);
    if (target < 0)
        return FORECAST_METRIC_UNKNOWN;
    const size_t history = w->model_history;
    /* The server may have history that this metric lacks. */
    if (w->predicted == NULL ||
        observed(column_of(w, metric) + w->view->steps - history, history) < FORECAST_HISTORY_MIN)
        return FORECAST_SHORT_HISTORY;
    return isnan(w->predicted[(size_t)target * 3 * FORECAST_HORIZON]) ? FORECAST_NOT_FINITE
                                                                      : FORECAST_BY_CHOICE;
}

int64_t metric_newest(const struct metric_work *w, size_t metric)
{
    const float *values = column_of(w, metric);
    int64_t t = (int64_t)w->view->steps - 1;
    while (t >= 0 && isnan(values[t]))
        t--;
    return t;
}

enum fw_status metric_begin(const struct metric_work *w, size_t metric, int64_t newest,
                            struct forecast_path *path, struct metric_blend *blend, bool *pending)
{
    const int64_t back = (int64_t)w->view->steps - 1 - newest;
    path->metric = (uint16_t)metric;
    path->current = column_of(w, metric)[newest];
    path->last_seen_ms = (w->view->server.newest_step - back) * (int64_t)w->job->step_s * 1000 +
                         (int64_t)w->view->offsets_ms[newest];
    *pending = false;
    if (w->job->kind == FORECASTER_ARGUS) {
        straight_line(w, metric, path);
        return FW_OK;
    }
    const struct forecast_candidate candidate = {.method = FORECAST_TFT,
                                                 .reason = obstacle(w, metric),
                                                 .pinball = NAN,
                                                 .coverage = NAN,
                                                 .model_share = 1.0f};
    const bool serves = candidate.reason == FORECAST_BY_CHOICE;
    const float *model = NULL;
    if (serves && !forecast_model_by_metric(w->job->model))
        model = w->predicted +
                (size_t)forecast_model_target(w->job->model, (int)metric) * 3 * FORECAST_HORIZON;
    if (may_blend(w, metric)) {
        blend->metric = metric;
        blend->path = path;
        blend->candidate = candidate;
        blend->model = model;
        blend->asks = serves && model == NULL;
        *pending = true;
        return begin_blend(w, blend);
    }
    if (model == NULL)
        return statistical(w, metric, candidate.reason, path);
    struct forecast_candidate alone = candidate;
    alone.quantiles = model;
    forecast_combine(&alone, 1, &w->job->schema->metrics[metric], path);
    return FW_OK;
}
