/* /openapi.json: made from the route table; what a path means, takes and gives is described here,
 * by operation. A route without a description is an error at start. */
#include "api/api_internal.h"

#include <stdio.h>
#include <string.h>

/* Parameters that several operations share, as members of `schema`. */
static const struct {
    const char *name, *schema, *text;
} parameters[] = {
    {"server",          "\"type\":\"array\",\"items\":{\"type\":\"string\"}",
     "Name or pattern with * and ?; may be repeated"                                                                                                         },
    {"servers",         "\"type\":\"string\"",                                                         "Comma list of names or patterns"                     },
    {"metrics",         "\"type\":\"string\"",                                                         "Comma list of metrics"                               },
    {"quantiles",       "\"type\":\"string\"",                                                         "Comma list of p10, p50, p90"                         },
    {"steps",           "\"type\":\"integer\",\"minimum\":1",                                          "How many steps"                                      },
    {"fields",          "\"type\":\"string\"",
     "Comma list of predictions, alerts, environment, metadata, summary"                                                                                     },
    {"precision",       "\"type\":\"integer\",\"minimum\":0,\"maximum\":9",                            "Decimals of the paths"                               },
    {"limit",           "\"type\":\"integer\",\"minimum\":1",                                          "At most so many"                                     },
    {"offset",          "\"type\":\"integer\",\"minimum\":0",                                          "Leave out so many first"                             },
    {"sort",            "\"type\":\"string\",\"enum\":[\"name\",\"risk\"]",                            "Order; risk: highest first"                          },
    {"levels",          "\"type\":\"string\",\"enum\":[\"configured\",\"forewarn\",\"argus-counts\"]",
     "Bounds of the counts in the summary"                                                                                                                   },
    {"tz",              "\"type\":\"string\"",                                                         "naive (UTC without a zone), utc, or +hh:mm"          },
    {"legacy",          "\"type\":\"string\",\"enum\":[\"merged\",\"steps\"]",
     "steps: one item for each step that crosses"                                                                                                            },
    {"metric",          "\"type\":\"string\"",                                                         "One metric"                                          },
    {"severity",        "\"type\":\"string\",\"enum\":[\"any\",\"warning\",\"critical\"]",             "Severity"                                            },
    {"state",
     "\"type\":\"string\",\"enum\":[\"active\",\"pending\",\"firing\",\"resolved\","
     "\"acknowledged\",\"silenced\",\"all\"]",                                                         "State; active is pending and firing"                 },
    {"min_probability", "\"type\":\"number\",\"minimum\":0,\"maximum\":1",
     "At least this chance of crossing"                                                                                                                      },
    {"profile",         "\"type\":\"string\"",                                                         "Profile, for instance database"                      },
    {"level",           "\"type\":\"string\"",                                                         "Level of risk"                                       },
    {"stale",           "\"type\":\"string\",\"enum\":[\"any\",\"true\",\"false\"]",                   "Silent servers or not"                               },
    {"model_path",      "\"type\":\"string\"",                                                         "Name inside the models directory; absent: the newest"},
};

