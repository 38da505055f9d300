/* POST /api/v1/write against the real server and journal: what each sender gets told, and that what
 * was told 204 is in the journal. */
#include "client.h"

#include "../ingest/write_request.h"
#include "api/api_internal.h"
#include "ingest/series_book.h"

#include <errno.h>
#include <snappy-c.h>
#include <time.h>

#define NOW_MS ((int64_t)STACK_NOW_S * 1000)

static const char right[] = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"
                            "X-Prometheus-Remote-Write-Version: 0.1.0\r\n";

/* Packs and posts what was put; the request is empty afterwards. */
static struct answer write_to(const struct stack *s, const char *path, const char *headers,
                              struct fw_buf *request)
{
    size_t len = snappy_max_compressed_length(request->len);
    char *packed = malloc(len);
    assert_int_equal(
        snappy_compress(request->data == NULL ? "" : request->data, request->len, packed, &len),
        SNAPPY_OK);
    const struct answer answer = ask(s, "POST", path, headers, packed, len);
    free(packed);
    fw_buf_reset(request);
    return answer;
}

static struct answer write_right(const struct stack *s, struct fw_buf *request)
{
    return write_to(s, "/api/v1/write", right, request);
}

/* The metric's mean in the step `steps_ago` of db1; NaN when there is none. */
static double held(const struct stack *s, int metric, int64_t time_ms)
{
    float values[SCHEMA_METRICS_MAX * 300];
    struct fleet_view view = {.steps = 300, .values = values};
    const int64_t slot = fleet_find(s->fleet, "db1", 3);
    if (slot < 0 || !fleet_read_view(s->fleet, (size_t)slot, &view))
        return (double)NAN;
    const int64_t step = time_ms / 300000, back = view.server.newest_step - step;
    return back < 0 || back >= 300 ? (double)NAN : (double)values[metric * 300 + 299 - back];
}

static void put_load(struct fw_buf *request, double value, int64_t time_ms)
{
    pb_put(request, "node_load1{instance=\"db1:9100\",job=\"node\"}", value, time_ms);
}

static void put_memory(struct fw_buf *request, int64_t time_ms, bool total, bool available)
{
    if (total)
        pb_put(request, "node_memory_MemTotal_bytes{instance=\"db1:9100\"}", 1000, time_ms);
    if (available)
        pb_put(request, "node_memory_MemAvailable_bytes{instance=\"db1:9100\"}", 250, time_ms);
}

static void test_answers(void **state)
{
    static const struct {
        const char *name, *headers;
        int status;
        const char *text;
    } rows[] = {
        {"as Prometheus sends it",       right,                                                                204, ""            },
        {"with the name of the message",
         "Content-Type: application/x-protobuf;proto=prometheus.WriteRequest\r\n"
         "Content-Encoding: snappy\r\n",                                                                       204, ""            },
        {"version 2.0",
         "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"
         "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 2.0.0\r\n",                           415, "1.0"         },
        {"no content type",              "Content-Encoding: snappy\r\n",                                       415, "Content-Type"},
        {"another content type",         "Content-Type: application/json\r\nContent-Encoding: snappy\r\n",
         415,                                                                                                       "Content-Type"},
        {"no coding",                    "Content-Type: application/x-protobuf\r\n",                           415, "snappy"      },
        {"another coding",               "Content-Type: application/x-protobuf\r\nContent-Encoding: zstd\r\n",
         415,                                                                                                       ""            },
    };
    struct stack s;
    struct fw_buf request;
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    fw_buf_init(&request, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        put_load(&request, 1.5, NOW_MS);
        struct answer answer =
            write_to(&s, i % 2 ? "/api/v1/write" : "/write/prometheus", rows[i].headers, &request);
        CHECK_EQ(rows[i].name, answer.status, rows[i].status);
        CHECK_TRUE(rows[i].name, strstr(answer.body, rows[i].text) != NULL);
        answer_free(&answer);
    }
    CHECK_NEAR("stored", held(&s, METRIC_LOAD_AVERAGE, NOW_MS), 1.5, 0);
    /* Only this route takes snappy. */
    struct answer answer = ask(&s, "POST", "/feed/data", "Content-Encoding: snappy\r\n", "{}", 2);
    CHECK_EQ("feed", status_of(answer), 415);
    fw_buf_fini(&request);
    stack_stop(&s);
}

