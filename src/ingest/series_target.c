#include "ingest/series_target.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    SETTLED_AGE = 2, /* newer times after which a time is taken for whole */
    GAP_INTERVALS = 3,
    GAPS_MAX = 3, /* so many in a row are the new usual */
    PARTS_FIRST = 32,
    PRESENT_TIME = GAUGES,
    PRESENT_BOOT = GAUGES + 1,
};
static_assert(PRESENT_BOOT < 32, "present is too small");
static_assert(GROUP_COUNT <= 8 && SERIES_SUMS_MAX <= 8, "dirty and unknown are too small");

#define MIB 1048576.0
#define DAY_S 86400.0

static uint8_t bit(enum series_group group)
{
    return (uint8_t)(1u << group);
}

static enum series_group group_of(int role)
{
    switch (role) {
    case SERIES_JAVA_CPU:
        return GROUP_JAVA;
    case SERIES_NET_IN:
    case SERIES_NET_OUT:
        return GROUP_NET;
    case SERIES_SWAP_TOTAL:
    case SERIES_SWAP_FREE:
        return GROUP_SWAP;
    case SERIES_DISK_SIZE:
    case SERIES_DISK_FREE:
    case SERIES_DISK_AVAILABLE:
    case SERIES_DISK_READONLY:
    case SERIES_DISK_USED:
        return GROUP_DISK;
    case SERIES_TCP_CLOSE_WAIT:
    case SERIES_TCP_OTHER:
        return GROUP_TCP;
    case SERIES_TIME:
    case SERIES_BOOT_TIME:
        return GROUP_UPTIME;
    default:
        return role <= SERIES_CPU_OTHER ? GROUP_CPU : GROUP_MEM;
    }
}

void series_target_fini(struct series_target *target)
{
    fw_free(target->parts);
    fw_free(target->slots);
    target->parts = NULL;
    target->slots = NULL;
}

size_t series_target_bytes(const struct series_target *target)
{
    return target->part_cap * sizeof target->parts[0] + target->slot_cap * sizeof target->slots[0];
}

/* ---- parts ---- */

static uint64_t key_of(uint64_t part, int role)
{
    const uint64_t both[2] = {part, (uint64_t)role};
    const uint64_t key = fw_hash_keyed(both, sizeof both);
    return key != 0 ? key : 1;
}

/* The part's place, or the free place where it belongs. There always is one. */
static struct series_part *place_of(struct series_part *parts, size_t cap, uint64_t key)
{
    size_t i = (size_t)key & (cap - 1);
    while (parts[i].key != 0 && parts[i].key != key)
        i = (i + 1) & (cap - 1);
    return &parts[i];
}

static struct series_part *find_part(const struct series_target *target, uint64_t key)
{
    if (target->part_cap == 0)
        return NULL;
    struct series_part *part = place_of(target->parts, target->part_cap, key);
    return part->key != 0 ? part : NULL;
}

static bool room_for_part(struct series_target *target)
{
    if (target->part_count >= target->parts_max)
        return false;
    if (target->part_count * 4 < target->part_cap * 3)
        return true;
    const size_t cap = target->part_cap == 0 ? PARTS_FIRST : target->part_cap * 2;
    struct series_part *parts = fw_calloc(cap, sizeof *parts);
    if (parts == NULL)
        return false;
    for (size_t i = 0; i < target->part_cap; i++)
        if (target->parts[i].key != 0)
            *place_of(parts, cap, target->parts[i].key) = target->parts[i];
    fw_free(target->parts);
    target->parts = parts;
    target->part_cap = cap;
    return true;
}

/* Takes a part out; those behind it that were pushed on move up, so that no search ends early. */
static void remove_part(struct series_target *target, struct series_part *part)
{
    const size_t mask = target->part_cap - 1;
    size_t hole = (size_t)(part - target->parts);
    for (size_t i = (hole + 1) & mask; target->parts[i].key != 0; i = (i + 1) & mask) {
        const size_t home = (size_t)target->parts[i].key & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        target->parts[hole] = target->parts[i];
        hole = i;
    }
    target->parts[hole].key = 0;
    target->part_count--;
}

static bool value_at(const struct series_target *target, uint64_t key, int64_t time_ms,
                     double *value)
{
    const struct series_part *part = find_part(target, key);
    if (part == NULL || (part->time_ms != time_ms && part->before_ms != time_ms))
        return false;
    *value = part->time_ms == time_ms ? part->value : part->before;
    return true;
}

