/* Settings by name: one table, so that file, flags and documentation cannot drift apart. */
#include "daemon/config.h"
#include "daemon/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum setting_kind { TEXT, BOOL, UNSIGNED, SIZE, BYTES, LISTEN, CHOICE, LEVEL, LABELS, REAL };

struct setting {
    const char *section, *key;
    enum setting_kind kind;
    size_t offset, size;         /* LISTEN: the host's; the port goes with it */
    unsigned long long min, max; /* REAL: hundredths */
    const char *choices;         /* CHOICE: "first|second": values 0, 1, ... */
};

#define FIELD(member) offsetof(struct config, member), sizeof(((struct config *)NULL)->member)

static const struct setting settings[] = {
    {"server",   "listen",            LISTEN,   FIELD(listen_host),            0,       0,          NULL            },
    {"server",   "data",              TEXT,     FIELD(data_dir),               1,       0,          NULL            },
    {"server",   "api_key_file",      TEXT,     FIELD(api_key_file),           0,       0,          NULL            },
    {"server",   "host_names",        TEXT,     FIELD(host_names),             0,       0,          NULL            },
    {"server",   "cors_origins",      TEXT,     FIELD(cors_origins),           0,       0,          NULL            },
    {"server",   "rate_limit",        BOOL,     FIELD(rate_limit),             0,       0,          NULL            },
    {"server",   "http_threads",      UNSIGNED, FIELD(http_threads),           1,       64,         NULL            },
    {"server",   "connections",       UNSIGNED, FIELD(connections_max),        128,     1000000,    NULL            },
    {"server",   "body",              BYTES,    FIELD(body_bytes_max),         65536,   1ull << 30, NULL            },
    {"server",   "records",           SIZE,     FIELD(records_max),            1,       10000000,   NULL            },
    {"server",   "event_clients",     SIZE,     FIELD(event_clients),          1,       100000,     NULL            },
    {"server",   "allow_open",        BOOL,     FIELD(allow_open),             0,       0,          NULL            },
    {"fleet",    "step",              UNSIGNED, FIELD(step_s),                 1,       3600,       NULL            },
    {"fleet",    "window_steps",      UNSIGNED, FIELD(window_steps),           300,     8640,       NULL            },
    {"fleet",    "servers",           SIZE,     FIELD(servers_max),            1,       1000000,    NULL            },
    {"fleet",    "future_skew",       UNSIGNED, FIELD(future_skew_s),          0,       86400,      NULL            },
    {"fleet",    "stale_steps",       UNSIGNED, FIELD(stale_steps),            1,       1000,       NULL            },
    {"fleet",    "expire_hours",      UNSIGNED, FIELD(expire_hours),           1,       24 * 366,   NULL            },
    {"ingest",   "mapping",           TEXT,     FIELD(mapping),                0,       0,          NULL            },
    {"ingest",   "labels",            LABELS,   FIELD(labels_text),            0,       0,          NULL            },
    {"forecast", "model",             TEXT,     FIELD(model),                  0,       0,          NULL            },
    {"forecast", "models_dir",        TEXT,     FIELD(models_dir),             0,       0,          NULL            },
    {"forecast", "forecaster",        CHOICE,   FIELD(forecaster),             0,       0,          "auto|argus"    },
    {"forecast", "risk",              CHOICE,   FIELD(risk),                   0,       0,          "forewarn|argus"},
    {"forecast", "threads",           UNSIGNED, FIELD(forecast_threads),       0,       1024,       NULL            },
    {"forecast", "min_interval",      UNSIGNED, FIELD(min_interval_s),         0,       3600,       NULL            },
    {"forecast", "past",              BYTES,    FIELD(past_bytes),             1 << 20, 1ull << 40, NULL            },
    {"forecast", "reuse",             BYTES,    FIELD(reuse_bytes),            0,       1ull << 40, NULL            },
    {"alerts",   "unusual_per_month", UNSIGNED, FIELD(unusual_per_month),      0,       300,        NULL            },
    {"alerts",   "horizon_steps",     UNSIGNED, FIELD(alert_horizon_steps),    1,       96,         NULL            },
    {"alerts",   "near_probability",  REAL,     FIELD(alert_near_probability), 1,       100,        NULL            },
    {"alerts",   "min_probability",   REAL,     FIELD(alert_min_probability),  1,       100,        NULL            },
    {"alerts",   "for_runs",          UNSIGNED, FIELD(alert_for_runs),         1,       288,        NULL            },
    {"alerts",   "clear_runs",        UNSIGNED, FIELD(alert_clear_runs),       1,       288,        NULL            },
    {"alerts",   "hysteresis",        REAL,     FIELD(alert_hysteresis),       0,       50,         NULL            },
    {"alerts",   "silent_steps",      UNSIGNED, FIELD(alert_silent_steps),     1,       288,        NULL            },
    {"alerts",   "keep_resolved",     UNSIGNED, FIELD(alert_keep_resolved_s),  0,       604800,     NULL            },
    {"alerts",   "forget_hours",      UNSIGNED, FIELD(alert_forget_hours),     1,       24 * 366,   NULL            },
    {"store",    "snapshot_journal",  BYTES,    FIELD(snapshot_journal_bytes), 1 << 20, 1ull << 40, NULL            },
    {"store",    "snapshot_interval", UNSIGNED, FIELD(snapshot_interval_s),    10,      86400,      NULL            },
    {"store",    "history_days",      UNSIGNED, FIELD(history_days),           0,       3660,       NULL            },
    {"log",      "level",             LEVEL,    FIELD(log_level),              0,       0,          NULL            },
    {"log",      "json",              BOOL,     FIELD(log_json),               0,       0,          NULL            },
    {"log",      "lines_per_minute",  UNSIGNED, FIELD(log_lines_per_minute),   0,       1000000,    NULL            },
};

