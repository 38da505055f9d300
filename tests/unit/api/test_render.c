/* The bodies of sections 4 and 5 from hand-made outlooks. */
#include "api/predictions.h"
#include "forecast/forecaster.h"

#include "fixture.h"

static struct fw_buf whole_body(const struct fixture *f, const struct api_view *view)
{
    struct api_body_plan plan = {.outlook = &f->outlook,
                                 .records = f->outlook.records,
                                 .fields = API_FIELDS,
                                 .count = f->set->count};
    struct fw_buf buf;
    if (view != NULL)
        plan.view = *view;
    else
        api_view_default(&plan.view);
    fw_buf_init(&buf, (size_t)64 << 20);
    api_render_body(&buf, &plan, NULL, NULL);
    return buf;
}

/* Contract 17, "Display", and 13.7. */
static void test_display_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int metric;
        float current, predicted;
        const char *key;
        double shown_current, shown_predicted, shown_delta;
        const char *trend;
    } rows[] = {
        {"idle is turned round",          METRIC_CPU_IDLE,     40,     35,        "cpu",     60.0, 65.0, 5.0,  "increasing"},
        {"user without idle",             METRIC_CPU_USER,     95.6f,  99.7f,     "cpu",     95.6, 99.7, 4.1,  "increasing"},
        {"what rounds to zero is stable", METRIC_MEM_USED,     60.04f, 60.06f,    "memory",  60.0, 60.1,
         0.0,                                                                                                  "stable"    },
        {"rounding noise",                METRIC_SWAP_USED,    10.0f,  9.999999f, "swap",    10.0, 10.0, 0.0,  "stable"    },
        {"falling",                       METRIC_LOAD_AVERAGE, 4.0f,   3.5f,      "load",    4.0,  3.5,  -0.5, "decreasing"},
        {"just enough to move",           METRIC_DISK_USAGE,   50.0f,  50.06f,    "disk",    50.0, 50.1, 0.1,
         "increasing"                                                                                                      },
        {"network",                       METRIC_NET_OUT,      1.0f,   2.0f,      "net_out", 1.0,  2.0,  1.0,  "increasing"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fixture_metric metric = {rows[i].metric, rows[i].current, rows[i].predicted};
        struct forecast *forecast = fixture_forecast("s", &metric, 1);
        struct fw_buf buf;
        fw_buf_init(&buf, 65536);
        api_render_display(&buf, forecast);
        struct fw_json_parser *parser;
        const struct fw_json_value root = fixture_at(fixture_parse(&parser, &buf), rows[i].key);
        CHECK_NEAR(rows[i].name, fixture_number(root, "current"), rows[i].shown_current, 1e-9);
        CHECK_NEAR(rows[i].name, fixture_number(root, "predicted"), rows[i].shown_predicted, 1e-9);
        CHECK_NEAR(rows[i].name, fixture_number(root, "delta"), rows[i].shown_delta, 1e-9);
        CHECK_STR(rows[i].name, fixture_text(root, "trend"), rows[i].trend);
        fw_buf_putc(&buf, '\0');
        CHECK_TRUE(rows[i].name, strstr(buf.data, "-0.0,") == NULL);
        fw_json_parser_free(parser);
        fw_buf_fini(&buf);
        fw_free(forecast);
    }
}

static void test_display_without_cpu(void **state)
{
    (void)state;
    struct forecast *forecast = fixture_forecast("s", NULL, 0);
    struct fw_buf buf;
    fw_buf_init(&buf, 65536);
    api_render_display(&buf, forecast);
    struct fw_json_parser *parser;
    const struct fw_json_value root = fixture_parse(&parser, &buf);
    CHECK_NEAR("cpu is always there", fixture_number(root, "cpu.current"), 0.0, 0.0);
    CHECK_EQ("and nothing else", fw_json_count(root), 1);
    fw_json_parser_free(parser);
    fw_buf_fini(&buf);
    fw_free(forecast);
}

