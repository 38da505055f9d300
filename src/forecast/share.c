#include "forecast/share.h"

#include "base/alloc.h"

struct forecast_share *share_retain(struct forecast_share *share)
{
    atomic_fetch_add_explicit(&share->references, 1, memory_order_relaxed);
    return share;
}

void share_release(struct forecast_share *share)
{
    if (share == NULL ||
        atomic_fetch_sub_explicit(&share->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < share->count; i++)
        forecast_release(share->items[i]);
    fw_free(share);
}
