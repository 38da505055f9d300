#include "tft/parallel.h"

#include "base/alloc.h"
#include "tft/model_internal.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

/* Threads take series one by one from a counter, so a slow core holds up nobody. */
struct job {
    const struct tft_model *model;
    const struct tft_input *in;
    const struct tft_output *out;
    size_t scratch_bytes;
    atomic_size_t next;
};

struct worker {
    struct job *job;
    unsigned char *scratch;
    pthread_t thread;
    bool started;
};

static float *from(float *array, size_t i, size_t size)
{
    return array == NULL ? NULL : array + i * size;
}

static void one(const struct job *job, size_t i, struct arena scratch)
{
    const struct tft_net *net = job->model->net;
    const struct tft_input *in = job->in;
    const struct tft_output *out = job->out;
    const size_t e = in->history_steps, d = in->horizon_steps;
    const struct tft_input part = {
        .n = 1,
        .history_steps = e,
        .horizon_steps = d,
        .history_codes = in->history_codes + i * e * net->n_categoricals,
        .horizon_codes = in->horizon_codes + i * d * net->n_categoricals,
        .history_reals = in->history_reals + i * e * net->n_reals,
        .horizon_reals = in->horizon_reals + i * d * net->n_reals,
        .history_lengths = in->history_lengths + i,
        .horizon_lengths = in->horizon_lengths + i,
        .output_scale = in->output_scale + i * 2 * net->n_targets,
    };
    const struct tft_output result = {
        .prediction = from(out->prediction, i, d * net->output.n_out),
        .static_weights = from(out->static_weights, i, net->stat.n),
        .history_weights = from(out->history_weights, i, e * net->side[TFT_ENCODER].n),
        .horizon_weights = from(out->horizon_weights, i, d * net->side[TFT_DECODER].n),
        .attention = from(out->attention, i, d * net->heads * (e + d)),
        .weigh_unused = out->weigh_unused,
    };
    tft_forward(job->model, &part, &result, scratch);
}

static void *work(void *arg)
{
    const struct worker *w = arg;
    struct job *job = w->job;
    for (;;) {
        const size_t i = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (i >= job->in->n)
            return NULL;
        one(job, i, arena_over(w->scratch, job->scratch_bytes));
    }
}

enum fw_status tft_forward_parallel(const struct tft_model *model, const struct tft_input *in,
                                    const struct tft_output *out, size_t threads,
                                    struct fw_error *err)
{
    struct job job = {.model = model, .in = in, .out = out};
    struct worker workers[TFT_THREADS_MAX] = {0};
    assert(threads >= 1 && threads <= TFT_THREADS_MAX);
    job.scratch_bytes =
        out->attention == NULL
            ? tft_forward_scratch_bytes(model, in->history_steps, in->horizon_steps)
            : tft_forward_attention_scratch_bytes(model, in->history_steps, in->horizon_steps);
    unsigned char *scratch = fw_alloc_aligned(threads, job.scratch_bytes);
    if (scratch == NULL)
        return fw_fail(err, FW_ENOMEM, "scratch for %zu threads", threads);
    for (size_t i = 0; i < threads; i++) {
        workers[i].job = &job;
        workers[i].scratch = scratch + i * job.scratch_bytes;
        if (i > 0)
            workers[i].started = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
    }
    work(&workers[0]);
    for (size_t i = 1; i < threads; i++) {
        if (workers[i].started)
            (void)pthread_join(workers[i].thread, NULL);
    }
    fw_free(scratch);
    return FW_OK;
}
