/* The Prometheus query API against the real server: Grafana's requests as it sends them, and the
 * values of every series. */
#include "client.h"

#include "api/api_internal.h"
#include "outlook/past.h"

#include <ctype.h>

#define NOW_S ((int64_t)STACK_NOW_S)

static const char form[] = "Content-Type: application/x-www-form-urlencoded\r\n";

struct stage {
    struct stack s;
    struct fixture outlooks[2];
};

static struct forecast *forecast_of(const char *name, int64_t origin_s, float low)
{
    const struct fixture_metric metrics[] = {
        {METRIC_CPU_USER,   low, low},
        {METRIC_DISK_USAGE, 1,   85 }
    };
    struct forecast *f = fixture_forecast(name, metrics, 2);
    f->origin_ms = origin_s * 1000;
    for (int k = 0; k < FORECAST_HORIZON; k++) {
        f->paths[0].p50[k] = low + (float)k;
        f->paths[0].p90[k] = low + (float)(2 * k);
    }
    return f;
}

/* Two runs, a step apart; values of the last hour: cpu_user_pct 1 to 12. */
static void stage_open(struct stage *t)
{
    memset(t, 0, sizeof *t);
    stack_start(&t->s, &(struct api_options){0}, true);
    for (int i = 0; i < 12; i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "[{\"server_name\":\"db1\",\"timestamp\":%lld,\"cpu_user_pct\":%d},"
                 "{\"server_name\":\"web 1\",\"timestamp\":%lld,\"cpu_user_pct\":%d}]",
                 (long long)(NOW_S - 3600 + 300 * i), i + 1, (long long)(NOW_S - 3600 + 300 * i),
                 50 + i);
        CHECK_EQ("fed", status_of(post(&t->s, "/feed/data", body)), 200);
    }
    for (int i = 0; i < 2; i++) {
        struct fixture *f = &t->outlooks[i];
        struct forecast *forecasts[] = {forecast_of("db1", NOW_S - 300 + 300 * i, i == 0 ? 10 : 20),
                                        forecast_of("web 1", NOW_S - 300 + 300 * i, 40)};
        fixture_init(f, forecasts, 2, NULL, 0);
        atomic_init(&f->outlook.references, 1000);
        f->outlook.id = (uint64_t)i + 1;
        f->outlook.made_ms = (NOW_S - 300 + 300 * i) * 1000;
        f->risks[0].score = 30 + 10 * (float)i;
        f->risks[1].score = 5;
        stack_publish(t->s.board, &f->outlook);
    }
}

static void stage_close(struct stage *t)
{
    stack_stop(&t->s);
    fixture_fini(&t->outlooks[0]);
    fixture_fini(&t->outlooks[1]);
}

static void put_escaped(char *to, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text != '\0' && n + 4 < size; text++) {
        if (*text == ' ')
            to[n++] = '+';
        else if (isalnum((unsigned char)*text))
            to[n++] = *text;
        else
            n += (size_t)snprintf(to + n, size - n, "%%%02X", (unsigned char)*text);
    }
    to[n] = '\0';
}

/* The answer to a query at one time, by POST as Grafana asks. */
static struct answer instant(const struct stage *t, const char *query, int64_t time_s)
{
    char escaped[1024], body[1200];
    put_escaped(escaped, sizeof escaped, query);
    const int len = snprintf(body, sizeof body, "query=%s&time=%lld", escaped, (long long)time_s);
    return ask(&t->s, "POST", "/api/v1/query", form, body, (size_t)len);
}

static struct answer range(const struct stage *t, const char *query, int64_t start_s, int64_t end_s,
                           const char *step)
{
    char escaped[1024], target[1400];
    put_escaped(escaped, sizeof escaped, query);
    snprintf(target, sizeof target, "/api/v1/query_range?query=%s&start=%lld&end=%lld&step=%s",
             escaped, (long long)start_s, (long long)end_s, step);
    return get(&t->s, target);
}

#define SUCCESS "{\"status\":\"success\",\"data\":"

