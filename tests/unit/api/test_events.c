#define _GNU_SOURCE /* memmem */
/* The ring of events and its followers: what is resumed, what is reset, what memory does to it. */
#include "api/events.h"

#include "unit/http/client.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { RING = 8 };

struct stack {
    struct api_events *events;
    struct http_server *server;
    uint16_t port;
};

static void on_follow(void *ctx, struct http_request *request)
{
    api_events_serve(((struct stack *)ctx)->events, request);
}

static void stack_start(struct stack *s)
{
    static struct http_route route = {.method = "GET",
                                      .path = "/events",
                                      .role = HTTP_OPEN,
                                      .operation = "events",
                                      .handler = on_follow};
    const struct api_events_options options = {.clock = fw_clock_system(),
                                               .clients_max = 2,
                                               .events_max = RING,
                                               .bytes_max = 1 << 20,
                                               .heartbeat_ms = 3600000};
    struct http_options http;
    assert_int_equal(api_events_new(&options, &s->events, NULL), FW_OK);
    http_options_init(&http);
    route.ctx = s;
    assert_int_equal(http_server_start(&http, &route, 1, &s->server, NULL), FW_OK);
    s->port = http_server_port(s->server);
}

static void stack_stop(struct stack *s)
{
    http_server_stop(s->server, 500);
    api_events_free(s->events);
}

/* Event number n of the test carries {"n":n} and padding. */
static void publish(struct stack *s, int n, size_t padding)
{
    struct fw_buf data;
    fw_buf_init(&data, 1 << 20);
    fw_buf_printf(&data, "{\"n\":%d,\"pad\":\"", n);
    for (size_t i = 0; i < padding; i++)
        fw_buf_putc(&data, 'x');
    fw_buf_puts(&data, "\"}");
    api_events_publish(s->events, "test", &data);
    api_events_wake(s->events);
    fw_buf_fini(&data);
}

/* A follower's eyes: everything received so far. By HTTP/1.0, so that no chunk's size stands in the
 * middle of a word. */
struct follower {
    int fd;
    char *text;
    size_t len;
};

