#include "forecast/model.h"

#include "base/alloc.h"
#include "forecast/ladder.h"
#include "tft/assemble.h"
#include "tft/calendar.h"
#include "tft/compile.h"
#include "tft/forward.h"
#include "tft/model.h"
#include "tft/plan.h"
#include "tft/reuse.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum real_kind { REAL_AUTOMATIC, REAL_METRIC, REAL_CALENDAR };
enum code_kind { CODE_PROFILE, CODE_STATUS };

struct real_source {
    uint8_t kind;     /* enum real_kind */
    uint8_t calendar; /* enum tft_calendar */
    uint16_t metric;  /* in the schema */
};

/* A level between two of the model's: value = (1 - part) * q[at] + part * q[at + 1]. */
struct level {
    size_t at;
    float part;
};

struct forecast_model {
    atomic_uint references;
    struct tft_model *tft;
    struct tft_plan *plan; /* NULL: the plain path forecasts, and not_compiled says why */
    struct fw_error not_compiled;
    const struct tft_spec *spec;
    struct tft_model_info network;
    char *path, *name;
    uint32_t step_s, grid_step_s;
    size_t history_min, metrics; /* metrics: of the schema */
    struct real_source *reals;
    uint8_t *codes; /* enum code_kind per categorical */
    int32_t profile_code[PROFILE_COUNT], status_code[STATUS_COUNT];
    int16_t target_of_metric[SCHEMA_METRICS_MAX]; /* -1: none */
    struct level levels[3];
    bool by_metric; /* of forewarn's own form */
};

/* ---- tying names to the schema ---- */

static enum fw_status tie_reals(struct forecast_model *m, const struct schema *schema,
                                struct fw_error *err)
{
    assert(m->reals != NULL);
    for (size_t i = 0; i < m->spec->n_reals; i++) {
        const struct tft_real *real = &m->spec->reals[i];
        const char *name =
            real->source == TFT_FROM_TARGET ? m->spec->targets[real->target] : real->name;
        m->reals[i].kind = REAL_AUTOMATIC;
        if (real->source != TFT_FROM_COLUMN && real->source != TFT_FROM_TARGET)
            continue;
        const enum tft_calendar calendar = tft_calendar_kind(name);
        const int metric = schema_find(schema, name, strlen(name));
        if (calendar != TFT_NO_CALENDAR) {
            m->reals[i].kind = REAL_CALENDAR;
            m->reals[i].calendar = (uint8_t)calendar;
        } else if (metric >= 0 && !real->known) {
            m->reals[i].kind = REAL_METRIC;
            m->reals[i].metric = (uint16_t)metric;
        } else {
            return fw_fail(err, FW_EINVAL, "model input \"%.64s\" is %s", name,
                           metric >= 0 ? "a metric, which nobody knows ahead"
                                       : "no metric of the schema and no calendar value");
        }
    }
    return FW_OK;
}

static enum fw_status tie_categoricals(struct forecast_model *m, struct fw_error *err)
{
    for (size_t i = 0; i < m->spec->n_categoricals; i++) {
        const struct tft_vocabulary *words = &m->spec->categoricals[i];
        if (strcmp(words->name, "profile") == 0) {
            m->codes[i] = CODE_PROFILE;
            for (int p = 0; p < PROFILE_COUNT; p++)
                m->profile_code[p] = tft_vocabulary_code(words, profile_name((enum profile)p));
        } else if (strcmp(words->name, "status") == 0) {
            m->codes[i] = CODE_STATUS;
            for (int s = 0; s < STATUS_COUNT; s++)
                m->status_code[s] =
                    tft_vocabulary_code(words, server_status_name((enum server_status)s));
        } else {
            return fw_fail(err, FW_EINVAL,
                           "model input \"%.64s\" is neither \"profile\" nor \"status\"",
                           words->name);
        }
    }
    return FW_OK;
}

static enum fw_status tie_targets(struct forecast_model *m, const struct schema *schema,
                                  struct fw_error *err)
{
    for (size_t i = 0; i < SCHEMA_METRICS_MAX; i++)
        m->target_of_metric[i] = -1;
    for (size_t t = 0; t < m->spec->n_targets; t++) {
        const char *name = m->spec->targets[t];
        const int metric = schema_find(schema, name, strlen(name));
        if (metric < 0)
            return fw_fail(err, FW_EINVAL, "model target \"%.64s\" is no metric of the schema",
                           name);
        m->target_of_metric[metric] = (int16_t)t;
    }
    return FW_OK;
}

