/* The other routes against the real server: what is rendered when, what is refused how. */
#include "client.h"

#include "api/api_internal.h"

static const struct fixture_metric some[] = {
    {METRIC_CPU_USER,   30, 35},
    {METRIC_MEM_USED,   70, 71},
    {METRIC_DISK_USAGE, 50, 50},
};

/* An outlook of `n` servers web-00, web-01, ...; hung up by the caller, never freed by the board.
 */
static void outlook_of(struct fixture *f, size_t n, uint64_t run)
{
    struct forecast *forecasts[FIXTURE_SERVERS_MAX];
    char name[16];
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "web-%02zu", i);
        forecasts[i] = fixture_forecast(name, some, COUNT_OF(some));
    }
    const struct alert alert = {.id = 1,
                                .server = "web-01",
                                .metric = METRIC_DISK_USAGE,
                                .state = ALERT_FIRING,
                                .severity = ALERT_WARNING,
                                .probability = 0.5f};
    fixture_init(f, forecasts, n, &alert, 1);
    f->set->run = run;
    f->outlook.id = run;
    f->outlook.top_count = n < 20 ? n : 20;
    for (size_t i = 0; i < n; i++)
        f->risks[i].score = (float)i; /* the later, the riskier */
    for (size_t i = 0; i < f->outlook.top_count; i++)
        f->outlook.top[i] = (uint32_t)(n - 1 - i);
    atomic_init(&f->outlook.references, 1000);
}

static void feed(struct stack *s, int servers)
{
    char body[8192];
    int len = snprintf(body, sizeof body, "[");
    for (int i = 0; i < servers; i++)
        len += snprintf(body + len, sizeof body - (size_t)len,
                        "%s{\"server_name\":\"web-%02d\",\"timestamp\":%d,\"cpu_user_pct\":45.2}",
                        i > 0 ? "," : "", i, STACK_NOW_S);
    snprintf(body + len, sizeof body - (size_t)len, "]");
    CHECK_EQ("fed", status_of(post(s, "/feed/data", body)), 200);
}

/* Three servers, fed and in an outlook. */
static void start_with_outlook(struct stack *s, struct fixture *f)
{
    stack_start(s, &(struct api_options){0}, true);
    feed(s, 3);
    outlook_of(f, 3, 1);
    stack_publish(s->board, &f->outlook);
}

static void test_before_recovery(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s, &(struct api_options){0}, false);
    static const struct {
        const char *path;
        int status;
    } rows[] = {
        {"/livez",                   200},
        {"/health",                  200},
        {"/",                        200},
        {"/metrics",                 200},
        {"/readyz",                  503},
        {"/openapi.json",            200},
        {"/status",                  503},
        {"/alerts",                  503},
        {"/predictions/current",     503},
        {"/api/v1/status",           503},
        {"/admin/models",            503},
        {"/api/v1/servers",          503},
        {"/api/v1/servers/a/window", 503},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].path, status_of(get(&s, rows[i].path)), rows[i].status);
    struct answer answer = post(&s, "/feed/data", "{\"records\":[]}");
    char retry[128];
    answer_header(&answer, "Retry-After", retry);
    CHECK_EQ("feed", answer.status, 503);
    CHECK_STR("come again", retry, "1");
    answer_free(&answer);
    answer = get(&s, "/readyz");
    CHECK_TRUE("starting", strstr(answer.body, "\"status\":\"starting\"") != NULL);
    answer_free(&answer);
    stack_stop(&s);
}

/* Both ways: each route is described, each description is a route. */
static bool has_no_answer(const char *operation)
{
    return strncmp(operation, "influx_write", 12) == 0 ||
           strncmp(operation, "influx_ping", 11) == 0;
}

