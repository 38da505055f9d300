#include "fleet/snapshot.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "fleet/snapshot_internal.h"

#include <assert.h>
#include <string.h>

enum {
    META_MAGIC = 0x53465746, /* "FWFS" */
    META_VERSION = 1,
    BLOCK_MAX = 64 << 20,
};

/* ---- metadata ---- */

struct meta_head {
    uint32_t magic, version, step_s, window_steps;
    uint64_t batches;
    uint32_t metrics;
};
enum { META_HEAD_BYTES = 28 };

void fleet_snapshot_put_metadata(const struct fleet *fleet, uint64_t batches, struct fw_buf *out)
{
    const struct schema *schema = fleet->options.schema;
    const struct meta_head head = {
        META_MAGIC, META_VERSION,           fleet->options.step_s, fleet->options.window_steps,
        batches,    (uint32_t)schema->count};
    fw_buf_put(out, &head, META_HEAD_BYTES);
    for (size_t i = 0; i < schema->count; i++) {
        const size_t len = strlen(schema->metrics[i].name);
        fw_buf_putc(out, (char)len);
        fw_buf_put(out, schema->metrics[i].name, len);
    }
}

enum fw_status fleet_snapshot_parse_metadata(const void *data, size_t len,
                                             struct fleet_snapshot_metadata *parsed,
                                             struct fw_error *err)
{
    struct meta_head head = {0};
    const unsigned char *at = data, *end = at + len;
    if (len < META_HEAD_BYTES)
        return fw_fail(err, FW_ECORRUPT, "snapshot: metadata of %zu bytes", len);
    memcpy(&head, at, META_HEAD_BYTES);
    at += META_HEAD_BYTES;
    if (head.magic != META_MAGIC || head.metrics > SCHEMA_METRICS_MAX)
        return fw_fail(err, FW_ECORRUPT, "snapshot: not the fleet's metadata");
    if (head.version != META_VERSION)
        return fw_fail(err, FW_EVERSION, "snapshot of version %u, this program knows %d",
                       head.version, META_VERSION);
    parsed->step_s = head.step_s;
    parsed->batches = head.batches;
    parsed->metrics = head.metrics;
    for (size_t i = 0; i < head.metrics; i++) {
        const size_t name_len = at < end ? *at++ : 0;
        if (name_len == 0 || name_len > (size_t)(end - at))
            return fw_fail(err, FW_ECORRUPT, "snapshot: bad metric table");
        parsed->names[i] = (const char *)at;
        parsed->name_lens[i] = name_len;
        at += name_len;
    }
    return FW_OK;
}

enum fw_status fleet_snapshot_get_metadata(const struct fleet *fleet, const void *data, size_t len,
                                           struct fleet_snapshot_meta *meta, struct fw_error *err)
{
    struct fleet_snapshot_metadata parsed;
    const enum fw_status status = fleet_snapshot_parse_metadata(data, len, &parsed, err);
    if (status != FW_OK)
        return status;
    if (parsed.step_s != fleet->options.step_s)
        return fw_fail(
            err, FW_EINVAL,
            "the stored windows have steps of %u s, the configuration says %u s: set the "
            "step back, or move the snapshots away to begin anew",
            parsed.step_s, fleet->options.step_s);
    meta->batches = parsed.batches; /* only_absent stays the caller's */
    for (size_t i = 0; i < SCHEMA_METRICS_MAX; i++)
        meta->map[i] = -1;
    for (size_t i = 0; i < parsed.metrics; i++)
        meta->map[i] = schema_find(fleet->options.schema, parsed.names[i], parsed.name_lens[i]);
    return FW_OK;
}

/* ---- one server: writing ---- */

static void pad8(struct fw_buf *out, size_t from)
{
    while (!out->failed && (out->len - from) % 8 != 0)
        fw_buf_putc(out, '\0');
}

/* An array of the ring, oldest of `steps` first. */
static void put_ring(struct fw_buf *out, const void *ring, size_t size, uint32_t slots,
                     uint32_t last, uint32_t steps, size_t from)
{
    const uint32_t first = (last + slots - (steps - 1)) % slots;
    const uint32_t head = first + steps <= slots ? steps : slots - first;
    fw_buf_put(out, (const unsigned char *)ring + first * size, head * size);
    fw_buf_put(out, ring, (steps - head) * size);
    pad8(out, from);
}

