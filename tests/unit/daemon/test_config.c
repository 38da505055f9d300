#include "daemon/config.h"

#include "base/alloc.h"
#include "support.h"

#include <stdlib.h>
#include <unistd.h>

static struct config *fresh(void)
{
    struct config *config = fw_malloc(sizeof *config);
    assert_non_null(config);
    config_default(config);
    return config;
}

static void test_settings(void **state)
{
    static const struct {
        const char *name, *section, *key, *value;
        enum fw_status status;
        const char *says;
    } rows[] = {
        {"step",                       "fleet",                 "step",              "60",                   FW_OK,     ""                           },
        {"step 0",                     "fleet",                 "step",              "0",                    FW_EINVAL, "from 1 to 3600"             },
        {"step too long",              "fleet",                 "step",              "3601",                 FW_EINVAL, "from 1 to 3600"             },
        {"step with rubbish",          "fleet",                 "step",              "60s",                  FW_EINVAL, "expected a number"          },
        {"step signed",                "fleet",                 "step",              "+60",                  FW_EINVAL, "expected a number"          },
        {"size with unit",             "server",                "body",              "16MiB",                FW_OK,     ""                           },
        {"size too large",             "server",                "body",              "2GiB",                 FW_EINVAL, "server.body"                },
        {"size overflow",              "server",                "body",              "99999999999999999999", FW_EINVAL, "server.body"                },
        {"choice",                     "forecast",              "forecaster",        "argus",                FW_OK,     ""                           },
        {"bad choice",                 "forecast",              "forecaster",        "arg",                  FW_EINVAL, "auto|argus"                 },
        {"switch",                     "server",                "rate_limit",        "off",                  FW_OK,     ""                           },
        {"bad switch",                 "server",                "rate_limit",        "maybe",                FW_EINVAL, "on or off"                  },
        {"level",                      "log",                   "level",             "DEBUG",                FW_OK,     ""                           },
        {"unknown key",                "fleet",                 "steps",             "1",                    FW_EINVAL, "unknown setting fleet.steps"},
        {"unknown section",            "flet",                  "step",              "1",                    FW_EINVAL, "unknown setting"            },
        {"empty data directory",       "server",                "data",              "",                     FW_EINVAL, "server.data"                },
        {"no history",                 "store",                 "history_days",      "0",                    FW_OK,     ""                           },
        {"nothing is unusual",         "alerts",                "unusual_per_month", "0",                    FW_OK,     ""                           },
        {"too much is unusual",        "alerts",                "unusual_per_month", "301",                  FW_EINVAL, "from 0 to 300"              },
        {"history of eleven years",    "store",                 "history_days",      "4000",                 FW_EINVAL, "from 0 to 3660"             },
        {"a chance",                   "alerts",                "near_probability",  "0.75",                 FW_OK,     ""                           },
        {"a chance beyond one",        "alerts",                "near_probability",  "60",                   FW_EINVAL, "from 0.01 to 1"             },
        {"a chance in words",          "alerts",                "min_probability",   "0.8x",                 FW_EINVAL, "from 0.01 to 1"             },
        {"not a number",               "alerts",                "hysteresis",        "nan",                  FW_EINVAL, "from 0 to 0.5"              },
        {"fires never",                "alerts",                "for_runs",          "0",                    FW_EINVAL, "from 1 to 288"              },
        {"labels",                     "ingest",                "labels",            "dc, rack",             FW_OK,     ""                           },
        {"no labels",                  "ingest",                "labels",            "",                     FW_OK,     ""                           },
        {"a label of ours",            "ingest",                "labels",            "dc, server",           FW_EINVAL, "names the server"           },
        {"no label",                   "ingest",                "labels",            "data center",          FW_EINVAL, "no label's name"            },
        {"threshold",                  "metric disk_usage_pct", "warning",           "80",                   FW_OK,     ""                           },
        {"threshold beyond the other", "metric disk_usage_pct", "warning",           "99",                   FW_EINVAL,
         "thresholds"                                                                                                                                },
        {"threshold out of bounds",    "metric disk_usage_pct", "critical",          "120",                  FW_EINVAL,
         "thresholds"                                                                                                                                },
        {"threshold no number",        "metric disk_usage_pct", "critical",          "high",                 FW_EINVAL,
         "no number"                                                                                                                                 },
        {"new metric",                 "metric queue_depth",    "unit",              "jobs",                 FW_OK,     ""                           },
        {"bad metric name",            "metric queue depth",    "unit",              "jobs",                 FW_EINVAL, "metric name"                },
        {"profile",                    "profiles",              "db-*",              "database",             FW_OK,     ""                           },
        {"unknown profile",            "profiles",              "db-*",              "databases",            FW_EINVAL,
         "\"databases\" names no profile"                                                                                                            },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config = fresh();
        struct fw_error err = {0};
        CHECK_EQ(rows[i].name,
                 config_set(config, rows[i].section, rows[i].key, rows[i].value, &err),
                 rows[i].status);
        CHECK_TRUE(rows[i].name, strstr(err.text, rows[i].says) != NULL);
        fw_free(config);
    }
}