static enum fw_status tie_levels(struct forecast_model *m, struct fw_error *err)
{
    static const double wanted[3] = {0.1, 0.5, 0.9};
    const struct tft_spec *spec = m->spec;
    for (size_t k = 0; k < 3; k++) {
        size_t at = 0;
        bool found = false;
        for (; at < spec->n_quantiles && !found; at++) {
            const double here = spec->quantiles[at];
            if (fabs(here - wanted[k]) < 1e-9) {
                m->levels[k] = (struct level){at, 0.0f};
                found = true;
            } else if (at + 1 < spec->n_quantiles && here < wanted[k] &&
                       spec->quantiles[at + 1] > wanted[k] + 1e-9) {
                const double gap = spec->quantiles[at + 1] - here;
                m->levels[k] = (struct level){at, (float)((wanted[k] - here) / gap)};
                found = true;
            }
        }
        if (!found)
            return fw_fail(err, FW_EINVAL, "the model's quantiles do not reach level %g",
                           wanted[k]);
    }
    return FW_OK;
}

static enum fw_status tie(struct forecast_model *m, const struct schema *schema,
                          struct fw_error *err)
{
    m->by_metric = ladder_spec_fits(m->spec);
    if (m->by_metric) {
        m->history_min = 6 * FORECAST_HORIZON;
        memset(m->target_of_metric, -1, sizeof m->target_of_metric);
        return FW_OK;
    }
    if (m->spec->horizon != FORECAST_HORIZON)
        return fw_fail(err, FW_EINVAL, "the model forecasts %zu steps, expected %d",
                       m->spec->horizon, FORECAST_HORIZON);
    enum fw_status status = tie_reals(m, schema, err);
    if (status == FW_OK)
        status = tie_categoricals(m, err);
    if (status == FW_OK)
        status = tie_targets(m, schema, err);
    if (status == FW_OK)
        status = tie_levels(m, err);
    return status;
}

/* ---- one batch ---- */

/* Everything a batch needs, cut out of one arena. */
struct batch {
    int32_t *history_codes, *horizon_codes;
    float *history_reals, *horizon_reals, *scale, *prediction;
    size_t *history_lengths, *horizon_lengths;
    struct tft_kept *kept;
    /* of one series at a time */
    int64_t *step, *time_ms;
    double *calendar; /* (reals, history + horizon) */
    float *metric;    /* (reals, history) */
    int32_t *code;    /* (categoricals, history) */
    struct tft_column *columns;
    struct tft_codes *code_columns;
    uint32_t *rows; /* (history) index in the window of each row */
};

static size_t rounded_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Hands out an array, or only counts its bytes: one function lays out, and says how much it needs.
 */
static void *carve(struct arena *arena, size_t *bytes, size_t count, size_t size)
{
    *bytes += rounded_up(count * size + 1);
    if (arena == NULL)
        return NULL;
    void *memory = arena_take(arena, rounded_up(count * size + 1), 1, 64);
    assert(memory != NULL);
    return memory;
}

static size_t lay_out(const struct tft_spec *s, size_t n, struct arena *arena, struct batch *b)
{
    const size_t all = s->history_max + s->horizon;
    const size_t c = s->n_categoricals, r = s->n_reals;
    size_t bytes = 64;
    b->history_codes = carve(arena, &bytes, n * s->history_max * c, sizeof(int32_t));
    b->horizon_codes = carve(arena, &bytes, n * s->horizon * c, sizeof(int32_t));
    b->history_reals = carve(arena, &bytes, n * s->history_max * r, sizeof(float));
    b->horizon_reals = carve(arena, &bytes, n * s->horizon * r, sizeof(float));
    b->scale = carve(arena, &bytes, n * s->n_targets * 2, sizeof(float));
    b->prediction =
        carve(arena, &bytes, n * s->horizon * s->n_targets * s->n_quantiles, sizeof(float));
    b->history_lengths = carve(arena, &bytes, n, sizeof(size_t));
    b->horizon_lengths = carve(arena, &bytes, n, sizeof(size_t));
    b->kept = carve(arena, &bytes, n, sizeof(struct tft_kept));
    b->step = carve(arena, &bytes, all, sizeof(int64_t));
    b->time_ms = carve(arena, &bytes, all, sizeof(int64_t));
    b->calendar = carve(arena, &bytes, r * all, sizeof(double));
    b->metric = carve(arena, &bytes, r * s->history_max, sizeof(float));
    b->code = carve(arena, &bytes, c * s->history_max, sizeof(int32_t));
    b->columns = carve(arena, &bytes, r, sizeof(struct tft_column));
    b->code_columns = carve(arena, &bytes, c, sizeof(struct tft_codes));
    b->rows = carve(arena, &bytes, s->history_max, sizeof(uint32_t));
    return bytes;
}

