#include "train/trainer_internal.h"

#include "base/hash.h"
#include "tft/file.h"
#include "tft/model.h"
#include "tft/safetensors.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SPEC_BYTES_MAX = 1 << 20, PLATEAU_PATIENCE = 4 };
#define RATE_MIN 1e-5

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

void trainer_note(const struct trainer *t, const char *format, ...)
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

/* ---- a run ---- */

enum fw_status train_run(const struct train_options *o, const struct train_hooks *hooks,
                         struct train_result *result, struct fw_error *err)
{
    struct trainer t = {.o = o, .hooks = hooks, .dir = -1, .err = err};
    *result = (struct train_result){0};
    t.started_ns = fw_clock_mono_ns(hooks->clock);
    fw_buf_init(&t.spec, SPEC_BYTES_MAX);
    enum fw_status status = trainer_open(&t);
    if (status == FW_OK) {
        trainer_note(&t, "%zu targets, %zu parameters, %llu windows to learn from, %zu to validate",
                     tft_learner_spec(t.learner)->n_targets,
                     tft_learner_net(t.learner)->n_parameters,
                     (unsigned long long)trainer_windows(&t), t.n_validation);
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
        result->windows = (size_t)trainer_windows(&t);
        result->validation_windows = t.n_validation;
    }
    trainer_close(&t);
    return status;
}
