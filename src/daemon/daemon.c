#include "daemon/daemon_internal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "forecast/forecaster.h"

#include <stdio.h>
#include <string.h>

enum { STOP_GRACE_MS = 1500, HOSTS_MAX = 64 };

/* ---- the HTTP front ---- */

/* Cuts a comma list in place into at most `max` trimmed items. */
static size_t split_list(char *text, const char *items[], size_t max)
{
    size_t n = 0;
    char *rest = NULL;
    for (char *item = strtok_r(text, ", \t", &rest); item != NULL && n < max;
         item = strtok_r(NULL, ", \t", &rest))
        items[n++] = item;
    return n;
}

static enum fw_status start_http(struct daemon *daemon, struct fw_error *err)
{
    const struct config *config = daemon->config;
    char hosts[CONFIG_TEXT_MAX], origins[CONFIG_TEXT_MAX];
    const char *host_list[HOSTS_MAX], *origin_list[HOSTS_MAX];
    snprintf(hosts, sizeof hosts, "%s", config->host_names);
    snprintf(origins, sizeof origins, "%s", config->cors_origins);
    const struct api_options api_options = {
        .schema = &config->schema,
        .clock = daemon->clock,
        .labels = &config->labels,
        .mapping = config->mapping,
        .models_dir = daemon->models.directory,
        .past_bytes_max = (size_t)config->past_bytes,
        .body_bytes_max = config->body_bytes_max,
        .records_max = config->records_max,
        .event_clients_max = config->event_clients,
        .renew_ms = config->min_interval_s * 1000,
    };
    enum fw_status status = api_new(&api_options, &daemon->api, err);
    if (status != FW_OK)
        return status;
    struct http_options options;
    http_options_init(&options);
    options.address =
        strcmp(config->listen_host, "localhost") == 0 ? "127.0.0.1" : config->listen_host;
    options.port = config->listen_port;
    options.threads = config->http_threads;
    options.connections_max = config->connections_max;
    options.rate_limits_off = !config->rate_limit;
    options.host_names = host_list;
    options.n_host_names = split_list(hosts, host_list, HOSTS_MAX);
    options.cors_origins = origin_list;
    options.n_cors_origins = split_list(origins, origin_list, HOSTS_MAX);
    options.keys = daemon->keys;
    const struct http_route *routes;
    size_t n_routes;
    api_routes(daemon->api, &routes, &n_routes);
    status = http_server_start(&options, routes, n_routes, &daemon->http, err);
    if (status != FW_OK)
        return status;
    api_set_server(daemon->api, daemon->http);
    const bool v6 = strchr(config->listen_host, ':') != NULL;
    snprintf(daemon->url, sizeof daemon->url, "http://%s%s%s:%u", v6 ? "[" : "",
             config->listen_host, v6 ? "]" : "", (unsigned)http_server_port(daemon->http));
    return FW_OK;
}

/* ---- what runs behind it ---- */

static void wake_runner(void *ctx)
{
    struct outlook_runner *runner = ((struct daemon *)ctx)->runner;
    if (runner != NULL)
        outlook_runner_wake(runner);
}

static bool model_trouble(void *ctx, char *text, size_t size)
{
    struct daemon_models *models = &((struct daemon *)ctx)->models;
    pthread_mutex_lock(&models->lock);
    const bool trouble = models->trouble[0] != '\0';
    if (trouble)
        snprintf(text, size, "%s", models->trouble);
    pthread_mutex_unlock(&models->lock);
    return trouble;
}

/* One line per change of an alert that people act upon; the run itself logs nothing. */
static void log_transition(void *ctx, const struct alert_transition *transition)
{
    const struct daemon *daemon = ctx;
    const struct alert *alert = &transition->alert;
    if (transition->to == ALERT_PENDING ||
        (transition->to == ALERT_RESOLVED && transition->from == ALERT_PENDING))
        return;
    const char *metric = alert_metric_name(&daemon->config->schema, alert->metric);
    FW_LOG_INFO("alert", "%s server=%s metric=%s severity=%s minutes_ahead=%u probability=%.2f",
                alert_state_name(transition->to), alert->server, metric,
                alert_severity_name(alert->severity),
                alert->steps_ahead * daemon->config->step_s / 60, (double)alert->probability);
}