static void test_connection(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    static const char expected[] = SUCCESS "{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}}";
    struct answer answer = ask(&t.s, "POST", "/api/v1/query", form, "query=1%2B1&time=4", 18);
    CHECK_EQ("by form", answer.status, 200);
    CHECK_STR("by form", answer.body, expected);
    answer_free(&answer);
    answer = get(&t.s, "/api/v1/query?query=1%2B1&time=4");
    CHECK_STR("by address", answer.body, expected);
    answer_free(&answer);
    /* Some leave the parameters in the address of a POST. */
    answer = ask(&t.s, "POST", "/api/v1/query?query=1%2B1&time=4", form, "", 0);
    CHECK_STR("both", answer.body, expected);
    answer_free(&answer);
    answer = get(&t.s, "/api/v1/query?query=1%2B1&time=1970-01-01T00:00:04Z");
    CHECK_STR("RFC 3339", answer.body, expected);
    answer_free(&answer);
    answer = get(&t.s, "/api/v1/status/buildinfo");
    CHECK_TRUE("a version", strstr(answer.body, SUCCESS "{\"version\":\"2.") == answer.body);
    CHECK_TRUE("not Mimir", strstr(answer.body, "features") == NULL);
    answer_free(&answer);
    stage_close(&t);
}

/* What the query editor and variables ask. */
static void test_browsing(void **state)
{
    static const struct {
        const char *name, *method, *target, *body, *expected;
    } rows[] = {
        {"names",                "GET",  "/api/v1/label/__name__/values?start=1&end=2",    NULL,
         SUCCESS "[\"forewarn_observed\",\"forewarn_forecast\",\"forewarn_forecast_lead\","                                                                                                },
        {"servers",              "GET",  "/api/v1/label/server/values",                    NULL,                                                  SUCCESS "[\"db1\",\"web 1\"]}"           },
        {"servers that fit",     "GET",
         "/api/v1/label/server/values?match[]=forewarn_observed%7Bserver%3D~%22d.*%22%7D", NULL,
         SUCCESS "[\"db1\"]}"                                                                                                                                                              },
        {"names that fit",       "GET",
         "/api/v1/label/__name__/values?match%5B%5D=%7Bserver%3D%22db1%22%7D&limit=2",     NULL,
         SUCCESS "[\"cpu_user_pct:actual\",\"cpu_user_pct:anomalous\"]}"                                                                                                                   },
        {"quantiles",            "GET",  "/api/v1/label/quantile/values",                  NULL,
         SUCCESS "[\"0.1\",\"0.5\",\"0.9\"]}"                                                                                                                                              },
        {"leads",                "GET",  "/api/v1/label/lead/values",                      NULL,
         SUCCESS "[\"5m\",\"30m\",\"1h\",\"8h\"]}"                                                                                                                                         },
        {"no such label",        "GET",  "/api/v1/label/x/values",                         NULL,                                                  SUCCESS "[]}"                            },
        {"labels",               "GET",  "/api/v1/labels",                                 NULL,                                                  SUCCESS "[\"__name__\",\"for\",\"lead\","},
        {"labels by form",       "POST", "/api/v1/labels",                                 "match%5B%5D=forewarn_risk_score",
         SUCCESS "[\"__name__\",\"profile\",\"server\"]}"                                                                                                                                  },
        {"series",               "POST", "/api/v1/series",                                 "match%5B%5D=forewarn_risk_score&match%5B%5D=nothing",
         SUCCESS
         "[{\"__name__\":\"forewarn_risk_score\",\"profile\":\"generic\",\"server\":\"db1\"},"
         "{\"__name__\":\"forewarn_risk_score\",\"profile\":\"generic\",\"server\":\"web 1\"}]}"                                                                                           },
        {"series without match", "GET",  "/api/v1/series",                                 NULL,
         "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid parameter "
         "\\\"match[]\\\""                                                                                                                                                                 },
        {"metadata",             "GET",  "/api/v1/metadata?metric=forewarn_risk_score",    NULL,
         SUCCESS
         "{\"forewarn_risk_score\":[{\"type\":\"gauge\",\"help\":\"Risk of a server, 0 to 100.\","
         "\"unit\":\"\"}]}}"                                                                                                                                                               },
        {"metadata, limited",    "GET",  "/api/v1/metadata?limit=1",                       NULL,
         SUCCESS "{\"forewarn_observed\":[{"                                                                                                                                               },
        {"exemplars",            "POST", "/api/v1/query_exemplars",                        "query=x&start=1&end=2",                               SUCCESS "[]}"                            },
        {"format",               "GET",  "/api/v1/format_query?query=a%2F2",               NULL,                                                  SUCCESS "\"a/2\"}"                       },
        {"a bad limit",          "GET",  "/api/v1/labels?limit=x",                         NULL,                                                  "{\"status\":\"error\""                  },
    };
    struct stage t;
    (void)state;
    stage_open(&t);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer =
            ask(&t.s, rows[i].method, rows[i].target, rows[i].body != NULL ? form : "",
                rows[i].body, rows[i].body != NULL ? strlen(rows[i].body) : 0);
        if (strncmp(answer.body, rows[i].expected, strlen(rows[i].expected)) != 0)
            fail_msg("%s: %s", rows[i].name, answer.body);
        CHECK_EQ(rows[i].name, answer.status,
                 strncmp(rows[i].expected, SUCCESS, 14) == 0 ? 200 : 400);
        answer_free(&answer);
    }
    stage_close(&t);
}

