/* Whose forecast is made when a run may not make all: the servers whose forecasts are oldest come
 * first, so that none waits longer than all others together take, and none is passed over for ever.
 * Private to this folder. */
#ifndef FW_FORECAST_TURNS_H
#define FW_FORECAST_TURNS_H

#include "fleet/fleet.h"
#include "forecast/forecast.h"

struct turns {
    bool *waits; /* (slots) the forecast stays as it is for now */
    size_t slots;
    struct turn_wanted *wanted; /* scratch of turns_take() */
    size_t waiting;             /* servers that wait */
};
void turns_fini(struct turns *turns);

/* Decides for the slots of the fleet. `before` (slots): the revisions that the newest forecasts
 * were made from, 0: there is none, and such servers come first. At most `most` servers whose
 * window changed do not wait; nor do those that are gone, whose results are dropped. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status turns_take(struct turns *turns, const struct fleet *fleet,
                                        const uint64_t *before, size_t slots, size_t most);

#endif
