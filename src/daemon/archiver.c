#include "daemon/archiver.h"

#include "base/alloc.h"
#include "base/log.h"
#include "daemon/archiver_internal.h"
#include "fleet/changes.h"

enum {
    TICK_BLOCKS = 512,   /* looked at in one tick */
    TICK_REMOVED = 1000, /* blocks removed in one tick */
    RETRY_MS = 60 * 1000,
};

enum fw_status archiver_new(const struct archiver_options *options, struct archiver **out,
                            struct fw_error *err)
{
    const struct fleet_options *fleet = fleet_options(options->fleet);
    const size_t steps = fleet->window_steps;
    *out = NULL;
    struct archiver *a = fw_calloc(1, sizeof *a);
    if (a == NULL)
        return fw_fail(err, FW_ENOMEM, "history: no memory for the archiver");
    pthread_mutex_init(&a->lock, NULL);
    a->options = *options;
    a->options.io = options->io != NULL ? options->io : store_io_system();
    a->step_s = fleet->step_s;
    a->newest_step = -1;
    a->stats.oldest_s = -1;
    fw_buf_init(&a->stored, ARCHIVE_BLOCK_MAX);
    fw_buf_init(&a->bytes, ARCHIVER_BATCH_BYTES);
    a->codec = archive_codec_new();
    a->block = fw_malloc(sizeof *a->block);
    a->kept = fw_malloc(sizeof *a->kept);
    a->view.steps = (uint32_t)steps;
    a->view.values = fw_calloc(fleet->schema->count * steps, sizeof *a->view.values);
    a->view.statuses = fw_calloc(steps, 1);
    if (a->codec == NULL || a->block == NULL || a->kept == NULL || a->view.values == NULL ||
        a->view.statuses == NULL) {
        archiver_free(a);
        return fw_fail(err, FW_ENOMEM, "history: no memory for the archiver");
    }
    *out = a;
    return FW_OK;
}

void archiver_free(struct archiver *archiver)
{
    if (archiver == NULL)
        return;
    pthread_mutex_destroy(&archiver->lock);
    archive_codec_free(archiver->codec);
    fw_buf_fini(&archiver->stored);
    fw_buf_fini(&archiver->bytes);
    fw_free(archiver->block);
    fw_free(archiver->kept);
    fw_free(archiver->view.values);
    fw_free(archiver->view.statuses);
    fw_free(archiver->turns);
    fw_free(archiver->in_flight);
    fw_free(archiver);
}

void archiver_stats(struct archiver *archiver, struct archiver_stats *stats)
{
    pthread_mutex_lock(&archiver->lock);
    *stats = archiver->stats;
    pthread_mutex_unlock(&archiver->lock);
}

void archiver_count(struct archiver *archiver, uint64_t *what, uint64_t by)
{
    pthread_mutex_lock(&archiver->lock);
    *what += by;
    pthread_mutex_unlock(&archiver->lock);
}

/* ---- time ---- */

static int64_t now_step(const struct archiver *a)
{
    return fw_clock_wall_ms(a->options.clock) / ((int64_t)a->step_s * 1000);
}

/* What ends at or before this is removed, and not written any more. A clock that is ahead does not
 * count: age is before the newest sample. */
static int64_t cutoff_s(const struct archiver *a)
{
    const int64_t newest_s = (a->newest_step + 1) * a->step_s;
    const int64_t now_s = fw_clock_wall_ms(a->options.clock) / 1000;
    return (newest_s < now_s ? newest_s : now_s) - (int64_t)a->options.days * 86400;
}

/* Slots spread over the period by the golden ratio, however many there are. */
static int64_t turn_of(const struct archiver *a, size_t slot)
{
    const int64_t period_ms = (int64_t)ARCHIVER_TURN_STEPS * a->step_s * 1000;
    const uint64_t part = (uint64_t)slot * UINT64_C(0x9e3779b97f4a7c15) >> 40; /* of 2^24 */
    const int64_t phase_ms = (int64_t)((part * (uint64_t)period_ms) >> 24);
    return (fw_clock_wall_ms(a->options.clock) + phase_ms) / period_ms;
}

/* The newest block that late samples have had their time for. */
static int64_t last_due(const struct archiver *a)
{
    return (now_step(a) - ARCHIVER_DELAY_STEPS) / ARCHIVE_STEPS - 1;
}

/* ---- one server ---- */