static void test_openapi_is_the_table(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s, &(struct api_options){0}, true);
    struct answer answer = get(&s, "/openapi.json");
    struct fw_json_parser *parser;
    const struct fw_json_value root = answer_json(&answer, &parser);
    CHECK_STR("version", fixture_text(root, "openapi"), "3.1.0");
    size_t n, described = 0;
    const struct http_route *routes = http_server_routes(s.server, &n);
    const struct fw_json_value paths = fixture_at(root, "paths");
    for (size_t i = 0; i < n; i++) {
        struct fw_json_value path, operation;
        CHECK_TRUE(routes[i].path, fw_json_get(paths, routes[i].path, &path));
        char method[8] = "";
        for (size_t k = 0; routes[i].method[k] != '\0' && k < sizeof method - 1; k++)
            method[k] = (char)(routes[i].method[k] - 'A' + 'a');
        CHECK_TRUE(routes[i].path, fw_json_get(path, method, &operation));
        CHECK_STR(routes[i].path, fixture_text(operation, "operationId"), routes[i].operation);
        fixture_at(operation, routes[i].coding != NULL || has_no_answer(routes[i].operation)
                                  ? "responses.204"
                                  : "responses.200");
    }
    struct fw_json_iter iter = fw_json_walk(paths);
    struct fw_json_value path;
    while (fw_json_next(&iter, &path))
        described += fw_json_count(path);
    CHECK_EQ("operations", described, n);
    CHECK_EQ("descriptions", api_openapi_count(), n);
    /* Every reference has its component. */
    for (const char *at = strstr(answer.body, "#/components/schemas/"); at != NULL;
         at = strstr(at + 1, "#/components/schemas/")) {
        char name[64];
        const char *begin = at + strlen("#/components/schemas/");
        snprintf(name, sizeof name, "components.schemas.%.*s", (int)strcspn(begin, "\""), begin);
        fixture_at(root, name);
    }
    fw_json_parser_free(parser);
    answer_free(&answer);
    stack_stop(&s);
}

static void test_etag(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture first, second;
    stack_start(&s, &(struct api_options){0}, true);
    outlook_of(&first, 3, 1);
    stack_publish(s.board, &first.outlook);
    static const char *const paths[] = {"/predictions/current", "/predictions/current?steps=6"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct answer answer = get(&s, paths[i]);
        char etag[128], header[256];
        CHECK_EQ(paths[i], answer.status, 200);
        answer_header(&answer, "ETag", etag);
        answer_free(&answer);
        CHECK_TRUE(paths[i], etag[0] != '\0');
        snprintf(header, sizeof header, "If-None-Match: %s\r\n", etag);
        CHECK_EQ("same", status_of(ask(&s, "GET", paths[i], header, NULL, 0)), 304);
        CHECK_EQ("HEAD", status_of(ask(&s, "HEAD", paths[i], header, NULL, 0)), 304);
        if (i + 1 == COUNT_OF(paths)) {
            outlook_of(&second, 3, 2);
            stack_publish(s.board, &second.outlook);
            CHECK_EQ("another run", status_of(ask(&s, "GET", paths[i], header, NULL, 0)), 200);
        }
    }
    stack_stop(&s);
    fixture_fini(&first);
    fixture_fini(&second);
}

/* The number of the outlook that an answer is of, from its ETag; 0: not 200. */
static unsigned long long outlook_in(struct stack *s, const char *path)
{
    char etag[128];
    unsigned long long boot, id = 0;
    struct answer answer = get(s, path);
    answer_header(&answer, "ETag", etag);
    const char *quote = strchr(etag, '"');
    if (answer.status == 200 && quote != NULL)
        (void)sscanf(quote, "\"p%llx-%llx", &boot, &id);
    answer_free(&answer);
    return id;
}

/* Where outlooks follow each other quickly the whole body is made anew once an interval; a part of
 * it is always of the newest. */
