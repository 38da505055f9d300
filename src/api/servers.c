/* /api/v1/servers and what is below it. */
#include "api/api_internal.h"

#include "base/alloc.h"
#include "outlook/past.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the list ---- */

struct entry {
    struct fleet_server server;
    int64_t index; /* in the outlook, or -1 */
    float score;   /* -1: not scored yet */
};

struct list_query {
    struct api_selection selection;
    struct api_zone zone;
    size_t profile, level, order, stale; /* 0: any */
    int64_t limit, offset;
};

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return strcmp(x->server.name, y->server.name);
}

static int by_risk(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return by_name(a, b);
}

static bool parse_list(struct api *api, struct http_request *request, struct list_query *query)
{
    static const char *const orders[] = {"name", "risk"};
    static const char *const truths[] = {"any", "true", "false"};
    const char *profiles[PROFILE_COUNT + 1] = {"any"};
    const char *levels[RISK_LEVEL_COUNT + 1] = {"any"};
    for (int i = 0; i < PROFILE_COUNT; i++)
        profiles[i + 1] = profile_name((enum profile)i);
    for (int i = 0; i < RISK_LEVEL_COUNT; i++)
        levels[i + 1] = risk_level_style((enum risk_level)i)->name;
    *query = (struct list_query){.limit = INT32_MAX};
    return api_query_selection(request, &query->selection) &&
           api_query_zone(request, api, &query->zone) &&
           api_query_word(request, "profile", profiles, COUNT(profiles), &query->profile) &&
           api_query_word(request, "level", levels, COUNT(levels), &query->level) &&
           api_query_word(request, "stale", truths, COUNT(truths), &query->stale) &&
           api_query_word(request, "sort", orders, COUNT(orders), &query->order) &&
           api_query_int(request, "limit", 1, INT32_MAX, &query->limit) &&
           api_query_int(request, "offset", 0, INT32_MAX, &query->offset);
}

static bool wanted(const struct list_query *query, const struct outlook *outlook,
                   const struct entry *entry)
{
    if (query->profile != 0 && entry->server.profile != query->profile - 1)
        return false;
    if (query->stale != 0 && entry->server.stale != (query->stale == 1))
        return false;
    if (query->level != 0 &&
        (entry->index < 0 || outlook->risks[entry->index].level != query->level - 1))
        return false;
    return api_selected(&query->selection, entry->server.name);
}

static size_t collect(const struct api *api, const struct outlook *outlook,
                      const struct list_query *query, struct entry *entries, size_t slots)
{
    size_t n = 0;
    for (size_t slot = 0; slot < slots; slot++) {
        struct entry *entry = &entries[n];
        if (!fleet_read_server(api->parts.fleet, slot, &entry->server))
            continue;
        entry->index = outlook == NULL ? -1 : api_outlook_find(outlook, entry->server.name);
        entry->score = entry->index < 0 ? -1.0f : outlook->risks[entry->index].score;
        if (wanted(query, outlook, entry))
            n++;
    }
    qsort(entries, n, sizeof *entries, query->order == 1 ? by_risk : by_name);
    return n;
}

const char *api_server_method(const struct forecast *forecast)
{
    const char *method = "insufficient";
    for (size_t i = 0; i < forecast->path_count; i++) {
        method = api_method(&forecast->paths[i]);
        if (forecast_path_by_model(&forecast->paths[i]))
            break;
    }
    return method;
}

static void put_server_members(struct fw_buf *buf, const struct fleet_server *server,
                               const struct label_source *labels, const struct api_zone *zone)
{
    api_put_text(buf, "server_name", server->name);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "name", server->name);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "server_id", server_id(server->name, strlen(server->name)));
    fw_buf_putc(buf, ',');
    api_put_text(buf, "profile", profile_name(server->profile));
    fw_buf_putc(buf, ',');
    api_put_text(buf, "profile_label", profile_display(server->profile));
    fw_buf_putc(buf, ',');
    api_put_text(buf, "status", server_status_name(server->status));
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "stale", server->stale);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "steps_held", server->steps_held);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "first_seen", server->first_seen_ms, zone);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "last_seen", server->last_seen_ms, zone);
    fw_buf_putc(buf, ',');
    api_put_labels(buf, labels, server->name);
}

