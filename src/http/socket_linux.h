/* What the server asks of sockets beyond POSIX. */
#ifndef FW_HTTP_SOCKET_LINUX_H
#define FW_HTTP_SOCKET_LINUX_H

#include "base/status.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { HTTP_PEER_SIZE = INET6_ADDRSTRLEN };

/* A non-blocking listening socket; "::" takes IPv4 as well. FW_EINVAL: not a literal address;
 * FW_EIO. */
FW_MUST_CHECK enum fw_status http_socket_listen(const char *address, uint16_t port, int *fd,
                                                struct fw_error *err);
uint16_t http_socket_port(int fd);

/* Bytes received on the connection since it was made (0 when the kernel does not say), and whether
 * the peer has said that no more will come. */
uint64_t http_socket_received(int fd, bool *at_end);

/* A second descriptor of the socket whose sending side is shut, for http_socket_drain(); -1 on
 * failure. */
int http_socket_linger(int fd);
/* Throws away what has arrived. False once the peer is done or gone. */
bool http_socket_drain(int fd);

/* For a stream: the kernel holds at most about so many bytes for the peer, and gives it up when it
 * has acknowledged nothing for half a minute. */
void http_socket_stream(int fd, int bytes);

/* The peer's address, 16 bytes, IPv4 mapped; the text undoes the mapping. */
void http_socket_peer(const struct sockaddr *from, struct in6_addr *peer);
void http_socket_peer_text(const struct in6_addr *peer, char out[HTTP_PEER_SIZE]);

/* Raises the soft limit of descriptors towards `wanted` and returns what it is then. */
unsigned http_socket_limit(unsigned wanted);

#endif
