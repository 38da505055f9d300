#include "ingest/series_rules.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <string.h>

#define IN_MEMORY                                                                                  \
    "tmpfs devtmpfs ramfs rootfs overlay overlayfs squashfs iso9660 udf erofs cramfs proc sysfs "  \
    "cgroup cgroup2 devpts mqueue debugfs tracefs securityfs pstore bpf autofs fusectl configfs "  \
    "nsfs efivarfs selinuxfs hugetlbfs binfmt_misc rpc_pipefs nfsd nfs nfs4 cifs smb3 smbfs afs "  \
    "ceph 9p virtiofs aufs"
#define SYSTEM_PATHS "/run /boot/efi /efi /proc /sys /dev"
#define VIRTUAL_DEVICES                                                                            \
    "veth docker br- virbr vnet tun tap cni flannel cali cilium lxc lxdbr podman kube- "           \
    "nodelocaldns wg vxlan dummy ifb sit ip6tnl gre gretap erspan tunl teql nlmon"

/* A file system's rows: what cannot fill up is left out, and so is what another server reports. */
#define FILE_SYSTEM(name, role)                                                                    \
    {name, "fstype", SERIES_IS_ONE_OF, IN_MEMORY, SERIES_IGNORED, 0, 0, {0}},                      \
        {name, "fstype", SERIES_BEGINS, "fuse.", SERIES_IGNORED, 0, 0, {0}},                       \
        {name, "mountpoint", SERIES_IS_BELOW, SYSTEM_PATHS, SERIES_IGNORED, 0, 0, {0}},            \
    {                                                                                              \
        name, NULL, SERIES_ANY, NULL, role, 0, 0,                                                  \
        {                                                                                          \
            "device", "fstype", "mountpoint"                                                       \
        }                                                                                          \
    }
#define NETWORK(name, role)                                                                        \
    {name, "device", SERIES_IS_ONE_OF, "lo", SERIES_IGNORED, 0, 0, {0}},                           \
        {name, "device", SERIES_BEGINS, VIRTUAL_DEVICES, SERIES_IGNORED, 0, 0, {0}},               \
    {                                                                                              \
        name, NULL, SERIES_ANY, NULL, role, 0, 0,                                                  \
        {                                                                                          \
            "device"                                                                               \
        }                                                                                          \
    }
#define CPU(modes, role)                                                                           \
    {                                                                                              \
        "node_cpu_seconds_total", "mode", SERIES_IS_ONE_OF, modes, role, 0, 0,                     \
        {                                                                                          \
            "cpu", "mode"                                                                          \
        }                                                                                          \
    }