static bool step_observed(const struct forecast_model *m, const struct forecast_window *w, size_t t)
{
    for (size_t i = 0; i < m->metrics; i++)
        if (!isnan(w->values[i * w->steps + t]))
            return true;
    return false;
}

static size_t first_considered(const struct forecast_model *m, const struct forecast_window *w)
{
    return w->steps > m->spec->history_max ? w->steps - m->spec->history_max : 0;
}

size_t forecast_model_history(const struct forecast_model *model,
                              const struct forecast_window *window)
{
    for (size_t t = first_considered(model, window); t < window->steps; t++)
        if (step_observed(model, window, t))
            return window->steps - t;
    return 0;
}

/* Rows of the window: steps that hold anything, then the horizon. Returns the history's rows. A
 * step without a sample is no row: the model saw gaps as repeated rows, calendar included. */
static size_t gather_rows(const struct forecast_model *m, const struct forecast_window *w,
                          struct batch *b)
{
    const int64_t first_step = w->newest_step - (int64_t)w->steps + 1;
    const int64_t step_ms = (int64_t)m->step_s * 1000;
    size_t rows = 0;
    for (size_t t = first_considered(m, w); t < w->steps; t++)
        if (step_observed(m, w, t)) {
            b->step[rows] = first_step + (int64_t)t;
            b->rows[rows++] = (uint32_t)t;
        }
    /* The newest step ends the history even where it holds nothing that the schema has. */
    if (b->step[rows - 1] != w->newest_step) {
        b->step[rows] = w->newest_step;
        b->rows[rows++] = (uint32_t)(w->steps - 1);
    }
    for (size_t h = 0; h < m->spec->horizon; h++)
        b->step[rows + h] = w->newest_step + 1 + (int64_t)h;
    for (size_t i = 0; i < rows + m->spec->horizon; i++)
        b->time_ms[i] = b->step[i] * step_ms;
    return rows;
}

static void gather_columns(const struct forecast_model *m, const struct forecast_window *w,
                           size_t rows, struct batch *b)
{
    const struct tft_spec *s = m->spec;
    const size_t all = rows + s->horizon;
    for (size_t i = 0; i < s->n_reals; i++) {
        double *calendar = b->calendar + i * (s->history_max + s->horizon);
        float *metric = b->metric + i * s->history_max;
        b->columns[i] = (struct tft_column){0};
        if (m->reals[i].kind == REAL_CALENDAR) {
            tft_calendar_fill((enum tft_calendar)m->reals[i].calendar, all, b->time_ms, calendar);
            b->columns[i] = (struct tft_column){.f64 = calendar, .rows = all};
        } else if (m->reals[i].kind == REAL_METRIC) {
            const float *from = w->values + (size_t)m->reals[i].metric * w->steps;
            for (size_t t = 0; t < rows; t++)
                metric[t] = from[b->rows[t]];
            b->columns[i] = (struct tft_column){.f32 = metric, .rows = rows};
        }
    }
    const size_t profile = w->profile < PROFILE_COUNT ? w->profile : PROFILE_GENERIC;
    for (size_t i = 0; i < s->n_categoricals; i++) {
        int32_t *code = b->code + i * s->history_max;
        b->code_columns[i] = (struct tft_codes){&m->profile_code[profile], 1};
        if (m->codes[i] != CODE_STATUS)
            continue;
        for (size_t t = 0; t < rows; t++) {
            const uint8_t status = w->statuses[b->rows[t]];
            code[t] = m->status_code[status < STATUS_COUNT ? status : STATUS_UNKNOWN];
        }
        b->code_columns[i] = (struct tft_codes){code, rows};
    }
}

static bool group_known(const struct tft_spec *spec, const char *group)
{
    const struct tft_normalizer *n = &spec->normalizers[0];
    size_t from = 0, to = n->n_groups;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const int order = strcmp(group, n->by_group[middle].group);
        if (order == 0)
            return true;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return false;
}