/* ---- slots ---- */

static void learn_interval(struct series_target *target, int64_t gap_ms)
{
    if (target->interval_ms == 0 || target->gaps >= GAPS_MAX) {
        target->interval_ms = gap_ms;
        target->gaps = 0;
    } else if (gap_ms > GAP_INTERVALS * target->interval_ms) {
        target->gaps++;
    } else {
        target->interval_ms = (3 * target->interval_ms + gap_ms + 3) / 4;
        target->gaps = 0;
    }
}

/* A piece came too late: the sender's queues run further apart than there are slots. */
static void more_slots(struct series_target *target)
{
    if (target->slots_max < SERIES_SLOTS_MAX)
        target->slots_max *= 2;
}

static bool room_for_slot(struct series_target *target)
{
    if (target->slots_max == 0)
        target->slots_max = SERIES_SLOTS;
    if (target->slot_count < target->slot_cap)
        return true;
    const size_t cap = target->slot_cap == 0 ? SERIES_SLOTS : target->slot_cap * 2;
    struct series_slot *slots = fw_realloc_array(target->slots, cap, sizeof *slots);
    if (slots == NULL)
        return false;
    target->slots = slots;
    target->slot_cap = cap;
    return true;
}

static void add_slot(struct series_target *target, size_t at, int64_t time_ms)
{
    unsigned serial;
    if (at == target->slot_count) {
        if (at > 0)
            learn_interval(target, time_ms - target->slots[at - 1].time_ms);
        target->times += target->times < 3;
        serial = target->times;
    } else {
        serial = target->slots[at].serial; /* a time that was overtaken on its way */
    }
    memmove(&target->slots[at + 1], &target->slots[at],
            (target->slot_count - at) * sizeof target->slots[0]);
    target->slots[at] = (struct series_slot){.time_ms = time_ms, .serial = serial};
    target->slot_count++;
}

struct series_slot *series_target_slot(struct series_target *target, int64_t time_ms,
                                       series_value_fn give, void *ctx, bool *failed)
{
    size_t at = target->slot_count;
    while (at > 0 && target->slots[at - 1].time_ms >= time_ms) {
        at--;
        if (target->slots[at].time_ms == time_ms)
            return &target->slots[at];
    }
    const bool full = target->slot_count > 0 && target->slot_count >= target->slots_max;
    if (time_ms <= target->over_ms || (full && at == 0)) {
        more_slots(target);
        return NULL;
    }
    if (full) {
        target->over_ms = target->slots[0].time_ms;
        target->slot_count--;
        at--;
        memmove(&target->slots[0], &target->slots[1], target->slot_count * sizeof target->slots[0]);
    }
    if (!room_for_slot(target)) {
        *failed = true;
        return NULL;
    }
    add_slot(target, at, time_ms);
    if (!series_target_settle(target, false, give, ctx)) {
        *failed = true;
        return NULL;
    }
    return &target->slots[at];
}

static bool is_near(int64_t a, int64_t b)
{
    return a - b < SERIES_LOOSE_MS && b - a < SERIES_LOOSE_MS;
}

struct series_slot *series_target_join(struct series_target *target,
                                       const struct series_sample *sample)
{
    struct series_slot *found = NULL;
    const struct series_part *part = find_part(target, key_of(sample->part, sample->role));
    for (size_t i = 0; i < target->slot_count; i++) {
        struct series_slot *slot = &target->slots[i];
        if (slot->time_ms == sample->time_ms)
            return NULL;
        if (is_near(slot->time_ms, sample->time_ms) &&
            (part == NULL || !is_near(slot->time_ms, part->time_ms)))
            found = slot;
    }
    return found;
}

/* ---- what a sample adds ---- */

/* A counter's growth since its sample before; false when that is not known. */
static bool growth(const struct series_target *target, const struct series_part *part, int role,
                   double *delta, double *seconds)
{
    const int64_t gap_ms = part->time_ms - part->before_ms;
    *delta = part->value - part->before;
    *seconds = (double)gap_ms / 1000.0;
    if (gap_ms > GAP_INTERVALS * target->interval_ms)
        return false;
    if (*delta >= 0)
        return true;
    /* The kernel's idle and iowait times step back a little; a reset falls to about zero. */
    const bool may_step_back = role == SERIES_CPU_IOWAIT || role == SERIES_CPU_IDLE;
    *delta = 0;
    return may_step_back && part->value > part->before / 2;
}