static struct follower follow(struct stack *s, const char *last)
{
    struct follower f = {.fd = connect_to(NULL, s->port), .text = calloc(1, 1)};
    const int little = 4096; /* some kernels would hold megabytes for one that does not read */
    (void)setsockopt(f.fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    char request[256];
    const int len =
        snprintf(request, sizeof request, "GET /events HTTP/1.0\r\nHost: localhost\r\n%s%s%s\r\n",
                 last != NULL ? "Last-Event-ID: " : "", last != NULL ? last : "",
                 last != NULL ? "\r\n" : "");
    assert_true(send_all(f.fd, request, (size_t)len));
    return f;
}

/* Reads until `text` has come behind `from`; its place. */
static size_t await(struct follower *f, size_t from, const char *text)
{
    for (;;) {
        const char *found = strstr(f->text + from, text);
        if (found != NULL)
            return (size_t)(found - f->text);
        char buf[65536];
        const ssize_t n = recv(f->fd, buf, sizeof buf, 0);
        assert_true(n > 0);
        f->text = realloc(f->text, f->len + (size_t)n + 1);
        assert_non_null(f->text);
        memcpy(f->text + f->len, buf, (size_t)n);
        f->len += (size_t)n;
        f->text[f->len] = '\0';
    }
}

static void unfollow(struct follower *f)
{
    close(f->fd);
    free(f->text);
}

/* The id that stands in front of event n. */
static uint64_t id_of(struct follower *f, int n)
{
    char text[32];
    snprintf(text, sizeof text, "data: {\"n\":%d,", n);
    const size_t at = await(f, 0, text);
    const char *id = NULL;
    for (const char *next = strstr(f->text, "id: "); next != NULL && next < f->text + at;
         next = strstr(next + 1, "id: "))
        id = next;
    assert_non_null(id);
    return strtoull(id + 4, NULL, 10);
}

static void check_resume(const char *name, int64_t offset, bool absolute, int next)
{
    struct stack s;
    char id[32], expected[64];
    stack_start(&s);
    struct follower steady = follow(&s, NULL);
    await(&steady, 0, "retry: 3000\nid: ");
    for (int n = 0; n < 20; n++) {
        publish(&s, n, 0);
        (void)id_of(&steady, n); /* keeps up */
    }
    const uint64_t last = id_of(&steady, 19);
    CHECK_EQ(name, last - id_of(&steady, 0), 19);
    snprintf(id, sizeof id, "%" PRIu64, (absolute ? 0 : last) + (uint64_t)offset);
    struct follower f = follow(&s, id);
    if (next < 0)
        snprintf(expected, sizeof expected, "event: reset\ndata: {}\n\n");
    else
        snprintf(expected, sizeof expected, "event: test\ndata: {\"n\":%d,", next);
    await(&f, 0, next < 0 ? "event: reset" : "retry: 3000"); /* it has joined */
    publish(&s, 20, 0);
    await(&f, 0, "{\"n\":20,");
    const char *first = strstr(f.text, "event: ");
    CHECK_EQ(name, strncmp(first, expected, strlen(expected)), 0);
    unfollow(&f);
    unfollow(&steady);
    stack_stop(&s);
}

static void test_resume(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t offset; /* of the id shown, from the newest */
        bool absolute;
        int next; /* event that comes first; -1: a reset */
    } rows[] = {
        {"the newest",              0,           false, 20},
        {"one before",              -1,          false, 19},
        {"in front of the ring",    -(RING - 1), false, 13},
        {"from before the process", 5,           true,  -1},
        {"far too early",           -RING - 5,   false, -1},
        {"from the future",         100,         false, -1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_resume(rows[i].name, rows[i].offset, rows[i].absolute, rows[i].next);
}

/* One that stops reading for longer than the ring lasts is told so, and goes on from there. */
static void test_too_slow(void **state)
{
    (void)state;
    enum { EVENTS = 400, PADDING = 8000 };
    struct stack s;
    stack_start(&s);
    struct follower f = follow(&s, NULL);
    await(&f, 0, "retry: 3000\nid: ");
    publish(&s, 0, 0);
    await(&f, 0, "{\"n\":0,");
    for (int n = 1; n < EVENTS; n++) /* 3 MiB: more than the sockets hold */
        publish(&s, n, PADDING);
    const size_t reset = await(&f, 0, "event: reset\ndata: {}\n\n");
    /* Another reset may have swallowed the next one; in the end it keeps up. */
    char text[32];
    bool keeps_up = false;
    for (int n = EVENTS; n < EVENTS + 100 && !keeps_up; n++) {
        const size_t before = f.len;
        publish(&s, n, 0);
        snprintf(text, sizeof text, "{\"n\":%d,", n);
        await(&f, before, "\n\n");
        keeps_up = strstr(f.text + before, text) != NULL;
    }
    assert_true(keeps_up);
    int seen = 0;
    for (; seen < EVENTS; seen++) { /* what came before has no gap */
        snprintf(text, sizeof text, "{\"n\":%d,", seen);
        const char *found = strstr(f.text, text);
        if (found == NULL || found > f.text + reset)
            break;
    }
    assert_true(seen > 0 && seen < EVENTS);
    struct api_events_statistics statistics;
    api_events_statistics(s.events, &statistics);
    assert_true(statistics.resets >= 1);
    unfollow(&f);
    stack_stop(&s);
}

static void test_no_memory_is_a_reset(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s);
    struct follower f = follow(&s, NULL);
    await(&f, 0, "retry: 3000\nid: ");
    publish(&s, 0, 0);
    await(&f, 0, "{\"n\":0,");
    struct fw_buf data;
    fw_buf_init(&data, 64);
    fw_buf_puts(&data, "{\"n\":1}");
    fw_alloc_fail_at(1);
    api_events_publish(s.events, "test", &data);
    fw_alloc_fail_at(0);
    api_events_wake(s.events);
    await(&f, 0, "event: reset\n");
    publish(&s, 2, 0);
    await(&f, 0, "{\"n\":2,");
    assert_null(strstr(f.text, "{\"n\":1"));
    fw_buf_fini(&data);
    unfollow(&f);
    stack_stop(&s);
}

/* What one process leaves, the next takes over; what is not such is not taken. */
static void test_next_process(void **state)
{
    (void)state;
    struct stack s;
    struct fw_buf kept;
    fw_buf_init(&kept, 1 << 20);
    stack_start(&s);
    for (int n = 0; n < 20; n++)
        publish(&s, n, 0);
    fw_buf_putc(&kept, '{');
    api_events_put(s.events, 150, &kept); /* of which some fit */
    fw_buf_putc(&kept, '}');
    assert_false(kept.failed);
    stack_stop(&s);

    struct fw_json_parser *parser = fw_json_parser_new(1 << 20, 4);
    struct fw_json_value root, list;
    static const char *const wrong[] = {
        "{}",
        "{\"first\":\"1\"}",
        "{\"first\":1,\"events\":[]}",
        "{\"first\":\"99999999999999999999\",\"events\":[]}",
        "{\"first\":\"7\",\"events\":[7]}",
        "{\"first\":\"7\",\"events\":[\"\"]}",
        "{\"first\":\"7\",\"events\":[\"id: 8\\nevent: x\\ndata: {}\\n\\n\"]}",
        "{\"first\":\"7\",\"events\":[\"id: 7\\nevent: x\\ndata: {}\\n\"]}",
        "{\"first\":\"7\",\"events\":[\"id: 7\\nevent: x\\n\\ndata: {}\\n\\n\"]}",
    };
    pause_ms(2); /* numbers of a later process are higher */
    stack_start(&s);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(fw_json_parse(parser, wrong[i], strlen(wrong[i]), &root, NULL), FW_OK);
        CHECK_EQ(wrong[i], api_events_take(s.events, root), false);
    }
    assert_int_equal(fw_json_parse(parser, kept.data, kept.len, &root, NULL), FW_OK);
    assert_true(fw_json_get(root, "events", &list));
    assert_in_range(fw_json_count(list), 1, RING - 1);
    assert_true(api_events_take(s.events, root));
    struct fw_json_value first;
    size_t len;
    assert_true(fw_json_get(root, "first", &first));
    const uint64_t number = strtoull(fw_json_string(first, &len), NULL, 10);
    char id[32];
    snprintf(id, sizeof id, "%" PRIu64, number - 1);
    struct follower f = follow(&s, id);
    await(&f, 0, "{\"n\":19,");
    publish(&s, 20, 0);
    await(&f, 0, "{\"n\":20,");
    assert_null(strstr(f.text, "reset"));
    assert_int_equal(id_of(&f, 20), id_of(&f, 19) + 1);
    unfollow(&f);
    stack_stop(&s);
    fw_json_parser_free(parser);
    fw_buf_fini(&kept);
}

static void test_limit(void **state)
{
    (void)state;
    struct stack s;
    stack_start(&s);
    struct follower a = follow(&s, NULL), b = follow(&s, NULL);
    await(&a, 0, "retry: 3000");
    await(&b, 0, "retry: 3000");
    assert_int_equal(ask_status(s.port, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"), 503);
    struct api_events_statistics statistics;
    api_events_statistics(s.events, &statistics);
    assert_int_equal(statistics.clients, 2);
    assert_int_equal(statistics.refused, 1);
    unfollow(&a);
    unfollow(&b);
    stack_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_too_slow),
        cmocka_unit_test(test_no_memory_is_a_reset),
        cmocka_unit_test(test_next_process),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
