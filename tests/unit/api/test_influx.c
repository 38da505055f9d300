/* Line protocol against the real server and journal: what each client gets told, and that what was
 * told 204 is in the windows. */
#include "client.h"

#include "api/api_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <zlib.h>

#define NOW_NS ((int64_t)STACK_NOW_S * 1000000000)

static struct answer write_to(const struct stack *s, const char *path, const char *headers,
                              const char *format, ...) FW_PRINTF(4, 5);

static struct answer write_to(const struct stack *s, const char *path, const char *headers,
                              const char *format, ...)
{
    char body[4096];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(body, sizeof body, format, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < sizeof body);
    return ask(s, "POST", path, headers, body, (size_t)len);
}

/* The metric's mean in the newest step of a server; NaN when there is none. */
static double held(const struct stack *s, const char *server, int metric)
{
    float values[SCHEMA_METRICS_MAX];
    struct fleet_view view = {.steps = 1, .values = values};
    const int64_t slot = fleet_find(s->fleet, server, strlen(server));
    if (slot < 0 || !fleet_read_view(s->fleet, (size_t)slot, &view))
        return (double)NAN;
    return (double)values[metric];
}

static void test_answers(void **state)
{
    static const struct {
        const char *name, *path, *body;
        int status;
        const char *text;
    } rows[] = {
        {"v1",                  "/write?db=x",                  "system,host=a load1=1.5",            204, ""           },
        {"its alias",           "/influx/write?db=x",           "system,host=b load1=1.5",            204, ""           },
        {"v2",                  "/api/v2/write?org=o&bucket=b", "system,host=c load1=1.5",            204, ""           },
        {"its alias",           "/influx/api/v2/write",         "system,host=d load1=1.5",            204, ""           },
        {"seconds",             "/write?precision=s",           "system,host=e load1=1.5 1767225600", 204, ""           },
        {"a metric's own name", "/write",                       "forewarn,host=f load_average=1.5",   204, ""           },
        {"nothing",             "/write",                       "",                                   204, ""           },
        {"a comment",           "/write",                       "# hello",                            204, ""           },
        {"unknown series",      "/write",                       "x,host=g y=1",                       204, ""           },
        {"no host",             "/write",                       "system load1=1",                     204, ""           },
        {"no such precision",   "/write?precision=d",           "system,host=a load1=1.5",            400,
         "{\"error\":\"invalid precision \\\"d\\\" (use n, u, ms, s, m or h)\"}"                                        },
        {"no such precision",   "/api/v2/write?precision=d",    "system,host=a load1=1.5",            400,
         "{\"code\":\"invalid\",\"message\":\"invalid precision \\\"d\\\""                                              },
        {"a broken line",       "/write",                       "system,host=h load1=2\nsystem\n",    400,
         "{\"error\":\"partial write: unable to parse 'system': missing fields dropped=1\"}"                            },
        {"a broken line",       "/api/v2/write",                "system,host=i load1=2\nsystem\n",    400,
         "{\"code\":\"invalid\",\"message\":\"partial write: unable to parse 'system': missing "
         "fields dropped=1\",\"line\":2}"                                                                               },
        {"out of bounds",       "/api/v2/write",                "\n\nswap,host=j used_percent=180",   400, "\"line\":3}"},
        {"long ago",            "/api/v2/write?precision=s",    "system,host=k load1=1 1",            400, "too_old"    },
        {"hostile",             "/write",                       "<script>\xff\" v",                   400, "{\"error\":"},
    };
    struct stack s;
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = write_to(&s, rows[i].path, "", "%s", rows[i].body);
        CHECK_EQ(rows[i].name, answer.status, rows[i].status);
        if (strstr(answer.body, rows[i].text) == NULL)
            fail_msg("%s: %s", rows[i].name, answer.body);
        CHECK_TRUE(rows[i].name, strchr(answer.body, '<') == NULL);
        answer_free(&answer);
    }
    for (char server[] = "a"; server[0] <= 'i'; server[0]++) {
        if (server[0] == 'g')
            CHECK_TRUE("no server", isnan(held(&s, server, METRIC_LOAD_AVERAGE)));
        else
            CHECK_NEAR(server, held(&s, server, METRIC_LOAD_AVERAGE), server[0] < 'g' ? 1.5 : 2, 0);
    }
    struct answer answer = get(&s, "/metrics");
    CHECK_TRUE("counted",
               strstr(answer.body, "forewarn_series_unmapped_total{name=\"x.y\"} 1") != NULL);
    CHECK_TRUE("without a server",
               strstr(answer.body, "forewarn_series_samples_total{outcome=\"no_server\"} 1") !=
                   NULL);
    answer_free(&answer);
    stack_stop(&s);
}