static void add_growth(struct series_slot *slot, int role, double delta, double seconds)
{
    const enum series_group group = group_of(role);
    if (group == GROUP_CPU)
        slot->cpu[role - SERIES_CPU_USER] += delta;
    else if (group == GROUP_NET)
        slot->net[role - SERIES_NET_IN] += delta / seconds;
    else
        slot->java += delta / seconds;
}

static void add_counter(const struct series_target *target, struct series_slot *slot,
                        const struct series_part *part, int role)
{
    const enum series_group group = group_of(role);
    double delta, seconds;
    slot->members[group]++;
    slot->cores += role == SERIES_CPU_IDLE;
    if (part->before_ms < 0) {
        /* Truly new, or known to the process before this one only: that is clear from the third
         * time on. A new device had no traffic while it was not there. */
        if (slot->serial < 3)
            slot->unknown |= bit(group);
        return;
    }
    if (!growth(target, part, role, &delta, &seconds)) {
        slot->unknown |= bit(group);
        return;
    }
    add_growth(slot, role, delta, seconds);
}

/* ---- sums by rule ---- */

static bool is_sum(int role)
{
    return role >= SERIES_SUM && role <= SERIES_WHOLE;
}

/* The place of a metric's sum; SERIES_SUMS_MAX when there is no room for it. */
static size_t sum_of(struct series_target *target, const struct series_sample *sample)
{
    const uint8_t role = sample->role == SERIES_WHOLE ? SERIES_SHARE : sample->role;
    size_t i = 0;
    while (i < target->sum_count &&
           (target->sums[i].metric != sample->metric || target->sums[i].role != role))
        i++;
    if (i == target->sum_count && i < SERIES_SUMS_MAX)
        target->sums[target->sum_count++] =
            (struct series_sum_id){.metric = sample->metric, .role = role};
    return i;
}

static void add_sum(struct series_target *target, struct series_slot *slot,
                    const struct series_part *part, const struct series_sample *sample, size_t i)
{
    struct series_sum *sum = &slot->sums[i];
    double delta, seconds;
    switch (sample->role) {
    case SERIES_MAX:
        sum->value = sum->members == 0 ? part->value : fmax(sum->value, part->value);
        break;
    case SERIES_RATE:
        if (sample->kind == SERIES_LEVEL)
            sum->value += part->value;
        else if (part->before_ms >= 0 && growth(target, part, sample->role, &delta, &seconds))
            sum->value += delta / seconds;
        else if (part->before_ms >= 0 || slot->serial < 3)
            slot->sums_unknown |= (uint8_t)(1u << i);
        break;
    case SERIES_WHOLE:
        sum->whole += part->value;
        break;
    default:
        sum->value += part->value;
        sum->whole += part->value;
    }
    sum->members++;
    slot->sums_dirty |= (uint8_t)(1u << i);
}

/* What of a file system is used, of what a user may use at most; false when something misses. */
static bool disk_used(const struct series_target *target, int64_t time_ms, uint64_t part,
                      double *used, double *total)
{
    double size, free_bytes, available;
    if (!value_at(target, key_of(part, SERIES_DISK_AVAILABLE), time_ms, &available))
        return false;
    if (!value_at(target, key_of(part, SERIES_DISK_USED), time_ms, used)) {
        if (!value_at(target, key_of(part, SERIES_DISK_SIZE), time_ms, &size) ||
            !value_at(target, key_of(part, SERIES_DISK_FREE), time_ms, &free_bytes))
            return false;
        *used = size > 0 ? size - free_bytes : -1;
    }
    *total = *used + available;
    return true;
}

/* With the last of a file system's sizes. As df: what only root may use is not free. */
static void add_disk(const struct series_target *target, struct series_slot *slot, uint64_t part)
{
    double used, total;
    const struct series_part *flag = find_part(target, key_of(part, SERIES_DISK_READONLY));
    if ((flag != NULL && flag->value != 0) ||
        !disk_used(target, slot->time_ms, part, &used, &total))
        return;
    slot->members[GROUP_DISK]++;
    if (used >= 0 && total >= used && total > 0 && 100.0 * used / total > slot->disk_pct)
        slot->disk_pct = 100.0 * used / total;
}

