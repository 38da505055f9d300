/* Rules that are exchanged while requests come: bounds, labels, the meaning of raw series. */
#include "client.h"

#include "../ingest/write_request.h"
#include "api/rules.h"
#include "fleet/labels.h"

#include <pthread.h>
#include <snappy-c.h>

#define NOW_MS ((int64_t)STACK_NOW_S * 1000)

/* The rules of a mapping's text, by way of a file. */
static struct api_rules *make_rules(const struct stack *s, const struct schema *schema,
                                    const char *mapping, const char *labels)
{
    char path[128];
    struct label_rules list;
    struct api_rules *rules;
    struct fw_error err = {0};
    snprintf(path, sizeof path, "%s/mapping", s->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(mapping, file);
    fclose(file);
    assert_int_equal(label_rules_parse(&list, labels, NULL), FW_OK);
    if (api_rules_new(s->api, schema, path, &list, &rules, &err) != FW_OK)
        fail_msg("rules: %s", err.text);
    return rules;
}

static int feed(const struct stack *s, const char *fields)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"records\":[{\"server_name\":\"db1\",\"timestamp\":\"2026-01-01T00:00:00\",%s}]}",
             fields);
    return status_of(post(s, "/feed/data", body));
}

/* Of the first metric. */
static double warning_shown(const struct stack *s)
{
    struct answer answer = get(s, "/api/v1/schema");
    const char *at = strstr(answer.body, "\"warning\":");
    assert_non_null(at);
    const double warning = strtod(at + strlen("\"warning\":"), NULL);
    answer_free(&answer);
    return warning;
}

static void test_bounds_and_labels(void **state)
{
    struct stack s;
    struct label_set labels;
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    struct schema schema = s.schema;
    CHECK_EQ("beyond the bounds", feed(&s, "\"cpu_user_pct\":150"), 422);
    CHECK_NEAR("as it began", warning_shown(&s), 85, 0);
    schema.metrics[METRIC_CPU_USER].max = 200;
    schema.metrics[METRIC_CPU_USER].warning = 170;
    api_rules_use(s.api, make_rules(&s, &schema, "", "rack"));
    CHECK_EQ("within them", feed(&s, "\"cpu_user_pct\":150,\"labels\":{\"rack\":\"r1\"}"), 200);
    CHECK_NEAR("shown", warning_shown(&s), 170, 0);
    CHECK_TRUE("kept now", fleet_labels_find(s.fleet, "db1", &labels));
    CHECK_STR("kept now", label_set_get(&labels, "rack"), "r1");
    api_rules_use(s.api, make_rules(&s, &s.schema, "", ""));
    CHECK_EQ("as before", feed(&s, "\"cpu_user_pct\":150"), 422);
    stack_stop(&s);
}

