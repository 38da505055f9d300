/* What an operator can set. Later sources win: defaults, the file, the environment, the command
 * line. */
#ifndef FW_DAEMON_CONFIG_H
#define FW_DAEMON_CONFIG_H

#include "base/log.h"
#include "domain/identity.h"
#include "domain/labels.h"
#include "domain/schema.h"
#include "notify/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_TEXT_MAX = 1024, CONFIG_KEYS_MAX = 64 };

enum config_forecaster { CONFIG_FORECASTER_AUTO, CONFIG_FORECASTER_ARGUS };
enum config_risk { CONFIG_RISK_FOREWARN, CONFIG_RISK_ARGUS };

struct config {
    /* [server] */
    char listen_host[256];
    uint16_t listen_port; /* 0: any free one */
    char data_dir[CONFIG_TEXT_MAX];
    char api_key_file[CONFIG_TEXT_MAX];
    char host_names[CONFIG_TEXT_MAX];   /* comma list; "*" switches the Host check off */
    char cors_origins[CONFIG_TEXT_MAX]; /* comma list; "" = same origin only */
    bool rate_limit;
    unsigned http_threads;
    unsigned connections_max;
    size_t body_bytes_max;
    size_t records_max;
    size_t event_clients; /* that follow /api/v1/events at once */
    bool allow_open;      /* no key and yet not on loopback: only when said so */

    /* [fleet] */
    uint32_t step_s;
    uint32_t window_steps;
    size_t servers_max;
    uint32_t future_skew_s;
    uint32_t stale_steps;
    uint32_t expire_hours;

    /* [ingest] */
    char mapping[CONFIG_TEXT_MAX]; /* file of a mapping of raw series; "": the built-in one only */

    char labels_text[LABEL_RULES_TEXT + 1]; /* the list of `labels` as it was given */
    struct label_rules labels;              /* that are kept of servers */

    /* [forecast] */
    char model[CONFIG_TEXT_MAX]; /* directory of a model, "none", or "" = the registry's current
                                    one, if any */
    char models_dir[CONFIG_TEXT_MAX]; /* "" = <data>/models */
    enum config_forecaster forecaster;
    enum config_risk risk;
    unsigned forecast_threads; /* 0: one per core */
    uint32_t min_interval_s;
    uint64_t past_bytes;  /* of what was forecast before, for charts */
    uint64_t reuse_bytes; /* of what runs leave for the next ones; 0: nothing */

    /* [alerts] */
    unsigned unusual_per_month; /* of unusual behaviour, wanted at most a server and 30 days; 0:
                                   it is not looked for */
    /* Of the alert book; the names are those of struct alert_options. */
    uint32_t alert_horizon_steps, alert_for_runs, alert_clear_runs, alert_silent_steps;
    uint32_t alert_keep_resolved_s, alert_forget_hours;
    double alert_near_probability, alert_min_probability, alert_hysteresis;

    /* [store] */
    uint64_t snapshot_journal_bytes; /* a snapshot once the journal grew by so much */
    uint32_t snapshot_interval_s;    /* and at the latest after so long, when there was data */
    unsigned history_days;           /* kept beyond the windows; 0: nothing is */

    /* [log] */
    enum fw_log_level log_level;
    bool log_json;
    unsigned log_lines_per_minute;

    /* [notify], [receiver NAME] */
    struct notify_settings notify;

    /* [metric NAME], [profiles] */
    struct schema schema;
    struct profile_rules profiles;

    /* Keys from the environment; those of api_key_file are read by the daemon. */
    char environment_key[256];
};

/* Never fails. About 80 KiB: keep it off small stacks. */
void config_default(struct config *config);

/* An INI file; docs/configuration.md lists sections and keys. FW_EINVAL: err names file and line,
 * and what was expected; unknown sections and keys are errors. FW_EIO: cannot be read. */
FW_MUST_CHECK enum fw_status config_file(struct config *config, const char *path,
                                         struct fw_error *err);

/* FOREWARN_* and the reference's names (NORDIQ_API_KEY, TFT_API_KEY, TACHYON_API_KEY,
 * CORS_ORIGINS). */
FW_MUST_CHECK enum fw_status config_environment(struct config *config, struct fw_error *err);

/* One setting as the file would have it; used for flags too. FW_EINVAL names the key. */
FW_MUST_CHECK enum fw_status config_set(struct config *config, const char *section, const char *key,
                                        const char *value, struct fw_error *err);

/* The settings with a section and a name of their own, in the file's order; not those of [notify],
 * [receiver], [metric] and [profiles]. False behind the last. */
bool config_setting(size_t index, const char **section, const char **key);

/* What differs and a running daemon cannot take over: settings, and metrics that only one of the
 * two has, "fleet.step server.body metric.queue_depth"; cut where `size` ends. Their number. */
size_t config_restart_wanted(const struct config *running, const struct config *fresh, char *names,
                             size_t size);

/* "HOST:PORT", "[V6]:PORT", "HOST" or ":PORT". */
FW_MUST_CHECK enum fw_status config_listen(struct config *config, const char *text,
                                           struct fw_error *err);

/* What only the whole can tell: no key and not loopback, a window too short for the step, ... */
FW_MUST_CHECK enum fw_status config_check(const struct config *config, struct fw_error *err);

bool config_loopback(const struct config *config);

/* [alerts] as the alert book takes it. */
void config_alert_options(const struct config *config, struct alert_options *options);

#endif