/* Silences and acknowledgements changed. */
static void on_control(void *ctx)
{
    struct daemon *daemon = ctx;
    notifier_wake(daemon->notifier);
    api_control_changed(daemon->api);
    outlook_runner_wake(daemon->runner); /* bodies are rendered once an outlook */
}

/* What people said, and who is to be told. Nothing is sent before the first outlook. */
static enum fw_status make_notifier(struct daemon *daemon, struct fw_error *err)
{
    const struct config *config = daemon->config;
    const struct alert_control_options control = {
        .schema = &config->schema,
        .state = daemon->state,
        .labels = {fleet_labels_find, daemon->fleet},
        .inhibit = config->notify.inhibit,
        .changed = on_control,
        .ctx = daemon,
    };
    enum fw_status status = alert_control_open(&control, &daemon->control, err);
    if (status != FW_OK)
        return status;
    const struct notifier_options options = {
        .settings = &config->notify,
        .schema = &config->schema,
        .state = daemon->state,
        .labels = {fleet_labels_find, daemon->fleet},
        .control = daemon->control,
        .clock = daemon->clock,
        .external_url = daemon->url,
        .step_s = config->step_s,
    };
    status = notifier_new(&options, &daemon->notifier, err);
    if (status == FW_OK)
        status = notifier_start(daemon->notifier, err);
    if (status == FW_OK)
        outlook_board_follow(daemon->board, notifier_on_outlook, daemon->notifier);
    return status;
}

static void attach_api(struct daemon *daemon)
{
    const struct api_parts parts = {
        .fleet = daemon->fleet,
        .board = daemon->board,
        .journal = daemon->journal,
        .state = daemon->state,
        .control = daemon->control,
        .notifier = daemon->notifier,
        .forecaster = daemon->forecaster,
        .models = daemon_models_api(daemon),
        .wake = wake_runner,
        .wake_ctx = daemon,
        .trouble = model_trouble,
        .trouble_ctx = daemon,
        .history = daemon_history_describe,
        .history_read = daemon_history_read,
        .history_ctx = daemon,
    };
    api_attach(daemon->api, &parts);
}

/* Unusual behaviour, where the operator wants to hear of it. */
static enum fw_status watch_unusual(struct daemon *daemon, struct fw_error *err)
{
    const struct surprise_options options = {
        .step_s = daemon->config->step_s,
        .alarms_per_server_day = daemon_unusual_rate(daemon->config),
    };
    if (daemon->config->unusual_per_month == 0)
        return FW_OK;
    const enum fw_status status = surprise_new(&options, &daemon->surprise, err);
    if (status != FW_OK)
        return status;
    daemon_unusual_load(daemon);
    alert_book_watch(daemon->alerts, daemon->surprise);
    return FW_OK;
}