/* ---- values ---- */

static bool parse_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no",
                                                                                "off", "0"};
    for (size_t i = 0; i < COUNT(yes); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

/* A decimal number; with `sizes` also 64KiB, 64MiB, 2GiB. */
static bool parse_number(const char *text, bool sizes, unsigned long long *out)
{
    static const struct {
        const char *suffix;
        unsigned shift;
    } units[] = {
        {"",    0 },
        {"KiB", 10},
        {"MiB", 20},
        {"GiB", 30}
    };
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)text[0]))
        return false;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    for (size_t i = 0; i < (sizes ? COUNT(units) : 1); i++) {
        if (strcmp(end, units[i].suffix) == 0 && value <= ~0ull >> units[i].shift) {
            *out = value << units[i].shift;
            return true;
        }
    }
    return false;
}

static bool parse_choice(const char *text, const char *choices, int *out)
{
    const size_t len = strlen(text);
    for (int i = 0; *choices != '\0'; i++) {
        const size_t size = strcspn(choices, "|");
        if (size == len && memcmp(choices, text, len) == 0) {
            *out = i;
            return true;
        }
        choices += size + (choices[size] == '|');
    }
    return false;
}

enum fw_status config_listen(struct config *config, const char *text, struct fw_error *err)
{
    const char *port = NULL;
    size_t host_len = strlen(text);
    const char *host = text;
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':'))
            return fw_fail(err, FW_EINVAL, "listen \"%s\": expected [ADDRESS]:PORT", text);
        host = text + 1;
        host_len = (size_t)(close - host);
        port = close[1] == ':' ? close + 2 : NULL;
    } else {
        const char *colon = strrchr(text, ':');
        if (colon != NULL && strchr(text, ':') == colon) {
            host_len = (size_t)(colon - text);
            port = colon + 1;
        }
    }
    unsigned long long number = config->listen_port;
    if (port != NULL && (!parse_number(port, false, &number) || number > 65535))
        return fw_fail(err, FW_EINVAL, "listen \"%s\": the port is no number from 0 to 65535",
                       text);
    if (host_len >= sizeof config->listen_host)
        return fw_fail(err, FW_EINVAL, "listen: the host is longer than %zu bytes",
                       sizeof config->listen_host - 1);
    if (host_len > 0) {
        memcpy(config->listen_host, host, host_len);
        config->listen_host[host_len] = '\0';
    }
    config->listen_port = (uint16_t)number;
    return FW_OK;
}

static enum fw_status set_number(void *field, const struct setting *s, const char *value,
                                 struct fw_error *err)
{
    unsigned long long number;
    if (!parse_number(value, s->kind == BYTES, &number) || number < s->min || number > s->max)
        return fw_fail(err, FW_EINVAL, "%s.%s = \"%s\": expected a number from %llu to %llu%s",
                       s->section, s->key, value, s->min, s->max,
                       s->kind == BYTES ? " (KiB, MiB, GiB allowed)" : "");
    if (s->size == sizeof(uint64_t))
        *(uint64_t *)field = number;
    else
        *(uint32_t *)field = (uint32_t)number;
    return FW_OK;
}

