/* A batch over several threads, which take a few groups of series at a time from a counter: enough
 * that a slow core holds up nobody, few enough takes that laying out the scratch does not show. */
#include "base/alloc.h"
#include "tft/model_internal.h"
#include "tft/parallel.h"
#include "tft/plan_internal.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

enum { TAKES = 8, GROUPS_MAX = 8 }; /* takes of a thread, if the batch is large enough */

struct job {
    const struct tft_plan *plan;
    const struct tft_input *in;
    float *prediction;
    size_t scratch_bytes, share; /* share: series in one take */
    atomic_size_t next;
};

struct worker {
    struct job *job;
    unsigned char *scratch;
    pthread_t thread;
    bool started;
};

static void one_share(const struct job *job, size_t i, struct arena scratch)
{
    const struct tft_net *net = job->plan->model->net;
    const struct tft_input *in = job->in;
    const size_t e = in->history_steps, d = in->horizon_steps, left = in->n - i;
    const struct tft_input part = {
        .n = left < job->share ? left : job->share,
        .history_steps = e,
        .horizon_steps = d,
        .history_codes = in->history_codes + i * e * net->n_categoricals,
        .horizon_codes = in->horizon_codes + i * d * net->n_categoricals,
        .history_reals = in->history_reals + i * e * net->n_reals,
        .horizon_reals = in->horizon_reals + i * d * net->n_reals,
        .history_lengths = in->history_lengths + i,
        .horizon_lengths = in->horizon_lengths + i,
        .output_scale = in->output_scale + i * 2 * net->n_targets,
        .kept = in->kept == NULL ? NULL : in->kept + i,
    };
    tft_plan_run(job->plan, &part, job->prediction + i * d * net->output.n_out, scratch);
}

static void *work(void *arg)
{
    const struct worker *w = arg;
    struct job *job = w->job;
    for (;;) {
        const size_t i =
            job->share * atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (i >= job->in->n)
            return NULL;
        one_share(job, i, arena_over(w->scratch, job->scratch_bytes));
    }
}

static size_t share_of(size_t n, size_t threads)
{
    const size_t groups = n / (threads * TAKES * TFT_TOGETHER);
    return TFT_TOGETHER * (groups < 1 ? 1 : groups > GROUPS_MAX ? GROUPS_MAX : groups);
}

enum fw_status tft_plan_run_parallel(const struct tft_plan *plan, const struct tft_input *in,
                                     size_t threads, float *prediction, struct fw_error *err)
{
    struct job job = {
        .plan = plan, .in = in, .prediction = prediction, .share = share_of(in->n, threads)};
    struct worker workers[TFT_THREADS_MAX] = {0};
    assert(threads >= 1 && threads <= TFT_THREADS_MAX);
    job.scratch_bytes = tft_plan_scratch_bytes(plan, in->history_steps, in->horizon_steps);
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
