#include "tft/run_file.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "tft/file.h"
#include "tft/model_internal.h"
#include "tft/parallel.h"
#include "tft/plan.h"
#include "tft/safetensors.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MEAN_NAME_SIZE = 64 };
#define BATCH_BYTES_MAX ((size_t)4 << 30) /* inputs and outputs together */
#define STEPS_MAX ((size_t)TFT_STEPS_MAX) /* of a history or a horizon */

struct reader {
    const struct tft_model *model;
    const struct tft_safetensors *file;
    struct tft_batch *batch;
    struct arena memory;
    struct fw_error *err;
};

static enum fw_status wrong_shape(const struct reader *r, const struct tft_tensor *t,
                                  const size_t *want, size_t rank)
{
    char is[128], should[128];
    return fw_fail(r->err, FW_EINVAL, "%s has shape %.60s, the model needs %.60s", t->name,
                   tft_shape_text(t->shape, t->rank, is, sizeof is),
                   tft_shape_text(want, rank, should, sizeof should));
}

static enum fw_status need(const struct reader *r, const char *name, enum tft_dtype dtype,
                           size_t rank, const size_t *want, const struct tft_tensor **out)
{
    const struct tft_tensor *t = *out = tft_safetensors_find(r->file, name);
    if (t == NULL)
        return fw_fail(r->err, FW_EINVAL, "tensor %s is missing", name);
    if (t->dtype != dtype)
        return fw_fail(r->err, FW_EINVAL, "%s is %s, not %s", name, tft_dtype_name(t->dtype),
                       tft_dtype_name(dtype));
    if (t->rank != rank || memcmp(t->shape, want, rank * sizeof *want) != 0)
        return wrong_shape(r, t, want, rank);
    return FW_OK;
}

/* (n, steps, C) of I64; absent is allowed where there are no categoricals. */
static enum fw_status read_codes(struct reader *r, const char *name, size_t steps,
                                 const int32_t **out)
{
    const struct tft_net *net = r->model->net;
    const size_t want[] = {r->batch->in.n, steps, net->n_categoricals};
    const struct tft_tensor *t;
    int32_t *codes = ARENA_NEW(&r->memory, want[0] * want[1] * want[2], int32_t);
    if (codes == NULL)
        return fw_fail(r->err, FW_ELIMIT, "%s: too large", name);
    *out = codes;
    if (net->n_categoricals == 0)
        return FW_OK;
    const enum fw_status status = need(r, name, TFT_I64, COUNT(want), want, &t);
    if (status != FW_OK)
        return status;
    for (size_t i = 0; i < t->count; i++) {
        const size_t c = i % net->n_categoricals;
        const int64_t code = tft_tensor_i64(t, i);
        if (code < 0 || (uint64_t)code >= net->classes[c])
            return fw_fail(r->err, FW_EINVAL, "%s: %s has %zu classes, and there is a code %lld",
                           name, r->model->spec->categoricals[c].name, net->classes[c],
                           (long long)code);
        codes[i] = (int32_t)code;
    }
    return FW_OK;
}

static enum fw_status read_floats(struct reader *r, const char *name, size_t rank,
                                  const size_t *want, const float **out)
{
    const struct tft_tensor *t;
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= want[i];
    const enum fw_status status = count == 0 ? FW_OK : need(r, name, TFT_F32, rank, want, &t);
    float *floats = ARENA_FLOATS(&r->memory, count);
    if (status == FW_OK && floats == NULL)
        return fw_fail(r->err, FW_ELIMIT, "%s: too large", name);
    if (status == FW_OK && count != 0)
        memcpy(floats, t->data, count * sizeof *floats);
    *out = floats;
    return status;
}