/* By which text training knew the server: the spec's table of names, the name itself, or the
 * reference's number. */
static void find_scales(const struct forecast_model *m, const char *name, struct tft_scales *scales)
{
    char id[16];
    const char *group = tft_spec_group(m->spec, name);
    if (!group_known(m->spec, group)) {
        snprintf(id, sizeof id, "%" PRIu32, server_id(name, strlen(name)));
        group = id;
    }
    tft_scales_of(m->spec, group, false, scales);
}

static void assemble_one(const struct forecast_model *m, const struct forecast_window *w, size_t i,
                         struct batch *b)
{
    const struct tft_spec *s = m->spec;
    struct tft_scales scales;
    const size_t rows = gather_rows(m, w, b);
    gather_columns(m, w, rows, b);
    find_scales(m, w->name, &scales);
    const struct tft_series series = {
        .rows = rows + s->horizon, .step = b->step, .reals = b->columns, .codes = b->code_columns};
    struct tft_assembled out = {
        .history_codes = b->history_codes + i * s->history_max * s->n_categoricals,
        .horizon_codes = b->horizon_codes + i * s->horizon * s->n_categoricals,
        .history_reals = b->history_reals + i * s->history_max * s->n_reals,
        .horizon_reals = b->horizon_reals + i * s->horizon * s->n_reals,
        .output_scale = b->scale + i * s->n_targets * 2,
    };
    const enum fw_status status = tft_assemble(s, &series, &scales, &out, NULL);
    assert(status == FW_OK); /* the caller looked at forecast_model_history() */
    (void)status;
    b->history_lengths[i] = out.history_length;
    b->horizon_lengths[i] = s->horizon;
    b->kept[i].reuse = w->reuse;
    b->kept[i].first_step = w->newest_step + 1 - (int64_t)out.history_length;
}

/* Only finite numbers may pass; a target with any other is NaN as a whole. */
static void take_levels(const struct forecast_model *m, const float *prediction, size_t target,
                        float *out)
{
    const struct tft_spec *s = m->spec;
    bool finite = true;
    for (size_t h = 0; h < FORECAST_HORIZON; h++) {
        const float *q = prediction + (h * s->n_targets + target) * s->n_quantiles;
        for (size_t k = 0; k < 3; k++) {
            const struct level l = m->levels[k];
            float value = q[l.at];
            if (l.part > 0.0f)
                value = (1.0f - l.part) * value + l.part * q[l.at + 1];
            finite = finite && isfinite(value);
            out[k * FORECAST_HORIZON + h] = value;
        }
    }
    for (size_t i = 0; !finite && i < (size_t)3 * FORECAST_HORIZON; i++)
        out[i] = NAN;
}

size_t forecast_model_reuse_bytes(const struct forecast_model *model)
{
    return model->plan == NULL || model->by_metric ? 0 : tft_reuse_bytes(model->plan);
}

struct tft_reuse *forecast_model_reuse_new(const struct forecast_model *model)
{
    return forecast_model_reuse_bytes(model) == 0 ? NULL : tft_reuse_new(model->plan);
}

size_t forecast_model_scratch_bytes(const struct forecast_model *model, size_t n)
{
    struct batch unused;
    const size_t history = model->spec->history_max, horizon = model->spec->horizon;
    return lay_out(model->spec, n, NULL, &unused) +
           (model->plan != NULL ? tft_plan_scratch_bytes(model->plan, history, horizon)
                                : tft_forward_scratch_bytes(model->tft, history, horizon));
}

void forecast_model_run(const struct forecast_model *model, size_t n,
                        const struct forecast_window *windows, struct arena scratch, float *out)
{
    const struct tft_spec *s = model->spec;
    struct batch b;
    assert(!model->by_metric);
    lay_out(s, n, &scratch, &b);
    for (size_t i = 0; i < n; i++) {
        assert(forecast_model_history(model, &windows[i]) >= model->history_min);
        assemble_one(model, &windows[i], i, &b);
    }
    const struct tft_input in = {
        .n = n,
        .history_steps = s->history_max,
        .horizon_steps = s->horizon,
        .history_codes = b.history_codes,
        .horizon_codes = b.horizon_codes,
        .history_reals = b.history_reals,
        .horizon_reals = b.horizon_reals,
        .history_lengths = b.history_lengths,
        .horizon_lengths = b.horizon_lengths,
        .output_scale = b.scale,
        .kept = b.kept,
    };
    const struct tft_output output = {.prediction = b.prediction};
    if (model->plan != NULL)
        tft_plan_run(model->plan, &in, b.prediction, scratch);
    else
        tft_forward(model->tft, &in, &output, scratch);
    const size_t stride = s->horizon * s->n_targets * s->n_quantiles;
    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < s->n_targets; t++)
            take_levels(model, b.prediction + i * stride, t,
                        out + (i * s->n_targets + t) * 3 * FORECAST_HORIZON);
}

