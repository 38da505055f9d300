#include "replay/replay.h"

#include "base/alloc.h"
#include "fleet/fleet.h"
#include "forecast/shipped.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* What forecasters learn from, they learn while it is in the window. */
enum { WINDOW_STEPS = 864 };

struct replay {
    const struct history *history;
    struct replay_options options;
    struct schema schema;
    struct profile_rules profiles;
    struct fw_clock_fake clock;
    struct fleet *fleet;
    struct forecaster *forecaster;
    struct sample_batch *batch;
    int metric_of[HISTORY_COLUMNS_MAX]; /* of each column */
    int64_t first, last;                /* steps of the history */
};

/* ---- the schema ---- */

static bool goes_below_zero(const struct replay *r, size_t column)
{
    const int64_t until = r->options.n_origins > 0 ? r->options.origins[0] : r->last;
    for (size_t i = 0; i < r->history->n_series; i++) {
        const struct history_series *s = &r->history->series[i];
        for (size_t t = 0; s->value[column] != NULL && t < s->steps; t++)
            if (s->value[column][t] < 0.0f && s->first + (int64_t)t <= until)
                return true;
    }
    return false;
}

static enum fw_status make_schema(struct replay *r, struct fw_error *err)
{
    schema_default(&r->schema);
    for (size_t c = 0; c < r->history->n_columns; c++) {
        const char *name = r->history->column[c];
        struct schema_metric metric = {.max = (double)INFINITY,
                                       .warning = (double)NAN,
                                       .critical = (double)NAN,
                                       .worse = METRIC_WORSE_NONE};
        static_assert(sizeof metric.name >= HISTORY_COLUMN_NAME_MAX + 1, "a column's name fits");
        r->metric_of[c] = schema_find(&r->schema, name, strlen(name));
        if (r->metric_of[c] >= 0)
            continue;
        memcpy(metric.name, name, strlen(name) + 1);
        metric.min = goes_below_zero(r, c) ? -(double)INFINITY : 0.0;
        const enum fw_status status = schema_set(&r->schema, &metric, err);
        if (status != FW_OK)
            return status;
        r->metric_of[c] = (int)r->schema.count - 1;
    }
    return FW_OK;
}

/* ---- set-up ---- */

static void find_span(struct replay *r)
{
    r->first = INT64_MAX;
    r->last = INT64_MIN;
    for (size_t i = 0; i < r->history->n_series; i++) {
        const struct history_series *s = &r->history->series[i];
        const int64_t last = s->first + (int64_t)s->steps - 1;
        r->first = s->first < r->first ? s->first : r->first;
        r->last = last > r->last ? last : r->last;
    }
}

static enum fw_status start(struct replay *r, struct fw_error *err)
{
    struct fleet_options fleet;
    struct forecast_model *model = NULL;
    const uint32_t step_s = r->history->step_s;
    profile_rules_default(&r->profiles);
    fw_clock_fake_init(&r->clock, r->first * (int64_t)step_s * 1000);
    fleet_options_default(&fleet);
    fleet.schema = &r->schema;
    fleet.profiles = &r->profiles;
    fleet.clock = &r->clock.clock;
    fleet.step_s = step_s;
    fleet.window_steps = WINDOW_STEPS;
    fleet.servers_max = r->history->n_series;
    const struct forecaster_options forecaster = {.schema = &r->schema,
                                                  .clock = fw_clock_system(),
                                                  .step_s = step_s,
                                                  .threads = r->options.threads};
    enum fw_status status = fleet_new(&fleet, &r->fleet, err);
    if (status == FW_OK)
        status = forecaster_new(&forecaster, &r->forecaster, err);
    if (status == FW_OK && r->options.model != NULL)
        status = forecast_model_open_named(r->options.model, &r->schema, step_s, &model, err);
    if (status == FW_OK && model != NULL)
        forecaster_set_model(r->forecaster, model);
    if (status == FW_OK && (r->batch = batch_new()) == NULL)
        status = fw_fail(err, FW_ENOMEM, "no memory to replay a history");
    return status;
}