/* (n) of I64, from 1 to the padded length; absent means all are full. */
static enum fw_status read_lengths(struct reader *r, const char *name, size_t steps,
                                   const size_t **out)
{
    const size_t want[] = {r->batch->in.n};
    const struct tft_tensor *t;
    size_t *lengths = ARENA_NEW(&r->memory, want[0], size_t);
    if (lengths == NULL)
        return fw_fail(r->err, FW_ELIMIT, "%s: too large", name);
    *out = lengths;
    for (size_t i = 0; i < want[0]; i++)
        lengths[i] = steps;
    if (tft_safetensors_find(r->file, name) == NULL)
        return FW_OK;
    const enum fw_status status = need(r, name, TFT_I64, COUNT(want), want, &t);
    for (size_t i = 0; status == FW_OK && i < want[0]; i++) {
        const int64_t length = tft_tensor_i64(t, i);
        if (length < 1 || (uint64_t)length > steps)
            return fw_fail(r->err, FW_EINVAL, "%s: %lld is not from 1 to %zu", name,
                           (long long)length, steps);
        lengths[i] = (size_t)length;
    }
    return status;
}

/* known_only: of the horizon, whose other columns are not read. */
static enum fw_status check_finite(const struct reader *r, const char *name, const float *x,
                                   size_t steps, const size_t *lengths, bool known_only)
{
    const size_t width = r->model->net->n_reals;
    const struct tft_real *reals = r->model->spec->reals;
    for (size_t i = 0; i < r->batch->in.n; i++) {
        for (size_t j = 0; j < lengths[i] * width; j++) {
            if (!isfinite(x[i * steps * width + j]) && (!known_only || reals[j % width].known))
                return fw_fail(r->err, FW_EINVAL, "%s: series %zu, step %zu: %.80s is not finite",
                               name, i, j / width, reals[j % width].name);
        }
    }
    return FW_OK;
}

/* n, E and D come from the tensors of reals, or of codes where there are no reals. */
static enum fw_status read_dims(struct reader *r)
{
    const struct tft_net *net = r->model->net;
    const bool reals = net->n_reals != 0;
    const struct tft_tensor *e =
        tft_safetensors_find(r->file, reals ? "encoder_cont" : "encoder_cat");
    const struct tft_tensor *d =
        tft_safetensors_find(r->file, reals ? "decoder_cont" : "decoder_cat");
    struct tft_input *in = &r->batch->in;
    if (e == NULL || d == NULL || e->rank != 3 || d->rank != 3 || e->shape[0] != d->shape[0])
        return fw_fail(r->err, FW_EINVAL,
                       "the input needs encoder and decoder tensors of three dimensions");
    in->n = e->shape[0];
    in->history_steps = e->shape[1];
    in->horizon_steps = d->shape[1];
    if (in->n == 0 || in->history_steps == 0 || in->horizon_steps == 0 ||
        in->history_steps > STEPS_MAX || in->horizon_steps > STEPS_MAX)
        return fw_fail(r->err, FW_EINVAL,
                       "the input has no series, no steps, or more than %zu steps", STEPS_MAX);
    return FW_OK;
}

static enum fw_status read_input(struct reader *r)
{
    struct tft_input *in = &r->batch->in;
    const struct tft_net *net = r->model->net;
    const size_t e[] = {in->n, in->history_steps, net->n_reals},
                 d[] = {in->n, in->horizon_steps, net->n_reals};
    const size_t scale[] = {in->n, net->n_targets, 2};
    enum fw_status status = read_codes(r, "encoder_cat", in->history_steps, &in->history_codes);
    if (status == FW_OK)
        status = read_codes(r, "decoder_cat", in->horizon_steps, &in->horizon_codes);
    if (status == FW_OK)
        status = read_floats(r, "encoder_cont", COUNT(e), e, &in->history_reals);
    if (status == FW_OK)
        status = read_floats(r, "decoder_cont", COUNT(d), d, &in->horizon_reals);
    if (status == FW_OK)
        status = read_floats(r, "target_scale", COUNT(scale), scale, &in->output_scale);
    if (status == FW_OK)
        status = read_lengths(r, "encoder_lengths", in->history_steps, &in->history_lengths);
    if (status == FW_OK)
        status = read_lengths(r, "decoder_lengths", in->horizon_steps, &in->horizon_lengths);
    if (status == FW_OK)
        status = check_finite(r, "encoder_cont", in->history_reals, in->history_steps,
                              in->history_lengths, false);
    if (status == FW_OK)
        status = check_finite(r, "decoder_cont", in->horizon_reals, in->horizon_steps,
                              in->horizon_lengths, true);
    return status;
}

