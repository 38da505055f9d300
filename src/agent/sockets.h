/* TCP connections in CLOSE_WAIT, by the side of the service that they are on. */
#ifndef FW_AGENT_SOCKETS_H
#define FW_AGENT_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

struct agent_sockets {
    unsigned front; /* the local port is one that somebody listens on: a client of ours went away */
    unsigned back;  /* otherwise: a server that we called went away */
};

/* Counts <root>/proc/net/tcp and tcp6 (which is absent without IPv6). False when the former cannot
 * be read, or out of memory. */
bool agent_sockets_read(const char *root, struct agent_sockets *sockets);

#endif
