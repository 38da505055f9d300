#include "agent/net.h"

#include "agent/procfs.h"
#include "base/alloc.h"
#include "base/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 262144 /* a host of containers has thousands of devices */ };

bool agent_net_parse(const char *text, struct agent_net *net)
{
    net->count = 0;
    if (strstr(text, "Receive") == NULL)
        return false;
    for (const char *line = text; line != NULL && *line != '\0';) {
        const size_t len = strcspn(line, "\n");
        const char *colon = memchr(line, ':', len);
        struct agent_device *device = &net->devices[net->count];
        if (colon != NULL && net->count < AGENT_DEVICES_MAX) {
            while (*line == ' ')
                line++;
            const size_t name_len = (size_t)(colon - line);
            if (name_len > 0 && name_len <= AGENT_DEVICE_NAME_MAX &&
                sscanf(colon + 1, " %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64,
                       &device->in_bytes, &device->out_bytes) == 2) {
                memcpy(device->name, line, name_len);
                device->name[name_len] = '\0';
                net->count++;
            }
        }
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return true;
}

static bool name_is_virtual(const char *name)
{
    static const char *const prefixes[] = {
        "veth",   "docker",       "br-",    "virbr",  "vnet",  "tun",   "tap",
        "cni",    "flannel",      "cali",   "cilium", "lxc",   "lxdbr", "podman",
        "kube-",  "nodelocaldns", "wg",     "vxlan",  "dummy", "ifb",   "sit",
        "ip6tnl", "gre",          "gretap", "erspan", "tunl",  "teql",  "nlmon",
    };
    if (strcmp(name, "lo") == 0)
        return true;
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static bool is_bridge(const char *root, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "sys/class/net/%s/bridge", name);
    return agent_procfs_exists(root, path);
}

static bool has_device(const struct agent_net *net, const char *name, size_t len)
{
    for (size_t i = 0; i < net->count; i++)
        if (strlen(net->devices[i].name) == len && memcmp(net->devices[i].name, name, len) == 0)
            return true;
    return false;
}

/* "eth0.100" while eth0 is there too. */
static bool is_vlan_of_another(const struct agent_net *net, const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot > name && has_device(net, name, (size_t)(dot - name));
}

static bool word_in(const char *words, const char *word)
{
    const size_t len = strlen(word);
    for (const char *at = words; *at != '\0';) {
        at += strspn(at, " \n");
        const size_t n = strcspn(at, " \n");
        if (n == len && n > 0 && memcmp(at, word, n) == 0)
            return true;
        at += n;
    }
    return false;
}

static bool is_member_of_a_bond(const char *root, const struct agent_net *net, const char *name)
{
    for (size_t i = 0; i < net->count; i++) {
        char path[128], members[4096];
        snprintf(path, sizeof path, "sys/class/net/%s/bonding/slaves", net->devices[i].name);
        if (agent_procfs_read(root, path, members, sizeof members) > 0 && word_in(members, name))
            return true;
    }
    return false;
}

void agent_net_keep_physical(const char *root, struct agent_net *net)
{
    bool counts[AGENT_DEVICES_MAX];
    for (size_t i = 0; i < net->count; i++) {
        const char *name = net->devices[i].name;
        counts[i] = !name_is_virtual(name) && !is_bridge(root, name) &&
                    !is_vlan_of_another(net, name) && !is_member_of_a_bond(root, net, name);
    }
    size_t kept = 0;
    for (size_t i = 0; i < net->count; i++)
        if (counts[i])
            net->devices[kept++] = net->devices[i];
    net->count = kept;
}

bool agent_net_read(const char *root, struct agent_net *net)
{
    char *text = fw_malloc(TEXT_MAX);
    const bool known = text != NULL &&
                       agent_procfs_read(root, "proc/net/dev", text, TEXT_MAX) >= 0 &&
                       agent_net_parse(text, net);
    fw_free(text);
    if (known)
        agent_net_keep_physical(root, net);
    return known;
}

bool agent_net_moved(const struct agent_net *before, const struct agent_net *now,
                     uint64_t *in_bytes, uint64_t *out_bytes)
{
    bool found = false;
    *in_bytes = *out_bytes = 0;
    for (size_t i = 0; i < now->count; i++) {
        const struct agent_device *d = &now->devices[i], *old = NULL;
        for (size_t k = 0; k < before->count && old == NULL; k++)
            if (strcmp(before->devices[k].name, d->name) == 0)
                old = &before->devices[k];
        if (old == NULL || d->in_bytes < old->in_bytes || d->out_bytes < old->out_bytes)
            continue; /* new, or counting from zero again: its share of this interval is not known
                       */
        *in_bytes += d->in_bytes - old->in_bytes;
        *out_bytes += d->out_bytes - old->out_bytes;
        found = true;
    }
    return found;
}
