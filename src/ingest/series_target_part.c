/* The parts of a target: an open-addressing table by keyed hash. */
#include "ingest/series_target_internal.h"

#include "base/alloc.h"
#include "base/hash.h"

enum { PARTS_FIRST = 32 };

uint64_t series_part_key(uint64_t part, int role)
{
    const uint64_t both[2] = {part, (uint64_t)role};
    const uint64_t key = fw_hash_keyed(both, sizeof both);
    return key != 0 ? key : 1;
}

/* The place of the part, or the free place where it belongs. There always is one. */
static struct series_part *place_of(struct series_part *parts, size_t cap, uint64_t key)
{
    size_t i = (size_t)key & (cap - 1);
    while (parts[i].key != 0 && parts[i].key != key)
        i = (i + 1) & (cap - 1);
    return &parts[i];
}

struct series_part *series_part_find(const struct series_target *target, uint64_t key)
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

struct series_part *series_part_add(struct series_target *target, uint64_t key)
{
    if (!room_for_part(target))
        return NULL;
    struct series_part *part = place_of(target->parts, target->part_cap, key);
    part->key = key;
    part->time_ms = -1;
    target->part_count++;
    return part;
}

/* Those behind it that were pushed on move up, so that no search ends early. */
void series_part_remove(struct series_target *target, struct series_part *part)
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

bool series_part_value(const struct series_target *target, uint64_t key, int64_t time_ms,
                       double *value)
{
    const struct series_part *part = series_part_find(target, key);
    if (part == NULL || (part->time_ms != time_ms && part->before_ms != time_ms))
        return false;
    *value = part->time_ms == time_ms ? part->value : part->before;
    return true;
}
