#include "train/sample.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "domain/identity.h"
#include "tft/assemble.h"
#include "tft/calendar.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { SHORT_OF = 4, HISTORY_AT_LEAST = 12 }; /* one window in four gets a shorter history */

/* Where a real input comes from. */
struct source {
    enum tft_calendar calendar;
    int column; /* of the data; -1: none */
};

/* One worker's arrays. */
struct room {
    int32_t *history_codes, *horizon_codes, *code;
    float *history_reals, *horizon_reals, *scale, *target, *weight, *value;
    double *calendar;
    int64_t *step, *time_ms;
    struct tft_column *columns;
    struct tft_codes *codes;
    size_t *rows;
};

struct train_sampler {
    const struct history *data;
    const struct tft_spec *spec;
    struct train_split split;
    size_t workers;
    struct room *rooms;
    struct source *sources; /* n_reals */
    int *target_column;     /* n_targets */
    bool *is_status;        /* n_categoricals */
    int32_t profile_code[PROFILE_COUNT], status_code[STATUS_COUNT];
    double scales[TFT_TARGETS_MAX];
    uint64_t *before; /* (n_series + 1) training windows of the series before */
};

struct train_split train_split_of(const struct history *data, double share, size_t horizon)
{
    struct train_split s = {INT64_MAX, INT64_MIN, 0};
    for (size_t i = 0; i < data->n_series; i++) {
        const struct history_series *one = &data->series[i];
        const int64_t last = one->first + (int64_t)one->steps - 1;
        s.first = one->first < s.first ? one->first : s.first;
        s.last = last > s.last ? last : s.last;
    }
    int64_t held = (int64_t)(share * (double)(s.last - s.first + 1));
    held = held < (int64_t)horizon ? (int64_t)horizon : held;
    s.validation_from = s.last + 1 - held;
    return s;
}

/* ---- which windows there are ---- */

/* Origins of a series from *low up to but not with *high whose whole horizon lies in [from, to). */
static void origins(const struct train_sampler *s, const struct history_series *one, int64_t from,
                    int64_t to, size_t *low, size_t *high)
{
    const int64_t horizon = (int64_t)s->spec->horizon;
    int64_t a = from - one->first - 1, b = to - one->first - horizon;
    const int64_t least = HISTORY_AT_LEAST > (int64_t)s->spec->history_min
                              ? HISTORY_AT_LEAST
                              : (int64_t)s->spec->history_min;
    const int64_t last = (int64_t)one->steps - horizon;
    a = a < least - 1 ? least - 1 : a;
    b = b > last ? last : b;
    *low = (size_t)a;
    *high = b > a ? (size_t)b : (size_t)a;
}

uint64_t train_sampler_windows(const struct train_sampler *s)
{
    return s->before[s->data->n_series];
}

struct train_window train_sampler_draw(const struct train_sampler *s, uint64_t random)
{
    struct fw_rng rng;
    size_t low = 0, high = s->data->n_series, first, end;
    assert(train_sampler_windows(s) > 0);
    fw_rng_init(&rng, random);
    const uint64_t at = fw_rng_below(&rng, train_sampler_windows(s));
    while (high - low > 1) {
        const size_t mid = low + (high - low) / 2;
        if (s->before[mid] <= at)
            low = mid;
        else
            high = mid;
    }
    origins(s, &s->data->series[low], s->split.first, s->split.validation_from, &first, &end);
    const size_t most = s->spec->history_max;
    const size_t least =
        s->spec->history_min > HISTORY_AT_LEAST ? s->spec->history_min : HISTORY_AT_LEAST;
    struct train_window w = {low, first + (size_t)(at - s->before[low]), most};
    if (most > least && fw_rng_below(&rng, SHORT_OF) == 0)
        w.history = least + (size_t)fw_rng_below(&rng, most - least);
    return w;
}

