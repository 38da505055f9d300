#include "forecast/learned.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { META_MAGIC = 0x544c5746 /* "FWLT" */, META_VERSION = 3, KIND_SERVER = 1, META_MAX = 65536 };

struct meta_head {
    uint32_t magic, version, step_s, track_bytes, metrics;
};
struct block_head {
    uint64_t name_hash;
    int64_t first_seen_ms;
    uint32_t tracks, unused;
};

/* ---- writing ---- */

static void put_metadata(const struct learned_tracks *from, struct fw_buf *out)
{
    const struct meta_head head = {META_MAGIC, META_VERSION, from->step_s, sizeof(struct track),
                                   (uint32_t)from->schema->count};
    fw_buf_put(out, &head, sizeof head);
    for (size_t m = 0; m < from->schema->count; m++) {
        const size_t len = strlen(from->schema->metrics[m].name);
        fw_buf_putc(out, (char)len);
        fw_buf_put(out, from->schema->metrics[m].name, len);
    }
}

static bool put_server(const struct block_track *track, size_t metrics, struct fw_buf *out)
{
    struct block_head head = {.name_hash = track->name_hash, .first_seen_ms = track->first_seen_ms};
    for (size_t m = 0; m < metrics; m++)
        head.tracks += track->learned[m] != NULL;
    fw_buf_put(out, &head, sizeof head);
    for (uint64_t m = 0; m < metrics; m++)
        if (track->learned[m] != NULL) {
            fw_buf_put(out, &m, sizeof m);
            fw_buf_put(out, track->learned[m], sizeof *track->learned[m]);
        }
    return head.tracks > 0;
}

static enum fw_status write_servers(const struct learned_tracks *from,
                                    struct store_snapshot_writer *writer, struct fw_buf *buf,
                                    uint64_t *bytes, struct fw_error *err)
{
    for (size_t slot = 0; slot < from->slots; slot++) {
        if (from->tracks[slot] == NULL)
            continue;
        fw_buf_reset(buf);
        if (!put_server(from->tracks[slot], from->schema->count, buf))
            continue;
        if (buf->failed)
            return fw_fail(err, FW_ENOMEM, "no memory to store what was learned");
        const enum fw_status status =
            store_snapshot_put(writer, KIND_SERVER, buf->data, buf->len, err);
        if (status != FW_OK)
            return status;
        *bytes += buf->len;
    }
    return FW_OK;
}

enum fw_status learned_write(const struct learned_tracks *from, const char *dir,
                             const struct store_io *io, uint64_t sequence, uint64_t *bytes,
                             struct fw_error *err)
{
    struct store_snapshot_writer *writer = NULL;
    struct fw_buf buf;
    fw_buf_init(&buf, META_MAX + sizeof(struct block_head) +
                          SCHEMA_METRICS_MAX * (sizeof(uint64_t) + sizeof(struct track)));
    put_metadata(from, &buf);
    enum fw_status status =
        buf.failed ? fw_fail(err, FW_ENOMEM, "no memory to store what was learned")
                   : store_snapshot_begin(dir, io, NULL, sequence, buf.data, buf.len, &writer, err);
    if (status == FW_OK)
        status = write_servers(from, writer, &buf, bytes, err);
    fw_buf_fini(&buf);
    if (status != FW_OK) {
        store_snapshot_abort(writer);
        return status;
    }
    return store_snapshot_commit(writer, NULL, err);
}

/* ---- loading ---- */

struct place {
    uint64_t name_hash;
    size_t slot;
};

struct loading {
    const struct learned_tracks *into;
    const struct learned_places *places;
    struct place *sorted; /* of the occupied slots, by hash */
    size_t count;
    int metric[SCHEMA_METRICS_MAX]; /* of each metric of the file, -1: the schema has it no more */
    size_t metrics, servers;
    uint32_t step_s; /* of the file */
};

static enum fw_status read_metadata(void *ctx, uint64_t sequence, const void *metadata, size_t len)
{
    struct loading *loading = ctx;
    struct fw_bytes bytes = fw_bytes_of(metadata, len);
    struct meta_head head = {0};
    const void *at = fw_bytes_take(&bytes, sizeof head);
    (void)sequence;
    if (at == NULL)
        return FW_ECORRUPT;
    memcpy(&head, at, sizeof head);
    if (head.magic != META_MAGIC || head.metrics > SCHEMA_METRICS_MAX)
        return FW_ECORRUPT;
    if (head.version != META_VERSION || head.track_bytes != sizeof(struct track))
        return FW_EVERSION;
    loading->step_s = head.step_s;
    if (head.step_s != loading->into->step_s)
        return FW_EINVAL;
    for (size_t m = 0; m < head.metrics; m++) {
        const size_t name_len = fw_bytes_byte(&bytes);
        const char *name = fw_bytes_take(&bytes, name_len);
        if (name == NULL)
            return FW_ECORRUPT;
        loading->metric[m] = schema_find(loading->into->schema, name, name_len);
    }
    loading->metrics = head.metrics;
    return FW_OK;
}

