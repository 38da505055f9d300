/* A whole api behind a real server, and a small client for it. */
#ifndef FW_TESTS_UNIT_API_CLIENT_H
#define FW_TESTS_UNIT_API_CLIENT_H

#include "api/api.h"
#include "fixture.h"
#include "fleet/fleet.h"
#include "http/keys.h"
#include "http/server.h"
#include "store/io_fault.h"
#include "store/journal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

struct stack {
    char dir[64];
    struct schema schema;
    struct profile_rules rules;
    struct fw_clock_fake clock;
    struct store_io_fault io;
    struct store_journal *journal;
    struct fleet *fleet;
    struct outlook_board *board;
    struct http_keys *keys;
    struct api *api;
    struct http_server *server;
    int wakes;
};

struct answer {
    int status;
    char *head, *body; /* terminated */
    size_t body_len;
};

enum { STACK_NOW_S = 1767225600 }; /* 2026-01-01 */

static inline void stack_wake(void *ctx)
{
    ((struct stack *)ctx)->wakes++;
}

/* With `attach` false the api stays as it is before recovery is done. */
/* As a run does. */
static inline void stack_publish(struct outlook_board *board, const struct outlook *outlook)
{
    outlook_retain(outlook);
    outlook_board_publish(board, outlook);
    outlook_board_tell(board, outlook);
    outlook_release(outlook);
}

static inline void stack_start(struct stack *s, const struct api_options *options, bool attach)
{
    struct fw_error err = {0};
    memset(s, 0, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/fw-api-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    schema_default(&s->schema);
    profile_rules_default(&s->rules);
    fw_clock_fake_init(&s->clock, (int64_t)STACK_NOW_S * 1000);
    store_io_fault_init(&s->io, store_io_system());
    const struct store_journal_options journal = {.io = &s->io.io, .probe_ms = 20};
    if (store_journal_open(s->dir, &journal, 0, NULL, NULL, NULL, &s->journal, &err) != FW_OK)
        fail_msg("journal: %s", err.text);
    struct fleet_options fleet;
    fleet_options_default(&fleet);
    fleet.schema = &s->schema;
    fleet.profiles = &s->rules;
    fleet.clock = &s->clock.clock;
    fleet.step_s = 300;
    fleet.servers_max = 100;
    assert_int_equal(fleet_new(&fleet, &s->fleet, &err), FW_OK);
    s->board = outlook_board_new();
    s->keys = http_keys_new();
    struct api_options filled = *options;
    filled.schema = &s->schema;
    filled.clock = &s->clock.clock;
    if (api_new(&filled, &s->api, &err) != FW_OK)
        fail_msg("api: %s", err.text);
    const struct http_route *routes;
    size_t n;
    api_routes(s->api, &routes, &n);
    struct http_options http;
    http_options_init(&http);
    http.rate_limits_off = true;
    http.keys = s->keys;
    if (http_server_start(&http, routes, n, &s->server, &err) != FW_OK)
        fail_msg("server: %s", err.text);
    api_set_server(s->api, s->server);
    if (attach)
        api_attach(s->api, &(struct api_parts){.fleet = s->fleet,
                                               .board = s->board,
                                               .journal = s->journal,
                                               .wake = stack_wake,
                                               .wake_ctx = s});
}

static inline void stack_remove(const char *dir)
{
    char path[4096];
    DIR *entries = opendir(dir);
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) >= (int)sizeof path)
            continue;
        if (unlink(path) != 0)
            stack_remove(path);
    }
    if (entries != NULL)
        closedir(entries);
    rmdir(dir);
}

static inline void stack_stop(struct stack *s)
{
    api_set_server(s->api, NULL);
    http_server_stop(s->server, 1000);
    api_drain(s->api);
    store_journal_close(s->journal);
    outlook_board_free(s->board);
    api_free(s->api);
    fleet_free(s->fleet);
    http_keys_free(s->keys);
    store_io_fault_fini(&s->io);
    stack_remove(s->dir);
}

static inline void write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        const ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            fail_msg("send failed");
        at += n;
        len -= (size_t)n;
    }
}

/* One request on a connection of its own. `headers` are whole lines, or "". Status 0: the
 * connection was closed without an answer. */
static inline struct answer ask(const struct stack *s, const char *method, const char *target,
                                const char *headers, const void *body, size_t len)
{
    char head[4096];
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct timeval limit = {20, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_server_port(s->server))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    int n =
        snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s",
                 method, target, headers);
    if (body != NULL)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %zu\r\n", len);
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    write_all(fd, head, (size_t)n);
    if (body != NULL)
        write_all(fd, body, len);
    size_t cap = 1 << 16, got = 0;
    char *all = malloc(cap + 1);
    for (;;) {
        if (got == cap)
            all = realloc(all, (cap *= 2) + 1);
        const ssize_t r = recv(fd, all + got, cap - got, 0);
        if (r <= 0)
            break;
        got += (size_t)r;
    }
    close(fd);
    all[got] = '\0';
    struct answer answer = {0};
    char *split = strstr(all, "\r\n\r\n");
    if (split == NULL || sscanf(all, "HTTP/1.1 %d", &answer.status) != 1) {
        answer.head = answer.body = all; /* status 0: no answer */
        return answer;
    }
    *split = '\0';
    answer.head = all;
    answer.body = split + 4;
    answer.body_len = got - (size_t)(answer.body - all);
    return answer;
}

static inline struct answer get(const struct stack *s, const char *target)
{
    return ask(s, "GET", target, "", NULL, 0);
}

static inline struct answer post(const struct stack *s, const char *target, const char *body)
{
    return ask(s, "POST", target, "Content-Type: application/json\r\n", body, strlen(body));
}

static inline void answer_free(struct answer *answer)
{
    free(answer->head);
    *answer = (struct answer){0};
}

static inline struct fw_json_value answer_json(const struct answer *answer,
                                               struct fw_json_parser **parser)
{
    const struct fw_buf view = {.data = answer->body, .len = answer->body_len};
    return fixture_parse(parser, &view);
}

/* The status of an answer, which is thrown away. */
static inline int status_of(struct answer answer)
{
    const int status = answer.status;
    answer_free(&answer);
    return status;
}

/* A GET whose allocations fail, one after the other: each time an answer or a closed connection,
 * and the next one works. */
static inline void get_starved(const struct stack *s, const char *target)
{
    for (long n = 1; n < 25; n++) {
        fw_alloc_fail_at(n);
        const int status = status_of(get(s, target));
        fw_alloc_fail_at(0);
        if (status != 0 && status != 200 && status != 500 && status != 503)
            fail_msg("%s, allocation %ld: %d", target, n, status);
        CHECK_EQ(target, status_of(get(s, target)), 200);
    }
}

/* The value of a header into *value, or "". */
static inline void answer_header(const struct answer *answer, const char *name, char value[128])
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\r\n%s: ", name);
    const char *at = strstr(answer->head, pattern);
    value[0] = '\0';
    if (at != NULL)
        snprintf(value, 128, "%.*s", (int)strcspn(at + strlen(pattern), "\r"),
                 at + strlen(pattern));
}

#endif