static void test_values_arrive(void **state)
{
    (void)state;
    struct config *config = fresh();
    struct fw_error err;
    assert_int_equal(config_set(config, "server", "body", "16MiB", &err), FW_OK);
    assert_int_equal(config->body_bytes_max, 16u << 20);
    assert_int_equal(config_set(config, "metric disk_usage_pct", "warning", "none", &err), FW_OK);
    assert_true(isnan(config->schema.metrics[METRIC_DISK_USAGE].warning));
    assert_int_equal(config_set(config, "metric queue_depth", "worse", "high", &err), FW_OK);
    assert_int_equal(config_set(config, "metric queue_depth", "warning", "500", &err), FW_OK);
    const int queue = schema_find(&config->schema, "queue_depth", 11);
    assert_int_equal(queue, METRIC_DEFAULT_COUNT);
    assert_true(config->schema.metrics[queue].warning == 500.0);
    assert_int_equal(config_set(config, "profiles", "db-*", "database", &err), FW_OK);
    assert_int_equal(profile_resolve(&config->profiles, "DB-7"), PROFILE_DATABASE);
    fw_free(config);
}

static void check_alerts(const struct alert_options *found, const struct alert_options *expected)
{
    assert_int_equal(found->step_s, expected->step_s);
    assert_int_equal(found->horizon_steps, expected->horizon_steps);
    CHECK_NEAR("near", found->near_probability, expected->near_probability, 0);
    CHECK_NEAR("far", found->min_probability, expected->min_probability, 0);
    assert_int_equal(found->for_runs, expected->for_runs);
    assert_int_equal(found->clear_runs, expected->clear_runs);
    CHECK_NEAR("hysteresis", found->hysteresis, expected->hysteresis, 0);
    assert_int_equal(found->silent_steps, expected->silent_steps);
    assert_int_equal(found->keep_resolved_ms, expected->keep_resolved_ms);
    assert_int_equal(found->forget_ms, expected->forget_ms);
}

/* What is not set is the book's own default, whatever that is. */
static void test_alert_options(void **state)
{
    (void)state;
    struct config *config = fresh();
    struct alert_options expected, found;
    struct fw_error err;
    alert_options_default(&expected, &config->schema, config->step_s);
    config_alert_options(config, &found);
    check_alerts(&found, &expected);
    assert_int_equal(config_set(config, "alerts", "for_runs", "5", &err), FW_OK);
    assert_int_equal(config_set(config, "alerts", "hysteresis", "0.1", &err), FW_OK);
    assert_int_equal(config_set(config, "alerts", "keep_resolved", "60", &err), FW_OK);
    assert_int_equal(config_set(config, "alerts", "forget_hours", "2", &err), FW_OK);
    config_alert_options(config, &found);
    expected.for_runs = 5;
    expected.hysteresis = 0.1;
    expected.keep_resolved_ms = 60000;
    expected.forget_ms = 7200000;
    check_alerts(&found, &expected);
    fw_free(config);
}

