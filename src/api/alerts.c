/* /alerts/active and /alerts (contract 5), /api/v1/alerts. */
#include "api/api_internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEGACY_ITEMS_MAX = 20000 };

struct filter {
    struct api_zone zone;
    struct api_selection servers;
    uint64_t metrics;
    uint16_t beside; /* ALERT_METRIC_SILENT or _UNUSUAL, when asked for; 0: not */
    size_t severity; /* 0: any, else enum alert_severity + 1 */
    size_t state;    /* see `states` */
    double min_probability;
    int64_t limit, offset;
};

/* "active" is what was not resolved, "firing" whatever people said to it. */
static const char *const states[] = {"active",       "pending",  "firing", "resolved",
                                     "acknowledged", "silenced", "all"};
enum {
    STATE_ACTIVE,
    STATE_PENDING,
    STATE_FIRING,
    STATE_RESOLVED,
    STATE_ACKED,
    STATE_SILENCED,
    STATE_ALL
};

static bool parse_metric(struct http_request *request, const struct schema *schema,
                         struct filter *filter)
{
    const char *text = http_request_query(request, "metric");
    if (text == NULL)
        return true;
    static const uint16_t beside[] = {ALERT_METRIC_SILENT, ALERT_METRIC_UNUSUAL};
    for (size_t k = 0; k < COUNT(beside); k++)
        if (strcmp(text, alert_metric_name(schema, beside[k])) == 0) {
            filter->metrics = 0;
            filter->beside = beside[k];
            return true;
        }
    const int metric = schema_find(schema, text, strlen(text));
    if (metric < 0) {
        api_reply_invalid(request, &(struct api_invalid){.where = "query",
                                                         .name = "metric",
                                                         .index = -1,
                                                         .type = "value_error",
                                                         .msg = "Input should be a known metric",
                                                         .input = text});
        return false;
    }
    filter->metrics = (uint64_t)1 << metric;
    return true;
}

static bool parse(struct api *api, struct http_request *request, struct filter *filter)
{
    static const char *const severities[] = {"any", "warning", "critical"};
    *filter = (struct filter){.metrics = UINT64_MAX, .limit = INT32_MAX};
    return api_query_zone(request, api, &filter->zone) &&
           api_query_selection(request, &filter->servers) &&
           parse_metric(request, api->options.schema, filter) &&
           api_query_word(request, "severity", severities, COUNT(severities), &filter->severity) &&
           api_query_word(request, "state", states, COUNT(states), &filter->state) &&
           api_query_number(request, "min_probability", 0.0, 1.0, &filter->min_probability) &&
           api_query_int(request, "limit", 1, INT32_MAX, &filter->limit) &&
           api_query_int(request, "offset", 0, INT32_MAX, &filter->offset);
}

static bool state_fits(size_t wanted, enum alert_state state, const struct alert_mark *mark)
{
    switch (wanted) {
    case STATE_ACTIVE:
        return state != ALERT_RESOLVED;
    case STATE_PENDING:
        return state == ALERT_PENDING;
    case STATE_FIRING:
        return state == ALERT_FIRING;
    case STATE_RESOLVED:
        return state == ALERT_RESOLVED;
    case STATE_ACKED:
        return state == ALERT_FIRING && mark != NULL && mark->acknowledged;
    case STATE_SILENCED:
        return state == ALERT_FIRING && mark != NULL && mark->silenced_by[0] != '\0';
    default:
        return true;
    }
}

static bool metric_fits(const struct filter *filter, uint16_t metric)
{
    if (metric == ALERT_METRIC_SILENT || metric == ALERT_METRIC_UNUSUAL)
        return filter->metrics == UINT64_MAX || filter->beside == metric;
    return (filter->metrics >> metric & 1) != 0;
}

static bool fits(const struct filter *filter, const struct alert *alert,
                 const struct alert_mark *mark)
{
    return state_fits(filter->state, alert->state, mark) && metric_fits(filter, alert->metric) &&
           (filter->severity == 0 || filter->severity == (size_t)alert->severity + 1) &&
           (filter->min_probability <= 0.0 ||
            (double)alert->probability >= filter->min_probability) &&
           api_selected(&filter->servers, alert->server);
}

/* The list's members into *items; returns how many fit, *shown how many were written. */
static size_t put_items(struct fw_buf *items, struct api *api, const struct outlook *outlook,
                        const struct filter *filter, size_t *shown)
{
    size_t total = 0;
    *shown = 0;
    struct alert_mark *marks = outlook != NULL ? api_marks(api, outlook->alerts) : NULL;
    for (size_t i = 0; outlook != NULL && i < outlook->alerts->count; i++) {
        const struct alert *alert = &outlook->alerts->items[i];
        const struct alert_mark *mark = marks != NULL ? &marks[i] : NULL;
        if (!fits(filter, alert, mark))
            continue;
        if (total++ < (uint64_t)filter->offset || *shown >= (uint64_t)filter->limit)
            continue;
        if ((*shown)++ > 0)
            fw_buf_putc(items, ',');
        api_render_alert(items, outlook, alert, mark, &api->labels, &filter->zone);
    }
    fw_free(marks);
    return total;
}