static void test_renewal(void **state)
{
    (void)state;
    static const char whole[] = "/predictions/current", part[] = "/predictions/current?steps=6";
    struct stack s;
    static struct fixture outlooks[6];
    stack_start(&s, &(struct api_options){.renew_ms = 10000}, true);
    for (size_t i = 0; i < 4; i++)
        outlook_of(&outlooks[i], 3, i + 1);
    stack_publish(s.board, &outlooks[0].outlook);
    CHECK_EQ("the first is waited for", outlook_in(&s, whole), 1);
    stack_publish(s.board, &outlooks[1].outlook);
    CHECK_EQ("a second one within the interval", outlook_in(&s, whole), 1);
    CHECK_EQ("but for parts", outlook_in(&s, part), 2);
    fw_clock_fake_advance_ms(&s.clock, 9000);
    stack_publish(s.board, &outlooks[2].outlook);
    CHECK_EQ("is not seen", outlook_in(&s, whole), 1);
    fw_clock_fake_advance_ms(&s.clock, 1000);
    CHECK_EQ("for longer than that", outlook_in(&s, whole), 3);
    /* With the interval over, the next one is rendered without being asked for. */
    fw_clock_fake_advance_ms(&s.clock, 10000);
    stack_publish(s.board, &outlooks[3].outlook);
    unsigned long long id = 0;
    for (int i = 0; i < 2000 && (id = outlook_in(&s, whole)) != 4; i++) {
        CHECK_EQ("until then the last one", id, 3);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    CHECK_EQ("rendered ahead", id, 4);
    /* A server more is no matter of an interval; and what comes when the workers are gone is no
     * matter of theirs. */
    outlook_of(&outlooks[4], 4, 5);
    stack_publish(s.board, &outlooks[4].outlook);
    CHECK_EQ("a server more", outlook_in(&s, whole), 5);
    api_drain(s.api);
    outlook_of(&outlooks[5], 4, 6);
    fw_clock_fake_advance_ms(&s.clock, 20000);
    stack_publish(s.board, &outlooks[5].outlook);
    stack_stop(&s);
    for (size_t i = 0; i < COUNT_OF(outlooks); i++)
        fixture_fini(&outlooks[i]);
}

static void test_filters(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    stack_start(&s, &(struct api_options){0}, true);
    outlook_of(&f, 12, 1);
    stack_publish(s.board, &f.outlook);
    static const struct {
        const char *query;
        size_t servers;
        size_t alerts;
        const char *first; /* name, or NULL */
    } rows[] = {
        {"",                                   12, 1, "web-00"},
        {"?server=web-03",                     1,  0, "web-03"},
        {"?server=web-03&server=web-01",       2,  1, "web-01"},
        {"?servers=web-07,web-01,none,web-07", 2,  1, "web-01"},
        {"?server=web-1*",                     2,  0, "web-10"},
        {"?server=web-0%3F",                   10, 1, "web-00"},
        {"?server=nothing",                    0,  0, NULL    },
        {"?limit=5",                           5,  0, "web-00"},
        {"?limit=5&offset=10",                 2,  0, "web-10"},
        {"?offset=100",                        0,  0, NULL    },
        {"?sort=risk&limit=3",                 3,  0, "web-11"},
        {"?sort=risk&offset=10",               2,  1, "web-01"},
        {"?fields=summary,alerts",             0,  1, NULL    },
        {"?unknown=1",                         12, 1, "web-00"},
    };
    for (int round = 0; round < 2; round++) /* the second time from what was kept */
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            char target[128];
            snprintf(target, sizeof target, "/predictions/current%s", rows[i].query);
            struct answer answer = get(&s, target);
            struct fw_json_parser *parser;
            const struct fw_json_value root = answer_json(&answer, &parser);
            struct fw_json_value predictions;
            size_t servers = 0;
            if (fw_json_get(root, "predictions", &predictions)) {
                servers = fw_json_count(predictions);
                struct fw_json_iter iter = fw_json_walk(predictions);
                const char *key;
                size_t key_len;
                struct fw_json_value value;
                if (fw_json_next_member(&iter, &key, &key_len, &value) && rows[i].first != NULL)
                    CHECK_STR(rows[i].query, key, rows[i].first);
            }
            CHECK_EQ(rows[i].query, servers, rows[i].servers);
            if (strstr(rows[i].query, "limit=5") == NULL)
                CHECK_EQ(rows[i].query, fw_json_count(fixture_at(root, "alerts")), rows[i].alerts);
            CHECK_NEAR("the fleet stays the fleet", fixture_number(root, "summary.total_servers"),
                       12, 0);
            fw_json_parser_free(parser);
            answer_free(&answer);
        }
    stack_stop(&s);
    fixture_fini(&f);
}

