/* What a run learns: targets, lengths, scales and the network of it. */
#include "train/trainer_internal.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "domain/schema.h"
#include "forecast/shipped.h"
#include "tft/file.h"
#include "tft/model.h"
#include "train/ladder_form.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HISTORY_MIN = 12,
    FIT_WINDOWS = 1000,
    CENTER_STEPS = 3,     /* of a target whose level moves slowly */
    LEVELS_SERVERS = 200, /* from which on a target's level is an input of its own */
    WEEKLY_DAYS = 14,     /* of training data before the day of the week is an input */
};

static bool wanted(const char *metrics, const char *name)
{
    const size_t len = strlen(name);
    for (const char *at = metrics; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return false;
}

/* Up-time is no forecast but arithmetic, and the cascade's share is made from the others. */
static bool forecastable(int metric)
{
    return metric >= 0 && metric != METRIC_UPTIME_DAYS && metric != METRIC_CASCADE_IMPACT;
}

static bool ever_seen(const struct history *d, size_t column)
{
    for (size_t i = 0; i < d->n_series; i++) {
        if (d->series[i].value[column] != NULL)
            return true;
    }
    return false;
}

static enum fw_status check_wanted(const struct trainer *t)
{
    char name[HISTORY_COLUMN_NAME_MAX + 1];
    for (const char *at = t->o->metrics; at != NULL && *at != '\0';) {
        const size_t len = strcspn(at, ",");
        if (len == 0 || len >= sizeof name)
            return fw_fail(t->err, FW_EINVAL, "--metrics holds an empty or overlong name");
        memcpy(name, at, len);
        name[len] = '\0';
        if (history_column(t->data, name) < 0)
            return fw_fail(t->err, FW_EINVAL, "the data has no column %s", name);
        at += len + (at[len] == ',');
    }
    return FW_OK;
}

static enum fw_status choose_targets(struct trainer *t)
{
    struct schema schema;
    const struct history *d = t->data;
    bool known = false;
    schema_default(&schema);
    enum fw_status status = check_wanted(t);
    for (size_t c = 0; c < d->n_columns; c++)
        known = known || forecastable(schema_find(&schema, d->column[c], strlen(d->column[c])));
    for (size_t c = 0; c < d->n_columns && status == FW_OK; c++) {
        const int metric = schema_find(&schema, d->column[c], strlen(d->column[c]));
        const bool take = t->o->metrics != NULL ? wanted(t->o->metrics, d->column[c])
                                                : !known || forecastable(metric);
        if (!take || !ever_seen(d, c))
            continue;
        const size_t k = t->form.n_targets++;
        t->form.targets[k] = d->column[c];
        /* Levels tell a few servers apart, and the network would learn their past by heart. */
        t->form.level[k] =
            metric >= 0 && isfinite(schema.metrics[metric].max) && d->n_series >= LEVELS_SERVERS;
        t->form.center[k] = t->form.scale[k] = (struct tft_scaler){0.0, 1.0};
        if (metric < 0)
            trainer_note(t,
                         "%s is no metric of the schema: a model with it forecasts, but the daemon "
                         "does not serve it",
                         d->column[c]);
    }
    if (status == FW_OK && t->form.n_targets == 0)
        status = fw_fail(t->err, FW_EINVAL, "the data has nothing to forecast");
    return status;
}

/* The history is cut where the longest series cannot fill it and leave windows to learn from. */
static enum fw_status choose_lengths(struct trainer *t)
{
    size_t longest = 0;
    t->form.horizon = t->o->horizon;
    t->split = train_split_of(t->data, t->o->validation, t->o->horizon);
    for (size_t i = 0; i < t->data->n_series; i++) {
        const struct history_series *s = &t->data->series[i];
        const int64_t steps = t->split.validation_from - s->first;
        const size_t n = steps < 0 ? 0 : (size_t)steps < s->steps ? (size_t)steps : s->steps;
        longest = n > longest ? n : longest;
    }
    if (longest < HISTORY_MIN + t->o->horizon + 1)
        return fw_fail(t->err, FW_EINVAL,
                       "the longest series has %zu steps of %d s to learn from, and %zu are needed",
                       longest, HISTORY_STEP_S, HISTORY_MIN + t->o->horizon + 1);
    const size_t room = (longest - t->o->horizon) * 3 / 4;
    t->form.history = t->o->history < room ? t->o->history : room;
    if (t->form.history < HISTORY_MIN)
        t->form.history = HISTORY_MIN;
    t->form.history_min = HISTORY_MIN;
    t->form.status = t->data->has_status;
    t->form.weekly = (t->split.validation_from - t->split.first) * HISTORY_STEP_S >=
                     (int64_t)WEEKLY_DAYS * 86400;
    if (t->form.history < t->o->history)
        trainer_note(t, "short data: the model sees %zu steps of history instead of %zu",
                     t->form.history, t->o->history);
    return FW_OK;
}

/* ---- scales ---- */

struct moments {
    double n, sum, squares;
};

static void take(struct moments *m, double x)
{
    m->n += 1.0;
    m->sum += x;
    m->squares += x * x;
}

static struct tft_scaler scaler_of(const struct moments *m)
{
    const double mean = m->n == 0.0 ? 0.0 : m->sum / m->n;
    const double variance = m->n == 0.0 ? 0.0 : m->squares / m->n - mean * mean;
    return (struct tft_scaler){mean, variance > 1e-12 ? sqrt(variance) : 1.0};
}

/* How far a window's horizon lies from its center. */
static double miss(const struct tft_gradient_series *s, size_t targets, size_t k)
{
    double sum = 0.0;
    for (size_t h = 0; h < s->horizon; h++) {
        const float y = s->target[h * targets + k];
        sum += isnan(y) ? 0.0 : fabs((double)y - (double)s->scale[2 * k]);
    }
    return sum;
}

/* The typical center and scale of a window, from some windows drawn for it. A scale of zero, where
 * nothing ever moves, counts as 1, lest its loss be divided by nothing. */
void trainer_fit_scales(struct trainer *t, struct train_sampler *sampler, size_t targets,
                        double *misses)
{
    struct moments center[TFT_TARGETS_MAX] = {0}, scale[TFT_TARGETS_MAX] = {0};
    memset(misses, 0, targets * sizeof *misses);
    for (uint64_t i = 0; i < FIT_WINDOWS; i++) {
        struct tft_gradient_series s;
        const uint64_t draw[2] = {t->o->seed, i};
        const struct train_window w =
            train_sampler_draw(sampler, fw_hash_stable(draw, sizeof draw) ^ 0x5ca1eu);
        train_sampler_fetch(sampler, &w, 0, 1.0, &s);
        for (size_t k = 0; k < targets; k++) {
            if (s.weight[k] == 0.0f)
                continue;
            take(&center[k], (double)s.scale[2 * k]);
            take(&scale[k], (double)s.scale[2 * k + 1]);
            misses[k] += miss(&s, targets, k);
        }
    }
    for (size_t k = 0; k < targets; k++) {
        t->form.center[k] = scaler_of(&center[k]);
        t->form.scale[k] = scaler_of(&scale[k]);
        const double typical = t->form.scale[k].mean;
        t->state.scales[k] = typical > 1e-6 ? typical : 1.0;
    }
}

static enum fw_status write_spec(struct trainer *t)
{
    fw_buf_reset(&t->spec);
    train_spec_write(&t->form, &t->spec);
    return t->spec.failed ? fw_fail(t->err, FW_ENOMEM, "no memory for the spec") : FW_OK;
}

enum fw_status trainer_need_windows(const struct trainer *t, const struct train_sampler *sampler)
{
    if (train_sampler_windows(sampler) == 0)
        return fw_fail(t->err, FW_EINVAL, "no series is long enough to learn from");
    return FW_OK;
}

/* Writes the spec as it stands, fits the scales on windows drawn with it, and writes it with them.
 */
static enum fw_status fit_form(struct trainer *t, double *misses)
{
    struct tft_spec *spec = NULL;
    struct train_sampler *sampler = NULL;
    enum fw_status status = write_spec(t);
    if (status == FW_OK)
        status = tft_spec_parse(t->spec.data, t->spec.len, TFT_SPEC_NAME, &spec, t->err);
    if (status == FW_OK)
        status = train_sampler_new(t->data, spec, &t->split, 1, &sampler, t->err);
    if (status == FW_OK)
        status = trainer_need_windows(t, sampler);
    if (status == FW_OK) {
        trainer_fit_scales(t, sampler, spec->n_targets, misses);
        status = write_spec(t);
    }
    train_sampler_free(sampler);
    tft_spec_free(spec);
    return status;
}

/* A target that goes round its mean is centered on it; one whose level stays where it got to (a
 * disk that fills up) on its newest values: whichever lies closer to what came next. */
static enum fw_status choose_centers(struct trainer *t, const double *of_mean)
{
    double of_newest[TFT_TARGETS_MAX], unused[TFT_TARGETS_MAX];
    for (size_t k = 0; k < t->form.n_targets; k++)
        t->form.center_steps[k] = CENTER_STEPS;
    const enum fw_status status = fit_form(t, of_newest);
    if (status != FW_OK)
        return status;
    for (size_t k = 0; k < t->form.n_targets; k++)
        t->form.center_steps[k] = of_newest[k] < of_mean[k] ? CENTER_STEPS : 0;
    return fit_form(t, unused);
}

/* What windows have in common: their centers' mean, and how far values lie from it. */
static enum fw_status pool_scales(struct trainer *t)
{
    double unused[TFT_TARGETS_MAX];
    t->form.pooled = true;
    for (size_t k = 0; k < t->form.n_targets; k++) {
        const struct tft_scaler *center = &t->form.center[k], *scale = &t->form.scale[k];
        t->form.pair[k] = (struct tft_pair){center->mean, hypot(center->scale, scale->mean)};
        t->form.level[k] = false;
    }
    return fit_form(t, unused);
}

static enum fw_status own_form(struct trainer *t)
{
    double of_mean[TFT_TARGETS_MAX];
    enum fw_status status = choose_targets(t);
    if (status == FW_OK)
        status = choose_lengths(t);
    if (status == FW_OK)
        status = fit_form(t, of_mean);
    if (status == FW_OK)
        status = t->o->pooled ? pool_scales(t) : choose_centers(t, of_mean);
    if (status == FW_OK)
        status = tft_learner_new(t->spec.data, t->spec.len, TFT_SPEC_NAME, &t->o->sizes, t->o->seed,
                                 t->o->threads, &t->learner, t->err);
    return status;
}

/* forewarn's own: nothing of it comes from the data. */
static enum fw_status ladder_form(struct trainer *t)
{
    fw_buf_reset(&t->spec);
    train_ladder_write_spec(&t->spec);
    if (t->spec.failed)
        return fw_fail(t->err, FW_ENOMEM, "no memory for the spec");
    const enum fw_status status =
        tft_learner_new(t->spec.data, t->spec.len, TFT_SPEC_NAME, &t->o->sizes, t->o->seed,
                        t->o->threads, &t->learner, t->err);
    if (status == FW_OK)
        train_ladder_begin(t->learner);
    return status;
}

static enum fw_status learn_from(struct trainer *t, const struct tft_model *model, const char *spec,
                                 size_t size)
{
    const enum fw_status status =
        tft_learner_from_model(model, spec, size, t->o->threads, &t->learner, t->err);
    if (status != FW_OK)
        return status;
    fw_buf_reset(&t->spec);
    fw_buf_put(&t->spec, spec, size);
    return t->spec.failed ? fw_fail(t->err, FW_ELIMIT, "the model's spec is too long") : FW_OK;
}

/* Fine-tuning what comes with the program. */
static enum fw_status shipped_form(struct trainer *t)
{
    const struct forecast_shipped_files files = forecast_shipped_files();
    struct tft_model *model;
    unsigned char *weights = fw_malloc(files.weights_size);
    if (weights == NULL)
        return fw_fail(t->err, FW_ENOMEM, "no memory for the shipped model");
    memcpy(weights, files.weights, files.weights_size);
    enum fw_status status = tft_model_load(weights, files.weights_size, files.spec, files.spec_size,
                                           NULL, &model, t->err);
    if (status != FW_OK)
        return status;
    status = learn_from(t, model, files.spec, files.spec_size);
    tft_model_close(model);
    return status;
}

/* The spec and weights of a model that is there. */
static enum fw_status form_of(struct trainer *t, const char *path)
{
    struct tft_model *model;
    char dir[4096];
    const char *name;
    unsigned char *text = NULL;
    size_t size;
    struct stat st;
    int fd;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        (void)snprintf(dir, sizeof dir, "%s", path);
    else if (!tft_file_split(path, dir, sizeof dir, &name))
        return fw_fail(t->err, FW_EINVAL, "%.200s: no such model", path);
    enum fw_status status = tft_model_open(path, NULL, &model, t->err);
    if (status != FW_OK)
        return status;
    status = tft_file_open_dir(dir, &fd, t->err);
    if (status == FW_OK) {
        status = tft_file_read(fd, TFT_SPEC_NAME, TFT_SPEC_MAX_BYTES, false, &text, &size, t->err);
        close(fd);
    }
    if (status == FW_OK)
        status = learn_from(t, model, (const char *)text, size);
    fw_free(text);
    tft_model_close(model);
    return status;
}

/* ---- of a new model, or of one that is there ---- */

enum fw_status trainer_make_form(struct trainer *t)
{
    if (t->o->resume || t->o->from != NULL) {
        const bool shipped = !t->o->resume && strcmp(t->o->from, FORECAST_SHIPPED) == 0;
        const enum fw_status status =
            shipped ? shipped_form(t) : form_of(t, t->o->resume ? t->o->out : t->o->from);
        if (status != FW_OK)
            return status;
        t->split = train_split_of(t->data, t->o->validation, tft_learner_spec(t->learner)->horizon);
        return FW_OK;
    }
    if (t->o->form == TRAIN_METRIC)
        return ladder_form(t);
    return own_form(t);
}