/* Steps from the oldest in the ring that holds anything to the newest. */
static uint32_t used_steps(const struct fleet_window *window, const struct window_shape *shape)
{
    uint32_t steps = shape->slots;
    while (steps > 1) {
        const int64_t oldest = window->newest_step - (int64_t)steps + 1;
        if (oldest >= 0 && window->marks[(uint64_t)oldest % shape->slots] != 0)
            break;
        steps--;
    }
    return steps;
}

static void put_place(const struct fleet *fleet, const struct fleet_place *place,
                      struct fw_buf *out)
{
    const struct fleet_window *w = &place->window;
    const uint32_t slots = fleet->shape.slots;
    const uint32_t last = (uint32_t)((uint64_t)w->newest_step % slots);
    struct fleet_snapshot_head head = {.newest_step = w->newest_step,
                                       .applied_seq = place->applied_seq,
                                       .first_seen_ms = place->first_seen_ms,
                                       .last_seen_ms = atomic_load(&place->last_seen_ms),
                                       .status_ms = place->status_ms,
                                       .profile_ms = place->profile_ms,
                                       .steps = used_steps(w, &fleet->shape),
                                       .open_count = w->open_count,
                                       .status = place->status,
                                       .own_profile = place->own_profile,
                                       .name_len = place->name_len};
    for (uint32_t m = 0; m < fleet->shape.metrics; m++)
        if (w->columns[m] != NULL)
            head.mask |= (uint64_t)1 << m;
    const size_t from = out->len;
    fw_buf_put(out, &head, sizeof head);
    fw_buf_put(out, place->name, place->name_len);
    pad8(out, from);
    for (uint64_t bits = head.mask; bits != 0; bits &= bits - 1)
        put_ring(out, w->columns[__builtin_ctzll(bits)], sizeof(float), slots, last, head.steps,
                 from);
    put_ring(out, w->marks, sizeof *w->marks, slots, last, head.steps, from);
    put_ring(out, w->statuses, sizeof *w->statuses, slots, last, head.steps, from);
    for (uint32_t i = 0; i < w->open_count; i++)
        open_step_save(w->open[i], out);
}

bool fleet_snapshot_put_server(const struct fleet *fleet, size_t slot, struct fw_buf *out)
{
    struct fleet_place *place = fleet_place_at(fleet, slot);
    if (place == NULL || atomic_load(place->revision) == 0)
        return false;
    /* Room before the lock: an allocation must not make the applier wait. */
    const size_t room = sizeof(struct fleet_snapshot_head) + SERVER_NAME_MAX + 8 +
                        fleet->shape.slots * (size_t)(fleet->shape.metrics * 4 + 8) + 65536;
    if (fw_buf_reserve(out, room) == NULL)
        return true;
    pthread_mutex_lock(&place->lock);
    const bool there = atomic_load(place->revision) != 0;
    if (there)
        put_place(fleet, place, out);
    pthread_mutex_unlock(&place->lock);
    return there;
}

/* ---- one server: reading ---- */

/* The newest `steps` of a block's array into the ring. */
static void fill_ring(void *ring, const void *from, size_t size, uint32_t slots, uint32_t last,
                      uint32_t steps)
{
    const uint32_t first = (last + slots - (steps - 1)) % slots;
    const uint32_t head = first + steps <= slots ? steps : slots - first;
    memcpy((unsigned char *)ring + first * size, from, head * size);
    memcpy(ring, (const unsigned char *)from + head * size, (steps - head) * size);
}

static enum fw_status fill_columns(struct fleet_window *window, const struct window_shape *shape,
                                   const struct fleet_snapshot_block *b, const int *map,
                                   uint32_t kept)
{
    assert(shape->slots > 0);
    const uint32_t last = (uint32_t)((uint64_t)b->head.newest_step % shape->slots);
    const uint32_t skip = b->head.steps - kept;
    for (uint64_t bits = b->head.mask; bits != 0; bits &= bits - 1) {
        const int written = __builtin_ctzll(bits);
        if (map[written] < 0)
            continue;
        float *column = window_column(window, shape, map[written]);
        if (column == NULL)
            return FW_ENOMEM;
        fill_ring(column, b->columns[written] + skip, sizeof *column, shape->slots, last, kept);
    }
    fill_ring(window->marks, b->marks + skip, sizeof *b->marks, shape->slots, last, kept);
    fill_ring(window->statuses, b->statuses + skip, sizeof *b->statuses, shape->slots, last, kept);
    return FW_OK;
}