static void test_what_is_refused_for_good(void **state)
{
    struct stack s;
    struct fw_buf request;
    char type[128];
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    fw_buf_init(&request, 1 << 20);
    struct answer answer = ask(&s, "POST", "/api/v1/write", right, "no snappy", 9);
    CHECK_EQ("no snappy", status_of(answer), 400);
    answer = ask(&s, "POST", "/api/v1/write", right, "\xff\xff\xff\xff\x0f\x00", 6);
    CHECK_EQ("a bomb", status_of(answer), 400);
    fw_buf_puts(&request, "no protobuf");
    CHECK_EQ("no protobuf", status_of(write_right(&s, &request)), 400);

    put_load(&request, 2.5, NOW_MS);
    put_load(&request, 9, NOW_MS + INT64_C(3600000));
    answer = write_right(&s, &request);
    CHECK_EQ("the future", answer.status, 400);
    CHECK_TRUE("the reason", strstr(answer.body, "in_future") != NULL);
    CHECK_TRUE("the server", strstr(answer.body, "db1") != NULL);
    answer_header(&answer, "Content-Type", type);
    CHECK_STR("plain text", type, "text/plain; charset=utf-8");
    answer_free(&answer);
    CHECK_NEAR("the good one", held(&s, METRIC_LOAD_AVERAGE, NOW_MS), 2.5, 0);

    put_load(&request, 9, NOW_MS - INT64_C(86400000) * 30);
    answer = write_right(&s, &request);
    CHECK_EQ("the past", answer.status, 400);
    CHECK_TRUE("the reason", strstr(answer.body, "too_old") != NULL);
    answer_free(&answer);
    fw_buf_fini(&request);
    stack_stop(&s);
}

static void test_nothing_to_store(void **state)
{
    struct stack s;
    struct fw_buf request;
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    fw_buf_init(&request, 1 << 20);
    CHECK_EQ("an empty request", status_of(write_right(&s, &request)), 204);
    pb_text(&request, 3, "\x08\x01\x12\x04name");
    CHECK_EQ("metadata only", status_of(write_right(&s, &request)), 204);
    pb_put(&request, "go_goroutines{instance=\"db1:9100\"}", 9, NOW_MS);
    CHECK_EQ("unknown series", status_of(write_right(&s, &request)), 204);
    put_memory(&request, NOW_MS, true, false);
    CHECK_EQ("half of it", status_of(write_right(&s, &request)), 204);
    CHECK_EQ("no server", fleet_find(s.fleet, "db1", 3), -1);
    struct answer answer = get(&s, "/metrics");
    CHECK_TRUE("counted",
               strstr(answer.body, "forewarn_series_unmapped_total{name=\"go_goroutines\"} 1") !=
                   NULL);
    CHECK_TRUE("counted",
               strstr(answer.body, "forewarn_series_samples_total{outcome=\"mapped\"} 1") != NULL);
    answer_free(&answer);
    fw_buf_fini(&request);
    stack_stop(&s);
}

/* The book has taken a request that the journal refuses: sent again it brings nothing new, but its
 * values must be there once it is told 204. */
static void test_refused_by_the_journal(void **state)
{
    struct stack s;
    struct fw_buf request;
    char after[128];
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    fw_buf_init(&request, 1 << 20);
    put_memory(&request, NOW_MS - 200000, true, true);
    CHECK_EQ("before", status_of(write_right(&s, &request)), 204);
    for (int kind = 0; kind < 2; kind++) {
        const int64_t time_ms = NOW_MS + (kind + 1) * 60000 - 200000;
        store_io_fault_plan(&s.io, kind == 0 ? STORE_IO_WRITE : STORE_IO_SYNC_DATA, 1, UINT64_MAX,
                            kind == 0 ? ENOSPC : EIO);
        for (int turn = 0; turn < 3; turn++) {
            put_memory(&request, time_ms, true, true);
            struct answer answer = write_right(&s, &request);
            CHECK_EQ("refused", answer.status, 503);
            answer_header(&answer, "Retry-After", after);
            CHECK_STR("when", after, "1");
            answer_free(&answer);
        }
        store_io_fault_clear(&s.io);
        int status = 503;
        for (int turn = 0; turn < 500 && status == 503; turn++) {
            put_memory(&request, time_ms, true, true);
            status = status_of(write_right(&s, &request));
            nanosleep(&(struct timespec){0, 10000000}, NULL);
        }
        CHECK_EQ("in the end", status, 204);
        CHECK_NEAR("stored", held(&s, METRIC_MEM_USED, time_ms), 75, 1e-4);
    }
    fw_buf_fini(&request);
    stack_stop(&s);
}