static enum fw_status make_outputs(struct reader *r)
{
    const struct tft_input *in = &r->batch->in;
    const struct tft_net *net = r->model->net;
    const size_t n = in->n, e = in->history_steps, d = in->horizon_steps;
    struct tft_batch *b = r->batch;
    b->out.prediction = ARENA_FLOATS(&r->memory, n * d * net->output.n_out);
    b->out.static_weights = ARENA_FLOATS(&r->memory, n * net->stat.n);
    b->out.history_weights = ARENA_FLOATS(&r->memory, n * e * net->side[TFT_ENCODER].n);
    b->out.horizon_weights = ARENA_FLOATS(&r->memory, n * d * net->side[TFT_DECODER].n);
    b->out.attention = ARENA_FLOATS(&r->memory, n * d * net->heads * (e + d));
    b->mean_first = ARENA_FLOATS(&r->memory, n * (e + d));
    b->mean_last = ARENA_FLOATS(&r->memory, n * (e + d));
    if (b->out.prediction == NULL || b->out.static_weights == NULL ||
        b->out.history_weights == NULL || b->out.horizon_weights == NULL ||
        b->out.attention == NULL || b->mean_first == NULL || b->mean_last == NULL)
        return fw_fail(r->err, FW_ELIMIT, "the batch is too large");
    return FW_OK;
}

/* Bytes of all arrays of the batch, 0 when they pass the limit. Every factor is below 2^24, the
 * sums in double. */
static size_t batch_bytes(const struct tft_net *net, const struct tft_input *in)
{
    const double n = (double)in->n, e = (double)in->history_steps, d = (double)in->horizon_steps;
    const double per_step = (double)(net->n_reals + net->n_categoricals);
    const double weights = (double)net->stat.n + e * (double)net->side[TFT_ENCODER].n +
                           d * (double)(net->side[TFT_DECODER].n + net->output.n_out);
    const double floats = n * ((e + d) * per_step + 2.0 * (double)net->n_targets + weights +
                               (d * (double)net->heads + 2.0) * (e + d) + 4.0);
    const double bytes = 4.0 * floats + 64.0 * 16.0;
    return bytes > (double)BATCH_BYTES_MAX ? 0 : (size_t)bytes;
}

enum fw_status tft_batch_read(const struct tft_model *model, const struct tft_safetensors *file,
                              struct tft_batch *out, struct fw_error *err)
{
    struct reader r = {.model = model, .file = file, .batch = out, .err = err};
    memset(out, 0, sizeof *out);
    enum fw_status status = read_dims(&r);
    if (status != FW_OK)
        return status;
    const size_t bytes = batch_bytes(model->net, &out->in);
    if (bytes == 0)
        return fw_fail(err, FW_ELIMIT, "the batch is too large");
    out->memory = fw_malloc(bytes);
    if (out->memory == NULL)
        return fw_fail(err, FW_ENOMEM, "batch of %zu bytes", bytes);
    r.memory = arena_over(out->memory, bytes);
    status = read_input(&r);
    if (status == FW_OK)
        status = make_outputs(&r);
    if (status != FW_OK)
        tft_batch_fini(out);
    return status;
}

void tft_batch_fini(struct tft_batch *batch)
{
    fw_free(batch->memory);
    memset(batch, 0, sizeof *batch);
}

static void average_heads(const float *attention, size_t heads, size_t steps, float *mean)
{
    assert(mean != NULL);
    memset(mean, 0, steps * sizeof *mean);
    for (size_t a = 0; a < heads; a++) {
        for (size_t t = 0; t < steps; t++)
            mean[t] += attention[a * steps + t] / (float)heads;
    }
}

enum fw_status tft_batch_run(const struct tft_model *model, struct tft_batch *batch, size_t threads,
                             struct fw_error *err)
{
    batch->out.weigh_unused = true;
    const enum fw_status status =
        tft_forward_parallel(model, &batch->in, &batch->out, threads, err);
    if (status != FW_OK)
        return status;
    const size_t heads = model->net->heads, d = batch->in.horizon_steps,
                 steps = batch->in.history_steps + d;
    for (size_t i = 0; i < batch->in.n; i++) {
        const float *attention = batch->out.attention + i * d * heads * steps;
        average_heads(attention, heads, steps, batch->mean_first + i * steps);
        average_heads(attention + (d - 1) * heads * steps, heads, steps,
                      batch->mean_last + i * steps);
    }
    return FW_OK;
}

