/* The one table of routes. */
#include "api/api_internal.h"

#include <assert.h>
#include <string.h>

/* The reference's limits (contract 1.2): requests per minute and caller. */
enum { FEEDS_PER_MINUTE = 60, READS_PER_MINUTE = 30, NO_LIMIT = 0 };
enum { NO_BODY = 0, SMALL_BODY = 64 << 10, WRITE_BODY = 8 << 20, LINES_BODY = 32 << 20 };

void api_get_openapi(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    http_reply(request, &(struct http_reply){.status = 200, .body = http_body_ref(api->openapi)});
}

enum fw_status api_routes_make(struct api *api, struct fw_error *err)
{
    static const bool legacy = true, own = false;
    const size_t feed = api->options.body_bytes_max;
    const struct http_route table[] = {
  /* The reference's paths. */
        {"GET",    "/",                               HTTP_OPEN,  legacy, NO_LIMIT,         NO_BODY,    "get_root",              api_get_root,        api, NULL    },
        {"GET",    "/health",                         HTTP_OPEN,  legacy, NO_LIMIT,         NO_BODY,    "get_health",            api_get_health,      api,
         NULL                                                                                                                                                      },
        {"GET",    "/status",                         HTTP_OPEN,  legacy, NO_LIMIT,         NO_BODY,    "get_status",            api_get_status,      api,
         NULL                                                                                                                                                      },
        {"POST",   "/feed/data",                      HTTP_WRITE, legacy, FEEDS_PER_MINUTE, feed,       "feed_data",             api_feed,
         api,                                                                                                                                              NULL    },
        {"GET",    "/predictions/current",            HTTP_READ,  legacy, READS_PER_MINUTE, NO_BODY,
         "get_predictions",                                                                                                      api_get_predictions, api, NULL    },
        {"GET",    "/alerts/active",                  HTTP_READ,  legacy, READS_PER_MINUTE, NO_BODY,    "get_alerts",
         api_get_alerts,                                                                                                                              api, NULL    },
        {"GET",    "/alerts",                         HTTP_READ,  legacy, READS_PER_MINUTE, NO_BODY,    "get_alerts_alias",
         api_get_alerts,                                                                                                                              api, NULL    },
        {"GET",    "/admin/models",                   HTTP_READ,  legacy, NO_LIMIT,         NO_BODY,    "get_models",            api_get_models,
         api,                                                                                                                                              NULL    },
        {"POST",   "/admin/reload-model",             HTTP_ADMIN, legacy, NO_LIMIT,         SMALL_BODY, "reload_model",
         api_reload_model,                                                                                                                            api, NULL    },
        {"GET",    "/admin/model-info",               HTTP_READ,  legacy, NO_LIMIT,         NO_BODY,    "get_model_info",
         api_get_model_info,                                                                                                                          api, NULL    },
 /* Our own. */
        {"GET",    "/api/v1/servers",                 HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "list_servers",
         api_get_servers,                                                                                                                             api, NULL    },
        {"GET",    "/api/v1/servers/{name}",          HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_server",
         api_get_server,                                                                                                                              api, NULL    },
        {"GET",    "/api/v1/servers/{name}/window",   HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_window",
         api_get_window,                                                                                                                              api, NULL    },
        {"GET",    "/api/v1/servers/{name}/forecast", HTTP_READ,  own,    NO_LIMIT,         NO_BODY,
         "get_forecast",                                                                                                         api_get_forecast,    api, NULL    },
        {"GET",    "/api/v1/alerts",                  HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "list_alerts",
         api_get_alerts_v1,                                                                                                                           api, NULL    },
        {"GET",    "/api/v1/alerts/actions",          HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "list_actions",
         api_get_actions,                                                                                                                             api, NULL    },
        {"GET",    "/api/v1/alerts/{id}",             HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_alert",
         api_get_alert,                                                                                                                               api, NULL    },
        {"POST",   "/api/v1/alerts/{id}/ack",         HTTP_ADMIN, own,    NO_LIMIT,         SMALL_BODY,
         "acknowledge_alert",                                                                                                    api_acknowledge,     api, NULL    },
        {"DELETE", "/api/v1/alerts/{id}/ack",         HTTP_ADMIN, own,    NO_LIMIT,         NO_BODY,
         "unacknowledge_alert",                                                                                                  api_unacknowledge,   api, NULL    },
        {"GET",    "/api/v1/silences",                HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "list_silences",
         api_get_silences,                                                                                                                            api, NULL    },
        {"POST",   "/api/v1/silences",                HTTP_ADMIN, own,    NO_LIMIT,         SMALL_BODY, "add_silence",
         api_add_silence,                                                                                                                             api, NULL    },
        {"DELETE", "/api/v1/silences/{id}",           HTTP_ADMIN, own,    NO_LIMIT,         NO_BODY,    "end_silence",
         api_end_silence,                                                                                                                             api, NULL    },
        {"GET",    "/api/v1/events",                  HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "follow_events",
         api_get_events,                                                                                                                              api, NULL    },
        {"GET",    "/api/v1/servers/{name}/past",     HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_past",
         api_get_past,                                                                                                                                api, NULL    },
        {"GET",    "/api/v1/fleet",                   HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_fleet",             api_get_fleet,       api,
         NULL                                                                                                                                                      },
        {"GET",    "/api/v1/capacity",                HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_capacity",
         api_get_capacity,                                                                                                                            api, NULL    },
        {"GET",    "/api/v1/schema",                  HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_schema",            api_get_schema,
         api,                                                                                                                                              NULL    },
        {"GET",    "/api/v1/outlook",                 HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_outlook",
         api_get_outlook,                                                                                                                             api, NULL    },
        {"GET",    "/api/v1/status",                  HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_status_v1",
         api_get_status_v1,                                                                                                                           api, NULL    },
        {"POST",   "/api/v1/write",                   HTTP_WRITE, own,    NO_LIMIT,         WRITE_BODY, "remote_write",
         api_remote_write,                                                                                                                            api, "snappy"},
        {"POST",   "/write/prometheus",               HTTP_WRITE, own,    NO_LIMIT,         WRITE_BODY, "remote_write_alias",
         api_remote_write,                                                                                                                            api, "snappy"},
        {"POST",   "/write",                          HTTP_WRITE, own,    NO_LIMIT,         LINES_BODY, "influx_write",          api_influx_write,
         api,                                                                                                                                              NULL    },
        {"POST",   "/influx/write",                   HTTP_WRITE, own,    NO_LIMIT,         LINES_BODY, "influx_write_alias",
         api_influx_write,                                                                                                                            api, NULL    },
        {"POST",   "/api/v2/write",                   HTTP_WRITE, own,    NO_LIMIT,         LINES_BODY, "influx_write_v2",
         api_influx_write_v2,                                                                                                                         api, NULL    },
        {"POST",   "/influx/api/v2/write",            HTTP_WRITE, own,    NO_LIMIT,         LINES_BODY,
         "influx_write_v2_alias",                                                                                                api_influx_write_v2, api, NULL    },
        {"POST",   "/v1/metrics",                     HTTP_WRITE, own,    NO_LIMIT,         LINES_BODY, "otlp_metrics",          api_otlp,
         api,                                                                                                                                              NULL    },
        {"POST",   "/api/v1/otlp/v1/metrics",         HTTP_WRITE, own,    NO_LIMIT,         LINES_BODY,
         "otlp_metrics_alias",                                                                                                   api_otlp,            api, NULL    },
        {"GET",    "/ping",                           HTTP_OPEN,  own,    NO_LIMIT,         NO_BODY,    "influx_ping",           api_influx_ping,     api,
         NULL                                                                                                                                                      },
        {"GET",    "/influx/ping",                    HTTP_OPEN,  own,    NO_LIMIT,         NO_BODY,    "influx_ping_alias",
         api_influx_ping,                                                                                                                             api, NULL    },
        {"POST",   "/query",                          HTTP_WRITE, own,    NO_LIMIT,         SMALL_BODY, "influx_query",          api_influx_query,
         api,                                                                                                                                              NULL    },
        {"POST",   "/influx/query",                   HTTP_WRITE, own,    NO_LIMIT,         SMALL_BODY, "influx_query_alias",
         api_influx_query,                                                                                                                            api, NULL    },
        {"GET",    "/api/v1/query",                   HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "prom_query",            api_prom_query,
         api,                                                                                                                                              NULL    },
        {"POST",   "/api/v1/query",                   HTTP_READ,  own,    NO_LIMIT,         SMALL_BODY, "prom_query_form",
         api_prom_query,                                                                                                                              api, NULL    },
        {"GET",    "/api/v1/query_range",             HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "prom_query_range",
         api_prom_range,                                                                                                                              api, NULL    },
        {"POST",   "/api/v1/query_range",             HTTP_READ,  own,    NO_LIMIT,         SMALL_BODY,
         "prom_query_range_form",                                                                                                api_prom_range,      api, NULL    },
        {"GET",    "/api/v1/series",                  HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "prom_series",           api_prom_series,
         api,                                                                                                                                              NULL    },
        {"POST",   "/api/v1/series",                  HTTP_READ,  own,    NO_LIMIT,         SMALL_BODY, "prom_series_form",
         api_prom_series,                                                                                                                             api, NULL    },
        {"GET",    "/api/v1/labels",                  HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "prom_labels",           api_prom_labels,
         api,                                                                                                                                              NULL    },
        {"POST",   "/api/v1/labels",                  HTTP_READ,  own,    NO_LIMIT,         SMALL_BODY, "prom_labels_form",
         api_prom_labels,                                                                                                                             api, NULL    },
        {"GET",    "/api/v1/label/{name}/values",     HTTP_READ,  own,    NO_LIMIT,         NO_BODY,
         "prom_label_values",                                                                                                    api_prom_values,     api, NULL    },
        {"GET",    "/api/v1/metadata",                HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "prom_metadata",
         api_prom_metadata,                                                                                                                           api, NULL    },
        {"GET",    "/api/v1/status/buildinfo",        HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "prom_buildinfo",
         api_prom_buildinfo,                                                                                                                          api, NULL    },
        {"GET",    "/api/v1/query_exemplars",         HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "prom_exemplars",
         api_prom_exemplars,                                                                                                                          api, NULL    },
        {"POST",   "/api/v1/query_exemplars",         HTTP_READ,  own,    NO_LIMIT,         SMALL_BODY,
         "prom_exemplars_form",                                                                                                  api_prom_exemplars,  api, NULL    },
        {"GET",    "/api/v1/rules",                   HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "prom_rules",            api_prom_rules,
         api,                                                                                                                                              NULL    },
        {"GET",    "/api/v1/format_query",            HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "prom_format",
         api_prom_format,                                                                                                                             api, NULL    },
        {"POST",   "/api/v1/format_query",            HTTP_READ,  own,    NO_LIMIT,         SMALL_BODY, "prom_format_form",
         api_prom_format,                                                                                                                             api, NULL    },
        {"GET",    "/livez",                          HTTP_OPEN,  own,    NO_LIMIT,         NO_BODY,    "get_livez",             api_get_livez,       api, NULL    },
        {"GET",    "/readyz",                         HTTP_OPEN,  own,    NO_LIMIT,         NO_BODY,    "get_readyz",            api_get_readyz,      api,
         NULL                                                                                                                                                      },
        {"GET",    "/metrics",                        HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_metrics",           api_get_metrics,     api,
         NULL                                                                                                                                                      },
        {"GET",    "/metrics/forecasts",              HTTP_READ,  own,    NO_LIMIT,         NO_BODY,    "get_metrics_forecasts",
         api_get_metrics_forecasts,                                                                                                                   api, NULL    },
        {"GET",    "/openapi.json",                   HTTP_OPEN,  legacy, NO_LIMIT,         NO_BODY,    "get_openapi",
         api_get_openapi,                                                                                                                             api, NULL    },
 /* The dashboard. */
        {"GET",    "/servers/{name}",                 HTTP_OPEN,  own,    NO_LIMIT,         NO_BODY,    "get_page",              api_get_page,        api,
         NULL                                                                                                                                                      },
        {"GET",    "/dashboard/{page}",               HTTP_OPEN,  own,    NO_LIMIT,         NO_BODY,    "get_page_alias",
         api_get_page,                                                                                                                                api, NULL    },
        {"GET",    "/assets/{file}",                  HTTP_OPEN,  own,    NO_LIMIT,         NO_BODY,    "get_asset",             api_get_asset,
         api,                                                                                                                                              NULL    },
    };
    static_assert(COUNT(table) <= API_ROUTES_MAX, "API_ROUTES_MAX");
    memcpy(api->routes, table, sizeof table);
    api->route_count = COUNT(table);
    api->openapi = api_openapi_make(api->routes, api->route_count);
    return api->openapi != NULL ? FW_OK : fw_fail(err, FW_ENOMEM, "the OpenAPI document");
}
