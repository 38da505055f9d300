/* /openapi.json: made from the route table; what a path means, takes and gives is described here,
 * by operation. A route without a description is an error at start. */
#include "api/api_internal.h"

#include <stdio.h>
#include <string.h>

/* Parameters that several operations share, as members of `schema`. What is behind a '#' tells
 * those of one name apart. */
static const struct {
    const char *name; /* what stands before ':' only tells it from another of the same name */
    const char *schema, *text;
} parameters[] = {
    {"influx:precision",
     "\"type\":\"string\",\"enum\":[\"n\",\"ns\",\"u\",\"us\",\"ms\",\"s\",\"m\",\"h\"]",               "Unit of the times; ns when absent"                      },
    {"db",               "\"type\":\"string\"",                                                         "Taken and not looked at"                                },
    {"rp",               "\"type\":\"string\"",                                                         "Taken and not looked at"                                },
    {"org",              "\"type\":\"string\"",                                                         "Taken and not looked at"                                },
    {"bucket",           "\"type\":\"string\"",                                                         "Taken and not looked at"                                },
    {"query",            "\"type\":\"string\"",                                                         "See docs/grafana.md"                                    },
    {"time",             "\"type\":\"string\"",                                                         "Seconds since 1970, or RFC 3339; absent: now"           },
    {"start",            "\"type\":\"string\"",                                                         "Seconds since 1970, or RFC 3339"                        },
    {"end",              "\"type\":\"string\"",                                                         "Seconds since 1970, or RFC 3339"                        },
    {"step",             "\"type\":\"string\"",                                                         "Seconds, or a duration like 5m"                         },
    {"timeout",          "\"type\":\"string\"",                                                         "Taken and not looked at"                                },
    {"match[]",          "\"type\":\"array\",\"items\":{\"type\":\"string\"}",                          "Selector; may be repeated"                              },
    {"prom:limit",       "\"type\":\"integer\",\"minimum\":0",                                          "At most so many; 0 means all"                           },
    {"prom:metric",      "\"type\":\"string\"",                                                         "Name of one series"                                     },
    {"q",                "\"type\":\"string\"",                                                         "CREATE DATABASE ..."                                    },
    {"server",           "\"type\":\"array\",\"items\":{\"type\":\"string\"}",
     "Name or pattern with * and ?; may be repeated"                                                                                                             },
    {"servers",          "\"type\":\"string\"",                                                         "Comma list of names or patterns"                        },
    {"metrics",          "\"type\":\"string\"",                                                         "Comma list of metrics"                                  },
    {"quantiles",        "\"type\":\"string\"",                                                         "Comma list of p10, p50, p90"                            },
    {"steps",            "\"type\":\"integer\",\"minimum\":1",                                          "How many steps"                                         },
    {"fields",           "\"type\":\"string\"",
     "Comma list of predictions, alerts, environment, metadata, summary"                                                                                         },
    {"precision",        "\"type\":\"integer\",\"minimum\":0,\"maximum\":9",                            "Decimals of the paths"                                  },
    {"limit",            "\"type\":\"integer\",\"minimum\":1",                                          "At most so many"                                        },
    {"offset",           "\"type\":\"integer\",\"minimum\":0",                                          "Leave out so many first"                                },
    {"hours",            "\"type\":\"integer\",\"minimum\":1,\"maximum\":168",                          "How far ahead"                                          },
    {"sort",             "\"type\":\"string\",\"enum\":[\"name\",\"risk\"]",                            "Order; risk: highest first"                             },
    {"levels",           "\"type\":\"string\",\"enum\":[\"configured\",\"forewarn\",\"argus-counts\"]",
     "Bounds of the counts in the summary"                                                                                                                       },
    {"tz",               "\"type\":\"string\"",
     "naive (UTC without a zone), utc, +hh:mm, or a name as Europe/Berlin"                                                                                       },
    {"legacy",           "\"type\":\"string\",\"enum\":[\"merged\",\"steps\"]",
     "steps: one item for each step that crosses"                                                                                                                },
    {"metric",           "\"type\":\"string\"",                                                         "One metric"                                             },
    {"severity",         "\"type\":\"string\",\"enum\":[\"any\",\"warning\",\"critical\"]",             "Severity"                                               },
    {"state",
     "\"type\":\"string\",\"enum\":[\"active\",\"pending\",\"firing\",\"resolved\","
     "\"acknowledged\",\"silenced\",\"all\"]",                                                          "State; active is pending and firing"                    },
    {"silence:state",
     "\"type\":\"string\",\"enum\":[\"current\",\"active\",\"pending\",\"expired\",\"all\"]",           "State; current is what is not over"                     },
    {"last_event_id",    "\"type\":\"string\"",
     "Id of the last event seen, where the header cannot be sent"                                                                                                },
    {"horizons",         "\"type\":\"string\"",                                                         "Comma list of up to 8 durations, for instance 30m,1h,8h"},
    {"families",         "\"type\":\"string\"",                                                         "Comma list of value, max, crossing, risk"               },
    {"min_probability",  "\"type\":\"number\",\"minimum\":0,\"maximum\":1",
     "At least this chance of crossing"                                                                                                                          },
    {"profile",          "\"type\":\"string\"",                                                         "Profile, for instance database"                         },
    {"level",            "\"type\":\"string\"",                                                         "Level of risk"                                          },
    {"stale",            "\"type\":\"string\",\"enum\":[\"any\",\"true\",\"false\"]",                   "Silent servers or not"                                  },
    {"model_path",       "\"type\":\"string\"",                                                         "Name inside the models directory; absent: the newest"   },
};

