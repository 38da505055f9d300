/* What of a target is whole becomes values: which groups are, and what their members add up to. */
#include "ingest/series_target_internal.h"

#include <math.h>
#include <string.h>

enum { SETTLED_AGE = 2 /* newer times after which a time is taken for whole */ };

#define MIB 1048576.0
#define DAY_S 86400.0

struct giver {
    const struct series_target *target;
    const struct series_slot *slot;
    series_value_fn give;
    void *ctx;
    bool last; /* nothing will complete it any more */
};

static bool give(const struct giver *g, int metric, double value)
{
    return !isfinite(value) || g->give(g->ctx, g->slot->time_ms, metric, value);
}

static bool has(const struct series_slot *slot, int role)
{
    return slot->present & 1u << (role - SERIES_MEM_TOTAL);
}

static double gauge(const struct series_slot *slot, int role)
{
    return slot->gauges[role - SERIES_MEM_TOTAL];
}

static bool give_cpu(const struct giver *g)
{
    const double *cpu = g->slot->cpu;
    double total = 0;
    for (size_t i = 0; i < COUNT(g->slot->cpu); i++)
        total += cpu[i];
    if (total <= 0)
        return true;
    return give(g, METRIC_CPU_USER, 100.0 * cpu[0] / total) &&
           give(g, METRIC_CPU_SYS, 100.0 * cpu[1] / total) &&
           give(g, METRIC_CPU_IOWAIT, 100.0 * cpu[2] / total) &&
           give(g, METRIC_CPU_IDLE, 100.0 * cpu[3] / total);
}

static bool give_java(const struct giver *g)
{
    const uint32_t cores = g->target->server->cores;
    return cores == 0 || give(g, METRIC_JAVA_CPU, fmin(100.0, 100.0 * g->slot->java / cores));
}

static bool give_net(const struct giver *g)
{
    return give(g, METRIC_NET_IN, g->slot->net[0] / MIB) &&
           give(g, METRIC_NET_OUT, g->slot->net[1] / MIB);
}

static bool give_mem(const struct giver *g)
{
    const struct series_slot *s = g->slot;
    const double total = gauge(s, SERIES_MEM_TOTAL);
    double available = gauge(s, SERIES_MEM_AVAILABLE);
    if (!has(s, SERIES_MEM_AVAILABLE)) /* kernels before 3.14 */
        available = gauge(s, SERIES_MEM_FREE) + gauge(s, SERIES_MEM_BUFFERS) +
                    gauge(s, SERIES_MEM_CACHED) + gauge(s, SERIES_MEM_RECLAIMABLE);
    return total <= 0 || give(g, METRIC_MEM_USED, 100.0 * (1.0 - available / total));
}

static bool give_swap(const struct giver *g)
{
    const double total = gauge(g->slot, SERIES_SWAP_TOTAL);
    const double free_bytes = gauge(g->slot, SERIES_SWAP_FREE);
    return give(g, METRIC_SWAP_USED, total > 0 ? 100.0 * (1.0 - free_bytes / total) : 0.0);
}

/* Are the members that differ from target to target all there? */
static bool counted(const struct giver *g, enum series_group group)
{
    const uint32_t expected = g->target->expected[group];
    const uint32_t members = g->slot->members[group];
    return members > 0 && !(g->slot->unknown & series_group_bit(group)) && g->slot->serial > 1 &&
           (g->last || (expected > 0 && members >= expected));
}

static bool whole(const struct giver *g, enum series_group group)
{
    const struct series_slot *s = g->slot;
    switch (group) {
    case GROUP_MEM:
        return has(s, SERIES_MEM_TOTAL) &&
               (has(s, SERIES_MEM_AVAILABLE) ||
                (g->last && has(s, SERIES_MEM_FREE) && has(s, SERIES_MEM_BUFFERS) &&
                 has(s, SERIES_MEM_CACHED)));
    case GROUP_SWAP:
        return has(s, SERIES_SWAP_TOTAL) && has(s, SERIES_SWAP_FREE);
    case GROUP_UPTIME:
        return (s->present >> PRESENT_TIME & 1) && (s->present >> PRESENT_BOOT & 1);
    case GROUP_TCP:
        return s->has_close_wait || (g->last && s->serial > 1 && s->members[GROUP_TCP] > 0);
    default:
        return counted(g, group);
    }
}

static bool give_group(const struct giver *g, enum series_group group)
{
    switch (group) {
    case GROUP_CPU:
        return give_cpu(g);
    case GROUP_JAVA:
        return give_java(g);
    case GROUP_NET:
        return give_net(g);
    case GROUP_MEM:
        return give_mem(g);
    case GROUP_SWAP:
        return give_swap(g);
    case GROUP_DISK:
        return give(g, METRIC_DISK_USAGE, g->slot->disk_pct);
    case GROUP_TCP:
        return give(g, METRIC_BACK_CLOSE_WAIT, g->slot->has_close_wait ? g->slot->close_wait : 0.0);
    case GROUP_UPTIME:
        return give(g, METRIC_UPTIME_DAYS, (g->slot->time_s - g->slot->boot_s) / DAY_S);
    case GROUP_COUNT:
        break;
    }
    return true;
}

static bool give_sum(const struct giver *g, size_t i)
{
    const struct series_sum_id *id = &g->target->sums[i];
    const struct series_sum *sum = &g->slot->sums[i];
    const double value = id->role != SERIES_SHARE ? sum->value
                         : sum->whole > 0         ? 100.0 * sum->value / sum->whole
                                                  : 0.0;
    return give(g, id->metric, value);
}

static bool sum_whole(const struct giver *g, size_t i)
{
    const uint32_t expected = g->target->sums[i].expected, members = g->slot->sums[i].members;
    return members > 0 && !(g->slot->sums_unknown >> i & 1) && g->slot->serial > 1 &&
           (g->last || (expected > 0 && members >= expected));
}

static bool settle_sums(const struct giver *g, struct series_slot *slot)
{
    for (size_t i = 0; i < g->target->sum_count; i++) {
        if (!(slot->sums_dirty >> i & 1) || !sum_whole(g, i))
            continue;
        if (!give_sum(g, i))
            return false;
        slot->sums_dirty &= (uint8_t) ~(1u << i);
    }
    return true;
}

/* From now on its numbers of members are what a whole scrape has. */
static void settle_slot(struct series_target *target, struct series_slot *slot)
{
    slot->settled = true;
    if (slot->serial < 2)
        return;
    memcpy(target->expected, slot->members, sizeof target->expected);
    for (size_t i = 0; i < target->sum_count; i++)
        target->sums[i].expected = slot->sums[i].members;
    if (slot->cores > 0)
        target->server->cores = slot->cores;
}

bool series_target_settle(struct series_target *target, bool all, series_value_fn give_value,
                          void *ctx)
{
    for (size_t i = target->slot_count; i-- > 0;) {
        struct series_slot *slot = &target->slots[i];
        const bool last = all || target->slot_count - 1 - i >= SETTLED_AGE;
        const struct giver g = {target, slot, give_value, ctx, last};
        if (last && !slot->settled)
            settle_slot(target, slot);
        for (int group = 0; group < GROUP_COUNT; group++) {
            if (!(slot->dirty & series_group_bit((enum series_group)group)) ||
                !whole(&g, (enum series_group)group))
                continue;
            if (!give_group(&g, (enum series_group)group))
                return false;
            slot->dirty &= (uint8_t)~series_group_bit((enum series_group)group);
        }
        if (!settle_sums(&g, slot))
            return false;
    }
    return true;
}