static void test_gzip(void **state)
{
    static const char body[] = "system,host=db1 load1=3";
    unsigned char packed[256];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body,
                  .avail_in = sizeof body - 1,
                  .next_out = packed,
                  .avail_out = sizeof packed};
    struct stack s;
    (void)state;
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t len = sizeof packed - z.avail_out;
    deflateEnd(&z);
    stack_start(&s, &(struct api_options){0}, true);
    CHECK_EQ("taken",
             status_of(ask(&s, "POST", "/api/v2/write", "Content-Encoding: gzip\r\n",
                           (const char *)packed, len)),
             204);
    CHECK_NEAR("stored", held(&s, "db1", METRIC_LOAD_AVERAGE), 3, 0);
    CHECK_EQ("cut",
             status_of(ask(&s, "POST", "/api/v2/write", "Content-Encoding: gzip\r\n",
                           (const char *)packed, len - 4)),
             400);
    stack_stop(&s);
}

static void test_what_clients_ask_first(void **state)
{
    struct stack s;
    char version[128];
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    struct answer answer = get(&s, "/ping");
    CHECK_EQ("ping", answer.status, 204);
    answer_header(&answer, "X-Influxdb-Version", version);
    CHECK_TRUE("a version", strncmp(version, "1.8-forewarn-", 13) == 0);
    answer_free(&answer);
    CHECK_EQ("head", status_of(ask(&s, "HEAD", "/influx/ping", "", "", 0)), 204);
    static const char form[] = "Content-Type: application/x-www-form-urlencoded\r\n";
    answer = write_to(&s, "/query", form, "q=CREATE+DATABASE+%%22telegraf%%22");
    CHECK_EQ("create", answer.status, 200);
    CHECK_STR("create", answer.body, "{\"results\":[{\"statement_id\":0}]}");
    answer_free(&answer);
    CHECK_EQ("in the address",
             status_of(ask(&s, "POST", "/query?q=create%20database%20x", form, "", 0)), 200);
    CHECK_EQ("anything else", status_of(write_to(&s, "/query", form, "q=SELECT+1")), 400);
    CHECK_EQ("nothing", status_of(write_to(&s, "/query", form, "x=1")), 400);
    stack_stop(&s);
}

static void test_later(void **state)
{
    struct stack s;
    char after[128];
    (void)state;
    stack_start(&s, &(struct api_options){0}, false);
    struct answer answer = write_to(&s, "/api/v2/write", "", "system,host=a load1=1");
    CHECK_EQ("starting", answer.status, 503);
    CHECK_STR("v2", answer.body, "{\"code\":\"unavailable\",\"message\":\"starting\"}");
    answer_header(&answer, "Retry-After", after);
    CHECK_STR("when", after, "1");
    answer_free(&answer);
    answer = write_to(&s, "/write", "", "system,host=a load1=1");
    CHECK_STR("v1", answer.body, "{\"error\":\"starting\"}");
    answer_free(&answer);
    stack_stop(&s);

    stack_start(&s, &(struct api_options){0}, true);
    store_io_fault_plan(&s.io, STORE_IO_WRITE, 1, UINT64_MAX, ENOSPC);
    answer = write_to(&s, "/api/v2/write", "", "system,host=a load1=1");
    CHECK_EQ("full", answer.status, 503);
    answer_free(&answer);
    store_io_fault_clear(&s.io);
    int status = 503;
    for (int turn = 0; turn < 500 && status == 503; turn++) {
        status = status_of(write_to(&s, "/api/v2/write", "", "system,host=a load1=1"));
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    CHECK_EQ("in the end", status, 204);
    stack_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_what_clients_ask_first),
        cmocka_unit_test(test_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