static enum fw_status start_forecasts(struct daemon *daemon, struct fw_error *err)
{
    const struct config *config = daemon->config;
    const struct forecaster_options forecaster = {
        .schema = &config->schema,
        .clock = daemon->clock,
        .step_s = config->step_s,
        .threads = config->forecast_threads,
        .kind = config->forecaster == CONFIG_FORECASTER_ARGUS ? FORECASTER_ARGUS : FORECASTER_AUTO,
        .in_parts = true,
        .reuse_bytes_max = (size_t)config->reuse_bytes,
    };
    enum fw_status status = forecaster_new(&forecaster, &daemon->forecaster, err);
    if (status == FW_OK)
        status = daemon_models_load(daemon, err);
    if (status != FW_OK)
        return status;
    daemon_learned_load(daemon);
    outlook_board_listen(daemon->board, daemon_learned_due, daemon);
    struct alert_options alert;
    config_alert_options(config, &alert);
    status = alert_book_open(&alert, daemon->state, &daemon->alerts, err);
    if (status == FW_OK)
        status = watch_unusual(daemon, err);
    if (status != FW_OK)
        return status;
    status = make_notifier(daemon, err);
    if (status != FW_OK)
        return status;
    struct outlook_runner_options runner = {
        .fleet = daemon->fleet,
        .forecaster = daemon->forecaster,
        .alerts = daemon->alerts,
        .surprise = daemon->surprise,
        .state = daemon->state,
        .clock = daemon->clock,
        .board = daemon->board,
        /* 0 would be the runner's default. */
        .min_interval_ms = config->min_interval_s > 0 ? (int64_t)config->min_interval_s * 1000 : 1,
        .on_transition = log_transition,
        .on_transition_ctx = daemon,
    };
    risk_options_default(&runner.risk, &config->schema);
    runner.risk.scorer = daemon_scorer(config);
    attach_api(daemon); /* listens on the board, which is possible only while nobody publishes */
    daemon_past_load(daemon);
    struct outlook_runner *started = NULL;
    status = outlook_runner_start(&runner, &started, err);
    daemon->runner = started;
    return status;
}

static void report_database(const char *path, const struct store_state_report *report)
{
    if (report->wal_lost_commits > 0 || report->rebuilt || report->damaged_rows > 0)
        FW_LOG_ERROR("store",
                     "a database was damaged file=%s lost_commits=%llu rebuilt=%d "
                     "damaged_rows=%llu copy=%s",
                     path, (unsigned long long)report->wal_lost_commits, report->rebuilt,
                     (unsigned long long)report->damaged_rows, report->copy_path);
}

enum fw_status daemon_open_database(struct daemon *daemon, const char *path,
                                    struct store_state **out, struct fw_error *err)
{
    const struct store_state_options options = {.clock = daemon->clock,
                                                .quarantine_dir = daemon->directory.quarantine};
    struct store_state_report report = {0};
    const enum fw_status status = store_state_open(path, &options, &report, out, err);
    if (status == FW_OK)
        report_database(path, &report);
    return status;
}

static enum fw_status make_fleet(struct daemon *daemon, struct fw_error *err)
{
    const struct config *config = daemon->config;
    struct fleet_options options;
    fleet_options_default(&options);
    options.schema = &config->schema;
    options.profiles = &config->profiles;
    options.clock = daemon->clock;
    options.step_s = config->step_s;
    options.window_steps = config->window_steps;
    options.servers_max = config->servers_max;
    options.future_skew_ms = (int64_t)config->future_skew_s * 1000;
    options.stale_steps = config->stale_steps;
    options.expire_ms = (int64_t)config->expire_hours * 3600000;
    return fleet_new(&options, &daemon->fleet, err);
}

static enum fw_status prepare(struct daemon *daemon, struct fw_error *err)
{
    daemon->keys = http_keys_new();
    daemon->board = outlook_board_new();
    if (daemon->keys == NULL || daemon->board == NULL)
        return fw_fail(err, FW_ENOMEM, "start: out of memory");
    enum fw_status status = daemon_read_keys(daemon->config, daemon->keys, err);
    if (status == FW_OK)
        status = store_directory_init(&daemon->directory, daemon->config->data_dir, NULL,
                                      STORE_DIRECTORY_CREATE, err);
    if (status == FW_OK)
        status = daemon_models_init(daemon, err);
    return status;
}