static void test_listen(void **state)
{
    static const struct {
        const char *text, *host;
        int port; /* -1: refused */
        bool loopback;
    } rows[] = {
        {"127.0.0.1:9000",  "127.0.0.1", 9000, true },
        {":9000",           "127.0.0.1", 9000, true },
        {"0.0.0.0",         "0.0.0.0",   8000, false},
        {"0.0.0.0:0",       "0.0.0.0",   0,    false},
        {"[::1]:8001",      "::1",       8001, true },
        {"::1",             "::1",       8000, true },
        {"[::]:8001",       "::",        8001, false},
        {"localhost:80",    "localhost", 80,   true },
        {"127.9.9.9:80",    "127.9.9.9", 80,   true },
        {"127.0.0.1:65536", "",          -1,   false},
        {"127.0.0.1:x",     "",          -1,   false},
        {"[::1",            "",          -1,   false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config = fresh();
        struct fw_error err;
        const enum fw_status status = config_listen(config, rows[i].text, &err);
        CHECK_EQ(rows[i].text, status == FW_OK, rows[i].port >= 0);
        if (status == FW_OK) {
            CHECK_STR(rows[i].text, config->listen_host, rows[i].host);
            CHECK_EQ(rows[i].text, config->listen_port, rows[i].port);
            CHECK_EQ(rows[i].text, config_loopback(config), rows[i].loopback);
        }
        fw_free(config);
    }
}

static void test_open_only_on_loopback(void **state)
{
    (void)state;
    struct config *config = fresh();
    struct fw_error err;
    assert_int_equal(config_check(config, &err), FW_OK);
    assert_int_equal(config_listen(config, "0.0.0.0:8000", &err), FW_OK);
    assert_int_equal(config_check(config, &err), FW_EINVAL);
    assert_non_null(strstr(err.text, "API key"));
    snprintf(config->environment_key, sizeof config->environment_key, "secret");
    assert_int_equal(config_check(config, &err), FW_OK);
    fw_free(config);
}

static void test_file_names_the_line(void **state)
{
    static const struct {
        const char *name, *text;
        int line; /* 0: fine */
    } rows[] = {
        {"fine",                               "[fleet]\nstep = 60\n; comment\n[server]\nlisten = 127.0.0.1:0\n", 0},
        {"unknown key",                        "[fleet]\n\nstepp = 60\n",                                         3},
        {"no equals",                          "[fleet]\nstep\n",                                                 2},
        {"bad number",                         "[fleet]\nstep = many\n",                                          2},
        {"receivers",                          "[notify]\nlabels = env=x\n[receiver am-1]\ntype = webhook\n",     0},
        {"bad label",                          "[notify]\n\nlabels = severity=x\n",                               3},
        {"bad name",                           "[receiver a b]\ntype = webhook\n",                                2},
        {"thresholds raised",
         "[metric disk_usage_pct]\nwarning = 97\ncritical = 99\n[metric mem_used_pct]\ncritical = "
         "60\n"
         "warning = 50\n[fleet]\nstep = 60\n",                                                                    0},
        {"thresholds crossed",
         "[metric disk_usage_pct]\nwarning = 97\n\ncritical = 96\n[fleet]\nstep = 60\n",                          4},
        {"thresholds crossed, before another",
         "[metric disk_usage_pct]\nwarning = 97\n[metric mem_used_pct]\nwarning = 50\n",                          2},
        {"threshold in words",                 "[metric disk_usage_pct]\nwarning = high\n",                       2},
        {"indented",                           "[fleet]\n  step = 60\n  servers = 7\n",                           0},
        {"more of a value",                    "[ingest]\nlabels = dc,\n  rack\n",                                3},
        {"no section",                         "step = 60\n",                                                     1},
        {"no name",                            "[fleet]\nstep = 60\n[receiver]\ntype = webhook\n",                4},
        {"the first of two",                   "[fleet]\nstep\nservers = many\n",                                 2},
        {"no line end",                        "[fleet]\nstep = many",                                            2},
        {"bad address",                        "[receiver a]\ntype = webhook\nurl = ftp://x\n",                   3},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char path[] = "/tmp/forewarn-config-XXXXXX";
        const int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, rows[i].text, strlen(rows[i].text)), strlen(rows[i].text));
        close(fd);
        struct config *config = fresh();
        struct fw_error err = {0};
        const enum fw_status status = config_file(config, path, &err);
        CHECK_EQ(rows[i].name, status, rows[i].line == 0 ? FW_OK : FW_EINVAL);
        if (rows[i].line != 0)
            CHECK_EQ(rows[i].name, err.offset, rows[i].line);
        fw_free(config);
        unlink(path);
    }
}

