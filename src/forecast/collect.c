#include "forecast/collect.h"

#include "base/alloc.h"
#include "forecast/share.h"

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

void collect_drop(const struct collect_results *results)
{
    for (size_t slot = 0; slot < results->slots; slot++) {
        if (results->made[slot] != results->before[slot])
            forecast_release(results->made[slot]);
        results->made[slot] = NULL;
    }
}

/* Those that were there before, in their order. */
static void take_known(struct forecast_set *set, const struct collect_results *results,
                       const struct forecast_set *previous, const uint32_t *order)
{
    for (size_t i = 0; i < previous->count; i++) {
        const struct forecast *before = previous->items[i];
        const size_t slot = order != NULL ? order[i] : before->slot;
        const struct forecast *now = slot < results->slots ? results->made[slot] : NULL;
        if (now == NULL || (now != before && strcmp(now->name, before->name) != 0))
            continue;
        set->items[set->count++] = now;
        results->made[slot] = NULL;
    }
}

static void take_rest(struct forecast_set *set, const struct collect_results *results)
{
    for (size_t slot = 0; slot < results->slots; slot++)
        if (results->made[slot] != NULL) {
            set->items[set->count++] = results->made[slot];
            results->made[slot] = NULL;
        }
}

/* ---- who holds what ---- */

/* Whether the set before holds the very same items in the same row. */
static bool same_row(const struct forecast_set *set, const struct forecast_set *previous,
                     size_t first, size_t n)
{
    return previous != NULL && previous->shares != NULL &&
           n == (first < previous->count ? share_items(first, previous->count) : 0) &&
           memcmp((const void *)(set->items + first), (const void *)(previous->items + first),
                  n * sizeof set->items[0]) == 0;
}

static struct forecast_share *make_share(const struct forecast_set *set,
                                         const struct collect_results *results, size_t first,
                                         size_t n)
{
    struct forecast_share *share = fw_malloc(sizeof *share);
    if (share == NULL)
        return NULL;
    atomic_init(&share->references, 1);
    share->count = n;
    for (size_t i = 0; i < n; i++) {
        const struct forecast *item = set->items[first + i];
        share->items[i] = results->before[item->slot] == item ? forecast_retain(item) : item;
    }
    return share;
}

/* False: no memory, and the items from the last share on are held as the results were. */
static bool hold_items(struct forecast_set *set, const struct collect_results *results,
                       const struct forecast_set *previous)
{
    const size_t rows = (set->count + SHARE_ITEMS - 1) / SHARE_ITEMS;
    set->shares = fw_calloc(rows + 1, sizeof(struct forecast_share *));
    for (size_t row = 0; set->shares != NULL && row < rows; row++) {
        const size_t first = row * SHARE_ITEMS, n = share_items(first, set->count);
        struct forecast_share *share = same_row(set, previous, first, n)
                                           ? share_retain(previous->shares[row])
                                           : make_share(set, results, first, n);
        if (share == NULL)
            return false;
        set->shares[set->share_count++] = share;
    }
    return set->shares != NULL;
}

static struct forecast_set *give_up(struct forecast_set *set, const struct collect_results *results)
{
    for (size_t i = set->share_count * SHARE_ITEMS; i < set->count; i++)
        if (results->before[set->items[i]->slot] != set->items[i])
            forecast_release(set->items[i]);
    forecast_set_release(set);
    return NULL;
}

struct forecast_set *collect_set(const struct collect_results *results,
                                 const struct forecast_set *previous, const uint32_t *order)
{
    size_t count = 0;
    for (size_t slot = 0; slot < results->slots; slot++)
        count += results->made[slot] != NULL;
    struct forecast_set *set = fw_calloc(1, sizeof *set + count * sizeof set->items[0]);
    if (set == NULL) {
        collect_drop(results);
        return NULL;
    }
    atomic_init(&set->references, 1);
    if (previous != NULL)
        take_known(set, results, previous, order);
    const size_t known = set->count;
    if (known < count) {
        take_rest(set, results);
        qsort((void *)set->items, set->count, sizeof set->items[0], by_name);
    }
    const bool same = previous != NULL && known == count && known == previous->count;
    set->roster = same && previous->roster != 0 ? previous->roster : new_roster();
    return hold_items(set, results, previous) ? set : give_up(set, results);
}
