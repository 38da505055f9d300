/* /api/v1/servers: all of them, and one. */
#include "api/api_internal.h"

#include "base/alloc.h"

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

int64_t api_path_server(struct api *api, struct http_request *request)
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
    const int64_t slot = api_path_server(api, request);
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