static const struct description {
    const char *operation, *summary;
    const char *parameters; /* names of the table above, blank-separated */
    const char *request;    /* component, or NULL */
    const char *response;   /* component */
    const char *type;       /* media type of the answer; NULL: application/json */
    bool v503;              /* may also answer 503 */
} descriptions[] = {
    {"get_root",         "Service card",                                               "",                                     NULL,     "Card",      NULL, false},
    {"get_health",       "Liveness in the reference's words",                          "",                                     NULL,     "Health",    NULL, false},
    {"get_status",       "Warm-up and counts",                                         "tz",                                   NULL,     "Status",    NULL, true },
    {"feed_data",
     "Take records; answered when every accepted one is on stable storage. A bare array and NDJSON "
     "are accepted as well",                                                           "",                                     "Feed",   "Fed",       NULL, true },
    {"get_predictions",  "Forecast, risk, alerts and summary of the fleet",
     "server servers metrics quantiles steps fields precision limit offset sort levels tz",                                    NULL,
     "Predictions",                                                                                                                                   NULL, true },
    {"get_alerts",       "Alerts that are not over",
     "server servers metric severity state min_probability limit offset legacy tz",                                            NULL,
     "AlertList",                                                                                                                                     NULL, true },
    {"get_alerts_alias", "The same as /alerts/active",
     "server servers metric severity state min_probability limit offset legacy tz",                                            NULL,
     "AlertList",                                                                                                                                     NULL, true },
    {"get_models",       "Models of the registry, newest first",                       "tz",                                   NULL,     "Models",    NULL, true },
    {"reload_model",     "Load a model, check it, then swap it in",                    "model_path",                           "Reload", "Reloaded",
     NULL,                                                                                                                                                  true },
    {"get_model_info",   "The model in use",                                           "",                                     NULL,     "ModelInfo", NULL, true },
    {"list_servers",     "Servers with risk and state",
     "server servers profile level stale sort limit offset tz",                                                                NULL,     "Servers",   NULL, true },
    {"get_server",       "Everything about one server",                                "metrics quantiles steps precision tz", NULL,
     "Server",                                                                                                                                        NULL, true },
    {"get_window",       "The stored steps of one server, the current one included",   "metrics steps",
     NULL,                                                                                                                               "Window",    NULL, true },
    {"get_forecast",     "The forecast of one server",                                 "metrics quantiles steps precision tz", NULL,
     "Forecast",                                                                                                                                      NULL, true },
    {"list_alerts",      "Alerts with filters",
     "server servers metric severity state min_probability limit offset tz",                                                   NULL,     "AlertList",
     NULL,                                                                                                                                                  true },
    {"get_outlook",      "The newest outlook in short",                                "levels tz",                            NULL,     "Outlook",   NULL, true },
    {"get_status_v1",    "Counts, limits, journal, model",                             "tz",                                   NULL,     "StatusV1",  NULL, true },
    {"get_livez",        "The process answers",                                        "",                                     NULL,     "Live",      NULL, false},
    {"get_readyz",       "Windows are whole, the journal writes, forecasts are fresh", "",                                     NULL,     "Ready",
     NULL,                                                                                                                                                  true },
    {"get_metrics",      "Prometheus text format, or OpenMetrics when accepted",       "",                                     NULL,     NULL,
     "text/plain",                                                                                                                                          false},
    {"get_openapi",      "This document",                                              "",                                     NULL,     "Document",  NULL, false},
};

#define STRING "{\"type\":\"string\"}"
#define STRING_OR_NULL "{\"type\":[\"string\",\"null\"]}"
#define INTEGER "{\"type\":\"integer\"}"
#define INTEGER_OR_NULL "{\"type\":[\"integer\",\"null\"]}"
#define NUMBER "{\"type\":\"number\"}"
#define NUMBER_OR_NULL "{\"type\":[\"number\",\"null\"]}"
#define BOOLEAN "{\"type\":\"boolean\"}"
#define NUMBERS "{\"type\":\"array\",\"items\":{\"type\":\"number\"}}"
#define STRINGS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define REF(name) "{\"$ref\":\"#/components/schemas/" name "\"}"
#define LIST(name) "{\"type\":\"array\",\"items\":" REF(name) "}"
#define MAP(name) "{\"type\":\"object\",\"additionalProperties\":" REF(name) "}"
#define OBJECT "{\"type\":\"object\"}"