/* Settings longer than inih's lines. */
static void test_long_values(void **state)
{
    (void)state;
    char path[] = "/tmp/forewarn-config-XXXXXX", hosts[601];
    memset(hosts, 'h', sizeof hosts - 1);
    hosts[sizeof hosts - 1] = '\0';
    hosts[300] = ';'; /* no comment: no blank before it */
    FILE *file = fdopen(mkstemp(path), "w");
    assert_non_null(file);
    fprintf(file, "[server]\n  host_names = %s \t; a comment = %s\n", hosts, hosts);
    fprintf(file, "cors_origins =%0*d\n; %0*d\nrecords = 5 ;%0*d\n", 400, 7, 400, 7, 400, 7);
    fclose(file);
    struct config *config = fresh();
    struct fw_error err = {0};
    assert_int_equal(config_file(config, path, &err), FW_OK);
    assert_string_equal(config->host_names, hosts);
    assert_int_equal(strlen(config->cors_origins), 400);
    assert_int_equal(config->records_max, 5);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "[server]\nrecords = 5\n%0*d\n", 400, 7); /* long, and no setting */
    fclose(file);
    assert_int_equal(config_file(config, path, &err), FW_EINVAL);
    assert_int_equal(err.offset, 3);
    unlink(path);
    fw_free(config);
}

/* What is no text, or no file, is no empty configuration. */
static void test_odd_files(void **state)
{
    (void)state;
    static char text[2 << 20];
    static const struct {
        const char *name, *before;
        char filled_with;
        size_t filled;
        const char *says; /* NULL: it is fine */
    } rows[] = {
        {"a long comment", "[fleet]\nstep = 60\n  ; ",                'x',  9000,            NULL               },
        {"a long line",    "[fleet]\nstep = 60\n[ingest]\nlabels = ", 'x',  9000,
         ":4: the line is longer than"                                                                          },
        {"zeros",          "",                                        '\0', 4096,            ":1: a NUL byte"   },
        {"a zero later",   "[fleet]\nstep = 60\n",                    '\0', 1,               ":3: a NUL byte"   },
        {"too large",      "",                                        '\n', sizeof text - 1, "larger than a MiB"},
    };
    struct config *config = fresh();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char path[] = "/tmp/forewarn-config-XXXXXX";
        struct fw_error err = {0};
        const size_t len = strlen(rows[i].before);
        memcpy(text, rows[i].before, len);
        const size_t size =
            len + rows[i].filled <= sizeof text ? rows[i].filled : sizeof text - len;
        memset(text + len, rows[i].filled_with, size);
        const int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, len + size), len + size);
        close(fd);
        CHECK_EQ(rows[i].name, config_file(config, path, &err),
                 rows[i].says == NULL ? FW_OK : FW_EINVAL);
        if (rows[i].says != NULL)
            CHECK_TRUE(rows[i].name, strstr(err.text, rows[i].says) != NULL);
        unlink(path);
    }
    struct fw_error err = {0};
    assert_int_equal(config_file(config, "/tmp", &err), FW_EIO);
    assert_non_null(strstr(err.text, "/tmp: Is a directory"));
    fw_free(config);
}

