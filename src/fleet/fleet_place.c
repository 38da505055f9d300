/* Names and the places that servers have under them: found, taken, given back. */
#include "fleet/fleet_internal.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <string.h>

enum { EXPIRE_GRACE_MS = 600 * 1000 /* after a start nobody is forgotten for so long */ };

struct fleet_chunk *fleet_chunk_of(const struct fleet *fleet, size_t slot)
{
    return slot / FLEET_CHUNK < fleet->chunk_count ? atomic_load(&fleet->chunks[slot / FLEET_CHUNK])
                                                   : NULL;
}

struct fleet_place *fleet_place_at(const struct fleet *fleet, size_t slot)
{
    struct fleet_chunk *chunk = fleet_chunk_of(fleet, slot);
    return chunk == NULL ? NULL : &chunk->places[slot % FLEET_CHUNK];
}

/* The entry of a name, or the free one where it would go. Under names_lock. */
static uint32_t *table_entry(const struct fleet *fleet, const char *name, size_t len, uint64_t hash)
{
    const size_t mask = fleet->table_size - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        uint32_t *entry = &fleet->table[i];
        if (*entry == 0)
            return entry;
        const struct fleet_place *place = fleet_place_at(fleet, *entry - 1);
        if (place->hash == hash && place->name_len == len && memcmp(place->name, name, len) == 0)
            return entry;
    }
}

static enum fw_status make_chunk(struct fleet *fleet, size_t index)
{
    struct fleet_chunk *chunk = fw_calloc(1, sizeof *chunk);
    if (chunk == NULL)
        return FW_ENOMEM;
    for (size_t i = 0; i < FLEET_CHUNK; i++) {
        pthread_mutex_init(&chunk->places[i].lock, NULL);
        chunk->places[i].revision = &chunk->revisions[i];
    }
    atomic_fetch_add(&fleet->bytes, sizeof *chunk);
    atomic_store(&fleet->chunks[index], chunk);
    return FW_OK;
}

/* A place nobody has. Under names_lock (writing). */
static enum fw_status free_place(struct fleet *fleet, uint32_t *slot)
{
    if (fleet->taken == fleet->options.servers_max)
        return FW_ELIMIT;
    if (fleet->free_head != FLEET_NO_SLOT) {
        *slot = fleet->free_head;
        return FW_OK;
    }
    *slot = (uint32_t)atomic_load(&fleet->slots);
    if (fleet_place_at(fleet, *slot) == NULL)
        return make_chunk(fleet, *slot / FLEET_CHUNK);
    return FW_OK;
}

/* Fills a free place. Under names_lock (writing). */
static enum fw_status settle_place(struct fleet *fleet, uint32_t slot, const char *name, size_t len,
                                   uint64_t hash, int64_t first_seen_ms)
{
    struct fleet_place *place = fleet_place_at(fleet, slot);
    struct fleet_window window;
    if (window_init(&window, &fleet->shape) != FW_OK)
        return FW_ENOMEM;
    if (slot == fleet->free_head)
        fleet->free_head = place->next_free;
    else
        atomic_store(&fleet->slots, (size_t)slot + 1);
    fleet->taken++;
    pthread_mutex_lock(&place->lock);
    place->window = window;
    place->applied_seq = place->loaded_seq = 0;
    place->first_seen_ms = first_seen_ms;
    place->status_ms = place->profile_ms = -1;
    place->heard_ms = fleet_heard_ms(fleet, first_seen_ms);
    place->changed_step = FLEET_UNCHANGED;
    place->hash = hash;
    place->taken = true;
    place->name_len = (uint8_t)len;
    place->status = STATUS_UNKNOWN;
    place->own_profile = PROFILE_UNKNOWN;
    memcpy(place->name, name, len);
    place->name[len] = '\0';
    place->rule_profile = (uint8_t)profile_resolve(fleet->profiles, place->name);
    atomic_store(&place->last_seen_ms, INT64_MIN);
    atomic_fetch_add(&fleet->bytes, window.bytes);
    pthread_mutex_unlock(&place->lock);
    return FW_OK;
}

static bool find_place(const struct fleet *fleet, const char *name, size_t len, uint64_t hash,
                       uint32_t *slot)
{
    pthread_rwlock_rdlock(&fleet->shared->names_lock);
    const uint32_t entry = *table_entry(fleet, name, len, hash);
    pthread_rwlock_unlock(&fleet->shared->names_lock);
    *slot = entry - 1;
    return entry != 0;
}

enum fw_status fleet_place_for(struct fleet *fleet, const char *name, size_t len,
                               int64_t first_seen_ms, uint32_t *slot)
{
    assert(len >= 1 && len <= SERVER_NAME_MAX);
    const uint64_t hash = fw_hash_keyed(name, len);
    if (find_place(fleet, name, len, hash, slot))
        return FW_OK;
    enum fw_status status = FW_OK;
    pthread_rwlock_wrlock(&fleet->shared->names_lock);
    uint32_t *entry = table_entry(fleet, name, len, hash);
    if (*entry == 0) {
        status = free_place(fleet, slot);
        if (status == FW_OK)
            status = settle_place(fleet, *slot, name, len, hash, first_seen_ms);
        if (status == FW_OK)
            *entry = *slot + 1;
    } else {
        *slot = *entry - 1;
    }
    pthread_rwlock_unlock(&fleet->shared->names_lock);
    return status;
}

