#include "train/checkpoint.h"

#include "base/alloc.h"
#include "tft/file.h"
#include "tft/safetensors.h"

#include <math.h>
#include <string.h>

enum { VERSION = 1, WHOLE = 11, REAL = 3, BLOCKS = 4 };

static const char *const block_names[BLOCKS] = {"params", "moment1", "moment2", "best"};

static void blocks_of(struct tft_learner *l, float *best, float **blocks)
{
    blocks[0] = tft_learner_params(l);
    blocks[1] = tft_learner_moment(l, 1);
    blocks[2] = tft_learner_moment(l, 2);
    blocks[3] = best;
}

enum fw_status train_checkpoint_write(int dir_fd, const struct train_state *s,
                                      struct tft_learner *l, const float *best,
                                      struct fw_error *err)
{
    const size_t n = tft_learner_floats(l), targets = tft_learner_spec(l)->n_targets;
    const uint64_t whole[WHOLE] = {VERSION,
                                   s->seed,
                                   s->batch,
                                   s->steps_per_epoch,
                                   s->epoch,
                                   s->step,
                                   s->bad_epochs,
                                   s->cooldown,
                                   s->since_best,
                                   s->spec_hash,
                                   *tft_learner_steps(l)};
    const uint64_t best_epoch = s->best_epoch;
    const double real[REAL] = {s->rate, s->best, s->epoch_loss};
    struct tft_tensor_out tensors[4 + BLOCKS] = {
        {"state",      TFT_I64, 1, {WHOLE},   whole      },
        {"best_epoch", TFT_I64, 1, {1},       &best_epoch},
        {"numbers",    TFT_F64, 1, {REAL},    real       },
        {"scales",     TFT_F64, 1, {targets}, s->scales  }
    };
    const float *const blocks[BLOCKS] = {tft_learner_params(l), tft_learner_moment(l, 1),
                                         tft_learner_moment(l, 2), best};
    struct fw_buf buf;
    fw_buf_init(&buf, (n + 1024) * sizeof(float) * BLOCKS + (1 << 16));
    for (size_t i = 0; i < BLOCKS; i++)
        tensors[4 + i] = (struct tft_tensor_out){block_names[i], TFT_F32, 1, {n}, blocks[i]};
    tft_safetensors_write(&buf, tensors, COUNT(tensors));
    const enum fw_status status =
        buf.failed ? fw_fail(err, FW_ENOMEM, "no memory for the checkpoint")
                   : tft_file_write(dir_fd, TRAIN_CHECKPOINT_NAME, buf.data, buf.len, err);
    fw_buf_fini(&buf);
    return status;
}

static const struct tft_tensor *find(const struct tft_safetensors *file, const char *name,
                                     enum tft_dtype dtype, size_t count, struct fw_error *err)
{
    const struct tft_tensor *t = tft_safetensors_find(file, name);
    if (t != NULL && t->dtype == dtype && t->count == count)
        return t;
    (void)fw_fail(err, FW_ECORRUPT, TRAIN_CHECKPOINT_NAME ": %s is missing, or not of this model",
                  name);
    return NULL;
}

static enum fw_status read_state(const struct tft_safetensors *file, size_t targets,
                                 struct train_state *s, struct tft_learner *l, struct fw_error *err)
{
    const struct tft_tensor *state = find(file, "state", TFT_I64, WHOLE, err);
    const struct tft_tensor *best = find(file, "best_epoch", TFT_I64, 1, err);
    const struct tft_tensor *numbers = find(file, "numbers", TFT_F64, REAL, err);
    const struct tft_tensor *scales = find(file, "scales", TFT_F64, targets, err);
    if (state == NULL || best == NULL || numbers == NULL || scales == NULL)
        return FW_ECORRUPT;
    if (tft_tensor_i64(state, 0) != VERSION)
        return fw_fail(err, FW_EVERSION, TRAIN_CHECKPOINT_NAME ": of another version");
    uint64_t *const whole[] = {
        &s->seed,       &s->batch,    &s->steps_per_epoch, &s->epoch,     &s->step,
        &s->bad_epochs, &s->cooldown, &s->since_best,      &s->spec_hash, tft_learner_steps(l)};
    for (size_t i = 0; i < COUNT(whole); i++)
        *whole[i] = (uint64_t)tft_tensor_i64(state, i + 1);
    s->best_epoch = (uint64_t)tft_tensor_i64(best, 0);
    s->rate = tft_tensor_f64(numbers, 0);
    s->best = tft_tensor_f64(numbers, 1);
    s->epoch_loss = tft_tensor_f64(numbers, 2);
    for (size_t i = 0; i < targets; i++)
        s->scales[i] = tft_tensor_f64(scales, i);
    if (!(s->rate > 0.0) || !isfinite(s->rate) || s->steps_per_epoch == 0 || s->batch == 0)
        return fw_fail(err, FW_ECORRUPT, TRAIN_CHECKPOINT_NAME ": holds an absurd state");
    return FW_OK;
}

static enum fw_status read_blocks(const struct tft_safetensors *file, struct tft_learner *l,
                                  float *best, struct fw_error *err)
{
    const size_t n = tft_learner_floats(l);
    float *blocks[BLOCKS];
    blocks_of(l, best, blocks);
    for (size_t i = 0; i < BLOCKS; i++) {
        const struct tft_tensor *t = find(file, block_names[i], TFT_F32, n, err);
        if (t == NULL)
            return FW_ECORRUPT;
        memcpy(blocks[i], t->data, n * sizeof(float));
        for (size_t j = 0; j < n; j++) {
            if (!isfinite(blocks[i][j]))
                return fw_fail(err, FW_ECORRUPT, TRAIN_CHECKPOINT_NAME ": %s is not finite",
                               block_names[i]);
        }
    }
    tft_learner_changed(l);
    return FW_OK;
}

enum fw_status train_checkpoint_read(int dir_fd, struct train_state *s, struct tft_learner *l,
                                     float *best, struct fw_error *err)
{
    unsigned char *bytes;
    size_t size;
    struct tft_safetensors *file;
    const uint64_t wanted = s->spec_hash;
    enum fw_status status = tft_file_read(dir_fd, TRAIN_CHECKPOINT_NAME, TFT_SAFETENSORS_MAX_BYTES,
                                          false, &bytes, &size, err);
    if (status == FW_OK)
        status = tft_safetensors_parse(bytes, size, TRAIN_CHECKPOINT_NAME, &file, err);
    if (status != FW_OK)
        return status;
    status = read_state(file, tft_learner_spec(l)->n_targets, s, l, err);
    if (status == FW_OK && s->spec_hash != wanted)
        status = fw_fail(err, FW_ECORRUPT, TRAIN_CHECKPOINT_NAME ": belongs to another spec.json");
    if (status == FW_OK)
        status = read_blocks(file, l, best, err);
    tft_safetensors_close(file);
    return status;
}
