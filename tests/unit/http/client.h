/* A client that sends exactly the bytes it is told to, and reads what comes back. */
#ifndef FW_TESTS_HTTP_CLIENT_H
#define FW_TESTS_HTTP_CLIENT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif

#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct answer {
    int status; /* 0: the connection closed without one; -1: nothing came in time */
    char *head; /* terminated */
    char *body; /* terminated */
    size_t body_len;
    bool closed; /* the server closed after it */
};

static inline int connect_to(const char *from, uint16_t port)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    if (from != NULL) {
        inet_pton(AF_INET, from, &at.sin_addr);
        if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
            fail_msg("bind %s: %s", from, strerror(errno));
    }
    at.sin_port = htons(port);
    inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

/* Sends all, or as much as the server takes before it hangs up. */
static inline bool send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        const ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

static inline const char *header_of(const struct answer *answer, const char *name)
{
    static _Thread_local char value[512];
    const size_t len = strlen(name);
    for (const char *at = answer->head; (at = strstr(at, "\r\n")) != NULL;) {
        at += 2;
        if (strncasecmp(at, name, len) == 0 && at[len] == ':') {
            at += len + 1 + strspn(at + len + 1, " ");
            const size_t value_len = strcspn(at, "\r");
            snprintf(value, sizeof value, "%.*s", (int)value_len, at);
            return value;
        }
    }
    return NULL;
}

struct reader {
    char *data;
    size_t len, cap;
};

static inline ssize_t read_more(int fd, struct reader *in, int timeout_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (poll(&wait, 1, timeout_ms) <= 0)
        return -2;
    if (in->len + 65536 > in->cap) {
        in->cap = in->cap * 2 + 131072;
        in->data = realloc(in->data, in->cap);
    }
    const ssize_t got = recv(fd, in->data + in->len, 65535, 0);
    if (got > 0)
        in->len += (size_t)got;
    return got;
}

/* One answer; what follows it on the connection is lost. `head_only`: the answer to a HEAD. */
static inline struct answer read_answer(int fd, bool head_only, int timeout_ms)
{
    struct reader in = {0};
    struct answer answer = {.status = 0};
    char *end = NULL;
    ssize_t got = 1;
    for (;;) {
        end = in.data == NULL ? NULL : memmem(in.data, in.len, "\r\n\r\n", 4);
        if (end != NULL && strncmp(in.data, "HTTP/1.1 100", 12) == 0) {
            const size_t used = (size_t)(end + 4 - in.data);
            memmove(in.data, end + 4, in.len - used);
            in.len -= used;
            continue;
        }
        if (end != NULL || (got = read_more(fd, &in, timeout_ms)) <= 0)
            break;
    }
    if (end == NULL) {
        answer.status = got == -2 ? -1 : 0;
        free(in.data);
        return answer;
    }
    answer.head = strndup(in.data, (size_t)(end - in.data + 2));
    sscanf(answer.head, "HTTP/1.%*c %d", &answer.status);
    const char *length = header_of(&answer, "Content-Length");
    const size_t start = (size_t)(end + 4 - in.data);
    size_t want =
        length == NULL || head_only || answer.status == 304 ? 0 : strtoul(length, NULL, 10);
    while (in.len < start + want && (got = read_more(fd, &in, timeout_ms)) > 0)
        continue;
    const size_t have = in.len - start < want ? in.len - start : want;
    answer.body = malloc(have + 1);
    memcpy(answer.body, in.data + start, have);
    answer.body[have] = '\0';
    answer.body_len = have;
    const char *connection = header_of(&answer, "Connection");
    answer.closed = connection != NULL && strcasecmp(connection, "close") == 0;
    free(in.data);
    return answer;
}

static inline void answer_free(struct answer *answer)
{
    free(answer->head);
    free(answer->body);
}

enum { CLIENT_TIMEOUT_MS = 8000 };

/* One request on a connection of its own. */
static inline struct answer ask_from(const char *from, uint16_t port, const char *data, size_t len)
{
    const int fd = connect_to(from, port);
    (void)send_all(fd, data, len);
    struct answer answer = read_answer(fd, strncmp(data, "HEAD", 4) == 0, CLIENT_TIMEOUT_MS);
    close(fd);
    return answer;
}

static inline struct answer ask(uint16_t port, const char *data)
{
    return ask_from(NULL, port, data, strlen(data));
}

/* The status alone. */
static inline int ask_status(uint16_t port, const char *data)
{
    struct answer answer = ask(port, data);
    answer_free(&answer);
    return answer.status;
}

static inline void pause_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

#endif
