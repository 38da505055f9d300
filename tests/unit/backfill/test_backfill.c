/* A whole run against a server of a few lines: groups of hosts, halved chunks, what is left out,
 * and how it ends when something is wrong. */
#include "backfill/backfill.h"

#include "base/alloc.h"

#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOSTS = 40, MINUTES = 120, BODY_MAX = 4 << 20 };
#define NOW_MS INT64_C(1700000465000) /* 12:34 and 25 seconds of some minute */

struct peer {
    int listener;
    char url[64];
    pthread_t thread;
    int points_max; /* 422 beyond it */
    int fails;      /* so many requests of ranges are answered 503 first */
    bool breaks;    /* ranges are no JSON */
    size_t hosts, ranges;
    char seen[65536];
    struct fw_buf body, out;
};

static void put_names(struct peer *peer, const char *path)
{
    fw_buf_puts(&peer->body, "{\"status\":\"success\",\"data\":[");
    if (strstr(path, "__name__/values") != NULL)
        fw_buf_puts(&peer->body, "\"go_goroutines\",\"node_load1\"");
    else if (strstr(path, "instance/values") != NULL)
        for (size_t i = 0; i < peer->hosts; i++)
            fw_buf_printf(&peer->body, "%s\"h%zu:9100\"", i > 0 ? "," : "", i);
    else if (peer->hosts > 0)
        fw_buf_puts(&peer->body, "\"lone\"");
    fw_buf_puts(&peer->body, "]}");
}

static void put_points(struct peer *peer, const char *label, const char *host, long begin, long end)
{
    const char *between = "";
    if (peer->body.data[peer->body.len - 1] == '}')
        fw_buf_putc(&peer->body, ',');
    fw_buf_printf(&peer->body, "{\"metric\":{\"%s\":\"%s\"},\"values\":[", label, host);
    for (long t = begin; t <= end; t += 60, between = ",")
        fw_buf_printf(&peer->body, "%s[%ld,\"%ld\"]", between, t, t / 60 % 100);
    fw_buf_puts(&peer->body, "]}");
}

static int put_range(struct peer *peer, const char *form)
{
    char name[32], quoted[64];
    const long begin = strtol(strstr(form, "&start=") + 7, NULL, 10);
    const long end = strtol(strstr(form, "&end=") + 5, NULL, 10);
    peer->ranges++;
    if (peer->fails > 0) {
        peer->fails--;
        fw_buf_puts(&peer->body, "later");
        return 503;
    }
    if ((end - begin) / 60 + 1 > peer->points_max) {
        fw_buf_puts(&peer->body, "{\"status\":\"error\",\"error\":\"too many points\"}");
        return 422;
    }
    fw_buf_puts(&peer->body,
                peer->breaks
                    ? "<html>"
                    : "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[");
    for (size_t i = 0; i < peer->hosts; i++) {
        snprintf(quoted, sizeof quoted, "h%zu%%3A9100", i);
        snprintf(name, sizeof name, "h%zu:9100", i);
        const char *at = strstr(form, quoted);
        if (at != NULL && (at[-1] == 'C' || at[-1] == '2')) /* behind "|" or a quote */
            put_points(peer, "instance", name, begin, end);
    }
    if (strstr(form, "lone") != NULL)
        put_points(peer, "host", "lone", begin, end);
    fw_buf_puts(&peer->body, "]}}");
    return 200;
}

static bool serve_one(struct peer *peer, int fd)
{
    size_t len = 0, body = 0;
    char head[128];
    const char *end = NULL, *length;
    while (end == NULL || len < (size_t)(end + 4 - peer->seen) + body) {
        const ssize_t n = recv(fd, peer->seen + len, sizeof peer->seen - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        peer->seen[len] = '\0';
        end = strstr(peer->seen, "\r\n\r\n");
        length = strstr(peer->seen, "Content-Length: ");
        body = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    }
    int code = 200;
    fw_buf_reset(&peer->body);
    if (strncmp(peer->seen, "GET ", 4) == 0)
        put_names(peer, peer->seen);
    else
        code = put_range(peer, end + 4);
    /* In one piece, or the client's acknowledgement is waited for. */
    snprintf(head, sizeof head, "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n\r\n", code,
             peer->body.len);
    fw_buf_reset(&peer->out);
    fw_buf_puts(&peer->out, head);
    fw_buf_put(&peer->out, peer->body.data, peer->body.len);
    return send(fd, peer->out.data, peer->out.len, MSG_NOSIGNAL) > 0;
}

static void *serve(void *ctx)
{
    struct peer *peer = ctx;
    int fd;
    while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
        while (serve_one(peer, fd))
            ;
        close(fd);
    }
    return NULL;
}

