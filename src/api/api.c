#include "api/api.h"

#include "api/api_internal.h"
#include "api/rules.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "outlook/past.h"

#include <assert.h>
#include <string.h>

static void fill_in(struct api_options *o)
{
    if (o->clock == NULL)
        o->clock = fw_clock_system();
    if (o->service == NULL)
        o->service = "tft_inference_daemon";
    if (o->models_dir == NULL)
        o->models_dir = "models";
    if (o->zone == NULL)
        o->zone = "naive";
    if (o->body_bytes_max == 0)
        o->body_bytes_max = (size_t)64 << 20;
    if (o->records_max == 0)
        o->records_max = INGEST_RECORDS_MAX;
    if (o->inline_bytes_max == 0)
        o->inline_bytes_max = (size_t)512 << 10;
    if (o->ingest_threads == 0)
        o->ingest_threads = 2;
    if (o->ingest_queue_max == 0)
        o->ingest_queue_max = 32;
    if (o->eager_servers_max == 0)
        o->eager_servers_max = 2000;
    if (o->answer_bytes_max == 0)
        o->answer_bytes_max = (size_t)512 << 20;
    if (o->event_clients_max == 0)
        o->event_clients_max = 2000;
    if (o->filtered_bytes_max == 0)
        o->filtered_bytes_max = (size_t)64 << 20;
    if (o->past_bytes_max == 0)
        o->past_bytes_max = (size_t)256 << 20;
}

enum { RENDER_QUEUE_MAX = 64, RELOAD_QUEUE_MAX = 1, QUERY_THREADS = 2, QUERY_QUEUE_MAX = 64 };
/* Workers yield to the threads that take in requests and write the journal. */
enum { WORKER_NICE = 10 };

static enum fw_status start(struct api *api, struct fw_error *err)
{
    const struct api_options *o = &api->options;
    if (api_zone_parse(o->zone, &api->zone, NULL) != FW_OK)
        return fw_fail(err, FW_EINVAL, "time zone \"%s\": expected naive, utc, +hh:mm or a name",
                       o->zone);
    struct api_rules *rules;
    enum fw_status status = api_series_new(&api->series, err);
    if (status == FW_OK)
        status = api_rules_new(api, o->schema, o->mapping, o->labels, &rules, err);
    if (status == FW_OK)
        api_rules_use(api, rules);
    if (status == FW_OK)
        status = api_predictions_new(api, &api->predictions, err);
    if (status == FW_OK)
        status =
            api_pool_new(o->ingest_threads, o->ingest_queue_max, WORKER_NICE, &api->ingest, err);
    if (status == FW_OK)
        status = api_fleet_new(&api->fleet, err);
    if (status == FW_OK)
        status = api_web_new(&api->web, err);
    if (status == FW_OK)
        status = api_pool_new(1, RENDER_QUEUE_MAX, WORKER_NICE, &api->render, err);
    if (status == FW_OK)
        status = api_pool_new(1, RELOAD_QUEUE_MAX, WORKER_NICE, &api->admin, err);
    if (status == FW_OK)
        status = api_feed_events_new(api, &api->feed_events, err);
    if (status == FW_OK)
        status = api_pool_new(QUERY_THREADS, QUERY_QUEUE_MAX, WORKER_NICE, &api->queries, err);
    api->past = outlook_past_new(o->past_bytes_max);
    if (status == FW_OK && api->past == NULL)
        status = fw_fail(err, FW_ENOMEM, "past forecasts");
    if (status == FW_OK)
        status = api_routes_make(api, err);
    return status;
}

enum fw_status api_new(const struct api_options *options, struct api **out, struct fw_error *err)
{
    assert(options->schema != NULL);
    *out = NULL;
    struct api *api = fw_calloc(1, sizeof *api);
    if (api == NULL)
        return fw_fail(err, FW_ENOMEM, "api");
    api->options = *options;
    fill_in(&api->options);
    api->clock = api->options.clock;
    api->boot = fw_rng_entropy();
    api->started_ms = fw_clock_wall_ms(api->clock);
    api->started_ns = fw_clock_mono_ns(api->clock);
    pthread_mutex_init(&api->rules_lock, NULL);
    pthread_mutex_init(&api->quality_lock, NULL);
    api->quality_of = UINT64_MAX;
    pthread_mutex_init(&api->large_lock, NULL);
    pthread_cond_init(&api->large_left, NULL);
    fw_histogram_init_durations(&api->ingest_ns);
    const enum fw_status status = start(api, err);
    if (status != FW_OK) {
        api_free(api);
        return status;
    }
    *out = api;
    return FW_OK;
}

void api_routes(struct api *api, const struct http_route **routes, size_t *n)
{
    *routes = api->routes;
    *n = api->route_count;
}

void api_set_server(struct api *api, const struct http_server *server)
{
    atomic_store(&api->server, server);
}

/* On the publisher's thread, before readers see the outlook. */
static void on_outlook(void *ctx, const struct outlook *outlook)
{
    api_predictions_prepare(ctx, outlook);
}

/* And after: nobody waits for these. */
static void on_published(void *ctx, const struct outlook *outlook)
{
    struct api *api = ctx;
    api_predictions_published(api, outlook);
    outlook_past_take(api->past, outlook);
}

void api_attach(struct api *api, const struct api_parts *parts)
{
    assert(!api->attached && parts->fleet != NULL && parts->board != NULL &&
           parts->journal != NULL);
    api->parts = *parts;
    api->labels = (struct label_source){fleet_labels_find, parts->fleet};
    struct fleet_counts counts;
    fleet_counts(parts->fleet, &counts);
    api->warm = counts.ready > 0; /* it was before the restart */
    outlook_board_listen(parts->board, on_outlook, api);
    outlook_board_follow(parts->board, on_published, api);
    api_feed_events_attach(api->feed_events);
    atomic_store_explicit(&api->attached, true, memory_order_release);
}

/* On disk at most so much of it, the newest: it is written at an end, which must not take long. */
enum { PAST_SAVED_BYTES = 64 << 20 };

enum fw_status api_past_save(struct api *api, const char *dir, struct fw_error *err)
{
    return outlook_past_save(api->past, api->parts.fleet, dir, PAST_SAVED_BYTES, err);
}

enum fw_status api_past_load(struct api *api, const char *dir, const char *quarantine,
                             struct fw_error *err)
{
    return outlook_past_load(api->past, api->options.schema,
                             fleet_options(api->parts.fleet)->step_s, dir, quarantine, err);
}

void api_control_changed(struct api *api)
{
    api_feed_events_look(api->feed_events);
}

void api_drain(struct api *api)
{
    api_predictions_stop(api->predictions);
    api_pool_free(api->ingest);
    api_pool_free(api->render);
    api_pool_free(api->admin);
    api_pool_free(api->queries);
    api->ingest = api->render = api->admin = api->queries = NULL;
    api_feed_events_stop(api->feed_events);
}

void api_free(struct api *api)
{
    if (api == NULL)
        return;
    api_drain(api);
    outlook_past_free(api->past);
    api_predictions_free(api->predictions);
    api_fleet_free(api->fleet);
    api_web_free(api->web);
    api_rules_release(api->rules);
    api_series_free(api->series);
    api_feed_events_free(api->feed_events);
    http_body_unref(api->openapi);
    pthread_mutex_destroy(&api->rules_lock);
    pthread_mutex_destroy(&api->quality_lock);
    pthread_mutex_destroy(&api->large_lock);
    pthread_cond_destroy(&api->large_left);
    fw_free(api);
}
