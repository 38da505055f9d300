#include "train/trainer.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "domain/schema.h"
#include "tft/file.h"
#include "tft/model.h"
#include "tft/safetensors.h"
#include "forecast/ladder.h"
#include "forecast/shipped.h"
#include "history/splits.h"
#include "train/checkpoint.h"
#include "train/ladder_form.h"
#include "train/pool.h"
#include "train/sample.h"
#include "train/spec.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HISTORY_MIN = 12,
    SPEC_BYTES_MAX = 1 << 20,
    FIT_WINDOWS = 1000,
    VALIDATION_WINDOWS = 512,
    VALIDATION_SAMPLES = 8192, /* of a pool */
    VALIDATION_EVERY = 32,     /* steps between validation windows of one server */
    STEPS_MIN = 25,
    STEPS_MAX = 250,
    WINDOWS_PER_SAMPLE = 24, /* an epoch draws one in so many of the windows there are */
    PLATEAU_PATIENCE = 4,
    CENTER_STEPS = 3,     /* of a target whose level moves slowly */
    LEVELS_SERVERS = 200, /* from which on a target's level is an input of its own */
    WEEKLY_DAYS = 14,     /* of training data before the day of the week is an input */
};
#define RATE_MIN 1e-5

struct trainer {
    const struct train_options *o;
    const struct train_hooks *hooks;
    struct history *data;
    struct train_form form;
    struct train_split split;
    struct fw_buf spec;
    struct tft_learner *learner;
    struct train_sampler *sampler; /* of TRAIN_FLEET, with its windows; */
    struct train_window *validation, *drawn;
    struct train_pool *pool; /* or the pool of TRAIN_METRIC, with what was drawn from it */
    struct train_pick *picks;
    double *losses;
    size_t n_validation;
    float *best;
    int dir;
    struct train_state state;
    int64_t started_ns;
    uint64_t sequences;
    struct fw_error *err;
};

void train_options_default(struct train_options *o)
{
    *o = (struct train_options){
        .epochs = 60,
        .threads = 1,
        .batch = 32,
        .history = 288,
        .horizon = 96,
        .samples = 131072,
        .seed = 1,
        .rate = 3e-3,
        .dropout = 0.2,
        .clip = 0.1,
        .validation = 0.15,
        .patience = 12,
        .sizes = {32, 4, 1, 16},
    };
}