enum fw_status train_sampler_validation(const struct train_sampler *s, size_t every, size_t max,
                                        struct train_window **windows, size_t *n,
                                        struct fw_error *err)
{
    size_t total = 0, low, high;
    *windows = NULL;
    *n = 0;
    for (size_t i = 0; i < s->data->n_series; i++) {
        origins(s, &s->data->series[i], s->split.validation_from, s->split.last + 1, &low, &high);
        total += (high - low + every - 1) / every;
    }
    const size_t keep = total < max ? total : max;
    if (keep == 0)
        return FW_OK;
    *windows = fw_calloc(keep, sizeof **windows);
    if (*windows == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu validation windows", keep);
    size_t seen = 0;
    for (size_t i = 0; i < s->data->n_series; i++) {
        origins(s, &s->data->series[i], s->split.validation_from, s->split.last + 1, &low, &high);
        for (size_t at = low; at < high; at += every, seen++) {
            if (*n < keep && seen >= *n * total / keep)
                (*windows)[(*n)++] = (struct train_window){i, at, s->spec->history_max};
        }
    }
    return FW_OK;
}

/* ---- tying ---- */

static enum fw_status tie(struct train_sampler *s, struct fw_error *err)
{
    const struct tft_spec *spec = s->spec;
    for (size_t i = 0; i < spec->n_reals; i++) {
        const struct tft_real *real = &spec->reals[i];
        s->sources[i] = (struct source){TFT_NO_CALENDAR, -1};
        if (real->source == TFT_FROM_TARGET)
            s->sources[i].column = history_column(s->data, spec->targets[real->target]);
        if (real->source != TFT_FROM_COLUMN)
            continue;
        s->sources[i].calendar = tft_calendar_kind(real->name);
        s->sources[i].column = history_column(s->data, real->name);
        if (s->sources[i].calendar == TFT_NO_CALENDAR && real->known)
            return fw_fail(err, FW_EINVAL, "the model wants \"%.64s\" ahead of time", real->name);
    }
    for (size_t i = 0; i < spec->n_targets; i++)
        s->target_column[i] = history_column(s->data, spec->targets[i]);
    for (size_t i = 0; i < spec->n_categoricals; i++) {
        const struct tft_vocabulary *v = &spec->categoricals[i];
        s->is_status[i] = strcmp(v->name, "status") == 0;
        if (!s->is_status[i] && strcmp(v->name, "profile") != 0)
            return fw_fail(err, FW_EINVAL, "the model wants \"%.64s\", which data does not have",
                           v->name);
        for (int p = 0; !s->is_status[i] && p < PROFILE_COUNT; p++)
            s->profile_code[p] = tft_vocabulary_code(v, profile_name((enum profile)p));
        for (int k = 0; s->is_status[i] && k < STATUS_COUNT; k++)
            s->status_code[k] = tft_vocabulary_code(v, server_status_name((enum server_status)k));
    }
    return FW_OK;
}

static bool make_room(const struct tft_spec *s, struct room *r)
{
    const size_t e = s->history_max, d = s->horizon, all = e + d, c = s->n_categoricals + 1;
    r->history_codes = fw_calloc(e * c, sizeof(int32_t));
    r->horizon_codes = fw_calloc(d * c, sizeof(int32_t));
    r->code = fw_calloc(e * c, sizeof(int32_t));
    r->history_reals = fw_calloc(e * s->n_reals, sizeof(float));
    r->horizon_reals = fw_calloc(d * s->n_reals, sizeof(float));
    r->scale = fw_calloc(2 * s->n_targets, sizeof(float));
    r->target = fw_calloc(d * s->n_targets, sizeof(float));
    r->weight = fw_calloc(s->n_targets, sizeof(float));
    r->value = fw_calloc(e * s->n_reals, sizeof(float));
    r->calendar = fw_calloc(all * s->n_reals, sizeof(double));
    r->step = fw_calloc(all, sizeof(int64_t));
    r->time_ms = fw_calloc(all, sizeof(int64_t));
    r->columns = fw_calloc(s->n_reals, sizeof *r->columns);
    r->codes = fw_calloc(c, sizeof *r->codes);
    r->rows = fw_calloc(e, sizeof(size_t));
    return r->history_codes != NULL && r->horizon_codes != NULL && r->code != NULL &&
           r->history_reals != NULL && r->horizon_reals != NULL && r->scale != NULL &&
           r->target != NULL && r->weight != NULL && r->value != NULL && r->calendar != NULL &&
           r->step != NULL && r->time_ms != NULL && r->columns != NULL && r->codes != NULL &&
           r->rows != NULL;
}

static void free_room(struct room *r)
{
    void *const all[] = {r->history_codes, r->horizon_codes, r->code,   r->history_reals,
                         r->horizon_reals, r->scale,         r->target, r->weight,
                         r->value,         r->calendar,      r->step,   r->time_ms,
                         r->columns,       r->codes,         r->rows};
    for (size_t i = 0; i < COUNT(all); i++)
        fw_free(all[i]);
}

enum fw_status train_sampler_new(const struct history *data, const struct tft_spec *spec,
                                 const struct train_split *split, size_t workers,
                                 struct train_sampler **out, struct fw_error *err)
{
    struct train_sampler *s = fw_calloc(1, sizeof *s);
    size_t low, high;
    bool ok = s != NULL;
    *out = NULL;
    if (ok) {
        s->data = data;
        s->spec = spec;
        s->split = *split;
        s->rooms = fw_calloc(workers, sizeof *s->rooms);
        s->workers = s->rooms == NULL ? 0 : workers;
        s->sources = fw_calloc(spec->n_reals + 1, sizeof *s->sources);
        s->target_column = fw_calloc(spec->n_targets, sizeof *s->target_column);
        s->is_status = fw_calloc(spec->n_categoricals + 1, sizeof *s->is_status);
        s->before = fw_calloc(data->n_series + 1, sizeof *s->before);
        ok = s->rooms != NULL && s->sources != NULL && s->target_column != NULL &&
             s->is_status != NULL && s->before != NULL;
    }
    for (size_t i = 0; ok && i < workers; i++)
        ok = make_room(spec, &s->rooms[i]);
    enum fw_status status = ok ? tie(s, err) : fw_fail(err, FW_ENOMEM, "no memory for samples");
    if (status != FW_OK) {
        train_sampler_free(s);
        return status;
    }
    for (size_t i = 0; i < spec->n_targets; i++)
        s->scales[i] = 1.0;
    for (size_t i = 0; i < data->n_series; i++) {
        origins(s, &data->series[i], split->first, split->validation_from, &low, &high);
        s->before[i + 1] = s->before[i] + (high - low);
    }
    *out = s;
    return FW_OK;
}

void train_sampler_free(struct train_sampler *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->workers; i++)
        free_room(&s->rooms[i]);
    fw_free(s->rooms);
    fw_free(s->sources);
    fw_free(s->target_column);
    fw_free(s->is_status);
    fw_free(s->before);
    fw_free(s);
}