static enum fw_status set_real(double *field, const struct setting *s, const char *value,
                               struct fw_error *err)
{
    char *end;
    const double number = strtod(value, &end), min = (double)s->min / 100,
                 max = (double)s->max / 100;
    if (!isdigit((unsigned char)value[0]) || *end != '\0' || !(number >= min) || !(number <= max))
        return fw_fail(err, FW_EINVAL, "%s.%s = \"%s\": expected a number from %g to %g",
                       s->section, s->key, value, min, max);
    *field = number;
    return FW_OK;
}

static enum fw_status set_labels(struct config *config, const char *value, struct fw_error *err)
{
    struct fw_error why = {0};
    if (strlen(value) > LABEL_RULES_TEXT)
        return fw_fail(err, FW_EINVAL, "ingest.labels: expected up to %d bytes", LABEL_RULES_TEXT);
    if (label_rules_parse(&config->labels, value, &why) != FW_OK)
        return fw_fail(err, FW_EINVAL, "ingest.labels: %s", why.text);
    memcpy(config->labels_text, value, strlen(value) + 1);
    return FW_OK;
}

static enum fw_status apply(struct config *config, const struct setting *s, const char *value,
                            struct fw_error *err)
{
    void *field = (char *)config + s->offset;
    int choice;
    switch (s->kind) {
    case TEXT:
        if (strlen(value) >= s->size || strlen(value) < s->min)
            return fw_fail(err, FW_EINVAL, "%s.%s: expected %llu to %zu bytes", s->section, s->key,
                           s->min, s->size - 1);
        memcpy(field, value, strlen(value) + 1);
        return FW_OK;
    case BOOL:
        if (!parse_bool(value, field))
            return fw_fail(err, FW_EINVAL, "%s.%s = \"%s\": expected on or off", s->section, s->key,
                           value);
        return FW_OK;
    case REAL:
        return set_real(field, s, value, err);
    case LABELS:
        return set_labels(config, value, err);
    case LISTEN:
        return config_listen(config, value, err);
    case CHOICE:
        if (!parse_choice(value, s->choices, &choice))
            return fw_fail(err, FW_EINVAL, "%s.%s = \"%s\": expected one of %s", s->section, s->key,
                           value, s->choices);
        *(int *)field = choice;
        return FW_OK;
    case LEVEL:
        if (!fw_log_level_parse(value, field))
            return fw_fail(err, FW_EINVAL,
                           "log.level = \"%s\": expected debug, info, warn or error", value);
        return FW_OK;
    default:
        return set_number(field, s, value, err);
    }
}

/* ---- [metric NAME] and [profiles] ---- */

static bool parse_real(const char *text, double *out)
{
    char *end;
    if (strcmp(text, "none") == 0) {
        *out = (double)NAN;
        return true;
    }
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out);
}

enum fw_status config_metric_begin(const struct config *config, const char *name,
                                   struct schema_metric *metric, struct fw_error *err)
{
    *metric = (struct schema_metric){
        .min = 0, .max = (double)INFINITY, .warning = (double)NAN, .critical = (double)NAN};
    if (strlen(name) > SCHEMA_METRIC_NAME_MAX)
        return fw_fail(err, FW_EINVAL, "[metric %.20s...]: the name is longer than %d bytes", name,
                       SCHEMA_METRIC_NAME_MAX);
    memcpy(metric->name, name, strlen(name) + 1);
    const int known = schema_find(&config->schema, name, strlen(name));
    if (known >= 0)
        *metric = config->schema.metrics[known];
    return FW_OK;
}

enum fw_status config_metric_set(struct schema_metric *metric, const char *key, const char *value,
                                 struct fw_error *err)
{
    double *real = strcmp(key, "min") == 0        ? &metric->min
                   : strcmp(key, "max") == 0      ? &metric->max
                   : strcmp(key, "warning") == 0  ? &metric->warning
                   : strcmp(key, "critical") == 0 ? &metric->critical
                                                  : NULL;
    int choice;
    if (real != NULL) {
        if (!parse_real(value, real))
            return fw_fail(err, FW_EINVAL, "metric %s: %s = \"%s\" is no number", metric->name, key,
                           value);
        if (real == &metric->max && isnan(metric->max))
            metric->max = (double)INFINITY;
        if (real == &metric->min && isnan(metric->min))
            metric->min = -(double)INFINITY;
    } else if (strcmp(key, "worse") == 0 && parse_choice(value, "none|high|low", &choice)) {
        metric->worse = (enum metric_worse)choice;
    } else if (strcmp(key, "unit") == 0 && strlen(value) <= SCHEMA_UNIT_MAX) {
        snprintf(metric->unit, sizeof metric->unit, "%s", value);
    } else {
        return fw_fail(err, FW_EINVAL,
                       "metric %s: unknown or bad setting \"%s = %s\" (min, max, warning, "
                       "critical, worse, unit)",
                       metric->name, key, value);
    }
    return FW_OK;
}