static int by_hash(const void *a, const void *b)
{
    const struct place *left = a, *right = b;
    return left->name_hash < right->name_hash ? -1 : left->name_hash > right->name_hash;
}

static const struct place *find_place(const struct loading *loading, const struct block_head *head)
{
    const struct place key = {head->name_hash, 0};
    if (loading->count == 0)
        return NULL;
    const struct place *found = bsearch(&key, loading->sorted, loading->count, sizeof key, by_hash);
    if (found == NULL || loading->places->first_seen_ms[found->slot] != head->first_seen_ms)
        return NULL; /* gone, or another server of that name */
    return found;
}

static enum fw_status read_track(struct loading *loading, struct fw_bytes *bytes,
                                 struct block_track *into)
{
    uint64_t metric;
    const void *number = fw_bytes_take(bytes, sizeof metric);
    const void *stored = fw_bytes_take(bytes, sizeof(struct track));
    if (number == NULL || stored == NULL)
        return FW_ECORRUPT;
    memcpy(&metric, number, sizeof metric);
    if (metric >= loading->metrics)
        return FW_ECORRUPT;
    const int here = loading->metric[metric];
    if (here < 0 || into->learned[here] != NULL)
        return FW_OK;
    struct track *track = fw_malloc(sizeof *track);
    if (track == NULL)
        return FW_ENOMEM;
    memcpy(track, stored, sizeof *track);
    if (!track_sane(track, loading->into->step_s)) {
        fw_free(track);
        return FW_ECORRUPT;
    }
    into->learned[here] = track;
    return FW_OK;
}

static enum fw_status read_server(void *ctx, const struct store_snapshot_block *block)
{
    struct loading *loading = ctx;
    struct fw_bytes bytes = fw_bytes_of(block->data, block->len);
    struct block_head head;
    const void *at = fw_bytes_take(&bytes, sizeof head);
    if (block->kind != KIND_SERVER || at == NULL)
        return FW_ECORRUPT;
    memcpy(&head, at, sizeof head);
    const struct place *place = find_place(loading, &head);
    if (place == NULL)
        return FW_OK;
    struct block_track **slot = &loading->into->tracks[place->slot];
    if (*slot == NULL) {
        struct block_track *track = fw_calloc(1, sizeof *track);
        if (track == NULL)
            return FW_ENOMEM;
        track->name_hash = head.name_hash;
        track->first_seen_ms = head.first_seen_ms;
        *slot = track;
        loading->servers++;
    }
    enum fw_status status = FW_OK;
    for (uint32_t i = 0; i < head.tracks && status == FW_OK; i++)
        status = read_track(loading, &bytes, *slot);
    return status;
}

enum fw_status learned_load(const struct learned_tracks *into, const struct learned_places *places,
                            const char *dir, const struct store_io *io, const char *quarantine_dir,
                            size_t *servers, struct store_snapshot_report *report,
                            struct fw_error *err)
{
    const struct store_snapshot_load_options options = {.start = read_metadata,
                                                        .quarantine_dir = quarantine_dir};
    struct loading loading = {.into = into, .places = places};
    *servers = 0;
    if (into->slots > 0) {
        loading.sorted = fw_calloc(into->slots, sizeof *loading.sorted);
        if (loading.sorted == NULL)
            return fw_fail(err, FW_ENOMEM, "no memory to read what was learned");
    }
    for (size_t slot = 0; slot < into->slots; slot++)
        if (places->first_seen_ms[slot] >= 0)
            loading.sorted[loading.count++] = (struct place){places->name_hash[slot], slot};
    if (loading.count > 0)
        qsort(loading.sorted, loading.count, sizeof *loading.sorted, by_hash);
    enum fw_status status =
        store_snapshot_load(dir, io, &options, read_server, &loading, report, err);
    if (status == FW_EINVAL)
        status = fw_fail(err, FW_EINVAL, "it was learned from steps of %u s, and they are of %u s",
                         loading.step_s, into->step_s);
    *servers = loading.servers;
    fw_free(loading.sorted);
    return status;
}
