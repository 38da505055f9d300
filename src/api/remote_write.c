/* POST /api/v1/write: Prometheus remote write 1.0 (docs/prometheus.md). Unpack -> gather -> book ->
 * submit -> answer.
 *
 * Senders drop what gets a 4xx and repeat what gets a 5xx, for ever and in order, so the status
 * says only that: 204 stored, 400 never send this again (what was good in it is stored), 503 later.
 *
 * The book has taken a request's samples before the journal has its rows. Should the journal refuse
 * them, they are *owed*: kept here, and part of the next request's batch, so that a repeated
 * request, which brings nothing new, still makes them durable before it is acknowledged. While owed
 * rows are on their way, requests are asked to wait, and so is a request that repeats samples while
 * any row is. */
#include "api/api_internal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "http/negotiate.h"
#include "ingest/series_book.h"

#include <stdio.h>
#include <string.h>

enum { OWED_ROWS_MAX = 50000 };

struct api_remote_write {
    struct series_rules *rules;
    struct series_book *book;
    pthread_mutex_t order; /* from the book to the journal's queue: later values come later */
    pthread_mutex_t lock;  /* of what follows; taken last */
    struct sample_batch *owed;
    size_t owed_on_their_way; /* batches that hold owed rows */
    size_t on_their_way;      /* batches */
};

struct write_request {
    struct api *api;
    struct http_request *request;
    bool deferred, pays; /* pays: the batch holds owed rows */
};

enum fw_status api_remote_write_new(struct api *api, struct api_remote_write **out,
                                    struct fw_error *err)
{
    struct api_remote_write *w = fw_calloc(1, sizeof *w);
    *out = w;
    if (w == NULL)
        return fw_fail(err, FW_ENOMEM, "remote write");
    pthread_mutex_init(&w->order, NULL);
    pthread_mutex_init(&w->lock, NULL);
    w->rules = series_rules_new(api->options.schema);
    w->book = series_book_new(api->options.schema, &(struct series_book_options){0});
    if (w->rules == NULL || w->book == NULL)
        return fw_fail(err, FW_ENOMEM, "remote write");
    return FW_OK;
}

void api_remote_write_free(struct api_remote_write *w)
{
    if (w == NULL)
        return;
    series_book_free(w->book);
    series_rules_free(w->rules);
    batch_free(w->owed);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->order);
    fw_free(w);
}

struct series_book *api_remote_write_book(struct api_remote_write *w)
{
    return w->book;
}

/* ---- answers ---- */

static void reply_text(struct http_request *request, int status, int retry_after_s,
                       const char *text)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 4096);
    fw_buf_puts(&buf, text);
    fw_buf_putc(&buf, '\n');
    http_reply(request, &(struct http_reply){.status = status,
                                             .content_type = "text/plain; charset=utf-8",
                                             .body = http_body_new_take(&buf),
                                             .retry_after_s = retry_after_s});
}

static void reply_later(struct http_request *request, const char *text)
{
    reply_text(request, 503, 1, text);
}

static void reply_taken(const struct write_request *r, const struct api_submitted *result)
{
    char text[512];
    if (result->rejected == 0) {
        http_reply(r->request, &(struct http_reply){.status = 204});
        return;
    }
    const struct batch_error *first = &result->batch->errors[0];
    snprintf(text, sizeof text, "%zu refused, the others stored; the first: %s%s%s (%s)",
             result->rejected, first->server_name, first->server_name[0] != '\0' ? ": " : "",
             first->text, batch_reason_name(first->reason));
    reply_text(r->request, 400, 0, text);
}

/* ---- owed rows ---- */

static bool copy_rows(const struct sample_batch *from, struct sample_batch *to)
{
    for (size_t i = 0; i < from->row_count; i++) {
        struct sample_row row = from->rows[i];
        const struct batch_name *name = &from->names[row.name];
        row.record = (uint32_t)to->records;
        if (batch_name(to, name->text, name->len, &row.name) != FW_OK ||
            batch_row_put(to, &row, from->values + row.first_value, row.value_count) != FW_OK)
            return false;
        to->records++;
    }
    return true;
}

