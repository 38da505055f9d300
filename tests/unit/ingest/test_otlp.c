/* OTLP: what is read of each form, what is refused as a whole, identity, and that damage never
 * counts. */
#include "ingest/otlp.h"

#include "base/alloc.h"
#include "ingest/series_book.h"
#include "write_request.h"

#define NOW_NS UINT64_C(1767225600000000000)

struct stage {
    struct schema schema;
    struct series_rules *rules;
    struct sample_batch *batch;
    struct series_gather gather;
};

static void stage_open(struct stage *s)
{
    schema_default(&s->schema);
    s->rules = series_rules_new(&s->schema);
    s->batch = batch_new();
    assert_true(s->rules != NULL && s->batch != NULL);
    series_gather_init(&s->gather, s->rules, &s->schema, s->batch);
}

static void stage_again(struct stage *s)
{
    series_gather_fini(&s->gather);
    batch_reset(s->batch);
    series_gather_init(&s->gather, s->rules, &s->schema, s->batch);
}

static void stage_close(struct stage *s)
{
    series_gather_fini(&s->gather);
    series_rules_free(s->rules);
    batch_free(s->batch);
}

/* ---- JSON ---- */

#define POINT(time, value) "{\"timeUnixNano\":" time ",\"asDouble\":" value "}"
#define LOAD(point)                                                                                \
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":"                            \
    "\"system.cpu.load_average.1m\",\"gauge\":{\"dataPoints\":[" point "]}}]}]}]}"
#define NOW "\"1767225600000000000\""

static void test_json(void **state)
{
    // clang-format off
    static const struct {
        const char *name, *body;
        enum fw_status status;
        size_t samples, refused;
        uint64_t dropped;
        const char *says;
    } rows[] = {
        {"a point", LOAD(POINT(NOW, "1.5")), FW_OK, 1, 0, 0, ""},
        {"a time as number", LOAD(POINT("1767225600000000000", "1.5")), FW_OK, 1, 0, 0, ""},
        {"an integer", LOAD("{\"timeUnixNano\":" NOW ",\"asInt\":\"3\"}"), FW_OK, 1, 0, 0, ""},
        {"as a number", LOAD("{\"timeUnixNano\":" NOW ",\"asInt\":3}"), FW_OK, 1, 0, 0, ""},
        {"no value", LOAD("{\"timeUnixNano\":" NOW "}"), FW_OK, 0, 0, 1, ""},
        {"by flag", LOAD("{\"timeUnixNano\":" NOW ",\"asInt\":3,\"flags\":1}"), FW_OK, 0, 0, 1, ""},
        {"not a number", LOAD(POINT(NOW, "\"NaN\"")), FW_OK, 0, 0, 1, ""},
        {"out of bounds", LOAD(POINT(NOW, "-5")), FW_OK, 0, 1, 0, ""},
        {"nothing", "{}", FW_OK, 0, 0, 0, ""},
        {"null", "{\"resourceMetrics\":null}", FW_OK, 0, 0, 0, ""},
        {"unknown members",
         "{\"x\":[{\"y\":1}],\"resourceMetrics\":[{\"z\":1}]}", FW_OK, 0, 0, 0, ""},
        {"no temporality",
         "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"system.network.io\","
         "\"sum\":{\"dataPoints\":[" POINT(NOW, "1") "]}}]}]}]}", FW_OK, 0, 1, 0, ""},
        {"by its name",
         "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":["
         "{\"name\":\"system.cpu.load_average.1m\","
         "\"sum\":{\"aggregationTemporality\":\"AGGREGATION_TEMPORALITY_CUMULATIVE\","
         "\"dataPoints\":[" POINT(NOW, "1") "]}}]}]}]}", FW_OK, 1, 0, 0, ""},
        {"a summary",
         "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"x\","
         "\"summary\":{\"dataPoints\":[{},{}]}}]}]}]}", FW_OK, 0, 0, 2, ""},
        {"no JSON", "{\"resourceMetrics\":", FW_EINVAL, 0, 0, 0, "line 1"},
        {"a list", "[]", FW_EINVAL, 0, 0, 0, "object"},
        {"no list", "{\"resourceMetrics\":5}", FW_EINVAL, 0, 0, 0, "\"resourceMetrics\""},
        {"a bad time", LOAD(POINT("\"soon\"", "1")), FW_EINVAL, 0, 0, 0, "\"timeUnixNano\""},
        {"a negative time", LOAD(POINT("\"-1\"", "1")), FW_EINVAL, 0, 0, 0, "\"timeUnixNano\""},
        {"a bad value", LOAD(POINT(NOW, "\"1.5\"")), FW_EINVAL, 0, 0, 0, "\"asDouble\""},
        {"a bad integer",
         LOAD("{\"timeUnixNano\":" NOW ",\"asInt\":1.5}"), FW_EINVAL, 0, 0, 0, "\"asInt\""},
        {"no key", LOAD("{\"attributes\":[{\"value\":{}}]}"), FW_EINVAL, 0, 0, 0, "\"key\""},
    };
    // clang-format on
    struct stage s;
    (void)state;
    stage_open(&s);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err = {0};
        stage_again(&s);
        CHECK_EQ(rows[i].name,
                 otlp_read_json(&s.gather, rows[i].body, strlen(rows[i].body), "peer", &err),
                 rows[i].status);
        CHECK_TRUE(rows[i].name, strstr(err.text, rows[i].says) != NULL);
        if (rows[i].status != FW_OK)
            continue;
        CHECK_EQ(rows[i].name, s.gather.sample_count, rows[i].samples);
        CHECK_EQ(rows[i].name, batch_rejected_total(s.batch), rows[i].refused);
        CHECK_EQ(rows[i].name, s.gather.stale + s.gather.not_finite + s.gather.unmapped,
                 rows[i].dropped);
    }
    char deep[400];
    struct fw_error err = {0};
    memset(deep, '[', sizeof deep / 2);
    memset(deep + sizeof deep / 2, ']', sizeof deep / 2);
    CHECK_EQ("deep", otlp_read_json(&s.gather, deep, sizeof deep, "peer", &err), FW_ELIMIT);
    stage_close(&s);
}

