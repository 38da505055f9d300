/* How the process is: /status (contract 11), /api/v1/status. */
#include "api/api_internal.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

bool api_warm(struct api *api, const struct fleet_counts *counts)
{
    /* New servers never un-ready a fleet that was complete once. */
    if (counts->ready == 0)
        api->warm = false;
    else if (counts->ready == counts->servers)
        api->warm = true;
    return api->warm;
}

/* ---- /status ---- */

static void put_message(struct fw_buf *buf, const struct fleet_counts *counts, bool warm, bool tft)
{
    char text[96];
    if (counts->servers == 0)
        snprintf(text, sizeof text, "Waiting for data...");
    else if (!warm)
        snprintf(text, sizeof text, "Warming up: %zu/%zu servers ready", counts->ready,
                 counts->servers);
    else if (tft)
        snprintf(text, sizeof text, "Model ready - using TFT predictions");
    else
        snprintf(text, sizeof text, "Ready - using statistical predictions");
    api_put_text(buf, "message", text);
}

static void put_warmup(struct fw_buf *buf, const struct fleet_counts *counts, bool warm, bool tft)
{
    const size_t servers = counts->servers;
    fw_buf_puts(buf, "\"warmup\":{");
    api_put_bool(buf, "is_warmed_up", warm);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "progress_percent",
                servers == 0 ? 0 : (int64_t)(counts->ready * 100 / servers));
    fw_buf_putc(buf, ',');
    api_put_int(buf, "threshold", API_READY_STEPS);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "current_size", servers == 0 ? 0 : (int64_t)(counts->records / servers));
    fw_buf_putc(buf, ',');
    api_put_int(buf, "required_size", API_READY_STEPS);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "servers_ready", (int64_t)counts->ready);
    fw_buf_putc(buf, ',');
    put_message(buf, counts, warm, tft);
    fw_buf_putc(buf, '}');
}

static bool current_model(const struct api *api, struct api_model *model)
{
    return api->parts.models.current != NULL &&
           api->parts.models.current(api->parts.models.ctx, model);
}

static void put_model_members(struct fw_buf *buf, const struct api *api)
{
    struct api_model model;
    const bool loaded = current_model(api, &model);
    api_put_bool(buf, "model_loaded", loaded);
    fw_buf_puts(buf, ",\"model_path\":");
    if (loaded) {
        char path[4096];
        const int len = snprintf(path, sizeof path, "%s/%s", api->options.models_dir, model.name);
        fw_buf_json_string(buf, path, len < (int)sizeof path ? (size_t)len : sizeof path - 1);
    } else {
        fw_buf_puts(buf, "null");
    }
}

void api_get_status(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct api_zone zone;
    if (!api_ready(api, request) || !api_query_zone(request, api, &zone))
        return;
    struct fleet_counts counts;
    fleet_counts(api->parts.fleet, &counts);
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    const bool tft = outlook != NULL && strcmp(outlook->model_type, "TFT") == 0;
    const bool warm = api_warm(api, &counts);
    struct fw_buf buf;
    fw_buf_init(&buf, 65536);
    fw_buf_puts(&buf, "{\"running\":true,");
    api_put_int(&buf, "tick_count", (int64_t)counts.batches);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "window_size", (int64_t)counts.rows);
    fw_buf_putc(&buf, ',');
    put_warmup(&buf, &counts, warm, tft);
    fw_buf_putc(&buf, ',');
    put_model_members(&buf, api);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "rolling_window_size", (int64_t)counts.rows);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "servers_tracked", (int64_t)counts.servers);
    fw_buf_putc(&buf, ',');
    api_put_time_pair(&buf, "last_prediction", outlook != NULL ? outlook->made_ms : 0, &zone);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "uptime_seconds",
                (fw_clock_mono_ns(api->clock) - api->started_ns) / 1000000000);
    fw_buf_putc(&buf, ',');
    api_put_bool(&buf, "warmup_complete", warm);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "step_seconds", fleet_options(api->parts.fleet)->step_s);
    fw_buf_putc(&buf, ',');
    api_put_time_pair(&buf, "timestamp", fw_clock_wall_ms(api->clock), &zone);
    fw_buf_putc(&buf, '}');
    if (outlook != NULL)
        outlook_release(outlook);
    api_reply_buf(request, &buf);
}