enum fw_status replay_new(const struct history *history, const struct replay_options *options,
                          struct replay **out, struct fw_error *err)
{
    *out = NULL;
    struct replay *r = fw_calloc(1, sizeof *r);
    if (r == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory to replay a history");
    r->history = history;
    r->options = *options;
    find_span(r);
    enum fw_status status = make_schema(r, err);
    if (status == FW_OK)
        status = start(r, err);
    if (status != FW_OK) {
        replay_free(r);
        return status;
    }
    *out = r;
    return FW_OK;
}

void replay_free(struct replay *r)
{
    if (r == NULL)
        return;
    forecaster_free(r->forecaster);
    fleet_free(r->fleet);
    batch_free(r->batch);
    fw_free(r);
}

const struct schema *replay_schema(const struct replay *r)
{
    return &r->schema;
}

/* ---- a step ---- */

static enum fw_status put_row(struct replay *r, const struct history_series *s, size_t t,
                              int64_t time_ms)
{
    struct sample_row row = {
        .time_ms = time_ms,
        .status = s->status == NULL ? (uint8_t)STATUS_UNKNOWN : s->status[t],
        .profile = s->profile_given ? s->profile : (uint8_t)PROFILE_UNKNOWN,
    };
    enum fw_status status = batch_name(r->batch, s->name, strlen(s->name), &row.name);
    if (status == FW_OK)
        status = batch_row_begin(r->batch, &row);
    for (size_t c = 0; c < r->history->n_columns && status == FW_OK; c++)
        if (s->value[c] != NULL && !isnan(s->value[c][t]))
            status = batch_value(r->batch, r->metric_of[c], s->value[c][t]);
    if (status == FW_OK)
        (void)batch_row_end(r->batch);
    return status;
}

/* Everything that the fleet reported in a step, at the step's end. */
static enum fw_status feed(struct replay *r, int64_t step, uint64_t seq)
{
    struct fleet_applied applied;
    const int64_t step_ms = (int64_t)r->history->step_s * 1000;
    enum fw_status status = FW_OK;
    batch_reset(r->batch);
    for (size_t i = 0; i < r->history->n_series && status == FW_OK; i++) {
        const struct history_series *s = &r->history->series[i];
        if (step >= s->first && step - s->first < (int64_t)s->steps)
            status = put_row(r, s, (size_t)(step - s->first), step * step_ms);
    }
    fw_clock_fake_advance_ms(&r->clock, step_ms);
    if (status == FW_OK && r->batch->row_count > 0)
        status = fleet_admit(r->fleet, r->batch);
    if (status == FW_OK && r->batch->row_count > 0)
        status = fleet_apply(r->fleet, r->batch, seq, &applied);
    return status;
}

enum fw_status replay_run(struct replay *r, replay_visit_fn visit, void *ctx, struct fw_error *err)
{
    const struct forecast_set *set = NULL;
    enum fw_status status = FW_OK;
    size_t next = 0;
    bool go_on = true;
    for (int64_t step = r->first; step <= r->last && go_on && status == FW_OK; step++) {
        while (next < r->options.n_origins && r->options.origins[next] < step)
            next++; /* before the history's begin, or given twice */
        if (next == r->options.n_origins)
            break;
        status = feed(r, step, (uint64_t)(step - r->first) + 1);
        if (status != FW_OK)
            status = fw_fail(err, status, "no memory to replay a history");
        const bool due = step == r->options.origins[next];
        if (status != FW_OK || (!due && step % FORECAST_KEPT_STEPS != 0))
            continue;
        const struct forecast_set *previous = set;
        status = forecaster_run(r->forecaster, r->fleet, previous, &set, err);
        forecast_set_release(previous);
        if (status == FW_OK && due)
            go_on = visit(ctx, step, set);
    }
    forecast_set_release(set);
    return status;
}

void replay_quantiles(const struct forecast *forecast, const struct forecast_path *path,
                      uint32_t step_s, int64_t origin, float quantiles[3][FORECAST_HORIZON])
{
    /* forecast->origin_ms is the end of its newest step. */
    const int64_t newest = forecast->origin_ms / ((int64_t)step_s * 1000) - 1;
    const int64_t late = origin - newest;
    assert(late >= 0);
    const float *const from[3] = {path->p10, path->p50, path->p90};
    for (size_t k = 0; k < 3; k++)
        for (int64_t h = 0; h < FORECAST_HORIZON; h++)
            quantiles[k][h] =
                from[k][h + late < FORECAST_HORIZON ? h + late : FORECAST_HORIZON - 1];
}
