/* GET /predictions/current. The whole body is rendered at most once per outlook and interval, by a
 * worker as soon as the outlook is out, unless the fleet is huge and nobody asks; then for the
 * first who does, while others wait for the same. Until then, and for an interval at most, the one
 * before is handed out. Filtered bodies are made of the newest outlook, and kept per query. */
#include "api/predictions.h"

#include "api/api_internal.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "http/negotiate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEPT_MAX = 32,         /* filtered bodies */
    INLINE_COST = 300000,  /* numbers written on a request thread: about 5 ms */
    ASKED_FOR_S = 15 * 60, /* after a request the next outlooks are rendered ahead for so long */
    PACKING_COST = 5,      /* compressing a body costs so many times its rendering */
    ETAG_SIZE = 64,
    KEY_MAX = 16384,
};

struct full {
    atomic_uint references;
    const struct outlook *outlook;
    struct http_body *body;
    const char *bytes;
    size_t written; /* servers in it */
    struct api_fragment *fragments;
    atomic_bool packed[HTTP_ENCODINGS]; /* the variant exists: handing it out costs nothing */
};

struct kept {
    unsigned char key[FW_SHA256_SIZE];
    uint64_t run;
    uint64_t used; /* for the choice of the one to drop */
    size_t bytes;
    struct http_body *body; /* NULL: free */
};

struct waiter {
    struct waiter *next;
    struct http_request *request;
    enum http_encoding encoding;
};

struct api_predictions {
    struct api *api;
    pthread_mutex_t lock;
    struct full *full;      /* of the newest outlook that was rendered, or NULL */
    struct waiter *waiters; /* for the one being rendered */
    bool rendering, stopped;
    uint64_t newest;       /* outlook that is out, */
    int64_t superseded_ns; /* since when `full` is of an older one; 0: it is not */
    int64_t rendered_ns;   /* when rendering began last */
    struct kept kept[KEPT_MAX];
    size_t kept_bytes;
    uint64_t uses;
    _Atomic int64_t asked_ns[HTTP_ENCODINGS]; /* when the whole body was last asked for; 0: never */
};

/* ---- the whole body ---- */

static void full_release(struct full *full)
{
    if (full == NULL || atomic_fetch_sub(&full->references, 1) != 1)
        return;
    http_body_unref(full->body);
    outlook_release(full->outlook);
    fw_free(full->fragments);
    fw_free(full);
}

static struct full *full_current(struct api_predictions *p)
{
    pthread_mutex_lock(&p->lock);
    struct full *full = p->full;
    if (full != NULL)
        atomic_fetch_add(&full->references, 1);
    pthread_mutex_unlock(&p->lock);
    return full;
}

