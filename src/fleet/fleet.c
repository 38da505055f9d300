#include "fleet/fleet.h"

#include "base/alloc.h"
#include "fleet/fleet_internal.h"

#include <assert.h>
#include <string.h>

enum {
    READY_STEPS = 150,
    STALE_EVERY_MS = 1000,
};

void fleet_options_default(struct fleet_options *options)
{
    *options = (struct fleet_options){
        .step_s = 300,
        .window_steps = 864,
        .servers_max = 20000,
        .future_skew_ms = 5 * 60 * 1000,
        .stale_steps = 3,
        .expire_ms = INT64_C(7) * 86400 * 1000,
    };
}

static enum fw_status check_options(const struct fleet_options *o, struct fw_error *err)
{
    assert(o->schema != NULL && o->profiles != NULL && o->clock != NULL);
    if (o->step_s < 1 || o->step_s > 3600)
        return fw_fail(err, FW_EINVAL, "a step of %u s, expected 1 to 3600", o->step_s);
    if (o->window_steps < 300 || o->window_steps > 8640)
        return fw_fail(err, FW_EINVAL, "a window of %u steps, expected 300 to 8640",
                       o->window_steps);
    if (o->servers_max < 1 || o->servers_max > 10 * 1000 * 1000)
        return fw_fail(err, FW_EINVAL, "room for %zu servers, expected 1 to 10,000,000",
                       o->servers_max);
    if (o->future_skew_ms < 0 || o->expire_ms < 1 || o->stale_steps < 1)
        return fw_fail(err, FW_EINVAL, "skew, expiry and stale steps must be positive");
    return FW_OK;
}

enum fw_status fleet_new(const struct fleet_options *options, struct fleet **out,
                         struct fw_error *err)
{
    *out = NULL;
    const enum fw_status status = check_options(options, err);
    if (status != FW_OK)
        return status;
    struct fleet *fleet = fw_calloc(1, sizeof *fleet);
    struct fleet_shared *shared = fw_calloc(1, sizeof *shared);
    struct profile_rules *profiles = fw_malloc(sizeof *profiles);
    if (fleet == NULL || shared == NULL || profiles == NULL) {
        fw_free(fleet);
        fw_free(shared);
        fw_free(profiles);
        return fw_fail(err, FW_ENOMEM, "fleet");
    }
    fleet->shared = shared;
    fleet->options = *options;
    *profiles = *options->profiles;
    fleet->options.profiles = fleet->profiles = profiles;
    const int64_t step_ms = (int64_t)options->step_s * 1000;
    assert(step_ms > 0);
    const int64_t quarter_ms = (int64_t)options->window_steps / 4 * step_ms;
    fleet->skew_ms = options->future_skew_ms < quarter_ms ? options->future_skew_ms : quarter_ms;
    /* One step more than the skew reaches: batches wait for the journal between admission and the
     * window, and the clock may enter another step meanwhile. */
    const uint32_t ahead = (uint32_t)((fleet->skew_ms + step_ms - 1) / step_ms) + 1;
    fleet->shape = (struct window_shape){.metrics = (uint32_t)options->schema->count,
                                         .view = options->window_steps,
                                         .slots = options->window_steps + ahead,
                                         .step_ms = (uint32_t)step_ms};
    fleet->free_head = FLEET_NO_SLOT;
    fleet->chunk_count = (options->servers_max + FLEET_CHUNK - 1) / FLEET_CHUNK;
    fleet->table_size = 64;
    while (fleet->table_size < options->servers_max * 2)
        fleet->table_size *= 2;
    fleet->table = fw_calloc(fleet->table_size, sizeof *fleet->table);
    fleet->chunks = fw_calloc(fleet->chunk_count, sizeof *fleet->chunks);
    pthread_rwlock_init(&fleet->shared->names_lock, NULL);
    pthread_mutex_init(&fleet->shared->position_lock, NULL);
    if (fleet->table == NULL || fleet->chunks == NULL) {
        fleet_free(fleet);
        return fw_fail(err, FW_ENOMEM, "fleet of %zu servers", options->servers_max);
    }
    atomic_store(&fleet->shared->stale_at_ms, INT64_MIN);
    atomic_store(&fleet->bytes, sizeof *fleet + fleet->table_size * sizeof *fleet->table +
                                    fleet->chunk_count * sizeof *fleet->chunks);
    *out = fleet;
    return FW_OK;
}