/* Contract 13.2: level, colour, label, emoji. */
static void test_level(void **state)
{
    (void)state;
    static const struct {
        enum risk_level level;
        const char *name, *color, *label, *emoji;
    } rows[] = {
        {RISK_CRITICAL, "critical", "#ff4444", "Critical", "\xf0\x9f\x94\xb4"},
        {RISK_WARNING,  "warning",  "#ff9900", "Warning",  "\xf0\x9f\x9f\xa0"},
        {RISK_WATCH,    "watch",    "#ffcc00", "Watch",    "\xf0\x9f\x9f\xa1"},
        {RISK_HEALTHY,  "healthy",  "#44ff44", "Healthy",  "\xf0\x9f\x9f\xa2"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct risk risk = {.score = 28.04f, .level = rows[i].level};
        struct fw_buf buf;
        fw_buf_init(&buf, 65536);
        fw_buf_putc(&buf, '{');
        api_render_level(&buf, &risk);
        fw_buf_putc(&buf, '}');
        struct fw_json_parser *parser;
        const struct fw_json_value root = fixture_parse(&parser, &buf);
        CHECK_NEAR(rows[i].name, fixture_number(root, "risk_score"), 28.0, 1e-9);
        CHECK_NEAR(rows[i].name, fixture_number(root, "alert.score"), 28.0, 1e-9);
        CHECK_STR(rows[i].name, fixture_text(root, "alert.level"), rows[i].name);
        CHECK_STR(rows[i].name, fixture_text(root, "alert.color"), rows[i].color);
        CHECK_STR(rows[i].name, fixture_text(root, "alert.label"), rows[i].label);
        CHECK_STR(rows[i].name, fixture_text(root, "alert.emoji"), rows[i].emoji);
        fw_json_parser_free(parser);
        fw_buf_fini(&buf);
    }
}

static const struct fixture_metric three[] = {
    {METRIC_CPU_USER, 30, 35},
    {METRIC_CPU_IDLE, 60, 55},
    {METRIC_MEM_USED, 70, 71},
};

static void test_server_keys(void **state)
{
    (void)state;
    struct forecast *forecasts[] = {fixture_forecast("ppdb001", three, 3)};
    struct fixture f;
    fixture_init(&f, forecasts, 1, NULL, 0);
    forecasts[0]->profile = PROFILE_DATABASE;
    static const struct risk_driver driver = {METRIC_MEM_USED, 12.0f, 70.0f, 71.0f, NAN, 0.2f};
    f.risks[0] = (struct risk){.score = 28.0f,
                               .level = RISK_WATCH,
                               .crossing_30m = 0.1f,
                               .crossing_8h = 0.2f,
                               .driver_count = 1,
                               .drivers = &driver};
    struct fw_buf buf = whole_body(&f, NULL);
    struct fw_json_parser *parser;
    const struct fw_json_value root = fixture_parse(&parser, &buf);
    const struct fw_json_value server = fixture_at(root, "predictions.ppdb001");
    static const char *const lists[] = {"cpu_user_pct.p50", "cpu_user_pct.p10",
                                        "mem_used_pct.p90", "forecast.timestamps",
                                        "forecast.cpu_pct", "forecast.mem_pct"};
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        CHECK_EQ(lists[i], fw_json_count(fixture_at(server, lists[i])), FORECAST_HORIZON);
    CHECK_STR("profile", fixture_text(server, "profile"), "Database");
    CHECK_STR("unit", fixture_text(server, "mem_used_pct.unit"), "%");
    CHECK_STR("method", fixture_text(server, "mem_used_pct.method"), "baseline");
    CHECK_STR("forecaster", fixture_text(server, "mem_used_pct.forecaster"), "persistence");
    CHECK_NEAR("current", fixture_number(server, "cpu_user_pct.current"), 30.0, 1e-9);
    CHECK_NEAR("id", fixture_number(server, "server_id"), 215733, 0.0);
    CHECK_NEAR("have", fixture_number(server, "warmup.have"), 160, 0.0);
    CHECK_STR("name", fixture_text(server, "server_name"), "ppdb001");
    CHECK_NEAR("seen", fixture_number(server, "last_seen_unix"), 1767225599, 0.0);
    CHECK_EQ("no threshold", fw_json_type(fixture_at(server, "mem_used_pct.quality.coverage")),
             FW_JSON_NULL);
    static const char *const top[] = {"timestamp",
                                      "timestamp_unix",
                                      "step_seconds",
                                      "stale",
                                      "alerts",
                                      "environment.prob_30m",
                                      "environment.prob_8h",
                                      "environment.incident_probability_30m",
                                      "environment.fleet_health",
                                      "metadata.model_type",
                                      "metadata.model_dir",
                                      "metadata.prediction_time",
                                      "metadata.horizon_steps",
                                      "metadata.input_points",
                                      "metadata.device",
                                      "metadata.risk_model",
                                      "metadata.run_id",
                                      "summary.degrading_count",
                                      "summary.degraded",
                                      "summary.avg_risk_score",
                                      "summary.top_20_risks",
                                      "summary.fleet_health",
                                      "summary.risk_calculation_time"};
    for (size_t i = 0; i < COUNT_OF(top); i++)
        fixture_at(root, top[i]);
    struct fw_json_value none;
    assert_false(fw_json_get(root, "error", &none));
    CHECK_STR("heuristic says so", fixture_text(root, "metadata.model_type"), "heuristic");
    CHECK_STR("no model", fixture_text(root, "metadata.model_dir"), "none");
    fw_json_parser_free(parser);
    fw_buf_fini(&buf);
    fixture_fini(&f);
}

static void test_view_cuts(void **state)
{
    (void)state;
    struct forecast *forecasts[] = {fixture_forecast("a", three, 3)};
    struct fixture f;
    fixture_init(&f, forecasts, 1, NULL, 0);
    struct api_view view;
    api_view_default(&view);
    view.metrics = (uint64_t)1 << METRIC_MEM_USED;
    view.quantiles = API_P50;
    view.steps = 6;
    view.decimals = 0;
    assert_int_equal(api_zone_parse("utc", &view.zone, NULL), FW_OK);
    struct fw_buf buf = whole_body(&f, &view);
    struct fw_json_parser *parser;
    const struct fw_json_value root = fixture_parse(&parser, &buf);
    const struct fw_json_value server = fixture_at(root, "predictions.a");
    struct fw_json_value none;
    assert_false(fw_json_get(server, "cpu_user_pct", &none));
    assert_false(fw_json_get(fixture_at(server, "mem_used_pct"), "p90", &none));
    CHECK_EQ("steps", fw_json_count(fixture_at(server, "mem_used_pct.p50")), 6);
    CHECK_EQ("timestamps too", fw_json_count(fixture_at(server, "forecast.timestamps")), 6);
    CHECK_STR("zone", fixture_text(root, "timestamp"), "2026-01-01T00:00:10.000000Z");
    fw_json_parser_free(parser);
    fw_buf_fini(&buf);
    fixture_fini(&f);
}

/* Contract 4.1: the words, and the keys that the reference leaves out. */
static void test_insufficient(void **state)
{
    (void)state;
    struct schema schema;
    schema_default(&schema);
    static const struct {
        const char *name;
        uint64_t records;
        const char *message;
    } rows[] = {
        {"nothing",       0,   "Need at least 100 records, have 0" },
        {"a few",         45,  "Need at least 100 records, have 45"},
        {"one short",     99,  "Need at least 100 records, have 99"},
        {"no run so far", 100, "The first forecast is being made"  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        api_empty_outlook(&f.outlook, &schema, 300, 1767225610000, rows[i].records);
        struct forecast_set set = {0};
        f.set = &set;
        struct fw_buf buf = whole_body(&f, NULL);
        struct fw_json_parser *parser;
        const struct fw_json_value root = fixture_parse(&parser, &buf);
        CHECK_STR(rows[i].name, fixture_text(root, "error"), "insufficient_data");
        CHECK_STR(rows[i].name, fixture_text(root, "message"), rows[i].message);
        CHECK_EQ(rows[i].name, fw_json_count(fixture_at(root, "predictions")), 0);
        CHECK_EQ(rows[i].name, fw_json_count(fixture_at(root, "alerts")), 0);
        CHECK_NEAR(rows[i].name, fixture_number(root, "summary.total_servers"), 0, 0);
        CHECK_STR(rows[i].name, fixture_text(root, "environment.fleet_health"), "unknown");
        CHECK_STR(rows[i].name, fixture_text(root, "metadata.model_type"), "none");
        fw_json_parser_free(parser);
        fw_buf_fini(&buf);
    }
}

/* Contract 5: "ppml0001: cpu_user_pct predicted to reach 97.0". */
static void test_alert_item(void **state)
{
    (void)state;
    const struct alert alerts[] = {
        {.id = 0xabc,
         .server = "ppml0001",
         .metric = METRIC_CPU_USER,
         .state = ALERT_FIRING,
         .severity = ALERT_CRITICAL,
         .starts_ms = 1767225600000,
         .threshold = 95,
         .predicted = 97.0258f,
         .steps_ahead = 3,
         .peak = 99,
         .peak_steps = 12,
         .probability = 0.75f,
         .current = 90,
         .risk_score = 71.25f,
         .profile = PROFILE_ML_COMPUTE},
        {.server = "gone",  .metric = METRIC_CPU_USER,          .state = ALERT_RESOLVED            },
        {.server = "quiet",
         .metric = ALERT_METRIC_SILENT,
         .state = ALERT_PENDING,
         .threshold = NAN,
         .predicted = NAN,
         .peak = NAN,
         .current = NAN,
         .probability = NAN,
         .risk_score = NAN},
    };
    struct forecast *forecasts[] = {fixture_forecast("ppml0001", three, 3)};
    struct fixture f;
    fixture_init(&f, forecasts, 1, alerts, COUNT_OF(alerts));
    static const struct risk_driver five[5];
    f.risks[0] = (struct risk){.driver_count = 5, .drivers = five};
    struct fw_buf buf = whole_body(&f, NULL);
    struct fw_json_parser *parser;
    const struct fw_json_value root = fixture_parse(&parser, &buf);
    struct fw_json_iter iter = fw_json_walk(fixture_at(root, "alerts"));
    CHECK_EQ("resolved is not listed", fw_json_count(fixture_at(root, "alerts")), 2);
    struct fw_json_value item;
    assert_true(fw_json_next(&iter, &item));
    CHECK_STR("server", fixture_text(item, "server"), "ppml0001");
    CHECK_STR("alias", fixture_text(item, "server_name"), "ppml0001");
    CHECK_STR("severity", fixture_text(item, "severity"), "critical");
    CHECK_NEAR("value", fixture_number(item, "predicted_value"), 97.0258, 1e-4);
    CHECK_NEAR("threshold", fixture_number(item, "threshold"), 95, 0);
    CHECK_NEAR("steps", fixture_number(item, "steps_ahead"), 3, 0);
    CHECK_NEAR("minutes", fixture_number(item, "minutes_ahead"), 15, 0);
    CHECK_STR("message", fixture_text(item, "message"),
              "ppml0001: cpu_user_pct predicted to reach 97.0");
    CHECK_STR("time to issue", fixture_text(item, "time_to_issue"), "15 minutes");
    CHECK_NEAR("peak", fixture_number(item, "peak_minutes"), 60, 0);
    CHECK_STR("id", fixture_text(item, "id"), "0000000000000abc");
    CHECK_STR("state", fixture_text(item, "state"), "firing");
    CHECK_STR("profile", fixture_text(item, "profile"), "ML Compute");
    CHECK_EQ("top three", fw_json_count(fixture_at(item, "explanation")), 3);
    CHECK_EQ("not ended", fw_json_type(fixture_at(item, "ends_at")), FW_JSON_NULL);
    assert_true(fw_json_next(&iter, &item));
    CHECK_STR("silence has a name", fixture_text(item, "metric"), "server_silent");
    CHECK_NEAR("and numbers", fixture_number(item, "predicted_value"), 0, 0);
    fw_json_parser_free(parser);
    fw_buf_fini(&buf);
    fixture_fini(&f);
}

static void test_unusual_item(void **state)
{
    (void)state;
    const struct alert alert = {
        .server = "ppml0001",
        .metric = ALERT_METRIC_UNUSUAL,
        .state = ALERT_FIRING,
        .threshold = 0.5f,
        .predicted = 0.75f,
        .peak = 0.75f,
        .current = NAN,
        .probability = 1.0f,
        .reason_count = 2,
        .reasons = {{METRIC_CPU_USER, 87.13f, 12.09f, 15.77f, 19.4f},
                    {METRIC_CPU_IDLE, 6.5f, 75.94f, 82.07f, -11.3f}}
    };
    struct forecast *forecasts[] = {fixture_forecast("ppml0001", three, 3)};
    struct fixture f;
    fixture_init(&f, forecasts, 1, &alert, 1);
    struct fw_buf buf = whole_body(&f, NULL);
    struct fw_json_parser *parser;
    const struct fw_json_value root = fixture_parse(&parser, &buf);
    struct fw_json_iter iter = fw_json_walk(fixture_at(root, "alerts"));
    struct fw_json_value item, reason;
    assert_true(fw_json_next(&iter, &item));
    CHECK_STR("its name", fixture_text(item, "metric"), "unusual_behaviour");
    CHECK_STR("message", fixture_text(item, "message"),
              "ppml0001: far from its forecasts: cpu_user_pct 87.13 (12.09 to 15.77), "
              "cpu_idle_pct 6.5 (75.94 to 82.07)");
    CHECK_STR("now", fixture_text(item, "time_to_issue"), "now");
    CHECK_NEAR("the score", fixture_number(item, "predicted_value"), 0.75, 1e-4);
    CHECK_NEAR("the threshold", fixture_number(item, "threshold"), 0.5, 1e-4);
    iter = fw_json_walk(fixture_at(item, "reasons"));
    assert_true(fw_json_next(&iter, &reason));
    CHECK_STR("which", fixture_text(reason, "metric"), "cpu_user_pct");
    CHECK_NEAR("the value", fixture_number(reason, "value"), 87.13, 1e-3);
    assert_true(fw_json_next(&iter, &reason));
    CHECK_NEAR("under the band", fixture_number(reason, "widths"), -11.3, 1e-3);
    CHECK_NEAR("which began at", fixture_number(reason, "p10"), 75.94, 1e-3);
    assert_true(!fw_json_next(&iter, &reason));
    fw_json_parser_free(parser);
    fw_buf_fini(&buf);
    fixture_fini(&f);
}

static void test_argus_counts(void **state)
{
    (void)state;
    struct forecast *forecasts[] = {fixture_forecast("a", NULL, 0), fixture_forecast("b", NULL, 0),
                                    fixture_forecast("c", NULL, 0), fixture_forecast("d", NULL, 0)};
    static const float scores[] = {85, 70, 55, 30};
    struct fixture f;
    fixture_init(&f, forecasts, 4, NULL, 0);
    f.outlook.level_counts[RISK_HEALTHY] = 0;
    f.outlook.level_counts[RISK_CRITICAL] = 2;
    f.outlook.level_counts[RISK_WARNING] = 1;
    f.outlook.level_counts[RISK_WATCH] = 1;
    for (size_t i = 0; i < 4; i++)
        f.risks[i].score = scores[i];
    struct api_view view;
    api_view_default(&view);
    for (int argus = 0; argus < 2; argus++) {
        view.counting = argus == 1 ? API_COUNT_ARGUS : API_COUNT_CONFIGURED;
        struct fw_buf buf = whole_body(&f, &view);
        struct fw_json_parser *parser;
        const struct fw_json_value summary = fixture_at(fixture_parse(&parser, &buf), "summary");
        const char *name = argus == 1 ? "80/60/50" : "70/40/20";
        CHECK_NEAR(name, fixture_number(summary, "critical_count"), argus == 1 ? 1 : 2, 0);
        CHECK_NEAR(name, fixture_number(summary, "warning_count"), 1, 0);
        CHECK_NEAR(name, fixture_number(summary, "degrading_count"), 1, 0);
        CHECK_NEAR(name, fixture_number(summary, "healthy_count"), argus == 1 ? 1 : 0, 0);
        fw_json_parser_free(parser);
        fw_buf_fini(&buf);
    }
    fixture_fini(&f);
}

/* A body made with fragments of the one before is the body made anew. */
static void test_fragments_are_reused_rightly(void **state)
{
    (void)state;
    struct forecast *first[] = {fixture_forecast("a", three, 3), fixture_forecast("b", three, 2),
                                fixture_forecast("d", three, 1)};
    struct fixture before;
    fixture_init(&before, first, 3, NULL, 0);
    struct forecast *changed = fixture_forecast("b", three, 3);
    struct forecast *added = fixture_forecast("c", three, 1);
    struct forecast *second[] = {first[0], changed, added, first[2]};
    struct fixture after;
    fixture_init(&after, second, 4, NULL, 0);
    struct api_fragment fragments[3];
    struct api_body_plan plan = {
        .outlook = &before.outlook, .records = 1000, .fields = API_FIELDS, .count = 3};
    api_view_default(&plan.view);
    struct fw_buf old, again, fresh;
    fw_buf_init(&old, 1 << 20);
    fw_buf_init(&again, 1 << 20);
    fw_buf_init(&fresh, 1 << 20);
    size_t written;
    api_render_body(&old, &plan, fragments, &written);
    CHECK_EQ("all written", written, 3);
    plan.outlook = &after.outlook;
    plan.count = 4;
    api_render_body(&fresh, &plan, NULL, NULL);
    plan.earlier = &before.outlook;
    plan.earlier_bytes = old.data;
    plan.earlier_fragments = fragments;
    plan.earlier_count = 3;
    api_render_body(&again, &plan, NULL, NULL);
    CHECK_EQ("same length", again.len, fresh.len);
    assert_memory_equal(again.data, fresh.data, fresh.len);
    /* And the pieces are really taken from there: a mark in the old bytes shows up. */
    memcpy(old.data + fragments[0].at, "\"A\"", 3);
    struct fw_buf marked;
    fw_buf_init(&marked, 1 << 20);
    api_render_body(&marked, &plan, NULL, NULL);
    fw_buf_putc(&marked, '\0');
    assert_non_null(strstr(marked.data, "{\"A\":"));
    fw_buf_fini(&old);
    fw_buf_fini(&again);
    fw_buf_fini(&fresh);
    fw_buf_fini(&marked);
    fixture_fini(&after); /* frees a, b', c, d */
    fw_free(first[1]);
    fw_free(before.set);
    fw_free(before.alerts);
}

/* A body that would pass its ceiling holds what fits, is whole JSON, and says where to go on. */
static void test_truncation(void **state)
{
    (void)state;
    enum { N = 40 };
    struct forecast *forecasts[N];
    char name[16];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "s%02d", i);
        forecasts[i] = fixture_forecast(name, three, 3);
    }
    struct fixture f;
    fixture_init(&f, forecasts, N, NULL, 0);
    struct api_body_plan plan = {
        .outlook = &f.outlook, .records = 1000, .fields = API_FIELDS, .count = N};
    api_view_default(&plan.view);
    size_t last = 0;
    for (size_t max = 16384; max <= 262144; max += 16384) {
        struct fw_buf buf;
        size_t written;
        fw_buf_init(&buf, max);
        api_render_body(&buf, &plan, NULL, &written);
        struct fw_json_parser *parser;
        const struct fw_json_value root = fixture_parse(&parser, &buf);
        CHECK_EQ("servers", fw_json_count(fixture_at(root, "predictions")), written);
        if (written < N)
            CHECK_NEAR("next", fixture_number(root, "next_offset"), (double)written, 0);
        CHECK_TRUE("more room, more servers", written >= last);
        last = written;
        fw_json_parser_free(parser);
        fw_buf_fini(&buf);
    }
    CHECK_TRUE("some ceiling was passed and some not", last > 0);
    fixture_fini(&f);
}