/* Members as "name",schema pairs; the first `required` of them are required. */
static const struct {
    const char *name;
    size_t required;
    const char *members[2 * 40];
} schemas[] = {
    {"Card",
     5,                {"service", STRING, "version", STRING, "status", STRING, "endpoints", OBJECT, "features",
      OBJECT, "feed_example", OBJECT}                                                                },
    {"Health",      3, {"status", STRING, "service", STRING, "running", BOOLEAN, "ready", BOOLEAN}          },
    {"Warmup",
     6,                {"is_warmed_up", BOOLEAN, "progress_percent", INTEGER, "threshold", INTEGER, "current_size",
      INTEGER, "required_size", INTEGER, "message", STRING, "servers_ready", INTEGER}                },
    {"Status",
     4,                {"running",
      BOOLEAN,
      "tick_count",
      INTEGER,
      "window_size",
      INTEGER,
      "warmup",
      REF("Warmup"),
      "model_loaded",
      BOOLEAN,
      "model_path",
      STRING_OR_NULL,
      "rolling_window_size",
      INTEGER,
      "servers_tracked",
      INTEGER,
      "last_prediction",
      STRING_OR_NULL,
      "last_prediction_unix",
      INTEGER_OR_NULL,
      "uptime_seconds",
      INTEGER,
      "warmup_complete",
      BOOLEAN,
      "step_seconds",
      INTEGER,
      "timestamp",
      STRING,
      "timestamp_unix",
      INTEGER}                                                                                       },
    {"Record",
     2,                {"server_name", STRING, "timestamp", "{\"type\":[\"string\",\"number\"]}", "status", STRING,
      "profile", STRING}                                                                             },
    {"Feed",        1, {"records", LIST("Record")}                                                          },
    {"RecordError",
     5,                {"index", INTEGER, "server_name", STRING_OR_NULL, "field", STRING_OR_NULL, "type", STRING,
      "msg", STRING}                                                                                 },
    {"Fed",
     1,                {"status",
      "{\"type\":\"string\",\"enum\":[\"accepted\",\"ignored\",\"rejected\"]}",
      "reason",
      STRING,
      "tick",
      INTEGER,
      "window_size",
      INTEGER,
      "rolling_window_size",
      INTEGER,
      "servers_tracked",
      INTEGER,
      "servers_ready",
      INTEGER,
      "warmup_complete",
      BOOLEAN,
      "progress",
      STRING,
      "records_received",
      INTEGER,
      "records_accepted",
      INTEGER,
      "records_rejected",
      INTEGER,
      "rejected_by",
      OBJECT,
      "samples",
      OBJECT,
      "errors",
      LIST("RecordError")}                                                                           },
    {"Quality",     3, {"coverage", NUMBER_OR_NULL, "pinball", NUMBER_OR_NULL, "forecasts", INTEGER}        },
    {"Path",
     6,                {"current",
      NUMBER,
      "trend",
      NUMBER,
      "unit",
      STRING,
      "method",
      "{\"type\":\"string\",\"enum\":[\"tft\",\"baseline\",\"insufficient\"]}",
      "forecaster",
      STRING,
      "quality",
      REF("Quality"),
      "p50",
      NUMBERS,
      "p10",
      NUMBERS,
      "p90",
      NUMBERS,
      "method_reason",
      STRING,
      "last_seen",
      STRING,
      "last_seen_unix",
      INTEGER}                                                                                       },
    {"Level",
     5,                {"level", STRING, "score", NUMBER, "color", STRING, "emoji", STRING, "label", STRING}},
    {"Driver",
     6,                {"metric", STRING, "points", NUMBER, "current", NUMBER, "predicted", NUMBER_OR_NULL,
      "threshold", NUMBER_OR_NULL, "probability", NUMBER_OR_NULL}                                    },
    {"Display",
     5,                {"current", NUMBER, "predicted", NUMBER, "delta", NUMBER, "unit", STRING, "trend",
      "{\"type\":\"string\",\"enum\":[\"increasing\",\"decreasing\",\"stable\"]}"}                   },
    {"Prediction",
     5,                {"risk_score",
      NUMBER,
      "profile",
      STRING,
      "alert",
      REF("Level"),
      "display_metrics",
      MAP("Display"),
      "server_name",
      STRING,
      "server_id",
      INTEGER,
      "status",
      STRING,
      "stale",
      BOOLEAN,
      "last_seen",
      STRING_OR_NULL,
      "last_seen_unix",
      INTEGER_OR_NULL,
      "labels",
      OBJECT,
      "warmup",
      OBJECT,
      "forecast",
      OBJECT,
      "risk_drivers",
      LIST("Driver"),
      "crossing_probability_30m",
      NUMBER,
      "crossing_probability_8h",
      NUMBER}                                                                                        },
    {"Environment",
     7,                {"prob_30m", NUMBER, "prob_8h", NUMBER, "incident_probability_30m", NUMBER,
      "incident_probability_8h", NUMBER, "high_risk_servers", INTEGER, "total_servers", INTEGER,
      "fleet_health", STRING, "argus_score_30m", NUMBER, "argus_score_8h", NUMBER}                   },
    {"Metadata",
     6,                {"model_type",
      STRING,
      "model_dir",
      STRING,
      "prediction_time",
      STRING_OR_NULL,
      "horizon_steps",
      INTEGER,
      "input_points",
      INTEGER,
      "device",
      STRING,
      "prediction_time_unix",
      INTEGER_OR_NULL,
      "step_seconds",
      INTEGER,
      "risk_model",
      STRING,
      "run_id",
      INTEGER,
      "model_id",
      STRING,
      "servers_computed",
      INTEGER,
      "run_seconds",
      NUMBER}                                                                                        },
    {"Summary",
     11,               {"total_servers",
      INTEGER,
      "critical_count",
      INTEGER,
      "warning_count",
      INTEGER,
      "degrading_count",
      INTEGER,
      "healthy_count",
      INTEGER,
      "avg_risk_score",
      NUMBER,
      "max_risk_score",
      NUMBER,
      "top_5_risks",
      STRINGS,
      "top_10_risks",
      STRINGS,
      "top_20_risks",
      STRINGS,
      "risk_calculation_time",
      STRING_OR_NULL,
      "risk_calculation_time_unix",
      INTEGER_OR_NULL,
      "critical",
      INTEGER,
      "warning",
      INTEGER,
      "degraded",
      INTEGER,
      "healthy",
      INTEGER,
      "fleet_health",
      NUMBER,
      "prob_30m",
      NUMBER,
      "prob_8h",
      NUMBER}                                                                                       },
    {"Alert",
     8,                {"server",
      STRING,
      "metric",
      STRING,
      "severity",
      STRING,
      "predicted_value",
      NUMBER,
      "threshold",
      NUMBER,
      "steps_ahead",
      INTEGER,
      "minutes_ahead",
      INTEGER,
      "message",
      STRING,
      "seconds_ahead",
      INTEGER,
      "server_name",
      STRING,
      "level",
      STRING,
      "time_to_issue",
      STRING,
      "current_value",
      NUMBER,
      "peak_value",
      NUMBER,
      "peak_minutes",
      INTEGER,
      "probability",
      NUMBER,
      "id",
      STRING,
      "state",
      STRING,
      "held",
      BOOLEAN,
      "pending_since",
      STRING_OR_NULL,
      "pending_since_unix",
      INTEGER_OR_NULL,
      "starts_at",
      STRING_OR_NULL,
      "starts_at_unix",
      INTEGER_OR_NULL,
      "ends_at",
      STRING_OR_NULL,
      "ends_at_unix",
      INTEGER_OR_NULL,
      "updated_at",
      STRING_OR_NULL,
      "updated_at_unix",
      INTEGER_OR_NULL,
      "ack",
      "{\"type\":[\"object\",\"null\"]}",
      "silenced_by",
      STRING_OR_NULL,
      "labels",
      OBJECT,
      "risk_score",
      NUMBER,
      "profile",
      STRING,
      "explanation",
      LIST("Driver")}                                                                                },
    {"AlertList",
     3,                {"timestamp", STRING, "count", INTEGER, "alerts", LIST("Alert"), "timestamp_unix", INTEGER,
      "stale", BOOLEAN, "total", INTEGER, "offset", INTEGER}                                         },
    {"Predictions", 0, {"predictions",    MAP("Prediction"),
                        "alerts",         LIST("Alert"),
                        "environment",    REF("Environment"),
                        "metadata",       REF("Metadata"),
                        "summary",        REF("Summary"),
                        "timestamp",      STRING_OR_NULL,
                        "timestamp_unix", INTEGER_OR_NULL,
                        "step_seconds",   INTEGER,
                        "stale",          BOOLEAN,
                        "error",          STRING,
                        "message",        STRING,
                        "page",           OBJECT,
                        "truncated",      BOOLEAN,
                        "next_offset",    INTEGER}                                    },
    {"Model",       4, {"path",        STRING,         "name",         STRING,     "timestamp",
                  STRING,        "is_current",   BOOLEAN,        "size_mb",  NUMBER,
                  "modified",    STRING,         "created",      STRING,     "training",
                  OBJECT,        "val_loss",     NUMBER_OR_NULL, "coverage", NUMBER_OR_NULL,
                  "parent",      STRING_OR_NULL, "state",        STRING,     "sha256",
                  STRING_OR_NULL}                                                     },
    {"Models",
     3,                {"models", LIST("Model"), "count", INTEGER, "models_dir", STRING, "current_model",
      STRING_OR_NULL, "error", STRING}                                                               },
    {"Reload",      0, {"model_path", STRING_OR_NULL}                                                       },
    {"Reloaded",
     1,                {"success", BOOLEAN, "message", STRING, "error", STRING, "previous_model", STRING_OR_NULL,
      "new_model", STRING, "model_path", STRING, "model_timestamp", STRING, "model", STRING,
      "current_model", STRING_OR_NULL}                                                               },
    {"ModelInfo",
     2,                {"loaded", BOOLEAN, "mode", STRING, "model_path", STRING, "model_name", STRING,
      "model_timestamp", STRING, "config", OBJECT, "servers", OBJECT, "sha256", STRING_OR_NULL}      },
    {"ServerItem",
     7,                {"server_name",
      STRING,
      "profile",
      STRING,
      "status",
      STRING,
      "stale",
      BOOLEAN,
      "method",
      STRING,
      "risk_score",
      NUMBER_OR_NULL,
      "level",
      STRING_OR_NULL,
      "name",
      STRING,
      "server_id",
      INTEGER,
      "profile_label",
      STRING,
      "steps_held",
      INTEGER,
      "first_seen",
      STRING_OR_NULL,
      "first_seen_unix",
      INTEGER_OR_NULL,
      "last_seen",
      STRING_OR_NULL,
      "last_seen_unix",
      INTEGER_OR_NULL,
      "labels",
      OBJECT,
      "crossing_probability_30m",
      NUMBER_OR_NULL,
      "crossing_probability_8h",
      NUMBER_OR_NULL}                                                                                },
    {"Servers",
     4,                {"total", INTEGER, "count", INTEGER, "offset", INTEGER, "servers", LIST("ServerItem"),
      "timestamp", STRING, "timestamp_unix", INTEGER}                                                },
    {"Server",
     3,                {"server_name", STRING, "prediction",
      "{\"anyOf\":[" REF("Prediction") ",{\"type\":\"null\"}]}", "metrics", STRINGS, "warmup",
      OBJECT, "alerts", LIST("Alert"), "run_id", INTEGER}                                            },
    {"Column",
     2,                {"timestamps", "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "values",
      "{\"type\":\"array\",\"items\":{\"type\":[\"number\",\"null\"]}}"}                             },
    {"Window",      3, {"server_name", STRING, "step_seconds", INTEGER, "metrics", MAP("Column")}           },
    {"Forecast",    5, {"server_name",  STRING,
                     "run_id",       INTEGER,
                     "step_seconds", INTEGER,
                     "timestamps",   "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
                     "metrics",      MAP("Path"),
                     "made_at",      STRING,
                     "made_at_unix", INTEGER,
                     "origin",       STRING,
                     "origin_unix",  INTEGER,
                     "model_id",     STRING,
                     "stale",        BOOLEAN,
                     "risk_score",   NUMBER,
                     "alert",        REF("Level"),
                     "risk_drivers", LIST("Driver")}                                  },
    {"Outlook",     6, {"run_id",         INTEGER,
                    "timestamp",      STRING,
                    "summary",        REF("Summary"),
                    "environment",    REF("Environment"),
                    "metadata",       REF("Metadata"),
                    "alerts",         OBJECT,
                    "riskiest",       "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}",
                    "timestamp_unix", INTEGER,
                    "step_seconds",   INTEGER,
                    "stale",          BOOLEAN}                                        },
    {"StatusV1",
     6,                {"service",
      STRING,
      "version",
      STRING,
      "fleet",
      OBJECT,
      "limits",
      OBJECT,
      "ingest",
      OBJECT,
      "journal",
      OBJECT,
      "forecast",
      "{\"type\":[\"object\",\"null\"]}",
      "timestamp",
      STRING,
      "timestamp_unix",
      INTEGER,
      "started_at",
      STRING,
      "started_at_unix",
      INTEGER,
      "uptime_seconds",
      INTEGER,
      "model_loaded",
      BOOLEAN,
      "model_path",
      STRING_OR_NULL,
      "log_lines_suppressed",
      INTEGER}                                                                                       },
    {"Live",        1, {"status", STRING}                                                                   },
    {"Ready",
     2,                {"status", "{\"type\":\"string\",\"enum\":[\"ready\",\"starting\",\"not_ready\"]}", "reasons",
      STRINGS}                                                                                       },
    {"Document",    3, {"openapi", STRING, "info", OBJECT, "paths", OBJECT}                                 },
    {"Problem",
     1,                {"detail",
      "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"object\"}}]}"}    },
};