static void peer_begin(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    memset(peer, 0, sizeof *peer);
    peer->hosts = HOSTS;
    peer->points_max = 11;
    fw_buf_init(&peer->body, BODY_MAX);
    fw_buf_init(&peer->out, 2 * BODY_MAX);
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(peer->listener, 4), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &len), 0);
    snprintf(peer->url, sizeof peer->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
}

static void peer_start(struct peer *peer)
{
    assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

static void peer_end(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    fw_buf_fini(&peer->body);
    fw_buf_fini(&peer->out);
}

/* What came: how often each minute of each host. */
struct taken {
    unsigned char times[HOSTS + 1][MINUTES + 10];
    size_t rows, told;
    double done;
    enum fw_status result;
};

static enum fw_status take(void *ctx, struct sample_batch *batch, struct fw_error *err)
{
    struct taken *taken = ctx;
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct sample_row *row = &batch->rows[i];
        const char *name = batch->names[row->name].text;
        const size_t host = strcmp(name, "lone") == 0 ? HOSTS : strtoul(name + 1, NULL, 10);
        const int64_t point_s = (row->time_ms + 1) / 1000;
        const int64_t minute = point_s / 60 - (NOW_MS / 60000 - MINUTES);
        CHECK_EQ(name, row->time_ms % 60000, 59999);
        assert_true(host <= HOSTS && minute >= 0 && minute < MINUTES + 10);
        CHECK_EQ(name, row->value_count, 1);
        CHECK_NEAR(name, batch->values[row->first_value].value, (double)(point_s / 60 % 100), 1e-6);
        /* A server's rows stand together, the newest first. */
        if (i > 0 && row->name == row[-1].name)
            assert_true(row->time_ms < row[-1].time_ms);
        else
            assert_int_equal(taken->times[host][minute], 0);
        taken->times[host][minute]++;
        taken->rows++;
    }
    return taken->result == FW_OK ? FW_OK : fw_fail(err, taken->result, "not taken");
}

static void tell(void *ctx, const struct backfill_progress *progress)
{
    struct taken *taken = ctx;
    assert_true(progress->done >= taken->done && progress->done <= 1.0);
    taken->done = progress->done;
    taken->told++;
}

struct stage {
    struct schema schema;
    struct series_rules *rules;
    struct backfill_source *source;
    struct fw_clock_fake clock;
    struct backfill_counts counts;
    struct fw_error err;
    struct taken taken;
    long fails_at; /* that allocation of the run; 0: none */
};

static enum fw_status run(struct stage *s, const struct peer *peer, const char *match,
                          bool (*interrupted)(void *))
{
    schema_default(&s->schema);
    s->rules = series_rules_new(&s->schema);
    fw_clock_fake_init(&s->clock, NOW_MS);
    const struct backfill_source_options source = {.url = peer->url, .interrupted = interrupted};
    assert_int_equal(backfill_source_new(&source, &s->source, NULL), FW_OK);
    const struct backfill_options options = {.source = s->source,
                                             .match = match,
                                             .schema = &s->schema,
                                             .rules = s->rules,
                                             .span_ms = (int64_t)MINUTES * 60000,
                                             .align_ms = 300000,
                                             .clock = &s->clock.clock,
                                             .take = take,
                                             .progress = tell,
                                             .ctx = &s->taken};
    fw_alloc_fail_at(s->fails_at);
    const enum fw_status status = backfill_run(&options, &s->counts, &s->err);
    fw_alloc_fail_at(0);
    backfill_source_free(s->source);
    series_rules_free(s->rules);
    return status;
}

