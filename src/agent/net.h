/* Bytes through a host's physical network devices, from /proc/net/dev. */
#ifndef FW_AGENT_NET_H
#define FW_AGENT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AGENT_DEVICE_NAME_MAX = 31, AGENT_DEVICES_MAX = 256 };

struct agent_device {
    char name[AGENT_DEVICE_NAME_MAX + 1];
    uint64_t in_bytes, out_bytes; /* since boot */
};

struct agent_net {
    size_t count;
    struct agent_device devices[AGENT_DEVICES_MAX];
};

/* All devices of the text of /proc/net/dev; false when it is not such a text. */
bool agent_net_parse(const char *text, struct agent_net *net);

/* Leaves the physical ones, so that no byte counts twice: not the loopback, virtual and tunnel
 * devices, nor bridges, nor members of a bond whose bond is here, nor VLANs whose device is.
 * <root>/sys/class/net tells bonds and bridges; without it the name decides. */
void agent_net_keep_physical(const char *root, struct agent_net *net);

/* <root>/proc/net/dev, physical devices only; false when it cannot be read. */
bool agent_net_read(const char *root, struct agent_net *net);

/* Bytes between two readings, over the devices that both have and whose counters did not go back.
 * False when no device is left: then there is no rate. */
bool agent_net_moved(const struct agent_net *before, const struct agent_net *now,
                     uint64_t *in_bytes, uint64_t *out_bytes);

#endif