static void put_risk_members(struct fw_buf *buf, const struct outlook *outlook, int64_t index)
{
    if (index < 0) {
        fw_buf_puts(buf, "\"risk_score\":null,\"level\":null,\"method\":\"insufficient\","
                         "\"crossing_probability_30m\":null,\"crossing_probability_8h\":null");
        return;
    }
    const struct risk *risk = &outlook->risks[index];
    fw_buf_puts(buf, "\"risk_score\":");
    api_put_one(buf, (double)risk->score);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "level", risk_level_style(risk->level)->name);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "method", api_server_method(outlook->set->items[index]));
    fw_buf_puts(buf, ",\"crossing_probability_30m\":");
    api_put_number(buf, (double)risk->crossing_30m, 4);
    fw_buf_puts(buf, ",\"crossing_probability_8h\":");
    api_put_number(buf, (double)risk->crossing_8h, 4);
}

static void put_list(struct fw_buf *buf, struct api *api, const struct outlook *outlook,
                     const struct list_query *query, const struct entry *entries, size_t total)
{
    const size_t offset = (uint64_t)query->offset < total ? (size_t)query->offset : total;
    const size_t left = total - offset;
    const size_t count = (uint64_t)query->limit < left ? (size_t)query->limit : left;
    fw_buf_putc(buf, '{');
    api_put_time_pair(buf, "timestamp", fw_clock_wall_ms(api->clock), &query->zone);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "total", (int64_t)total);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "count", (int64_t)count);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "offset", (int64_t)offset);
    fw_buf_puts(buf, ",\"servers\":[");
    for (size_t i = offset; i < offset + count; i++) {
        fw_buf_puts(buf, i > offset ? ",{" : "{");
        put_server_members(buf, &entries[i].server, &api->labels, &query->zone);
        put_risk_members(buf, outlook, entries[i].index);
        fw_buf_putc(buf, '}');
    }
    fw_buf_puts(buf, "]}");
}

void api_get_servers(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct list_query query;
    if (!api_ready(api, request) || !parse_list(api, request, &query))
        return;
    const size_t slots = fleet_slots(api->parts.fleet);
    struct entry *entries = fw_calloc(slots + 1, sizeof *entries);
    if (entries == NULL) {
        api_reply_busy(request, 503, 1, "out of memory for this answer");
        return;
    }
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    const size_t total = collect(api, outlook, &query, entries, slots);
    struct fw_buf buf;
    fw_buf_init(&buf, API_REPLY_MAX);
    put_list(&buf, api, outlook, &query, entries, total);
    if (outlook != NULL)
        outlook_release(outlook);
    fw_free(entries);
    api_reply_buf(request, &buf);
}

/* ---- one server ---- */

/* The slot of the name in the path; -1 after a 404. */
static int64_t find_server(struct api *api, struct http_request *request)
{
    const char *name = http_request_path(request, "name");
    const int64_t slot = fleet_find(api->parts.fleet, name, strlen(name));
    if (slot < 0)
        http_reply_detail(request, 404, "No such server");
    return slot;
}

static void put_alerts_of(struct fw_buf *buf, struct api *api, const struct outlook *outlook,
                          const char *name, const struct api_zone *zone)
{
    bool first = true;
    struct alert_mark *marks = api_marks(api, outlook->alerts);
    fw_buf_puts(buf, "\"alerts\":[");
    for (size_t i = 0; i < outlook->alerts->count; i++) {
        const struct alert *alert = &outlook->alerts->items[i];
        if (strcmp(alert->server, name) != 0)
            continue;
        if (!first)
            fw_buf_putc(buf, ',');
        first = false;
        api_render_alert(buf, outlook, alert, marks != NULL ? &marks[i] : NULL, &api->labels, zone);
    }
    fw_free(marks);
    fw_buf_puts(buf, "],");
}