/* Large answers take the worker's way and come out the same. */
static void test_costly_filter(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    stack_start(&s, &(struct api_options){.eager_servers_max = 1}, true);
    outlook_of(&f, 60, 1);
    stack_publish(s.board, &f.outlook);
    struct answer whole = get(&s, "/predictions/current"); /* lazily, by the worker */
    CHECK_EQ("lazily", whole.status, 200);
    struct answer again = get(&s, "/predictions/current");
    CHECK_EQ("kept", again.body_len, whole.body_len);
    assert_memory_equal(again.body, whole.body, whole.body_len);
    struct answer exact = get(&s, "/predictions/current?precision=6");
    struct fw_json_parser *parser;
    const struct fw_json_value root = answer_json(&exact, &parser);
    CHECK_EQ("all", fw_json_count(fixture_at(root, "predictions")), 60);
    fw_json_parser_free(parser);
    answer_free(&whole);
    answer_free(&again);
    answer_free(&exact);
    stack_stop(&s);
    fixture_fini(&f);
}

static void test_nonsense(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    start_with_outlook(&s, &f);
    static const struct {
        const char *target, *type;
    } rows[] = {
        {"/predictions/current?steps=0",                    "greater_than_equal"},
        {"/predictions/current?steps=97",                   "less_than_equal"   },
        {"/predictions/current?steps=six",                  "int_parsing"       },
        {"/predictions/current?steps=",                     "int_parsing"       },
        {"/predictions/current?steps=1e1",                  "int_parsing"       },
        {"/predictions/current?steps=99999999999999999999", "int_parsing"       },
        {"/predictions/current?metrics=cpu",                "value_error"       },
        {"/predictions/current?quantiles=p42",              "value_error"       },
        {"/predictions/current?precision=10",               "less_than_equal"   },
        {"/predictions/current?precision=-1",               "greater_than_equal"},
        {"/predictions/current?fields=everything",          "value_error"       },
        {"/predictions/current?sort=colour",                "literal_error"     },
        {"/predictions/current?limit=0",                    "greater_than_equal"},
        {"/predictions/current?offset=-1",                  "greater_than_equal"},
        {"/predictions/current?levels=9",                   "literal_error"     },
        {"/predictions/current?tz=Mars",                    "value_error"       },
        {"/alerts/active?severity=bad",                     "literal_error"     },
        {"/alerts/active?state=sleepy",                     "literal_error"     },
        {"/alerts/active?min_probability=2",                "value_error"       },
        {"/alerts/active?min_probability=nan",              "float_parsing"     },
        {"/alerts/active?metric=warp",                      "value_error"       },
        {"/alerts/active?legacy=yes",                       "literal_error"     },
        {"/api/v1/alerts?limit=x",                          "int_parsing"       },
        {"/api/v1/servers?profile=pirate",                  "literal_error"     },
        {"/api/v1/servers?level=low",                       "literal_error"     },
        {"/api/v1/servers?stale=maybe",                     "literal_error"     },
        {"/api/v1/servers/web-00/window?steps=100000",      "less_than_equal"   },
        {"/api/v1/servers/web-00/forecast?metrics=,",       "value_error"       },
        {"/status?tz=x",                                    "value_error"       },
        {"/admin/models?tz=%22",                            "value_error"       },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = get(&s, rows[i].target);
        char type[64];
        snprintf(type, sizeof type, "{\"detail\":[{\"type\":\"%s\",\"loc\":[\"query\",\"",
                 rows[i].type);
        CHECK_EQ(rows[i].target, answer.status, 422);
        if (strncmp(answer.body, type, strlen(type)) != 0)
            fail_msg("%s: %s", rows[i].target, answer.body);
        struct fw_json_parser *parser;
        answer_json(&answer, &parser);
        fw_json_parser_free(parser);
        answer_free(&answer);
    }
    stack_stop(&s);
    fixture_fini(&f);
}