static const struct description {
    const char *operation, *summary;
    const char *parameters; /* names of the table above, blank-separated */
    const char *request;    /* component, or NULL */
    const char *response;   /* component */
    const char *type;       /* media type of the answer; NULL: application/json; "": 204 */
    bool v503;              /* may also answer 503 */
} descriptions[] = {
    {"get_root",              "Service card",                                                                   "",                                         NULL,          "Card",          NULL,                false},
    {"get_health",            "Liveness in the reference's words",                                              "",                                         NULL,          "Health",        NULL,                false},
    {"get_status",            "Warm-up and counts",                                                             "tz",                                       NULL,          "Status",        NULL,                true },
    {"feed_data",
     "Take records; answered when every accepted one is on stable storage. A bare array and NDJSON "
     "are accepted as well",                                                                                    "",                                         "Feed",        "Fed",           NULL,                true },
    {"get_predictions",       "Forecast, risk, alerts and summary of the fleet",
     "server servers metrics quantiles steps fields precision limit offset sort levels tz",                                                                 NULL,
     "Predictions",                                                                                                                                                                         NULL,                true },
    {"get_alerts",            "Alerts that are not over",
     "server servers metric severity state min_probability limit offset legacy tz",                                                                         NULL,
     "AlertList",                                                                                                                                                                           NULL,                true },
    {"get_alerts_alias",      "The same as /alerts/active",
     "server servers metric severity state min_probability limit offset legacy tz",                                                                         NULL,
     "AlertList",                                                                                                                                                                           NULL,                true },
    {"get_models",            "Models of the registry, newest first",                                           "tz",                                       NULL,          "Models",        NULL,                true },
    {"reload_model",          "Load a model, check it, then swap it in",                                        "model_path",                               "Reload",      "Reloaded",
     NULL,                                                                                                                                                                                                       true },
    {"get_model_info",        "The model in use",                                                               "",                                         NULL,          "ModelInfo",     NULL,                true },
    {"list_servers",          "Servers with risk and state",
     "server servers profile level stale sort limit offset tz",                                                                                             NULL,          "Servers",       NULL,                true },
    {"get_server",            "Everything about one server",                                                    "metrics quantiles steps precision tz",     NULL,
     "Server",                                                                                                                                                                              NULL,                true },
    {"get_window",            "The stored steps of one server, the current one included",                       "metrics steps",
     NULL,                                                                                                                                                                 "Window",        NULL,                true },
    {"get_forecast",          "The forecast of one server",                                                     "metrics quantiles steps precision tz",     NULL,
     "Forecast",                                                                                                                                                                            NULL,                true },
    {"list_alerts",           "Alerts with filters",
     "server servers metric severity state min_probability limit offset tz",                                                                                NULL,          "AlertList",
     NULL,                                                                                                                                                                                                       true },
    {"list_actions",          "Acknowledgements and silences, who said them and when, newest first",            "limit",
     NULL,                                                                                                                                                                 "Actions",       NULL,                true },
    {"get_alert",             "One alert",                                                                      "",                                         NULL,          "Alert",         NULL,                true },
    {"acknowledge_alert",     "Acknowledge an alert; lapses when it ends or becomes more severe",               "",
     "Ack",                                                                                                                                                                "Alert",         NULL,                true },
    {"unacknowledge_alert",   "Take an acknowledgement back",                                                   "",                                         NULL,          "Alert",         NULL,                true },
    {"list_silences",         "Silences, newest first; without a state those that are not over",
     "silence:state tz",                                                                                                                                    NULL,          "Silences",      NULL,                true },
    {"add_silence",           "Silence alerts, once or every week",                                             "",                                         "NewSilence",  "Silence",       NULL,                true },
    {"end_silence",           "End a silence now",                                                              "",                                         NULL,          "EndedSilence",  NULL,                true },
    {"follow_events",
     "Server-sent events: outlook, alert, model, reset. Last-Event-ID goes on where a client "
     "stopped",                                                                                                 "last_event_id",                            NULL,          NULL,            "text/event-stream", true },
    {"get_outlook",           "The newest outlook in short",                                                    "levels tz",                                NULL,          "Outlook",       NULL,                true },
    {"get_status_v1",         "Counts, limits, journal, model",                                                 "tz",                                       NULL,          "StatusV1",      NULL,                true },
    {"get_past",              "Forecasts of one metric that were made earlier, to lay beside what came",
     "metric tz",                                                                                                                                           NULL,          "Past",          NULL,                true },
    {"get_fleet",             "Every server with risk, worst driver and expected crossing, the riskiest first",
     "tz",                                                                                                                                                  NULL,          "Fleet",         NULL,                true },
    {"get_capacity",          "What fills up (disk, memory, swap) within so many hours, the soonest first",
     "hours limit tz",                                                                                                                                      NULL,          "Capacity",      NULL,                true },
    {"get_schema",            "The metrics with units, bounds and thresholds",                                  "",                                         NULL,          "Schema",        NULL,                true },
    {"get_page",              "The dashboard's page of a server",                                               "",                                         NULL,          NULL,            "text/html",         false},
    {"get_page_alias",        "A page of the dashboard: alerts, outlook, trust, system",                        "",                                         NULL,          NULL,
     "text/html",                                                                                                                                                                                                false},
    {"get_asset",             "A file of the dashboard; its name changes with its content",                     "",                                         NULL,          NULL,
     "text/plain",                                                                                                                                                                                               false},
    {"remote_write",          "Prometheus remote write 1.0: a WriteRequest as one snappy block",                "",                                         NULL,
     NULL,                                                                                                                                                                                  "text/plain",        true },
    {"remote_write_alias",    "The same as /api/v1/write",                                                      "",                                         NULL,          NULL,            "text/plain",        true },
    {"influx_write",          "Influx line protocol, version 1",                                                "db rp influx:precision",                   NULL,          NULL,            "",
     true                                                                                                                                                                                                             },
    {"influx_write_alias",    "The same as /write",                                                             "db rp influx:precision",                   NULL,          NULL,            "",                  true },
    {"influx_write_v2",       "Influx line protocol, version 2",                                                "org bucket influx:precision",              NULL,
     NULL,                                                                                                                                                                                  "",                  true },
    {"influx_write_v2_alias", "The same as /api/v2/write",                                                      "org bucket influx:precision",              NULL,
     NULL,                                                                                                                                                                                  "",                  true },
    {"otlp_metrics",
     "OTLP metrics, as protobuf (application/x-protobuf) or JSON; the answer has the same form",                "",
     "OtlpRequest",                                                                                                                                                        "OtlpResponse",  NULL,                true },
    {"otlp_metrics_alias",    "The same as /v1/metrics",                                                        "",                                         "OtlpRequest", "OtlpResponse",  NULL,
     true                                                                                                                                                                                                             },
    {"influx_ping",           "The server answers; X-Influxdb-Version says as what",                            "",                                         NULL,          NULL,            "",
     false                                                                                                                                                                                                            },
    {"influx_ping_alias",     "The same as /ping",                                                              "",                                         NULL,          NULL,            "",                  false},
    {"influx_query",          "Answers CREATE DATABASE, which Telegraf sends first",                            "q",                                        NULL,
     "InfluxResults",                                                                                                                                                                       NULL,                false},
    {"influx_query_alias",    "The same as /query",                                                             "q",                                        NULL,          "InfluxResults", NULL,                false},
    {"prom_query",            "Value of a query at one time",                                                   "query time timeout",                       NULL,          "PromResult",    NULL,
     true                                                                                                                                                                                                             },
    {"prom_query_form",       "The same; parameters may stand in a form body",                                  "query time timeout",                       NULL,
     "PromResult",                                                                                                                                                                          NULL,                true },
    {"prom_query_range",      "Values of a query over a range of times",                                        "query start end step timeout",
     NULL,                                                                                                                                                                 "PromResult",    NULL,                true },
    {"prom_query_range_form", "The same; parameters may stand in a form body",
     "query start end step timeout",                                                                                                                        NULL,          "PromResult",    NULL,                true },
    {"prom_series",           "Series that fit",                                                                "match[] start end prom:limit",             NULL,          "PromList",      NULL,
     true                                                                                                                                                                                                             },
    {"prom_series_form",      "The same; parameters may stand in a form body",
     "match[] start end prom:limit",                                                                                                                        NULL,          "PromList",      NULL,                true },
    {"prom_labels",           "Names of labels",                                                                "match[] start end prom:limit",             NULL,          "PromList",      NULL,
     true                                                                                                                                                                                                             },
    {"prom_labels_form",      "The same; parameters may stand in a form body",
     "match[] start end prom:limit",                                                                                                                        NULL,          "PromList",      NULL,                true },
    {"prom_label_values",     "Values of a label",                                                              "match[] start end prom:limit",             NULL,          "PromList",
     NULL,                                                                                                                                                                                                       true },
    {"prom_metadata",         "What the series are",                                                            "prom:metric prom:limit",                   NULL,          "PromResult",    NULL,
     true                                                                                                                                                                                                             },
    {"prom_buildinfo",        "A Prometheus whose API this is like",                                            "",                                         NULL,          "PromResult",    NULL,                true },
    {"prom_exemplars",        "Nothing: there are none",                                                        "query start end",                          NULL,          "PromList",      NULL,                true },
    {"prom_exemplars_form",   "The same; parameters may stand in a form body",                                  "query start end",
     NULL,                                                                                                                                                                 "PromList",      NULL,                true },
    {"prom_rules",            "The alerts, as rules of a Prometheus",                                           "",                                         NULL,          "PromResult",    NULL,                true },
    {"prom_format",           "The query as it is",                                                             "query",                                    NULL,          "PromText",      NULL,                true },
    {"prom_format_form",      "The same; parameters may stand in a form body",                                  "query",                                    NULL,          "PromText",
     NULL,                                                                                                                                                                                                       true },
    {"get_livez",             "The process answers",                                                            "",                                         NULL,          "Live",          NULL,                false},
    {"get_readyz",            "Windows are whole, the journal writes, forecasts are fresh",                     "",                                         NULL,          "Ready",
     NULL,                                                                                                                                                                                                       true },
    {"get_metrics",           "Prometheus text format, or OpenMetrics when accepted",                           "",                                         NULL,          NULL,
     "text/plain",                                                                                                                                                                                               false},
    {"get_metrics_forecasts",
     "Forecasts of every server at chosen horizons, in the format of /metrics",                                 "server servers metrics horizons families", NULL,          NULL,            "text/plain",        true },
    {"get_openapi",           "This document",                                                                  "",                                         NULL,          "Document",      NULL,                false},
};