static void put_metric_names(struct fw_buf *buf, const struct schema *schema, uint64_t metrics)
{
    bool first = true;
    fw_buf_puts(buf, "\"metrics\":[");
    for (size_t i = 0; i < schema->count; i++) {
        if ((metrics >> i & 1) == 0)
            continue;
        if (!first)
            fw_buf_putc(buf, ',');
        first = false;
        fw_buf_json_string(buf, schema->metrics[i].name, strlen(schema->metrics[i].name));
    }
    fw_buf_puts(buf, "],");
}

static void put_warmup(struct fw_buf *buf, uint32_t have)
{
    fw_buf_puts(buf, "\"warmup\":{");
    api_put_bool(buf, "ready", have >= API_READY_STEPS);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "have", have);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "need", API_READY_STEPS);
    fw_buf_puts(buf, "},");
}

void api_get_server(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct api_view view;
    api_view_default(&view);
    if (!api_ready(api, request) || !api_query_view(request, api, &view))
        return;
    const int64_t slot = find_server(api, request);
    struct fleet_server server;
    if (slot < 0)
        return;
    if (!fleet_read_server(api->parts.fleet, (size_t)slot, &server)) {
        http_reply_detail(request, 404, "No such server");
        return;
    }
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    const int64_t index = outlook == NULL ? -1 : api_outlook_find(outlook, server.name);
    struct fw_buf buf;
    fw_buf_init(&buf, API_REPLY_MAX);
    fw_buf_putc(&buf, '{');
    put_server_members(&buf, &server, &api->labels, &view.zone);
    put_metric_names(&buf, api->options.schema, server.metrics);
    put_warmup(&buf, server.steps_held);
    put_risk_members(&buf, outlook, index);
    fw_buf_putc(&buf, ',');
    if (outlook != NULL)
        put_alerts_of(&buf, api, outlook, server.name, &view.zone);
    api_put_int(&buf, "run_id", outlook == NULL ? 0 : (int64_t)outlook->id);
    fw_buf_puts(&buf, ",\"prediction\":");
    if (index < 0)
        fw_buf_puts(&buf, "null");
    else
        api_render_server(&buf, outlook, (size_t)index, &api->labels, &view);
    fw_buf_putc(&buf, '}');
    if (outlook != NULL)
        outlook_release(outlook);
    api_reply_buf(request, &buf);
}

/* ---- the window ---- */

/* The shortest text that reads back as the same float32. */
static void put_exact(struct fw_buf *buf, float value)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    if (!isfinite(value)) {
        fw_buf_puts(buf, "null");
        return;
    }
    const double wide = (double)value;
    for (int decimals = 0; decimals < (int)COUNT(powers) && fabs(wide) < 1e9; decimals++) {
        const double rounded = round(wide * powers[decimals]) / powers[decimals];
        if ((float)rounded == value) {
            fw_buf_json_number(buf, rounded, decimals);
            return;
        }
    }
    fw_buf_printf(buf, "%.9g", wide);
}

static void put_column(struct fw_buf *buf, const struct fleet_view *view, uint32_t step_s,
                       size_t metric, uint32_t first)
{
    const int64_t begin = view->server.newest_step - view->steps + 1;
    fw_buf_puts(buf, "{\"timestamps\":[");
    for (uint32_t i = first; i < view->steps; i++) {
        if (i > first)
            fw_buf_putc(buf, ',');
        fw_buf_put_i64(buf, (begin + i) * step_s);
    }
    fw_buf_puts(buf, "],\"values\":[");
    for (uint32_t i = first; i < view->steps; i++) {
        if (i > first)
            fw_buf_putc(buf, ',');
        put_exact(buf, view->values[metric * view->steps + i]);
    }
    fw_buf_puts(buf, "]}");
}

