/* The bytes that receivers get: valid JSON whatever the names, labels that never change, times that
 * Alertmanager takes. */
#include "notify/notify_internal.h"

#include "base/json.h"
#include "base/text.h"

#include "support.h"

#include <math.h>
#include <stdlib.h>

static const int64_t base_ms = (int64_t)1700000 * 1000000;

static struct notify_labels labels = {
    .count = 2, .items = {{"env", "test \"quoted\""}, {"dc", "fra"}}
};
static const struct notify_context context = {.receiver = "hook",
                                              .external_url = "https://forewarn.example",
                                              .labels = &labels,
                                              .step_s = 300,
                                              .resend_ms = 60000};

static struct notify_entry make(const char *server, const char *metric)
{
    struct notify_entry e = {
        .alert = {.severity = ALERT_CRITICAL,
                  .state = ALERT_FIRING,
                  .starts_ms = base_ms,
                  .profile = PROFILE_DATABASE,
                  .threshold = 95,
                  .predicted = 97.5f,
                  .current = 80,
                  .peak = 99,
                  .probability = 0.87f,
                  .steps_ahead = 3}
    };
    snprintf(e.alert.server, sizeof e.alert.server, "%s", server);
    snprintf(e.metric, sizeof e.metric, "%s", metric);
    return e;
}

struct parsed {
    struct fw_buf buf;
    struct fw_json_parser *parser;
    struct fw_json_value root;
};

static void parse(struct parsed *p)
{
    struct fw_error err = {0};
    assert_false(p->buf.failed);
    p->parser = fw_json_parser_new(1 << 20, 16);
    assert_non_null(p->parser);
    if (fw_json_parse(p->parser, p->buf.data, p->buf.len, &p->root, &err) != FW_OK)
        fail_msg("%s: %.*s", err.text, (int)p->buf.len, p->buf.data);
}

static void done(struct parsed *p)
{
    fw_json_parser_free(p->parser);
    fw_buf_fini(&p->buf);
}

static struct parsed alertmanager(struct notify_entry *e, int64_t now_ms)
{
    struct parsed p;
    fw_buf_init(&p.buf, 1 << 20);
    notify_put_alertmanager(&p.buf, &context, &e, 1, now_ms);
    parse(&p);
    struct fw_json_iter iter = fw_json_walk(p.root);
    assert_int_equal(fw_json_count(p.root), 1);
    assert_true(fw_json_next(&iter, &p.root));
    return p;
}

/* "labels.server" */
static const char *text_at(struct fw_json_value value, const char *path)
{
    char copy[128];
    char *rest = NULL;
    size_t len;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *key = strtok_r(copy, ".", &rest); key != NULL; key = strtok_r(NULL, ".", &rest))
        if (!fw_json_get(value, key, &value))
            return NULL;
    return fw_json_string(value, &len);
}

static int64_t time_at(struct fw_json_value value, const char *key)
{
    int64_t ms;
    const char *text = text_at(value, key);
    assert_non_null(text);
    assert_true(fw_time_parse(text, strlen(text), &ms));
    return ms;
}

static void test_names_are_data(void **state)
{
    (void)state;
    static const char *const names[] = {"db1",
                                        "\"},{\"x\":\"",
                                        "a\\b",
                                        "<script>",
                                        "a/b?c#d",
                                        "caf\xc3\xa9",
                                        "100%",
                                        "0123456789012345678901234567890123456789012345678901234567"
                                        "890123456789012345678901234567890"
                                        "1234567890123456789012345678901234567"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct notify_entry e = make(names[i], "disk_usage_pct");
        struct parsed p = alertmanager(&e, base_ms);
        CHECK_STR(names[i], text_at(p.root, "labels.server"), names[i]);
        const char *url = text_at(p.root, "generatorURL");
        CHECK_EQ(names[i], strncmp(url, "https://forewarn.example/servers/", 33), 0);
        CHECK_EQ(names[i], strpbrk(url + 33, "/?#\"<> \\"), NULL);
        done(&p);
    }
}

