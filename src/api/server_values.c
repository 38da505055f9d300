/* A server's numbers: what is in its window, what is forecast, what was forecast before. */
#include "api/api_internal.h"

#include "base/alloc.h"
#include "outlook/past.h"

#include <math.h>

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
    const int64_t slot = api_path_server(api, request);
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
        api_path_server(api, request) < 0)
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
        !api_query_metrics(request, schema, &metrics) || api_path_server(api, request) < 0)
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