size_t api_openapi_count(void)
{
    return COUNT(descriptions);
}

const char *api_openapi_operation(size_t index)
{
    return descriptions[index].operation;
}

static const struct description *find_description(const char *operation)
{
    for (size_t i = 0; i < COUNT(descriptions); i++)
        if (strcmp(descriptions[i].operation, operation) == 0)
            return &descriptions[i];
    return NULL;
}

static void put_schemas(struct fw_buf *buf)
{
    for (size_t i = 0; i < COUNT(schemas); i++) {
        fw_buf_printf(buf, "%s\"%s\":{\"type\":\"object\",\"properties\":{", i > 0 ? "," : "",
                      schemas[i].name);
        const char *const *members = schemas[i].members;
        for (size_t k = 0; members[k] != NULL; k += 2)
            fw_buf_printf(buf, "%s\"%s\":%s", k > 0 ? "," : "", members[k], members[k + 1]);
        fw_buf_puts(buf, "},\"required\":[");
        for (size_t k = 0; k < schemas[i].required; k++)
            fw_buf_printf(buf, "%s\"%s\"", k > 0 ? "," : "", members[2 * k]);
        fw_buf_puts(buf, "],\"additionalProperties\":true}");
    }
}

static void put_parameter(struct fw_buf *buf, const char *name, size_t len)
{
    for (size_t i = 0; i < COUNT(parameters); i++) {
        if (strlen(parameters[i].name) != len || memcmp(parameters[i].name, name, len) != 0)
            continue;
        fw_buf_printf(
            buf, "{\"name\":\"%s\",\"in\":\"query\",\"required\":false,\"description\":\"%s\",",
            parameters[i].name, parameters[i].text);
        fw_buf_printf(buf, "\"schema\":{%s}}", parameters[i].schema);
        return;
    }
    buf->failed = true; /* a description names what is not in the table */
}

