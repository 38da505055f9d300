/* Is it there, and may it be asked: /, /health, /livez, /readyz. */
#include "api/api_internal.h"

#include <stdio.h>
#include <string.h>

void api_get_root(void *ctx, struct http_request *request)
{
    static const struct {
        const char *key, *operation;
    } endpoints[] = {
        {"health",           "get_health"     },
        {"feed",             "feed_data"      },
        {"predictions",      "get_predictions"},
        {"alerts",           "get_alerts"     },
        {"status",           "get_status"     },
        {"admin_models",     "get_models"     },
        {"admin_reload",     "reload_model"   },
        {"admin_model_info", "get_model_info" },
        {"servers",          "list_servers"   },
        {"server",           "get_server"     },
        {"server_window",    "get_window"     },
        {"server_forecast",  "get_forecast"   },
        {"outlook",          "get_outlook"    },
        {"ready",            "get_readyz"     },
        {"metrics",          "get_metrics"    },
        {"openapi",          "get_openapi"    },
    };
    struct api *api = ctx;
    if (api_web_root(api, request))
        return;
    struct fw_buf buf;
    fw_buf_init(&buf, 65536);
    fw_buf_puts(&buf, "{\"service\":\"forewarn\",\"version\":\"" FW_VERSION
                      "\",\"status\":\"running\",\"endpoints\":{");
    bool first = true;
    for (size_t i = 0; i < COUNT(endpoints); i++) {
        for (size_t k = 0; k < api->route_count; k++) {
            const struct http_route *route = &api->routes[k];
            if (strcmp(route->operation, endpoints[i].operation) != 0)
                continue;
            fw_buf_printf(&buf, "%s\"%s\":\"%s %s\"", first ? "" : ",", endpoints[i].key,
                          route->method, route->path);
            first = false;
            break;
        }
    }
    fw_buf_puts(
        &buf,
        "},\"features\":{\"persistence\":\"every accepted sample is on disk before it is "
        "acknowledged\",\"hot_reload\":\"models are checked, then swapped without a restart\","
        "\"forecasts\":\"p10, p50 and p90 for 96 steps, made when data arrives\",\"alerts\":\"one "
        "per server and metric, with a life of its own\"},\"feed_example\":{\"records\":[{"
        "\"timestamp\":\"2026-01-01T00:00:00\",\"server_name\":\"db1\",\"status\":\"healthy\","
        "\"cpu_user_pct\":12.5,\"mem_used_pct\":48.0}]}}");
    api_reply_buf(request, &buf);
}

void api_get_health(void *ctx, struct http_request *request)
{
    const struct api *api = ctx;
    struct fw_buf buf;
    fw_buf_init(&buf, 4096);
    fw_buf_puts(&buf, "{\"status\":\"healthy\",");
    api_put_text(&buf, "service", api->options.service);
    fw_buf_puts(&buf, ",\"running\":true,");
    api_put_bool(&buf, "ready", atomic_load(&api->attached));
    fw_buf_putc(&buf, '}');
    api_reply_buf(request, &buf);
}

/* ---- /livez, /readyz ---- */

void api_get_livez(void *ctx, struct http_request *request)
{
    (void)ctx;
    struct fw_buf buf;
    fw_buf_init(&buf, 256);
    fw_buf_puts(&buf, "{\"status\":\"ok\"}");
    api_reply_buf(request, &buf);
}

enum { REASONS_MAX = 8, REASON_SIZE = 256 };
struct reasons {
    size_t count;
    char text[REASONS_MAX][REASON_SIZE];
};

static char *reason(struct reasons *reasons)
{
    return reasons->text[reasons->count++];
}

static void check_journal(const struct api *api, struct reasons *reasons)
{
    struct store_journal_stats stats;
    store_journal_stats(api->parts.journal, &stats);
    if (stats.state == STORE_JOURNAL_FULL)
        snprintf(reason(reasons), REASON_SIZE, "journal: the disk is full");
    else if (stats.state == STORE_JOURNAL_FAILED)
        snprintf(reason(reasons), REASON_SIZE, "journal: a write or sync failed");
}

/* A run is due after every step that brought data: four steps (and two minutes at least) without
 * one while servers report mean that the runner is stuck. */
static void check_forecast(const struct api *api, struct reasons *reasons)
{
    struct fleet_counts counts;
    fleet_counts(api->parts.fleet, &counts);
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    struct outlook_statistics statistics;
    outlook_board_statistics(api->parts.board, &statistics);
    if (statistics.failing)
        snprintf(reason(reasons), REASON_SIZE, "forecast: the last run failed");
    /* The first run after a start may take a minute for ten thousand servers. Samples and questions
     * are not turned away for that; answers say themselves that no forecast is there yet. */
    const int64_t made_ms = outlook != NULL ? outlook->made_ms : api->started_ms;
    const int64_t age_ms = fw_clock_wall_ms(api->clock) - made_ms;
    int64_t limit_ms = (int64_t)fleet_options(api->parts.fleet)->step_s * 4000;
    if (limit_ms < 120000)
        limit_ms = 120000;
    if (counts.servers > counts.stale && age_ms > limit_ms)
        snprintf(reason(reasons), REASON_SIZE, "forecast: the last run was %lld s ago",
                 (long long)(age_ms / 1000));
    outlook_release(outlook);
}

static void check_all(struct api *api, struct reasons *reasons)
{
    if (!atomic_load_explicit(&api->attached, memory_order_acquire)) {
        snprintf(reason(reasons), REASON_SIZE, "starting");
        return;
    }
    check_journal(api, reasons);
    check_forecast(api, reasons);
    if (api->parts.trouble != NULL) {
        char text[REASON_SIZE] = "";
        if (api->parts.trouble(api->parts.trouble_ctx, text, sizeof text))
            memcpy(reason(reasons), text, sizeof text);
    }
}

void api_get_readyz(void *ctx, struct http_request *request)
{
    struct reasons reasons = {0};
    check_all(ctx, &reasons);
    const bool starting = reasons.count == 1 && strcmp(reasons.text[0], "starting") == 0;
    const char *status = reasons.count == 0 ? "ready" : starting ? "starting" : "not_ready";
    struct fw_buf buf;
    fw_buf_init(&buf, 65536);
    fw_buf_putc(&buf, '{');
    api_put_text(&buf, "status", status);
    fw_buf_puts(&buf, ",\"reasons\":[");
    for (size_t i = 0; i < reasons.count; i++) {
        if (i > 0)
            fw_buf_putc(&buf, ',');
        fw_buf_json_string(&buf, reasons.text[i], strlen(reasons.text[i]));
    }
    fw_buf_puts(&buf, "]}");
    if (reasons.count == 0)
        api_reply_buf(request, &buf);
    else
        http_reply(request, &(struct http_reply){.status = 503,
                                                 .body = http_body_new_take(&buf),
                                                 .retry_after_s = 1});
}