void fleet_free(struct fleet *fleet)
{
    if (fleet == NULL)
        return;
    for (size_t i = 0; fleet->chunks != NULL && i < fleet->chunk_count; i++) {
        struct fleet_chunk *chunk = atomic_load(&fleet->chunks[i]);
        for (size_t k = 0; chunk != NULL && k < FLEET_CHUNK; k++) {
            struct fleet_place *place = &chunk->places[k];
            window_fini(&place->window, &fleet->shape);
            fleet_labels_drop(fleet, place);
            pthread_mutex_destroy(&place->lock);
        }
        fw_free(chunk);
    }
    pthread_rwlock_destroy(&fleet->shared->names_lock);
    pthread_mutex_destroy(&fleet->shared->position_lock);
    fw_free(fleet->chunks);
    fw_free(fleet->table);
    fw_free(fleet->profiles);
    fw_free(fleet->shared);
    fw_free(fleet);
}

const struct fleet_options *fleet_options(const struct fleet *fleet)
{
    return &fleet->options;
}

/* ---- counts ---- */

struct fleet_tally fleet_tally_take(const struct fleet_place *place)
{
    return (struct fleet_tally){place->window.held, place->window.bytes};
}

/* Unsigned differences wrap, and so do the sums: the totals come out right. */
void fleet_tally_settle(struct fleet *fleet, struct fleet_place *place, struct fleet_tally before)
{
    const struct fleet_tally now = fleet_tally_take(place);
    if (now.bytes != before.bytes)
        atomic_fetch_add(&fleet->bytes, now.bytes - before.bytes);
    if (now.held == before.held)
        return;
    atomic_fetch_add(&fleet->records, (uint64_t)now.held - before.held);
    const size_t was = before.held >= READY_STEPS, is = now.held >= READY_STEPS;
    if (was != is)
        atomic_fetch_add(&fleet->ready, is - was);
}

void fleet_place_changed(struct fleet *fleet, struct fleet_place *place)
{
    if (atomic_load_explicit(place->revision, memory_order_relaxed) == 0)
        atomic_fetch_add(&fleet->servers, 1);
    atomic_store(place->revision, atomic_fetch_add(&fleet->revisions, 1) + 1);
}

static bool is_stale(const struct fleet *fleet, int64_t last_seen_ms, int64_t now_ms)
{
    const int64_t limit_ms = (int64_t)fleet->options.stale_steps * fleet->shape.step_ms;
    return now_ms - last_seen_ms > limit_ms;
}

static size_t count_stale(const struct fleet *fleet, int64_t now_ms)
{
    size_t stale = 0;
    const size_t slots = fleet_slots(fleet);
    for (size_t i = 0; i < slots; i++) {
        struct fleet_place *place = fleet_place_at(fleet, i);
        if (atomic_load_explicit(place->revision, memory_order_relaxed) == 0)
            continue;
        stale += is_stale(fleet, atomic_load(&place->last_seen_ms), now_ms);
    }
    return stale;
}

void fleet_counts(const struct fleet *fleet, struct fleet_counts *counts)
{
    const int64_t now_ms = fw_clock_wall_ms(fleet->options.clock);
    int64_t at_ms = atomic_load(&fleet->shared->stale_at_ms);
    const bool due = at_ms == INT64_MIN || now_ms < at_ms || now_ms - at_ms >= STALE_EVERY_MS;
    if (due && atomic_compare_exchange_strong(&fleet->shared->stale_at_ms, &at_ms, now_ms))
        atomic_store(&fleet->shared->stale, count_stale(fleet, now_ms));
    uint64_t seq;
    counts->servers = atomic_load(&fleet->servers);
    counts->stale = atomic_load(&fleet->shared->stale);
    counts->ready = atomic_load(&fleet->ready);
    counts->records = atomic_load(&fleet->records);
    counts->rows = atomic_load(&fleet->rows);
    if (counts->rows < counts->records)
        counts->rows = counts->records; /* what a snapshot brought was not applied here */
    counts->bytes = atomic_load(&fleet->bytes);
    fleet_position(fleet, &seq, &counts->batches);
}

