#include "tft/learner.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "tft/adam.h"
#include "tft/initialise.h"
#include "tft/model_internal.h"
#include "tft/safetensors.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Samples i, i + LANES, i + 2 LANES, ... go to lane i, whoever computes it, so a lane's sum does
 * not depend on the number of threads. Each costs a block of gradients. */
enum { LANES = 16, BLOCKS = 5 };

struct tft_learner {
    struct tft_spec *spec;
    struct tft_net *net;
    float *params, *packed, *grads, *moment[2];
    float *lanes; /* (LANES, n_floats) */
    float *blocks;
    uint64_t steps;
    const struct tft_kernels *kernels;
    const struct tft_backward_kernels *backward;
    size_t threads;
    struct tft_gradient_workspace *room[TFT_LEARNER_THREADS_MAX];
};

static enum fw_status allocate(struct tft_learner *l, struct fw_error *err)
{
    const size_t n = l->net->n_floats;
    l->blocks = fw_alloc_aligned(n, BLOCKS * sizeof(float));
    l->lanes = fw_alloc_aligned(n, LANES * sizeof(float));
    if (l->blocks == NULL || l->lanes == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory to train %zu parameters", n);
    memset(l->blocks, 0, n * BLOCKS * sizeof(float));
    l->params = l->blocks;
    l->packed = l->blocks + n;
    l->grads = l->blocks + 2 * n;
    l->moment[0] = l->blocks + 3 * n;
    l->moment[1] = l->blocks + 4 * n;
    for (size_t i = 0; i < l->threads; i++) {
        l->room[i] = tft_gradient_workspace_new(l->net, l->spec->history_max, l->spec->horizon);
        if (l->room[i] == NULL)
            return fw_fail(err, FW_ENOMEM, "no memory for %zu threads", l->threads);
    }
    return FW_OK;
}

static enum fw_status make(const char *spec_json, size_t spec_size, const char *what,
                           struct tft_sizes *sizes, size_t threads, struct tft_learner **out,
                           struct fw_error *err)
{
    *out = NULL;
    assert(threads >= 1 && threads <= TFT_LEARNER_THREADS_MAX);
    struct tft_learner *l = fw_calloc(1, sizeof *l);
    if (l == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory to train");
    l->threads = threads;
    l->kernels = tft_kernels_best();
    l->backward = tft_backward_best();
    enum fw_status status = tft_spec_parse(spec_json, spec_size, what, &l->spec, err);
    if (status == FW_OK)
        status = tft_net_build(l->spec, sizes, &l->net, err);
    if (status == FW_OK)
        status = allocate(l, err);
    if (status != FW_OK) {
        tft_learner_free(l);
        return status;
    }
    *out = l;
    return FW_OK;
}

/* The reference's rule for the size of an embedding: 1 for up to two classes, else
 * min(round(1.6 k^0.56), 100), at most the hidden size. */
enum fw_status tft_learner_new(const char *spec_json, size_t spec_size, const char *what,
                               const struct tft_learner_sizes *sizes, uint64_t seed, size_t threads,
                               struct tft_learner **out, struct fw_error *err)
{
    struct tft_spec *spec;
    *out = NULL;
    enum fw_status status = tft_spec_parse(spec_json, spec_size, what, &spec, err);
    if (status != FW_OK)
        return status;
    struct tft_sizes all = {
        .hidden = sizes->hidden,
        .heads = sizes->heads,
        .layers = sizes->layers,
        .real_size = fw_calloc(spec->n_reals + 1, sizeof(size_t)),
        .embedding_size = fw_calloc(spec->n_categoricals + 1, sizeof(size_t)),
        .numbered_output = spec->n_targets > 1,
    };
    if (all.real_size == NULL || all.embedding_size == NULL) {
        status = fw_fail(err, FW_ENOMEM, "no memory to train");
    } else {
        for (size_t i = 0; i < spec->n_reals; i++)
            all.real_size[i] = sizes->continuous;
        for (size_t i = 0; i < spec->n_categoricals; i++)
            all.embedding_size[i] =
                tft_initialise_embedding_size(spec->categoricals[i].classes.n, sizes->hidden);
        status = make(spec_json, spec_size, what, &all, threads, out, err);
    }
    if (status == FW_OK) {
        tft_initialise((*out)->spec, (*out)->net, seed, (*out)->params);
        tft_learner_changed(*out);
    }
    fw_free(all.real_size);
    fw_free(all.embedding_size);
    tft_spec_free(spec);
    return status;
}

enum fw_status tft_learner_from_model(const struct tft_model *model, const char *spec_json,
                                      size_t spec_size, size_t threads, struct tft_learner **out,
                                      struct fw_error *err)
{
    const struct tft_net *net = model->net;
    struct tft_sizes sizes = {
        .hidden = net->hidden,
        .heads = net->heads,
        .layers = net->layers,
        .real_size = fw_calloc(net->n_reals + 1, sizeof(size_t)),
        .embedding_size = net->embedding_size,
    };
    *out = NULL;
    if (sizes.real_size == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory to train");
    for (size_t i = 0; i < net->n_reals; i++)
        sizes.real_size[i] = net->prescaler[i].n_out;
    const char *last = tft_net_param_name(net, net->n_params - 1);
    sizes.numbered_output = strcmp(last, "output_layer.bias") != 0;
    enum fw_status status = make(spec_json, spec_size, TFT_SPEC_NAME, &sizes, threads, out, err);
    fw_free(sizes.real_size);
    if (status != FW_OK)
        return status;
    if ((*out)->net->n_floats != net->n_floats) {
        tft_learner_free(*out);
        *out = NULL;
        return fw_fail(err, FW_EINVAL, "the spec is not the model's");
    }
    memcpy((*out)->params, model->params, net->n_floats * sizeof(float));
    tft_learner_changed(*out);
    return FW_OK;
}

void tft_learner_free(struct tft_learner *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->threads; i++)
        tft_gradient_workspace_free(l->room[i]);
    fw_free(l->blocks);
    fw_free(l->lanes);
    tft_net_free(l->net);
    tft_spec_free(l->spec);
    fw_free(l);
}

const struct tft_spec *tft_learner_spec(const struct tft_learner *l)
{
    return l->spec;
}

const struct tft_net *tft_learner_net(const struct tft_learner *l)
{
    return l->net;
}

size_t tft_learner_floats(const struct tft_learner *l)
{
    return l->net->n_floats;
}

float *tft_learner_params(struct tft_learner *l)
{
    return l->params;
}

float *tft_learner_gradient_block(struct tft_learner *l)
{
    return l->grads;
}

float *tft_learner_moment(struct tft_learner *l, int which)
{
    assert(which == 1 || which == 2);
    return l->moment[which - 1];
}

uint64_t *tft_learner_steps(struct tft_learner *l)
{
    return &l->steps;
}

void tft_learner_changed(struct tft_learner *l)
{
    tft_net_pack(l->net, l->params, l->packed);
}

void tft_learner_use_plain(struct tft_learner *l)
{
    l->kernels = tft_kernels_of(TFT_SET_PLAIN);
    l->backward = tft_backward_of(TFT_SET_PLAIN);
}

/* ---- a batch over threads ---- */

struct job {
    struct tft_learner *l;
    struct tft_gradient_pass pass;
    const struct tft_learner_source *source;
    size_t n;
    bool learn;
    double *each; /* losses alone: one a sample */
    double lane_loss[LANES];
    atomic_size_t next; /* lane, or sample */
};

struct worker {
    struct job *job;
    size_t index;
    pthread_t thread;
    bool started;
};

static void run_lane(struct job *job, size_t lane, size_t worker)
{
    struct tft_learner *l = job->l;
    const size_t floats = l->net->n_floats;
    float *grads = l->lanes + lane * floats;
    struct tft_gradient_series series;
    memset(grads, 0, floats * sizeof *grads);
    job->lane_loss[lane] = 0.0;
    for (size_t i = lane; i < job->n; i += LANES) {
        job->source->fetch(job->source->ctx, i, worker, &series);
        job->lane_loss[lane] +=
            tft_gradient_series(&job->pass, l->room[worker], &series, grads, NULL);
    }
}

static void run_sample(struct job *job, size_t i, size_t worker)
{
    struct tft_gradient_series series;
    job->source->fetch(job->source->ctx, i, worker, &series);
    job->each[i] = tft_gradient_loss(&job->pass, job->l->room[worker], &series, NULL);
}

static void *work(void *arg)
{
    const struct worker *w = arg;
    struct job *job = w->job;
    const size_t parts = job->learn ? (job->n < LANES ? job->n : LANES) : job->n;
    for (;;) {
        const size_t i = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (i >= parts)
            return NULL;
        if (job->learn)
            run_lane(job, i, w->index);
        else
            run_sample(job, i, w->index);
    }
}

static void run_job(struct job *job)
{
    struct worker workers[TFT_LEARNER_THREADS_MAX] = {0};
    assert(job->l->threads > 0);
    for (size_t i = 0; i < job->l->threads; i++) {
        workers[i].job = job;
        workers[i].index = i;
        if (i > 0)
            workers[i].started = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
    }
    work(&workers[0]);
    for (size_t i = 1; i < job->l->threads; i++) {
        if (workers[i].started)
            (void)pthread_join(workers[i].thread, NULL);
    }
}

static struct job job_of(struct tft_learner *l, size_t n, const struct tft_learner_source *source)
{
    return (struct job){
        .l = l,
        .pass = {.spec = l->spec,
                 .net = l->net,
                 .params = l->params,
                 .packed = l->packed,
                 .kernels = l->kernels,
                 .backward = l->backward},
        .source = source,
        .n = n
    };
}

double tft_learner_gradient(struct tft_learner *l, size_t n,
                            const struct tft_learner_source *source, float dropout)
{
    const size_t floats = l->net->n_floats;
    struct job job = job_of(l, n, source);
    double loss = 0.0;
    assert(n > 0);
    job.learn = true;
    job.pass.dropout = dropout;
    run_job(&job);
    memcpy(l->grads, l->lanes, floats * sizeof *l->grads);
    loss = job.lane_loss[0];
    for (size_t lane = 1; lane < LANES && lane < n; lane++) {
        l->backward->add(floats, l->lanes + lane * floats, l->grads);
        loss += job.lane_loss[lane];
    }
    tft_gradient_clear_padding(l->spec, l->net, l->grads);
    return loss;
}

double tft_learner_loss(struct tft_learner *l, size_t n, const struct tft_learner_source *source,
                        double *each)
{
    struct job job = job_of(l, n, source);
    double loss = 0.0;
    job.each = each;
    run_job(&job);
    for (size_t i = 0; i < n; i++)
        loss += each[i];
    return loss;
}

double tft_learner_step(struct tft_learner *l, double rate, double max_norm)
{
    const struct tft_adam adam = tft_adam_default(rate);
    const size_t n = l->net->n_floats;
    const double norm = tft_adam_clip(n, max_norm, l->grads);
    tft_adam_step(&adam, ++l->steps, n, l->grads, l->moment[0], l->moment[1], l->params);
    tft_learner_changed(l);
    return norm;
}

enum fw_status tft_learner_write(const struct tft_learner *l, const float *params,
                                 struct fw_buf *buf, struct fw_error *err)
{
    const struct tft_net *net = l->net;
    struct tft_tensor_out *tensors = fw_calloc(net->n_params, sizeof *tensors);
    if (tensors == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory to write the model");
    for (size_t i = 0; i < net->n_params; i++) {
        const struct tft_param *p = &net->params[i];
        tensors[i] = (struct tft_tensor_out){
            .name = tft_net_param_name(net, i),
            .dtype = TFT_F32,
            .rank = p->rank,
            .shape = {p->shape[0], p->shape[1]},
            .data = params + p->offset
        };
    }
    tft_safetensors_write(buf, tensors, net->n_params);
    fw_free(tensors);
    return buf->failed ? fw_fail(err, FW_ENOMEM, "no memory to write the model") : FW_OK;
}
