#include "forecast/forecast.h"

#include "base/alloc.h"
#include "forecast/share.h"

#include <assert.h>
#include <string.h>

const struct forecast_set *forecast_set_retain(const struct forecast_set *set)
{
    struct forecast_set *shared = (struct forecast_set *)(uintptr_t)set;
    const unsigned before = atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return set;
}

void forecast_set_release(const struct forecast_set *set)
{
    if (set == NULL)
        return;
    struct forecast_set *shared = (struct forecast_set *)(uintptr_t)set;
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < shared->share_count; i++)
        share_release(shared->shares[i]);
    fw_free(shared->shares);
    fw_free(shared->quality);
    fw_free(shared);
}

bool forecast_set_same_servers(const struct forecast_set *a, const struct forecast_set *b)
{
    return a->roster != 0 && a->roster == b->roster;
}

size_t forecast_set_from(const struct forecast_set *set, const char *name)
{
    size_t from = 0, to = set->count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (strcmp(set->items[middle]->name, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

const struct forecast *forecast_set_find(const struct forecast_set *set, const char *name)
{
    const size_t at = forecast_set_from(set, name);
    return at < set->count && strcmp(set->items[at]->name, name) == 0 ? set->items[at] : NULL;
}
