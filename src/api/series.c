/* What the protocols of raw series share: remote write, line protocol, OTLP. Gathered samples ->
 * book -> submit -> answer.
 *
 * The book has taken a request's samples before the journal has its rows. Should the journal refuse
 * them, they are *owed*: kept here, and part of the next request's batch, so that a repeated
 * request, which brings nothing new, still makes them durable before it is acknowledged. While owed
 * rows are on their way, requests are asked to wait, and so is a request that repeats samples while
 * any row is. */
#include "api/series.h"

#include "api/rules.h"
#include "base/alloc.h"
#include "base/log.h"

#include <string.h>

enum { OWED_ROWS_MAX = 50000 };

struct api_series {
    struct series_book *book;
    /* From the book to the journal's queue: later values come later. The rules do not change while
     * it is held. */
    pthread_mutex_t order;
    pthread_mutex_t lock; /* of what follows; taken last */
    struct sample_batch *owed;
    size_t owed_on_their_way; /* batches that hold owed rows */
    size_t on_their_way;      /* batches */
};

enum fw_status api_series_new(struct api_series **out, struct fw_error *err)
{
    struct api_series *w = fw_calloc(1, sizeof *w);
    *out = w;
    if (w == NULL)
        return fw_fail(err, FW_ENOMEM, "raw series");
    pthread_mutex_init(&w->order, NULL);
    pthread_mutex_init(&w->lock, NULL);
    w->book = series_book_new(&(struct series_book_options){0});
    return w->book != NULL ? FW_OK : fw_fail(err, FW_ENOMEM, "raw series");
}

void api_series_free(struct api_series *w)
{
    if (w == NULL)
        return;
    series_book_free(w->book);
    batch_free(w->owed);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->order);
    fw_free(w);
}

struct series_book *api_series_book(struct api_series *w)
{
    return w->book;
}

void api_series_hold(struct api_series *w)
{
    pthread_mutex_lock(&w->order);
}

void api_series_resume(struct api_series *w, bool forget)
{
    if (forget)
        series_book_forget(w->book);
    pthread_mutex_unlock(&w->order);
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

static void owe(struct api_series *w, const struct sample_batch *batch)
{
    if (w->owed == NULL)
        w->owed = batch_new();
    if (w->owed == NULL || !copy_rows(batch, w->owed))
        FW_LOG_ERROR("ingest", "out of memory: derived rows were lost rows=%zu", batch->row_count);
}

/* Puts owed rows before those of a request. FW_ELIMIT: some are on their way, or there is no memory
 * for them; the batch is then not to be used. */
static enum fw_status pay(struct api_series *w, struct sample_batch *batch, bool *pays)
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

static bool owes_too_much(struct api_series *w)
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
    struct api_series_request *r = ctx;
    struct api_series *w = r->api->series;
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
        r->kind->taken(r, result);
        break;
    case FW_ENOSPC:
        r->kind->later(r->request, "the disk is full");
        break;
    case FW_ELIMIT:
        r->kind->later(r->request, "the journal is behind");
        break;
    case FW_ENOMEM:
        r->kind->later(r->request, "out of memory");
        break;
    default:
        r->kind->later(r->request, "the journal cannot be written");
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
static bool may_go(struct api_series *w, const struct series_gather *gather)
{
    pthread_mutex_lock(&w->lock);
    const bool may = gather->repeated == 0 || w->on_their_way == 0;
    w->on_their_way += may;
    pthread_mutex_unlock(&w->lock);
    return may;
}

/* The rows wait for the next request; this one is to be sent again. */
static void put_off(struct api_series_request *r, struct sample_batch *batch, const char *why)
{
    struct api_series *w = r->api->series;
    pthread_mutex_lock(&w->lock);
    w->owed_on_their_way -= r->pays;
    owe(w, batch);
    pthread_mutex_unlock(&w->lock);
    batch_free(batch);
    r->kind->later(r->request, why);
}

/* Under `order`. */
static bool means_the_same(struct api *api, const struct api_rules *rules)
{
    struct api_rules *now = api_rules_current(api);
    const bool same = series_rules_digest(now->series) == series_rules_digest(rules->series);
    api_rules_release(now);
    return same;
}

/* From here on nothing of the request is in doubt: what it brings is derived and submitted. */
static void take_gathered(struct api_series_request *r, struct api_rules *rules,
                          struct series_gather *gather, struct sample_batch *batch)
{
    struct api_series *w = r->api->series;
    pthread_mutex_lock(&w->order);
    if (!means_the_same(r->api, rules)) {
        pthread_mutex_unlock(&w->order);
        batch_free(batch);
        r->kind->later(r->request, "the mapping was changed");
        return;
    }
    enum fw_status status = pay(w, batch, &r->pays);
    if (status == FW_OK)
        status = series_book_take(w->book, gather, fw_clock_mono_ns(r->api->clock), batch);
    if (status == FW_ELIMIT) {
        batch_free(batch);
        r->kind->later(r->request, "earlier samples are on their way");
    } else if (status != FW_OK) {
        put_off(r, batch, "out of memory");
    } else if (!may_go(w, gather)) {
        put_off(r, batch, "these samples are on their way");
    } else {
        if (!r->deferred)
            http_defer(r->request);
        api_submit(r->api, r->kind->protocol, rules, batch, answered, r);
    }
    pthread_mutex_unlock(&w->order);
}

static void refuse_body(struct api_series_request *r, enum fw_status status,
                        const struct fw_error *err)
{
    struct api_counts *counts = &r->api->counts;
    if (status == FW_ENOMEM) {
        counts->refused_memory++;
        r->kind->later(r->request, "out of memory");
        return;
    }
    counts->rejected[r->kind->protocol][BATCH_BAD_RECORD]++;
    r->kind->refused(r, status, err);
}

static void take(void *ctx)
{
    struct api_series_request *r = ctx;
    struct api_series *w = r->api->series;
    struct fw_error err = {0};
    struct series_gather gather;
    if (owes_too_much(w)) {
        r->api->counts.refused_queue++;
        r->kind->later(r->request, "earlier samples are not stored yet");
        return;
    }
    struct sample_batch *batch = batch_new();
    if (batch == NULL) {
        r->api->counts.refused_memory++;
        r->kind->later(r->request, "out of memory");
        return;
    }
    struct api_rules *rules = api_rules_current(r->api);
    batch->label_rules = &rules->labels;
    series_gather_init(&gather, rules->series, &rules->schema, batch);
    set_bounds(r->api, &gather);
    const enum fw_status status = r->kind->gather(r, &gather, &err);
    if (status == FW_OK) {
        take_gathered(r, rules, &gather, batch); /* takes the batch; `r` is gone with the answer */
    } else {
        batch_free(batch);
        refuse_body(r, status, &err);
    }
    series_gather_fini(&gather);
    api_rules_release(rules);
}

void api_series_request(struct api_series_request *r)
{
    size_t len;
    http_request_body(r->request, &len);
    if (len <= r->api->options.inline_bytes_max) {
        take(r);
        return;
    }
    r->deferred = true;
    http_defer(r->request);
    if (!api_pool_submit(r->api->ingest, take, r)) {
        r->api->counts.refused_queue++;
        r->kind->later(r->request, "too many large requests wait");
    }
}
