/* GET /api/v1/outlook: the newest outlook in short, the riskiest servers first. */
#include "api/api_internal.h"

static void put_riskiest(struct fw_buf *buf, const struct outlook *outlook)
{
    fw_buf_puts(buf, "\"riskiest\":[");
    for (size_t i = 0; i < outlook->top_count; i++) {
        const struct forecast *forecast = outlook->set->items[outlook->top[i]];
        struct risk risk = outlook->risks[outlook->top[i]];
        if (risk.driver_count > 3)
            risk.driver_count = 3;
        fw_buf_puts(buf, i > 0 ? ",{" : "{");
        api_put_text(buf, "server_name", forecast->name);
        fw_buf_putc(buf, ',');
        api_put_text(buf, "profile", profile_name(forecast->profile));
        fw_buf_putc(buf, ',');
        api_render_level(buf, &risk);
        fw_buf_puts(buf, ",\"risk_drivers\":");
        api_render_drivers(buf, outlook->schema, &risk);
        fw_buf_putc(buf, '}');
    }
    fw_buf_putc(buf, ']');
}

static void put_alert_counts(struct fw_buf *buf, const struct outlook *outlook)
{
    size_t counts[3][2] = {{0}};
    for (size_t i = 0; i < outlook->alerts->count; i++)
        counts[outlook->alerts->items[i].state][outlook->alerts->items[i].severity]++;
    fw_buf_puts(buf, "\"alerts\":{");
    for (int state = ALERT_PENDING; state <= ALERT_RESOLVED; state++) {
        if (state > ALERT_PENDING)
            fw_buf_putc(buf, ',');
        fw_buf_json_key(buf, alert_state_name((enum alert_state)state));
        fw_buf_printf(buf, "{\"warning\":%zu,\"critical\":%zu}", counts[state][ALERT_WARNING],
                      counts[state][ALERT_CRITICAL]);
    }
    fw_buf_putc(buf, '}');
}

void api_get_outlook(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct api_view view;
    api_view_default(&view);
    if (!api_ready(api, request) || !api_query_view(request, api, &view))
        return;
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    if (outlook == NULL) {
        api_reply_busy(request, 503, 1, "no forecast has been made yet");
        return;
    }
    struct fw_buf buf;
    fw_buf_init(&buf, API_REPLY_MAX);
    fw_buf_putc(&buf, '{');
    api_put_int(&buf, "run_id", (int64_t)outlook->id);
    fw_buf_putc(&buf, ',');
    api_put_time_pair(&buf, "timestamp", outlook->made_ms, &view.zone);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "step_seconds", outlook->step_s);
    fw_buf_putc(&buf, ',');
    api_put_bool(&buf, "stale", api_outlook_stale(outlook));
    fw_buf_puts(&buf, ",\"summary\":");
    api_render_summary(&buf, outlook, &view);
    fw_buf_puts(&buf, ",\"environment\":");
    api_render_environment(&buf, outlook);
    fw_buf_puts(&buf, ",\"metadata\":");
    api_render_metadata(&buf, outlook, api->options.models_dir, &view);
    fw_buf_putc(&buf, ',');
    put_alert_counts(&buf, outlook);
    fw_buf_putc(&buf, ',');
    put_riskiest(&buf, outlook);
    fw_buf_putc(&buf, '}');
    outlook_release(outlook);
    api_reply_buf(request, &buf);
}