/* ---- ladders ---- */

struct ladder_batch {
    float *history_reals, *horizon_reals, *scale, *prediction;
    size_t *history_lengths, *horizon_lengths;
    int32_t *no_codes;
};

static size_t lay_out_ladders(size_t n, struct arena *arena, struct ladder_batch *b)
{
    size_t bytes = 64;
    b->history_reals = carve(arena, &bytes, n * LADDER_PAST * LADDER_INPUTS, sizeof(float));
    b->horizon_reals = carve(arena, &bytes, n * LADDER_AHEAD * LADDER_INPUTS, sizeof(float));
    b->scale = carve(arena, &bytes, n * 2, sizeof(float));
    b->prediction = carve(arena, &bytes, n * LADDER_AHEAD * LADDER_QUANTILES, sizeof(float));
    b->history_lengths = carve(arena, &bytes, n, sizeof(size_t));
    b->horizon_lengths = carve(arena, &bytes, n, sizeof(size_t));
    b->no_codes = carve(arena, &bytes, 1, sizeof(int32_t));
    return bytes;
}

size_t forecast_model_ladder_scratch_bytes(const struct forecast_model *model, size_t n)
{
    struct ladder_batch unused;
    return lay_out_ladders(n, NULL, &unused) +
           (model->plan != NULL ? tft_plan_scratch_bytes(model->plan, LADDER_PAST, LADDER_AHEAD)
                                : tft_forward_scratch_bytes(model->tft, LADDER_PAST, LADDER_AHEAD));
}

void forecast_model_run_ladders(const struct forecast_model *model, size_t n,
                                const struct ladder *const *ladders,
                                const struct series_map *const *maps, struct arena scratch,
                                float *out)
{
    struct ladder_batch b;
    assert(model->by_metric);
    lay_out_ladders(n, &scratch, &b);
    for (size_t i = 0; i < n; i++) {
        ladder_fill(ladders[i], b.history_reals + i * LADDER_PAST * LADDER_INPUTS,
                    b.horizon_reals + i * LADDER_AHEAD * LADDER_INPUTS);
        b.scale[2 * i] = 0.0f;
        b.scale[2 * i + 1] = 1.0f;
        b.history_lengths[i] = LADDER_PAST;
        b.horizon_lengths[i] = LADDER_AHEAD;
    }
    const struct tft_input in = {
        .n = n,
        .history_steps = LADDER_PAST,
        .horizon_steps = LADDER_AHEAD,
        .history_codes = b.no_codes,
        .horizon_codes = b.no_codes,
        .history_reals = b.history_reals,
        .horizon_reals = b.horizon_reals,
        .history_lengths = b.history_lengths,
        .horizon_lengths = b.horizon_lengths,
        .output_scale = b.scale,
    };
    const struct tft_output output = {.prediction = b.prediction};
    if (model->plan != NULL)
        tft_plan_run(model->plan, &in, b.prediction, scratch);
    else
        tft_forward(model->tft, &in, &output, scratch);
    for (size_t i = 0; i < n; i++)
        ladder_quantiles(ladders[i], maps[i], b.prediction + i * LADDER_AHEAD * LADDER_QUANTILES,
                         out + i * 3 * FORECAST_HORIZON);
}