static void test_labels_and_annotations(void **state)
{
    (void)state;
    struct notify_entry e = make("db1", "disk_usage_pct");
    struct parsed p = alertmanager(&e, base_ms);
    static const char *const expected[][2] = {
        {"labels.alertname",          "ForewarnThresholdForecast"                                },
        {"labels.server",             "db1"                                                      },
        {"labels.metric",             "disk_usage_pct"                                           },
        {"labels.severity",           "critical"                                                 },
        {"labels.profile",            "database"                                                 },
        {"labels.env",                "test \"quoted\""                                          },
        {"labels.dc",                 "fra"                                                      },
        {"annotations.summary",       "db1: disk_usage_pct predicted to reach 97.5 in 15 minutes"},
        {"annotations.threshold",     "95"                                                       },
        {"annotations.seconds_ahead", "900"                                                      },
        {"annotations.probability",   "0.87"                                                     },
    };
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        CHECK_STR(expected[i][0], text_at(p.root, expected[i][0]), expected[i][1]);
    struct fw_json_value all;
    assert_true(fw_json_get(p.root, "labels", &all));
    assert_int_equal(fw_json_count(all), 7); /* nothing that changes is among them */
    assert_null(text_at(p.root, "annotations.acknowledged_by"));
    done(&p);
    e.acknowledged = true;
    snprintf(e.acknowledged_by, sizeof e.acknowledged_by, "ann");
    e.alert.steps_ahead = 0;
    p = alertmanager(&e, base_ms);
    assert_string_equal(text_at(p.root, "annotations.acknowledged_by"), "ann");
    assert_string_equal(text_at(p.root, "annotations.summary"),
                        "db1: disk_usage_pct has reached 97.5");
    done(&p);
}

/* The server's own labels are part of an alert's identity; a constant one gives way to them. */
static void test_server_labels(void **state)
{
    (void)state;
    struct label_set set = {0}, other = {0};
    assert_true(label_set_put(&set, "dc", 2, "ams", 3) &&
                label_set_put(&set, "rack", 4, "r\"1", 3));
    assert_true(label_set_put(&other, "dc", 2, "ams", 3));
    struct notify_entry e = make("db1", "disk_usage_pct"), f = make("db1", "mem_used_pct");
    e.labels = &set;
    struct parsed p = alertmanager(&e, base_ms);
    CHECK_STR("its own", text_at(p.root, "labels.dc"), "ams");
    CHECK_STR("quoted", text_at(p.root, "labels.rack"), "r\"1");
    CHECK_STR("constant", text_at(p.root, "labels.env"), "test \"quoted\"");
    struct fw_json_value all;
    assert_true(fw_json_get(p.root, "labels", &all));
    assert_int_equal(fw_json_count(all), 8);
    done(&p);
    const struct {
        const char *name;
        const struct label_set *labels;
        const char *dc; /* of commonLabels */
    } rows[] = {
        {"alike",         &set,   "ams"},
        {"changed since", &other, NULL },
        {"without",       NULL,   NULL },
    };
    struct notify_entry *batch[] = {&e, &f};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct label_set copy = {0};
        if (rows[i].labels != NULL)
            label_set_copy(&copy, rows[i].labels);
        f.labels = rows[i].labels != NULL ? &copy : NULL;
        fw_buf_init(&p.buf, 1 << 20);
        notify_put_webhook(&p.buf, &context, batch, 2);
        parse(&p);
        const char *dc = text_at(p.root, "commonLabels.dc");
        if (rows[i].dc == NULL)
            assert_null(dc);
        else
            CHECK_STR(rows[i].name, dc, rows[i].dc);
        done(&p);
    }
}