/* Every minute of every host once, from a step's begin on, though chunks had to be halved. */
static void test_everything_once(void **state)
{
    (void)state;
    static struct stage s;
    struct peer peer;
    memset(&s, 0, sizeof s);
    peer_begin(&peer);
    peer.fails = 1; /* which is asked for again */
    peer_start(&peer);
    assert_int_equal(run(&s, &peer, "{job=\"a b\"}", NULL), FW_OK);
    assert_non_null(strstr(peer.seen, "job%3D%22a%20b%22"));
    peer_end(&peer);
    const int64_t begin_ms = (NOW_MS - MINUTES * 60000 + 299999) / 300000 * 300000;
    const size_t first = (size_t)(begin_ms / 60000 - (NOW_MS / 60000 - MINUTES));
    for (size_t host = 0; host <= HOSTS; host++)
        for (size_t minute = 0; minute <= MINUTES; minute++)
            CHECK_EQ("minute", s.taken.times[host][minute], minute > first);
    CHECK_EQ("hosts", s.counts.hosts, HOSTS + 1);
    CHECK_EQ("one name means something", s.counts.names_found, 1);
    CHECK_EQ("rows", s.counts.rows, s.taken.rows);
    CHECK_TRUE("halved", s.counts.halved > 0 && s.counts.chunks > 10);
    CHECK_NEAR("told to the end", s.taken.done, 1.0, 1e-9);
    CHECK_EQ("the first", s.counts.first_ms, begin_ms + 59999);
    CHECK_EQ("the last", s.counts.last_ms, NOW_MS / 60000 * 60000 - 1);
}

static bool yes(void *ctx)
{
    (void)ctx;
    return true;
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int points_max;
        bool breaks, stopped;
        size_t hosts;
        enum fw_status result, status;
        const char *says, *match;
    } rows[] = {
        {"never fewer points",   0,   false, false, HOSTS, FW_OK,     FW_ELIMIT,    "too many points",  NULL           },
        {"no answer of a range", 999, true,  false, HOSTS, FW_OK,     FW_EINVAL,    "no JSON",          NULL           },
        {"nobody takes them",    999, false, false, HOSTS, FW_EINVAL, FW_EINVAL,    "not taken",        NULL           },
        {"no hosts",             999, false, false, 0,     FW_OK,     FW_ENOTFOUND, "instance or host", NULL           },
        {"a signal",             999, false, true,  HOSTS, FW_OK,     FW_ETIMEOUT,  "stopped",          NULL           },
        {"no matcher",           999, false, false, HOSTS, FW_OK,     FW_EINVAL,    "matchers",         "up{job=\"a\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct stage s;
        struct peer peer;
        memset(&s, 0, sizeof s);
        peer_begin(&peer);
        peer.points_max = rows[i].points_max;
        peer.breaks = rows[i].breaks;
        peer.hosts = rows[i].hosts;
        peer_start(&peer);
        s.taken.result = rows[i].result;
        CHECK_EQ(rows[i].name, run(&s, &peer, rows[i].match, rows[i].stopped ? yes : NULL),
                 rows[i].status);
        if (strstr(s.err.text, rows[i].says) == NULL)
            fail_msg("%s: \"%s\"", rows[i].name, s.err.text);
        peer_end(&peer);
    }
}

/* Each allocation in turn: the run ends, or gets on with less at once, and nothing is left behind.
 */
static void test_memory_runs_out(void **state)
{
    (void)state;
    static struct stage s;
    struct peer peer;
    size_t failed = 0;
    peer_begin(&peer);
    peer.points_max = 999;
    peer.hosts = 3;
    assert_true(fw_buf_reserve(&peer.body, 1 << 20) != NULL); /* its own must not fail */
    assert_true(fw_buf_reserve(&peer.out, 2 << 20) != NULL);
    peer_start(&peer);
    for (long n = 1;; n++) {
        memset(&s, 0, sizeof s);
        s.fails_at = n;
        const enum fw_status status = run(&s, &peer, NULL, NULL);
        assert_true(status == FW_OK || status == FW_ENOMEM || status == FW_ELIMIT);
        failed += status != FW_OK;
        if (status == FW_OK && s.counts.halved == 0)
            break;
    }
    CHECK_TRUE("many could", failed > 50);
    peer_end(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_once),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