static void test_bad_mapping(void **state)
{
    struct stack s;
    struct api_rules *rules;
    struct fw_error err = {0};
    char path[128];
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    snprintf(path, sizeof path, "%s/mapping", s.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("good -> load_average\nbad -> no_such_metric\n", file);
    fclose(file);
    CHECK_EQ("refused", api_rules_new(s.api, &s.schema, path, NULL, &rules, &err), FW_EINVAL);
    assert_null(rules);
    CHECK_TRUE("with its line", strstr(err.text, "mapping:2: ") != NULL);
    stack_stop(&s);
}

static int write_counter(const struct stack *s, double value, int64_t time_ms)
{
    struct fw_buf request;
    fw_buf_init(&request, 1 << 20);
    pb_put(&request, "sent_total{instance=\"db1:9100\"}", value, time_ms);
    size_t len = snappy_max_compressed_length(request.len);
    char *packed = malloc(len);
    assert_int_equal(snappy_compress(request.data, request.len, packed, &len), SNAPPY_OK);
    const int status = status_of(ask(s, "POST", "/api/v1/write",
                                     "Content-Type: application/x-protobuf\r\n"
                                     "Content-Encoding: snappy\r\n",
                                     packed, len));
    free(packed);
    fw_buf_fini(&request);
    return status;
}

/* The mean of net_out_mb_s in the step of a time, NaN where there is none. */
static double held(const struct stack *s, int64_t time_ms)
{
    float values[SCHEMA_METRICS_MAX * 300];
    struct fleet_view view = {.steps = 300, .values = values};
    const int64_t slot = fleet_find(s->fleet, "db1", 3);
    if (slot < 0 || !fleet_read_view(s->fleet, (size_t)slot, &view))
        return (double)NAN;
    const int64_t back = view.server.newest_step - time_ms / 300000;
    return back < 0 || back >= 300 ? (double)NAN
                                   : (double)values[METRIC_NET_OUT * 300 + 299 - back];
}

/* A counter that is read by another scale must not be compared with what it was by the old one. */
static void test_counters_and_another_mapping(void **state)
{
    static const char tens[] = "sent_total -> rate net_out_mb_s * 10\n";
    struct stack s;
    const int64_t begin_ms = NOW_MS - 3000000;
    int scrape = 0;
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    api_rules_use(s.api, make_rules(&s, &s.schema, "sent_total -> rate net_out_mb_s\n", ""));
    for (; scrape < 10; scrape++)
        CHECK_EQ("by the first", write_counter(&s, 60.0 * scrape, begin_ms + scrape * 60000), 204);
    CHECK_NEAR("one a second", held(&s, begin_ms + 300000), 1, 1e-5);
    api_rules_use(s.api, make_rules(&s, &s.schema, tens, ""));
    for (; scrape < 20; scrape++)
        CHECK_EQ("by the second", write_counter(&s, 60.0 * scrape, begin_ms + scrape * 60000), 204);
    for (int step = 2; step < 4; step++)
        CHECK_NEAR("ten times as much", held(&s, begin_ms + step * 300000), 10, 1e-4);
    /* The same text again, other thresholds: counters go on without a gap. */
    s.schema.metrics[METRIC_NET_OUT].max = 1e6;
    api_rules_use(s.api, make_rules(&s, &s.schema, tens, ""));
    CHECK_EQ("on", write_counter(&s, 60.0 * scrape, begin_ms + scrape * 60000), 204);
    CHECK_EQ("on", write_counter(&s, 60.0 * (scrape + 1), begin_ms + (scrape + 1) * 60000), 204);
    CHECK_EQ("on", write_counter(&s, 60.0 * (scrape + 2), begin_ms + (scrape + 2) * 60000), 204);
    CHECK_NEAR("no gap", held(&s, begin_ms + scrape * 60000), 10, 1e-4);
    stack_stop(&s);
}

struct exchanging {
    const struct stack *s;
    const struct schema *schemas[2];
    atomic_bool stop;
};

static void *exchange(void *argument)
{
    struct exchanging *e = argument;
    for (unsigned i = 0; !atomic_load(&e->stop); i++)
        api_rules_use(e->s->api, make_rules(e->s, e->schemas[i % 2], i % 4 < 2 ? "" : "# other\n",
                                            i % 3 == 0 ? "rack" : "dc, rack"));
    return NULL;
}

/* Each of two sets refuses one of two values, a mixture of both would take the record or refuse
 * both. */
static void test_no_half_of_each(void **state)
{
    struct stack s;
    pthread_t thread;
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    struct schema first = s.schema, second = s.schema;
    first.metrics[METRIC_CPU_USER].max = second.metrics[METRIC_MEM_USED].max = 200;
    struct exchanging e = {
        .s = &s, .schemas = {&first, &second}
    };
    api_rules_use(s.api, make_rules(&s, &first, "", ""));
    assert_int_equal(pthread_create(&thread, NULL, exchange, &e), 0);
    for (int i = 0; i < 300; i++) {
        CHECK_EQ("neither", feed(&s, "\"cpu_user_pct\":150,\"mem_used_pct\":150"), 422);
        CHECK_EQ("both",
                 feed(&s, "\"cpu_user_pct\":50,\"mem_used_pct\":50,\"labels\":{\"rack\":\"r\"}"),
                 200);
        const int status = write_counter(&s, i, NOW_MS - 3000000 + i * 1000);
        CHECK_TRUE("taken or asked for again", status == 204 || status == 503);
    }
    atomic_store(&e.stop, true);
    pthread_join(thread, NULL);
    stack_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_and_labels),
        cmocka_unit_test(test_bad_mapping),
        cmocka_unit_test(test_counters_and_another_mapping),
        cmocka_unit_test(test_no_half_of_each),
    };
    return cmocka_run_group_tests_name("api/rules", tests, NULL, NULL);
}