#define ALONE(name, role)                                                                          \
    {                                                                                              \
        name, NULL, SERIES_ANY, NULL, role, 0, 0,                                                  \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

static const struct series_rule table[] = {
    CPU("user nice", SERIES_CPU_USER),
    CPU("system irq softirq", SERIES_CPU_SYS),
    CPU("iowait", SERIES_CPU_IOWAIT),
    CPU("idle", SERIES_CPU_IDLE),
    CPU("steal", SERIES_CPU_OTHER),
    ALONE("node_memory_MemTotal_bytes", SERIES_MEM_TOTAL),
    ALONE("node_memory_MemAvailable_bytes", SERIES_MEM_AVAILABLE),
    ALONE("node_memory_MemFree_bytes", SERIES_MEM_FREE),
    ALONE("node_memory_Buffers_bytes", SERIES_MEM_BUFFERS),
    ALONE("node_memory_Cached_bytes", SERIES_MEM_CACHED),
    ALONE("node_memory_SReclaimable_bytes", SERIES_MEM_RECLAIMABLE),
    ALONE("node_memory_SwapTotal_bytes", SERIES_SWAP_TOTAL),
    ALONE("node_memory_SwapFree_bytes", SERIES_SWAP_FREE),
    FILE_SYSTEM("node_filesystem_size_bytes", SERIES_DISK_SIZE),
    FILE_SYSTEM("node_filesystem_free_bytes", SERIES_DISK_FREE),
    FILE_SYSTEM("node_filesystem_avail_bytes", SERIES_DISK_AVAILABLE),
    FILE_SYSTEM("node_filesystem_readonly", SERIES_DISK_READONLY),
    NETWORK("node_network_receive_bytes_total", SERIES_NET_IN),
    NETWORK("node_network_transmit_bytes_total", SERIES_NET_OUT),
    {"node_tcp_connection_states",
                                                           "state",                                           SERIES_IS_ONE_OF,
                                                           "close_wait",                                                                    SERIES_TCP_CLOSE_WAIT,
                                                           0,                                                                                                                           0,
                                                           {"state"}                                                                                                                                    },
    {"node_tcp_connection_states",               NULL,  SERIES_ANY,       NULL,       SERIES_TCP_OTHER,      0,                   0,     {"state"}},
    {"node_load1",                               NULL,  SERIES_ANY,       NULL,       SERIES_GAUGE,          METRIC_LOAD_AVERAGE, 1.0,   {0}      },
    ALONE("node_time_seconds", SERIES_TIME),
    ALONE("node_boot_time_seconds", SERIES_BOOT_TIME),
    {"namedprocess_namegroup_cpu_seconds_total",
                                                           "groupname",                                       SERIES_IS_ONE_OF,
                                                           "java",                                                                          SERIES_JAVA_CPU,
                                                           0,                                                                                                                           0,
                                                           {"groupname", "mode"}                                                                                                                        },
    {"process_cpu_seconds_total",                "job", SERIES_CONTAINS,  "java jvm", SERIES_JAVA_CPU,       0,                   0,     {0}      },
    {"process_cpu_usage",                        NULL,  SERIES_ANY,       NULL,       SERIES_GAUGE,          METRIC_JAVA_CPU,     100.0, {0}      },
};

enum { SLOTS = 256 };
static_assert(COUNT(table) + SCHEMA_METRICS_MAX < SLOTS * 3 / 4, "the table of names is too small");

struct series_rules {
    const struct schema *schema;
    struct {
        const char *name; /* NULL: free */
        uint32_t len;
        int32_t metric; /* of the schema, or -1: a rule's name */
        uint32_t first; /* the first rule of that name */
    } slots[SLOTS];
};

static size_t slot_of(const struct series_rules *rules, const char *name, size_t len)
{
    size_t i = (size_t)fw_hash_stable(name, len) % SLOTS;
    while (rules->slots[i].name != NULL &&
           (rules->slots[i].len != len || memcmp(rules->slots[i].name, name, len) != 0))
        i = (i + 1) % SLOTS;
    return i;
}

static void add(struct series_rules *rules, const char *name, int metric, size_t first)
{
    const size_t i = slot_of(rules, name, strlen(name));
    if (rules->slots[i].name != NULL)
        return; /* a further rule of that name */
    rules->slots[i].name = name;
    rules->slots[i].len = (uint32_t)strlen(name);
    rules->slots[i].metric = metric;
    rules->slots[i].first = (uint32_t)first;
}

struct series_rules *series_rules_new(const struct schema *schema)
{
    struct series_rules *rules = fw_calloc(1, sizeof *rules);
    if (rules == NULL)
        return NULL;
    rules->schema = schema;
    for (size_t i = 0; i < schema->count; i++)
        add(rules, schema->metrics[i].name, (int)i, 0);
    for (size_t i = 0; i < COUNT(table); i++)
        add(rules, table[i].series, -1, i);
    return rules;
}

void series_rules_free(struct series_rules *rules)
{
    fw_free(rules);
}

/* ---- tests ---- */

static bool below(const char *value, size_t len, const char *path, size_t path_len)
{
    return len >= path_len && memcmp(value, path, path_len) == 0 &&
           (len == path_len || value[path_len] == '/');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(const char *value, size_t len, const char *word, size_t word_len)
{
    for (size_t i = 0; i + word_len <= len; i++) {
        size_t k = 0;
        while (k < word_len && lower(value[i + k]) == word[k])
            k++;
        if (k == word_len)
            return true;
    }
    return false;
}

static bool word_fits(enum series_test test, const char *value, size_t len, const char *word,
                      size_t word_len)
{
    switch (test) {
    case SERIES_ANY:
        return true;
    case SERIES_IS_ONE_OF:
        return len == word_len && memcmp(value, word, len) == 0;
    case SERIES_BEGINS:
        return len >= word_len && memcmp(value, word, word_len) == 0;
    case SERIES_IS_BELOW:
        return below(value, len, word, word_len);
    case SERIES_CONTAINS:
        return contains(value, len, word, word_len);
    }
    return false;
}

static bool fits(const struct series_rule *rule, const struct remote_write_series *series)
{
    if (rule->test == SERIES_ANY)
        return true;
    const struct remote_write_label *label = remote_write_label(series, rule->label);
    const char *value = label != NULL ? label->value : "";
    const size_t len = label != NULL ? label->value_len : 0;
    for (const char *word = rule->words; *word != '\0';) {
        const size_t word_len = strcspn(word, " ");
        if (word_fits(rule->test, value, len, word, word_len))
            return true;
        word += word_len;
        word += *word == ' ';
    }
    return false;
}

bool series_rules_find(const struct series_rules *rules, const struct remote_write_series *series,
                       struct series_meaning *meaning)
{
    const size_t slot = slot_of(rules, series->name, series->name_len);
    *meaning = (struct series_meaning){SERIES_IGNORED, -1, false, 1.0, NULL};
    if (rules->slots[slot].name == NULL)
        return false;
    if (rules->slots[slot].metric >= 0) {
        meaning->role = SERIES_GAUGE;
        meaning->metric = rules->slots[slot].metric;
        meaning->direct = true;
        return true;
    }
    for (size_t i = rules->slots[slot].first; i < COUNT(table); i++) {
        if (strcmp(table[i].series, rules->slots[slot].name) != 0)
            break; /* rules of one name stand together */
        if (!fits(&table[i], series))
            continue;
        meaning->role = table[i].role;
        meaning->metric = table[i].role == SERIES_GAUGE ? (int)table[i].metric : -1;
        meaning->scale = table[i].role == SERIES_GAUGE ? table[i].scale : 1.0;
        meaning->rule = &table[i];
        return true;
    }
    return true;
}
