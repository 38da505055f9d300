/* A batch's way into the windows: what is refused before the journal, what is put in after it. */
#include "fleet/fleet_internal.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

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

/* ---- applying ---- */

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