/* The components. Members are `name:type`, blank-separated; the first `required` are required.
 * Types: s string, i integer, n number, b boolean, o object, @Name a component, =a|b one of these
 * words; `?` behind: or null; `*` before: a list of, `%` before: a map of. */
// clang-format off
static const struct {
    const char *name;
    size_t required;
    const char *members;
} schemas[] = {
    {"Card", 5, "service:s version:s status:s endpoints:o features:o feed_example:o" },
    {"Health", 3, "status:s service:s running:b ready:b" },
    {"Warmup", 6, ("is_warmed_up:b progress_percent:i threshold:i current_size:i required_size:i " "message:s servers_ready:i") },
    {"Status", 4, ("running:b tick_count:i window_size:i warmup:@Warmup model_loaded:b model_path:s? " "rolling_window_size:i servers_tracked:i last_prediction:s? last_prediction_unix:i? " "uptime_seconds:i warmup_complete:b step_seconds:i timestamp:s timestamp_unix:i") },
    {"Record", 2, "server_name:s timestamp:s/n status:s profile:s" },
    {"Feed", 1, "records:*@Record" },
    {"RecordError", 5, "index:i server_name:s? field:s? type:s msg:s" },
    {"Fed", 1, ("status:=accepted|ignored|rejected reason:s tick:i window_size:i " "rolling_window_size:i servers_tracked:i servers_ready:i warmup_complete:b " "progress:s records_received:i records_accepted:i records_rejected:i rejected_by:o " "samples:o errors:*@RecordError") },
    {"Quality", 3, "coverage:n? pinball:n? forecasts:i" },
    {"Path", 6, ("current:n trend:n unit:s method:=tft|baseline|insufficient forecaster:s " "quality:@Quality p50:*n p10:*n p90:*n method_reason:s model_share:n last_seen:s last_seen_unix:i") },
    {"Level", 5, "level:s score:n color:s emoji:s label:s" },
    {"Driver", 6, "metric:s points:n current:n predicted:n? threshold:n? probability:n?" },
    {"Display", 5, "current:n predicted:n delta:n unit:s trend:=increasing|decreasing|stable" },
    {"Prediction", 5, ("risk_score:n profile:s alert:@Level display_metrics:%@Display server_name:s " "server_id:i status:s stale:b last_seen:s? last_seen_unix:i? labels:o warmup:o " "forecast:o risk_drivers:*@Driver crossing_probability_30m:n " "crossing_probability_8h:n") },
    {"Environment", 7, ("prob_30m:n prob_8h:n incident_probability_30m:n incident_probability_8h:n " "high_risk_servers:i total_servers:i fleet_health:s argus_score_30m:n " "argus_score_8h:n") },
    {"Metadata", 6, ("model_type:s model_dir:s prediction_time:s? horizon_steps:i input_points:i device:s " "prediction_time_unix:i? step_seconds:i risk_model:s run_id:i model_id:s " "servers_computed:i run_seconds:n") },
    {"Summary", 11, ("total_servers:i critical_count:i warning_count:i degrading_count:i healthy_count:i " "avg_risk_score:n max_risk_score:n top_5_risks:*s top_10_risks:*s top_20_risks:*s " "risk_calculation_time:s? risk_calculation_time_unix:i? critical:i warning:i " "degraded:i healthy:i fleet_health:n prob_30m:n prob_8h:n") },
    {"Alert", 8, ("server:s metric:s severity:s predicted_value:n threshold:n steps_ahead:i " "minutes_ahead:i message:s seconds_ahead:i server_name:s level:s time_to_issue:s " "current_value:n peak_value:n peak_minutes:i probability:n id:s state:s held:b " "pending_since:s? pending_since_unix:i? starts_at:s? starts_at_unix:i? ends_at:s? " "ends_at_unix:i? updated_at:s? updated_at_unix:i? ack:o? acknowledged_by:s? silenced_by:s? inhibited_by:s? labels:o " "risk_score:n profile:s explanation:*@Driver reasons:*o") },
    {"AlertList", 3, "timestamp:s count:i alerts:*@Alert timestamp_unix:i stale:b total:i offset:i" },
    {"Ack", 0, "by:s comment:s" },
    {"Action", 5, ("timestamp:s timestamp_unix:i subject:s action:s by:s comment:s alert_id:s metric:s " "severity:s silence_id:s silence:o") },
    {"Actions", 2, "actions:*@Action count:i" },
    {"Recurrence", 3, "days:*s from:s duration:s zone:s" },
    {"NewSilence", 0, ("server:s? labels:o? metric:s? profile:s? severity:s? starts_at:s/i ends_at:s/i duration:s? " "recurrence:@Recurrence? created_by:s comment:s") },
    {"Silence", 8, ("id:s state:=active|pending|expired server:s? labels:o metric:s? profile:s? severity:s? " "starts_at:s starts_at_unix:i ends_at:s? ends_at_unix:i? recurrence:@Recurrence? reason:s? " "changes_at:s? changes_at_unix:i? created_by:s created_at:s created_at_unix:i comment:s") },
    {"Silences", 2, "silences:*@Silence count:i" },
    {"EndedSilence", 2, "id:s state:s" },
    {"Predictions", 0, ("predictions:%@Prediction alerts:*@Alert environment:@Environment metadata:@Metadata " "summary:@Summary timestamp:s? timestamp_unix:i? step_seconds:i stale:b error:s " "message:s page:o truncated:b next_offset:i") },
    {"Model", 4, ("path:s name:s timestamp:s is_current:b size_mb:n modified:s created:s training:o " "val_loss:n? coverage:n? parent:s? state:s sha256:s?") },
    {"Models", 3, "models:*@Model count:i models_dir:s current_model:s? error:s" },
    {"Reload", 0, "model_path:s?" },
    {"Reloaded", 1, ("success:b message:s error:s previous_model:s? new_model:s model_path:s " "model_timestamp:s model:s current_model:s?") },
    {"ModelInfo", 2, ("loaded:b mode:s model_path:s model_name:s model_timestamp:s config:o servers:o " "sha256:s?") },
    {"ServerItem", 7, ("server_name:s profile:s status:s stale:b method:s risk_score:n? level:s? name:s " "server_id:i profile_label:s steps_held:i first_seen:s? first_seen_unix:i? " "last_seen:s? last_seen_unix:i? labels:o crossing_probability_30m:n? " "crossing_probability_8h:n?") },
    {"Servers", 4, "total:i count:i offset:i servers:*@ServerItem timestamp:s timestamp_unix:i" },
    {"Server", 3, "server_name:s prediction:@Prediction? metrics:*s warmup:o alerts:*@Alert run_id:i" },
    {"Column", 2, "timestamps:*i values:*n?" },
    {"Window", 3, "server_name:s step_seconds:i metrics:%@Column" },
    {"Forecast", 5, ("server_name:s run_id:i step_seconds:i timestamps:*i metrics:%@Path made_at:s " "made_at_unix:i origin:s origin_unix:i model_id:s stale:b risk_score:n alert:@Level " "risk_drivers:*@Driver") },
    {"Outlook", 6, ("run_id:i timestamp:s summary:@Summary environment:@Environment metadata:@Metadata " "alerts:o riskiest:*o timestamp_unix:i step_seconds:i stale:b") },
    {"Losses", 3, "ours:n persistence:n day_before:n" },
    {"BlockQuality", 9, ("metric:s block:i horizon_from:i horizon_to:i samples:i coverage:n pinball:@Losses " "pinball_p50:@Losses weights:%n") },
    {"StatusV1", 6, ("service:s version:s fleet:o limits:o ingest:o journal:o history:o? forecast:o? timestamp:s " "timestamp_unix:i started_at:s started_at_unix:i uptime_seconds:i model_loaded:b " "model_path:s? forecast_quality:*@BlockQuality log_level:s log_lines_suppressed:i") },
    {"PastForecast", 5,
     "origin_unix:i timestamps:*i p10:*n p50:*n p90:*n made_at:s? made_at_unix:i?"},
    {"Past", 3,
     "server_name:s step_seconds:i metrics:%*@PastForecast"},
    {"FleetDriver", 6,
     ("metric:s points:n current:n? predicted:n? threshold:n? probability:n crossed:b "
     "crossing_unix:i? earliest_unix:i? latest_unix:i? path:*n")},
    {"FleetServer", 8,
     ("server_name:s profile:s stale:b risk_score:n level:s method:s probability_30m:n "
     "probability_8h:n last_seen_unix:i? labels:o driver:@FleetDriver? drivers:i")},
    {"Fleet", 6,
     ("run_id:i generated_at:s generated_at_unix:i step_seconds:i stale:b model_id:s "
     "servers:*@FleetServer")},
    {"Filling", 8,
     ("server_name:s metric:s current:n threshold:n per_hour:n probability_8h:n "
     "basis:=reached|forecast|extrapolated reaches_unix:i? earliest_unix:i? latest_unix:i? "
     "method:s stale:b")},
    {"Capacity", 5,
     ("run_id:i generated_at:s generated_at_unix:i hours:i total:i items:*@Filling")},
    {"MetricSchema", 8,
     ("name:s unit:s min:n? max:n? worse:=high|low|none warning:n? critical:n? integer:b "
     "accumulates:b")},
    {"Schema", 2,
     "metrics:*@MetricSchema horizon_steps:i"},
    {"Live", 1, "status:s" },
    {"Ready", 2, "status:=ready|starting|not_ready reasons:*s" },
    {"PromResult", 2, "status:=success data:o warnings:*s" },
    {"PromList", 2, "status:=success data:*any" },
    {"PromText", 2, "status:=success data:s" },
    {"OtlpRequest", 0, "resourceMetrics:*o" },
    {"OtlpResponse", 0, "partialSuccess:o" },
    {"InfluxResults", 1, "results:*o" },
    {"Document", 3, "openapi:s info:o paths:o" },
    {"Problem", 1, "detail:any" },
};
// clang-format on

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