/* The only value of an instant query; NaN: there is none. */
static double value_at(const struct stage *t, const char *query, int64_t time_s)
{
    double value = (double)NAN;
    struct answer answer = instant(t, query, time_s);
    const char *at = strstr(answer.body, "\"value\":[");
    CHECK_EQ(query, answer.status, 200);
    if (at != NULL) {
        CHECK_TRUE(query, strstr(at + 1, "\"value\":[") == NULL);
        value = strtod(strchr(at, ',') + 2, NULL);
    }
    answer_free(&answer);
    return value;
}

static void test_values(void **state)
{
    static const double none = (double)NAN;
    const struct {
        const char *query;
        int64_t after_s; /* of now */
        double expected;
    } rows[] = {
        {"forewarn_observed{server=\"db1\",metric=\"cpu_user_pct\"}",                  -300,     12  },
        {"forewarn_observed{server=\"db1\",metric=\"cpu_user_pct\"}",                  -3600,    1   },
        {"forewarn_observed{server=\"db1\",metric=\"cpu_user_pct\"}",                  -3301,    1   },
        {"forewarn_observed{server=\"db1\",metric=\"cpu_user_pct\"}",                  -3601,    none},
        {"forewarn_observed{server=\"db1\",metric=\"cpu_user_pct\"}",                  0,        12  },
        {"forewarn_observed{server=\"db1\",metric=\"cpu_user_pct\"}",                  300,      none},
        {"forewarn_observed{server=\"db1\",metric=\"cpu_user_pct\"} offset 5m",        0,        12  },
        {"forewarn_observed{server=\"db1\",metric=\"mem_used_pct\"}",                  0,        none},
 /* ahead: the newest run; behind: what was said a step before */
        {"forewarn_forecast{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.1\"}", 0,        20  },
        {"forewarn_forecast{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\"}", 3000,     30  },
        {"forewarn_forecast{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.9\"}", 3299,     40  },
        {"forewarn_forecast{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\"}", 95 * 300,
         115                                                                                         },
        {"forewarn_forecast{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\"}", 96 * 300,
         none                                                                                        },
        {"forewarn_forecast{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\"}", -1,       10  },
        {"forewarn_forecast{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\"}", -301,     none},
 /* six steps ahead, by the first run and by the second */
        {"forewarn_forecast_lead{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\",lead="
         "\"30m\"}",                                                          4 * 300,  15  },
        {"forewarn_forecast_lead{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.9\",lead="
         "\"30m\"}",                                                          5 * 300,  30  },
        {"forewarn_forecast_lead{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.9\",lead="
         "\"30m\"}",                                                          6 * 300,  none},
        {"forewarn_forecast_max{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\",within="
         "\"1h\"}",                                                           -1,       31  },
        {"forewarn_forecast_max{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\",within="
         "\"30m\"}",                                                          0,        26  },
        {"forewarn_forecast_max{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\",within="
         "\"8h\"}",                                                           0,        none},
        {"forewarn_forecast_max{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\",within="
         "\"1h\"}",                                                           -900,     none},
        {"forewarn_risk_score{server=\"db1\"}",                                        0,        40  },
        {"forewarn_risk_score{server=\"db1\"}",                                        -300,     30  },
        {"forewarn_risk_score{server=\"db1\"}",                                        -900,     none},
        {"forewarn_risk_score{server=\"db1\"}",                                        900,      none},
        {"max(forewarn_risk_score)",                                                   0,        40  },
        {"vmanomaly_yhat{server=\"db1\",for=\"cpu_user_pct\"}",                        3000,     30  },
        {"vmanomaly_yhat_lower{server=\"db1\",for=\"cpu_user_pct\"}",                  3000,     20  },
        {"vmanomaly_yhat_upper{server=\"db1\",for=\"cpu_user_pct\"}",                  3000,     40  },
        {"cpu_user_pct:actual{server=\"db1\"}",                                        -300,     12  },
        {"cpu_user_pct:predicted{server=\"db1\",ml_forecast=\"yhat_upper\"}",          3000,     40  },
        {"cpu_user_pct:anomalous{server=\"db1\"}",                                     -300,     1   },
        {"cpu_user_pct:anomalous{server=\"web 1\"}",                                   -300,     1   },
        {"cpu_user_pct:anomalous{server=\"db1\"}",                                     -900,     none},
        {"forewarn_risk_score{rack=\"x\"}",                                            0,        none},
    };
    struct stage t;
    (void)state;
    stage_open(&t);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const double value = value_at(&t, rows[i].query, NOW_S + rows[i].after_s);
        if (isnan(rows[i].expected) ? !isnan(value) : !(fabs(value - rows[i].expected) < 1e-6))
            fail_msg("%s at %lld: %g, expected %g", rows[i].query, (long long)rows[i].after_s,
                     value, rows[i].expected);
    }
    const double chance = value_at(&t,
                                   "forewarn_crossing_probability{server=\"db1\",metric=\"disk_"
                                   "usage_pct\",threshold=\"warning\",within=\"1h\"}",
                                   NOW_S);
    CHECK_TRUE("a disk that will be above its warning", chance > 0.9 && chance <= 1);
    stage_close(&t);
}

