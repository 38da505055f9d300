/* What the files of this folder share. */
#ifndef FW_API_API_INTERNAL_H
#define FW_API_API_INTERNAL_H

#include "api/api.h"
#include "api/pool.h"
#include "api/render.h"
#include "api/submit.h"
#include "base/buf.h"
#include "base/histogram.h"
#include "fleet/fleet.h"
#include "fleet/labels.h"
#include "outlook/outlook.h"
#include "store/journal.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    API_ROUTES_MAX = 96,
    API_REPLY_MAX = 64 << 20, /* of answers that have no limit of their own */
};

/* Counted since the start. */
struct api_counts {
    _Atomic uint64_t samples[API_PROTOCOLS];
    _Atomic uint64_t records[API_PROTOCOLS];
    _Atomic uint64_t rejected[API_PROTOCOLS][BATCH_REASON_COUNT];
    _Atomic uint64_t batches[API_PROTOCOLS];
    _Atomic uint64_t duplicates, overwritten, late, sealed, outrun; /* values */
    _Atomic uint64_t labels_dropped;
    _Atomic uint64_t refused_journal, refused_queue, refused_memory; /* batches */
};

struct api_predictions;
struct api_fleet;
struct api_web;
struct api_series;
struct api_events;
struct api_feed_events;
struct series_book;
struct outlook_past;

/* How well an outlook's paths did, by metric. */
struct api_quality {
    double coverage, pinball; /* means over servers; NaN: not measured */
};

struct api {
    struct api_options options;
    const struct fw_clock *clock;
    struct api_zone zone;
    struct label_source labels; /* of servers, once `attached` */
    uint64_t boot;              /* in ETags: run numbers begin anew with each process */
    int64_t started_ms, started_ns;
    struct api_parts parts; /* valid once `attached` */
    atomic_bool attached;
    atomic_bool warm; /* the warm-up was complete once and some server still is ready */
    _Atomic(const struct http_server *) server;
    struct api_pool *ingest, *render, *admin, *queries;
    struct api_predictions *predictions;
    struct api_fleet *fleet;
    struct api_web *web;
    struct api_counts counts;
    pthread_mutex_t rules_lock; /* over the pointer */
    struct api_rules *rules;
    struct api_series *series;
    struct api_feed_events *feed_events;
    struct outlook_past *past;
    pthread_mutex_t large_lock;
    pthread_cond_t large_left;
    bool large_inside; /* a large batch is between admission and acknowledgement */
    pthread_mutex_t quality_lock;
    uint64_t quality_of; /* the outlook that was asked about last; UINT64_MAX: none */
    struct api_quality quality[SCHEMA_METRICS_MAX];
    struct fw_histogram ingest_ns; /* from the request line to the answer, feeds only */
    struct http_route routes[API_ROUTES_MAX];
    size_t route_count;
    struct http_body *openapi;
};

/* ---- shared answers ---- */

/* True when the parts are there; otherwise the request has been answered 503. */
bool api_ready(struct api *api, struct http_request *request);
/* 503 or 507 with Retry-After and a `detail`. */
void api_reply_busy(struct http_request *request, int status, int retry_after_s, const char *text);
/* 200 with a buffer that is taken over. */
void api_reply_buf(struct http_request *request, struct fw_buf *buf);

/* One entry of a validation error (contract 1.4). */
struct api_invalid {
    const char *where; /* "query" or "body" */
    const char *name;  /* second part of loc, or NULL */
    int64_t index;     /* third part of loc, or -1 */
    const char *type, *msg;
    const char *input; /* text that was sent, or NULL for null */
};
void api_put_invalid(struct fw_buf *buf, const struct api_invalid *invalid);
/* 422 {"detail":[...]} with one entry. */
void api_reply_invalid(struct http_request *request, const struct api_invalid *invalid);

/* ---- query parameters; each returns false after it has answered 422 ---- */

bool api_query_int(struct http_request *request, const char *name, int64_t min, int64_t max,
                   int64_t *value); /* absent: *value stays */
bool api_query_number(struct http_request *request, const char *name, double min, double max,
                      double *value);
bool api_query_bool(struct http_request *request, const char *name, bool *value);
/* *index is the place of the value in `words`; absent: it stays. */
bool api_query_word(struct http_request *request, const char *name, const char *const *words,
                    size_t n, size_t *index);
bool api_query_zone(struct http_request *request, const struct api *api, struct api_zone *zone);
/* A comma list of metrics (`metrics`) as bits. */
bool api_query_metrics(struct http_request *request, const struct schema *schema, uint64_t *mask);
/* quantiles, steps, precision, tz, metrics: what api_view holds. */
bool api_query_view(struct http_request *request, const struct api *api, struct api_view *view);

/* ---- which servers a query asks for ---- */

enum { API_PATTERNS_MAX = 64 };
struct api_selection {
    size_t count; /* 0: all */
    const char *patterns[API_PATTERNS_MAX];
    bool globs; /* one of them holds '*' or '?' */
};
/* server= (repeatable) and servers= (comma list). The texts live as long as the request. */
bool api_query_selection(struct http_request *request, struct api_selection *selection);
bool api_selected(const struct api_selection *selection, const char *name);