/* The first step that holds anything of the wanted metrics: what is before it was never seen. */
static uint32_t first_seen(const struct fleet_view *view, uint64_t metrics)
{
    uint32_t first = view->steps;
    for (uint64_t left = metrics; left != 0; left &= left - 1) {
        const float *values = view->values + (size_t)__builtin_ctzll(left) * view->steps;
        for (uint32_t i = 0; i < first; i++)
            if (!isnan(values[i]))
                first = i;
    }
    return first;
}

static void put_window(struct fw_buf *buf, const struct api *api, const struct fleet_view *view,
                       uint64_t metrics)
{
    const struct schema *schema = api->options.schema;
    const uint32_t step_s = fleet_options(api->parts.fleet)->step_s;
    const uint64_t held = view->server.metrics & metrics;
    const uint32_t first = first_seen(view, held);
    bool any = false;
    fw_buf_putc(buf, '{');
    api_put_text(buf, "server_name", view->server.name);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "step_seconds", step_s);
    fw_buf_puts(buf, ",\"metrics\":{");
    for (size_t i = 0; i < schema->count; i++) {
        if ((held >> i & 1) == 0 || first == view->steps)
            continue;
        if (any)
            fw_buf_putc(buf, ',');
        any = true;
        fw_buf_json_key(buf, schema->metrics[i].name);
        put_column(buf, view, step_s, i, first);
    }
    fw_buf_puts(buf, "}}");
}

void api_get_window(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    if (!api_ready(api, request))
        return;
    const uint32_t window_steps = fleet_options(api->parts.fleet)->window_steps;
    int64_t steps = window_steps;
    uint64_t metrics = UINT64_MAX;
    if (!api_query_int(request, "steps", 1, window_steps, &steps) ||
        !api_query_metrics(request, api->options.schema, &metrics))
        return;
    const int64_t slot = find_server(api, request);
    if (slot < 0)
        return;
    struct fleet_view view = {.steps = (uint32_t)steps};
    view.values = fw_calloc(api->options.schema->count * (size_t)steps, sizeof *view.values);
    if (view.values == NULL) {
        api_reply_busy(request, 503, 1, "out of memory for this answer");
        return;
    }
    if (!fleet_read_view(api->parts.fleet, (size_t)slot, &view)) {
        http_reply_detail(request, 404, "No such server");
    } else {
        struct fw_buf buf;
        fw_buf_init(&buf, API_REPLY_MAX);
        put_window(&buf, api, &view, metrics);
        api_reply_buf(request, &buf);
    }
    fw_free(view.values);
}

/* ---- the forecast ---- */

static void put_forecast(struct fw_buf *buf, const struct outlook *outlook, size_t index,
                         const struct api_view *view)
{
    const struct forecast *forecast = outlook->set->items[index];
    bool any = false;
    fw_buf_putc(buf, '{');
    api_put_text(buf, "server_name", forecast->name);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "run_id", (int64_t)outlook->id);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "made_at", outlook->made_ms, &view->zone);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "origin", forecast->origin_ms, &view->zone);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "step_seconds", outlook->step_s);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "model_id", outlook->model_name);
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "stale", forecast->stale);
    fw_buf_puts(buf, ",\"timestamps\":[");
    for (unsigned i = 0; i < view->steps; i++) {
        if (i > 0)
            fw_buf_putc(buf, ',');
        fw_buf_put_i64(buf, forecast->origin_ms / 1000 + (int64_t)i * outlook->step_s);
    }
    fw_buf_puts(buf, "],\"metrics\":{");
    for (size_t i = 0; i < forecast->path_count; i++) {
        const struct forecast_path *path = &forecast->paths[i];
        if ((view->metrics >> path->metric & 1) == 0)
            continue;
        if (any)
            fw_buf_putc(buf, ',');
        any = true;
        fw_buf_json_key(buf, outlook->schema->metrics[path->metric].name);
        api_render_path(buf, outlook->schema, path, view);
    }
    fw_buf_puts(buf, "},");
    api_render_level(buf, &outlook->risks[index]);
    fw_buf_puts(buf, ",\"risk_drivers\":");
    api_render_drivers(buf, outlook->schema, &outlook->risks[index]);
    fw_buf_putc(buf, '}');
}