static void test_servers(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    stack_start(&s, &(struct api_options){0}, true);
    feed(&s, 4); /* one more than the outlook knows */
    outlook_of(&f, 3, 1);
    stack_publish(s.board, &f.outlook);
    struct fw_json_parser *parser;
    struct answer answer = get(&s, "/api/v1/servers?sort=risk&limit=2");
    struct fw_json_value root = answer_json(&answer, &parser);
    CHECK_NEAR("total", fixture_number(root, "total"), 4, 0);
    CHECK_NEAR("count", fixture_number(root, "count"), 2, 0);
    struct fw_json_iter iter = fw_json_walk(fixture_at(root, "servers"));
    struct fw_json_value item;
    assert_true(fw_json_next(&iter, &item));
    CHECK_STR("riskiest first", fixture_text(item, "server_name"), "web-02");
    CHECK_STR("method", fixture_text(item, "method"), "baseline");
    CHECK_STR("profile", fixture_text(item, "profile"), "generic");
    fw_json_parser_free(parser);
    answer_free(&answer);

    answer = get(&s, "/api/v1/servers/web-01");
    root = answer_json(&answer, &parser);
    CHECK_STR("name", fixture_text(root, "server_name"), "web-01");
    CHECK_EQ("alerts", fw_json_count(fixture_at(root, "alerts")), 1);
    CHECK_EQ("paths", fw_json_count(fixture_at(root, "prediction.mem_used_pct.p50")),
             FORECAST_HORIZON);
    fw_json_parser_free(parser);
    answer_free(&answer);

    /* DESIGN 6, to the letter. */
    answer = get(&s, "/api/v1/servers/web-01/window");
    assert_string_equal(answer.body, "{\"server_name\":\"web-01\",\"step_seconds\":300,\"metrics\":"
                                     "{\"cpu_user_pct\":{\"timestamps\":[1767225600],\"values\":"
                                     "[45.2]}}}");
    answer_free(&answer);
    answer = get(&s, "/api/v1/servers/web-01/window?metrics=mem_used_pct");
    assert_string_equal(answer.body,
                        "{\"server_name\":\"web-01\",\"step_seconds\":300,\"metrics\":{}}");
    answer_free(&answer);

    answer = get(&s, "/api/v1/servers/web-01/forecast?metrics=mem_used_pct&steps=4&quantiles=p90");
    root = answer_json(&answer, &parser);
    CHECK_EQ("steps", fw_json_count(fixture_at(root, "timestamps")), 4);
    CHECK_EQ("one metric", fw_json_count(fixture_at(root, "metrics")), 1);
    CHECK_EQ("p90", fw_json_count(fixture_at(root, "metrics.mem_used_pct.p90")), 4);
    fw_json_parser_free(parser);
    answer_free(&answer);

    CHECK_EQ("not forecast yet", status_of(get(&s, "/api/v1/servers/web-03/forecast")), 503);
    CHECK_EQ("unknown", status_of(get(&s, "/api/v1/servers/none")), 404);
    CHECK_EQ("unknown", status_of(get(&s, "/api/v1/servers/none/window")), 404);
    CHECK_EQ("unknown", status_of(get(&s, "/api/v1/servers/none/forecast")), 404);
    stack_stop(&s);
    fixture_fini(&f);
}

