/* Filtered bodies: a choice of servers, in order of risk, a page of them; made of the newest
 * outlook and kept per query. */
#include "api/predictions_internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { INLINE_COST = 300000 /* numbers written on a request thread: about 5 ms */ };

/* ---- what is kept ---- */

static struct http_body *kept_find(struct api_predictions *p, const struct predictions_asked *asked)
{
    struct http_body *body = NULL;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < PREDICTIONS_KEPT && body == NULL; i++) {
        struct predictions_kept *kept = &p->kept[i];
        if (kept->body != NULL && kept->run == asked->outlook->id &&
            memcmp(kept->key, asked->key, sizeof kept->key) == 0) {
            kept->used = ++p->uses;
            body = http_body_ref(kept->body);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return body;
}

static void kept_drop(struct api_predictions *p, struct predictions_kept *kept)
{
    p->kept_bytes -= kept->bytes;
    http_body_unref(kept->body);
    kept->body = NULL;
    kept->bytes = 0;
}

/* Bodies of earlier outlooks go first, then what was not asked for longest. */
static struct predictions_kept *kept_victim(struct api_predictions *p, uint64_t run)
{
    struct predictions_kept *victim = NULL;
    for (size_t i = 0; i < PREDICTIONS_KEPT; i++) {
        struct predictions_kept *kept = &p->kept[i];
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

static void kept_add(struct api_predictions *p, const struct predictions_asked *asked,
                     struct http_body *body)
{
    size_t len;
    http_body_bytes(body, HTTP_IDENTITY, &len);
    const size_t max = p->api->options.filtered_bytes_max;
    if (len > max / 4)
        return;
    pthread_mutex_lock(&p->lock);
    struct predictions_kept *place = kept_victim(p, asked->outlook->id);
    for (size_t i = 0; i < PREDICTIONS_KEPT && p->kept_bytes + len > max; i++)
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

/* ---- which servers, in which order ---- */

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
static size_t select_servers(const struct predictions_asked *asked, uint32_t *order)
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
static bool plan_filtered(const struct predictions_asked *asked, uint32_t *order,
                          struct api_body_plan *plan)
{
    predictions_plan(asked->api, asked->outlook, plan);
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

/* ---- answers ---- */

static struct http_body *render_filtered(const struct predictions_asked *asked)
{
    struct http_body *body = NULL;
    const size_t servers = asked->outlook->set->count;
    /* Twice: the alerts are looked up in a sorted copy when the order is by risk. */
    uint32_t *order = fw_calloc(2 * servers + 2 + 2 * API_PATTERNS_MAX, sizeof *order);
    struct api_body_plan plan;
    if (order == NULL)
        return NULL;
    if (plan_filtered(asked, order, &plan)) {
        struct predictions_full *full = predictions_full_current(asked->api->predictions);
        struct api_view plain;
        api_view_default(&plain);
        const struct api_view *v = &plan.view;
        if (full != NULL && full->outlook == asked->outlook && v->metrics == plain.metrics &&
            v->quantiles == plain.quantiles && v->steps == plain.steps &&
            v->decimals == plain.decimals &&
            strcmp(api_zone_name(&v->zone), api_zone_name(&asked->api->zone)) == 0)
            predictions_plan_copies(&plan, full);
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
        predictions_full_release(full);
    }
    fw_free(order);
    return body;
}

static void reply_filtered(const struct predictions_asked *asked, struct http_body *body)
{
    char etag[PREDICTIONS_ETAG];
    predictions_etag(etag, asked->api, asked->outlook, asked->key);
    http_reply(asked->request, &(struct http_reply){.status = 200, .body = body, .etag = etag});
}

static void answer_filtered(struct predictions_asked *asked)
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
    struct predictions_asked *asked = ctx;
    const struct outlook *outlook = asked->outlook; /* the rest dies with the request */
    answer_filtered(asked);
    outlook_release(outlook);
}

void predictions_get_filtered(struct api_predictions *p, struct predictions_asked *asked)
{
    struct http_body *body = kept_find(p, asked);
    if (body != NULL) {
        reply_filtered(asked, body);
        return;
    }
    if (predictions_cost(asked) <= INLINE_COST) {
        answer_filtered(asked);
        return;
    }
    struct predictions_asked *later = http_request_alloc(asked->request, sizeof *later);
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

void predictions_get_little(struct predictions_asked *asked)
{
    struct api *api = asked->api;
    struct outlook empty;
    struct fleet_counts counts;
    fleet_counts(api->parts.fleet, &counts);
    struct predictions_asked now = *asked;
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