void api_get_forecast(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct api_view view;
    api_view_default(&view);
    if (!api_ready(api, request) || !api_query_view(request, api, &view) ||
        find_server(api, request) < 0)
        return;
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    const int64_t index =
        outlook == NULL ? -1 : api_outlook_find(outlook, http_request_path(request, "name"));
    if (index < 0) {
        api_reply_busy(request, 503, 1, "no forecast of this server has been made yet");
    } else {
        struct fw_buf buf;
        fw_buf_init(&buf, API_REPLY_MAX);
        put_forecast(&buf, outlook, (size_t)index, &view);
        api_reply_buf(request, &buf);
    }
    if (outlook != NULL)
        outlook_release(outlook);
}

/* ---- earlier forecasts ---- */

static void put_points(struct fw_buf *buf, const char *key, const float *values)
{
    fw_buf_putc(buf, ',');
    fw_buf_json_key(buf, key);
    api_put_numbers(buf, values, OUTLOOK_PAST_POINTS, API_DECIMALS_AUTO);
}

static void put_past(struct fw_buf *buf, const struct outlook_past_path *path,
                     const struct api_zone *zone)
{
    fw_buf_putc(buf, '{');
    api_put_time_pair(buf, "made_at", path->made_ms, zone);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "origin_unix", path->origin_ms / 1000);
    fw_buf_puts(buf, ",\"timestamps\":[");
    for (size_t i = 0; i < OUTLOOK_PAST_POINTS; i++) {
        if (i > 0)
            fw_buf_putc(buf, ',');
        fw_buf_put_i64(buf, path->origin_ms / 1000 + (int64_t)outlook_past_point(i) * path->step_s);
    }
    fw_buf_putc(buf, ']');
    put_points(buf, "p10", path->quantiles[0]);
    put_points(buf, "p50", path->quantiles[1]);
    put_points(buf, "p90", path->quantiles[2]);
    fw_buf_putc(buf, '}');
}

/* "<metric>":[...] of a server; nothing when none is kept. */
static bool put_past_of(struct fw_buf *buf, struct api *api, const char *server, uint16_t metric,
                        const struct api_zone *zone, bool first)
{
    struct outlook_past_path paths[OUTLOOK_PAST_RUNS];
    const size_t n = outlook_past_paths(api->past, server, metric, paths);
    if (n == 0)
        return false;
    if (!first)
        fw_buf_putc(buf, ',');
    fw_buf_json_key(buf, api->options.schema->metrics[metric].name);
    for (size_t i = 0; i < n; i++) {
        fw_buf_putc(buf, i > 0 ? ',' : '[');
        put_past(buf, &paths[i], zone);
    }
    fw_buf_putc(buf, ']');
    return true;
}

void api_get_past(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct api_zone zone;
    const struct schema *schema = api->options.schema;
    uint64_t metrics = UINT64_MAX;
    bool first = true;
    if (!api_ready(api, request) || !api_query_zone(request, api, &zone) ||
        !api_query_metrics(request, schema, &metrics) || find_server(api, request) < 0)
        return;
    const char *server = http_request_path(request, "name");
    struct fw_buf buf;
    fw_buf_init(&buf, API_REPLY_MAX);
    fw_buf_putc(&buf, '{');
    api_put_text(&buf, "server_name", server);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "step_seconds", fleet_options(api->parts.fleet)->step_s);
    fw_buf_puts(&buf, ",\"metrics\":{");
    for (size_t i = 0; i < schema->count; i++)
        if ((metrics >> i & 1) != 0 && put_past_of(&buf, api, server, (uint16_t)i, &zone, first))
            first = false;
    fw_buf_puts(&buf, "}}");
    api_reply_buf(request, &buf);
}