/* Contract 17, "Alert items": per step, as the reference lists them. */
static void test_legacy_steps(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    stack_start(&s, &(struct api_options){0}, true);
    const struct fixture_metric both[] = {
        {METRIC_CPU_IOWAIT, 19.9f, 19.9f},
        {METRIC_DISK_USAGE, 84,    0    }
    };
    struct forecast *forecast = fixture_forecast("a", both, 2);
    static const float disk[] = {84, 85, 94.99f, 95, 96};
    memcpy(forecast->paths[1].p50, disk, sizeof disk);
    for (int i = 6; i < 12; i++)
        forecast->paths[0].p50[i] = 20.0f;
    for (int i = 12; i < FORECAST_HORIZON; i++)
        forecast->paths[0].p50[i] = 99.0f;
    fixture_init(&f, &forecast, 1, NULL, 0);
    atomic_init(&f.outlook.references, 1000);
    stack_publish(s.board, &f.outlook);
    struct answer answer = get(&s, "/alerts/active?legacy=steps");
    struct fw_json_parser *parser;
    const struct fw_json_value root = answer_json(&answer, &parser);
    static const struct {
        const char *metric, *severity;
        int step;
        const char *message; /* or NULL */
    } rows[] = {
        {"disk_usage_pct", "critical", 4,  "a: disk_usage_pct predicted to reach 95.0"},
        {"disk_usage_pct", "critical", 5,  NULL                                       },
        {"disk_usage_pct", "warning",  2,  NULL                                       },
        {"disk_usage_pct", "warning",  3,  "a: disk_usage_pct predicted to reach 95.0"},
        {"cpu_iowait_pct", "warning",  7,  NULL                                       },
        {"cpu_iowait_pct", "warning",  8,  NULL                                       },
        {"cpu_iowait_pct", "warning",  9,  NULL                                       },
        {"cpu_iowait_pct", "warning",  10, NULL                                       },
        {"cpu_iowait_pct", "warning",  11, NULL                                       },
        {"cpu_iowait_pct", "warning",  12, NULL                                       },
    };
    CHECK_NEAR("count", fixture_number(root, "count"), COUNT_OF(rows), 0);
    struct fw_json_iter iter = fw_json_walk(fixture_at(root, "alerts"));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_json_value item;
        assert_true(fw_json_next(&iter, &item));
        CHECK_STR(rows[i].metric, fixture_text(item, "metric"), rows[i].metric);
        CHECK_STR(rows[i].metric, fixture_text(item, "severity"), rows[i].severity);
        CHECK_NEAR(rows[i].metric, fixture_number(item, "steps_ahead"), rows[i].step, 0);
        CHECK_NEAR(rows[i].metric, fixture_number(item, "minutes_ahead"), rows[i].step * 5, 0);
        if (rows[i].message != NULL)
            CHECK_STR(rows[i].metric, fixture_text(item, "message"), rows[i].message);
    }
    fw_json_parser_free(parser);
    answer_free(&answer);
    stack_stop(&s);
    fixture_fini(&f);
}

static void test_alert_filters(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    stack_start(&s, &(struct api_options){0}, true);
    outlook_of(&f, 3, 1);
    stack_publish(s.board, &f.outlook);
    static const struct {
        const char *query;
        int count;
    } rows[] = {
        {"",                       1},
        {"?server=web-01",         1},
        {"?server=web-0*",         1},
        {"?server=web-02",         0},
        {"?metric=disk_usage_pct", 1},
        {"?metric=cpu_user_pct",   0},
        {"?severity=warning",      1},
        {"?severity=critical",     0},
        {"?state=firing",          1},
        {"?state=pending",         0},
        {"?state=resolved",        0},
        {"?state=acknowledged",    0},
        {"?state=all",             1},
        {"?min_probability=0.5",   1},
        {"?min_probability=0.51",  0},
        {"?offset=1",              0},
    };
    static const char *const paths[] = {"/alerts/active", "/alerts", "/api/v1/alerts"};
    for (size_t p = 0; p < COUNT_OF(paths); p++)
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            char target[128];
            snprintf(target, sizeof target, "%s%s", paths[p], rows[i].query);
            struct answer answer = get(&s, target);
            struct fw_json_parser *parser;
            const struct fw_json_value root = answer_json(&answer, &parser);
            CHECK_NEAR(target, fixture_number(root, "count"), rows[i].count, 0);
            CHECK_EQ(target, fw_json_count(fixture_at(root, "alerts")), rows[i].count);
            fixture_at(root, "timestamp");
            fw_json_parser_free(parser);
            answer_free(&answer);
        }
    stack_stop(&s);
    fixture_fini(&f);
}

