/* Replies that come later, earlier, or to nobody. */
#include "server_fixture.h"

#include "base/histogram.h"

static void reply_ok(struct http_request *request)
{
    const struct http_reply reply = {.status = 200, .body = http_body_static("{\"late\":1}", 10)};
    http_reply(request, &reply);
}

static void wait_active(struct fixture *fixture, uint64_t wanted)
{
    struct http_stats stats;
    for (int i = 0; i < 2000; i++) {
        http_server_stats(fixture->server, &stats);
        if (stats.requests_active == wanted)
            return;
        pause_ms(2);
    }
    fail_msg("%lu requests are active, not %lu", (unsigned long)stats.requests_active,
             (unsigned long)wanted);
}

static void test_later(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    const char *text = POST_WITH("/later", "Content-Length: 5\r\n") "hello";
    const int fd = connect_to(NULL, fixture.port);
    for (int i = 0; i < 3; i++) { /* the connection lives on */
        send_all(fd, text, strlen(text));
        struct http_request *request = take_held(&fixture);
        size_t len;
        assert_string_equal(http_request_body(request, &len), "hello");
        assert_int_equal(len, 5);
        assert_int_equal(ask_status(fixture.port, GET("/status")), 200); /* nobody waits for it */
        reply_ok(request);
        struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body, "{\"late\":1}");
        answer_free(&answer);
    }
    close(fd);
    wait_active(&fixture, 0);
    fixture_stop(&fixture);
}

/* Another thread answers as fast as it can: often before the connection is suspended. */
static void *answer_all(void *ctx)
{
    struct fixture *fixture = ctx;
    for (int i = 0; i < 3000; i++) {
        struct http_request *held = NULL;
        while (held == NULL) {
            pthread_mutex_lock(&fixture->lock);
            held = fixture->held;
            fixture->held = NULL;
            pthread_mutex_unlock(&fixture->lock);
        }
        reply_ok(held);
    }
    return NULL;
}

static void test_race_with_suspend(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_all, &fixture), 0);
    const int fd = connect_to(NULL, fixture.port);
    const char *text = GET("/later");
    for (int i = 0; i < 3000; i++) {
        send_all(fd, text, strlen(text));
        struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
        assert_int_equal(answer.status, 200);
        answer_free(&answer);
    }
    pthread_join(thread, NULL);
    close(fd);
    fixture_stop(&fixture);
}

static void test_client_gone(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    for (int i = 0; i < 20; i++) {
        const char *text = POST_WITH("/later", "Content-Length: 5\r\n") "hello";
        const int fd = connect_to(NULL, fixture.port);
        send_all(fd, text, strlen(text));
        struct http_request *request = take_held(&fixture);
        if (i % 2 == 0) { /* reset rather than closed */
            const struct linger now = {.l_onoff = 1};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        close(fd);
        pause_ms(2);
        size_t len;
        assert_string_equal(http_request_body(request, &len), "hello");
        reply_ok(request);
    }
    wait_active(&fixture, 0);
    assert_int_equal(ask_status(fixture.port, GET("/status")), 200);
    fixture_stop(&fixture);
}

static void *reply_soon(void *ctx)
{
    pause_ms(100);
    reply_ok(ctx);
    return NULL;
}

/* A stop waits for what is under way, and answers it. */
static void test_stop_waits(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    const char *text = GET("/later");
    const int fd = connect_to(NULL, fixture.port), idle = connect_to(NULL, fixture.port);
    send_all(fd, text, strlen(text));
    struct http_request *request = take_held(&fixture);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, reply_soon, request), 0);
    fixture_stop(&fixture);
    pthread_join(thread, NULL);
    struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
    assert_int_equal(answer.status, 200);
    assert_true(answer.closed);
    answer_free(&answer);
    char byte;
    assert_int_equal(recv(idle, &byte, 1, 0), 0);
    close(fd);
    close(idle);
}

/* A reply that misses the stop's deadline is dropped; its client has been told. */
static void test_stop_cuts(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    const char *text = POST_WITH("/later", "Content-Length: 5\r\n") "hello";
    const int fd = connect_to(NULL, fixture.port);
    send_all(fd, text, strlen(text));
    struct http_request *request = take_held(&fixture);
    http_server_stop(fixture.server, 50);
    struct answer answer = read_answer(fd, false, CLIENT_TIMEOUT_MS);
    assert_int_equal(answer.status, 503);
    answer_free(&answer);
    close(fd);
    size_t len;
    assert_string_equal(http_request_body(request, &len), "hello");
    const struct http_reply reply = {.status = 200, .body = http_body_new_copy("late", 4)};
    http_reply(request, &reply);
    http_body_unref(fixture.big);
    pthread_mutex_destroy(&fixture.lock);
}

static void test_statistics(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    for (int i = 0; i < 7; i++)
        assert_int_equal(ask_status(fixture.port, GET("/status")), 200);
    assert_int_equal(ask_status(fixture.port, GET("/nothing")), 404);
    assert_int_equal(ask_status(fixture.port, POST_WITH("/take", "Content-Length: 4\r\n") "abcd"),
                     200);
    wait_active(&fixture, 0);
    const size_t n = http_server_operations(fixture.server);
    assert_string_equal(http_server_operation_name(fixture.server, n - 1), "other");
    uint64_t ok = 0, missing = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = http_server_operation_name(fixture.server, i);
        struct fw_histogram_view view;
        fw_histogram_read(http_server_operation_duration(fixture.server, i), &view);
        uint64_t total = 0;
        for (int class = 2; class <= 5; class ++)
            total += http_server_operation_requests(fixture.server, i, class);
        CHECK_EQ(name, view.count, total);
        if (strcmp(name, "status") == 0)
            ok = http_server_operation_requests(fixture.server, i, 2);
        if (strcmp(name, "other") == 0)
            missing = http_server_operation_requests(fixture.server, i, 4);
    }
    assert_int_equal(ok, 7);
    assert_int_equal(missing, 1);
    struct http_stats stats;
    http_server_stats(fixture.server, &stats);
    assert_int_equal(stats.body_bytes_in, 4);
    assert_int_equal(stats.connections_total, 9);
    assert_int_equal(stats.bodies_held_bytes, 0);
    assert_true(stats.body_bytes_out > 7 * 11);
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_later),       cmocka_unit_test(test_race_with_suspend),
        cmocka_unit_test(test_client_gone), cmocka_unit_test(test_stop_waits),
        cmocka_unit_test(test_stop_cuts),   cmocka_unit_test(test_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
