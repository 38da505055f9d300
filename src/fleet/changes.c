#include "fleet/changes.h"

#include "fleet/fleet_internal.h"

int64_t fleet_changes_take(struct fleet *fleet, size_t slot)
{
    struct fleet_place *place = fleet_place_at(fleet, slot);
    if (place == NULL || atomic_load(place->revision) == 0)
        return FLEET_UNCHANGED;
    pthread_mutex_lock(&place->lock);
    const int64_t step = place->changed_step;
    place->changed_step = FLEET_UNCHANGED;
    pthread_mutex_unlock(&place->lock);
    return step;
}

void fleet_changes_put(struct fleet *fleet, size_t slot, int64_t step)
{
    struct fleet_place *place = fleet_place_at(fleet, slot);
    if (place == NULL)
        return;
    pthread_mutex_lock(&place->lock);
    if (step < place->changed_step)
        place->changed_step = step;
    pthread_mutex_unlock(&place->lock);
}