static void owe(struct api_remote_write *w, const struct sample_batch *batch)
{
    if (w->owed == NULL)
        w->owed = batch_new();
    if (w->owed == NULL || !copy_rows(batch, w->owed))
        FW_LOG_ERROR("ingest", "out of memory: derived rows were lost rows=%zu", batch->row_count);
}

/* Puts owed rows before those of a request. FW_ELIMIT: some are on their way, or there is no memory
 * for them; the batch is then not to be used. */
static enum fw_status pay(struct api_remote_write *w, struct sample_batch *batch, bool *pays)
{
    enum fw_status status = FW_OK;
    pthread_mutex_lock(&w->lock);
    if (w->owed_on_their_way > 0) {
        status = FW_ELIMIT;
    } else if (w->owed != NULL) {
        if (copy_rows(w->owed, batch)) {
            batch_free(w->owed);
            w->owed = NULL;
            w->owed_on_their_way++;
            *pays = true;
        } else {
            status = FW_ELIMIT;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

static bool owes_too_much(struct api_remote_write *w)
{
    pthread_mutex_lock(&w->lock);
    const bool much =
        w->owed_on_their_way > 0 || (w->owed != NULL && w->owed->row_count > OWED_ROWS_MAX);
    pthread_mutex_unlock(&w->lock);
    return much;
}

/* On the journal's thread or the submitter's. */
static void answered(void *ctx, const struct api_submitted *result)
{
    const struct write_request *r = ctx;
    struct api_remote_write *w = r->api->remote_write;
    const int64_t took_ns = fw_clock_mono_ns(r->api->clock) - http_request_since_ns(r->request);
    fw_histogram_record(&r->api->ingest_ns, took_ns < 0 ? 0 : (uint64_t)took_ns);
    pthread_mutex_lock(&w->lock);
    w->owed_on_their_way -= r->pays;
    w->on_their_way--;
    if (result->status != FW_OK)
        owe(w, result->batch);
    pthread_mutex_unlock(&w->lock);
    switch (result->status) {
    case FW_OK:
        reply_taken(r, result);
        break;
    case FW_ENOSPC:
        reply_later(r->request, "the disk is full");
        break;
    case FW_ELIMIT:
        reply_later(r->request, "the journal is behind");
        break;
    case FW_ENOMEM:
        reply_later(r->request, "out of memory");
        break;
    default:
        reply_later(r->request, "the journal cannot be written");
    }
}

/* ---- the way in ---- */

static void set_bounds(const struct api *api, struct series_gather *gather)
{
    const struct fleet_options *fleet = fleet_options(api->parts.fleet);
    const int64_t now_ms = fw_clock_wall_ms(api->clock);
    gather->oldest_ms = now_ms - (int64_t)fleet->window_steps * fleet->step_s * 1000;
    gather->newest_ms = now_ms + fleet->future_skew_ms;
}

/* Counts the batch in, unless the request repeats samples whose rows may still be on their way. */
static bool may_go(struct api_remote_write *w, const struct series_gather *gather)
{
    pthread_mutex_lock(&w->lock);
    const bool may = gather->repeated == 0 || w->on_their_way == 0;
    w->on_their_way += may;
    pthread_mutex_unlock(&w->lock);
    return may;
}

/* The rows wait for the next request; this one is to be sent again. */
static void put_off(struct write_request *r, struct sample_batch *batch, const char *why)
{
    struct api_remote_write *w = r->api->remote_write;
    pthread_mutex_lock(&w->lock);
    w->owed_on_their_way -= r->pays;
    owe(w, batch);
    pthread_mutex_unlock(&w->lock);
    batch_free(batch);
    reply_later(r->request, why);
}

/* From here on nothing of the request is in doubt: what it brings is derived and submitted. */
static void take_gathered(struct write_request *r, struct series_gather *gather,
                          struct sample_batch *batch)
{
    struct api_remote_write *w = r->api->remote_write;
    pthread_mutex_lock(&w->order);
    enum fw_status status = pay(w, batch, &r->pays);
    if (status == FW_OK)
        status = series_book_take(w->book, gather, fw_clock_mono_ns(r->api->clock), batch);
    if (status == FW_ELIMIT) {
        batch_free(batch);
        reply_later(r->request, "earlier samples are on their way");
    } else if (status != FW_OK) {
        put_off(r, batch, "out of memory");
    } else if (!may_go(w, gather)) {
        put_off(r, batch, "these samples are on their way");
    } else {
        if (!r->deferred)
            http_defer(r->request);
        api_submit(r->api, API_REMOTE_WRITE, batch, answered, r);
    }
    pthread_mutex_unlock(&w->order);
}

static void refuse_body(struct write_request *r, enum fw_status status, const struct fw_error *err)
{
    struct api_counts *counts = &r->api->counts;
    if (status == FW_ENOMEM) {
        counts->refused_memory++;
        reply_later(r->request, "out of memory");
        return;
    }
    counts->rejected[API_REMOTE_WRITE][BATCH_BAD_RECORD]++;
    reply_text(r->request, 400, 0, err->text);
}

static void take_body(struct write_request *r, struct fw_buf *body, struct sample_batch *batch)
{
    size_t len;
    struct fw_error err = {0};
    struct series_gather gather;
    const char *packed = http_request_body(r->request, &len);
    enum fw_status status = remote_write_unpack(packed, len, REMOTE_WRITE_UNPACKED_MAX, body, &err);
    series_gather_init(&gather, r->api->remote_write->rules, r->api->options.schema, batch);
    set_bounds(r->api, &gather);
    if (status == FW_OK)
        status = series_gather_read(&gather, body->data, body->len, &err);
    if (status == FW_OK) {
        take_gathered(r, &gather, batch); /* takes the batch */
    } else {
        batch_free(batch);
        refuse_body(r, status, &err);
    }
    series_gather_fini(&gather);
}

static void take(void *ctx)
{
    struct write_request *r = ctx;
    struct fw_buf body;
    if (owes_too_much(r->api->remote_write)) {
        r->api->counts.refused_queue++;
        reply_later(r->request, "earlier samples are not stored yet");
        return;
    }
    struct sample_batch *batch = batch_new();
    if (batch == NULL) {
        r->api->counts.refused_memory++;
        reply_later(r->request, "out of memory");
        return;
    }
    fw_buf_init(&body, REMOTE_WRITE_UNPACKED_MAX);
    take_body(r, &body, batch); /* `r` is gone with the answer */
    fw_buf_fini(&body);
}

/* NULL: the headers are those of version 1.0. */
static const char *wrong_headers(const struct http_request *request)
{
    const char *type = http_request_header(request, "Content-Type");
    const char *coding = http_request_header(request, "Content-Encoding");
    if (type == NULL || strncmp(type, "application/x-protobuf", 22) != 0 ||
        (type[22] != '\0' && type[22] != ';' && type[22] != ' '))
        return "expected Content-Type: application/x-protobuf";
    const char *proto = strstr(type, "proto=");
    if (proto != NULL && strstr(proto, "prometheus.WriteRequest") == NULL)
        return "only remote write 1.0 (prometheus.WriteRequest) is known here";
    if (coding == NULL || !http_same_nocase(coding, strlen(coding), "snappy"))
        return "expected Content-Encoding: snappy";
    return NULL;
}

void api_remote_write(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    if (!api_ready(api, request))
        return;
    const char *wrong = wrong_headers(request);
    if (wrong != NULL) {
        reply_text(request, 415, 0, wrong);
        return;
    }
    struct write_request *r = http_request_alloc(request, sizeof *r);
    if (r == NULL) {
        reply_later(request, "out of memory");
        return;
    }
    *r = (struct write_request){.api = api, .request = request};
    size_t len;
    http_request_body(request, &len);
    if (len <= api->options.inline_bytes_max) {
        take(r);
        return;
    }
    r->deferred = true;
    http_defer(request);
    if (!api_pool_submit(api->ingest, take, r)) {
        api->counts.refused_queue++;
        reply_later(request, "too many large requests wait");
    }
}