/* A panel: what happened, what is expected, on one axis. */
static void test_range(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t);
    struct answer answer = range(&t, "forewarn_observed{server=\"db1\",metric=\"cpu_user_pct\"}",
                                 NOW_S - 900, NOW_S + 900, "300");
    CHECK_STR("observed", answer.body,
              SUCCESS "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":"
                      "\"forewarn_observed\",\"metric\":\"cpu_user_pct\",\"profile\":\"generic\","
                      "\"server\":\"db1\"},\"values\":[[1767224700,\"10\"],[1767225000,\"11\"],"
                      "[1767225300,\"12\"],[1767225600,\"12\"]]}]}}");
    answer_free(&answer);
    answer = range(&t, "forewarn_forecast{server=\"db1\",metric=\"cpu_user_pct\",quantile=\"0.5\"}",
                   NOW_S - 900, NOW_S + 600, "5m");
    CHECK_TRUE("forecast",
               strstr(answer.body, "\"values\":[[1767225300,\"10\"],[1767225600,\"20\"],"
                                   "[1767225900,\"21\"],[1767226200,\"22\"]]}]}}") != NULL);
    answer_free(&answer);
    answer = range(&t, "avg by (metric) (forewarn_observed{metric=\"cpu_user_pct\"})", NOW_S - 300,
                   NOW_S - 300, "15");
    CHECK_TRUE("average", strstr(answer.body, "{\"metric\":{\"metric\":\"cpu_user_pct\"},"
                                              "\"values\":[[1767225300,\"36.5\"]]}") != NULL);
    answer_free(&answer);
    answer = range(&t, "1/0", 10, 10, "0.5");
    CHECK_TRUE("infinite",
               strstr(answer.body, "{\"metric\":{},\"values\":[[10,\"+Inf\"]]}") != NULL);
    answer_free(&answer);
    /* Any range that numbers allow, without a sum of its own for each point. */
    answer = range(&t, "forewarn_forecast", 0, 253402300799, "86400000");
    CHECK_EQ("all of time", answer.status, 200);
    answer_free(&answer);
    stage_close(&t);
}