enum fw_status tft_batch_run_compiled(const struct tft_plan *plan, struct tft_batch *batch,
                                      size_t threads, struct fw_error *err)
{
    return tft_plan_run_parallel(plan, &batch->in, threads, batch->out.prediction, err);
}

static void write_batch(const struct tft_model *model, const struct tft_batch *b,
                        struct fw_buf *buf)
{
    const struct tft_net *net = model->net;
    const size_t n = b->in.n, e = b->in.history_steps, d = b->in.horizon_steps;
    char last[MEAN_NAME_SIZE];
    (void)snprintf(last, sizeof last, "attention_mean_over_heads_step%zu", d - 1);
    struct tft_tensor_out tensors[] = {
        {"prediction",                      TFT_F32, 4, {n, d, net->n_targets, net->n_quantiles}, b->out.prediction    },
        {"static_variables",                TFT_F32, 3, {n, 1, net->stat.n},                      b->out.static_weights},
        {"encoder_variables",
         TFT_F32,                                    4,
         {n, e, 1, net->side[TFT_ENCODER].n},
         b->out.history_weights                                                                                        },
        {"decoder_variables",
         TFT_F32,                                    4,
         {n, d, 1, net->side[TFT_DECODER].n},
         b->out.horizon_weights                                                                                        },
        {"attention",                       TFT_F32, 4, {n, d, net->heads, e + d},                b->out.attention     },
        {"attention_mean_over_heads_step0", TFT_F32, 2, {n, e + d},                               b->mean_first        },
        {last,                              TFT_F32, 2, {n, e + d},                               b->mean_last         },
    };
    if (net->stat.n == 0) { /* pytorch-forecasting gives no singleton axis here */
        tensors[1].rank = 2;
        tensors[1].shape[1] = 0;
    }
    tft_safetensors_write(buf, tensors, COUNT(tensors) - (d == 1));
}

static enum fw_status write_file(const char *path, const struct fw_buf *buf, struct fw_error *err)
{
    char dir[4096];
    const char *name;
    int fd;
    if (!tft_file_split(path, dir, sizeof dir, &name))
        return fw_fail(err, FW_EINVAL, "%s: not the path of a file", path);
    enum fw_status status = tft_file_open_dir(dir, &fd, err);
    if (status != FW_OK)
        return status;
    status = tft_file_write(fd, name, buf->data, buf->len, err);
    close(fd);
    return status;
}

static enum fw_status run_file(const struct tft_model *model, const struct tft_plan *plan,
                               const char *input_path, const char *output_path, size_t threads,
                               struct fw_error *err)
{
    struct tft_safetensors *file = NULL;
    struct tft_batch batch = {.memory = NULL};
    struct fw_buf buf;
    fw_buf_init(&buf, BATCH_BYTES_MAX);
    enum fw_status status = tft_safetensors_open(input_path, &file, err);
    if (status == FW_OK)
        status = tft_batch_read(model, file, &batch, err);
    if (status == FW_OK)
        status = tft_batch_run(model, &batch, threads, err);
    if (status == FW_OK && plan != NULL)
        status = tft_batch_run_compiled(plan, &batch, threads, err);
    if (status == FW_OK) {
        write_batch(model, &batch, &buf);
        status = buf.failed ? fw_fail(err, FW_ENOMEM, "write %s", output_path)
                            : write_file(output_path, &buf, err);
    }
    fw_buf_fini(&buf);
    tft_batch_fini(&batch);
    tft_safetensors_close(file);
    return status;
}

enum fw_status tft_run_file(const struct tft_model *model, const char *input_path,
                            const char *output_path, size_t threads, struct fw_error *err)
{
    return run_file(model, NULL, input_path, output_path, threads, err);
}

enum fw_status tft_run_file_compiled(const struct tft_model *model, const struct tft_plan *plan,
                                     const char *input_path, const char *output_path,
                                     size_t threads, struct fw_error *err)
{
    assert(plan != NULL);
    return run_file(model, plan, input_path, output_path, threads, err);
}