/* Of an average series the network must say something near its band. */
static enum fw_status probe_ladder(const struct forecast_model *m, struct fw_error *err)
{
    enum { PLACE_MOST = 20 };
    static const struct series_map plain = {.scale = SERIES_PLAIN};
    const size_t bytes = forecast_model_ladder_scratch_bytes(m, 1);
    struct ladder ladder = {0};
    float out[3 * FORECAST_HORIZON];
    void *scratch = fw_alloc_aligned(bytes, 1);
    if (scratch == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for a probe forecast");
    for (size_t h = 0; h < FORECAST_HORIZON; h++)
        ladder.below[h] = ladder.above[h] = 1.0f;
    const struct ladder *ladders[1] = {&ladder};
    const struct series_map *maps[1] = {&plain};
    forecast_model_run_ladders(m, 1, ladders, maps, arena_over(scratch, bytes), out);
    fw_free(scratch);
    for (size_t i = 0; i < COUNT(out); i++)
        if (!(fabsf(out[i]) <= (float)PLACE_MOST))
            return fw_fail(err, FW_EINVAL,
                           "the model's probe forecast lies %g bands away from the middle",
                           (double)out[i]);
    return FW_OK;
}

/* ---- opening ---- */

/* A day's swing in the middle of each metric's range, around 10 where there is none. */
static void fill_probe(const struct schema *schema, size_t steps, float *values)
{
    for (size_t m = 0; m < schema->count; m++) {
        const struct schema_metric *metric = &schema->metrics[m];
        const bool bounded = isfinite(metric->min) && isfinite(metric->max);
        const double low = isfinite(metric->min) ? metric->min : 0.0;
        const double span = bounded ? metric->max - metric->min : 40.0;
        for (size_t t = 0; t < steps; t++) {
            const double phase = 6.283185307179586 * (double)t / 288.0 + (double)m;
            values[m * steps + t] = (float)(low + span * (0.25 + 0.1 * sin(phase)));
        }
    }
}

static enum fw_status judge_probe(const struct forecast_model *m, const struct schema *schema,
                                  const float *out, struct fw_error *err)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct schema_metric *metric = &schema->metrics[i];
        const int target = m->target_of_metric[i];
        if (target < 0)
            continue;
        const double slack = isfinite(metric->max) && isfinite(metric->min)
                                 ? 0.1 * (metric->max - metric->min)
                                 : 1e6; /* the probe's values are below 100 */
        const double low = isfinite(metric->min) ? metric->min - fmin(slack, 100.0) : -slack;
        const double high = isfinite(metric->max) ? metric->max + slack : slack;
        const float *q = out + (size_t)target * 3 * FORECAST_HORIZON;
        for (size_t k = 0; k < (size_t)3 * FORECAST_HORIZON; k++)
            if (!((double)q[k] >= low && (double)q[k] <= high))
                return fw_fail(err, FW_EINVAL,
                               "the model's probe forecast of %s is %g, outside its range",
                               metric->name, (double)q[k]);
    }
    return FW_OK;
}

static enum fw_status probe(const struct forecast_model *m, const struct schema *schema,
                            struct fw_error *err)
{
    const size_t steps = m->spec->history_max;
    const size_t scratch_bytes = forecast_model_scratch_bytes(m, 1);
    const size_t out_count = m->spec->n_targets * 3 * FORECAST_HORIZON;
    enum fw_status status = FW_ENOMEM;
    float *values = fw_calloc(schema->count * steps, sizeof *values);
    uint8_t *statuses = fw_calloc(steps, sizeof *statuses);
    float *out = fw_calloc(out_count, sizeof *out);
    void *scratch = fw_alloc_aligned(scratch_bytes, 1);
    if (values == NULL || statuses == NULL || out == NULL || scratch == NULL) {
        status = fw_fail(err, FW_ENOMEM, "no memory for a probe forecast");
        goto out;
    }
    fill_probe(schema, steps, values);
    memset(statuses, STATUS_HEALTHY, steps);
    const struct forecast_window window = {.name = "probe",
                                           .profile = PROFILE_GENERIC,
                                           .newest_step = 5700000,
                                           .steps = steps,
                                           .values = values,
                                           .statuses = statuses};
    forecast_model_run(m, 1, &window, arena_over(scratch, scratch_bytes), out);
    status = judge_probe(m, schema, out, err);
out:
    fw_free(values);
    fw_free(statuses);
    fw_free(out);
    fw_free(scratch);
    return status;
}

/* The spec's name, else the last part of the path that is no file name. */
static char *name_of(const struct tft_spec *spec, const char *path)
{
    if (spec->name[0] != '\0')
        return fw_strdup(spec->name);
    char *copy = fw_strdup(path);
    if (copy == NULL)
        return NULL;
    size_t len = strlen(copy);
    const size_t file = strlen(TFT_WEIGHTS_NAME);
    if (len > file && strcmp(copy + len - file, TFT_WEIGHTS_NAME) == 0)
        copy[len -= file] = '\0';
    while (len > 1 && copy[len - 1] == '/')
        copy[--len] = '\0';
    const char *slash = strrchr(copy, '/');
    if (slash != NULL && slash[1] != '\0')
        memmove(copy, slash + 1, strlen(slash + 1) + 1);
    return copy;
}