struct fleet_place *fleet_place_of(const struct fleet *fleet, const char *name, size_t len)
{
    uint32_t slot;
    return find_place(fleet, name, len, fw_hash_keyed(name, len), &slot)
               ? fleet_place_at(fleet, slot)
               : NULL;
}

int64_t fleet_find(const struct fleet *fleet, const char *name, size_t len)
{
    if (len == 0 || len > SERVER_NAME_MAX)
        return -1;
    uint32_t slot;
    if (!find_place(fleet, name, len, fw_hash_keyed(name, len), &slot))
        return -1;
    return fleet_revision(fleet, slot) == 0 ? -1 : (int64_t)slot;
}

void fleet_set_profiles(struct fleet *fleet, const struct profile_rules *profiles)
{
    pthread_rwlock_wrlock(&fleet->shared->names_lock);
    *fleet->profiles = *profiles;
    pthread_rwlock_unlock(&fleet->shared->names_lock);
    /* Who comes from now on has the new ones. */
    const size_t slots = fleet_slots(fleet);
    for (size_t i = 0; i < slots; i++) {
        struct fleet_place *place = fleet_place_at(fleet, i);
        pthread_mutex_lock(&place->lock);
        if (place->taken)
            place->rule_profile = (uint8_t)profile_resolve(profiles, place->name);
        pthread_mutex_unlock(&place->lock);
    }
}

/* ---- forgetting ---- */

int64_t fleet_heard_ms(const struct fleet *fleet, int64_t received_ms)
{
    /* After a restart the news may be old; how old, only the wall clock can say, and it may be
     * wrong: nobody is forgotten before the grace is over. */
    const struct fw_clock *clock = fleet->options.clock;
    int64_t age_ms = fw_clock_wall_ms(clock) - received_ms;
    const int64_t limit_ms = fleet->options.expire_ms - EXPIRE_GRACE_MS;
    if (age_ms > limit_ms)
        age_ms = limit_ms;
    if (age_ms < 0)
        age_ms = 0;
    return fw_clock_mono_ns(clock) / 1000000 - age_ms;
}

/* Under names_lock (writing). Entries behind the hole would be lost to lookups, so those of the
 * same cluster are put back in. */
static void table_remove(struct fleet *fleet, const struct fleet_place *place)
{
    const size_t mask = fleet->table_size - 1;
    uint32_t *entry = table_entry(fleet, place->name, place->name_len, place->hash);
    assert(*entry != 0);
    *entry = 0;
    for (size_t i = ((size_t)(entry - fleet->table) + 1) & mask; fleet->table[i] != 0;
         i = (i + 1) & mask) {
        const uint32_t moved = fleet->table[i];
        fleet->table[i] = 0;
        const struct fleet_place *other = fleet_place_at(fleet, moved - 1);
        *table_entry(fleet, other->name, other->name_len, other->hash) = moved;
    }
}

static void forget(struct fleet *fleet, struct fleet_place *place, uint32_t slot)
{
    table_remove(fleet, place);
    pthread_mutex_lock(&place->lock);
    const struct fleet_tally before = fleet_tally_take(place);
    window_fini(&place->window, &fleet->shape);
    fleet_tally_settle(fleet, place, before);
    fleet_labels_drop(fleet, place);
    if (atomic_load(place->revision) != 0)
        atomic_fetch_sub(&fleet->servers, 1);
    atomic_store(place->revision, 0);
    place->taken = false;
    place->next_free = fleet->free_head;
    pthread_mutex_unlock(&place->lock);
    fleet->free_head = slot;
    fleet->taken--;
}

static bool is_silent(const struct fleet *fleet, struct fleet_place *place, int64_t mono_ms)
{
    pthread_mutex_lock(&place->lock);
    const bool silent = place->taken && mono_ms - place->heard_ms >= fleet->options.expire_ms;
    pthread_mutex_unlock(&place->lock);
    return silent;
}

size_t fleet_expire(struct fleet *fleet)
{
    size_t forgotten = 0;
    const int64_t mono_ms = fw_clock_mono_ns(fleet->options.clock) / 1000000;
    const size_t slots = fleet_slots(fleet);
    for (size_t i = 0; i < slots; i++) {
        struct fleet_place *place = fleet_place_at(fleet, i);
        if (!is_silent(fleet, place, mono_ms))
            continue;
        pthread_rwlock_wrlock(&fleet->shared->names_lock);
        forget(fleet, place, (uint32_t)i);
        pthread_rwlock_unlock(&fleet->shared->names_lock);
        forgotten++;
    }
    return forgotten;
}