static void note(const struct trainer *t, const char *format, ...) FW_PRINTF(2, 3);
static void note(const struct trainer *t, const char *format, ...)
{
    char text[512];
    va_list args;
    if (t->hooks->note == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    t->hooks->note(t->hooks->ctx, text);
}

static double seconds(const struct trainer *t)
{
    return (double)(fw_clock_mono_ns(t->hooks->clock) - t->started_ns) * 1e-9;
}

/* ---- what is learned ---- */

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
            note(t,
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
        note(t, "short data: the model sees %zu steps of history instead of %zu", t->form.history,
             t->o->history);
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
static void fit_scales(struct trainer *t, struct train_sampler *sampler, size_t targets,
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

static enum fw_status need_windows(const struct trainer *t, const struct train_sampler *sampler)
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
        status = need_windows(t, sampler);
    if (status == FW_OK) {
        fit_scales(t, sampler, spec->n_targets, misses);
        status = write_spec(t);
    }
    train_sampler_free(sampler);
    tft_spec_free(spec);
    return status;
}

/* A target that goes round its mean is centered on it; one whose level stays where it got to (a
 * disk that fills up) on its newest values: whichever lies closer to what came next. */
static enum fw_status own_form(struct trainer *t)
{
    double of_mean[TFT_TARGETS_MAX], of_newest[TFT_TARGETS_MAX];
    enum fw_status status = choose_targets(t);
    if (status == FW_OK)
        status = choose_lengths(t);
    if (status == FW_OK)
        status = fit_form(t, of_mean);
    for (size_t k = 0; k < t->form.n_targets; k++)
        t->form.center_steps[k] = CENTER_STEPS;
    if (status == FW_OK)
        status = fit_form(t, of_newest);
    for (size_t k = 0; k < t->form.n_targets && status == FW_OK; k++)
        /* cppcheck-suppress uninitvar; FW_OK: both fits have filled their lists */
        t->form.center_steps[k] = of_newest[k] < of_mean[k] ? CENTER_STEPS : 0;
    if (status == FW_OK)
        status = fit_form(t, of_mean);
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

/* ---- samples for the learner ---- */

struct batch {
    struct trainer *t;
    const struct train_window *windows;
    double share;
    uint32_t key;
};

static void fetch(void *ctx, size_t i, size_t worker, struct tft_gradient_series *out)
{
    const struct batch *b = ctx;
    train_sampler_fetch(b->t->sampler, &b->windows[i], worker, b->share, out);
    out->key = b->key ^ (uint32_t)((i + 1) * 0x9e3779b1u);
}

struct pool_batch {
    struct trainer *t;
    const struct train_pick *picks; /* NULL: what is held out, in order */
    float weight;
    uint32_t key;
};

static void fetch_pooled(void *ctx, size_t i, size_t worker, struct tft_gradient_series *out)
{
    const struct pool_batch *b = ctx;
    const struct train_pick held = {train_pool_size(b->t->pool) + i, i};
    train_pool_fetch(b->t->pool, b->picks != NULL ? b->picks[i] : held, worker, b->weight, out);
    out->key = b->key ^ (uint32_t)((i + 1) * 0x9e3779b1u);
}

static double share_of(const struct trainer *t, size_t n)
{
    const struct tft_spec *s = tft_learner_spec(t->learner);
    return 1.0 / ((double)n * (double)s->horizon * (double)s->n_targets);
}

/* Everything random of a step comes from its number, so a resumed run goes on as if never cut. */
static double train_step(struct trainer *t)
{
    const struct train_state *s = &t->state;
    const size_t n = (size_t)s->batch;
    uint64_t draw[4] = {s->seed, s->epoch, s->step, 0};
    for (size_t i = 0; i < n; i++) {
        draw[3] = i;
        const uint64_t random = fw_hash_stable(draw, sizeof draw);
        if (t->pool != NULL)
            t->picks[i] = train_pool_draw(t->pool, random);
        else
            t->drawn[i] = train_sampler_draw(t->sampler, random);
    }
    draw[3] = UINT64_MAX;
    const uint32_t key = (uint32_t)fw_hash_stable(draw, sizeof draw);
    struct batch batch = {t, t->drawn, share_of(t, n), key};
    struct pool_batch pooled = {t, t->picks, (float)share_of(t, n), key};
    const struct tft_learner_source source =
        t->pool != NULL ? (struct tft_learner_source){fetch_pooled, &pooled}
                        : (struct tft_learner_source){fetch, &batch};
    const double loss = tft_learner_gradient(t->learner, n, &source, (float)t->o->dropout);
    (void)tft_learner_step(t->learner, s->rate, t->o->clip);
    t->sequences += n;
    return loss;
}

static double validate(struct trainer *t)
{
    const double share = share_of(t, t->n_validation);
    struct batch batch = {t, t->validation, share, 0};
    struct pool_batch pooled = {t, NULL, (float)share, 0};
    const struct tft_learner_source source =
        t->pool != NULL ? (struct tft_learner_source){fetch_pooled, &pooled}
                        : (struct tft_learner_source){fetch, &batch};
    return tft_learner_loss(t->learner, t->n_validation, &source, t->losses);
}

/* ---- files ---- */

static enum fw_status save_model(struct trainer *t, const float *params)
{
    struct fw_buf weights;
    fw_buf_init(&weights, TFT_SAFETENSORS_MAX_BYTES);
    enum fw_status status = tft_learner_write(t->learner, params, &weights, t->err);
    if (status == FW_OK)
        status = tft_file_write(t->dir, TFT_WEIGHTS_NAME, weights.data, weights.len, t->err);
    fw_buf_fini(&weights);
    return status;
}

static enum fw_status save_checkpoint(struct trainer *t)
{
    return train_checkpoint_write(t->dir, &t->state, t->learner, t->best, t->err);
}

/* ---- the loop ---- */

static bool out_of_time(const struct trainer *t)
{
    return (t->o->max_minutes > 0.0 && seconds(t) > t->o->max_minutes * 60.0) ||
           (t->hooks->stop != NULL && t->hooks->stop(t->hooks->ctx));
}

static void tell(const struct trainer *t, double validation, bool done, bool improved)
{
    const struct train_state *s = &t->state;
    const double elapsed = seconds(t);
    if (t->hooks->progress == NULL)
        return;
    const struct train_progress p = {
        .epoch = (size_t)s->epoch,
        .epochs = t->o->epochs,
        .step = done ? (size_t)s->steps_per_epoch : (size_t)s->step,
        .steps = (size_t)s->steps_per_epoch,
        .loss = s->epoch_loss / (double)(s->step == 0 ? 1 : s->step),
        .validation = validation,
        .best = s->best_epoch == 0 ? (double)NAN : s->best,
        .rate = s->rate,
        .seconds = elapsed,
        .sequences_per_s = elapsed > 0.0 ? (double)t->sequences / elapsed : 0.0,
        .epoch_done = done,
        .improved = improved,
    };
    t->hooks->progress(t->hooks->ctx, &p);
}

/* ReduceLROnPlateau: factor 1/2, relative threshold 1e-4, cooldown as long as the patience. */
static void plateau(struct train_state *s, bool better)
{
    s->bad_epochs = better ? 0 : s->bad_epochs + 1;
    if (s->cooldown > 0) {
        s->cooldown--;
        s->bad_epochs = 0;
    }
    if (s->bad_epochs > PLATEAU_PATIENCE) {
        s->rate = s->rate * 0.5 > RATE_MIN ? s->rate * 0.5 : RATE_MIN;
        s->cooldown = PLATEAU_PATIENCE;
        s->bad_epochs = 0;
    }
}

static enum fw_status end_epoch(struct trainer *t)
{
    struct train_state *s = &t->state;
    const double train_loss = s->epoch_loss / (double)s->steps_per_epoch;
    const double loss = t->n_validation == 0 ? train_loss : validate(t);
    const bool better = isfinite(loss) && (s->best_epoch == 0 || loss < s->best * (1.0 - 1e-4));
    enum fw_status status = FW_OK;
    s->epoch++;
    plateau(s, better);
    s->since_best = better ? 0 : s->since_best + 1;
    if (better) {
        s->best = loss;
        s->best_epoch = s->epoch;
        memcpy(t->best, tft_learner_params(t->learner),
               tft_learner_floats(t->learner) * sizeof *t->best);
        status = save_model(t, t->best);
    }
    tell(t, loss, true, better);
    s->step = 0;
    s->epoch_loss = 0.0;
    return status == FW_OK ? save_checkpoint(t) : status;
}

static enum fw_status loop(struct trainer *t, struct train_result *result)
{
    struct train_state *s = &t->state;
    while (s->epoch < t->o->epochs && s->since_best < t->o->patience) {
        enum fw_status status = FW_OK;
        if (out_of_time(t)) {
            result->interrupted = true;
            return save_checkpoint(t);
        }
        s->epoch_loss += train_step(t);
        s->step++;
        if (!isfinite(s->epoch_loss))
            return fw_fail(t->err, FW_EINVAL,
                           "the loss is no longer finite: a lower --learning-rate may help");
        if (s->step >= s->steps_per_epoch)
            status = end_epoch(t);
        else
            tell(t, (double)NAN, false, false);
        if (status != FW_OK)
            return status;
    }
    return FW_OK;
}

/* Without one whole epoch there is no best yet; what there is counts then. */
static enum fw_status finish(struct trainer *t)
{
    if (t->state.best_epoch != 0)
        return FW_OK;
    memcpy(t->best, tft_learner_params(t->learner),
           tft_learner_floats(t->learner) * sizeof *t->best);
    const enum fw_status status = save_model(t, t->best);
    return status == FW_OK ? save_checkpoint(t) : status;
}

/* ---- setting up ---- */

static enum fw_status open_out(struct trainer *t)
{
    if (mkdir(t->o->out, 0777) != 0 && errno != EEXIST)
        return fw_fail(t->err, FW_EIO, "%.200s: %s", t->o->out, strerror(errno));
    return tft_file_open_dir(t->o->out, &t->dir, t->err);
}

static uint64_t all_windows(const struct trainer *t)
{
    return t->pool != NULL ? train_pool_size(t->pool) : train_sampler_windows(t->sampler);
}

/* Windows that an epoch should draw. */
static uint64_t windows(const struct trainer *t)
{
    return t->pool != NULL ? train_pool_size(t->pool)
                           : train_sampler_windows(t->sampler) / WINDOWS_PER_SAMPLE;
}

static void choose_epoch(struct trainer *t)
{
    const uint64_t all = windows(t) / t->o->batch;
    t->state.steps_per_epoch = t->o->steps_per_epoch != 0 ? t->o->steps_per_epoch
                               : all < STEPS_MIN          ? STEPS_MIN
                               : all > STEPS_MAX          ? STEPS_MAX
                                                          : all;
}

static enum fw_status allocate(struct trainer *t)
{
    t->best = fw_calloc(tft_learner_floats(t->learner), sizeof *t->best);
    t->drawn = fw_calloc(t->o->batch, sizeof *t->drawn);
    t->picks = fw_calloc(t->o->batch, sizeof *t->picks);
    t->losses = fw_calloc(VALIDATION_SAMPLES, sizeof *t->losses);
    if (t->best == NULL || t->drawn == NULL || t->picks == NULL || t->losses == NULL)
        return fw_fail(t->err, FW_ENOMEM, "no memory to train");
    return FW_OK;
}

static enum fw_status set_up_model(struct trainer *t)
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

static enum fw_status set_up_state(struct trainer *t)
{
    struct train_state *s = &t->state;
    s->spec_hash = fw_hash_stable(t->spec.data, t->spec.len);
    if (t->o->resume) {
        const enum fw_status status = train_checkpoint_read(t->dir, s, t->learner, t->best, t->err);
        if (status != FW_OK)
            return status;
        if (s->batch != t->o->batch)
            note(t, "the checkpoint's batch of %llu samples is kept", (unsigned long long)s->batch);
        struct train_window *drawn = fw_realloc_array(t->drawn, (size_t)s->batch, sizeof *drawn);
        if (drawn != NULL)
            t->drawn = drawn;
        struct train_pick *picks = fw_realloc_array(t->picks, (size_t)s->batch, sizeof *picks);
        if (picks != NULL)
            t->picks = picks;
        if (drawn == NULL || picks == NULL)
            return fw_fail(t->err, FW_ENOMEM, "no memory to train");
        s->since_best = 0; /* who resumes wants to go on */
    } else {
        double unused[TFT_TARGETS_MAX];
        if (t->o->from != NULL && t->sampler != NULL)
            fit_scales(t, t->sampler, tft_learner_spec(t->learner)->n_targets, unused);
        s->seed = t->o->seed;
        s->batch = t->o->batch;
        s->rate = t->o->rate;
        choose_epoch(t);
    }
    if (t->sampler != NULL)
        train_sampler_set_scales(t->sampler, s->scales);
    return FW_OK;
}

/* What `forewarn evaluate` would test is not learned from: servers.csv says from when on. */
static enum fw_status leave_tests_out(struct trainer *t, const char *dir)
{
    char path[4096];
    struct stat st;
    struct history_splits splits;
    const int len = snprintf(path, sizeof path, "%s/servers.csv", dir);
    if (len < 0 || (size_t)len >= sizeof path || stat(path, &st) != 0)
        return FW_OK;
    const enum fw_status status = history_splits_read(path, &splits, t->err);
    size_t cut = 0;
    for (size_t k = 0; status == FW_OK && k < splits.n; k++)
        for (size_t i = 0; i < t->data->n_series; i++) {
            struct history_series *s = &t->data->series[i];
            const int64_t end = splits.items[k].test_from_ms / 1000 / t->data->step_s - s->first;
            if (strcmp(s->name, splits.items[k].server) != 0 || end >= (int64_t)s->steps)
                continue;
            s->steps = end > 0 ? (size_t)end : 0;
            cut++;
        }
    if (cut > 0)
        note(t, "%s: %zu servers are learned from up to their test_from", path, cut);
    history_splits_fini(&splits);
    return status;
}

static enum fw_status set_up_samples(struct trainer *t)
{
    if (!ladder_spec_fits(tft_learner_spec(t->learner))) {
        const enum fw_status status = train_sampler_new(
            t->data, tft_learner_spec(t->learner), &t->split, t->o->threads, &t->sampler, t->err);
        return status == FW_OK ? need_windows(t, t->sampler) : status;
    }
    const struct train_pool_options options = {.samples_max = t->o->samples,
                                               .validation_max = VALIDATION_SAMPLES / 2,
                                               .validation = t->o->validation,
                                               .workers = t->o->threads,
                                               .seed = t->o->seed,
                                               .stop = t->hooks->stop,
                                               .ctx = t->hooks->ctx};
    const enum fw_status status = train_pool_new(t->data, &options, &t->pool, t->err);
    if (status == FW_OK)
        t->n_validation = train_pool_validation(t->pool) < VALIDATION_SAMPLES
                              ? train_pool_validation(t->pool)
                              : VALIDATION_SAMPLES;
    return status;
}

static enum fw_status set_up(struct trainer *t)
{
    enum fw_status status = open_out(t);
    if (status == FW_OK)
        status = history_read(&(struct history_options){.step_s = HISTORY_STEP_S}, t->o->n_paths,
                              t->o->paths, &t->data, t->err);
    if (status != FW_OK)
        return status;
    note(t, "%zu servers, %llu rows, %llu values from %zu files", t->data->n_series,
         (unsigned long long)t->data->rows, (unsigned long long)t->data->values, t->data->files);
    if (t->data->refused != 0)
        note(t, "%llu values outside their metric's bounds are taken as missing",
             (unsigned long long)t->data->refused);
    for (size_t i = 0; i < t->o->n_paths && status == FW_OK; i++)
        status = leave_tests_out(t, t->o->paths[i]);
    if (status == FW_OK)
        status = set_up_model(t);
    if (status == FW_OK)
        status = set_up_samples(t);
    if (status == FW_OK)
        status = allocate(t);
    if (status == FW_OK)
        status = set_up_state(t);
    if (status == FW_OK && t->sampler != NULL)
        status = train_sampler_validation(t->sampler, VALIDATION_EVERY, VALIDATION_WINDOWS,
                                          &t->validation, &t->n_validation, t->err);
    if (status == FW_OK && !t->o->resume)
        status = tft_file_write(t->dir, TFT_SPEC_NAME, t->spec.data, t->spec.len, t->err);
    return status;
}

static void tear_down(struct trainer *t)
{
    train_sampler_free(t->sampler);
    train_pool_free(t->pool);
    fw_free(t->picks);
    tft_learner_free(t->learner);
    history_free(t->data);
    fw_free(t->validation);
    fw_free(t->drawn);
    fw_free(t->losses);
    fw_free(t->best);
    fw_buf_fini(&t->spec);
    if (t->dir >= 0)
        close(t->dir);
}

enum fw_status train_run(const struct train_options *o, const struct train_hooks *hooks,
                         struct train_result *result, struct fw_error *err)
{
    struct trainer t = {.o = o, .hooks = hooks, .dir = -1, .err = err};
    *result = (struct train_result){0};
    t.started_ns = fw_clock_mono_ns(hooks->clock);
    fw_buf_init(&t.spec, SPEC_BYTES_MAX);
    enum fw_status status = set_up(&t);
    if (status == FW_OK) {
        note(&t, "%zu targets, %zu parameters, %llu windows to learn from, %zu to validate",
             tft_learner_spec(t.learner)->n_targets, tft_learner_net(t.learner)->n_parameters,
             (unsigned long long)all_windows(&t), t.n_validation);
        status = loop(&t, result);
    }
    if (status == FW_OK)
        status = finish(&t);
    if (status == FW_OK) {
        result->epochs = (size_t)t.state.epoch;
        result->best_epoch = (size_t)t.state.best_epoch;
        result->best = t.state.best_epoch == 0 ? (double)NAN : t.state.best;
        result->parameters = tft_learner_net(t.learner)->n_parameters;
        result->servers = t.data->n_series;
        result->targets = tft_learner_spec(t.learner)->n_targets;
        result->windows = (size_t)all_windows(&t);
        result->validation_windows = t.n_validation;
    }
    tear_down(&t);
    return status;
}