static bool keep_in_flight(struct archiver *a, size_t slot, int64_t changed)
{
    if (a->in_flight_count == a->in_flight_cap) {
        const size_t cap = a->in_flight_cap == 0 ? 64 : 2 * a->in_flight_cap;
        struct archiver_in_flight *larger = fw_realloc_array(a->in_flight, cap, sizeof *larger);
        if (larger == NULL)
            return false;
        a->in_flight = larger;
        a->in_flight_cap = cap;
    }
    a->in_flight[a->in_flight_count++] = (struct archiver_in_flight){slot, changed};
    return true;
}

/* Blocks from the oldest changed step to `last`, a->view being the server's. */
static enum fw_status take_blocks(struct archiver *a, size_t slot, int64_t changed, int64_t last,
                                  size_t *looked_at, struct fw_error *err)
{
    const int64_t first_step = changed > a->view_first ? changed : a->view_first;
    const int64_t kept_from = cutoff_s(a) / archive_length_s(a->step_s);
    int64_t number = first_step / ARCHIVE_STEPS;
    enum fw_status status = FW_OK;
    if (number < kept_from)
        number = kept_from;
    for (; number <= last && status == FW_OK; number++, ++*looked_at) {
        status = archiver_take_block(a, number, err);
        if (status == FW_OK && a->waiting_count == ARCHIVER_BATCH_BLOCKS) {
            status = archiver_commit(a, err);
            if (status == FW_OK && !keep_in_flight(a, slot, changed))
                status = fw_fail(err, FW_ENOMEM, "history: no memory");
        }
    }
    return status;
}

/* Writes what is due of a server; with `all` everything that it has. */
static enum fw_status take_server(struct archiver *a, size_t slot, bool all, size_t *looked_at,
                                  struct fw_error *err)
{
    struct fleet *fleet = a->options.fleet;
    struct fleet_server server;
    if (!fleet_read_server(fleet, slot, &server))
        return FW_OK;
    if (server.newest_step > a->newest_step)
        a->newest_step = server.newest_step;
    const int64_t silent_ms = fw_clock_wall_ms(a->options.clock) - server.last_seen_ms;
    all = all || silent_ms >= fleet_options(fleet)->expire_ms / 2;
    const int64_t changed = fleet_changes_take(fleet, slot);
    const int64_t last = all ? server.newest_step / ARCHIVE_STEPS : last_due(a);
    if (changed == FLEET_UNCHANGED)
        return FW_OK;
    if (changed / ARCHIVE_STEPS > last || !keep_in_flight(a, slot, changed)) {
        fleet_changes_put(fleet, slot, changed);
        return FW_OK;
    }
    if (!fleet_read_view(fleet, slot, &a->view))
        return FW_OK;
    a->view_first = a->view.server.newest_step - (int64_t)a->view.steps + 1;
    if (changed > 0 && changed < a->view_first)
        archiver_count(a, &a->stats.missed_steps, (uint64_t)(a->view_first - changed));
    const enum fw_status status = take_blocks(a, slot, changed, last, looked_at, err);
    /* What is not due stays news. */
    const int64_t rest = (last + 1) * ARCHIVE_STEPS;
    if (a->view.server.newest_step >= rest)
        fleet_changes_put(fleet, slot, changed > rest ? changed : rest);
    return status;
}

/* ---- all servers ---- */

static void note_result(struct archiver *a, enum fw_status status, const struct fw_error *err)
{
    const bool failed = status != FW_OK, was = a->stats.failing;
    if (failed && !was)
        FW_LOG_ERROR("history", "blocks cannot be written, they are tried again reason=\"%s\"",
                     err->text);
    else if (!failed && was)
        FW_LOG_INFO("history", "blocks are written again");
    pthread_mutex_lock(&a->lock);
    a->stats.failing = failed;
    a->stats.failures += failed;
    pthread_mutex_unlock(&a->lock);
}

static bool stood_still(const struct fleet *fleet, const struct fw_clock *clock, size_t slot)
{
    const struct fleet_options *options = fleet_options(fleet);
    const int64_t now = fw_clock_wall_ms(clock) / ((int64_t)options->step_s * 1000);
    struct fleet_server server;
    return fleet_read_server(fleet, slot, &server) &&
           now - server.newest_step >= (int64_t)options->window_steps - ARCHIVE_STEPS -
                                           ARCHIVER_DELAY_STEPS - ARCHIVER_TURN_STEPS;
}

bool archiver_urgent(const struct fleet *fleet, const struct fw_clock *clock)
{
    const size_t slots = fleet_slots(fleet);
    for (size_t slot = 0; slot < slots; slot++)
        if (stood_still(fleet, clock, slot))
            return true;
    return false;
}

