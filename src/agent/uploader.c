#include "agent/uploader.h"

#include "agent/feed.h"
#include "base/alloc.h"
#include "base/log.h"
#include "domain/identity.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    BATCH_DEFAULT = 500,
    RECORD_BYTES = 4096, /* one record is about 450 bytes with a name of the longest kind, and
                            labels at most 2.5 KiB, every byte escaped */
    PAUSE_MIN_MS = 1000,
    PAUSE_MAX_MS = 300000,
    RETRY_AFTER_MAX_S = 3600,
    REASON_MAX = 200,
};

enum state { STATE_NEW, STATE_TAKEN, STATE_AWAY, STATE_REFUSED };

struct agent_uploader {
    char name[SERVER_NAME_MAX + 1];
    const struct label_set *labels;
    struct agent_reading *ring;
    size_t ring_size, first, count;
    size_t batch_max, batch_now;
    agent_post_fn post;
    void *post_ctx;
    struct fw_buf body;
    struct fw_rng rng;
    int64_t pause_ms; /* the last pause before its variation; 0 after a success */
    int64_t due_ms;
    bool overflow_told;
    enum state state;
    char reason[REASON_MAX];
    struct agent_uploader_counts counts;
};

enum fw_status agent_uploader_new(const struct agent_uploader_options *options,
                                  struct agent_uploader **out, struct fw_error *err)
{
    *out = NULL;
    assert(options->queue_max > 0);
    if (!server_name_valid(options->server_name, strlen(options->server_name)))
        return fw_fail(err, FW_EINVAL,
                       "\"%.128s\" is no server name: 1 to %d bytes of printable UTF-8",
                       options->server_name, SERVER_NAME_MAX);
    struct agent_uploader *up = fw_calloc(1, sizeof *up);
    if (up == NULL)
        return fw_fail(err, FW_ENOMEM, "agent: out of memory");
    up->ring = fw_calloc(options->queue_max, sizeof *up->ring);
    if (up->ring == NULL) {
        agent_uploader_free(up);
        return fw_fail(err, FW_ENOMEM, "agent: no memory for a queue of %zu readings",
                       options->queue_max);
    }
    strcpy(up->name, options->server_name);
    up->labels = options->labels;
    up->ring_size = options->queue_max;
    up->batch_max = up->batch_now = options->batch_max == 0 ? BATCH_DEFAULT : options->batch_max;
    up->post = options->post;
    up->post_ctx = options->post_ctx;
    fw_buf_init(&up->body, 64 + up->batch_max * RECORD_BYTES);
    fw_rng_init(&up->rng, options->seed);
    *out = up;
    return FW_OK;
}

void agent_uploader_free(struct agent_uploader *up)
{
    if (up == NULL)
        return;
    fw_buf_fini(&up->body);
    fw_free(up->ring);
    fw_free(up);
}

void agent_uploader_push(struct agent_uploader *up, const struct agent_reading *reading)
{
    if (reading->present == 0)
        return;
    if (up->count == up->ring_size) {
        up->first = (up->first + 1) % up->ring_size;
        up->count--;
        up->counts.overflow++;
        if (!up->overflow_told)
            FW_LOG_WARN("agent", "the queue is full, its oldest samples are lost queue=%zu",
                        up->ring_size);
        up->overflow_told = true;
    }
    up->ring[(up->first + up->count++) % up->ring_size] = *reading;
}

static void drop_oldest(struct agent_uploader *up, size_t n)
{
    up->first = (up->first + n) % up->ring_size;
    up->count -= n;
}

/* Logs when the state, or the reason for it, is another than before. */
static void enter(struct agent_uploader *up, enum state state, const char *reason)
{
    if (up->state == state && strcmp(up->reason, reason) == 0)
        return;
    if (state == STATE_TAKEN)
        FW_LOG_INFO("agent", "the daemon takes samples server=%s queued=%zu", up->name, up->count);
    else if (state == STATE_AWAY)
        FW_LOG_WARN("agent", "the daemon takes no samples, keeping them reason=\"%s\" queued=%zu",
                    reason, up->count);
    else
        FW_LOG_WARN("agent", "the daemon refuses samples, they are dropped reason=\"%s\"", reason);
    up->state = state;
    snprintf(up->reason, sizeof up->reason, "%s", reason);
}

