/* /api/v1/fleet, /api/v1/capacity, /api/v1/schema: what a display of the whole fleet needs, small
 * enough for thousands of servers. All of it comes from the newest outlook. */
#include "api/api_internal.h"

#include "api/rules.h"
#include "base/alloc.h"
#include "base/hash.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_STRIDE = 8, /* steps between the points of a driver's path */
    DRIVER_POINTS_MIN = 1,
    HOURS_DEFAULT = 24,
    HOURS_MAX = 168,
    TREND_STEPS = 48, /* what lies beyond the horizon follows the path's last so many steps */
};

struct api_fleet {
    pthread_mutex_t lock;
    uint64_t run, labels; /* of the body: the run, and the revision of the servers' labels */
    struct http_body *body;
};

enum fw_status api_fleet_new(struct api_fleet **out, struct fw_error *err)
{
    *out = fw_calloc(1, sizeof **out);
    if (*out == NULL)
        return fw_fail(err, FW_ENOMEM, "the fleet's body");
    pthread_mutex_init(&(*out)->lock, NULL);
    return FW_OK;
}

void api_fleet_free(struct api_fleet *fleet)
{
    if (fleet == NULL)
        return;
    http_body_unref(fleet->body);
    pthread_mutex_destroy(&fleet->lock);
    fw_free(fleet);
}

/* ---- when a path passes a threshold ---- */

/* The end of the first step whose value is beyond the threshold, in seconds of the epoch, as
 * alerts count it; 0: within the horizon none is. */
static int64_t passes(const struct outlook *outlook, const struct forecast *forecast,
                      const struct schema_metric *metric, const float *path, double threshold)
{
    for (int i = 0; i < FORECAST_HORIZON; i++)
        if (risk_beyond(metric, (double)path[i], threshold))
            return forecast->origin_ms / 1000 + ((int64_t)i + 1) * outlook->step_s;
    return 0;
}

static void put_unix(struct fw_buf *buf, const char *key, int64_t seconds)
{
    fw_buf_putc(buf, ',');
    fw_buf_json_key(buf, key);
    if (seconds == 0)
        fw_buf_puts(buf, "null");
    else
        fw_buf_put_i64(buf, seconds);
}

struct crossing {
    int64_t earliest, expected, latest; /* by the bad quantile, the median, the good one; 0: not */
};

static struct crossing crossing_of(const struct outlook *outlook, const struct forecast *forecast,
                                   const struct schema_metric *metric,
                                   const struct forecast_path *path, double threshold)
{
    const bool low = metric->worse == METRIC_WORSE_LOW;
    return (struct crossing){
        passes(outlook, forecast, metric, low ? path->p10 : path->p90, threshold),
        passes(outlook, forecast, metric, path->p50, threshold),
        passes(outlook, forecast, metric, low ? path->p90 : path->p10, threshold),
    };
}

static void put_crossing(struct fw_buf *buf, const char *expected, const struct crossing *crossing)
{
    put_unix(buf, expected, crossing->expected);
    put_unix(buf, "earliest_unix", crossing->earliest);
    put_unix(buf, "latest_unix", crossing->latest);
}

static void put_head(struct fw_buf *buf, const struct outlook *outlook, const struct api_zone *zone)
{
    fw_buf_putc(buf, '{');
    api_put_int(buf, "run_id", (int64_t)outlook->id);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "generated_at", outlook->made_ms, zone);
    fw_buf_putc(buf, ',');
}

/* ---- /api/v1/fleet ---- */

struct ranked {
    uint32_t index;
    float score;
};

static int riskiest_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index); /* the set is sorted by name */
}

/* The threshold that lies ahead: the driver's own, or the critical one when the value has passed
 * the warning one and its median goes on. */
static double threshold_ahead(const struct schema_metric *metric, const struct forecast_path *path,
                              const struct risk_driver *driver)
{
    const double current = (double)driver->current, own = (double)driver->threshold;
    bool reaches = false;
    if (path == NULL || !risk_beyond(metric, current, own) || isnan(metric->critical) ||
        risk_beyond(metric, current, metric->critical))
        return own;
    for (int i = 0; i < FORECAST_HORIZON && !reaches; i++)
        reaches = risk_beyond(metric, (double)path->p50[i], metric->critical);
    return reaches ? metric->critical : own;
}

