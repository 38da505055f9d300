/* The fleet's own history: a snapshot a minute, whether anybody asks or not. */
#include "outlook/outlook_internal.h"

#include "alert/event.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

enum {
    PRUNE_INTERVAL_MS = 3600 * 1000,
    SNAPSHOT_MAX = 4096,
    DAY_MS = 86400 * 1000,
    KEEP_DAYS = 90
};

static void put_count(struct fw_buf *out, const char *key, size_t count)
{
    fw_buf_json_key(out, key);
    fw_buf_put_i64(out, (int64_t)count);
    fw_buf_putc(out, ',');
}

static void put_number(struct fw_buf *out, const char *key, double value)
{
    fw_buf_json_key(out, key);
    fw_buf_json_number(out, value, 6);
    fw_buf_putc(out, ',');
}

static void put_text(struct fw_buf *out, const char *key, const char *text)
{
    fw_buf_json_key(out, key);
    fw_buf_json_string(out, text, strlen(text));
    fw_buf_putc(out, ',');
}

void outlook_environment_encode(const struct outlook *outlook, struct fw_buf *out)
{
    fw_buf_putc(out, '{');
    put_count(out, "total_servers", outlook->set->count);
    put_count(out, "critical_count", outlook->level_counts[RISK_CRITICAL]);
    put_count(out, "warning_count", outlook->level_counts[RISK_WARNING]);
    put_count(out, "degraded_count", outlook->level_counts[RISK_WATCH]);
    put_count(out, "healthy_count", outlook->level_counts[RISK_HEALTHY]);
    put_number(out, "prob_30m", outlook->environment.prob_30m);
    put_number(out, "prob_8h", outlook->environment.prob_8h);
    put_number(out, "avg_risk_score", outlook->average_risk);
    put_number(out, "max_risk_score", outlook->max_risk);
    put_text(out, "top_risk_server",
             outlook->top_count > 0 ? outlook->set->items[outlook->top[0]]->name : "");
    put_text(out, "fleet_health", outlook->environment.fleet_health);
    put_number(out, "fleet_health_score", outlook->health_score);
    out->len -= out->len > 0; /* the last comma */
    fw_buf_putc(out, '}');
}

static bool take_time(void *ctx, const struct store_state_event *event)
{
    *(int64_t *)ctx = event->time_ms;
    return false;
}

/* Another process may have written the last snapshot a second before it ended. */
static enum fw_status know_newest(struct outlook_board *board, struct store_state *state,
                                  struct fw_error *err)
{
    const struct store_state_event_query query = {.kind = OUTLOOK_ENVIRONMENT_KIND,
                                                  .from_ms = 0,
                                                  .to_ms = INT64_MAX,
                                                  .newest_first = true,
                                                  .limit = 1};
    int64_t newest_ms = INT64_MIN / 2;
    if (board->history_known)
        return FW_OK;
    const enum fw_status status =
        store_state_event_each(state, &query, take_time, &newest_ms, NULL, err);
    board->history_known = status == FW_OK;
    board->history_ms = newest_ms;
    return status;
}

static enum fw_status append(const struct outlook_runner_options *options,
                             const struct outlook *outlook, int64_t now_ms, struct fw_error *err)
{
    struct fw_buf buf;
    fw_buf_init(&buf, SNAPSHOT_MAX);
    outlook_environment_encode(outlook, &buf);
    const enum fw_status status =
        buf.failed ? fw_fail(err, FW_ENOMEM, "render the environment")
                   : store_state_event_append(options->state, OUTLOOK_ENVIRONMENT_KIND, now_ms, "",
                                              buf.data, buf.len, NULL, err);
    fw_buf_fini(&buf);
    return status;
}

static enum fw_status prune(const struct outlook_runner_options *options, int64_t now_ms,
                            struct fw_error *err)
{
    struct outlook_board *board = options->board;
    const int64_t since_ms = now_ms - board->pruned_ms;
    const int64_t keep_ms =
        options->history_keep_ms != 0 ? options->history_keep_ms : KEEP_DAYS * (int64_t)DAY_MS;
    if (keep_ms < 0 || (since_ms >= 0 && since_ms < PRUNE_INTERVAL_MS))
        return FW_OK;
    const int64_t before_ms = now_ms - keep_ms;
    enum fw_status status =
        store_state_event_prune(options->state, OUTLOOK_ENVIRONMENT_KIND, before_ms, NULL, err);
    if (status == FW_OK)
        status = store_state_event_prune(options->state, ALERT_EVENT_KIND, before_ms, NULL, err);
    if (status == FW_OK)
        board->pruned_ms = now_ms;
    return status;
}

static enum fw_status sample(const struct outlook_runner_options *options,
                             const struct outlook *outlook, int64_t now_ms, struct fw_error *err)
{
    struct outlook_board *board = options->board;
    enum fw_status status = know_newest(board, options->state, err);
    if (status != FW_OK)
        return status;
    const int64_t since_ms = now_ms - board->history_ms;
    /* A clock that was put back must not stop the history for as long. */
    if (since_ms < OUTLOOK_HISTORY_INTERVAL_MS && since_ms > -OUTLOOK_HISTORY_INTERVAL_MS)
        return FW_OK;
    status = append(options, outlook, now_ms, err);
    if (status != FW_OK)
        return status;
    board->history_ms = now_ms;
    return prune(options, now_ms, err);
}

void outlook_history_sample(const struct outlook_runner_options *options,
                            const struct outlook *outlook, int64_t now_ms)
{
    struct outlook_board *board = options->board;
    struct fw_error err = {0};
    if (options->state == NULL || outlook == NULL)
        return;
    const enum fw_status status = sample(options, outlook, now_ms, &err);
    if (status != FW_OK)
        atomic_fetch_add(&board->history_failures, 1);
    if (status != FW_OK && !board->history_failing)
        FW_LOG_ERROR("outlook", "cannot write the environment's history reason=\"%s\"", err.text);
    if (status == FW_OK && board->history_failing)
        FW_LOG_INFO("outlook", "the environment's history is written again");
    board->history_failing = status != FW_OK;
}