static void plan_default(const struct api *api, const struct outlook *outlook,
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

static void plan_copy_from(struct api_body_plan *plan, const struct full *full)
{
    if (full == NULL)
        return;
    plan->earlier = full->outlook;
    plan->earlier_bytes = full->bytes;
    plan->earlier_fragments = full->fragments;
    plan->earlier_count = full->written;
}

static struct full *full_render(struct api *api, const struct outlook *outlook,
                                const struct full *earlier, struct forecaster *workers)
{
    struct full *full = fw_calloc(1, sizeof *full);
    struct api_fragment *fragments = fw_calloc(outlook->set->count + 1, sizeof *fragments);
    if (full == NULL || fragments == NULL) {
        fw_free(full);
        fw_free(fragments);
        return NULL;
    }
    struct api_body_plan plan;
    plan_default(api, outlook, &plan);
    plan_copy_from(&plan, earlier);
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
static void full_pack(struct full *full, enum http_encoding encoding)
{
    size_t len;
    if (atomic_load(&full->packed[encoding]))
        return;
    http_body_bytes(full->body, encoding, &len);
    atomic_store(&full->packed[encoding], true);
}

/* Never 0. */
static int64_t now_ns(const struct api_predictions *p)
{
    const int64_t now = fw_clock_mono_ns(p->api->clock);
    return now == 0 ? 1 : now;
}

/* Renders the outlook and hangs it up, unless a newer one hangs there already. `workers`: may help,
 * NULL: none. NULL without memory. The result is the caller's, too. */
static struct full *full_make(struct api_predictions *p, const struct outlook *outlook,
                              struct forecaster *workers)
{
    struct full *earlier = full_current(p);
    if (earlier != NULL && earlier->outlook->id >= outlook->id)
        return earlier;
    struct full *full = full_render(p->api, outlook, earlier, workers);
    full_release(earlier);
    if (full == NULL)
        return NULL;
    for (int encoding = 0; encoding < HTTP_ENCODINGS; encoding++)
        if (encoding == HTTP_IDENTITY || asked_lately(p, (enum http_encoding)encoding))
            full_pack(full, (enum http_encoding)encoding);
    pthread_mutex_lock(&p->lock);
    struct full *old = p->full;
    if (old == NULL || old->outlook->id < outlook->id) {
        p->full = full;
        p->superseded_ns = outlook->id >= p->newest ? 0 : now_ns(p);
        atomic_fetch_add(&full->references, 1);
    } else {
        old = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    full_release(old);
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
        full_release(full_make(api->predictions, outlook, api->parts.forecaster));
}

static int64_t renew_ns(const struct api_predictions *p)
{
    return (int64_t)p->api->options.renew_ms * 1000000;
}

static void put_etag(char etag[ETAG_SIZE], const struct api *api, const struct outlook *outlook,
                     const unsigned char *key)
{
    int len = snprintf(etag, ETAG_SIZE, "p%llx-%llx", (unsigned long long)api->boot,
                       (unsigned long long)outlook->id);
    if (key != NULL)
        snprintf(etag + len, (size_t)(ETAG_SIZE - len), "-%02x%02x%02x%02x%02x%02x", key[0], key[1],
                 key[2], key[3], key[4], key[5]);
}

static void reply_full(struct api *api, struct http_request *request, const struct full *full)
{
    char etag[ETAG_SIZE];
    put_etag(etag, api, full->outlook, NULL);
    http_reply(request, &(struct http_reply){
                            .status = 200, .body = http_body_ref(full->body), .etag = etag});
}

/* A worker's job: one rendering for all who wait. */
static void render_for_waiters(void *ctx)
{
    struct api_predictions *p = ctx;
    const struct outlook *outlook = outlook_board_current(p->api->parts.board);
    pthread_mutex_lock(&p->lock);
    p->rendered_ns = now_ns(p);
    pthread_mutex_unlock(&p->lock);
    struct full *full = full_make(p, outlook, NULL);
    outlook_release(outlook);
    pthread_mutex_lock(&p->lock);
    struct waiter *waiters = p->waiters;
    p->waiters = NULL;
    p->rendering = false;
    pthread_mutex_unlock(&p->lock);
    while (waiters != NULL) {
        struct waiter *next = waiters->next; /* dies with its request */
        struct http_request *request = waiters->request;
        if (full != NULL) {
            full_pack(full, waiters->encoding);
            reply_full(p->api, request, full);
        } else {
            api_reply_busy(request, 503, 5, "out of memory for this answer");
        }
        waiters = next;
    }
    full_release(full);
}

/* Waits for the rendering of an outlook, or for an encoding, that nobody asked for so far. */
static void wait_for_full(struct api_predictions *p, struct http_request *request,
                          enum http_encoding encoding)
{
    struct waiter *waiter = http_request_alloc(request, sizeof *waiter);
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
    const int64_t now = now_ns(p);
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

/* The one that http will choose first. */
static enum http_encoding encoding_of(const struct http_request *request)
{
    enum http_encoding encoding = HTTP_IDENTITY;
    const char *accept = http_request_header(request, "Accept-Encoding");
    if (accept != NULL)
        http_accept_encoding(accept, strlen(accept), &encoding);
    return encoding;
}

/* ---- filtered bodies ---- */

struct asked {
    struct api *api;
    struct http_request *request;
    const struct outlook *outlook; /* retained */
    uint64_t records;              /* its own, or the live count while there is too little */
    struct api_view view;
    struct api_selection selection;
    unsigned fields;
    int64_t limit, offset;
    bool paged, by_risk;
    enum http_encoding encoding;
    unsigned char key[FW_SHA256_SIZE];
};

static bool query_fields(struct http_request *request, unsigned *fields)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {
        {"predictions", API_FIELD_PREDICTIONS},
        {"alerts",      API_FIELD_ALERTS     },
        {"environment", API_FIELD_ENVIRONMENT},
        {"metadata",    API_FIELD_METADATA   },
        {"summary",     API_FIELD_SUMMARY    }
    };
    const char *text = http_request_query(request, "fields");
    if (text == NULL)
        return true;
    *fields = 0;
    const char *at = text;
    while (*at != '\0') {
        const size_t len = strcspn(at, ",");
        unsigned bit = 0;
        for (size_t i = 0; i < COUNT(known); i++)
            if (strlen(known[i].name) == len && memcmp(known[i].name, at, len) == 0)
                bit = known[i].bit;
        *fields |= bit;
        at += len;
        at += *at == ',';
        if (bit == 0) {
            *fields = 0;
            break;
        }
    }
    if (*fields != 0)
        return true;
    api_reply_invalid(request,
                      &(struct api_invalid){.where = "query",
                                            .name = "fields",
                                            .index = -1,
                                            .type = "value_error",
                                            .msg = "Input should be a comma list of predictions, "
                                                   "alerts, environment, metadata, summary",
                                            .input = text});
    return false;
}

static bool parse(struct asked *asked)
{
    static const char *const orders[] = {"name", "risk"};
    struct http_request *request = asked->request;
    size_t order = 0;
    asked->fields = API_FIELDS;
    asked->limit = INT32_MAX;
    asked->encoding = encoding_of(request);
    api_view_default(&asked->view);
    if (!api_query_view(request, asked->api, &asked->view) ||
        !api_query_selection(request, &asked->selection) ||
        !query_fields(request, &asked->fields) ||
        !api_query_int(request, "limit", 1, INT32_MAX, &asked->limit) ||
        !api_query_int(request, "offset", 0, INT32_MAX, &asked->offset) ||
        !api_query_word(request, "sort", orders, COUNT(orders), &order))
        return false;
    asked->by_risk = order == 1;
    asked->paged = http_request_query(request, "limit") != NULL ||
                   http_request_query(request, "offset") != NULL || asked->selection.count > 0;
    return true;
}

/* What tells two queries apart, as bytes. */
static bool make_key(struct asked *asked, bool *is_default)
{
    struct fw_buf key;
    struct api_view plain;
    fw_buf_init(&key, KEY_MAX);
    api_view_default(&plain);
    plain.zone = asked->api->zone;
    const struct api_view *v = &asked->view;
    const bool view_plain = v->metrics == plain.metrics && v->quantiles == plain.quantiles &&
                            v->steps == plain.steps && v->decimals == plain.decimals &&
                            v->counting == plain.counting &&
                            strcmp(api_zone_name(&v->zone), api_zone_name(&plain.zone)) == 0;
    *is_default = view_plain && !asked->paged && !asked->by_risk && asked->fields == API_FIELDS;
    fw_buf_printf(&key, "%llx|%x|%u|%d|%d|%s|%x|%lld|%lld|%d", (unsigned long long)v->metrics,
                  v->quantiles, v->steps, v->decimals, (int)v->counting, api_zone_name(&v->zone),
                  asked->fields, (long long)asked->limit, (long long)asked->offset, asked->by_risk);
    for (size_t i = 0; i < asked->selection.count; i++) {
        const char *pattern = asked->selection.patterns[i];
        fw_buf_put(&key, pattern, strlen(pattern) + 1); /* no text holds a NUL */
    }
    const bool whole = !key.failed;
    if (whole)
        fw_sha256(key.data, key.len, asked->key);
    fw_buf_fini(&key);
    return whole;
}

static struct http_body *kept_find(struct api_predictions *p, const struct asked *asked)
{
    struct http_body *body = NULL;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < KEPT_MAX && body == NULL; i++) {
        struct kept *kept = &p->kept[i];
        if (kept->body != NULL && kept->run == asked->outlook->id &&
            memcmp(kept->key, asked->key, sizeof kept->key) == 0) {
            kept->used = ++p->uses;
            body = http_body_ref(kept->body);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return body;
}

static void kept_drop(struct api_predictions *p, struct kept *kept)
{
    p->kept_bytes -= kept->bytes;
    http_body_unref(kept->body);
    kept->body = NULL;
    kept->bytes = 0;
}

/* Bodies of earlier outlooks go first, then what was not asked for longest. */
static struct kept *kept_victim(struct api_predictions *p, uint64_t run)
{
    struct kept *victim = NULL;
    for (size_t i = 0; i < KEPT_MAX; i++) {
        struct kept *kept = &p->kept[i];
        if (kept->body != NULL && kept->run < run)
            kept_drop(p, kept);
        if (kept->body == NULL)
            return kept;
        if (victim == NULL || kept->used < victim->used)
            victim = kept;
    }
    kept_drop(p, victim);
    return victim;
}

static void kept_add(struct api_predictions *p, const struct asked *asked, struct http_body *body)
{
    size_t len;
    http_body_bytes(body, HTTP_IDENTITY, &len);
    const size_t max = p->api->options.filtered_bytes_max;
    if (len > max / 4)
        return;
    pthread_mutex_lock(&p->lock);
    struct kept *place = kept_victim(p, asked->outlook->id);
    for (size_t i = 0; i < KEPT_MAX && p->kept_bytes + len > max; i++)
        if (p->kept[i].body != NULL)
            kept_drop(p, &p->kept[i]);
    memcpy(place->key, asked->key, sizeof place->key);
    place->run = asked->outlook->id;
    place->used = ++p->uses;
    place->bytes = len;
    place->body = http_body_ref(body);
    p->kept_bytes += len;
    pthread_mutex_unlock(&p->lock);
}

struct ranked {
    float score;
    uint32_t index;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index; /* ties by name */
}

/* Exact names are looked up; a pattern costs a walk over the fleet. */
static size_t select_servers(const struct asked *asked, uint32_t *order)
{
    const struct outlook *outlook = asked->outlook;
    const struct api_selection *selection = &asked->selection;
    size_t n = 0;
    if (selection->count == 0 || selection->globs) {
        for (size_t i = 0; i < outlook->set->count; i++)
            if (api_selected(selection, outlook->set->items[i]->name))
                order[n++] = (uint32_t)i;
        return n;
    }
    for (size_t i = 0; i < selection->count; i++) {
        const int64_t index = api_outlook_find(outlook, selection->patterns[i]);
        size_t at = n;
        while (at > 0 && index >= 0 && order[at - 1] > (uint64_t)index)
            at--;
        if (index < 0 || (at > 0 && order[at - 1] == (uint64_t)index))
            continue;
        memmove(&order[at + 1], &order[at], (n - at) * sizeof *order);
        order[at] = (uint32_t)index;
        n++;
    }
    return n;
}

static bool sort_by_risk(const struct outlook *outlook, uint32_t *order, size_t n)
{
    struct ranked *ranked = fw_calloc(n + 1, sizeof *ranked);
    if (ranked == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        ranked[i] = (struct ranked){outlook->risks[order[i]].score, order[i]};
    qsort(ranked, n, sizeof *ranked, by_score);
    for (size_t i = 0; i < n; i++)
        order[i] = ranked[i].index;
    fw_free(ranked);
    return true;
}

static int by_index(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The servers that are wanted, in the order wanted; those of other pages cut off. */
static bool plan_filtered(const struct asked *asked, uint32_t *order, struct api_body_plan *plan)
{
    plan_default(asked->api, asked->outlook, plan);
    plan->view = asked->view;
    plan->fields = asked->fields;
    plan->records = asked->records;
    const size_t total = select_servers(asked, order);
    if (asked->by_risk && !sort_by_risk(asked->outlook, order, total))
        return false;
    const size_t offset = (uint64_t)asked->offset < total ? (size_t)asked->offset : total;
    const size_t left = total - offset;
    plan->count = (uint64_t)asked->limit < left ? (size_t)asked->limit : left;
    plan->order = order + offset;
    plan->paged = asked->paged;
    plan->total = total;
    plan->offset = offset;
    plan->limit = (size_t)asked->limit;
    return true;
}

static struct http_body *render_filtered(const struct asked *asked)
{
    struct http_body *body = NULL;
    const size_t servers = asked->outlook->set->count;
    /* Twice: the alerts are looked up in a sorted copy when the order is by risk. */
    uint32_t *order = fw_calloc(2 * servers + 2 + 2 * API_PATTERNS_MAX, sizeof *order);
    struct api_body_plan plan;
    if (order == NULL)
        return NULL;
    if (plan_filtered(asked, order, &plan)) {
        struct full *full = full_current(asked->api->predictions);
        struct api_view plain;
        api_view_default(&plain);
        const struct api_view *v = &plan.view;
        if (full != NULL && full->outlook == asked->outlook && v->metrics == plain.metrics &&
            v->quantiles == plain.quantiles && v->steps == plain.steps &&
            v->decimals == plain.decimals &&
            strcmp(api_zone_name(&v->zone), api_zone_name(&asked->api->zone)) == 0)
            plan_copy_from(&plan, full);
        uint32_t *sorted = order + servers + 1 + API_PATTERNS_MAX;
        memcpy(sorted, plan.order, plan.count * sizeof *sorted);
        qsort(sorted, plan.count, sizeof *sorted, by_index);
        plan.alert_servers = asked->paged ? sorted : NULL;
        struct fw_buf buf;
        fw_buf_init(&buf, asked->api->options.answer_bytes_max);
        struct alert_mark *marks = api_marks(asked->api, asked->outlook->alerts);
        plan.marks = marks;
        api_render_body(&buf, &plan, NULL, NULL);
        fw_free(marks);
        body = http_body_new_take(&buf);
        fw_buf_fini(&buf);
        full_release(full);
    }
    fw_free(order);
    return body;
}

static void reply_filtered(const struct asked *asked, struct http_body *body)
{
    char etag[ETAG_SIZE];
    put_etag(etag, asked->api, asked->outlook, asked->key);
    http_reply(asked->request, &(struct http_reply){.status = 200, .body = body, .etag = etag});
}

static void answer_filtered(struct asked *asked)
{
    struct http_body *body = render_filtered(asked);
    if (body == NULL) {
        api_reply_busy(asked->request, 503, 5, "out of memory for this answer");
    } else {
        size_t len;
        http_body_bytes(body, asked->encoding, &len); /* packed where it was rendered */
        kept_add(asked->api->predictions, asked, body);
        reply_filtered(asked, body);
    }
}

static void answer_filtered_job(void *ctx)
{
    struct asked *asked = ctx;
    const struct outlook *outlook = asked->outlook; /* the rest dies with the request */
    answer_filtered(asked);
    outlook_release(outlook);
}

/* How many numbers, or as dear steps, this query can cost at most. */
static uint64_t cost(const struct asked *asked)
{
    const uint64_t fleet = asked->outlook->set->count;
    const bool exact = asked->selection.count > 0 && !asked->selection.globs;
    uint64_t servers = exact ? asked->selection.count : fleet;
    if ((uint64_t)asked->limit < servers)
        servers = (uint64_t)asked->limit;
    const uint64_t metrics = (uint64_t)__builtin_popcountll(
        asked->view.metrics & (((uint64_t)2 << (asked->outlook->schema->count - 1)) - 1));
    const uint64_t each =
        metrics * (uint64_t)__builtin_popcount(asked->view.quantiles) * asked->view.steps +
        asked->view.steps * 8 + 400;
    uint64_t total = asked->fields & API_FIELD_PREDICTIONS ? servers * each : 0;
    total += asked->outlook->alerts->count * 60;
    if (asked->selection.globs)
        total += fleet * asked->selection.count * 5;
    if (asked->by_risk)
        total += fleet * 20;
    return asked->encoding == HTTP_IDENTITY ? total : total * PACKING_COST;
}

static void get_filtered(struct api_predictions *p, struct asked *asked)
{
    struct http_body *body = kept_find(p, asked);
    if (body != NULL) {
        reply_filtered(asked, body);
        return;
    }
    if (cost(asked) <= INLINE_COST) {
        answer_filtered(asked);
        return;
    }
    struct asked *later = http_request_alloc(asked->request, sizeof *later);
    if (later == NULL) {
        api_reply_busy(asked->request, 503, 1, "out of memory");
        return;
    }
    *later = *asked;
    outlook_retain(later->outlook);
    http_defer(asked->request);
    if (!api_pool_submit(p->api->render, answer_filtered_job, later)) {
        outlook_release(asked->outlook);
        api_reply_busy(asked->request, 503, 1, "too many large answers are being made");
    }
}

/* Of this outlook, or not older than bodies may be. Who joins the fleet or leaves it does so at
 * once. */
static bool fresh(struct api_predictions *p, const struct full *full, const struct outlook *outlook,
                  int64_t now)
{
    if (full->outlook->id >= outlook->id)
        return true;
    pthread_mutex_lock(&p->lock);
    const bool young = p->superseded_ns != 0 && now - p->superseded_ns < renew_ns(p);
    pthread_mutex_unlock(&p->lock);
    return young && full->outlook->set->count == outlook->set->count;
}

static void get_whole(struct api_predictions *p, struct http_request *request,
                      const struct outlook *outlook)
{
    const enum http_encoding encoding = encoding_of(request);
    const int64_t now = now_ns(p);
    atomic_store(&p->asked_ns[encoding], now);
    struct full *full = full_current(p);
    if (full != NULL && fresh(p, full, outlook, now) && atomic_load(&full->packed[encoding]))
        reply_full(p->api, request, full);
    else
        wait_for_full(p, request, encoding);
    full_release(full);
}

/* While there is too little: not kept, because the count of records moves with every feed, and
 * cheap, because there is little. Before the first run all keys are there with nothing in them. */
static void get_little(struct asked *asked)
{
    struct api *api = asked->api;
    struct outlook empty;
    struct fleet_counts counts;
    fleet_counts(api->parts.fleet, &counts);
    struct asked now = *asked;
    now.records = counts.rows;
    if (asked->outlook == NULL) {
        api_empty_outlook(&empty, api->options.schema, fleet_options(api->parts.fleet)->step_s,
                          fw_clock_wall_ms(api->clock), counts.rows);
        now.outlook = &empty;
    }
    struct http_body *body = render_filtered(&now);
    if (body == NULL)
        api_reply_busy(asked->request, 503, 5, "out of memory for this answer");
    else
        http_reply(asked->request, &(struct http_reply){.status = 200, .body = body});
}

void api_get_predictions(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    bool is_default;
    struct asked asked = {.api = api, .request = request};
    if (!api_ready(api, request) || !parse(&asked))
        return;
    if (!make_key(&asked, &is_default)) {
        api_reply_busy(request, 503, 1, "out of memory");
        return;
    }
    asked.outlook = outlook_board_current(api->parts.board);
    if (asked.outlook != NULL)
        asked.records = asked.outlook->records;
    if (asked.outlook == NULL || asked.records < API_RECORDS_MIN)
        get_little(&asked);
    else if (is_default)
        get_whole(api->predictions, request, asked.outlook);
    else
        get_filtered(api->predictions, &asked);
    if (asked.outlook != NULL)
        outlook_release(asked.outlook);
}

enum fw_status api_predictions_new(struct api *api, struct api_predictions **out,
                                   struct fw_error *err)
{
    struct api_predictions *p = fw_calloc(1, sizeof *p);
    *out = p;
    if (p == NULL)
        return fw_fail(err, FW_ENOMEM, "predictions");
    p->api = api;
    pthread_mutex_init(&p->lock, NULL);
    /* Clients that poll want gzip. Until we know better, have it ready: the first of them must not
     * wait for the compression of a whole fleet. */
    atomic_store(&p->asked_ns[HTTP_GZIP], now_ns(p));
    return FW_OK;
}

void api_predictions_free(struct api_predictions *predictions)
{
    if (predictions == NULL)
        return;
    full_release(predictions->full);
    for (size_t i = 0; i < KEPT_MAX; i++)
        http_body_unref(predictions->kept[i].body);
    pthread_mutex_destroy(&predictions->lock);
    fw_free(predictions);
}
