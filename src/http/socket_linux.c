#define _GNU_SOURCE /* SOCK_NONBLOCK, F_DUPFD_CLOEXEC with MSG_TRUNC on TCP */
#include "http/socket_linux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h> /* glibc's struct tcp_info lacks tcpi_bytes_received */
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, DRAIN_STEP = 1 << 20, CLOSE_WAIT = 8 /* TCP_CLOSE_WAIT of the kernel */ };

static bool parse_address(const char *address, uint16_t port, struct sockaddr_storage *out,
                          socklen_t *len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *len = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1)
        return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    *len = sizeof *v6;
    return true;
}

enum fw_status http_socket_listen(const char *address, uint16_t port, int *fd, struct fw_error *err)
{
    struct sockaddr_storage at;
    socklen_t len;
    if (!parse_address(address, port, &at, &len))
        return fw_fail(err, FW_EINVAL, "listen: \"%s\" is not an IP address", address);
    const int on = 1;
    *fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd >= 0 && setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(*fd, (struct sockaddr *)&at, len) == 0 && listen(*fd, BACKLOG) == 0)
        return FW_OK;
    const enum fw_status status =
        fw_fail(err, FW_EIO, "listen on %s port %u: %s", address, (unsigned)port, strerror(errno));
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return status;
}

uint16_t http_socket_port(int fd)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return 0;
    /* The analyzer does not see getsockname() write through glibc's transparent union. */
    if (at.ss_family == AF_INET) // NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult)
        return ntohs(((struct sockaddr_in *)&at)->sin_port);
    return at.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&at)->sin6_port) : 0;
}

uint64_t http_socket_received(int fd, bool *at_end)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    *at_end = false;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return 0;
    *at_end = info.tcpi_state == CLOSE_WAIT;
    return info.tcpi_bytes_received;
}

void http_socket_stream(int fd, int bytes)
{
    const unsigned patience_ms = 30000;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
}

int http_socket_linger(int fd)
{
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0)
        shutdown(copy, SHUT_WR);
    return copy;
}

bool http_socket_drain(int fd)
{
    /* With MSG_TRUNC, TCP drops the bytes without copying them anywhere. */
    const ssize_t got = recv(fd, NULL, DRAIN_STEP, MSG_DONTWAIT | MSG_TRUNC);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

void http_socket_peer(const struct sockaddr *from, struct in6_addr *peer)
{
    memset(peer, 0, sizeof *peer);
    if (from != NULL && from->sa_family == AF_INET6) {
        *peer = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    } else if (from != NULL && from->sa_family == AF_INET) {
        peer->s6_addr[10] = peer->s6_addr[11] = 0xff;
        memcpy(&peer->s6_addr[12], &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    }
}

void http_socket_peer_text(const struct in6_addr *peer, char out[HTTP_PEER_SIZE])
{
    const bool v4 = IN6_IS_ADDR_V4MAPPED(peer);
    if (inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &peer->s6_addr[12] : peer->s6_addr, out,
                  HTTP_PEER_SIZE) == NULL)
        out[0] = '\0';
}

unsigned http_socket_limit(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    if (limit.rlim_cur < wanted) {
        struct rlimit higher = limit;
        higher.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
            limit = higher;
    }
    return limit.rlim_cur > UINT32_MAX ? UINT32_MAX : (unsigned)limit.rlim_cur;
}