static void test_silent_server(void **state)
{
    (void)state;
    struct notify_entry e = make("db1", "server_silent");
    e.alert.threshold = e.alert.predicted = e.alert.current = e.alert.peak = NAN;
    struct parsed p = alertmanager(&e, base_ms);
    assert_string_equal(text_at(p.root, "labels.alertname"), "ForewarnServerSilent");
    assert_string_equal(text_at(p.root, "annotations.summary"), "db1: no data arrives");
    assert_null(text_at(p.root, "annotations.threshold")); /* a number that is none is left out */
    done(&p);
    e = make("db1", "unusual_behaviour");
    e.alert.threshold = e.alert.predicted = e.alert.current = e.alert.peak = NAN;
    p = alertmanager(&e, base_ms);
    assert_string_equal(text_at(p.root, "labels.alertname"), "ForewarnUnusualBehaviour");
    assert_string_equal(text_at(p.root, "annotations.summary"),
                        "db1: behaves as it was not forecast to");
    done(&p);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool over;
        int64_t starts, over_at, now; /* after base_ms */
        int64_t begin, end;
    } rows[] = {
        {"fires",                        false, 0,      0,      5000, 0,      245000},
        {"is over",                      true,  0,      3000,   5000, 0,      3000  },
        {"over in the moment it began",  true,  0,      0,      5000, -1,     0     },
        {"over before it began",         true,  0,      -60000, 5000, -60001, -60000},
        {"over in a future by the book", true,  0,      9000,   5000, 0,      5000  },
        {"began in the future",          false, 300000, 0,      5000, 244999, 245000},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct notify_entry e = make("db1", "disk_usage_pct");
        e.alert.starts_ms = base_ms + rows[i].starts;
        e.over = rows[i].over;
        e.over_ms = base_ms + rows[i].over_at;
        struct parsed p = alertmanager(&e, base_ms + rows[i].now);
        CHECK_EQ(rows[i].name, time_at(p.root, "startsAt") - base_ms, rows[i].begin);
        CHECK_EQ(rows[i].name, time_at(p.root, "endsAt") - base_ms, rows[i].end);
        done(&p);
    }
}

static void test_webhook(void **state)
{
    (void)state;
    struct notify_entry a = make("db1", "disk_usage_pct"), b = make("db1", "mem_used_pct");
    struct notify_entry *batch[] = {&a, &b};
    b.over = true;
    b.over_ms = base_ms + 60000;
    b.alert.severity = ALERT_WARNING;
    struct parsed p;
    fw_buf_init(&p.buf, 1 << 20);
    notify_put_webhook(&p.buf, &context, batch, 2);
    parse(&p);
    assert_string_equal(text_at(p.root, "status"), "firing"); /* one still does */
    assert_string_equal(text_at(p.root, "commonLabels.server"), "db1");
    assert_string_equal(text_at(p.root, "commonLabels.alertname"), "ForewarnThresholdForecast");
    assert_null(text_at(p.root, "commonLabels.severity"));
    assert_null(text_at(p.root, "commonLabels.metric"));
    struct fw_json_value alerts, alert;
    assert_true(fw_json_get(p.root, "alerts", &alerts));
    struct fw_json_iter iter = fw_json_walk(alerts);
    assert_true(fw_json_next(&iter, &alert));
    assert_string_equal(text_at(alert, "endsAt"), "0001-01-01T00:00:00Z");
    assert_int_equal(strlen(text_at(alert, "fingerprint")), 16);
    assert_true(fw_json_next(&iter, &alert));
    assert_string_equal(text_at(alert, "status"), "resolved");
    assert_int_equal(time_at(alert, "endsAt"), base_ms + 60000);
    done(&p);
    a.over = true;
    fw_buf_init(&p.buf, 1 << 20);
    notify_put_webhook(&p.buf, &context, batch, 1);
    parse(&p);
    assert_string_equal(text_at(p.root, "status"), "resolved");
    assert_string_equal(text_at(p.root, "commonAnnotations.threshold"), "95");
    done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_labels),
        cmocka_unit_test(test_names_are_data),
        cmocka_unit_test(test_labels_and_annotations),
        cmocka_unit_test(test_silent_server),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_webhook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