static void test_metrics(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    start_with_outlook(&s, &f);
    struct answer plain = get(&s, "/metrics");
    struct answer open = ask(&s, "GET", "/metrics",
                             "Accept: application/openmetrics-text;version=1.0.0,"
                             "application/openmetrics-text;version=0.0.1;q=0.75,"
                             "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n",
                             NULL, 0);
    char type[128];
    answer_header(&plain, "Content-Type", type);
    CHECK_STR("0.0.4", type, "text/plain; version=0.0.4; charset=utf-8");
    answer_header(&open, "Content-Type", type);
    CHECK_STR("1.0.0", type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    CHECK_STR("ends", open.body + open.body_len - 6, "# EOF\n");
    static const char *const lines[] = {
        "forewarn_build_info{version=",
        "forewarn_ingest_samples_total{protocol=\"feed\"} 3\n",
        "forewarn_ingest_rejected_total{protocol=\"feed\",reason=\"bad_value\"} 0\n",
        "forewarn_servers{state=\"reporting\"} 3\n",
        "forewarn_ingest_duration_seconds_count 1\n",
        "forewarn_wal_fsync_duration_seconds_bucket{le=\"+Inf\"} ",
        "forewarn_forecast_duration_seconds_count ",
        "forewarn_forecast_age_seconds ",
        "forewarn_alerts{severity=\"warning\",state=\"firing\"} 1\n",
        "forewarn_http_request_duration_seconds_bucket{operation=\"feed_data\",le=\"",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        CHECK_TRUE(lines[i], strstr(plain.body, lines[i]) != NULL);
        CHECK_TRUE(lines[i], strstr(open.body, lines[i]) != NULL);
    }
    CHECK_TRUE("plain types", strstr(plain.body, "# TYPE process_cpu_seconds_total counter\n"));
    CHECK_TRUE("open types", strstr(open.body, "# TYPE process_cpu_seconds counter\n# UNIT "
                                               "process_cpu_seconds seconds\n"));
    answer_free(&plain);
    answer_free(&open);
    stack_stop(&s);
    fixture_fini(&f);
}

/* ---- models ---- */

struct registry {
    char asked[128];
    bool any;
    enum api_reload result;
};

static enum fw_status list_models(void *ctx, api_model_fn visit, void *visit_ctx,
                                  struct fw_error *err)
{
    (void)ctx;
    (void)err;
    visit(visit_ctx, &(struct api_model){.name = "tft_model_20260102_000000",
                                         .timestamp = "20260102_000000",
                                         .size_bytes = 2516582,
                                         .modified_ms = 1767225600000,
                                         .epochs = 20,
                                         .val_loss = (double)NAN,
                                         .coverage = (double)NAN});
    return FW_OK;
}

static bool no_model(void *ctx, struct api_model *model)
{
    (void)ctx;
    (void)model;
    return false;
}

static enum api_reload reload_model(void *ctx, const char *name, struct api_model *model,
                                    struct fw_error *err)
{
    struct registry *registry = ctx;
    registry->any = true;
    snprintf(registry->asked, sizeof registry->asked, "%s", name == NULL ? "(newest)" : name);
    snprintf(model->name, sizeof model->name, "%s", name == NULL ? "newest" : name);
    (void)fw_fail(err, FW_ECORRUPT, "checksum");
    return registry->result;
}

static void test_models(void **state)
{
    (void)state;
    static const struct {
        const char *name, *target, *body;
        enum api_reload result;
        const char *asked; /* NULL: the registry must not be asked */
        const char *text;  /* in the answer */
    } rows[] = {
        {"newest",          "/admin/reload-model",                        "",                               API_RELOADED,      "(newest)",
         "\"success\":true,\"message\":\"Model reloaded successfully\""                                                                                       },
        {"by query",        "/admin/reload-model?model_path=m1",          "",                               API_RELOADED,      "m1",
         "\"new_model\":\"models/m1\""                                                                                                                        },
        {"as listed",       "/admin/reload-model?model_path=models/m1",   "",                               API_RELOAD_SAME,   "m1",
         "\"message\":\"Model already loaded (same version)\",\"model_path\":\"models/m1\""                                                                   },
        {"by body",         "/admin/reload-model",                        "{\"model_path\":\"m2\"}",        API_RELOADED,      "m2",
         "\"previous_model\":null"                                                                                                                            },
        {"nothing there",   "/admin/reload-model",                        "{}",                             API_RELOAD_NONE,   "(newest)",
         "\"success\":false,\"error\":\"No model found\""                                                                                                     },
        {"broken",          "/admin/reload-model?model_path=m3",          "",                               API_RELOAD_FAILED, "m3",       "rolled back"      },
        {"up",              "/admin/reload-model?model_path=../m",        "",                               API_RELOADED,      NULL,       "\"success\":false"},
        {"up below",        "/admin/reload-model?model_path=models/../m", "",                               API_RELOADED,      NULL,
         "\"success\":false"                                                                                                                                  },
        {"absolute",        "/admin/reload-model?model_path=/etc/passwd", "",                               API_RELOADED,      NULL,
         "\"success\":false"                                                                                                                                  },
        {"encoded",         "/admin/reload-model?model_path=..%2Fm",      "",                               API_RELOADED,      NULL,
         "\"success\":false"                                                                                                                                  },
        {"hidden",          "/admin/reload-model?model_path=.hidden",     "",                               API_RELOADED,      NULL,
         "\"success\":false"                                                                                                                                  },
        {"below",           "/admin/reload-model?model_path=a/b",         "",                               API_RELOADED,      NULL,
         "\"success\":false"                                                                                                                                  },
        {"NUL in the body", "/admin/reload-model",                        "{\"model_path\":\"m\\u0000x\"}", API_RELOADED,
         NULL,                                                                                                                             "\"detail\":[{"    },
        {"no text",         "/admin/reload-model",                        "{\"model_path\":7}",             API_RELOADED,      NULL,
         "\"detail\":[{"                                                                                                                                      },
        {"no JSON",         "/admin/reload-model",                        "{",                              API_RELOADED,      NULL,       "\"detail\":[{"    },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct stack s;
        struct registry registry = {.result = rows[i].result};
        stack_start(&s, &(struct api_options){0}, false);
        api_attach(s.api, &(struct api_parts){
                              .fleet = s.fleet,
                              .board = s.board,
                              .journal = s.journal,
                              .models = {.ctx = &registry,
                                         .list = list_models,
                                         .current = no_model,
                                         .reload = reload_model}
        });
        struct answer answer = post(&s, rows[i].target, rows[i].body);
        CHECK_EQ(rows[i].name, registry.any, rows[i].asked != NULL);
        if (rows[i].asked != NULL)
            CHECK_STR(rows[i].name, registry.asked, rows[i].asked);
        if (strstr(answer.body, rows[i].text) == NULL)
            fail_msg("%s: %s", rows[i].name, answer.body);
        answer_free(&answer);
        answer = get(&s, "/admin/models");
        CHECK_TRUE("listed", strstr(answer.body, "\"path\":\"models/tft_model_20260102_000000\""));
        CHECK_TRUE("size", strstr(answer.body, "\"size_mb\":2.4,"));
        CHECK_TRUE("count", strstr(answer.body, "\"count\":1,\"models_dir\":\"models\","
                                                "\"current_model\":null"));
        answer_free(&answer);
        answer = get(&s, "/admin/model-info");
        assert_string_equal(answer.body, "{\"loaded\":false,\"mode\":\"heuristic\"}");
        answer_free(&answer);
        stack_stop(&s);
    }
}

/* Every failing allocation of any GET is an answer or a closed connection; the next one works. */
static void test_allocation_failures(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    start_with_outlook(&s, &f);
    static const char *const targets[] = {"/predictions/current?steps=7&sort=risk",
                                          "/alerts/active?legacy=steps",
                                          "/metrics",
                                          "/api/v1/servers",
                                          "/api/v1/servers/web-01/window",
                                          "/api/v1/status",
                                          "/api/v1/outlook"};
    for (size_t t = 0; t < COUNT_OF(targets); t++)
        get_starved(&s, targets[t]);
    stack_stop(&s);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_recovery),
        cmocka_unit_test(test_openapi_is_the_table),
        cmocka_unit_test(test_etag),
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_costly_filter),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_legacy_steps),
        cmocka_unit_test(test_alert_filters),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
