#include "daemon/config.h"

#include "forecast/forecaster.h"
#include "ingest/series_rules.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void default_alerts(struct config *config)
{
    struct alert_options options;
    alert_options_default(&options, &config->schema, config->step_s);
    config->unusual_per_month = 1;
    config->alert_horizon_steps = options.horizon_steps;
    config->alert_near_probability = options.near_probability;
    config->alert_min_probability = options.min_probability;
    config->alert_for_runs = options.for_runs;
    config->alert_clear_runs = options.clear_runs;
    config->alert_hysteresis = options.hysteresis;
    config->alert_silent_steps = options.silent_steps;
    config->alert_keep_resolved_s = (uint32_t)(options.keep_resolved_ms / 1000);
    config->alert_forget_hours = (uint32_t)(options.forget_ms / 3600000);
}

void config_alert_options(const struct config *config, struct alert_options *options)
{
    alert_options_default(options, &config->schema, config->step_s);
    options->horizon_steps = config->alert_horizon_steps;
    options->near_probability = config->alert_near_probability;
    options->min_probability = config->alert_min_probability;
    options->for_runs = config->alert_for_runs;
    options->clear_runs = config->alert_clear_runs;
    options->hysteresis = config->alert_hysteresis;
    options->silent_steps = config->alert_silent_steps;
    options->keep_resolved_ms = (int64_t)config->alert_keep_resolved_s * 1000;
    options->forget_ms = (int64_t)config->alert_forget_hours * 3600000;
}

void config_default(struct config *config)
{
    memset(config, 0, sizeof *config);
    snprintf(config->listen_host, sizeof config->listen_host, "127.0.0.1");
    config->listen_port = 8000;
    snprintf(config->data_dir, sizeof config->data_dir, "forewarn-data");
    config->rate_limit = true;
    config->http_threads = 2;
    config->connections_max = 12000;
    config->body_bytes_max = (size_t)64 << 20;
    config->records_max = 100000;
    config->event_clients = 2000;
    config->step_s = 300;
    config->window_steps = 864;
    config->servers_max = 20000;
    config->future_skew_s = 300;
    config->stale_steps = 3;
    config->expire_hours = 168;
    config->min_interval_s = 10;
    config->past_bytes = (uint64_t)256 << 20;
    config->reuse_bytes = FORECASTER_REUSE_BYTES;
    default_alerts(config);
    config->snapshot_journal_bytes = (uint64_t)64 << 20;
    config->snapshot_interval_s = 3600;
    config->history_days = 60;
    config->log_level = FW_INFO;
    config->log_lines_per_minute = 100;
    const enum fw_status listed = config_set(config, "ingest", "labels", label_rules_default, NULL);
    assert(listed == FW_OK);
    notify_settings_default(&config->notify);
    schema_default(&config->schema);
    profile_rules_default(&config->profiles);
}

/* ---- environment ---- */

enum fw_status config_environment(struct config *config, struct fw_error *err)
{
    static const struct {
        const char *variable, *section, *key;
    } names[] = {
        {"FOREWARN_LISTEN",       "server",   "listen"      },
        {"FOREWARN_DATA",         "server",   "data"        },
        {"FOREWARN_API_KEY_FILE", "server",   "api_key_file"},
        {"CORS_ORIGINS",          "server",   "cors_origins"},
        {"FOREWARN_CORS_ORIGINS", "server",   "cors_origins"},
        {"FOREWARN_STEP",         "fleet",    "step"        },
        {"FOREWARN_MODEL",        "forecast", "model"       },
        {"FOREWARN_FORECASTER",   "forecast", "forecaster"  },
    };
    static const char *const keys[] = {"FOREWARN_API_KEY", "NORDIQ_API_KEY", "TFT_API_KEY",
                                       "TACHYON_API_KEY"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *value = getenv(names[i].variable);
        if (value == NULL)
            continue;
        struct fw_error inner;
        if (config_set(config, names[i].section, names[i].key, value, &inner) != FW_OK)
            return fw_fail(err, inner.status, "environment %s: %s", names[i].variable, inner.text);
    }
    for (size_t i = 0; i < COUNT(keys); i++) {
        const char *value = getenv(keys[i]);
        if (value == NULL || value[strspn(value, " \t\r\n")] == '\0')
            continue;
        if (strlen(value) >= sizeof config->environment_key)
            return fw_fail(err, FW_EINVAL, "environment %s: longer than %zu bytes", keys[i],
                           sizeof config->environment_key - 1);
        snprintf(config->environment_key, sizeof config->environment_key, "%s", value);
        break;
    }
    config->log_level = fw_log_level_from_environment(config->log_level);
    return FW_OK;
}

/* ---- checking ---- */

bool config_loopback(const struct config *config)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(config->listen_host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, config->listen_host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, config->listen_host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Read here to say early what is wrong with it; the routes read it again. */
static enum fw_status check_mapping(const struct config *config, struct fw_error *err)
{
    struct series_rules *rules;
    if (config->mapping[0] == '\0')
        return FW_OK;
    const enum fw_status status = series_rules_read(&config->schema, config->mapping, &rules, err);
    series_rules_free(rules);
    return status;
}

enum fw_status config_check(const struct config *config, struct fw_error *err)
{
    const bool keyed = config->api_key_file[0] != '\0' || config->environment_key[0] != '\0';
    if (!keyed && !config_loopback(config) && !config->allow_open)
        return fw_fail(err, FW_EINVAL,
                       "listening on %s needs an API key (--api-key-file, FOREWARN_API_KEY), or "
                       "server.allow_open = on",
                       config->listen_host);
    const uint64_t window_s = (uint64_t)config->step_s * config->window_steps;
    if (config->future_skew_s >= window_s)
        return fw_fail(err, FW_EINVAL, "fleet.future_skew of %u s is not below the window's %llu s",
                       config->future_skew_s, (unsigned long long)window_s);
    const enum fw_status status = notify_settings_check(&config->notify, err);
    return status == FW_OK ? check_mapping(config, err) : status;
}
