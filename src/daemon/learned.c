/* What forecasters have learned is written once an hour and at the end. What a crash takes is
 * learned again from the windows, which reach back three days. What is unusual goes with it, as
 * blobs of the state store, and earlier forecasts, which charts put beside what happened, as
 * snapshots of their own; of these a crash takes the hour. */
#include "daemon/daemon_internal.h"

#include "base/log.h"

enum { SAVE_INTERVAL_S = 3600, UNUSUAL_BYTES_MAX = 64 << 10 };
static const char unusual_namespace[] = "surprise";

/* ---- what is unusual ---- */

struct loading {
    struct daemon *daemon;
    size_t servers, refused;
    struct fw_error first; /* that was refused */
};

static bool load_server(void *ctx, const char *key, const void *data, size_t len)
{
    struct loading *loading = ctx;
    struct daemon *daemon = loading->daemon;
    struct fw_error err = {0};
    const enum fw_status status =
        surprise_decode(daemon->surprise, key, &daemon->config->schema, data, len, &err);
    loading->servers += status == FW_OK ? 1 : 0;
    if (status != FW_OK && loading->refused++ == 0)
        loading->first = err;
    return status != FW_ENOMEM;
}

void daemon_unusual_load(struct daemon *daemon)
{
    struct loading loading = {.daemon = daemon};
    struct fw_error err = {0};
    uint64_t damaged = 0;
    const enum fw_status status =
        store_state_each(daemon->state, unusual_namespace, load_server, &loading, &damaged, &err);
    if (status != FW_OK)
        FW_LOG_WARN("alert", "what is unusual cannot be read, learning begins anew reason=\"%s\"",
                    err.text);
    if (loading.refused > 0 || damaged > 0)
        FW_LOG_WARN("alert",
                    "what is unusual is learned anew for some servers refused=%zu damaged=%llu "
                    "reason=\"%s\"",
                    loading.refused, (unsigned long long)damaged, loading.first.text);
    if (loading.servers > 0)
        FW_LOG_DEBUG("alert", "read what is unusual servers=%zu", loading.servers);
}

/* All servers anew, so that those that are gone go. */
static enum fw_status put_servers(struct daemon *daemon, struct fw_error *err)
{
    const struct store_state_range all = {.ns = unusual_namespace};
    struct fw_buf buf;
    fw_buf_init(&buf, UNUSUAL_BYTES_MAX);
    enum fw_status status = store_state_range_delete(daemon->state, &all, 0, NULL, err);
    for (size_t i = 0; i < surprise_count(daemon->surprise) && status == FW_OK; i++) {
        fw_buf_reset(&buf);
        surprise_encode(daemon->surprise, i, &daemon->config->schema, &buf);
        status = buf.failed
                     ? fw_fail(err, FW_ENOMEM, "no memory for what is unusual")
                     : store_state_put(daemon->state, unusual_namespace,
                                       surprise_name(daemon->surprise, i), buf.data, buf.len, err);
    }
    fw_buf_fini(&buf);
    return status;
}

static void save_unusual(struct daemon *daemon)
{
    struct fw_error err = {0};
    if (daemon->surprise == NULL)
        return;
    enum fw_status status = store_state_begin(daemon->state, &err);
    if (status == FW_OK) {
        status = put_servers(daemon, &err);
        if (status == FW_OK)
            status = store_state_commit(daemon->state, &err);
        else
            store_state_rollback(daemon->state);
    }
    if (status != FW_OK)
        FW_LOG_WARN("alert", "what is unusual is not written reason=\"%s\"", err.text);
}

/* ---- earlier forecasts ---- */

void daemon_past_load(struct daemon *daemon)
{
    struct fw_error err = {0};
    if (api_past_load(daemon->api, daemon->directory.past, daemon->directory.quarantine, &err) !=
        FW_OK)
        FW_LOG_WARN("forecast", "earlier forecasts cannot be read, charts begin anew reason=\"%s\"",
                    err.text);
}

static void save_past(struct daemon *daemon)
{
    struct fw_error err = {0};
    if (api_past_save(daemon->api, daemon->directory.past, &err) != FW_OK)
        FW_LOG_WARN("forecast", "earlier forecasts are not written reason=\"%s\"", err.text);
}

/* ---- what forecasters have learned ---- */

void daemon_learned_load(struct daemon *daemon)
{
    struct fw_error err = {0};
    size_t servers;
    daemon->learned_ns = fw_clock_mono_ns(daemon->clock);
    const enum fw_status status =
        forecaster_load(daemon->forecaster, daemon->fleet, daemon->directory.learned, NULL,
                        daemon->directory.quarantine, &servers, &err);
    if (status != FW_OK)
        FW_LOG_WARN("forecast",
                    "what was learned cannot be read, learning begins anew reason=\"%s\"",
                    err.text);
    else if (servers > 0)
        FW_LOG_DEBUG("forecast", "read what was learned servers=%zu", servers);
}

void daemon_learned_save(struct daemon *daemon)
{
    struct fw_error err = {0};
    uint64_t bytes;
    const int64_t begin_ns = fw_clock_mono_ns(daemon->clock);
    daemon->learned_ns = begin_ns;
    if (forecaster_save(daemon->forecaster, daemon->directory.learned, NULL, &bytes, &err) != FW_OK)
        FW_LOG_WARN("forecast", "what was learned is not written reason=\"%s\"", err.text);
    else
        FW_LOG_DEBUG("forecast", "wrote what was learned bytes=%llu ms=%lld",
                     (unsigned long long)bytes,
                     (long long)(fw_clock_mono_ns(daemon->clock) - begin_ns) / 1000000);
    save_unusual(daemon);
    save_past(daemon);
}

void daemon_learned_due(void *ctx, const struct outlook *outlook)
{
    struct daemon *daemon = ctx;
    (void)outlook;
    if (fw_clock_mono_ns(daemon->clock) - daemon->learned_ns >=
        (int64_t)SAVE_INTERVAL_S * 1000000000)
        daemon_learned_save(daemon);
}
