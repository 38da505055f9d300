/* References to forecasts, taken a row of a set at a time: sets that differ in one server share the
 * rows of all others, and neither making nor freeing one touches what did not change. Constant but
 * for the count of references. Private to this folder. */
#ifndef FW_FORECAST_SHARE_H
#define FW_FORECAST_SHARE_H

#include "forecast/forecast.h"

enum { SHARE_ITEMS = 64 };

struct forecast_share {
    atomic_uint references;
    size_t count;
    const struct forecast *items[SHARE_ITEMS];
};

/* Items `first` and following of a set of `count`, at most SHARE_ITEMS. */
static inline size_t share_items(size_t first, size_t count)
{
    return count - first < SHARE_ITEMS ? count - first : SHARE_ITEMS;
}

struct forecast_share *share_retain(struct forecast_share *share);
void share_release(struct forecast_share *share); /* NULL does nothing */

#endif
