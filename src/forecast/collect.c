#include "forecast/collect.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    const struct forecast *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static uint64_t new_roster(void)
{
    static atomic_uint_fast64_t last;
    return atomic_fetch_add(&last, 1) + 1;
}

/* Those that were there before, in their order. */
static void take_known(struct forecast_set *set, const struct forecast **results, size_t slots,
                       const struct forecast_set *previous, const uint32_t *order)
{
    for (size_t i = 0; i < previous->count; i++) {
        const struct forecast *before = previous->items[i];
        const size_t slot = order != NULL ? order[i] : before->slot;
        const struct forecast *now = slot < slots ? results[slot] : NULL;
        if (now == NULL || (now != before && strcmp(now->name, before->name) != 0))
            continue;
        set->items[set->count++] = now;
        results[slot] = NULL;
    }
}

static void take_rest(struct forecast_set *set, const struct forecast **results, size_t slots)
{
    for (size_t slot = 0; slot < slots; slot++)
        if (results[slot] != NULL) {
            set->items[set->count++] = results[slot];
            results[slot] = NULL;
        }
}

struct forecast_set *collect_set(const struct forecast **results, size_t slots,
                                 const struct forecast_set *previous, const uint32_t *order)
{
    size_t count = 0;
    for (size_t slot = 0; slot < slots; slot++)
        count += results[slot] != NULL;
    struct forecast_set *set = fw_calloc(1, sizeof *set + count * sizeof set->items[0]);
    if (set == NULL)
        return NULL;
    atomic_init(&set->references, 1);
    if (previous != NULL)
        take_known(set, results, slots, previous, order);
    const size_t known = set->count;
    if (known < count) {
        take_rest(set, results, slots);
        qsort((void *)set->items, set->count, sizeof set->items[0], by_name);
    }
    const bool same = previous != NULL && known == count && known == previous->count;
    set->roster = same && previous->roster != 0 ? previous->roster : new_roster();
    return set;
}