static void put_driver(struct fw_buf *buf, const struct outlook *outlook,
                       const struct forecast *forecast, const struct risk_driver *driver)
{
    const struct schema_metric *metric = &outlook->schema->metrics[driver->metric];
    const struct forecast_path *path = forecast_path(forecast, driver->metric);
    const double threshold = threshold_ahead(metric, path, driver);
    const double probability =
        threshold == (double)driver->threshold || path == NULL
            ? (double)driver->probability
            : risk_crossing_probability(metric, path, threshold, FORECAST_HORIZON);
    fw_buf_putc(buf, '{');
    api_put_text(buf, "metric", metric->name);
    fw_buf_puts(buf, ",\"points\":");
    api_put_one(buf, (double)driver->points);
    fw_buf_puts(buf, ",\"current\":");
    api_put_number(buf, (double)driver->current, API_DECIMALS_AUTO);
    fw_buf_puts(buf, ",\"predicted\":");
    api_put_number(buf, (double)driver->predicted, API_DECIMALS_AUTO);
    fw_buf_puts(buf, ",\"threshold\":");
    api_put_number(buf, threshold, API_DECIMALS_AUTO);
    fw_buf_puts(buf, ",\"probability\":");
    api_put_number(buf, probability, 3);
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "crossed", risk_beyond(metric, (double)driver->current, threshold));
    struct crossing crossing = {0};
    if (path != NULL)
        crossing = crossing_of(outlook, forecast, metric, path, threshold);
    put_crossing(buf, "crossing_unix", &crossing);
    fw_buf_puts(buf, ",\"path\":[");
    for (int i = 0; path != NULL && i < FORECAST_HORIZON; i += PATH_STRIDE) {
        if (i > 0)
            fw_buf_putc(buf, ',');
        api_put_one(buf, (double)path->p50[i + PATH_STRIDE - 1]);
    }
    fw_buf_puts(buf, "]}");
}

static void put_server(struct fw_buf *buf, const struct outlook *outlook,
                       const struct label_source *labels, uint32_t index)
{
    const struct forecast *forecast = outlook->set->items[index];
    const struct risk *risk = &outlook->risks[index];
    fw_buf_putc(buf, '{');
    api_put_text(buf, "server_name", forecast->name);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "profile", profile_name(forecast->profile));
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "stale", forecast->stale);
    fw_buf_puts(buf, ",\"risk_score\":");
    api_put_one(buf, (double)risk->score);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "level", risk_level_style(risk->level)->name);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "method", api_server_method(forecast));
    fw_buf_puts(buf, ",\"probability_30m\":");
    api_put_number(buf, (double)risk->crossing_30m, 3);
    fw_buf_puts(buf, ",\"probability_8h\":");
    api_put_number(buf, (double)risk->crossing_8h, 3);
    put_unix(buf, "last_seen_unix", forecast->last_seen_ms / 1000);
    fw_buf_putc(buf, ',');
    api_put_labels(buf, labels, forecast->name);
    api_put_int(buf, "drivers", (int64_t)risk->driver_count);
    fw_buf_puts(buf, ",\"driver\":");
    if (risk->driver_count > 0 && risk->drivers[0].points >= (float)DRIVER_POINTS_MIN)
        put_driver(buf, outlook, forecast, &risk->drivers[0]);
    else
        fw_buf_puts(buf, "null");
    fw_buf_putc(buf, '}');
}

/* NULL when out of memory. */
static struct http_body *render_fleet(const struct outlook *outlook,
                                      const struct label_source *labels,
                                      const struct api_zone *zone)
{
    const size_t n = outlook->set->count;
    struct ranked *order = fw_calloc(n + 1, sizeof *order);
    if (order == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct ranked){(uint32_t)i, outlook->risks[i].score};
    qsort(order, n, sizeof *order, riskiest_first);
    struct fw_buf buf;
    fw_buf_init(&buf, API_REPLY_MAX);
    put_head(&buf, outlook, zone);
    api_put_int(&buf, "step_seconds", outlook->step_s);
    fw_buf_putc(&buf, ',');
    api_put_bool(&buf, "stale", api_outlook_stale(outlook));
    fw_buf_putc(&buf, ',');
    api_put_text(&buf, "model_id", outlook->model_name);
    fw_buf_puts(&buf, ",\"servers\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            fw_buf_putc(&buf, ',');
        put_server(&buf, outlook, labels, order[i].index);
    }
    fw_buf_puts(&buf, "]}");
    fw_free(order);
    return http_body_new_take(&buf);
}

/* The body of this outlook with labels at least as new as `revision`, with a reference; kept when
 * it is written in the usual zone. */
static struct http_body *fleet_body(struct api *api, const struct outlook *outlook,
                                    uint64_t revision, const struct api_zone *zone)
{
    struct api_fleet *kept = api->fleet;
    if (strcmp(api_zone_name(zone), api_zone_name(&api->zone)) != 0)
        return render_fleet(outlook, &api->labels, zone);
    pthread_mutex_lock(&kept->lock);
    if (kept->body == NULL || kept->run != outlook->id || kept->labels != revision) {
        http_body_unref(kept->body);
        kept->body = render_fleet(outlook, &api->labels, zone);
        kept->run = outlook->id;
        kept->labels = revision;
    }
    struct http_body *body = kept->body == NULL ? NULL : http_body_ref(kept->body);
    pthread_mutex_unlock(&kept->lock);
    return body;
}

