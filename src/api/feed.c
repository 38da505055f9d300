/* POST /feed/data (contract 3): decode -> submit -> answer. Small bodies are decoded where they
 * arrive; large ones by the ingest workers, so that eleven megabytes never hold up a small feed or
 * a GET. */
#include "api/api_internal.h"

#include "api/rules.h"

#include <stdio.h>
#include <string.h>

struct feed {
    struct api *api;
    struct http_request *request;
    enum ingest_json_form form;
    bool large; /* decoded by a worker; deferred already */
};

/* ---- one large batch at a time in the journal ----
 *
 * The journal's thread applies batches in sequence, and a large one takes it tens of milliseconds.
 * Ten of them in one group would hold up every small feed behind them, so the workers take turns:
 * decoding goes on in parallel, and the next large batch enters when the one before is
 * acknowledged. */

static void large_enter(struct api *api)
{
    pthread_mutex_lock(&api->large_lock);
    while (api->large_inside)
        pthread_cond_wait(&api->large_left, &api->large_lock);
    api->large_inside = true;
    pthread_mutex_unlock(&api->large_lock);
}

static void large_leave(struct api *api)
{
    pthread_mutex_lock(&api->large_lock);
    api->large_inside = false;
    pthread_cond_signal(&api->large_left);
    pthread_mutex_unlock(&api->large_lock);
}

/* ---- answers ---- */

static void put_errors(struct fw_buf *buf, const struct sample_batch *batch)
{
    fw_buf_putc(buf, '[');
    for (size_t i = 0; i < batch->error_count; i++) {
        const struct batch_error *error = &batch->errors[i];
        fw_buf_puts(buf, i > 0 ? ",{" : "{");
        api_put_int(buf, "index", error->record);
        fw_buf_puts(buf, ",\"server_name\":");
        if (error->server_name[0] == '\0')
            fw_buf_puts(buf, "null");
        else
            fw_buf_json_string(buf, error->server_name, strlen(error->server_name));
        fw_buf_puts(buf, ",\"field\":");
        if (error->field[0] == '\0')
            fw_buf_puts(buf, "null");
        else
            fw_buf_json_string(buf, error->field, strlen(error->field));
        fw_buf_putc(buf, ',');
        api_put_text(buf, "type", batch_reason_name(error->reason));
        fw_buf_putc(buf, ',');
        api_put_text(buf, "msg", error->text);
        fw_buf_putc(buf, '}');
    }
    fw_buf_putc(buf, ']');
}

/* The same refusals in the shape of the framework's validation errors. */
static void put_detail(struct fw_buf *buf, const struct sample_batch *batch)
{
    fw_buf_putc(buf, '[');
    for (size_t i = 0; i < batch->error_count; i++) {
        const struct batch_error *error = &batch->errors[i];
        fw_buf_puts(buf, i > 0 ? ",{" : "{");
        api_put_text(buf, "type", batch_reason_name(error->reason));
        fw_buf_printf(buf, ",\"loc\":[\"body\",\"records\",%u", (unsigned)error->record);
        if (error->field[0] != '\0') {
            fw_buf_putc(buf, ',');
            fw_buf_json_string(buf, error->field, strlen(error->field));
        }
        fw_buf_puts(buf, "],");
        api_put_text(buf, "msg", error->text);
        fw_buf_puts(buf, ",\"input\":null}");
    }
    fw_buf_putc(buf, ']');
}

static void put_rejected_by(struct fw_buf *buf, const struct sample_batch *batch)
{
    bool first = true;
    fw_buf_puts(buf, "\"rejected_by\":{");
    for (size_t i = BATCH_OK + 1; i < BATCH_REASON_COUNT; i++) {
        if (batch->rejected[i] == 0)
            continue;
        if (!first)
            fw_buf_putc(buf, ',');
        first = false;
        api_put_int(buf, batch_reason_name((enum batch_reason)i), (int64_t)batch->rejected[i]);
    }
    fw_buf_puts(buf, "},");
}