/* The files for people are files that are read; what they lack is said. */
static void test_receivers(void **state)
{
    (void)state;
    struct config *config = fresh();
    struct fw_error err = {0};
    assert_int_equal(
        config_file(config, FW_SOURCE_DIR "/packaging/alertmanager/forewarn.conf", &err), FW_OK);
    assert_int_equal(config_check(config, &err), FW_OK);
    assert_int_equal(config->notify.receiver_count, 1);
    assert_string_equal(config->notify.receivers[0].url, "http://127.0.0.1:9093");
    assert_string_equal(config->notify.labels.items[0].value, "production");
    assert_int_equal(config_set(config, "receiver hook", "type", "webhook", &err), FW_OK);
    assert_int_equal(config_check(config, &err), FW_EINVAL);
    assert_non_null(strstr(err.text, "receiver hook: webhook needs a url"));
    fw_free(config);
}

static void test_environment(void **state)
{
    (void)state;
    struct config *config = fresh();
    struct fw_error err;
    setenv("TFT_API_KEY", "second", 1);
    setenv("NORDIQ_API_KEY", "first", 1);
    setenv("FOREWARN_STEP", "7", 1);
    assert_int_equal(config_environment(config, &err), FW_OK);
    assert_string_equal(config->environment_key, "first");
    assert_int_equal(config->step_s, 7);
    setenv("FOREWARN_STEP", "seven", 1);
    assert_int_equal(config_environment(config, &err), FW_EINVAL);
    assert_non_null(strstr(err.text, "FOREWARN_STEP"));
    unsetenv("TFT_API_KEY");
    unsetenv("NORDIQ_API_KEY");
    unsetenv("FOREWARN_STEP");
    fw_free(config);
}

static void test_restart_wanted(void **state)
{
    (void)state;
    struct config *running = fresh(), *changed = fresh();
    char names[64];
    struct fw_error err;
    assert_int_equal(config_set(changed, "log", "level", "debug", &err), FW_OK);
    assert_int_equal(config_set(changed, "server", "api_key_file", "keys", &err), FW_OK);
    assert_int_equal(config_set(changed, "server", "rate_limit", "off", &err), FW_OK);
    assert_int_equal(config_set(changed, "ingest", "labels", "dc", &err), FW_OK);
    assert_int_equal(config_set(changed, "forecast", "risk", "argus", &err), FW_OK);
    assert_int_equal(config_set(changed, "alerts", "for_runs", "7", &err), FW_OK);
    assert_int_equal(config_set(changed, "alerts", "unusual_per_month", "9", &err), FW_OK);
    assert_int_equal(config_set(changed, "metric mem_used_pct", "warning", "50", &err), FW_OK);
    assert_int_equal(config_set(changed, "profiles", "a*", "database", &err), FW_OK);
    assert_int_equal(config_restart_wanted(running, changed, names, sizeof names), 0);
    assert_string_equal(names, "");
    assert_int_equal(config_set(changed, "server", "listen", ":1", &err), FW_OK);
    assert_int_equal(config_set(changed, "fleet", "step", "60", &err), FW_OK);
    assert_int_equal(config_set(changed, "store", "history_days", "1", &err), FW_OK);
    assert_int_equal(config_set(changed, "server", "host_names", "a", &err), FW_OK);
    assert_int_equal(config_restart_wanted(running, changed, names, sizeof names), 4);
    assert_string_equal(names, "server.listen server.host_names fleet.step store.history_days");
    assert_int_equal(config_restart_wanted(running, changed, names, 16), 4);
    assert_string_equal(names, "server.listen s");
    fw_free(changed);
    /* A column cannot come or go, and who looks for unusual behaviour cannot either. */
    changed = fresh();
    assert_int_equal(config_set(changed, "metric fresh", "unit", "s", &err), FW_OK);
    assert_int_equal(config_set(running, "metric old", "unit", "s", &err), FW_OK);
    assert_int_equal(config_set(changed, "alerts", "unusual_per_month", "0", &err), FW_OK);
    assert_int_equal(config_restart_wanted(running, changed, names, sizeof names), 3);
    assert_string_equal(names, "alerts.unusual_per_month metric.fresh metric.old");
    fw_free(changed);
    fw_free(running);
}

