/* The whole body: rendered at most once per outlook and interval, handed out to everybody. */
#include "api/predictions_internal.h"

#include "base/alloc.h"

enum {
    ASKED_FOR_S = 15 * 60 /* after a request the next outlooks are rendered ahead for so long */
};

struct predictions_waiter {
    struct predictions_waiter *next;
    struct http_request *request;
    enum http_encoding encoding;
};

void predictions_full_release(struct predictions_full *full)
{
    if (full == NULL || atomic_fetch_sub(&full->references, 1) != 1)
        return;
    http_body_unref(full->body);
    outlook_release(full->outlook);
    fw_free(full->fragments);
    fw_free(full);
}

struct predictions_full *predictions_full_current(struct api_predictions *p)
{
    pthread_mutex_lock(&p->lock);
    struct predictions_full *full = p->full;
    if (full != NULL)
        atomic_fetch_add(&full->references, 1);
    pthread_mutex_unlock(&p->lock);
    return full;
}

void predictions_plan(const struct api *api, const struct outlook *outlook,
                      struct api_body_plan *plan)
{
    *plan = (struct api_body_plan){.outlook = outlook,
                                   .labels = api->labels,
                                   .records = outlook->records,
                                   .fields = API_FIELDS,
                                   .count = outlook->set->count,
                                   .model_dir = api->options.models_dir};
    api_view_default(&plan->view);
    plan->view.zone = api->zone;
}

void predictions_plan_copies(struct api_body_plan *plan, const struct predictions_full *full)
{
    if (full == NULL)
        return;
    plan->earlier = full->outlook;
    plan->earlier_bytes = full->bytes;
    plan->earlier_fragments = full->fragments;
    plan->earlier_count = full->written;
}

static struct predictions_full *full_render(struct api *api, const struct outlook *outlook,
                                            const struct predictions_full *earlier,
                                            struct forecaster *workers)
{
    struct predictions_full *full = fw_calloc(1, sizeof *full);
    struct api_fragment *fragments = fw_calloc(outlook->set->count + 1, sizeof *fragments);
    if (full == NULL || fragments == NULL) {
        fw_free(full);
        fw_free(fragments);
        return NULL;
    }
    struct api_body_plan plan;
    predictions_plan(api, outlook, &plan);
    predictions_plan_copies(&plan, earlier);
    plan.workers = workers;
    struct alert_mark *marks = api_marks(api, outlook->alerts);
    plan.marks = marks;
    struct fw_buf buf;
    fw_buf_init(&buf, api->options.answer_bytes_max);
    if (earlier != NULL) { /* most outlooks are as long as the one before: no growing, no copying */
        size_t len;
        http_body_bytes(earlier->body, HTTP_IDENTITY, &len);
        if (len + len / 16 < buf.max)
            fw_buf_reserve(&buf, len + len / 16);
    }
    api_render_body(&buf, &plan, fragments, &full->written);
    fw_free(marks);
    full->body = http_body_new_take(&buf);
    fw_buf_fini(&buf);
    if (full->body == NULL) {
        fw_free(fragments);
        fw_free(full);
        return NULL;
    }
    size_t len;
    atomic_init(&full->references, 1);
    full->fragments = fragments;
    full->bytes = http_body_bytes(full->body, HTTP_IDENTITY, &len);
    full->outlook = outlook_retain(outlook);
    return full;
}

static bool asked_lately(struct api_predictions *p, enum http_encoding encoding)
{
    const int64_t asked = atomic_load(&p->asked_ns[encoding]);
    const int64_t now = fw_clock_mono_ns(p->api->clock);
    return asked != 0 && now - asked < (int64_t)ASKED_FOR_S * 1000000000;
}

/* Makes a compressed variant, once. Never on a request thread: it takes longer than rendering. */
static void full_pack(struct predictions_full *full, enum http_encoding encoding)
{
    size_t len;
    if (atomic_load(&full->packed[encoding]))
        return;
    http_body_bytes(full->body, encoding, &len);
    atomic_store(&full->packed[encoding], true);
}

/* Renders the outlook and hangs it up, unless a newer one hangs there already. `workers`: may help,
 * NULL: none. NULL without memory. The result is the caller's, too. */