static void put_parameters(struct fw_buf *buf, const struct http_route *route, const char *names)
{
    bool first = true;
    fw_buf_puts(buf, "\"parameters\":[");
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at, '{')) {
        const int len = (int)strcspn(++at, "}");
        fw_buf_printf(
            buf, "%s{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,\"schema\":" STRING "}",
            first ? "" : ",", len, at);
        first = false;
    }
    while (*names != '\0') {
        const size_t len = strcspn(names, " ");
        if (!first)
            fw_buf_putc(buf, ',');
        first = false;
        put_parameter(buf, names, len);
        names += len;
        names += *names == ' ';
    }
    fw_buf_puts(buf, "]");
}

static void put_problem(struct fw_buf *buf, int status, const char *text)
{
    fw_buf_printf(buf,
                  ",\"%d\":{\"description\":\"%s\",\"content\":{\"application/json\":{\"schema\":%s"
                  "}}}",
                  status, text, REF("Problem"));
}

static void put_responses(struct fw_buf *buf, const struct http_route *route,
                          const struct description *d)
{
    fw_buf_printf(buf, ",\"responses\":{\"200\":{\"description\":\"OK\",\"content\":{\"%s\":{",
                  d->type != NULL ? d->type : "application/json");
    if (d->response != NULL)
        fw_buf_printf(buf, "\"schema\":{\"$ref\":\"#/components/schemas/%s\"}", d->response);
    else
        fw_buf_puts(buf, "\"schema\":" STRING);
    fw_buf_puts(buf, "}}}");
    if (route->role != HTTP_OPEN) {
        if (!route->legacy)
            put_problem(buf, 401, "No key, or an unknown one");
        put_problem(buf, 403, "The key is wrong or its role is too low");
    }
    if (strchr(route->path, '{') != NULL)
        put_problem(buf, 404, "No such server");
    if (route->body_max > 0)
        put_problem(buf, 413, "Too large");
    if (d->parameters[0] != '\0' || d->request != NULL)
        put_problem(buf, 422, "A parameter or the body is wrong");
    if (route->rate_per_minute > 0)
        put_problem(buf, 429, "Too many requests; Retry-After says when");
    if (d->v503)
        put_problem(buf, 503, "Not now; Retry-After says when");
    if (strcmp(route->operation, "feed_data") == 0)
        put_problem(buf, 507, "The disk is full; Retry-After says when");
    fw_buf_putc(buf, '}');
}