static void put_fleet_members(struct fw_buf *buf, struct api *api)
{
    struct fleet_counts counts;
    char progress[80];
    fleet_counts(api->parts.fleet, &counts);
    const bool warm = api_warm(api, &counts);
    snprintf(progress, sizeof progress, "%s: %zu/%zu servers ready", warm ? "Ready" : "Warming up",
             counts.ready, counts.servers);
    api_put_int(buf, "tick", (int64_t)counts.batches);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "window_size", (int64_t)counts.rows);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "rolling_window_size", (int64_t)counts.rows);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "servers_tracked", (int64_t)counts.servers);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "servers_ready", (int64_t)counts.ready);
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "warmup_complete", warm);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "progress", progress);
    fw_buf_putc(buf, ',');
}

static void put_samples(struct fw_buf *buf, const struct fleet_applied *applied)
{
    fw_buf_puts(buf, "\"samples\":{");
    api_put_int(buf, "stored", (int64_t)applied->samples);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "duplicates", (int64_t)applied->duplicates);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "overwritten", (int64_t)applied->overwritten);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "late", (int64_t)applied->late);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "refused", (int64_t)(applied->sealed + applied->outrun));
    fw_buf_puts(buf, "},");
}

static void reply_taken(const struct feed *feed, const struct api_submitted *result)
{
    struct fw_buf buf;
    const bool accepted = result->accepted > 0;
    fw_buf_init(&buf, 65536);
    fw_buf_putc(&buf, '{');
    api_put_text(&buf, "status", accepted ? "accepted" : "rejected");
    fw_buf_putc(&buf, ',');
    put_fleet_members(&buf, feed->api);
    api_put_int(&buf, "records_received", (int64_t)result->batch->records);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "records_accepted", (int64_t)result->accepted);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "records_rejected", (int64_t)result->rejected);
    fw_buf_putc(&buf, ',');
    if (result->rejected > 0)
        put_rejected_by(&buf, result->batch);
    if (accepted)
        put_samples(&buf, &result->applied);
    fw_buf_puts(&buf, "\"errors\":");
    put_errors(&buf, result->batch);
    if (!accepted) {
        fw_buf_puts(&buf, ",\"detail\":");
        put_detail(&buf, result->batch);
    }
    fw_buf_putc(&buf, '}');
    http_reply_json(feed->request, accepted ? 200 : 422, &buf);
}

static void answered(void *ctx, const struct api_submitted *result)
{
    const struct feed *feed = ctx;
    struct api *api = feed->api;
    const int64_t took_ns = fw_clock_mono_ns(api->clock) - http_request_since_ns(feed->request);
    fw_histogram_record(&api->ingest_ns, took_ns < 0 ? 0 : (uint64_t)took_ns);
    if (feed->large)
        large_leave(api);
    switch (result->status) {
    case FW_OK:
        reply_taken(feed, result);
        break;
    case FW_ENOSPC:
        api_reply_busy(feed->request, 507, 1, "The disk is full; nothing of this batch was kept");
        break;
    case FW_ELIMIT:
        api_reply_busy(feed->request, 503, 1, "The journal is behind; send this batch again");
        break;
    case FW_ENOMEM:
        api_reply_busy(feed->request, 503, 1, "Out of memory; send this batch again");
        break;
    case FW_EINVAL: /* longer than a journal record may be */
        http_reply_detail(feed->request, 413, "The batch is too large");
        break;
    default:
        api_reply_busy(feed->request, 503, 1,
                       "The journal cannot be written; send this batch again");
    }
}

