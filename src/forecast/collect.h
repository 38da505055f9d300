/* From a run's results, by slot, to its set, by name. Private to this folder. */
#ifndef FW_FORECAST_COLLECT_H
#define FW_FORECAST_COLLECT_H

#include "forecast/forecast.h"

/* What a run found (slots). */
struct collect_results {
    const struct forecast **made;         /* NULL: none. Where it is the one of `before` it is held
                                             by the set before, else by the reference it came with */
    const struct forecast *const *before; /* of `previous` */
    size_t slots;
};

/* Takes over the results, in every case, and makes a set of their own, which has its servers, its
 * roster and nothing else. Where `previous` (may be NULL) has the same servers its order is kept,
 * so that names are looked at only where something is new. `order`: the slots of its items, so that
 * what rests need not be looked at either; NULL: not known. NULL: no memory. */
struct forecast_set *collect_set(const struct collect_results *results,
                                 const struct forecast_set *previous, const uint32_t *order);

/* Gives back what the results hold. */
void collect_drop(const struct collect_results *results);

#endif