static void put_operation(struct fw_buf *buf, const struct http_route *route,
                          const struct description *d)
{
    char method[8];
    size_t i = 0;
    for (; route->method[i] != '\0' && i < sizeof method - 1; i++)
        method[i] = (char)(route->method[i] - 'A' + 'a');
    method[i] = '\0';
    fw_buf_printf(buf, "\"%s\":{\"operationId\":\"%s\",\"summary\":\"%s\",", method,
                  route->operation, d->summary);
    fw_buf_printf(buf, "\"x-role\":\"%s\",",
                  (const char *[]){"open", "read", "write", "admin"}[route->role]);
    put_parameters(buf, route, d->parameters);
    if (d->request != NULL)
        fw_buf_printf(buf,
                      ",\"requestBody\":{\"required\":%s,\"content\":{\"application/json\":{"
                      "\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}}}",
                      strcmp(d->request, "Feed") == 0 ? "true" : "false", d->request);
    put_responses(buf, route, d);
    if (route->role == HTTP_OPEN)
        fw_buf_puts(buf, ",\"security\":[]");
    fw_buf_putc(buf, '}');
}

/* Every route of one path, which stands in `routes` at `first` for the first time. */
static bool put_path(struct fw_buf *buf, const struct http_route *routes, size_t n, size_t first)
{
    bool any = false;
    fw_buf_json_key(buf, routes[first].path);
    fw_buf_putc(buf, '{');
    for (size_t i = first; i < n; i++) {
        if (strcmp(routes[i].path, routes[first].path) != 0)
            continue;
        const struct description *d = find_description(routes[i].operation);
        if (d == NULL)
            return false;
        if (any)
            fw_buf_putc(buf, ',');
        any = true;
        put_operation(buf, &routes[i], d);
    }
    fw_buf_putc(buf, '}');
    return true;
}

static bool seen_before(const struct http_route *routes, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(routes[i].path, routes[index].path) == 0)
            return true;
    return false;
}

struct http_body *api_openapi_make(const struct http_route *routes, size_t n)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 1 << 20);
    fw_buf_puts(&buf, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"forewarn\",\"version\":\"" //
                FW_VERSION "\",\"license\":{\"name\":\"Apache-2.0\"}},\"paths\":{");
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (seen_before(routes, i))
            continue;
        if (any)
            fw_buf_putc(&buf, ',');
        any = true;
        if (!put_path(&buf, routes, n, i))
            buf.failed = true;
    }
    fw_buf_puts(&buf, "},\"components\":{\"schemas\":{");
    put_schemas(&buf);
    fw_buf_puts(&buf, "},\"securitySchemes\":{\"key\":{\"type\":\"apiKey\",\"in\":\"header\","
                      "\"name\":\"X-API-Key\"},\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\""
                      "}}},\"security\":[{\"key\":[]},{\"bearer\":[]}]}");
    struct http_body *body = http_body_new_take(&buf);
    fw_buf_fini(&buf);
    return body;
}
