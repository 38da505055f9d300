/* What the dashboard asks for: the fleet in short, what fills up, the schema, and the pages. */
#include "client.h"

#include "api/api_internal.h"
#include "web/web.h"

enum { ORIGIN_S = STACK_NOW_S, STEP_S = 300 };

/* A disk that stands at `from` and rises by so much a step; p90 rises twice as fast, p10 stays. */
static struct forecast *rising(const char *name, float from, float rise)
{
    struct forecast *f =
        fixture_forecast(name, &(struct fixture_metric){METRIC_DISK_USAGE, from, 0}, 1);
    for (int i = 0; i < FORECAST_HORIZON; i++) {
        f->paths[0].p10[i] = from;
        f->paths[0].p50[i] = fminf(100, from + rise * (float)(i + 1));
        f->paths[0].p90[i] = fminf(100, from + 2 * rise * (float)(i + 1));
    }
    return f;
}

/* Three servers: one calm, one that crosses 95 in step 40, one that does after the horizon. */
static void hang_up(struct stack *s, struct fixture *f, uint64_t run)
{
    struct forecast *forecasts[] = {
        rising("calm", 20, 0),
        rising("filling", 75, 0.5F),
        rising("slow", 50, 0.25F),
    };
    fixture_init(f, forecasts, COUNT_OF(forecasts), NULL, 0);
    f->set->run = f->outlook.id = run;
    static const struct risk_driver driver = {.metric = METRIC_DISK_USAGE,
                                              .points = 45,
                                              .current = 75,
                                              .predicted = 100,
                                              .threshold = 95,
                                              .probability = 0.9F};
    f->risks[1] = (struct risk){.score = 45,
                                .level = RISK_WARNING,
                                .crossing_8h = 0.9F,
                                .driver_count = 1,
                                .drivers = &driver};
    atomic_init(&f->outlook.references, 1000);
    stack_publish(s->board, &f->outlook);
}

static struct fw_json_value item(struct fw_json_value list, size_t index)
{
    struct fw_json_iter iter = fw_json_walk(list);
    struct fw_json_value value;
    for (size_t i = 0; fw_json_next(&iter, &value); i++)
        if (i == index)
            return value;
    fail_msg("no item %zu", index);
    return list;
}

static void test_fleet(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f, later;
    stack_start(&s, &(struct api_options){0}, true);
    CHECK_EQ("nothing made yet", status_of(get(&s, "/api/v1/fleet")), 503);
    hang_up(&s, &f, 1);
    struct answer answer = get(&s, "/api/v1/fleet");
    char etag[128], header[256];
    answer_header(&answer, "ETag", etag);
    struct fw_json_parser *parser;
    const struct fw_json_value root = answer_json(&answer, &parser);
    const struct fw_json_value servers = fixture_at(root, "servers");
    CHECK_EQ("all of them", fw_json_count(servers), 3);
    const struct fw_json_value first = item(servers, 0);
    CHECK_STR("the riskiest first", fixture_text(first, "server_name"), "filling");
    CHECK_STR("ties by name", fixture_text(item(servers, 1), "server_name"), "calm");
    CHECK_STR("level", fixture_text(first, "level"), "warning");
    CHECK_STR("metric", fixture_text(first, "driver.metric"), "disk_usage_pct");
    CHECK_NEAR("p50 is at 95 in step 40", fixture_number(first, "driver.crossing_unix"),
               ORIGIN_S + 40 * STEP_S, 0);
    CHECK_NEAR("p90 in step 20", fixture_number(first, "driver.earliest_unix"),
               ORIGIN_S + 20 * STEP_S, 0);
    CHECK_TRUE("p10 never is", strstr(answer.body, "\"latest_unix\":null") != NULL);
    CHECK_EQ("every eighth step", fw_json_count(fixture_at(first, "driver.path")), 12);
    CHECK_TRUE("who is calm has no driver", strstr(answer.body, "\"driver\":null") != NULL);
    fw_json_parser_free(parser);
    answer_free(&answer);
    snprintf(header, sizeof header, "If-None-Match: %s\r\n", etag);
    CHECK_EQ("unchanged", status_of(ask(&s, "GET", "/api/v1/fleet", header, NULL, 0)), 304);
    CHECK_EQ("another zone is another body",
             status_of(ask(&s, "GET", "/api/v1/fleet?tz=%2B02:00", header, NULL, 0)), 200);
    hang_up(&s, &later, 2);
    CHECK_EQ("another run", status_of(ask(&s, "GET", "/api/v1/fleet", header, NULL, 0)), 200);
    stack_stop(&s);
    fixture_fini(&f);
    fixture_fini(&later);
}

