#include "api/pool.h"

#include "base/alloc.h"
#include "base/nice_linux.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { THREADS_MAX = 16 };

struct job {
    api_pool_fn fn;
    void *ctx;
};

struct api_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t threads[THREADS_MAX];
    unsigned thread_count;
    size_t head, waiting, running, queue_max;
    bool closing;
    int nice;
    struct job queue[]; /* a ring of queue_max */
};

static void *work(void *arg)
{
    struct api_pool *pool = arg;
    fw_nice_thread(pool->nice);
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->waiting == 0 && !pool->closing)
            pthread_cond_wait(&pool->wake, &pool->lock);
        if (pool->waiting == 0)
            break;
        const struct job job = pool->queue[pool->head];
        pool->head = (pool->head + 1) % pool->queue_max;
        pool->waiting--;
        pool->running++;
        pthread_mutex_unlock(&pool->lock);
        job.fn(job.ctx);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Signals are the main thread's: a worker blocks them all. */
static int start_thread(struct api_pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&pool->threads[pool->thread_count], NULL, work, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        pool->thread_count++;
    return failed;
}

enum fw_status api_pool_new(unsigned threads, size_t queue_max, int nice, struct api_pool **out,
                            struct fw_error *err)
{
    assert(threads >= 1 && threads <= THREADS_MAX && queue_max >= 1);
    *out = NULL;
    struct api_pool *pool = fw_calloc(1, sizeof *pool + queue_max * sizeof pool->queue[0]);
    if (pool == NULL)
        return fw_fail(err, FW_ENOMEM, "worker pool of %zu jobs", queue_max);
    pool->queue_max = queue_max;
    pool->nice = nice;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    while (pool->thread_count < threads) {
        const int failed = start_thread(pool);
        if (failed != 0) {
            api_pool_free(pool);
            return fw_fail(err, FW_EIO, "start a worker: %s", strerror(failed));
        }
    }
    *out = pool;
    return FW_OK;
}

void api_pool_free(struct api_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    fw_free(pool);
}

bool api_pool_submit(struct api_pool *pool, api_pool_fn fn, void *ctx)
{
    pthread_mutex_lock(&pool->lock);
    assert(!pool->closing);
    const bool room = pool->waiting < pool->queue_max;
    if (room) {
        pool->queue[(pool->head + pool->waiting) % pool->queue_max] = (struct job){fn, ctx};
        pool->waiting++;
        pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    return room;
}

size_t api_pool_busy(struct api_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    const size_t busy = pool->waiting + pool->running;
    pthread_mutex_unlock(&pool->lock);
    return busy;
}
