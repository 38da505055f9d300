#include "forecast/turns.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct turn_wanted {
    uint64_t before;
    size_t slot;
};

void turns_fini(struct turns *turns)
{
    fw_free(turns->waits);
    fw_free(turns->wanted);
    *turns = (struct turns){0};
}

static enum fw_status fit(struct turns *turns, size_t slots)
{
    if (slots <= turns->slots)
        return FW_OK;
    turns_fini(turns);
    turns->waits = fw_calloc(slots, sizeof *turns->waits);
    turns->wanted = fw_calloc(slots, sizeof *turns->wanted);
    if (turns->waits == NULL || turns->wanted == NULL) {
        turns_fini(turns);
        return FW_ENOMEM;
    }
    turns->slots = slots;
    return FW_OK;
}

static int oldest_first(const void *a, const void *b)
{
    const struct turn_wanted *x = a, *y = b;
    if (x->before != y->before)
        return x->before < y->before ? -1 : 1;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

enum fw_status turns_take(struct turns *turns, const struct fleet *fleet, const uint64_t *before,
                          size_t slots, size_t most)
{
    size_t n = 0;
    turns->waiting = 0;
    if (fit(turns, slots) != FW_OK)
        return FW_ENOMEM;
    for (size_t slot = 0; slot < slots; slot++) {
        const uint64_t now = fleet_revision(fleet, slot);
        turns->waits[slot] = false;
        if (now != 0 && now != before[slot])
            turns->wanted[n++] = (struct turn_wanted){before[slot], slot};
    }
    if (n <= most)
        return FW_OK;
    qsort(turns->wanted, n, sizeof *turns->wanted, oldest_first);
    for (size_t i = most; i < n; i++)
        turns->waits[turns->wanted[i].slot] = true;
    turns->waiting = n - most;
    return FW_OK;
}
