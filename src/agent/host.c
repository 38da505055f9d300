#include "agent/host.h"

#include "agent/cpu.h"
#include "agent/java.h"
#include "agent/net.h"
#include "agent/procfs.h"
#include "agent/sockets.h"
#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What rates are made of: the counters of one moment, each known or not. */
struct counters {
    int64_t mono_ns;
    bool has_cpu, has_net, has_java, has_uptime;
    double uptime_s;
    struct agent_cpu cpu;
    struct agent_net net;
    struct agent_java java;
};

struct agent_host {
    char root[AGENT_PATH_MAX / 2];
    const struct fw_clock *clock;
    agent_space_fn space;
    void *space_ctx;
    double ticks_per_second;
    int64_t gap_ns;
    bool read_before;
    struct counters *before, *now; /* swapped after each reading */
    struct agent_disk disk;
    char text[262144]; /* /proc/stat of a host with thousands of interrupts is long */
};

enum fw_status agent_host_new(const struct agent_host_options *options, struct agent_host **out,
                              struct fw_error *err)
{
    *out = NULL;
    const char *root = options->root == NULL ? "" : options->root;
    struct agent_host *host = fw_calloc(1, sizeof *host);
    if (host == NULL)
        return fw_fail(err, FW_ENOMEM, "agent: out of memory");
    host->before = fw_calloc(1, sizeof *host->before);
    host->now = fw_calloc(1, sizeof *host->now);
    if (host->before == NULL || host->now == NULL) {
        agent_host_free(host);
        return fw_fail(err, FW_ENOMEM, "agent: out of memory");
    }
    if (strlen(root) >= sizeof host->root) {
        agent_host_free(host);
        return fw_fail(err, FW_EINVAL, "agent: the root's path is longer than %zu bytes",
                       sizeof host->root - 1);
    }
    strcpy(host->root, root);
    host->clock = options->clock == NULL ? fw_clock_system() : options->clock;
    host->space = options->space == NULL ? agent_disk_statvfs : options->space;
    host->space_ctx = options->space_ctx;
    const long ticks =
        options->ticks_per_second > 0 ? options->ticks_per_second : sysconf(_SC_CLK_TCK);
    host->ticks_per_second = ticks > 0 ? (double)ticks : 100.0;
    host->gap_ns = options->gap_ms * 1000000;
    *out = host;
    return FW_OK;
}

void agent_host_free(struct agent_host *host)
{
    if (host == NULL)
        return;
    fw_free(host->before);
    fw_free(host->now);
    fw_free(host);
}

static void put(struct agent_reading *reading, enum metric_index metric, double value)
{
    if (!isfinite(value) || value < 0)
        return;
    reading->values[metric] = (float)value;
    reading->present |= 1u << metric;
}

static double clamp_pct(double value)
{
    return value < 0 ? 0 : value > 100 ? 100 : value;
}

static void read_memory(struct agent_host *host, struct agent_reading *reading)
{
    uint64_t total, available, swap_total, swap_free;
    const char *text = host->text;
    if (agent_procfs_read(host->root, "proc/meminfo", host->text, sizeof host->text) < 0)
        return;
    bool known = agent_procfs_field(text, "MemAvailable:", &available);
    if (!known) { /* kernels before 3.14 */
        uint64_t free, buffers, cached, reclaimable = 0;
        known = agent_procfs_field(text, "MemFree:", &free) &&
                agent_procfs_field(text, "Buffers:", &buffers) &&
                agent_procfs_field(text, "Cached:", &cached);
        (void)agent_procfs_field(text, "SReclaimable:", &reclaimable);
        available = known ? free + buffers + cached + reclaimable : 0;
    }
    if (known && agent_procfs_field(text, "MemTotal:", &total) && total > 0)
        put(reading, METRIC_MEM_USED, clamp_pct(100.0 * (1.0 - (double)available / (double)total)));
    if (agent_procfs_field(text, "SwapTotal:", &swap_total) &&
        agent_procfs_field(text, "SwapFree:", &swap_free))
        put(reading, METRIC_SWAP_USED,
            swap_total == 0 ? 0.0 /* no swap: none of it is used */
                            : clamp_pct(100.0 * (1.0 - (double)swap_free / (double)swap_total)));
}

static void read_load(struct agent_host *host, struct agent_reading *reading)
{
    char *end;
    if (agent_procfs_read(host->root, "proc/loadavg", host->text, sizeof host->text) <= 0)
        return;
    const double load = strtod(host->text, &end);
    if (end != host->text)
        put(reading, METRIC_LOAD_AVERAGE, load);
}