/* The schema of one type word of `len` characters. */
static void put_type(struct fw_buf *buf, const char *type, size_t len)
{
    static const struct {
        char letter;
        const char *name;
    } plain[] = {
        {'s', "string" },
        {'i', "integer"},
        {'n', "number" },
        {'b', "boolean"},
        {'o', "object" }
    };
    const bool nullable = type[len - 1] == '?';
    const size_t bare = nullable ? len - 1 : len;
    if (type[0] == '*' || type[0] == '%') {
        fw_buf_puts(buf, type[0] == '*' ? "{\"type\":\"array\",\"items\":"
                                        : "{\"type\":\"object\",\"additionalProperties\":");
        put_type(buf, type + 1, len - 1);
        fw_buf_putc(buf, '}');
    } else if (type[0] == '@') {
        fw_buf_printf(buf,
                      nullable ? "{\"anyOf\":[{\"$ref\":\"#/components/schemas/%.*s\"},{"
                                 "\"type\":\"null\"}]}"
                               : "{\"$ref\":\"#/components/schemas/%.*s\"}",
                      (int)bare - 1, type + 1);
    } else if (type[0] == '=') {
        fw_buf_puts(buf, "{\"type\":\"string\",\"enum\":[\"");
        for (size_t i = 1; i < len; i++)
            fw_buf_puts(buf, type[i] == '|' ? "\",\"" : (char[2]){type[i], '\0'});
        fw_buf_puts(buf, "\"]}");
    } else {
        const char *name = NULL;
        for (size_t i = 0; i < COUNT(plain) && bare == 1; i++)
            if (plain[i].letter == type[0])
                name = plain[i].name;
        if (name == NULL)
            fw_buf_puts(buf, "{}"); /* anything; what it may be stands in docs/api.md */
        else
            fw_buf_printf(buf, nullable ? "{\"type\":[\"%s\",\"null\"]}" : "{\"type\":\"%s\"}",
                          name);
    }
}