void archiver_catch_up(struct archiver *archiver)
{
    struct archiver *a = archiver;
    struct fw_error err = {0};
    enum fw_status status = FW_OK;
    size_t looked_at = 0;
    const size_t slots = fleet_slots(a->options.fleet);
    for (size_t slot = 0; slot < slots && status == FW_OK; slot++)
        if (stood_still(a->options.fleet, a->options.clock, slot))
            status = take_server(a, slot, true, &looked_at, &err);
    status = archiver_finish(a, status, &err);
    note_result(a, status, &err);
    if (looked_at > 0)
        FW_LOG_INFO("history", "windows stood still for long, their blocks are kept blocks=%zu",
                    looked_at);
}

/* Room for a turn of each slot; a new one waits for its next. */
static bool know_turns(struct archiver *a, size_t slots)
{
    if (slots <= a->turn_count)
        return true;
    int64_t *turns = fw_realloc_array(a->turns, slots, sizeof *turns);
    if (turns == NULL)
        return false;
    a->turns = turns;
    for (; a->turn_count < slots; a->turn_count++)
        turns[a->turn_count] = turn_of(a, a->turn_count);
    return true;
}

/* *more: stopped by the limit, there is more to do. */
static enum fw_status take_turns(struct archiver *a, bool *more, struct fw_error *err)
{
    const size_t slots = fleet_slots(a->options.fleet);
    size_t looked_at = 0, passed = 0;
    enum fw_status status = FW_OK;
    if (!know_turns(a, slots))
        status = fw_fail(err, FW_ENOMEM, "history: no memory for %zu servers", slots);
    for (; passed < slots && status == FW_OK && looked_at < TICK_BLOCKS; passed++) {
        const size_t slot = a->cursor < slots ? a->cursor : 0;
        a->cursor = slot + 1;
        const int64_t turn = turn_of(a, slot);
        if (a->turns[slot] == turn)
            continue;
        a->turns[slot] = turn;
        status = take_server(a, slot, false, &looked_at, err);
    }
    *more = passed < slots;
    return archiver_finish(a, status, err);
}

static enum fw_status know_size(struct archiver *a, struct fw_error *err)
{
    uint64_t blocks = 0, size = 0;
    int64_t oldest_s = -1;
    enum fw_status status = FW_OK;
    if (!a->counted)
        status = archive_count(a->options.state, &blocks, err);
    if (status == FW_OK)
        status = archive_oldest(a->options.state, &oldest_s, err);
    if (status == FW_OK)
        status = store_state_size(a->options.state, &size, err);
    if (status != FW_OK)
        return status;
    pthread_mutex_lock(&a->lock);
    if (!a->counted)
        a->stats.blocks = blocks;
    a->stats.oldest_s = oldest_s;
    a->stats.file_bytes = size;
    pthread_mutex_unlock(&a->lock);
    a->counted = true;
    return FW_OK;
}

static enum fw_status remove_old(struct archiver *a, bool *more, struct fw_error *err)
{
    uint64_t removed = 0;
    const enum fw_status status =
        a->newest_step < 0
            ? FW_OK
            : archive_prune(a->options.state, a->step_s, cutoff_s(a), TICK_REMOVED, &removed, err);
    pthread_mutex_lock(&a->lock);
    a->stats.removed += removed;
    a->stats.blocks -= removed < a->stats.blocks ? removed : a->stats.blocks;
    pthread_mutex_unlock(&a->lock);
    *more = *more || removed == TICK_REMOVED;
    return status;
}

void archiver_tick(struct archiver *archiver)
{
    struct archiver *a = archiver;
    /* A 360th of the period: 10 seconds at 300 s a step. */
    const int64_t interval_ms = (int64_t)ARCHIVER_TURN_STEPS * a->step_s * 1000 / 360;
    const int64_t now_ms = fw_clock_mono_ns(a->options.clock) / 1000000;
    if (now_ms < a->next_ms && now_ms >= a->last_ms)
        return;
    struct fw_error err = {0};
    bool more = false;
    enum fw_status status = a->counted ? FW_OK : know_size(a, &err);
    if (status == FW_OK)
        status = take_turns(a, &more, &err);
    if (status == FW_OK)
        status = remove_old(a, &more, &err);
    if (status == FW_OK)
        status = know_size(a, &err);
    note_result(a, status, &err);
    a->last_ms = now_ms;
    a->next_ms = now_ms + (status != FW_OK ? RETRY_MS : more ? 0 : interval_ms);
}