/* Labels come and go between runs, and the kept body follows them. */
static void test_fleet_labels(void **state)
{
    (void)state;
    static const char body[] =
        "{\"records\":[{\"server_name\":\"calm\",\"timestamp\":1767225600,\"cpu_user_pct\":5,"
        "\"labels\":{\"dc\":\"fra\",\"role\":\"</script>\\\"\"}}]}";
    struct stack s;
    static struct fixture f;
    struct label_rules rules;
    char etag[128], header[256];
    assert_int_equal(label_rules_parse(&rules, "dc, role", NULL), FW_OK);
    stack_start(&s, &(struct api_options){.labels = &rules}, true);
    hang_up(&s, &f, 1);
    struct answer before = get(&s, "/api/v1/fleet");
    answer_header(&before, "ETag", etag);
    CHECK_TRUE("none said yet", strstr(before.body, "\"calm\",") != NULL);
    CHECK_TRUE("an empty object", strstr(before.body, "\"labels\":{},") != NULL);
    CHECK_EQ("taken", status_of(post(&s, "/feed/data", body)), 200);
    snprintf(header, sizeof header, "If-None-Match: %s\r\n", etag);
    struct answer after = ask(&s, "GET", "/api/v1/fleet", header, NULL, 0);
    CHECK_EQ("the same run, other labels", after.status, 200);
    struct fw_json_parser *parser;
    const struct fw_json_value server =
        item(fixture_at(answer_json(&after, &parser), "servers"), 1);
    CHECK_STR("whose", fixture_text(server, "server_name"), "calm");
    CHECK_STR("as sent", fixture_text(server, "labels.dc"), "fra");
    CHECK_STR("escaped", fixture_text(server, "labels.role"), "</script>\"");
    fw_json_parser_free(parser);
    answer_free(&before);
    answer_free(&after);
    stack_stop(&s);
    fixture_fini(&f);
}

/* Past the warning threshold, what matters is when the critical one comes. */
static void test_threshold_ahead(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float current, rise;
        double threshold;
    } rows[] = {
        {"before both",                 80, 0.1F, 85},
        {"behind one, the other comes", 90, 0.5F, 95},
        {"behind one, and stays",       90, 0,    85},
        {"behind both",                 96, 0.1F, 85}, /* as the driver has it */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct stack s;
        static struct fixture f;
        stack_start(&s, &(struct api_options){0}, true);
        struct forecast *forecast = rising("db", rows[i].current, rows[i].rise);
        fixture_init(&f, &forecast, 1, NULL, 0);
        const struct risk_driver driver = {.metric = METRIC_DISK_USAGE,
                                           .points = 45,
                                           .current = rows[i].current,
                                           .predicted = 90,
                                           .threshold = 85,
                                           .probability = 0.25F};
        f.risks[0] = (struct risk){
            .score = 45, .level = RISK_WARNING, .driver_count = 1, .drivers = &driver};
        atomic_init(&f.outlook.references, 1000);
        stack_publish(s.board, &f.outlook);
        struct answer answer = get(&s, "/api/v1/fleet");
        struct fw_json_parser *parser;
        const struct fw_json_value server =
            item(fixture_at(answer_json(&answer, &parser), "servers"), 0);
        const double probability = fixture_number(server, "driver.probability");
        CHECK_NEAR(rows[i].name, fixture_number(server, "driver.threshold"), rows[i].threshold, 0);
        CHECK_TRUE(rows[i].name, (probability == 0.25) == (rows[i].threshold == 85));
        fw_json_parser_free(parser);
        answer_free(&answer);
        stack_stop(&s);
        fixture_fini(&f);
    }
}

