/* What a running daemon takes over from a configuration that was read again. Everything that can
 * fail comes first; then each part is handed its new rules whole, and uses them for what it begins
 * afterwards. */
#include "daemon/daemon_internal.h"

#include "base/alloc.h"
#include "base/log.h"

#include <string.h>

enum risk_scorer daemon_scorer(const struct config *config)
{
    return config->risk == CONFIG_RISK_ARGUS ? RISK_ARGUS : RISK_FOREWARN;
}

double daemon_unusual_rate(const struct config *config)
{
    enum { MONTH_DAYS = 30 };
    return (double)config->unusual_per_month / MONTH_DAYS;
}

void daemon_configure_log(const struct config *config)
{
    const struct fw_log_options log = {.level = config->log_level,
                                       .json = config->log_json,
                                       .lines_per_minute = config->log_lines_per_minute};
    fw_log_configure(&log);
}

enum fw_status daemon_read_keys(const struct config *config, struct http_keys *keys,
                                struct fw_error *err)
{
    enum fw_status status = FW_OK;
    if (config->environment_key[0] != '\0')
        status = http_keys_add_plain(keys, "environment", HTTP_ADMIN, config->environment_key, err);
    if (status == FW_OK && config->api_key_file[0] != '\0')
        status = http_keys_add_file(keys, config->api_key_file, err);
    if (status == FW_OK && config->api_key_file[0] != '\0' && http_keys_count(keys) == 0)
        status = fw_fail(err, FW_EINVAL, "key file %s holds no key", config->api_key_file);
    return status;
}

/* What is made before anything changes. */
struct fresh {
    const struct config *config;
    struct http_keys *keys;
    struct outlook_rules *runs;
    struct api_rules *requests;
};

/* The address is the one listened on, whatever the fresh configuration has. */
static enum fw_status fresh_keys(const struct daemon *daemon, struct fresh *fresh,
                                 struct fw_error *err)
{
    fresh->keys = http_keys_new();
    if (fresh->keys == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    const enum fw_status status = daemon_read_keys(fresh->config, fresh->keys, err);
    if (status == FW_OK && http_keys_count(fresh->keys) == 0 && !config_loopback(daemon->config) &&
        !daemon->config->allow_open)
        return fw_fail(err, FW_EINVAL, "listening on %s needs an API key",
                       daemon->config->listen_host);
    return status;
}

static bool has_new_metric(const struct schema *running, const struct schema *fresh)
{
    for (size_t i = 0; i < fresh->count; i++)
        if (schema_find(running, fresh->metrics[i].name, strlen(fresh->metrics[i].name)) < 0)
            return true;
    return false;
}

/* Windows have the columns that they began with, so metrics that only the fresh configuration has
 * wait, and those that it lacks stay as they are. */
static enum fw_status fresh_rules(struct daemon *daemon, struct fresh *fresh, struct fw_error *err)
{
    const struct config *config = fresh->config;
    struct outlook_rules *runs = fresh->runs = fw_calloc(1, sizeof *runs);
    if (runs == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    pthread_mutex_lock(&daemon->models.lock);
    runs->schema = daemon->models.schema;
    pthread_mutex_unlock(&daemon->models.lock);
    schema_take_over(&runs->schema, &config->schema);
    config_alert_options(config, &runs->alerts);
    runs->alerts.step_s = daemon->config->step_s;
    runs->scorer = daemon_scorer(config);
    runs->alarms_per_server_day = daemon_unusual_rate(config);
    struct fw_error why = {0};
    const enum fw_status status = api_rules_new(daemon->api, &runs->schema, config->mapping,
                                                &config->labels, &fresh->requests, &why);
    const bool waits = status == FW_EINVAL && has_new_metric(&runs->schema, &config->schema);
    if (status != FW_OK)
        return fw_fail_at(err, status, why.offset, "%s%s", why.text,
                          waits ? " (restart needed for metrics that are new)" : "");
    return FW_OK;
}

static void take_over(struct daemon *daemon, struct fresh *fresh)
{
    const struct config *config = fresh->config;
    pthread_mutex_lock(&daemon->models.lock);
    daemon->models.schema = fresh->runs->schema;
    pthread_mutex_unlock(&daemon->models.lock);
    alert_control_inhibit(daemon->control, config->notify.inhibit);
    http_keys_replace(daemon->keys, fresh->keys);
    http_server_limit_rates(daemon->http, config->rate_limit);
    daemon_configure_log(config);
    fleet_set_profiles(daemon->fleet, &config->profiles);
    api_rules_use(daemon->api, fresh->requests);
    fresh->requests = NULL;
    fleet_labels_keep(daemon->fleet, &config->labels);
    outlook_runner_use(daemon->runner, fresh->runs);
    fresh->runs = NULL;
}

void daemon_reload(struct daemon *daemon, const struct config *config)
{
    struct fresh fresh = {.config = config};
    struct fw_error err = {0};
    char names[256];
    if (fresh_keys(daemon, &fresh, &err) == FW_OK && fresh_rules(daemon, &fresh, &err) == FW_OK &&
        notifier_reload(daemon->notifier, &config->notify, &err) == FW_OK) {
        take_over(daemon, &fresh);
        FW_LOG_INFO("daemon", "reloaded keys=%zu", http_keys_count(daemon->keys));
        if (config_restart_wanted(daemon->config, config, names, sizeof names) > 0)
            FW_LOG_WARN("daemon", "restart needed for changed settings names=\"%s\"", names);
    } else {
        FW_LOG_ERROR("daemon", "reload failed, nothing changes reason=\"%s\"", err.text);
    }
    api_rules_release(fresh.requests);
    fw_free(fresh.runs);
    http_keys_free(fresh.keys);
}