static void test_identity(void **state)
{
    static const struct {
        const char *attributes, *server;
    } rows[] = {
        {"host.id=i1,host.name=db1,service.instance.id=x",   "db1"     },
        {"service.instance.id=x,k8s.node.name=n,host.id=i1", "i1"      },
        {"service.instance.id=x,k8s.node.name=n",            "n"       },
        {"service.instance.id=x",                            "x"       },
        {"host.name=,service.instance.id=x",                 "x"       },
        {"service.name=y",                                   "10.0.0.1"},
        {"",                                                 "10.0.0.1"},
    };
    struct stage s;
    char body[2048];
    (void)state;
    stage_open(&s);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char attributes[512] = "", pair[128];
        for (const char *at = rows[i].attributes; *at != '\0';) {
            const int key = (int)strcspn(at, "="), value = (int)strcspn(at + key + 1, ",");
            snprintf(pair, sizeof pair, "%s{\"key\":\"%.*s\",\"value\":{\"stringValue\":\"%.*s\"}}",
                     attributes[0] != '\0' ? "," : "", key, at, value, at + key + 1);
            strcat(attributes, pair);
            at += key + 1 + value;
            at += *at == ',';
        }
        snprintf(
            body, sizeof body,
            "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[%s]},\"scopeMetrics\":[{"
            "\"metrics\":[{\"name\":\"system.cpu.load_average.1m\",\"gauge\":{\"dataPoints\":[%s]}"
            "}]}]}]}",
            attributes, POINT(NOW, "1"));
        stage_again(&s);
        assert_int_equal(otlp_read_json(&s.gather, body, strlen(body), "10.0.0.1", NULL), FW_OK);
        CHECK_EQ(rows[i].server, s.gather.sample_count, 1);
        const struct series_text *server = &s.gather.servers[s.gather.samples[0].server];
        CHECK_EQ(rows[i].server, server->len, strlen(rows[i].server));
        assert_memory_equal(server->text, rows[i].server, server->len);
    }
    stage_close(&s);
}

/* ---- protobuf ---- */

static void put_fixed(struct fw_buf *out, unsigned field, uint64_t value)
{
    pb_varint(out, field << 3 | 1);
    fw_buf_put(out, &value, sizeof value);
}