void train_sampler_set_scales(struct train_sampler *s, const double *scales)
{
    memcpy(s->scales, scales, s->spec->n_targets * sizeof *scales);
}

/* ---- one window ---- */

static bool step_observed(const struct history *data, const struct history_series *one, size_t t)
{
    for (size_t c = 0; c < data->n_columns; c++) {
        if (one->value[c] != NULL && !isnan(one->value[c][t]))
            return true;
    }
    return false;
}

/* Rows that hold anything, the origin, then the horizon. Returns the history's rows. */
static size_t gather_rows(const struct train_sampler *s, const struct history_series *one,
                          const struct train_window *w, struct room *r)
{
    size_t from = w->origin + 1 > w->history ? w->origin + 1 - w->history : 0, rows = 0;
    const size_t least = w->origin + 1 > s->spec->history_min
                             ? w->origin + 1 - s->spec->history_min
                             : 0; /* a longer gap than this before the origin is filled */
    for (size_t t = from; t <= w->origin; t++) {
        if (t == w->origin || (rows == 0 && t == least) || step_observed(s->data, one, t))
            r->rows[rows++] = t;
    }
    for (size_t i = 0; i < rows; i++)
        r->step[i] = one->first + (int64_t)r->rows[i];
    for (size_t h = 0; h < s->spec->horizon; h++)
        r->step[rows + h] = one->first + (int64_t)(w->origin + 1 + h);
    for (size_t i = 0; i < rows + s->spec->horizon; i++)
        r->time_ms[i] = r->step[i] * HISTORY_STEP_S * 1000;
    return rows;
}