/* Whoever renders, the body is the same: with threads or alone, whole or cut, copied from an
 * earlier one or not. */
static void test_workers(void **state)
{
    (void)state;
    enum { N = 150, MAX = 4 << 20 };
    struct forecast *forecasts[N];
    char name[16];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "s%03d", i);
        forecasts[i] = fixture_forecast(name, three, 1 + (size_t)i % 3);
    }
    struct fixture f;
    fixture_init(&f, forecasts, N, NULL, 0);
    const struct forecaster_options options = {
        .schema = f.outlook.schema, .clock = fw_clock_system(), .step_s = 300, .threads = 3};
    struct forecaster *workers;
    assert_int_equal(forecaster_new(&options, &workers, NULL), FW_OK);
    struct api_body_plan plan = {
        .outlook = &f.outlook, .records = 1000, .fields = API_FIELDS, .count = N};
    static struct api_fragment alone[N], side_by_side[N];
    static const size_t ceilings[] = {MAX, 600000, 400000, 200000, 90000, 40000};
    api_view_default(&plan.view);
    bool cut = false;
    for (size_t i = 0; i < COUNT_OF(ceilings); i++) {
        struct fw_buf one, many;
        size_t written_alone, written;
        fw_buf_init(&one, ceilings[i]);
        fw_buf_init(&many, ceilings[i]);
        plan.workers = NULL;
        api_render_body(&one, &plan, alone, &written_alone);
        plan.workers = workers;
        api_render_body(&many, &plan, side_by_side, &written);
        CHECK_EQ("servers", written, written_alone);
        CHECK_EQ("length", many.len, one.len);
        assert_memory_equal(many.data, one.data, one.len);
        assert_memory_equal(side_by_side, alone, written * sizeof alone[0]);
        cut = cut || written < N;
        if (i == 0) { /* the same once more, from what is there */
            struct fw_buf again;
            fw_buf_init(&again, MAX);
            plan.earlier = &f.outlook;
            plan.earlier_bytes = one.data;
            plan.earlier_fragments = alone;
            plan.earlier_count = N;
            memcpy(one.data + alone[N - 1].at, "\"S\"", 3); /* a mark in what is copied */
            api_render_body(&again, &plan, NULL, NULL);
            plan.earlier = NULL;
            CHECK_EQ("copied", again.len, many.len);
            assert_memory_equal(again.data, one.data, one.len);
            fw_buf_fini(&again);
        }
        fw_buf_fini(&one);
        fw_buf_fini(&many);
    }
    CHECK_TRUE("some were cut", cut);
    forecaster_free(workers);
    fixture_fini(&f);
}