static void describe(const struct agent_answer *answer, char reason[REASON_MAX])
{
    if (answer->code == 0)
        snprintf(reason, REASON_MAX, "%.150s", answer->text);
    else
        snprintf(reason, REASON_MAX, "HTTP %ld: %.150s", answer->code, answer->text);
}

static void pause_after(struct agent_uploader *up, const struct agent_answer *answer,
                        int64_t mono_ms)
{
    up->pause_ms = up->pause_ms == 0 ? PAUSE_MIN_MS : up->pause_ms * 2;
    if (up->pause_ms > PAUSE_MAX_MS)
        up->pause_ms = PAUSE_MAX_MS;
    /* Many agents lose the same daemon at once; they must not come back at once. */
    const double vary = 0.5 + fw_rng_uniform(&up->rng);
    int64_t wait_ms = (int64_t)((double)up->pause_ms * vary);
    if (answer->retry_after_s >= 0) {
        const int64_t asked_s =
            answer->retry_after_s < RETRY_AFTER_MAX_S ? answer->retry_after_s : RETRY_AFTER_MAX_S;
        wait_ms = asked_s * 1000 + (int64_t)(1000.0 * fw_rng_uniform(&up->rng));
    }
    up->due_ms = mono_ms + wait_ms;
}

static bool may_pass(long code)
{
    return code == 0 || code >= 500 || code < 200 || (code >= 300 && code < 400) || code == 429 ||
           code == 401 || code == 403 || code == 408;
}

static size_t fill_body(struct agent_uploader *up)
{
    const size_t n = up->count < up->batch_now ? up->count : up->batch_now;
    fw_buf_reset(&up->body);
    agent_feed_begin(&up->body);
    for (size_t i = 0; i < n; i++)
        agent_feed_reading(&up->body, up->name, up->labels,
                           &up->ring[(up->first + i) % up->ring_size]);
    agent_feed_end(&up->body);
    return n;
}

/* Posts one batch; true when the next one may follow at once. */
static bool post_batch(struct agent_uploader *up, int64_t mono_ms)
{
    char reason[REASON_MAX];
    const size_t n = fill_body(up);
    struct agent_answer answer = {.retry_after_s = -1};
    if (up->body.failed)
        snprintf(answer.text, sizeof answer.text, "out of memory for a body");
    else
        up->post(up->post_ctx, up->body.data, up->body.len, &answer);
    up->counts.posts++;
    if (answer.code >= 200 && answer.code < 300) {
        drop_oldest(up, n);
        up->counts.sent += n;
        up->pause_ms = up->due_ms = 0;
        if (up->count == 0)
            up->batch_now = up->batch_max;
        up->overflow_told = false;
        enter(up, STATE_TAKEN, "");
        return true;
    }
    up->counts.failed_posts++;
    describe(&answer, reason);
    if (answer.code == 413 && n > 1) {
        up->batch_now = n / 2;
        return true;
    }
    if (may_pass(answer.code)) {
        pause_after(up, &answer, mono_ms);
        enter(up, STATE_AWAY, reason);
        return false;
    }
    drop_oldest(up, n);
    up->counts.refused += n;
    up->pause_ms = up->due_ms = 0;
    enter(up, STATE_REFUSED, reason);
    return true;
}

bool agent_uploader_run(struct agent_uploader *up, int64_t mono_ms, bool last_try)
{
    if (last_try || mono_ms >= up->due_ms)
        while (up->count > 0 && post_batch(up, mono_ms))
            ;
    return up->count == 0;
}

int64_t agent_uploader_due_ms(const struct agent_uploader *up)
{
    return up->count == 0 ? INT64_MAX : up->due_ms;
}

void agent_uploader_counts(const struct agent_uploader *up, struct agent_uploader_counts *counts)
{
    *counts = up->counts;
    counts->queued = up->count;
}
