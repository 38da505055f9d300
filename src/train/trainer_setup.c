#include "train/trainer_internal.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "forecast/ladder.h"
#include "history/splits.h"
#include "tft/file.h"
#include "tft/model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VALIDATION_WINDOWS = 512,
    VALIDATION_SAMPLES = 8192, /* of a pool */
    VALIDATION_EVERY = 32,     /* steps between validation windows of one server */
    STEPS_MIN = 25,
    STEPS_MAX = 250,
    WINDOWS_PER_SAMPLE = 24, /* an epoch draws one in so many of the windows there are */
};

static enum fw_status open_out(struct trainer *t)
{
    if (mkdir(t->o->out, 0777) != 0 && errno != EEXIST)
        return fw_fail(t->err, FW_EIO, "%.200s: %s", t->o->out, strerror(errno));
    return tft_file_open_dir(t->o->out, &t->dir, t->err);
}

uint64_t trainer_windows(const struct trainer *t)
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

static enum fw_status set_up_state(struct trainer *t)
{
    struct train_state *s = &t->state;
    s->spec_hash = fw_hash_stable(t->spec.data, t->spec.len);
    if (t->o->resume) {
        const enum fw_status status = train_checkpoint_read(t->dir, s, t->learner, t->best, t->err);
        if (status != FW_OK)
            return status;
        if (s->batch != t->o->batch)
            trainer_note(t, "the checkpoint's batch of %llu samples is kept",
                         (unsigned long long)s->batch);
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
            trainer_fit_scales(t, t->sampler, tft_learner_spec(t->learner)->n_targets, unused);
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
        trainer_note(t, "%s: %zu servers are learned from up to their test_from", path, cut);
    history_splits_fini(&splits);
    return status;
}

static enum fw_status set_up_samples(struct trainer *t)
{
    if (!ladder_spec_fits(tft_learner_spec(t->learner))) {
        const enum fw_status status = train_sampler_new(
            t->data, tft_learner_spec(t->learner), &t->split, t->o->threads, &t->sampler, t->err);
        return status == FW_OK ? trainer_need_windows(t, t->sampler) : status;
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

enum fw_status trainer_open(struct trainer *t)
{
    enum fw_status status = open_out(t);
    if (status == FW_OK)
        status = history_read(&(struct history_options){.step_s = HISTORY_STEP_S}, t->o->n_paths,
                              t->o->paths, &t->data, t->err);
    if (status != FW_OK)
        return status;
    trainer_note(t, "%zu servers, %llu rows, %llu values from %zu files", t->data->n_series,
                 (unsigned long long)t->data->rows, (unsigned long long)t->data->values,
                 t->data->files);
    if (t->data->refused != 0)
        trainer_note(t, "%llu values outside their metric's bounds are taken as missing",
                     (unsigned long long)t->data->refused);
    for (size_t i = 0; i < t->o->n_paths && status == FW_OK; i++)
        status = leave_tests_out(t, t->o->paths[i]);
    if (status == FW_OK)
        status = trainer_make_form(t);
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

void trainer_close(struct trainer *t)
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