/* Large bodies go by way of the workers. */
static void test_large(void **state)
{
    struct stack s;
    struct fw_buf request;
    (void)state;
    stack_start(&s, &(struct api_options){.inline_bytes_max = 1000}, true);
    fw_buf_init(&request, 8 << 20);
    for (int i = 0; i < 5000; i++) {
        char labels[96];
        snprintf(labels, sizeof labels, "node_load1{instance=\"db1:%d\",x=\"%d\"}", i,
                 i * 7919 % 5003);
        pb_put(&request, labels, 4, NOW_MS - i % 1000);
    }
    CHECK_EQ("large", status_of(write_right(&s, &request)), 204);
    CHECK_NEAR("stored", held(&s, METRIC_LOAD_AVERAGE, NOW_MS - 1), 4, 1e-4);
    fw_buf_fini(&request);
    stack_stop(&s);
}

/* Four queues of one sender at once: pieces of the same scrapes, a server of its own for each. */
enum { QUEUES = 4, SCRAPES = 40 };

struct queue {
    const struct stack *stack;
    int number, taken;
};

static void *run_queue(void *ctx)
{
    struct queue *q = ctx;
    struct fw_buf request;
    char labels[128];
    fw_buf_init(&request, 1 << 20);
    for (int i = 0; i < SCRAPES; i++) {
        const int64_t time_ms = NOW_MS - (SCRAPES - i) * INT64_C(1000);
        snprintf(labels, sizeof labels,
                 "node_network_receive_bytes_total{device=\"eth%d\",instance=\"db1:9100\"}",
                 q->number);
        pb_put(&request, labels, 1048576.0 * i, time_ms);
        snprintf(labels, sizeof labels, "node_load1{instance=\"q%d\"}", q->number);
        pb_put(&request, labels, i, time_ms);
        q->taken += status_of(write_right(q->stack, &request)) == 204;
    }
    fw_buf_fini(&request);
    return NULL;
}

static void test_queues(void **state)
{
    struct stack s;
    struct queue queues[QUEUES];
    pthread_t threads[QUEUES];
    struct series_counts counts;
    (void)state;
    stack_start(&s, &(struct api_options){0}, true);
    for (int i = 0; i < QUEUES; i++) {
        queues[i] = (struct queue){&s, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, run_queue, &queues[i]), 0);
    }
    for (int i = 0; i < QUEUES; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        CHECK_EQ("taken", queues[i].taken, SCRAPES);
    }
    series_book_counts(api_series_book(s.api->series), &counts);
    CHECK_EQ("all accounted for", counts.mapped + counts.late, 2 * QUEUES * SCRAPES);
    CHECK_EQ("nothing twice", counts.repeated, 0);
    const double in = held(&s, METRIC_NET_IN, NOW_MS - 1000);
    CHECK_TRUE("each piece at most once", in > 0 && in <= QUEUES);
    stack_stop(&s);
}

static void test_starting(void **state)
{
    struct stack s;
    struct fw_buf request;
    (void)state;
    stack_start(&s, &(struct api_options){0}, false);
    fw_buf_init(&request, 1 << 20);
    put_load(&request, 1, NOW_MS);
    CHECK_EQ("starting", status_of(write_right(&s, &request)), 503);
    fw_buf_fini(&request);
    stack_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_what_is_refused_for_good),
        cmocka_unit_test(test_nothing_to_store),
        cmocka_unit_test(test_refused_by_the_journal),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_queues),
        cmocka_unit_test(test_starting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