static enum fw_status fill_open(struct fleet_window *window, const struct window_shape *shape,
                                const struct fleet_snapshot_block *b, const int *map, uint32_t kept)
{
    const unsigned char *at = b->open;
    for (uint32_t i = 0; i < b->head.open_count; i++) {
        bool corrupt;
        struct open_step *step = open_step_load(&at, b->end, map, shape->step_ms, &corrupt);
        if (step == NULL)
            return corrupt ? FW_ECORRUPT : FW_ENOMEM;
        const int64_t age = b->head.newest_step - step->step;
        bool fits = age >= 0 && age < (int64_t)b->head.steps && b->marks[b->head.steps - 1 - age];
        for (uint32_t k = 0; k < window->open_count; k++)
            fits = fits && window->open[k]->step != step->step;
        if (!fits) {
            fw_free(step);
            return FW_ECORRUPT;
        }
        bool columns = step->mask != 0 && age < (int64_t)kept;
        for (uint64_t bits = step->mask; bits != 0; bits &= bits - 1)
            columns = columns && window->columns[__builtin_ctzll(bits)] != NULL;
        if (!columns) {
            fw_free(step); /* too old for this window, or of metrics that it no longer has */
            continue;
        }
        window->open[window->open_count++] = step;
        window->bytes += step->bytes;
    }
    return at == b->end ? FW_OK : FW_ECORRUPT;
}

static enum fw_status fill_window(struct fleet_window *window, const struct window_shape *shape,
                                  const struct fleet_snapshot_block *b, const int *map)
{
    const uint32_t kept = b->head.steps < shape->slots ? b->head.steps : shape->slots;
    if (window_init(window, shape) != FW_OK)
        return FW_ENOMEM;
    window->newest_step = b->head.newest_step;
    enum fw_status status = fill_columns(window, shape, b, map, kept);
    if (status == FW_OK)
        status = fill_open(window, shape, b, map, kept);
    if (status == FW_OK)
        window_recount(window, shape);
    return status;
}

/* Gives the window to the server of that name; what the server had is given back in it. */
static enum fw_status hand_over(struct fleet *fleet, const struct fleet_snapshot_block *b,
                                bool only_absent, struct fleet_window *window)
{
    uint32_t slot;
    const enum fw_status status =
        fleet_place_for(fleet, b->name, b->head.name_len, b->head.first_seen_ms, &slot);
    if (status != FW_OK)
        return status;
    struct fleet_place *place = fleet_place_at(fleet, slot);
    pthread_mutex_lock(&place->lock);
    if (only_absent && atomic_load(place->revision) != 0) {
        pthread_mutex_unlock(&place->lock);
        return FW_OK;
    }
    const struct fleet_tally before = fleet_tally_take(place);
    const struct fleet_window old = place->window;
    place->window = *window;
    *window = old;
    place->applied_seq = place->loaded_seq = b->head.applied_seq;
    place->first_seen_ms = b->head.first_seen_ms;
    place->status_ms = b->head.status_ms;
    place->profile_ms = b->head.profile_ms;
    place->status = b->head.status;
    place->own_profile = b->head.own_profile;
    place->heard_ms = fleet_heard_ms(fleet, b->head.last_seen_ms);
    place->changed_step = 0;
    atomic_store(&place->last_seen_ms, b->head.last_seen_ms);
    fleet_place_changed(fleet, place);
    fleet_tally_settle(fleet, place, before);
    pthread_mutex_unlock(&place->lock);
    return FW_OK;
}

enum fw_status fleet_snapshot_get_server(struct fleet *fleet,
                                         const struct fleet_snapshot_meta *meta, const void *data,
                                         size_t len)
{
    struct fleet_snapshot_block b;
    if (!fleet_snapshot_block_open(data, len, fleet->shape.step_ms, &b))
        return FW_ECORRUPT;
    struct fleet_window window;
    enum fw_status status = fill_window(&window, &fleet->shape, &b, meta->map);
    if (status == FW_OK)
        status = hand_over(fleet, &b, meta->only_absent, &window);
    window_fini(&window, &fleet->shape);
    return status;
}

/* ---- the file ---- */

static enum fw_status put_all(const struct fleet *fleet, struct store_snapshot_writer *writer,
                              struct fleet_snapshot_written *written, struct fw_error *err)
{
    struct fw_buf block;
    fw_buf_init(&block, BLOCK_MAX);
    enum fw_status status = FW_OK;
    const size_t slots = fleet_slots(fleet);
    for (size_t slot = 0; slot < slots && status == FW_OK; slot++) {
        fw_buf_reset(&block);
        const bool there = fleet_snapshot_put_server(fleet, slot, &block);
        if (block.failed)
            status = fw_fail(err, FW_ENOMEM, "snapshot of a server");
        else if (there)
            status = store_snapshot_put(writer, FLEET_BLOCK_SERVER, block.data, block.len, err);
        if (status == FW_OK && there) {
            written->servers++;
            written->bytes += block.len;
        }
    }
    fw_buf_fini(&block);
    return status;
}