/* What is wrong with the body as a whole. */
static void reply_unreadable(const struct feed *feed, enum fw_status status,
                             const struct ingest_request_errors *errors)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 65536);
    fw_buf_puts(&buf, "{\"detail\":[");
    for (size_t i = 0; i < errors->count; i++) {
        const struct ingest_request_error *error = &errors->entries[i];
        fw_buf_puts(&buf, i > 0 ? ",{" : "{");
        api_put_text(&buf, "type", error->type);
        fw_buf_puts(&buf, ",\"loc\":[\"body\"");
        if (error->has_offset) {
            fw_buf_putc(&buf, ',');
            fw_buf_put_i64(&buf, (int64_t)error->offset);
        } else if (error->field != NULL) {
            fw_buf_putc(&buf, ',');
            fw_buf_json_string(&buf, error->field, strlen(error->field));
        }
        fw_buf_puts(&buf, "],");
        api_put_text(&buf, "msg", error->msg);
        fw_buf_puts(&buf, ",\"input\":");
        fw_buf_puts(&buf, error->input[0] == '\0' ? "null" : error->input);
        if (error->ctx_error[0] != '\0') {
            fw_buf_puts(&buf, ",\"ctx\":{");
            api_put_text(&buf, "error", error->ctx_error);
            fw_buf_putc(&buf, '}');
        }
        fw_buf_putc(&buf, '}');
    }
    fw_buf_puts(&buf, "]}");
    const bool too_long = status == FW_ELIMIT && errors->count > 0 &&
                          strcmp(errors->entries[0].type, "too_long") == 0;
    http_reply_json(feed->request, too_long ? 413 : 422, &buf);
}

/* ---- the way in ---- */

static enum fw_status decode(const struct feed *feed, struct api_rules *rules,
                             struct sample_batch *batch, struct ingest_request_errors *errors)
{
    size_t len;
    const char *body = http_request_body(feed->request, &len);
    struct ingest_decoder *decoder = api_decoder_take(rules->decoders);
    if (decoder == NULL)
        return FW_ENOMEM;
    const enum fw_status status = ingest_json(decoder, body, len, feed->form, batch, errors);
    api_decoder_give(rules->decoders, decoder);
    return status;
}

static void take_by(struct feed *feed, struct api_rules *rules)
{
    struct sample_batch *batch = batch_new();
    struct ingest_request_errors errors = {0};
    if (batch != NULL)
        batch->label_rules = &rules->labels;
    const enum fw_status status = batch == NULL ? FW_ENOMEM : decode(feed, rules, batch, &errors);
    if (status == FW_OK && batch->records > 0 && batch->records <= feed->api->options.records_max) {
        if (feed->large)
            large_enter(feed->api);
        else
            http_defer(feed->request);
        api_submit(feed->api, API_FEED, rules, batch, answered, feed); /* takes the batch */
        return;
    }
    if (status == FW_ENOMEM) {
        feed->api->counts.refused_memory++;
        api_reply_busy(feed->request, 503, 1, "Out of memory; send this batch again");
    } else if (status != FW_OK) {
        reply_unreadable(feed, status, &errors);
    } else if (batch->records == 0) {
        struct fw_buf buf;
        fw_buf_init(&buf, 256);
        fw_buf_puts(&buf, "{\"status\":\"ignored\",\"reason\":\"empty batch\"}");
        http_reply_json(feed->request, 200, &buf);
    } else {
        http_reply_detail(feed->request, 413, "Too many records in one batch");
    }
    batch_free(batch);
}

static void take(struct feed *feed)
{
    struct api_rules *rules = api_rules_current(feed->api);
    take_by(feed, rules);
    api_rules_release(rules);
}

static void take_job(void *ctx)
{
    take(ctx);
}

static enum ingest_json_form form_of(const struct http_request *request)
{
    const char *type = http_request_header(request, "Content-Type");
    if (type == NULL)
        return INGEST_JSON_ANY;
    return strstr(type, "ndjson") != NULL || strstr(type, "jsonl") != NULL ? INGEST_JSON_LINES
                                                                           : INGEST_JSON_ANY;
}

void api_feed(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    if (!api_ready(api, request))
        return;
    struct feed *feed = http_request_alloc(request, sizeof *feed);
    if (feed == NULL) {
        api_reply_busy(request, 503, 1, "Out of memory; send this batch again");
        return;
    }
    *feed = (struct feed){.api = api, .request = request, .form = form_of(request)};
    size_t len;
    http_request_body(request, &len);
    if (len <= api->options.inline_bytes_max) {
        take(feed);
        return;
    }
    feed->large = true;
    http_defer(request);
    if (!api_pool_submit(api->ingest, take_job, feed)) {
        api->counts.refused_queue++;
        api_reply_busy(request, 503, 1, "Too many large batches wait; send this one again");
    }
}