/* A long history that has every step of db1's cpu_user_pct: its number, less the first of 2026. */
static bool read_made(void *ctx, const char *server, int64_t first, size_t n, float *values)
{
    const struct schema *schema = ctx;
    for (size_t i = 0; i < schema->count * n; i++)
        values[i] = NAN;
    for (size_t i = 0; i < n && strcmp(server, "db1") == 0; i++)
        values[(size_t)METRIC_CPU_USER * n + i] = (float)(first + (int64_t)i - NOW_S / 300);
    return true;
}

static void test_older(void **state)
{
    enum { DAY_S = 86400, DAY_STEPS = 288 };
    static const char observed[] = "forewarn_observed{server=\"db1\",metric=\"cpu_user_pct\"}";
    struct stage t;
    (void)state;
    stage_open(&t);
    CHECK_TRUE("without one", isnan(value_at(&t, observed, NOW_S - 4 * DAY_S)));
    t.s.api->parts.history_read = read_made;
    t.s.api->parts.history_ctx = &t.s.schema;
    CHECK_NEAR("four days ago", value_at(&t, observed, NOW_S - 4 * DAY_S), -4 * DAY_STEPS, 0);
    CHECK_NEAR("a year ago", value_at(&t, observed, NOW_S - 340 * DAY_S), -340 * DAY_STEPS, 0);
    CHECK_NEAR("the window", value_at(&t, observed, NOW_S - 300), 12, 0);
    CHECK_TRUE("a gap in the window", isnan(value_at(&t, observed, NOW_S - DAY_S)));
    CHECK_TRUE("another server",
               isnan(value_at(&t, "forewarn_observed{server=\"web 1\",metric=\"cpu_user_pct\"}",
                              NOW_S - 4 * DAY_S)));
    /* Across the window's beginning, 864 steps back from the newest. */
    struct answer answer = range(&t, observed, NOW_S - 865 * 300, NOW_S - 864 * 300, "300");
    CHECK_TRUE("across", strstr(answer.body, "\"values\":[[1766966100,\"-865\"],[1766966400,"
                                             "\"-865\"]]") != NULL);
    answer_free(&answer);
    answer = range(&t, observed, 0, NOW_S, "1000000");
    CHECK_EQ("from the beginning", answer.status, 200);
    CHECK_TRUE("as far as it is read", strstr(answer.body, "\"values\":[[1737000000,") != NULL);
    answer_free(&answer);
    stage_close(&t);
}