/* ---- /api/v1/status ---- */

static const char *log_level_name(void)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    size_t level = FW_DEBUG;
    while (level < FW_ERROR && !fw_log_enabled((enum fw_log_level)level))
        level++;
    return names[level];
}

static const char *journal_state_name(enum store_journal_state state)
{
    static const char *const names[] = {"ok", "full", "failed"};
    return names[state];
}

static void put_fleet(struct fw_buf *buf, const struct api *api)
{
    const struct fleet_options *options = fleet_options(api->parts.fleet);
    struct fleet_counts counts;
    fleet_counts(api->parts.fleet, &counts);
    fw_buf_puts(buf, "\"fleet\":{");
    api_put_int(buf, "servers", (int64_t)counts.servers);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "stale", (int64_t)counts.stale);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "ready", (int64_t)counts.ready);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "batches", (int64_t)counts.batches);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "steps_held", (int64_t)counts.records);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "bytes", (int64_t)counts.bytes);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "bytes_per_server",
                counts.servers == 0 ? 0 : (int64_t)(counts.bytes / counts.servers));
    fw_buf_putc(buf, ',');
    api_put_int(buf, "step_seconds", options->step_s);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "window_steps", options->window_steps);
    fw_buf_puts(buf, "},\"limits\":{");
    api_put_int(buf, "servers", (int64_t)options->servers_max);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "body_bytes", (int64_t)api->options.body_bytes_max);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "records_per_body", (int64_t)api->options.records_max);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "future_skew_seconds", options->future_skew_ms / 1000);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "stale_after_steps", options->stale_steps);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "expire_seconds", options->expire_ms / 1000);
    fw_buf_putc(buf, '}');
}

static void put_ingest(struct fw_buf *buf, struct api *api)
{
    struct api_counts *c = &api->counts;
    fw_buf_puts(buf, "\"ingest\":{");
    api_put_int(buf, "batches", (int64_t)c->batches[API_FEED]);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "records", (int64_t)c->records[API_FEED]);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "samples", (int64_t)c->samples[API_FEED]);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "duplicates", (int64_t)c->duplicates);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "overwritten", (int64_t)c->overwritten);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "late", (int64_t)c->late);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "sealed", (int64_t)c->sealed);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "outrun", (int64_t)c->outrun);
    fw_buf_puts(buf, ",\"rejected\":{");
    for (size_t i = BATCH_OK + 1; i < BATCH_REASON_COUNT; i++) {
        if (i > BATCH_OK + 1)
            fw_buf_putc(buf, ',');
        api_put_int(buf, batch_reason_name((enum batch_reason)i),
                    (int64_t)c->rejected[API_FEED][i]);
    }
    fw_buf_puts(buf, "},\"refused_batches\":{");
    api_put_int(buf, "journal", (int64_t)c->refused_journal);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "queue", (int64_t)c->refused_queue);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "memory", (int64_t)c->refused_memory);
    fw_buf_puts(buf, "}}");
}

static void put_journal(struct fw_buf *buf, const struct api *api)
{
    struct store_journal_stats stats;
    store_journal_stats(api->parts.journal, &stats);
    fw_buf_puts(buf, "\"journal\":{");
    api_put_text(buf, "state", journal_state_name(stats.state));
    fw_buf_putc(buf, ',');
    api_put_int(buf, "segments", (int64_t)stats.segments);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "bytes", (int64_t)stats.bytes);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "last_sequence", (int64_t)stats.last_seq);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "queued", (int64_t)stats.queue_records);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "syncs", (int64_t)stats.sync_ns.count);
    fw_buf_puts(buf, ",\"sync_seconds\":{\"p50\":");
    api_put_number(buf, (double)fw_histogram_quantile(&stats.sync_ns, 0.5) / 1e9, 6);
    fw_buf_puts(buf, ",\"p99\":");
    api_put_number(buf, (double)fw_histogram_quantile(&stats.sync_ns, 0.99) / 1e9, 6);
    fw_buf_puts(buf, "}}");
}

