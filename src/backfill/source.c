#include "backfill/source.h"

#include "agent/client.h"
#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    REQUEST_MS = 180000,
    TRIES_MAX = 6,
    PAUSE_MIN_MS = 500,
    RETRY_AFTER_MAX_S = 60,
    NAP_MS = 100, /* how soon an interrupt is seen */
    FORM_MAX = 1 << 20,
};

struct backfill_source {
    const char *url;
    struct agent_client *client;
    struct backfill_reader *reader;
    struct fw_buf answer, form;
    bool (*interrupted)(void *ctx);
    void *ctx;
    bool known; /* it has answered as it should */
    struct backfill_source_counts counts;
};

enum fw_status backfill_source_new(const struct backfill_source_options *options,
                                   struct backfill_source **out, struct fw_error *err)
{
    *out = NULL;
    struct backfill_source *source = fw_calloc(1, sizeof *source);
    if (source == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    source->url = options->url;
    source->interrupted = options->interrupted;
    source->ctx = options->ctx;
    fw_buf_init(&source->answer, BACKFILL_ANSWER_MAX);
    fw_buf_init(&source->form, FORM_MAX);
    source->reader = backfill_reader_new();
    const struct agent_client_options client = {
        .url = options->url,
        .bearer = options->bearer,
        .basic = options->basic,
        .content_type = "application/x-www-form-urlencoded",
        .total_ms = REQUEST_MS,
        .interrupted = options->interrupted,
        .ctx = options->ctx,
        .whole = &source->answer,
    };
    enum fw_status status = agent_client_new(&client, &source->client, err);
    if (status == FW_OK && source->reader == NULL)
        status = fw_fail(err, FW_ENOMEM, "out of memory");
    if (status != FW_OK) {
        backfill_source_free(source);
        return status;
    }
    *out = source;
    return FW_OK;
}

void backfill_source_free(struct backfill_source *source)
{
    if (source == NULL)
        return;
    agent_client_free(source->client);
    backfill_reader_free(source->reader);
    fw_buf_fini(&source->answer);
    fw_buf_fini(&source->form);
    fw_free(source);
}

void backfill_source_counts(const struct backfill_source *source,
                            struct backfill_source_counts *counts)
{
    *counts = source->counts;
}

void backfill_source_mark(struct backfill_source *source)
{
    source->counts.longest = 0;
}

static bool stopped(const struct backfill_source *source)
{
    return source->interrupted != NULL && source->interrupted(source->ctx);
}

/* False: interrupted. */
static bool pause_ms(const struct backfill_source *source, int64_t ms)
{
    const struct timespec nap = {.tv_nsec = NAP_MS * 1000000L};
    for (; ms > 0 && !stopped(source); ms -= NAP_MS)
        nanosleep(&nap, NULL);
    return !stopped(source);
}

/* Whether the same may be answered in a while. What never was there is told at once. */
static bool worth_repeating(const struct backfill_source *source, const struct agent_answer *answer)
{
    if (answer->code == 0)
        return source->known && !source->answer.failed;
    return answer->code == 429 || answer->code == 502 || answer->code == 503 || answer->code == 504;
}

static enum fw_status refuse(struct backfill_source *source, const struct agent_answer *answer,
                             struct fw_error *err)
{
    char reason[BACKFILL_REASON_MAX];
    if (stopped(source))
        return fw_fail(err, FW_ETIMEOUT, "stopped");
    if (answer->code == 0 && source->answer.failed)
        return fw_fail(err, FW_ELIMIT, "an answer is longer than %d bytes", BACKFILL_ANSWER_MAX);
    if (answer->code == 0)
        return fw_fail(err, FW_EIO, "no answer: %.200s", answer->text);
    backfill_read_reason(source->reader, &source->answer, reason);
    /* Limits of Thanos, Mimir and Prometheus itself are 422; its own time-out is 503. */
    const bool too_much = source->known && (answer->code == 422 || answer->code == 503);
    if (answer->code == 404)
        return fw_fail(err, FW_EINVAL, "no Prometheus API is there (404): %s", reason);
    if (answer->code == 401 || answer->code == 403)
        return fw_fail(err, FW_EIO, "it refuses us (%ld): %s", answer->code, reason);
    return fw_fail(err, too_much ? FW_ELIMIT : FW_EIO, "it answers %ld: %s", answer->code, reason);
}

/* GET, or POST of the form when `posts`. The body is in source->answer. */
static enum fw_status ask(struct backfill_source *source, const char *path, bool posts,
                          struct fw_error *err)
{
    struct agent_answer answer;
    int64_t wait_ms = PAUSE_MIN_MS;
    if (source->form.failed)
        return fw_fail(err, FW_ELIMIT, "the request is too long");
    for (int tries = 1;; tries++) {
        agent_client_request(source->client, path, posts ? source->form.data : NULL,
                             source->form.len, &answer);
        source->counts.requests++;
        source->counts.bytes += source->answer.len;
        if (source->answer.len > source->counts.longest)
            source->counts.longest = source->answer.len;
        if (answer.code == 200)
            return FW_OK;
        if (tries == TRIES_MAX || !worth_repeating(source, &answer))
            break;
        source->counts.repeated++;
        if (answer.retry_after_s >= 0)
            wait_ms = 1000 * (answer.retry_after_s < RETRY_AFTER_MAX_S ? answer.retry_after_s
                                                                       : RETRY_AFTER_MAX_S);
        if (!pause_ms(source, wait_ms))
            break;
        wait_ms *= 2;
    }
    return refuse(source, &answer, err);
}

/* Errors name the server. */
static enum fw_status done(struct backfill_source *source, enum fw_status status,
                           struct fw_error *err)
{
    source->known |= status == FW_OK;
    if (status == FW_OK || err == NULL)
        return status;
    const struct fw_error why = *err;
    return fw_fail(err, status, "%.100s: %s", source->url, why.text);
}

static void put_times(struct fw_buf *out, int64_t begin_s, int64_t end_s)
{
    fw_buf_printf(out, "&start=%" PRId64 "&end=%" PRId64, begin_s, end_s);
}

enum fw_status backfill_source_values(struct backfill_source *source, const char *label,
                                      const struct fw_buf *selector, int64_t begin_s, int64_t end_s,
                                      bool (*take)(void *ctx, const char *text, size_t len),
                                      void *ctx, struct fw_error *err)
{
    /* This one takes no form. */
    fw_buf_reset(&source->form);
    fw_buf_printf(&source->form, "/api/v1/label/%s/values?match%%5B%%5D=", label);
    fw_buf_put_url(&source->form, selector->data, selector->len);
    put_times(&source->form, begin_s, end_s);
    fw_buf_putc(&source->form, '\0');
    enum fw_status status = ask(source, source->form.data, false, err);
    if (status == FW_OK)
        status = backfill_read_values(source->reader, &source->answer, take, ctx, err);
    return done(source, status, err);
}

enum fw_status backfill_source_range(struct backfill_source *source,
                                     const struct backfill_range *range, struct fw_buf *request,
                                     size_t *series, size_t *samples, struct fw_error *err)
{
    struct fw_buf *form = &source->form;
    fw_buf_reset(form);
    fw_buf_puts(form, "query=");
    fw_buf_puts(form, "last_over_time%28");
    fw_buf_put_url(form, range->selector->data, range->selector->len);
    fw_buf_printf(form, "%%5B%us%%5D%%29&step=%u", range->step_s, range->step_s);
    put_times(form, range->begin_s, range->end_s);
    enum fw_status status = ask(source, "/api/v1/query_range", true, err);
    if (status == FW_OK)
        status = backfill_read_matrix(source->reader, &source->answer, range->name, request, series,
                                      samples, err);
    return done(source, status, err);
}