/* The newest outlook, retained; NULL after a 503. */
static const struct outlook *current_outlook(struct api *api, struct http_request *request)
{
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    if (outlook == NULL)
        api_reply_busy(request, 503, 1, "no forecast has been made yet");
    return outlook;
}

void api_get_fleet(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct api_zone zone;
    if (!api_ready(api, request) || !api_query_zone(request, api, &zone))
        return;
    const struct outlook *outlook = current_outlook(api, request);
    if (outlook == NULL)
        return;
    const uint64_t labels = fleet_labels_revision(api->parts.fleet);
    struct http_body *body = fleet_body(api, outlook, labels, &zone);
    const char *name = api_zone_name(&zone);
    char etag[80];
    snprintf(etag, sizeof etag, "f%llx-%llx-%llx-%llx", (unsigned long long)api->boot,
             (unsigned long long)outlook->id, (unsigned long long)labels,
             (unsigned long long)fw_hash_stable(name, strlen(name)));
    outlook_release(outlook);
    if (body == NULL)
        api_reply_busy(request, 503, 1, "out of memory for this answer");
    else
        http_reply(request, &(struct http_reply){.status = 200, .body = body, .etag = etag});
}

/* ---- /api/v1/capacity ---- */

struct filling {
    const struct forecast *forecast;
    const struct forecast_path *path;
    const struct schema_metric *metric;
    const char *basis;
    double per_hour;
    struct crossing crossing; /* expected: the order of the list */
};

static int soonest_first(const void *a, const void *b)
{
    const struct filling *x = a, *y = b;
    if (x->crossing.expected != y->crossing.expected)
        return x->crossing.expected < y->crossing.expected ? -1 : 1;
    return strcmp(x->forecast->name, y->forecast->name);
}

/* Beyond the horizon the path's second half goes on in a straight line; 0 when that never gets
 * there. */
static int64_t extrapolate(const struct outlook *outlook, const struct forecast *forecast,
                           const struct schema_metric *metric, const struct forecast_path *path)
{
    const double last = (double)path->p50[FORECAST_HORIZON - 1];
    const double slope =
        (last - (double)path->p50[FORECAST_HORIZON - 1 - TREND_STEPS]) / TREND_STEPS;
    const double steps = (metric->critical - last) / slope;
    const double limit = (double)HOURS_MAX * 3600 / outlook->step_s;
    if (!isfinite(steps) || steps <= 0.0 || steps > limit)
        return 0;
    return forecast->origin_ms / 1000 +
           (int64_t)((FORECAST_HORIZON + steps) * (double)outlook->step_s);
}

/* Of the median, until it is at the threshold: a full disk grows no more. */
static double growth(const struct outlook *outlook, const struct schema_metric *metric,
                     const struct forecast_path *path)
{
    int end = 1;
    while (end < FORECAST_HORIZON - 1 &&
           !risk_beyond(metric, (double)path->p50[end], metric->critical))
        end++;
    return (double)(path->p50[end] - path->p50[0]) * 3600.0 / ((double)outlook->step_s * end);
}

static bool fills(const struct outlook *outlook, const struct forecast *forecast,
                  const struct forecast_path *path, int64_t hours, struct filling *out)
{
    const struct schema_metric *metric = &outlook->schema->metrics[path->metric];
    if (!metric->accumulates || isnan(metric->critical) || metric->worse != METRIC_WORSE_HIGH)
        return false;
    *out = (struct filling){.forecast = forecast,
                            .path = path,
                            .metric = metric,
                            .basis = "forecast",
                            .per_hour = growth(outlook, metric, path)};
    out->crossing = crossing_of(outlook, forecast, metric, path, metric->critical);
    if (risk_beyond(metric, (double)path->current, metric->critical)) {
        out->basis = "reached";
        out->crossing = (struct crossing){0};
        return true;
    }
    if (out->crossing.expected == 0) {
        out->basis = "extrapolated";
        out->crossing.expected = extrapolate(outlook, forecast, metric, path);
    }
    const int64_t until = outlook->made_ms / 1000 + hours * 3600;
    return out->crossing.expected != 0 && out->crossing.expected <= until;
}

/* All that fit, the first `room` of the fleet's order kept; returns how many fit. */
static size_t collect_filling(const struct outlook *outlook, int64_t hours, struct filling *items,
                              size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < outlook->set->count; i++) {
        const struct forecast *forecast = outlook->set->items[i];
        for (size_t k = 0; k < forecast->path_count && n < room; k++)
            if (fills(outlook, forecast, &forecast->paths[k], hours, &items[n]))
                n++;
    }
    qsort(items, n, sizeof *items, soonest_first);
    return n;
}