static void put_history(struct fw_buf *buf, const struct api *api, const struct api_zone *zone)
{
    struct api_history h;
    fw_buf_puts(buf, "\"history\":");
    if (api->parts.history == NULL || !api->parts.history(api->parts.history_ctx, &h)) {
        fw_buf_puts(buf, "null");
        return;
    }
    fw_buf_putc(buf, '{');
    api_put_text(buf, "state", h.failing ? "failing" : "ok");
    fw_buf_putc(buf, ',');
    api_put_int(buf, "days_kept", (int64_t)h.days_max);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "blocks", (int64_t)h.blocks);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "bytes", (int64_t)h.bytes);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "oldest", h.oldest_s < 0 ? 0 : h.oldest_s * 1000, zone);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "missed_steps", (int64_t)h.missed_steps);
    fw_buf_putc(buf, '}');
}

static void put_forecast_state(struct fw_buf *buf, struct api *api, const struct api_zone *zone)
{
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    fw_buf_puts(buf, "\"forecast\":");
    if (outlook == NULL) {
        fw_buf_puts(buf, "null");
        return;
    }
    fw_buf_putc(buf, '{');
    api_put_int(buf, "run_id", (int64_t)outlook->id);
    fw_buf_putc(buf, ',');
    api_put_time_pair(buf, "made_at", outlook->made_ms, zone);
    fw_buf_puts(buf, ",\"age_seconds\":");
    const int64_t age_ms = fw_clock_wall_ms(api->clock) - outlook->made_ms;
    api_put_number(buf, (double)(age_ms < 0 ? 0 : age_ms) / 1000.0, 3);
    fw_buf_puts(buf, ",\"run_seconds\":");
    api_put_number(buf, outlook->set->seconds, 6);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "servers", (int64_t)outlook->set->count);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "computed", (int64_t)outlook->set->computed);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "model_type", outlook->model_type);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "model_id", outlook->model_name);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "risk_model", outlook->risk_model);
    fw_buf_putc(buf, '}');
    outlook_release(outlook);
}

void api_get_status_v1(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct api_zone zone;
    if (!api_ready(api, request) || !api_query_zone(request, api, &zone))
        return;
    struct fw_buf buf;
    fw_buf_init(&buf, 1 << 20);
    fw_buf_puts(&buf, "{\"service\":\"forewarn\",\"version\":\"" FW_VERSION "\",");
    api_put_time_pair(&buf, "timestamp", fw_clock_wall_ms(api->clock), &zone);
    fw_buf_putc(&buf, ',');
    api_put_time_pair(&buf, "started_at", api->started_ms, &zone);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "uptime_seconds",
                (fw_clock_mono_ns(api->clock) - api->started_ns) / 1000000000);
    fw_buf_putc(&buf, ',');
    put_fleet(&buf, api);
    fw_buf_putc(&buf, ',');
    put_ingest(&buf, api);
    fw_buf_putc(&buf, ',');
    put_journal(&buf, api);
    fw_buf_putc(&buf, ',');
    put_history(&buf, api, &zone);
    fw_buf_putc(&buf, ',');
    put_forecast_state(&buf, api, &zone);
    fw_buf_putc(&buf, ',');
    put_model_members(&buf, api);
    fw_buf_putc(&buf, ',');
    api_put_forecast_quality(&buf, api);
    fw_buf_putc(&buf, ',');
    api_put_text(&buf, "log_level", log_level_name());
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "log_lines_suppressed", (int64_t)fw_log_suppressed());
    fw_buf_putc(&buf, '}');
    api_reply_buf(request, &buf);
}