static void test_capacity(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    stack_start(&s, &(struct api_options){0}, true);
    hang_up(&s, &f, 1);
    static const struct {
        const char *query;
        size_t items;
    } rows[] = {
        {"",          2},
        {"?hours=24", 2},
        {"?hours=8",  1}, /* only what the forecast itself shows */
        {"?hours=1",  0},
        {"?limit=1",  1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char target[64];
        snprintf(target, sizeof target, "/api/v1/capacity%s", rows[i].query);
        struct answer answer = get(&s, target);
        struct fw_json_parser *parser;
        const struct fw_json_value root = answer_json(&answer, &parser);
        const struct fw_json_value items = fixture_at(root, "items");
        CHECK_EQ(rows[i].query, fw_json_count(items), rows[i].items);
        if (rows[i].items > 0) {
            CHECK_STR("sooner", fixture_text(item(items, 0), "server_name"), "filling");
            CHECK_STR("seen", fixture_text(item(items, 0), "basis"), "forecast");
            CHECK_NEAR("per hour", fixture_number(item(items, 0), "per_hour"), 6, 0.001);
        }
        if (rows[i].items > 1) {
            CHECK_STR("later", fixture_text(item(items, 1), "basis"), "extrapolated");
            /* 74 at the end of step 96, 21 more at 0.25 a step. */
            CHECK_NEAR("straight on", fixture_number(item(items, 1), "reaches_unix"),
                       ORIGIN_S + (96 + 84) * STEP_S, STEP_S);
        }
        fw_json_parser_free(parser);
        answer_free(&answer);
    }
    CHECK_EQ("nonsense", status_of(get(&s, "/api/v1/capacity?hours=0")), 422);
    stack_stop(&s);
    fixture_fini(&f);
}

static void test_past(void **state)
{
    (void)state;
    struct stack s;
    static struct fixture f;
    stack_start(&s, &(struct api_options){0}, true);
    CHECK_EQ("fed",
             status_of(post(&s, "/feed/data",
                            "[{\"server_name\":\"filling\",\"timestamp\":1767225600,"
                            "\"disk_usage_pct\":75}]")),
             200);
    hang_up(&s, &f, 1); /* the first run is kept */
    static const struct {
        const char *target;
        int status;
        size_t metrics;
    } rows[] = {
        {"/api/v1/servers/filling/past",                        200, 1},
        {"/api/v1/servers/filling/past?metrics=disk_usage_pct", 200, 1},
        {"/api/v1/servers/filling/past?metrics=cpu_user_pct",   200, 0},
        {"/api/v1/servers/filling/past?metrics=nothing",        422, 0},
        {"/api/v1/servers/nobody/past",                         404, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = get(&s, rows[i].target);
        struct fw_json_parser *parser;
        CHECK_EQ(rows[i].target, answer.status, rows[i].status);
        const struct fw_json_value root = answer_json(&answer, &parser);
        if (answer.status == 200)
            CHECK_EQ(rows[i].target, fw_json_count(fixture_at(root, "metrics")), rows[i].metrics);
        if (rows[i].metrics > 0) {
            const struct fw_json_value path = item(fixture_at(root, "metrics.disk_usage_pct"), 0);
            CHECK_NEAR("origin", fixture_number(path, "origin_unix"), ORIGIN_S, 0);
            CHECK_EQ("points", fw_json_count(fixture_at(path, "p50")), 13);
            CHECK_EQ("times", fw_json_count(fixture_at(path, "timestamps")), 13);
        }
        fw_json_parser_free(parser);
        answer_free(&answer);
    }
    stack_stop(&s);
    fixture_fini(&f);
}

static void test_schema(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s, &(struct api_options){0}, true);
    struct answer answer = get(&s, "/api/v1/schema");
    struct fw_json_parser *parser;
    const struct fw_json_value root = answer_json(&answer, &parser);
    const struct fw_json_value idle = item(fixture_at(root, "metrics"), METRIC_CPU_IDLE);
    CHECK_STR("name", fixture_text(idle, "name"), "cpu_idle_pct");
    CHECK_STR("direction", fixture_text(idle, "worse"), "low");
    CHECK_NEAR("critical", fixture_number(idle, "critical"), 4, 0);
    CHECK_EQ("all", fw_json_count(fixture_at(root, "metrics")), METRIC_DEFAULT_COUNT);
    CHECK_TRUE("no bound is null", strstr(answer.body, "\"max\":null") != NULL);
    fw_json_parser_free(parser);
    answer_free(&answer);
    stack_stop(&s);
}

/* ---- the pages ---- */

static void check_page(const struct stack *s, const char *target, const char *accept,
                       const char *type)
{
    char header[160], value[128];
    snprintf(header, sizeof header, "Accept: %s\r\n", accept);
    struct answer answer = ask(s, "GET", target, header, NULL, 0);
    CHECK_EQ(target, answer.status, 200);
    answer_header(&answer, "Content-Type", value);
    CHECK_STR(target, value, type);
    if (strncmp(type, "text/html", 9) == 0) {
        CHECK_TRUE(target, strstr(answer.head, web_policy) != NULL);
        answer_header(&answer, "X-Content-Type-Options", value);
        CHECK_STR(target, value, "nosniff");
    }
    answer_free(&answer);
}

static void test_pages(void **state)
{
    (void)state;
    static const char browser[] = "text/html,application/xhtml+xml,*/*;q=0.8";
    static const char html[] = "text/html; charset=utf-8";
    struct stack s;
    stack_start(&s, &(struct api_options){0}, false); /* also before recovery is done */
    check_page(&s, "/", browser, html);
    check_page(&s, "/", "*/*", "application/json");
    check_page(&s, "/", "application/json", "application/json");
    check_page(&s, "/servers/a%2Fb", browser, html);
    check_page(&s, "/dashboard/alerts", browser, html);
    size_t n;
    const struct web_asset *assets = web_assets(&n);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(assets[i].name, "assets/", 7) != 0)
            continue;
        char target[160], value[128];
        snprintf(target, sizeof target, "/%s", assets[i].name);
        struct answer answer = ask(&s, "GET", target, "Accept-Encoding: gzip\r\n", NULL, 0);
        CHECK_EQ(target, answer.status, 200);
        answer_header(&answer, "Cache-Control", value);
        CHECK_STR(target, value, "public, max-age=31536000, immutable");
        answer_header(&answer, "Content-Encoding", value);
        CHECK_STR(target, value, "gzip");
        CHECK_TRUE(target, answer.body_len == assets[i].gzip_size &&
                               memcmp(answer.body, assets[i].gzip, answer.body_len) == 0);
        answer_free(&answer);
    }
    CHECK_EQ("no such file", status_of(get(&s, "/assets/app.js")), 404);
    CHECK_EQ("no way out", status_of(get(&s, "/assets/..%2Findex.html")), 404);
    stack_stop(&s);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    static const char *const targets[] = {"/api/v1/fleet?tz=utc", "/api/v1/capacity",
                                          "/api/v1/schema"};
    struct stack s;
    static struct fixture f;
    stack_start(&s, &(struct api_options){0}, true);
    hang_up(&s, &f, 1);
    for (size_t t = 0; t < COUNT_OF(targets); t++)
        get_starved(&s, targets[t]);
    stack_stop(&s);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fleet),
        cmocka_unit_test(test_fleet_labels),
        cmocka_unit_test(test_threshold_ahead),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_past),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