/* The inner message becomes a field of the outer, and is empty again. */
static void wrap(struct fw_buf *outer, unsigned field, struct fw_buf *inner)
{
    pb_bytes(outer, field, inner->data == NULL ? "" : inner->data, inner->len);
    fw_buf_reset(inner);
}

/* A request of one metric with one point, in the order that a hostile encoder might choose: what a
 * message is about comes last. */
static void put_request(struct fw_buf *out, bool backwards)
{
    struct fw_buf a, b, c;
    fw_buf_init(&a, 4096);
    fw_buf_init(&b, 4096);
    fw_buf_init(&c, 4096);
    pb_text(&a, 1, "direction");
    pb_text(&b, 1, "receive");
    wrap(&a, 2, &b);
    wrap(&b, 7, &a); /* b: the point */
    put_fixed(&b, 3, NOW_NS);
    put_fixed(&b, 6, 1000);
    if (backwards) {
        wrap(&a, 1, &b);
        pb_varint(&a, 2 << 3);
        pb_varint(&a, 2);
        wrap(&c, 7, &a);
        pb_text(&c, 1, "system.network.io");
    } else {
        pb_varint(&a, 2 << 3);
        pb_varint(&a, 2);
        wrap(&a, 1, &b);
        pb_text(&c, 1, "system.network.io");
        wrap(&c, 7, &a);
    }
    wrap(&a, 2, &c); /* a: the scope's metrics */
    wrap(&b, 2, &a); /* b: of the resource */
    pb_text(&c, 1, "host.name");
    pb_text(out, 1, "db1");
    wrap(&c, 2, out);
    wrap(out, 1, &c); /* the resource */
    wrap(&b, 1, out);
    wrap(out, 1, &b);
    fw_buf_fini(&a);
    fw_buf_fini(&b);
    fw_buf_fini(&c);
}

static void test_protobuf(void **state)
{
    struct stage s;
    struct fw_buf request;
    (void)state;
    stage_open(&s);
    fw_buf_init(&request, 4096);
    for (int backwards = 0; backwards < 2; backwards++) {
        fw_buf_reset(&request);
        put_request(&request, backwards);
        stage_again(&s);
        assert_int_equal(otlp_read_protobuf(&s.gather, request.data, request.len, "peer", NULL),
                         FW_OK);
        CHECK_EQ("one sample", s.gather.sample_count, 1);
        CHECK_EQ("role", s.gather.samples[0].role, SERIES_NET_IN);
        CHECK_EQ("kind", s.gather.samples[0].kind, SERIES_CUMULATIVE);
        CHECK_EQ("time", s.gather.samples[0].time_ms, NOW_NS / 1000000);
        CHECK_NEAR("value", s.gather.samples[0].value, 1000, 0);
        assert_memory_equal(s.gather.servers[0].text, "db1", 3);
        /* Cut anywhere it is none, or holds no more. */
        for (size_t len = 0; len < request.len; len++) {
            char *cut = malloc(len + 1);
            struct fw_error err = {0};
            memcpy(cut, request.data, len);
            stage_again(&s);
            const enum fw_status status = otlp_read_protobuf(&s.gather, cut, len, "peer", &err);
            CHECK_EQ("cut", status, len == 0 ? FW_OK : FW_EINVAL);
            CHECK_TRUE("where", err.offset <= len);
            free(cut);
        }
    }
    fw_buf_fini(&request);
    stage_close(&s);
}

static void test_allocations_fail(void **state)
{
    struct stage s;
    struct fw_buf request;
    (void)state;
    fw_buf_init(&request, 4096);
    put_request(&request, false);
    for (int json = 0; json < 2; json++) {
        for (long n = 1;; n++) {
            struct fw_error err = {0};
            stage_open(&s);
            fw_alloc_fail_at(n);
            const enum fw_status status =
                json ? otlp_read_json(&s.gather, LOAD(POINT(NOW, "1")),
                                      strlen(LOAD(POINT(NOW, "1"))), "peer", &err)
                     : otlp_read_protobuf(&s.gather, request.data, request.len, "peer", &err);
            fw_alloc_fail_at(0);
            stage_close(&s);
            if (status == FW_OK)
                break;
            CHECK_EQ("out of memory", status, FW_ENOMEM);
            assert_true(n < 20);
        }
    }
    fw_buf_fini(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_protobuf),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
