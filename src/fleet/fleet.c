#include "fleet/fleet.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/text.h"
#include "fleet/fleet_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    READY_STEPS = 150,
    STALE_EVERY_MS = 1000,
    EXPIRE_GRACE_MS = 600 * 1000, /* after a start nobody is forgotten for so long */
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

struct fleet_place *fleet_place_at(const struct fleet *fleet, size_t slot)
{
    struct fleet_place *chunk = slot / FLEET_CHUNK < fleet->chunk_count
                                    ? atomic_load(&fleet->chunks[slot / FLEET_CHUNK])
                                    : NULL;
    return chunk == NULL ? NULL : &chunk[slot % FLEET_CHUNK];
}

void fleet_free(struct fleet *fleet)
{
    if (fleet == NULL)
        return;
    for (size_t i = 0; fleet->chunks != NULL && i < fleet->chunk_count; i++) {
        struct fleet_place *chunk = atomic_load(&fleet->chunks[i]);
        for (size_t k = 0; chunk != NULL && k < FLEET_CHUNK; k++) {
            window_fini(&chunk[k].window, &fleet->shape);
            fleet_labels_drop(fleet, &chunk[k]);
            pthread_mutex_destroy(&chunk[k].lock);
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

/* ---- names ---- */

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
    struct fleet_place *chunk = fw_calloc(FLEET_CHUNK, sizeof *chunk);
    if (chunk == NULL)
        return FW_ENOMEM;
    for (size_t i = 0; i < FLEET_CHUNK; i++)
        pthread_mutex_init(&chunk[i].lock, NULL);
    atomic_fetch_add(&fleet->bytes, FLEET_CHUNK * sizeof *chunk);
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
    if (atomic_load_explicit(&place->revision, memory_order_relaxed) == 0)
        atomic_fetch_add(&fleet->servers, 1);
    atomic_store(&place->revision, atomic_fetch_add(&fleet->revisions, 1) + 1);
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
        if (atomic_load_explicit(&place->revision, memory_order_relaxed) == 0)
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

/* ---- admission ---- */

static void refuse(struct sample_batch *batch, struct sample_row *row, enum batch_reason reason,
                   const char *field, const char *text)
{
    const struct batch_name *name = &batch->names[row->name];
    batch_reject(batch, row->record, reason, field, name->text, name->len, "%s", text);
    row->value_count = 0;
}

static void refuse_time(const struct fleet *fleet, struct sample_batch *batch,
                        struct sample_row *row, enum batch_reason reason)
{
    char text[128] = "", time[FW_TIME_SIZE];
    if (batch->error_count < BATCH_ERRORS_MAX) {
        fw_time_format_z(row->time_ms, time);
        if (reason == BATCH_IN_FUTURE)
            snprintf(text, sizeof text, "%s is more than %lld s ahead of this server's clock", time,
                     (long long)(fleet->skew_ms / 1000));
        else
            snprintf(text, sizeof text, "%s is before the window of %u steps of %u s", time,
                     fleet->shape.view, fleet->shape.step_ms / 1000);
    }
    refuse(batch, row, reason, "timestamp", text);
}

/* Times are judged by the clock alone, so that nothing a sender does moves the limits. */
static void refuse_times(const struct fleet *fleet, struct sample_batch *batch)
{
    const int64_t now_ms = batch->received_ms;
    const int64_t now_step = now_ms / fleet->shape.step_ms;
    for (size_t i = 0; i < batch->row_count; i++) {
        struct sample_row *row = &batch->rows[i];
        if (row->time_ms > now_ms + fleet->skew_ms)
            refuse_time(fleet, batch, row, BATCH_IN_FUTURE);
        else if (row->time_ms / fleet->shape.step_ms <= now_step - (int64_t)fleet->shape.view)
            refuse_time(fleet, batch, row, BATCH_TOO_OLD);
    }
}

/* Marks in batch_name.server while names are resolved. */
#define NAME_UNUSED UINT32_MAX
#define NAME_REFUSED (UINT32_MAX - 1)

static enum fw_status resolve(struct fleet *fleet, struct sample_batch *batch)
{
    char full[64];
    snprintf(full, sizeof full, "the limit of %zu servers is reached", fleet->options.servers_max);
    for (size_t i = 0; i < batch->name_count; i++)
        batch->names[i].server = NAME_UNUSED;
    for (size_t i = 0; i < batch->row_count; i++) {
        struct sample_row *row = &batch->rows[i];
        struct batch_name *name = &batch->names[row->name];
        if (row->value_count == 0)
            continue;
        if (name->server == NAME_UNUSED) {
            const enum fw_status status =
                fleet_place_for(fleet, name->text, name->len, batch->received_ms, &name->server);
            if (status == FW_ELIMIT)
                name->server = NAME_REFUSED;
            else if (status != FW_OK)
                return status;
        }
        if (name->server == NAME_REFUSED)
            refuse(batch, row, BATCH_SERVER_LIMIT, "server_name", full);
    }
    batch_compact(batch);
    return FW_OK;
}

enum fw_status fleet_admit(struct fleet *fleet, struct sample_batch *batch)
{
    batch->received_ms = fw_clock_wall_ms(fleet->options.clock);
    refuse_times(fleet, batch);
    return resolve(fleet, batch);
}

enum fw_status fleet_readmit(struct fleet *fleet, struct sample_batch *batch)
{
    return resolve(fleet, batch);
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

/* ---- applying ---- */

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

/* True when the row may go in. A window that is ahead of what the admitting clock allows was filled
 * while that clock was wrong; when true samples no longer reach it, it begins anew. Both times are
 * the record's own, so a replay does the same. */
static bool make_reachable(struct fleet *fleet, struct fleet_place *place, int64_t step,
                           int64_t received_ms)
{
    struct fleet_window *window = &place->window;
    if (window_reaches(window, &fleet->shape, step))
        return true;
    if (window->newest_step <= (received_ms + fleet->skew_ms) / fleet->shape.step_ms)
        return false;
    window_reset(window, &fleet->shape);
    place->status_ms = place->profile_ms = -1;
    atomic_store(&place->last_seen_ms, INT64_MIN);
    return true;
}

static enum fw_status apply_row(struct fleet *fleet, struct fleet_place *place,
                                const struct sample_batch *batch, const struct sample_row *row,
                                struct fleet_applied *applied)
{
    const int64_t step = row->time_ms / fleet->shape.step_ms;
    if (!make_reachable(fleet, place, step, batch->received_ms)) {
        applied->outrun += row->value_count;
        return FW_OK;
    }
    const enum fw_status status =
        window_put(&place->window, &fleet->shape, row, batch->values + row->first_value, applied);
    if (step < place->changed_step)
        place->changed_step = step;
    if (row->status != STATUS_UNKNOWN && row->time_ms >= place->status_ms) {
        place->status = row->status;
        place->status_ms = row->time_ms;
    }
    if (row->profile < PROFILE_COUNT && row->time_ms >= place->profile_ms) {
        place->own_profile = row->profile;
        place->profile_ms = row->time_ms;
    }
    if (row->time_ms > atomic_load_explicit(&place->last_seen_ms, memory_order_relaxed))
        atomic_store(&place->last_seen_ms, row->time_ms);
    return status;
}

static bool is_of(const struct fleet_place *place, const struct batch_name *name)
{
    return place->taken && place->name_len == name->len &&
           memcmp(place->name, name->text, name->len) == 0;
}

/* The place of a batch's name, locked. It may have been forgotten, and taken by another, since the
 * batch was admitted; then it is found or made anew. NULL when there is none. */
static struct fleet_place *lock_place(struct fleet *fleet, const struct batch_name *name,
                                      int64_t received_ms)
{
    uint32_t slot = name->server;
    for (int attempt = 0; attempt < 2; attempt++) {
        struct fleet_place *place = fleet_place_at(fleet, slot);
        if (place != NULL) {
            pthread_mutex_lock(&place->lock);
            if (is_of(place, name))
                return place;
            pthread_mutex_unlock(&place->lock);
        }
        if (fleet_place_for(fleet, name->text, name->len, received_ms, &slot) != FW_OK)
            return NULL;
    }
    return NULL;
}

/* Rows [from, to) are of one server. */
static enum fw_status apply_run(struct fleet *fleet, const struct sample_batch *batch, size_t from,
                                size_t to, uint64_t seq, int64_t heard_ms,
                                struct fleet_applied *applied)
{
    enum fw_status status = FW_OK;
    size_t values = 0;
    for (size_t i = from; i < to; i++)
        values += batch->rows[i].value_count;
    const struct batch_name *name = &batch->names[batch->rows[from].name];
    struct fleet_place *place = lock_place(fleet, name, batch->received_ms);
    if (place == NULL) {
        applied->outrun += values;
        return FW_OK;
    }
    if (seq <= place->loaded_seq) {
        applied->duplicates += values;
    } else {
        const struct fleet_tally before = fleet_tally_take(place);
        const size_t changes = applied->samples + applied->overwritten;
        const uint8_t reported = place->status;
        for (size_t i = from; i < to; i++) {
            const enum fw_status row = apply_row(fleet, place, batch, &batch->rows[i], applied);
            if (row != FW_OK)
                status = row;
        }
        place->heard_ms = heard_ms;
        if (applied->samples + applied->overwritten != changes || place->status != reported)
            fleet_place_changed(fleet, place);
        fleet_tally_settle(fleet, place, before);
    }
    pthread_mutex_unlock(&place->lock);
    return status;
}

/* Only now, with all rows of the batch in: a snapshot that copied a server halfway must have the
 * batch replayed over it, which changes nothing that is there already. */
static void stamp_places(struct fleet *fleet, const struct sample_batch *batch, uint64_t seq)
{
    for (size_t i = 0; i < batch->name_count; i++) {
        const struct batch_name *name = &batch->names[i];
        struct fleet_place *place = fleet_place_at(fleet, name->server);
        if (place == NULL)
            continue;
        pthread_mutex_lock(&place->lock);
        if (is_of(place, name) && place->applied_seq < seq)
            place->applied_seq = seq;
        pthread_mutex_unlock(&place->lock);
    }
}

enum fw_status fleet_apply(struct fleet *fleet, const struct sample_batch *batch, uint64_t seq,
                           struct fleet_applied *applied)
{
    *applied = (struct fleet_applied){0};
    enum fw_status status = FW_OK;
    const int64_t heard_ms = fleet_heard_ms(fleet, batch->received_ms);
    for (size_t from = 0, to; from < batch->row_count; from = to) {
        to = from + 1;
        while (to < batch->row_count && batch->rows[to].name == batch->rows[from].name)
            to++;
        const enum fw_status run = apply_run(fleet, batch, from, to, seq, heard_ms, applied);
        if (run != FW_OK)
            status = run;
    }
    stamp_places(fleet, batch, seq);
    if (applied->samples > 0)
        atomic_fetch_add(&fleet->rows, batch->row_count);
    pthread_mutex_lock(&fleet->shared->position_lock);
    if (seq > fleet->seq) {
        fleet->seq = seq;
        fleet->batches++;
    }
    pthread_mutex_unlock(&fleet->shared->position_lock);
    return status;
}

/* ---- forgetting ---- */

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
    if (atomic_load(&place->revision) != 0)
        atomic_fetch_sub(&fleet->servers, 1);
    atomic_store(&place->revision, 0);
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

/* ---- reading ---- */

size_t fleet_slots(const struct fleet *fleet)
{
    return atomic_load(&fleet->slots);
}

uint64_t fleet_revision(const struct fleet *fleet, size_t slot)
{
    const struct fleet_place *place = fleet_place_at(fleet, slot);
    return place == NULL ? 0 : atomic_load(&place->revision);
}

static void describe(const struct fleet *fleet, const struct fleet_place *place,
                     struct fleet_server *server)
{
    memcpy(server->name, place->name, sizeof server->name);
    server->revision = atomic_load(&place->revision);
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
    if (place == NULL || atomic_load(&place->revision) == 0)
        return NULL;
    pthread_mutex_lock(&place->lock);
    if (atomic_load(&place->revision) != 0)
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