static void read_uptime(struct agent_host *host, struct agent_reading *reading)
{
    char *end;
    if (agent_procfs_read(host->root, "proc/uptime", host->text, sizeof host->text) <= 0)
        return;
    const double uptime_s = strtod(host->text, &end);
    if (end == host->text)
        return;
    host->now->has_uptime = true;
    host->now->uptime_s = uptime_s;
    put(reading, METRIC_UPTIME_DAYS, uptime_s / 86400.0);
}

static void read_sockets(struct agent_host *host, struct agent_reading *reading)
{
    struct agent_sockets sockets;
    if (!agent_sockets_read(host->root, &sockets))
        return;
    put(reading, METRIC_FRONT_CLOSE_WAIT, sockets.front);
    put(reading, METRIC_BACK_CLOSE_WAIT, sockets.back);
}

static void put_cpu(const struct agent_host *host, struct agent_reading *reading)
{
    struct agent_cpu_shares shares;
    if (!host->before->has_cpu || !host->now->has_cpu ||
        !agent_cpu_shares(&host->before->cpu, &host->now->cpu, &shares))
        return;
    put(reading, METRIC_CPU_USER, shares.user);
    put(reading, METRIC_CPU_SYS, shares.sys);
    put(reading, METRIC_CPU_IOWAIT, shares.iowait);
    put(reading, METRIC_CPU_IDLE, shares.idle);
}

static void put_net(const struct agent_host *host, struct agent_reading *reading, double seconds)
{
    uint64_t in_bytes, out_bytes;
    if (!host->before->has_net || !host->now->has_net ||
        !agent_net_moved(&host->before->net, &host->now->net, &in_bytes, &out_bytes))
        return;
    put(reading, METRIC_NET_IN, (double)in_bytes / seconds / 1048576.0);
    put(reading, METRIC_NET_OUT, (double)out_bytes / seconds / 1048576.0);
}

static void put_java(const struct agent_host *host, struct agent_reading *reading, double seconds)
{
    const struct counters *before = host->before, *now = host->now;
    if (!before->has_java || !now->has_java || now->java.count == 0)
        return;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const unsigned cores = now->has_cpu && now->cpu.cores > 0 ? now->cpu.cores
                           : online > 0                       ? (unsigned)online
                                                              : 1;
    const uint64_t before_ticks =
        before->has_uptime ? (uint64_t)(before->uptime_s * host->ticks_per_second) : UINT64_MAX;
    const double used_s =
        (double)agent_java_used(&before->java, &now->java, before_ticks) / host->ticks_per_second;
    put(reading, METRIC_JAVA_CPU, clamp_pct(100.0 * used_s / seconds / (double)cores));
}

static void read_counters(struct agent_host *host)
{
    struct counters *now = host->now;
    now->mono_ns = fw_clock_mono_ns(host->clock);
    now->has_cpu = agent_procfs_read(host->root, "proc/stat", host->text, sizeof host->text) > 0 &&
                   agent_cpu_parse(host->text, &now->cpu);
    now->has_net = agent_net_read(host->root, &now->net);
    now->has_java = agent_java_read(host->root, &now->java);
}

void agent_host_read(struct agent_host *host, struct agent_reading *reading)
{
    memset(reading, 0, sizeof *reading);
    reading->time_ms = fw_clock_wall_ms(host->clock);
    host->now->has_uptime = false;
    read_uptime(host, reading);
    read_counters(host);
    read_memory(host, reading);
    read_load(host, reading);
    read_sockets(host, reading);
    if (agent_disk_read(host->root, host->space, host->space_ctx, &host->disk))
        put(reading, METRIC_DISK_USAGE, clamp_pct(host->disk.used_pct));
    else
        host->disk.path[0] = '\0';

    const int64_t passed_ns = host->now->mono_ns - host->before->mono_ns;
    const bool gap = host->gap_ns > 0 && passed_ns > host->gap_ns;
    if (host->read_before && passed_ns > 0 && !gap) {
        const double seconds = (double)passed_ns / 1e9;
        put_cpu(host, reading);
        put_net(host, reading, seconds);
        put_java(host, reading, seconds);
    }
    struct counters *swap = host->before;
    host->before = host->now;
    host->now = swap;
    host->read_before = true;
}

const char *agent_host_disk_path(const struct agent_host *host)
{
    return host->disk.path;
}

unsigned agent_host_cores(const struct agent_host *host)
{
    return host->before->has_cpu ? host->before->cpu.cores : 0;
}
