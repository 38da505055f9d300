#include "agent/sockets.h"

#include "agent/procfs.h"
#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* The kernel's numbers of TCP states, as /proc/net/tcp writes them. */
enum { STATE_CLOSE_WAIT = 0x08, STATE_LISTEN = 0x0A, PORTS = 65536 };

struct port_counts {
    bool listening[PORTS];
    uint32_t close_wait[PORTS];
};

static bool count_file(const char *root, const char *path, struct port_counts *ports)
{
    FILE *file = agent_procfs_open(root, path);
    if (file == NULL)
        return false;
    char line[512]; /* the kernel pads to 150 */
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned port, state;
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) != 2 ||
            port >= PORTS)
            continue; /* the heading */
        if (state == STATE_LISTEN)
            ports->listening[port] = true;
        else if (state == STATE_CLOSE_WAIT)
            ports->close_wait[port]++;
    }
    fclose(file);
    return true;
}

bool agent_sockets_read(const char *root, struct agent_sockets *sockets)
{
    struct port_counts *ports = fw_calloc(1, sizeof *ports);
    if (ports == NULL)
        return false;
    const bool known = count_file(root, "proc/net/tcp", ports);
    if (known) {
        (void)count_file(root, "proc/net/tcp6", ports);
        memset(sockets, 0, sizeof *sockets);
        for (size_t i = 0; i < PORTS; i++) {
            if (ports->listening[i])
                sockets->front += ports->close_wait[i];
            else
                sockets->back += ports->close_wait[i];
        }
    }
    fw_free(ports);
    return known;
}