static struct predictions_full *full_make(struct api_predictions *p, const struct outlook *outlook,
                                          struct forecaster *workers)
{
    struct predictions_full *earlier = predictions_full_current(p);
    if (earlier != NULL && earlier->outlook->id >= outlook->id)
        return earlier;
    struct predictions_full *full = full_render(p->api, outlook, earlier, workers);
    predictions_full_release(earlier);
    if (full == NULL)
        return NULL;
    for (int encoding = 0; encoding < HTTP_ENCODINGS; encoding++)
        if (encoding == HTTP_IDENTITY || asked_lately(p, (enum http_encoding)encoding))
            full_pack(full, (enum http_encoding)encoding);
    pthread_mutex_lock(&p->lock);
    struct predictions_full *old = p->full;
    if (old == NULL || old->outlook->id < outlook->id) {
        p->full = full;
        p->superseded_ns = outlook->id >= p->newest ? 0 : predictions_now_ns(p);
        atomic_fetch_add(&full->references, 1);
    } else {
        old = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    predictions_full_release(old);
    return full;
}

static bool wanted_ahead(struct api_predictions *p, const struct outlook *outlook)
{
    bool wanted = outlook->set->count <= p->api->options.eager_servers_max;
    for (int encoding = 0; encoding < HTTP_ENCODINGS; encoding++)
        wanted = wanted || asked_lately(p, (enum http_encoding)encoding);
    return wanted;
}

void api_predictions_prepare(struct api *api, const struct outlook *outlook)
{
    if (api->options.renew_ms == 0 && wanted_ahead(api->predictions, outlook))
        predictions_full_release(full_make(api->predictions, outlook, api->parts.forecaster));
}

static int64_t renew_ns(const struct api_predictions *p)
{
    return (int64_t)p->api->options.renew_ms * 1000000;
}

static void reply_full(struct api *api, struct http_request *request,
                       const struct predictions_full *full)
{
    char etag[PREDICTIONS_ETAG];
    predictions_etag(etag, api, full->outlook, NULL);
    http_reply(request, &(struct http_reply){
                            .status = 200, .body = http_body_ref(full->body), .etag = etag});
}

/* A worker's job: one rendering for all who wait. */
static void render_for_waiters(void *ctx)
{
    struct api_predictions *p = ctx;
    const struct outlook *outlook = outlook_board_current(p->api->parts.board);
    pthread_mutex_lock(&p->lock);
    p->rendered_ns = predictions_now_ns(p);
    pthread_mutex_unlock(&p->lock);
    struct predictions_full *full = full_make(p, outlook, NULL);
    outlook_release(outlook);
    pthread_mutex_lock(&p->lock);
    struct predictions_waiter *waiters = p->waiters;
    p->waiters = NULL;
    p->rendering = false;
    pthread_mutex_unlock(&p->lock);
    while (waiters != NULL) {
        struct predictions_waiter *next = waiters->next; /* dies with its request */
        struct http_request *request = waiters->request;
        if (full != NULL) {
            full_pack(full, waiters->encoding);
            reply_full(p->api, request, full);
        } else {
            api_reply_busy(request, 503, 5, "out of memory for this answer");
        }
        waiters = next;
    }
    predictions_full_release(full);
}

/* Waits for the rendering of an outlook, or for an encoding, that nobody asked for so far. */
static void wait_for_full(struct api_predictions *p, struct http_request *request,
                          enum http_encoding encoding)
{
    struct predictions_waiter *waiter = http_request_alloc(request, sizeof *waiter);
    if (waiter == NULL) {
        api_reply_busy(request, 503, 1, "out of memory");
        return;
    }
    waiter->request = request;
    waiter->encoding = encoding;
    http_defer(request);
    pthread_mutex_lock(&p->lock);
    bool taken = p->rendering;
    if (!taken)
        taken = p->rendering = api_pool_submit(p->api->render, render_for_waiters, p);
    if (taken) {
        waiter->next = p->waiters;
        p->waiters = waiter;
    }
    pthread_mutex_unlock(&p->lock);
    if (!taken)
        api_reply_busy(request, 503, 1, "too many large answers are being made");
}

void api_predictions_published(struct api *api, const struct outlook *outlook)
{
    struct api_predictions *p = api->predictions;
    if (api->options.renew_ms == 0)
        return;
    const bool wanted = wanted_ahead(p, outlook);
    const int64_t now = predictions_now_ns(p);
    pthread_mutex_lock(&p->lock);
    p->newest = outlook->id;
    if (p->superseded_ns == 0)
        p->superseded_ns = now;
    if (wanted && !p->rendering && !p->stopped &&
        (p->full == NULL || now - p->rendered_ns >= renew_ns(p)))
        p->rendering = api_pool_submit(api->render, render_for_waiters, p);
    pthread_mutex_unlock(&p->lock);
}

void api_predictions_stop(struct api_predictions *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopped = true;
    pthread_mutex_unlock(&p->lock);
}

/* Of this outlook, or not older than bodies may be. Who joins the fleet or leaves it does so at
 * once. */
static bool fresh(struct api_predictions *p, const struct predictions_full *full,
                  const struct outlook *outlook, int64_t now)
{
    if (full->outlook->id >= outlook->id)
        return true;
    pthread_mutex_lock(&p->lock);
    const bool young = p->superseded_ns != 0 && now - p->superseded_ns < renew_ns(p);
    pthread_mutex_unlock(&p->lock);
    return young && full->outlook->set->count == outlook->set->count;
}

void predictions_get_whole(struct api_predictions *p, const struct predictions_asked *asked)
{
    const enum http_encoding encoding = asked->encoding;
    const int64_t now = predictions_now_ns(p);
    atomic_store(&p->asked_ns[encoding], now);
    struct predictions_full *full = predictions_full_current(p);
    if (full != NULL && fresh(p, full, asked->outlook, now) && atomic_load(&full->packed[encoding]))
        reply_full(p->api, asked->request, full);
    else
        wait_for_full(p, asked->request, encoding);
    predictions_full_release(full);
}
