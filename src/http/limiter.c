#include "http/limiter.h"

#include "base/alloc.h"

#include <pthread.h>
#include <stdbool.h>

/* A source may live in any of the slots of its row: eight neighbours, found by its hash. */
enum { ROW = 8, SHARDS = 8 };

struct slot {
    uint64_t source;
    int64_t began_ms;
    uint32_t count; /* 0: free */
};

struct http_limiter {
    pthread_mutex_t locks[SHARDS]; /* row i belongs to shard i % SHARDS */
    size_t rows;
    uint32_t window_ms;
    struct slot slots[];
};

struct http_limiter *http_limiter_new(size_t slots, uint32_t window_ms)
{
    const size_t rows = (slots + 63) / 64 * 64 / ROW;
    struct http_limiter *limiter =
        fw_calloc(1, sizeof *limiter + rows * ROW * sizeof limiter->slots[0]);
    if (limiter == NULL)
        return NULL;
    limiter->rows = rows;
    limiter->window_ms = window_ms;
    for (int i = 0; i < SHARDS; i++)
        pthread_mutex_init(&limiter->locks[i], NULL);
    return limiter;
}

void http_limiter_free(struct http_limiter *limiter)
{
    if (limiter == NULL)
        return;
    for (int i = 0; i < SHARDS; i++)
        pthread_mutex_destroy(&limiter->locks[i]);
    fw_free(limiter);
}

static bool expired(const struct http_limiter *limiter, const struct slot *slot, int64_t now_ms)
{
    return slot->count == 0 || now_ms - slot->began_ms >= limiter->window_ms;
}

/* The slot of `source`, or else the one that it may take over: a free or expired one, or the least
 * counted. */
static struct slot *find(struct http_limiter *limiter, struct slot *row, uint64_t source,
                         int64_t now_ms)
{
    struct slot *best = NULL;
    for (int i = 0; i < ROW; i++) {
        struct slot *slot = &row[i];
        if (slot->count != 0 && slot->source == source)
            return slot;
        if (best == NULL)
            best = slot;
        else if (expired(limiter, slot, now_ms) && !expired(limiter, best, now_ms))
            best = slot;
        else if (!expired(limiter, best, now_ms) && slot->count < best->count)
            best = slot;
    }
    return best;
}

uint32_t http_limiter_count(struct http_limiter *limiter, uint64_t source, uint32_t weight,
                            int64_t now_ms, uint32_t *left_ms)
{
    const size_t row = source % limiter->rows;
    pthread_mutex_t *lock = &limiter->locks[row % SHARDS];
    uint32_t count = 0, left = limiter->window_ms;
    pthread_mutex_lock(lock);
    struct slot *slot = find(limiter, &limiter->slots[row * ROW], source, now_ms);
    const bool known = slot->source == source && !expired(limiter, slot, now_ms);
    if (known) {
        count = slot->count;
        left = (uint32_t)(limiter->window_ms - (now_ms - slot->began_ms));
    }
    if (weight > 0) {
        count = count > UINT32_MAX - weight ? UINT32_MAX : count + weight;
        if (!known)
            *slot = (struct slot){.source = source, .began_ms = now_ms};
        slot->count = count;
    }
    pthread_mutex_unlock(lock);
    if (left_ms != NULL)
        *left_ms = left;
    return count;
}
