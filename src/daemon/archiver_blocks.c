/* One block from the window to its transaction. */
#include "daemon/archiver_internal.h"

#include "base/log.h"
#include "base/text.h"
#include "fleet/changes.h"

#include <math.h>
#include <string.h>

/* ---- transactions ---- */

/* As if the servers had not had their turn. */
static void give_back(struct archiver *a)
{
    for (size_t i = 0; i < a->in_flight_count; i++) {
        fleet_changes_put(a->options.fleet, a->in_flight[i].slot, a->in_flight[i].changed);
        if (a->in_flight[i].slot < a->turn_count)
            a->turns[a->in_flight[i].slot] = ARCHIVER_NO_TURN;
    }
}

static void forget_batch(struct archiver *a)
{
    a->in_flight_count = a->waiting_count = 0;
    fw_buf_reset(&a->bytes);
}

static enum fw_status check_room(const struct archiver *a, struct fw_error *err)
{
    uint64_t free_bytes = 0;
    if (a->options.directory == NULL ||
        a->options.io->free_bytes(a->options.io->ctx, a->options.directory, &free_bytes) < 0 ||
        free_bytes >= a->options.reserve_bytes)
        return FW_OK;
    return fw_fail(err, FW_ENOSPC, "%llu MiB are free, which are left to the journal",
                   (unsigned long long)free_bytes >> 20);
}

static enum fw_status put_all(struct archiver *a, struct fw_error *err)
{
    enum fw_status status = check_room(a, err);
    if (status == FW_OK)
        status = store_state_begin(a->options.state, err);
    if (status != FW_OK)
        return status;
    for (size_t i = 0; i < a->waiting_count && status == FW_OK; i++) {
        const struct archiver_waiting *w = &a->waiting[i];
        status = archive_put(a->options.state, w->server, a->step_s, w->number,
                             a->bytes.data + w->offset, w->len, err);
    }
    if (status == FW_OK)
        return store_state_commit(a->options.state, err);
    store_state_rollback(a->options.state);
    return status;
}

enum fw_status archiver_commit(struct archiver *archiver, struct fw_error *err)
{
    struct archiver *a = archiver;
    uint64_t replaced = 0;
    const enum fw_status status = a->waiting_count == 0 ? FW_OK : put_all(a, err);
    for (size_t i = 0; i < a->waiting_count; i++)
        replaced += a->waiting[i].replaces;
    if (status == FW_OK) {
        pthread_mutex_lock(&a->lock);
        a->stats.written += a->waiting_count;
        a->stats.rewritten += replaced;
        a->stats.blocks += a->waiting_count - replaced;
        pthread_mutex_unlock(&a->lock);
    } else {
        give_back(a);
    }
    forget_batch(a);
    return status;
}

/* ---- one block ---- */

/* The part of the view that lies in a block. False: nothing does. */
static bool cut(struct archiver *a, int64_t number)
{
    const struct schema *schema = fleet_options(a->options.fleet)->schema;
    struct archive_block *block = a->block;
    const int64_t shift = number * ARCHIVE_STEPS - a->view_first;
    block->step_s = a->step_s;
    block->number = number;
    block->profile = (uint8_t)a->view.server.profile;
    block->metrics = 0;
    for (int64_t i = 0; i < ARCHIVE_STEPS; i++) {
        const bool inside = i + shift >= 0 && i + shift < (int64_t)a->view.steps;
        block->statuses[i] = inside ? a->view.statuses[i + shift] : STATUS_UNKNOWN;
    }
    for (size_t m = 0; m < schema->count; m++) {
        struct archive_metric *metric = &block->metric[block->metrics];
        const float *values = a->view.values + m * a->view.steps;
        bool any = false;
        for (int64_t i = 0; i < ARCHIVE_STEPS; i++) {
            const bool inside = i + shift >= 0 && i + shift < (int64_t)a->view.steps;
            metric->values[i] = inside ? values[i + shift] : NAN;
            any = any || !isnan(metric->values[i]);
        }
        if (!any)
            continue;
        memcpy(metric->name, schema->metrics[m].name, sizeof metric->name);
        metric->quantum = (struct archive_quantum){0, 0};
        block->metrics++;
    }
    return block->metrics > 0;
}

static void tell_damage(struct archiver *a, int64_t number, const struct fw_error *why)
{
    char from[FW_TIME_SIZE];
    fw_time_format_z(archive_start_s(a->step_s, number) * 1000, from);
    FW_LOG_WARN("history",
                "a block cannot be read and is written anew server=%s from=%s reason=\"%s\"",
                a->view.server.name, from, why->text);
    archiver_count(a, &a->stats.damaged, 1);
}

/* Looks up what is kept of a->block and adds it. *write: there is news. */
static enum fw_status reconcile(struct archiver *a, bool *write, bool *replaces,
                                struct fw_error *err)
{
    const struct archive_block *block = a->block;
    const enum fw_status status = archive_get(a->options.state, a->codec, a->view.server.name,
                                              a->step_s, block->number, &a->stored, a->kept, err);
    *replaces = status == FW_OK || status == FW_ECORRUPT;
    *write = status == FW_ENOTFOUND || status == FW_ECORRUPT;
    switch (status) {
    case FW_OK:
        *write = !archive_block_covers(a->kept, block);
        if (*write)
            (void)archive_block_fill(a->block, a->kept); /* beyond 64 metrics the oldest go */
        return FW_OK;
    case FW_ECORRUPT:
        tell_damage(a, block->number, err);
        return FW_OK;
    case FW_ENOTFOUND:
    case FW_EVERSION: /* a later program's: not ours to change */
        return FW_OK;
    default:
        return status;
    }
}

enum fw_status archiver_take_block(struct archiver *archiver, int64_t number, struct fw_error *err)
{
    struct archiver *a = archiver;
    bool write, replaces;
    if (!cut(a, number))
        return FW_OK;
    enum fw_status status = reconcile(a, &write, &replaces, err);
    if (status != FW_OK || !write)
        return status;
    struct archiver_waiting *w = &a->waiting[a->waiting_count];
    memcpy(w->server, a->view.server.name, sizeof w->server);
    w->number = number;
    w->offset = a->bytes.len;
    w->replaces = replaces;
    status = archive_block_encode(a->codec, a->block, &a->bytes, err);
    w->len = a->bytes.len - w->offset;
    a->waiting_count += status == FW_OK;
    return status;
}

/* ---- a round's end ---- */

enum fw_status archiver_finish(struct archiver *archiver, enum fw_status status,
                               struct fw_error *err)
{
    if (status == FW_OK)
        return archiver_commit(archiver, err);
    give_back(archiver);
    forget_batch(archiver);
    return status;
}