void fleet_position(const struct fleet *fleet, uint64_t *seq, uint64_t *batches)
{
    pthread_mutex_lock(&fleet->shared->position_lock);
    *seq = fleet->seq;
    *batches = fleet->batches;
    pthread_mutex_unlock(&fleet->shared->position_lock);
}

void fleet_position_set(struct fleet *fleet, uint64_t seq, uint64_t batches)
{
    pthread_mutex_lock(&fleet->shared->position_lock);
    fleet->seq = seq;
    fleet->batches = batches;
    pthread_mutex_unlock(&fleet->shared->position_lock);
}

/* ---- reading ---- */

size_t fleet_slots(const struct fleet *fleet)
{
    return atomic_load(&fleet->slots);
}

uint64_t fleet_newest_revision(const struct fleet *fleet)
{
    return atomic_load(&fleet->revisions);
}

uint64_t fleet_revision(const struct fleet *fleet, size_t slot)
{
    const struct fleet_chunk *chunk = fleet_chunk_of(fleet, slot);
    return chunk == NULL ? 0 : atomic_load(&chunk->revisions[slot % FLEET_CHUNK]);
}

static void describe(const struct fleet *fleet, const struct fleet_place *place,
                     struct fleet_server *server)
{
    memcpy(server->name, place->name, sizeof server->name);
    server->revision = atomic_load(place->revision);
    server->profile = place->own_profile != PROFILE_UNKNOWN ? (enum profile)place->own_profile
                                                            : (enum profile)place->rule_profile;
    server->status = (enum server_status)place->status;
    server->first_seen_ms = place->first_seen_ms;
    server->last_seen_ms = atomic_load(&place->last_seen_ms);
    server->newest_step = place->window.newest_step;
    server->steps_held = place->window.held;
    server->stale = is_stale(fleet, server->last_seen_ms, fw_clock_wall_ms(fleet->options.clock));
    server->metrics = window_metrics(&place->window, &fleet->shape);
}

/* The place with its lock held, or NULL when nothing is there to read. */
static struct fleet_place *lock_slot(const struct fleet *fleet, size_t slot)
{
    struct fleet_place *place = fleet_place_at(fleet, slot);
    if (place == NULL || atomic_load(place->revision) == 0)
        return NULL;
    pthread_mutex_lock(&place->lock);
    if (atomic_load(place->revision) != 0)
        return place;
    pthread_mutex_unlock(&place->lock);
    return NULL;
}

bool fleet_read_server(const struct fleet *fleet, size_t slot, struct fleet_server *server)
{
    struct fleet_place *place = lock_slot(fleet, slot);
    if (place == NULL)
        return false;
    describe(fleet, place, server);
    pthread_mutex_unlock(&place->lock);
    return true;
}

bool fleet_read_view(const struct fleet *fleet, size_t slot, struct fleet_view *view)
{
    assert(view->steps >= 1 && view->steps <= fleet->shape.view);
    struct fleet_place *place = lock_slot(fleet, slot);
    if (place == NULL)
        return false;
    describe(fleet, place, &view->server);
    for (uint32_t m = 0; m < fleet->shape.metrics; m++)
        window_read(&place->window, &fleet->shape, (int)m, view->steps,
                    view->values + (size_t)m * view->steps);
    if (view->statuses != NULL)
        window_read_statuses(&place->window, &fleet->shape, view->steps, view->statuses);
    if (view->offsets_ms != NULL)
        window_read_offsets(&place->window, &fleet->shape, view->steps, view->offsets_ms);
    pthread_mutex_unlock(&place->lock);
    return true;
}
