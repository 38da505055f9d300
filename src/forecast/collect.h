/* From a run's results, by slot, to its set, by name. Private to this folder. */
#ifndef FW_FORECAST_COLLECT_H
#define FW_FORECAST_COLLECT_H

#include "forecast/forecast.h"

/* Moves the results (slots; NULL: none) into a set of their own, which has its servers, its roster
 * and nothing else. Where `previous` (may be NULL) has the same servers its order is kept, so that
 * names are looked at only where something is new. `order`: the slots of its items, so that what
 * rests need not be looked at either; NULL: not known. NULL: no memory, and the results stay. */
struct forecast_set *collect_set(const struct forecast **results, size_t slots,
                                 const struct forecast_set *previous, const uint32_t *order);

#endif