enum fw_status fleet_snapshot_write(const struct fleet *fleet, const char *dir,
                                    const struct store_io *io,
                                    struct fleet_snapshot_written *written, struct fw_error *err)
{
    uint64_t seq, batches;
    fleet_position(fleet, &seq, &batches);
    return fleet_snapshot_write_at(fleet, seq, batches, dir, io, written, err);
}

enum fw_status fleet_snapshot_write_at(const struct fleet *fleet, uint64_t seq, uint64_t batches,
                                       const char *dir, const struct store_io *io,
                                       struct fleet_snapshot_written *written, struct fw_error *err)
{
    struct fleet_snapshot_written unused;
    struct store_snapshot_writer *writer = NULL;
    struct fw_buf metadata;
    const struct fw_clock *clock = fleet->options.clock;
    const int64_t start_ns = fw_clock_mono_ns(clock);
    if (written == NULL)
        written = &unused;
    /* Whatever was applied since that position is in some servers already, and is replayed over
     * them. */
    *written = (struct fleet_snapshot_written){.sequence = seq};
    fw_buf_init(&metadata, STORE_SNAPSHOT_METADATA_MAX);
    fleet_snapshot_put_metadata(fleet, batches, &metadata);
    enum fw_status status = metadata.failed
                                ? fw_fail(err, FW_ENOMEM, "snapshot metadata")
                                : store_snapshot_begin(dir, io, clock, written->sequence,
                                                       metadata.data, metadata.len, &writer, err);
    fw_buf_fini(&metadata);
    if (status == FW_OK)
        status = put_all(fleet, writer, written, err);
    if (status == FW_OK)
        status = store_snapshot_commit(writer, &written->release_seq, err);
    else
        store_snapshot_abort(writer);
    written->duration_ns = fw_clock_mono_ns(clock) - start_ns;
    return status;
}

struct loading {
    struct fleet *fleet;
    struct fleet_snapshot_meta meta;
    struct fw_error err;
};

static enum fw_status start_loading(void *ctx, uint64_t sequence, const void *metadata, size_t len)
{
    struct loading *l = ctx;
    const enum fw_status status =
        fleet_snapshot_get_metadata(l->fleet, metadata, len, &l->meta, &l->err);
    if (status == FW_OK)
        fleet_position_set(l->fleet, sequence, l->meta.batches);
    return status;
}

static enum fw_status load_block(void *ctx, const struct store_snapshot_block *block)
{
    struct loading *l = ctx;
    if (block->kind != FLEET_BLOCK_SERVER)
        return FW_OK; /* of another version or part of the program */
    const enum fw_status status =
        fleet_snapshot_get_server(l->fleet, &l->meta, block->data, block->len);
    return status == FW_ELIMIT ? FW_OK : status; /* a smaller limit forgets the servers beyond it */
}

static enum fw_status load_file(struct loading *l, const char *dir, const struct store_io *io,
                                const struct store_snapshot_load_options *options,
                                struct store_snapshot_report *report, struct fw_error *err)
{
    const enum fw_status status = store_snapshot_load(dir, io, options, load_block, l, report, err);
    /* Why the metadata was refused says more than that it was. */
    if (status != FW_OK && status == l->err.status && err != NULL)
        *err = l->err;
    return status;
}

enum fw_status fleet_snapshot_load(struct fleet *fleet, const char *dir, const struct store_io *io,
                                   const char *quarantine_dir, unsigned threads,
                                   struct store_snapshot_report *report, struct fw_error *err)
{
    struct loading l = {.fleet = fleet};
    struct store_snapshot_report first, older;
    struct store_snapshot_load_options options = {
        .start = start_loading, .quarantine_dir = quarantine_dir, .threads = threads};
    enum fw_status status = load_file(&l, dir, io, &options, &first, err);
    if (status == FW_OK && first.found && first.damaged_blocks > 0) {
        /* The older snapshot has the servers that are missing, and the journal reaches back to it;
         * servers that are whole know which records they have. */
        options.skip_newest = 1;
        l.meta.only_absent = true;
        if (load_file(&l, dir, io, &options, &older, NULL) == FW_OK && older.found)
            first.sequence = older.sequence;
    }
    if (report != NULL)
        *report = first;
    return status;
}