/* The slot of the server that the path names; -1 after it has answered 404. */
int64_t api_path_server(struct api *api, struct http_request *request);

/* ---- what people said to alerts ---- */

/* Parallel to the list, to be freed with fw_free(); NULL: nothing to say, or no memory for it. */
struct alert_mark *api_marks(struct api *api, const struct alert_list *list);

/* ---- the fleet's warm-up ---- */

bool api_warm(struct api *api, const struct fleet_counts *counts);

/* ---- predictions: bodies kept per outlook ---- */

FW_MUST_CHECK enum fw_status api_predictions_new(struct api *api, struct api_predictions **out,
                                                 struct fw_error *err);
void api_predictions_free(struct api_predictions *predictions);
/* The board's listener: renders when somebody is going to ask. */
void api_predictions_prepare(struct api *api, const struct outlook *outlook);
/* The same after readers have it; one of the two does the work. */
void api_predictions_published(struct api *api, const struct outlook *outlook);
/* No rendering is begun from now on: outlooks may still come when the workers are gone. NULL does
 * nothing. */
void api_predictions_stop(struct api_predictions *predictions);

/* ---- the fleet in short: one body kept per outlook ---- */

FW_MUST_CHECK enum fw_status api_fleet_new(struct api_fleet **out, struct fw_error *err);
void api_fleet_free(struct api_fleet *fleet);
http_handler api_get_fleet, api_get_capacity, api_get_schema, api_get_past;

/* ---- the dashboard's files ---- */

FW_MUST_CHECK enum fw_status api_web_new(struct api_web **out, struct fw_error *err);
void api_web_free(struct api_web *web);
/* True when a browser wants to show the answer to a person (Accept names text/html); the request
 * has then been answered with the page. */
bool api_web_root(struct api *api, struct http_request *request);
http_handler api_get_page, api_get_asset;

/* ---- events: what changes, for those who follow ---- */

FW_MUST_CHECK enum fw_status api_feed_events_new(struct api *api, struct api_feed_events **out,
                                                 struct fw_error *err);
void api_feed_events_attach(struct api_feed_events *feed); /* once api->parts are there */
void api_feed_events_look(struct api_feed_events *feed);   /* alerts may be shown differently now */
void api_feed_events_stop(struct api_feed_events *feed);   /* NULL does nothing in these two */
void api_feed_events_free(struct api_feed_events *feed);
struct api_events *api_feed_events_hub(struct api_feed_events *feed);

/* ---- what is known of raw series ---- */

FW_MUST_CHECK enum fw_status api_series_new(struct api_series **out, struct fw_error *err);
void api_series_free(struct api_series *series);
struct series_book *api_series_book(struct api_series *series);

/* ---- handlers ---- */

http_handler api_feed, api_remote_write, api_influx_write, api_influx_write_v2, api_influx_ping,
    api_influx_query, api_otlp, api_prom_query, api_prom_range, api_prom_series, api_prom_labels,
    api_prom_values, api_prom_metadata, api_prom_buildinfo, api_prom_exemplars, api_prom_rules,
    api_prom_format, api_get_predictions, api_get_alerts, api_get_alerts_v1, api_get_root,
    api_get_health, api_get_status, api_get_livez, api_get_readyz, api_get_status_v1,
    api_get_metrics, api_get_metrics_forecasts, api_get_openapi, api_get_models, api_reload_model,
    api_get_model_info, api_get_alert, api_acknowledge, api_unacknowledge, api_get_silences,
    api_add_silence, api_end_silence, api_get_actions, api_get_events, api_get_servers,
    api_get_server, api_get_window, api_get_forecast, api_get_outlook;

/* Fills api->routes and api->openapi from the one table of routes.c. */
FW_MUST_CHECK enum fw_status api_routes_make(struct api *api, struct fw_error *err);
/* The OpenAPI document of a table; NULL when out of memory or when a route has no description. */
struct http_body *api_openapi_make(const struct http_route *routes, size_t n);
/* What openapi.c describes, for the test that both tables hold the same. */
size_t api_openapi_count(void);
const char *api_openapi_operation(size_t index);

/* ---- metrics_outlook.c ---- */

struct exposition;
/* Families of forecasts, what they were worth, risks and alerts. */
void api_metrics_outlook(struct exposition *w, struct api *api);

/* ---- quality.c ---- */

enum { API_JUDGED = 3 }; /* our forecasts, and two plain ones on the same values */
extern const char *const api_judged_name[API_JUDGED];

/* What the forecasts of one metric were worth in one block of the horizon. NaN: nothing was
 * measured.
 */
struct api_block_quality {
    int from, to;                                /* steps ahead */
    double samples, coverage;                    /* coverage of p10..p90 */
    double mean[API_JUDGED], median[API_JUDGED]; /* pinball losses in the metric's unit: mean of the
                                                    three quantiles, and of p50 alone */
    double weight[FORECAST_VOICES];              /* in the median, mean over the servers */
};
struct api_block_quality api_block_quality(const struct forecast_quality *sums, size_t block);

/* "forecast_quality":[...] */
void api_put_forecast_quality(struct fw_buf *buf, struct api *api);

#endif