static enum fw_status set_metric(struct config *config, const char *name, const char *key,
                                 const char *value, struct fw_error *err)
{
    struct schema_metric metric;
    enum fw_status status = config_metric_begin(config, name, &metric, err);
    if (status == FW_OK)
        status = config_metric_set(&metric, key, value, err);
    return status == FW_OK ? schema_set(&config->schema, &metric, err) : status;
}

enum fw_status config_set(struct config *config, const char *section, const char *key,
                          const char *value, struct fw_error *err)
{
    if (strncmp(section, "metric ", 7) == 0)
        return set_metric(config, section + 7, key, value, err);
    if (strcmp(section, "notify") == 0)
        return notify_settings_set(&config->notify, NULL, key, value, err);
    if (strncmp(section, "receiver ", 9) == 0)
        return notify_settings_set(&config->notify, section + 9, key, value, err);
    if (strcmp(section, "profiles") == 0) {
        const enum profile profile = profile_parse(value, strlen(value));
        if (profile >= PROFILE_COUNT)
            return fw_fail(err, FW_EINVAL, "profile pattern \"%s\": \"%s\" names no profile", key,
                           value);
        return profile_rules_prepend(&config->profiles, key, profile, err);
    }
    for (size_t i = 0; i < COUNT(settings); i++)
        if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].key, key) == 0)
            return apply(config, &settings[i], value, err);
    if (section[0] == '\0')
        return fw_fail(err, FW_EINVAL, "\"%s\" stands before the first [section]", key);
    if (strcmp(section, "receiver") == 0 || strcmp(section, "metric") == 0)
        return fw_fail(err, FW_EINVAL, "[%s] has no name: [%s NAME]", section, section);
    return fw_fail(err, FW_EINVAL, "unknown setting %s.%s", section, key);
}

bool config_setting(size_t index, const char **section, const char **key)
{
    if (index >= COUNT(settings))
        return false;
    *section = settings[index].section;
    *key = settings[index].key;
    return true;
}

/* ---- what a reload takes over ---- */

static bool same(const struct setting *s, const struct config *a, const struct config *b)
{
    const char *x = (const char *)a + s->offset, *y = (const char *)b + s->offset;
    if (s->kind == LISTEN)
        return strcmp(a->listen_host, b->listen_host) == 0 && a->listen_port == b->listen_port;
    return s->kind == TEXT || s->kind == LABELS ? strcmp(x, y) == 0 : memcmp(x, y, s->size) == 0;
}

static bool reloadable(const struct setting *s, const struct config *running,
                       const struct config *fresh)
{
    static const char *const sections[] = {"log", "alerts", "ingest"};
    static const struct {
        const char *section, *key;
    } single[] = {
        {"server",   "api_key_file"},
        {"server",   "rate_limit"  },
        {"forecast", "risk"        },
    };
    if (strcmp(s->key, "unusual_per_month") == 0) /* who looks for it is there or is not */
        return (running->unusual_per_month == 0) == (fresh->unusual_per_month == 0);
    for (size_t i = 0; i < COUNT(sections); i++)
        if (strcmp(s->section, sections[i]) == 0)
            return true;
    for (size_t i = 0; i < COUNT(single); i++)
        if (strcmp(s->section, single[i].section) == 0 && strcmp(s->key, single[i].key) == 0)
            return true;
    return false;
}

struct names {
    char *text;
    size_t len, size, count;
};

static void put_name(struct names *names, const char *section, const char *key)
{
    names->count++;
    if (names->len < names->size)
        names->len += (size_t)snprintf(names->text + names->len, names->size - names->len,
                                       "%s%s.%s", names->len > 0 ? " " : "", section, key);
}

static void put_missing(struct names *names, const struct schema *from, const struct schema *in)
{
    for (size_t i = 0; i < from->count; i++) {
        const char *name = from->metrics[i].name;
        if (schema_find(in, name, strlen(name)) < 0)
            put_name(names, "metric", name);
    }
}

size_t config_restart_wanted(const struct config *running, const struct config *fresh, char *names,
                             size_t size)
{
    struct names wanted = {.text = names, .size = size};
    names[0] = '\0';
    for (size_t i = 0; i < COUNT(settings); i++)
        if (!same(&settings[i], running, fresh) && !reloadable(&settings[i], running, fresh))
            put_name(&wanted, settings[i].section, settings[i].key);
    put_missing(&wanted, &fresh->schema, &running->schema);
    put_missing(&wanted, &running->schema, &fresh->schema);
    return wanted.count;
}
