#include "ingest/series_target.h"

#include "base/alloc.h"
#include "ingest/series_target_internal.h"

#include <math.h>
#include <string.h>

enum {
    GAP_INTERVALS = 3,
    GAPS_MAX = 3, /* so many in a row are the new usual */
};

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
    const struct series_part *part =
        series_part_find(target, series_part_key(sample->part, sample->role));
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
            slot->unknown |= series_group_bit(group);
        return;
    }
    if (!growth(target, part, role, &delta, &seconds)) {
        slot->unknown |= series_group_bit(group);
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
    if (!series_part_value(target, series_part_key(part, SERIES_DISK_AVAILABLE), time_ms,
                           &available))
        return false;
    if (!series_part_value(target, series_part_key(part, SERIES_DISK_USED), time_ms, used)) {
        if (!series_part_value(target, series_part_key(part, SERIES_DISK_SIZE), time_ms, &size) ||
            !series_part_value(target, series_part_key(part, SERIES_DISK_FREE), time_ms,
                               &free_bytes))
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
    const struct series_part *flag =
        series_part_find(target, series_part_key(part, SERIES_DISK_READONLY));
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
    const uint64_t key = series_part_key(sample->part, sample->role);
    struct series_part *part = series_part_find(target, key);
    if (part != NULL && sample->time_ms <= part->time_ms)
        return sample->time_ms == part->time_ms || sample->time_ms == part->before_ms
                   ? SERIES_REPEATED
                   : SERIES_LATE;
    const size_t sum = is_sum(sample->role) ? sum_of(target, sample) : 0;
    if (sum == SERIES_SUMS_MAX)
        return SERIES_FULL;
    if (part == NULL) {
        part = series_part_add(target, key);
        if (part == NULL)
            return SERIES_FULL;
    }
    step_part(part, sample);
    if (is_sum(sample->role)) {
        add_sum(target, slot, part, sample, sum);
    } else {
        add_sample(target, slot, part, sample);
        slot->dirty |= series_group_bit(group_of(sample->role));
    }
    return SERIES_TAKEN;
}

void series_target_end(struct series_target *target, const struct series_sample *sample)
{
    struct series_part *part =
        series_part_find(target, series_part_key(sample->part, sample->role));
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
    series_part_remove(target, part);
}