/* Names that are markup somewhere stand escaped. */
static void test_hostile_names(void **state)
{
    (void)state;
    static const char *const names[] = {"\"><script>alert(1)</script>",
                                        "</script><svg onload=alert(1)>",
                                        "'||'&lt;&gt;",
                                        "${jndi:ldap://x}",
                                        "a\\b\"c",
                                        "{{7*7}}"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct forecast *forecasts[] = {fixture_forecast(names[i], three, 3)};
        const struct alert alert = {.metric = METRIC_CPU_USER, .state = ALERT_FIRING};
        struct fixture f;
        fixture_init(&f, forecasts, 1, &alert, 1);
        snprintf(f.alerts->items[0].server, sizeof f.alerts->items[0].server, "%s", names[i]);
        struct fw_buf buf = whole_body(&f, NULL);
        CHECK_TRUE(names[i], memchr(buf.data, '<', buf.len) == NULL);
        CHECK_TRUE(names[i], memchr(buf.data, '>', buf.len) == NULL);
        CHECK_TRUE(names[i], memchr(buf.data, '&', buf.len) == NULL);
        struct fw_json_parser *parser;
        const struct fw_json_value root = fixture_parse(&parser, &buf);
        struct fw_json_value server;
        assert_true(fw_json_get(fixture_at(root, "predictions"), names[i], &server));
        CHECK_STR("reads back", fixture_text(server, "server_name"), names[i]);
        fw_json_parser_free(parser);
        fw_buf_fini(&buf);
        fixture_fini(&f);
    }
}