static void add_gauge(struct series_slot *slot, const struct series_sample *sample)
{
    switch (sample->role) {
    case SERIES_TIME:
        slot->time_s = sample->value;
        slot->present |= 1u << PRESENT_TIME;
        break;
    case SERIES_BOOT_TIME:
        slot->boot_s = sample->value;
        slot->present |= 1u << PRESENT_BOOT;
        break;
    case SERIES_TCP_CLOSE_WAIT:
        slot->close_wait = sample->value;
        slot->has_close_wait = true;
        break;
    case SERIES_TCP_OTHER:
        slot->members[GROUP_TCP]++;
        break;
    default:
        slot->gauges[sample->role - SERIES_MEM_TOTAL] = sample->value;
        slot->present |= 1u << (sample->role - SERIES_MEM_TOTAL);
    }
}

static bool is_counter(int role)
{
    return role >= SERIES_CPU_USER && role <= SERIES_NET_OUT;
}

static bool is_disk(int role)
{
    return role >= SERIES_DISK_SIZE && role <= SERIES_DISK_USED;
}

/* Moves the part on to the sample; what was added up so far is part of its value. */
static void step_part(struct series_part *part, const struct series_sample *sample)
{
    const bool adds =
        sample->kind == SERIES_DELTA && (is_counter(sample->role) || sample->role == SERIES_RATE);
    const bool known = part->time_ms >= 0;
    part->before_ms = part->time_ms;
    part->before = part->value;
    part->time_ms = sample->time_ms;
    part->value = sample->value + (adds && known ? part->before : 0);
}

static void add_sample(struct series_target *target, struct series_slot *slot,
                       const struct series_part *part, const struct series_sample *sample)
{
    const int role = sample->role;
    if (role == SERIES_CORES) {
        if (sample->value >= 1 && sample->value <= 65536)
            target->server->cores = (uint32_t)sample->value;
    } else if (is_counter(role) && sample->kind == SERIES_LEVEL) {
        slot->members[group_of(role)]++;
        add_growth(slot, role, part->value, 1.0);
    } else if (is_counter(role)) {
        add_counter(target, slot, part, role);
    } else if (is_disk(role)) {
        add_disk(target, slot, sample->part);
    } else {
        add_gauge(slot, sample);
    }
}

enum series_put series_target_put(struct series_target *target, struct series_slot *slot,
                                  const struct series_sample *sample)
{
    const uint64_t key = key_of(sample->part, sample->role);
    struct series_part *part = find_part(target, key);
    if (part != NULL && sample->time_ms <= part->time_ms)
        return sample->time_ms == part->time_ms || sample->time_ms == part->before_ms
                   ? SERIES_REPEATED
                   : SERIES_LATE;
    const size_t sum = is_sum(sample->role) ? sum_of(target, sample) : 0;
    if (sum == SERIES_SUMS_MAX)
        return SERIES_FULL;
    if (part == NULL) {
        if (!room_for_part(target))
            return SERIES_FULL;
        part = place_of(target->parts, target->part_cap, key);
        part->key = key;
        part->time_ms = -1;
        target->part_count++;
    }
    step_part(part, sample);
    if (is_sum(sample->role)) {
        add_sum(target, slot, part, sample, sum);
    } else {
        add_sample(target, slot, part, sample);
        slot->dirty |= bit(group_of(sample->role));
    }
    return SERIES_TAKEN;
}

void series_target_end(struct series_target *target, const struct series_sample *sample)
{
    struct series_part *part = find_part(target, key_of(sample->part, sample->role));
    if (part == NULL || part->time_ms >= sample->time_ms)
        return;
    const enum series_group group = group_of(sample->role);
    const bool is_member = is_counter(sample->role) || sample->role == SERIES_DISK_SIZE ||
                           sample->role == SERIES_DISK_USED;
    if (is_sum(sample->role)) {
        const size_t sum = sum_of(target, sample);
        if (sum < SERIES_SUMS_MAX && target->sums[sum].expected > 0)
            target->sums[sum].expected--;
    } else if (is_member && target->expected[group] > 0) {
        target->expected[group]--;
    }
    remove_part(target, part);
}

/* ---- giving out ---- */

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
    return members > 0 && !(g->slot->unknown & bit(group)) && g->slot->serial > 1 &&
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
            if (!(slot->dirty & bit((enum series_group)group)) ||
                !whole(&g, (enum series_group)group))
                continue;
            if (!give_group(&g, (enum series_group)group))
                return false;
            slot->dirty &= (uint8_t)~bit((enum series_group)group);
        }
        if (!settle_sums(&g, slot))
            return false;
    }
    return true;
}