static void gather_columns(const struct train_sampler *s, const struct history_series *one,
                           size_t rows, struct room *r)
{
    const struct tft_spec *spec = s->spec;
    const size_t all = rows + spec->horizon;
    for (size_t i = 0; i < spec->n_reals; i++) {
        const struct source *from = &s->sources[i];
        double *calendar = r->calendar + i * (spec->history_max + spec->horizon);
        float *value = r->value + i * spec->history_max;
        r->columns[i] = (struct tft_column){0};
        if (from->calendar != TFT_NO_CALENDAR) {
            tft_calendar_fill(from->calendar, all, r->time_ms, calendar);
            r->columns[i] = (struct tft_column){.f64 = calendar, .rows = all};
        } else if (from->column >= 0 && one->value[from->column] != NULL) {
            for (size_t t = 0; t < rows; t++)
                value[t] = one->value[from->column][r->rows[t]];
            r->columns[i] = (struct tft_column){.f32 = value, .rows = rows};
        }
    }
    for (size_t i = 0; i < spec->n_categoricals; i++) {
        int32_t *code = r->code + i * spec->history_max;
        r->codes[i] = (struct tft_codes){&s->profile_code[one->profile % PROFILE_COUNT], 1};
        if (!s->is_status[i])
            continue;
        for (size_t t = 0; t < rows; t++)
            code[t] = s->status_code[one->status == NULL ? STATUS_UNKNOWN
                                                         : one->status[r->rows[t]] % STATUS_COUNT];
        r->codes[i] = (struct tft_codes){code, rows};
    }
}

static bool column_seen(const struct tft_column *c)
{
    for (size_t i = 0; i < c->rows; i++) {
        if (!isnan(c->f32[i]))
            return true;
    }
    return false;
}

static void gather_targets(const struct train_sampler *s, const struct history_series *one,
                           const struct train_window *w, double share, struct room *r)
{
    const struct tft_spec *spec = s->spec;
    for (size_t k = 0; k < spec->n_targets; k++) {
        const float *from = s->target_column[k] < 0 ? NULL : one->value[s->target_column[k]];
        const size_t input = spec->target_real[k];
        const bool seen = input == SIZE_MAX || column_seen(&r->columns[input]);
        for (size_t h = 0; h < spec->horizon; h++)
            r->target[h * spec->n_targets + k] = from == NULL ? NAN : from[w->origin + 1 + h];
        r->weight[k] =
            seen ? (float)(2.0 * share / ((double)r->scale[2 * k + 1] + s->scales[k])) : 0.0f;
    }
}

void train_sampler_fetch(struct train_sampler *s, const struct train_window *w, size_t worker,
                         double share, struct tft_gradient_series *out)
{
    const struct tft_spec *spec = s->spec;
    const struct history_series *one = &s->data->series[w->series];
    struct room *r = &s->rooms[worker];
    struct tft_scales scales;
    assert(worker < s->workers && w->origin + spec->horizon < one->steps);
    const size_t rows = gather_rows(s, one, w, r);
    gather_columns(s, one, rows, r);
    tft_scales_of(spec, tft_spec_group(spec, one->name), false, &scales);
    const struct tft_series series = {
        .rows = rows + spec->horizon, .step = r->step, .reals = r->columns, .codes = r->codes};
    struct tft_assembled made = {.history_codes = r->history_codes,
                                 .horizon_codes = r->horizon_codes,
                                 .history_reals = r->history_reals,
                                 .horizon_reals = r->horizon_reals,
                                 .output_scale = r->scale};
    const enum fw_status status = tft_assemble(spec, &series, &scales, &made, NULL);
    assert(status == FW_OK); /* gather_rows() gave it history_min steps */
    (void)status;
    gather_targets(s, one, w, share, r);
    *out = (struct tft_gradient_series){.history = made.history_length,
                                        .horizon = spec->horizon,
                                        .history_codes = r->history_codes,
                                        .horizon_codes = r->horizon_codes,
                                        .history_reals = r->history_reals,
                                        .horizon_reals = r->horizon_reals,
                                        .scale = r->scale,
                                        .target = r->target,
                                        .weight = r->weight};
}