/* ---- ?legacy=steps: one item for each step that crosses, as the reference has it ---- */

struct legacy {
    uint32_t server; /* index in the set */
    struct alert_legacy_item item;
};

static int legacy_order(const void *a, const void *b)
{
    const struct legacy *x = a, *y = b;
    if (x->item.severity != y->item.severity)
        return x->item.severity == ALERT_CRITICAL ? -1 : 1;
    if (x->item.steps_ahead != y->item.steps_ahead)
        return x->item.steps_ahead < y->item.steps_ahead ? -1 : 1;
    if (x->server != y->server)
        return x->server < y->server ? -1 : 1;
    return (x->item.metric > y->item.metric) - (x->item.metric < y->item.metric);
}

static size_t legacy_collect(const struct outlook *outlook, const struct filter *filter,
                             struct legacy *out)
{
    static const size_t cap = LEGACY_ITEMS_MAX;
    struct alert_legacy_item items[ALERT_LEGACY_ITEMS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < outlook->set->count && n < cap; i++) {
        const struct forecast *forecast = outlook->set->items[i];
        if (!api_selected(&filter->servers, forecast->name))
            continue;
        const size_t found =
            alert_legacy_items(outlook->schema, forecast, true, items, COUNT(items));
        for (size_t k = 0; k < found && n < cap; k++)
            if (metric_fits(filter, items[k].metric) &&
                (filter->severity == 0 || filter->severity == (size_t)items[k].severity + 1))
                out[n++] = (struct legacy){(uint32_t)i, items[k]};
    }
    qsort(out, n, sizeof *out, legacy_order);
    return n;
}

/* False without memory. */
static bool put_legacy(struct fw_buf *items, const struct outlook *outlook,
                       const struct filter *filter, size_t *shown)
{
    *shown = 0;
    if (outlook == NULL)
        return true;
    struct legacy *found = fw_calloc(LEGACY_ITEMS_MAX, sizeof *found);
    if (found == NULL)
        return false;
    *shown = legacy_collect(outlook, filter, found);
    for (size_t i = 0; i < *shown; i++) {
        if (i > 0)
            fw_buf_putc(items, ',');
        api_render_legacy_alert(items, outlook->schema, outlook->step_s,
                                outlook->set->items[found[i].server]->name, &found[i].item);
    }
    fw_free(found);
    return true;
}

/* ---- answers ---- */

static void put_answer(struct fw_buf *buf, struct api *api, const struct outlook *outlook,
                       const struct filter *filter, const struct fw_buf *items, size_t total,
                       size_t shown, bool new_path)
{
    const int64_t now_ms = outlook != NULL ? outlook->made_ms : fw_clock_wall_ms(api->clock);
    fw_buf_putc(buf, '{');
    api_put_time_pair(buf, "timestamp", now_ms, &filter->zone);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "count", (int64_t)shown);
    fw_buf_putc(buf, ',');
    if (new_path) {
        api_put_int(buf, "total", (int64_t)total);
        fw_buf_putc(buf, ',');
        api_put_int(buf, "offset", filter->offset);
        fw_buf_putc(buf, ',');
    }
    /* "No alerts" and "cannot tell" are two answers. */
    api_put_bool(buf, "stale", outlook == NULL || api_outlook_stale(outlook));
    fw_buf_puts(buf, ",\"alerts\":[");
    fw_buf_put(buf, items->data, items->len);
    fw_buf_puts(buf, "]}");
}

static void answer(struct api *api, struct http_request *request, const struct filter *filter,
                   bool by_step, bool new_path)
{
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    struct fw_buf items, buf;
    size_t shown;
    fw_buf_init(&items, API_REPLY_MAX);
    fw_buf_init(&buf, API_REPLY_MAX + 4096);
    size_t total;
    if (by_step) {
        if (!put_legacy(&items, outlook, filter, &shown))
            items.failed = true;
        total = shown;
    } else {
        total = put_items(&items, api, outlook, filter, &shown);
    }
    put_answer(&buf, api, outlook, filter, &items, total, shown, new_path);
    buf.failed = buf.failed || items.failed;
    fw_buf_fini(&items);
    if (outlook != NULL)
        outlook_release(outlook);
    api_reply_buf(request, &buf);
}

void api_get_alerts(void *ctx, struct http_request *request)
{
    static const char *const forms[] = {"merged", "steps"};
    struct api *api = ctx;
    struct filter filter;
    size_t form = 0;
    if (!api_ready(api, request) || !parse(api, request, &filter) ||
        !api_query_word(request, "legacy", forms, COUNT(forms), &form))
        return;
    answer(api, request, &filter, form == 1, false);
}

void api_get_alerts_v1(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct filter filter;
    if (!api_ready(api, request) || !parse(api, request, &filter))
        return;
    answer(api, request, &filter, false, true);
}