/* ---- the file that is shipped ---- */

enum { SHIPPED_NAMES = 64, SHIPPED_NAME_SIZE = 64 };

struct shipped {
    struct config *config;
    char section[SHIPPED_NAME_SIZE], names[SHIPPED_NAMES][SHIPPED_NAME_SIZE];
    size_t count;
    bool explained; /* the line before is a comment in words */
};

/* One line of it, a default taken as if it were set. */
static void take_shipped(struct shipped *s, char *line)
{
    char key[SHIPPED_NAME_SIZE], value[512] = "";
    struct fw_error err = {0};
    line[strcspn(line, "\n")] = '\0';
    const bool words = line[0] == '#' && line[1] == ' ';
    const char *text = line[0] == '#' ? line + 1 : line;
    if (!words && sscanf(text, "[%63[^]]]", s->section) != 1 &&
        sscanf(text, "%63[^ =] = %511[^\n]", key, value) >= 1) {
        const bool own = strncmp(s->section, "metric ", 7) != 0 && strcmp(s->section, "profiles");
        CHECK_TRUE(line, s->explained || !own);
        CHECK_EQ(line, config_set(s->config, s->section, key, value, &err), FW_OK);
        assert_true(s->count < SHIPPED_NAMES);
        snprintf(s->names[s->count++], SHIPPED_NAME_SIZE, "%.31s.%.31s", s->section, key);
    }
    s->explained = words;
}

/* Every setting is there, with a comment, and what is shown as its default is its default. */
static void test_shipped_file(void **state)
{
    (void)state;
    struct shipped s = {.config = fresh()};
    struct config *defaults = fresh();
    char line[512];
    const char *section, *key;
    FILE *file = fopen(FW_SOURCE_DIR "/packaging/forewarn.conf", "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        take_shipped(&s, line);
    fclose(file);
    for (size_t i = 0; config_setting(i, &section, &key); i++) {
        char name[SHIPPED_NAME_SIZE];
        bool found = false;
        snprintf(name, sizeof name, "%s.%s", section, key);
        for (size_t k = 0; k < s.count; k++)
            found = found || strcmp(s.names[k], name) == 0;
        CHECK_TRUE(name, found);
    }
    assert_string_equal(s.config->data_dir, "/var/lib/forewarn");
    snprintf(s.config->data_dir, sizeof s.config->data_dir, "%s", defaults->data_dir);
    memset(s.config->data_dir + strlen(defaults->data_dir), 0,
           sizeof s.config->data_dir - strlen(defaults->data_dir));
    assert_memory_equal(s.config, defaults, offsetof(struct config, notify));
    assert_int_equal(s.config->notify.resend_s, defaults->notify.resend_s);
    assert_int_equal(s.config->notify.inhibit, defaults->notify.inhibit);
    assert_true(s.config->schema.metrics[METRIC_DISK_USAGE].warning ==
                defaults->schema.metrics[METRIC_DISK_USAGE].warning);
    fw_free(defaults);
    fw_free(s.config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_values_arrive),
        cmocka_unit_test(test_alert_options),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_open_only_on_loopback),
        cmocka_unit_test(test_file_names_the_line),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_odd_files),
        cmocka_unit_test(test_receivers),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_restart_wanted),
        cmocka_unit_test(test_shipped_file),
    };
    return cmocka_run_group_tests_name("daemon/config", tests, NULL, NULL);
}