/* Every failing allocation gives a failed buffer or a whole body, never half a one. */
static void test_allocation_failures(void **state)
{
    (void)state;
    struct forecast *forecasts[] = {fixture_forecast("a", three, 3)};
    struct fixture f;
    fixture_init(&f, forecasts, 1, NULL, 0);
    bool failed_once = false;
    for (long n = 1; n < 40; n++) {
        fw_alloc_fail_at(n);
        struct fw_buf buf = whole_body(&f, NULL);
        fw_alloc_fail_at(0);
        failed_once = failed_once || buf.failed;
        if (!buf.failed) {
            struct fw_json_parser *parser;
            const struct fw_json_value root = fixture_parse(&parser, &buf);
            CHECK_EQ("whole", fw_json_count(fixture_at(root, "predictions")), 1);
            fw_json_parser_free(parser);
        }
        fw_buf_fini(&buf);
    }
    assert_true(failed_once);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_display_rows),  cmocka_unit_test(test_display_without_cpu),
        cmocka_unit_test(test_level),         cmocka_unit_test(test_server_keys),
        cmocka_unit_test(test_view_cuts),     cmocka_unit_test(test_insufficient),
        cmocka_unit_test(test_alert_item),    cmocka_unit_test(test_unusual_item),
        cmocka_unit_test(test_argus_counts),  cmocka_unit_test(test_fragments_are_reused_rightly),
        cmocka_unit_test(test_truncation),    cmocka_unit_test(test_workers),
        cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