static enum fw_status start(struct daemon *daemon, const struct daemon_options *options,
                            struct fw_error *err)
{
    enum fw_status status = prepare(daemon, err);
    if (status == FW_OK)
        status = start_http(daemon, err);
    if (status != FW_OK)
        return status;
    if (options->listening != NULL)
        options->listening(options->ctx, daemon->url);
    status = daemon_open_database(daemon, daemon->directory.state, &daemon->state, err);
    if (status == FW_OK)
        status = make_fleet(daemon, err);
    if (status == FW_OK)
        status = daemon_recover(daemon, err);
    if (status == FW_OK)
        daemon_labels_load(daemon);
    if (status == FW_OK && daemon_history_urgent(daemon))
        daemon_history_start(daemon);
    if (status == FW_OK)
        status = start_forecasts(daemon, err);
    if (status != FW_OK)
        return status;
    outlook_runner_wake(daemon->runner);
    return daemon_housekeeping_start(daemon, err);
}

enum fw_status daemon_start(const struct daemon_options *options, struct daemon **out,
                            struct fw_error *err)
{
    *out = NULL;
    struct daemon *daemon = fw_calloc(1, sizeof *daemon);
    if (daemon == NULL)
        return fw_fail(err, FW_ENOMEM, "start: out of memory");
    daemon->config = options->config;
    daemon->clock = options->clock != NULL ? options->clock : fw_clock_system();
    daemon->directory.lock_fd = -1;
    pthread_mutex_init(&daemon->models.lock, NULL);
    daemon->models.schema = options->config->schema;
    daemon_configure_log(options->config);
    const enum fw_status status = start(daemon, options, err);
    if (status != FW_OK) {
        daemon_stop(daemon);
        return status;
    }
    FW_LOG_INFO("daemon", "ready url=%s data=%s step_s=%u keys=%zu version=%s", daemon->url,
                daemon->config->data_dir, daemon->config->step_s, http_keys_count(daemon->keys),
                FW_VERSION);
    *out = daemon;
    return FW_OK;
}

/* Also takes down what a failed start has built, so every part may be missing. */
void daemon_stop(struct daemon *daemon)
{
    if (daemon == NULL)
        return;
    struct fw_error err = {0};
    daemon_housekeeping_stop(daemon);
    notifier_stop(daemon->notifier); /* a delivery under way may take a second to notice */
    if (daemon->http != NULL) {
        api_set_server(daemon->api, NULL);
        http_server_stop(daemon->http, STOP_GRACE_MS);
    }
    if (daemon->api != NULL)
        api_drain(daemon->api);
    const bool whole = daemon->journal != NULL && daemon->runner != NULL;
    store_journal_close(daemon->journal);
    daemon->journal = NULL;
    outlook_runner_stop(daemon->runner);
    notifier_free(daemon->notifier);
    if (whole && daemon_snapshot(daemon, &err) != FW_OK)
        FW_LOG_WARN("store", "no snapshot at the end, the journal has it all reason=\"%s\"",
                    err.text);
    if (whole) {
        daemon_learned_save(daemon);
        daemon_labels_save(daemon);
    }
    api_free(daemon->api);
    alert_control_close(daemon->control);
    alert_book_close(daemon->alerts);
    surprise_free(daemon->surprise);
    forecaster_free(daemon->forecaster);
    outlook_board_free(daemon->board);
    daemon_history_stop(daemon);
    fleet_free(daemon->fleet);
    store_state_close(daemon->state);
    store_directory_fini(&daemon->directory);
    http_keys_free(daemon->keys);
    daemon_models_fini(daemon);
    pthread_mutex_destroy(&daemon->models.lock);
    if (whole)
        FW_LOG_INFO("daemon", "stopped");
    fw_free(daemon);
}

uint16_t daemon_port(const struct daemon *daemon)
{
    return http_server_port(daemon->http);
}

struct fleet *daemon_fleet(struct daemon *daemon)
{
    return daemon->fleet;
}

struct outlook_board *daemon_board(struct daemon *daemon)
{
    return daemon->board;
}

struct store_journal *daemon_journal(struct daemon *daemon)
{
    return daemon->journal;
}