static void put_schema(struct fw_buf *buf, const char *members, size_t required)
{
    fw_buf_puts(buf, "{\"type\":\"object\",\"properties\":{");
    for (const char *at = members; *at != '\0'; at += *at == ' ') {
        const size_t name_len = strcspn(at, ":");
        const size_t type_len = strcspn(at + name_len + 1, " ");
        fw_buf_printf(buf, "%s\"%.*s\":", at > members ? "," : "", (int)name_len, at);
        put_type(buf, at + name_len + 1, type_len);
        at += name_len + 1 + type_len;
    }
    fw_buf_puts(buf, "},\"required\":[");
    const char *at = members;
    for (size_t i = 0; i < required; i++) {
        fw_buf_printf(buf, "%s\"%.*s\"", i > 0 ? "," : "", (int)strcspn(at, ":"), at);
        at += strcspn(at, " ");
        at += *at == ' ';
    }
    fw_buf_puts(buf, "],\"additionalProperties\":true}");
}

static void put_schemas(struct fw_buf *buf)
{
    for (size_t i = 0; i < COUNT(schemas); i++) {
        fw_buf_printf(buf, "%s\"%s\":", i > 0 ? "," : "", schemas[i].name);
        put_schema(buf, schemas[i].members, schemas[i].required);
    }
}

