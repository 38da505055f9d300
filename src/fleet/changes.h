/* Which steps of the windows are news to the one who keeps them beyond the window (the long
 * history): per server the oldest step that changed since it was last asked for. In memory only;
 * what a start brings back from a snapshot counts as changed, all of it. */
#ifndef FW_FLEET_CHANGES_H
#define FW_FLEET_CHANGES_H

#include "fleet/fleet.h"

#define FLEET_UNCHANGED INT64_MAX

/* The oldest changed step, which is thereby forgotten; a sample that comes later marks its step
 * anew, so read the window afterwards. FLEET_UNCHANGED also for an empty slot. Any thread. */
int64_t fleet_changes_take(struct fleet *fleet, size_t slot);

/* Marks a step as changed: what was taken and could not be kept yet. Any thread. */
void fleet_changes_put(struct fleet *fleet, size_t slot, int64_t step);

#endif