/* Grafana's list of alerts: ours, as two rules. */
static void test_rules(void **state)
{
    static const struct alert alerts[] = {
        {.id = 1,
         .server = "db1",
         .metric = METRIC_DISK_USAGE,
         .state = ALERT_FIRING,
         .severity = ALERT_CRITICAL,
         .current = 85,
         .threshold = 92,
         .probability = 0.75f,
         .pending_since_ms = NOW_S * 1000},
        {.id = 2, .server = "a", .metric = METRIC_CPU_USER, .state = ALERT_RESOLVED},
        {.id = 3,
         .server = "web 1",
         .metric = ALERT_METRIC_SILENT,
         .state = ALERT_PENDING,
         .severity = ALERT_WARNING,
         .probability = NAN,
         .pending_since_ms = NOW_S * 1000},
    };
    static struct fixture f;
    struct stack s;
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    struct answer answer = get(&s, "/api/v1/rules");
    CHECK_TRUE("no run yet", strstr(answer.body, "\"alerts\":[],\"state\":\"inactive\"") != NULL);
    answer_free(&answer);
    struct forecast *forecasts[] = {forecast_of("db1", NOW_S, 1)};
    fixture_init(&f, forecasts, 1, alerts, COUNT_OF(alerts));
    atomic_init(&f.outlook.references, 1000);
    stack_publish(s.board, &f.outlook);
    answer = get(&s, "/api/v1/rules");
    CHECK_EQ("answered", answer.status, 200);
    struct fw_json_parser *parser;
    const struct fw_json_value root = answer_json(&answer, &parser);
    CHECK_STR("status", fixture_text(root, "status"), "success");
    fw_json_parser_free(parser);
    static const char *const parts[] = {
        "\"name\":\"ForewarnThresholdForecast\",\"query\":\"forewarn_crossing_probability\"",
        "{\"labels\":{\"alertname\":\"ForewarnThresholdForecast\",\"metric\":\"disk_usage_pct\","
        "\"server\":\"db1\",\"severity\":\"critical\"},\"annotations\":{\"summary\":\"db1: "
        "disk_usage_pct, now 85, threshold 92\"},\"state\":\"firing\",\"activeAt\":"
        "\"2026-01-01T00:00:00Z\",\"value\":\"0.75\"}],\"state\":\"firing\"",
        "\"metric\":\"server_silent\",\"server\":\"web "
        "1\",\"severity\":\"warning\"},\"annotations\":"
        "{\"summary\":\"web 1: no data arrives\"},\"state\":\"pending\"",
        "\"value\":\"1\"}],\"state\":\"pending\"",
    };
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (strstr(answer.body, parts[i]) == NULL)
            fail_msg("no %s in %s", parts[i], answer.body);
    CHECK_TRUE("not what is over", strstr(answer.body, "\"server\":\"a\"") == NULL);
    answer_free(&answer);
    stack_stop(&s);
    fixture_fini(&f);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *target;
        int status;
        const char *type;
    } rows[] = {
        {"/api/v1/query",                                        400, "bad_data" },
        {"/api/v1/query?query=1%2B",                             400, "bad_data" },
        {"/api/v1/query?query=1&time=x",                         400, "bad_data" },
        {"/api/v1/query?query=1&time=-5",                        400, "bad_data" },
        {"/api/v1/query?query=1&time=nan",                       400, "bad_data" },
        {"/api/v1/query?query=rate(x%5B5m%5D)",                  422, "execution"},
        {"/api/v1/query_range?query=1&start=1&end=2",            400, "bad_data" },
        {"/api/v1/query_range?query=1&start=1&end=2&step=0",     400, "bad_data" },
        {"/api/v1/query_range?query=1&start=1&end=2&step=-1",    400, "bad_data" },
        {"/api/v1/query_range?query=1&start=2&end=1&step=1",     400, "bad_data" },
        {"/api/v1/query_range?query=1&start=0&end=11000&step=1", 400, "bad_data" },
        {"/api/v1/series?match[]=%7B%7D",                        400, "bad_data" },
        {"/api/v1/series?match[]=1",                             400, "bad_data" },
    };
    struct stage t;
    char expected[128];
    (void)state;
    stage_open(&t);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = get(&t.s, rows[i].target);
        CHECK_EQ(rows[i].target, answer.status, rows[i].status);
        snprintf(expected, sizeof expected,
                 "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":\"", rows[i].type);
        CHECK_TRUE(rows[i].target, strncmp(answer.body, expected, strlen(expected)) == 0);
        answer_free(&answer);
    }
    CHECK_EQ("a broken form", status_of(ask(&t.s, "POST", "/api/v1/query", form, "query=%zz", 9)),
             400);
    CHECK_EQ("11,000 points", status_of(range(&t, "1", 0, 10999, "1")), 200);
    stage_close(&t);
    stack_start(&t.s, &(struct api_options){0}, false);
    CHECK_EQ("starting", status_of(get(&t.s, "/api/v1/query?query=1")), 503);
    stack_stop(&t.s);
    stack_start(&t.s, &(struct api_options){0}, true);
    CHECK_EQ("no run yet", status_of(get(&t.s, "/api/v1/query?query=forewarn_risk_score")), 200);
    stack_stop(&t.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection), cmocka_unit_test(test_browsing),
        cmocka_unit_test(test_values),     cmocka_unit_test(test_range),
        cmocka_unit_test(test_older),      cmocka_unit_test(test_rules),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