static void put_parameter(struct fw_buf *buf, const char *name, size_t len)
{
    for (size_t i = 0; i < COUNT(parameters); i++) {
        if (strlen(parameters[i].name) != len || memcmp(parameters[i].name, name, len) != 0)
            continue;
        const char *colon = strchr(parameters[i].name, ':');
        const char *shown = colon != NULL ? colon + 1 : parameters[i].name;
        fw_buf_printf(
            buf, "{\"name\":\"%s\",\"in\":\"query\",\"required\":false,\"description\":\"%s\",",
            shown, parameters[i].text);
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
        fw_buf_printf(buf,
                      "%s{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":"
                      "\"string\"}}",
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
                  status, text, "{\"$ref\":\"#/components/schemas/Problem\"}");
}

/* What differs for a sender of its own protocol: no body when all is well, plain text otherwise. */
static void put_write_responses(struct fw_buf *buf)
{
    fw_buf_puts(buf, ",\"responses\":{\"204\":{\"description\":\"Stored\"}");
    put_problem(buf, 400, "Something was refused for good, as text; the rest is stored");
    put_problem(buf, 415, "Not remote write 1.0");
}

static void put_nothing(struct fw_buf *buf, const struct http_route *route)
{
    fw_buf_puts(buf, ",\"responses\":{\"204\":{\"description\":\"Done\"}");
    if (route->body_max > 0)
        put_problem(buf, 400, "Something was refused for good; the rest is stored");
}

static void put_success(struct fw_buf *buf, const struct description *d)
{
    fw_buf_printf(buf, ",\"responses\":{\"200\":{\"description\":\"OK\",\"content\":{\"%s\":{",
                  d->type != NULL ? d->type : "application/json");
    if (d->response != NULL)
        fw_buf_printf(buf, "\"schema\":{\"$ref\":\"#/components/schemas/%s\"}", d->response);
    else
        fw_buf_puts(buf, "\"schema\":{\"type\":\"string\"}");
    fw_buf_puts(buf, "}}}");
}

static void put_responses(struct fw_buf *buf, const struct http_route *route,
                          const struct description *d)
{
    if (route->coding != NULL)
        put_write_responses(buf);
    else if (d->type != NULL && d->type[0] == '\0')
        put_nothing(buf, route);
    else
        put_success(buf, d);
    if (route->role != HTTP_OPEN) {
        if (!route->legacy)
            put_problem(buf, 401, "No key, or an unknown one");
        put_problem(buf, 403, "The key is wrong or its role is too low");
    }
    if (strchr(route->path, '{') != NULL)
        put_problem(buf, 404, "Nothing of that name");
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
    for (; i < sizeof method - 1 && route->method[i] != '\0'; i++)
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
                      strcmp(d->request, "Feed") == 0 || strcmp(d->request, "NewSilence") == 0
                          ? "true"
                          : "false",
                      d->request);
    if (route->coding != NULL)
        fw_buf_puts(buf, ",\"requestBody\":{\"required\":true,\"content\":{"
                         "\"application/x-protobuf\":{\"schema\":{\"type\":\"string\","
                         "\"format\":\"binary\"}}}}");
    if (d->type != NULL && d->type[0] == '\0' && route->body_max > 0)
        fw_buf_puts(buf, ",\"requestBody\":{\"required\":true,\"content\":{"
                         "\"text/plain\":{\"schema\":{\"type\":\"string\"}}}}");
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