static void destroy(struct forecast_model *m)
{
    tft_plan_free(m->plan);
    tft_model_close(m->tft);
    fw_free(m->path);
    fw_free(m->name);
    fw_free(m->reals);
    fw_free(m->codes);
    fw_free(m);
}

enum fw_status forecast_model_adopt(struct tft_model *tft, const char *path,
                                    const struct schema *schema, uint32_t step_s,
                                    struct forecast_model **out, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    *out = NULL;
    struct forecast_model *m = fw_calloc(1, sizeof *m);
    if (m == NULL) {
        tft_model_close(tft);
        return fw_fail(err, FW_ENOMEM, "no memory for a model");
    }
    atomic_init(&m->references, 1);
    m->tft = tft;
    m->spec = tft_model_spec(tft);
    m->network = tft_model_info(tft);
    m->step_s = FORECAST_MODEL_STEP_S;
    m->grid_step_s = step_s;
    m->metrics = schema->count;
    m->history_min =
        m->spec->history_min > FORECAST_HISTORY_MIN ? m->spec->history_min : FORECAST_HISTORY_MIN;
    m->path = fw_strdup(path);
    m->name = name_of(m->spec, path);
    m->reals = fw_calloc(m->spec->n_reals + 1, sizeof *m->reals);
    m->codes = fw_calloc(m->spec->n_categoricals + 1, sizeof *m->codes);
    if (m->path == NULL || m->name == NULL || m->reals == NULL || m->codes == NULL)
        status = fw_fail(err, FW_ENOMEM, "no memory for a model");
    if (status == FW_OK)
        status = tie(m, schema, err);
    if (status == FW_OK && tft_compile(tft, &m->plan, &m->not_compiled) == FW_ENOMEM)
        status = fw_fail(err, FW_ENOMEM, "%s", m->not_compiled.text);
    if (status == FW_OK)
        status = m->by_metric ? probe_ladder(m, err) : probe(m, schema, err);
    if (status != FW_OK) {
        destroy(m);
        return status;
    }
    *out = m;
    return FW_OK;
}

enum fw_status forecast_model_open(const char *path, const struct schema *schema, uint32_t step_s,
                                   const struct tft_report *report, struct forecast_model **out,
                                   struct fw_error *err)
{
    struct tft_model *tft;
    *out = NULL;
    const enum fw_status status = tft_model_open(path, report, &tft, err);
    if (status != FW_OK)
        return status;
    return forecast_model_adopt(tft, path, schema, step_s, out, err);
}

struct forecast_model *forecast_model_retain(struct forecast_model *model)
{
    atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
    return model;
}

void forecast_model_use_plain(struct forecast_model *model)
{
    tft_plan_free(model->plan);
    model->plan = NULL;
    (void)fw_fail(&model->not_compiled, FW_EINVAL, "the plain path was asked for");
}

void forecast_model_release(struct forecast_model *model)
{
    if (model != NULL &&
        atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) == 1)
        destroy(model);
}

struct forecast_model_info forecast_model_info(const struct forecast_model *model)
{
    return (struct forecast_model_info){
        .name = model->name,
        .path = model->path,
        .sha256 = model->network.sha256,
        .step_s = model->step_s,
        .history_min = model->history_min,
        .history_max = model->by_metric ? (size_t)FORECAST_TRACK_STEPS : model->spec->history_max,
        .parameters = model->network.parameters,
        .resident_bytes = model->network.resident_bytes,
        .target_count = model->by_metric ? 0 : model->spec->n_targets,
        .quantile_count = model->spec->n_quantiles,
        .serves = model->step_s == model->grid_step_s,
        .plain_reason = model->plan == NULL ? model->not_compiled.text : NULL,
    };
}

const struct tft_model *forecast_model_network(const struct forecast_model *model)
{
    return model->tft;
}

bool forecast_model_by_metric(const struct forecast_model *model)
{
    return model->by_metric;
}

int forecast_model_target(const struct forecast_model *model, int metric)
{
    return metric >= 0 && metric < SCHEMA_METRICS_MAX ? model->target_of_metric[metric] : -1;
}