static void put_filling(struct fw_buf *buf, const struct filling *item)
{
    fw_buf_putc(buf, '{');
    api_put_text(buf, "server_name", item->forecast->name);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "metric", item->metric->name);
    fw_buf_puts(buf, ",\"current\":");
    api_put_number(buf, (double)item->path->current, API_DECIMALS_AUTO);
    fw_buf_puts(buf, ",\"threshold\":");
    api_put_number(buf, item->metric->critical, API_DECIMALS_AUTO);
    fw_buf_puts(buf, ",\"per_hour\":");
    api_put_number(buf, item->per_hour, 4);
    fw_buf_puts(buf, ",\"probability_8h\":");
    api_put_number(buf,
                   risk_crossing_probability(item->metric, item->path, item->metric->critical,
                                             FORECAST_HORIZON),
                   3);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "basis", item->basis);
    put_crossing(buf, "reaches_unix", &item->crossing);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "method", api_method(item->path));
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "stale", item->forecast->stale);
    fw_buf_putc(buf, '}');
}

static void put_capacity(struct fw_buf *buf, const struct outlook *outlook,
                         const struct api_zone *zone, int64_t hours, const struct filling *items,
                         size_t total, size_t limit)
{
    put_head(buf, outlook, zone);
    api_put_int(buf, "hours", hours);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "total", (int64_t)total);
    fw_buf_puts(buf, ",\"items\":[");
    for (size_t i = 0; i < total && i < limit; i++) {
        if (i > 0)
            fw_buf_putc(buf, ',');
        put_filling(buf, &items[i]);
    }
    fw_buf_puts(buf, "]}");
}

void api_get_capacity(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct api_zone zone;
    int64_t hours = HOURS_DEFAULT, limit = INT32_MAX;
    if (!api_ready(api, request) || !api_query_zone(request, api, &zone) ||
        !api_query_int(request, "hours", 1, HOURS_MAX, &hours) ||
        !api_query_int(request, "limit", 1, INT32_MAX, &limit))
        return;
    const struct outlook *outlook = current_outlook(api, request);
    if (outlook == NULL)
        return;
    size_t filling = 0; /* metrics of the schema that fill up */
    for (size_t i = 0; i < outlook->schema->count; i++)
        filling += outlook->schema->metrics[i].accumulates;
    const size_t room = outlook->set->count * filling;
    struct filling *items = fw_calloc(room + 1, sizeof *items);
    if (items == NULL) {
        api_reply_busy(request, 503, 1, "out of memory for this answer");
    } else {
        const size_t total = collect_filling(outlook, hours, items, room);
        struct fw_buf buf;
        fw_buf_init(&buf, API_REPLY_MAX);
        put_capacity(&buf, outlook, &zone, hours, items, total, (size_t)limit);
        api_reply_buf(request, &buf);
    }
    fw_free(items);
    outlook_release(outlook);
}

/* ---- /api/v1/schema ---- */

static void put_bound(struct fw_buf *buf, const char *key, double value)
{
    fw_buf_putc(buf, ',');
    fw_buf_json_key(buf, key);
    api_put_number(buf, value, API_DECIMALS_AUTO);
}

void api_get_schema(void *ctx, struct http_request *request)
{
    static const char *const directions[] = {"none", "high", "low"};
    struct api_rules *rules = api_rules_current(ctx);
    const struct schema *schema = &rules->schema;
    struct fw_buf buf;
    fw_buf_init(&buf, API_REPLY_MAX);
    fw_buf_putc(&buf, '{');
    api_put_int(&buf, "horizon_steps", FORECAST_HORIZON);
    fw_buf_puts(&buf, ",\"metrics\":[");
    for (size_t i = 0; i < schema->count; i++) {
        const struct schema_metric *metric = &schema->metrics[i];
        fw_buf_puts(&buf, i > 0 ? ",{" : "{");
        api_put_text(&buf, "name", metric->name);
        fw_buf_putc(&buf, ',');
        api_put_text(&buf, "unit", metric->unit);
        put_bound(&buf, "min", metric->min);
        put_bound(&buf, "max", metric->max);
        fw_buf_putc(&buf, ',');
        api_put_text(&buf, "worse", directions[metric->worse]);
        put_bound(&buf, "warning", metric->warning);
        put_bound(&buf, "critical", metric->critical);
        fw_buf_putc(&buf, ',');
        api_put_bool(&buf, "integer", metric->integer);
        fw_buf_putc(&buf, ',');
        api_put_bool(&buf, "accumulates", metric->accumulates);
        fw_buf_putc(&buf, '}');
    }
    fw_buf_puts(&buf, "]}");
    api_rules_release(rules);
    api_reply_buf(request, &buf);
}
