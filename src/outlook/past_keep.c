/* Earlier forecasts on disk (docs/formats/past.md): names instead of keys and places, since keys
 * are another process's and the schema may change. */
#include "outlook/past_internal.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/buf.h"
#include "fleet/fleet.h"
#include "store/snapshot.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, HEAD_BYTES = 32, SERVER_BYTES = 20, PATH_BYTES = 8 };
enum kind { KIND_NAMES = 1, KIND_STEP, KIND_WHOLE };

struct named {
    uint64_t key;
    uint32_t place; /* of the name in the file */
};

static int by_key(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static int by_server_key(const void *a, const void *b)
{
    const struct past_server *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static void put(struct fw_buf *out, const void *data, size_t len)
{
    fw_buf_put(out, data, len);
}

/* ---- writing ---- */

static void put_name(struct fw_buf *out, const char *name)
{
    fw_buf_putc(out, (char)strlen(name));
    put(out, name, strlen(name));
}

/* The names that the fleet has now; what was said of others is not kept. */
static struct named *gather_names(const struct fleet *fleet, struct fw_buf *names, size_t *n)
{
    const size_t slots = fleet_slots(fleet);
    struct named *found = fw_calloc(slots + 1, sizeof *found);
    struct fleet_server server;
    *n = 0;
    for (size_t slot = 0; slot < slots && found != NULL; slot++) {
        if (!fleet_read_server(fleet, slot, &server))
            continue;
        put_name(names, server.name);
        found[*n] = (struct named){past_key(server.name), (uint32_t)*n};
        ++*n;
    }
    if (found != NULL)
        qsort(found, *n, sizeof *found, by_key);
    return found;
}

static void put_server(struct fw_buf *out, const struct past_server *server, uint32_t place)
{
    const uint32_t numbers[4] = {place, server->first, server->count, server->late};
    put(out, numbers, sizeof numbers);
    put(out, &server->score, sizeof server->score);
}

static void put_run(struct fw_buf *out, const struct past_run *run, const struct named *names,
                    size_t n)
{
    const int64_t times[2] = {run->step, run->made_ms};
    uint32_t counts[4] = {run->step_s, (uint32_t)run->point_count, 0, (uint32_t)run->path_count};
    put(out, times, sizeof times);
    const size_t counts_at = out->len;
    put(out, counts, sizeof counts);
    for (size_t i = 0; i < run->server_count; i++) {
        const struct named key = {.key = run->servers[i].key};
        const struct named *name = n > 0 ? bsearch(&key, names, n, sizeof *names, by_key) : NULL;
        if (name == NULL)
            continue;
        put_server(out, &run->servers[i], name->place);
        counts[2]++;
    }
    put(out, run->paths, run->path_count * sizeof *run->paths);
    put(out, run->values,
        run->path_count * run->point_count * OUTLOOK_PAST_QUANTILES * sizeof *run->values);
    if (!out->failed)
        memcpy(out->data + counts_at, counts, sizeof counts);
}

static enum fw_status write_run(struct store_snapshot_writer *writer, enum kind kind,
                                const struct past_run *run, const struct named *names, size_t n,
                                struct fw_buf *buf, struct fw_error *err)
{
    fw_buf_reset(buf);
    put_run(buf, run, names, n);
    return buf->failed ? fw_fail(err, FW_ENOMEM, "no memory for earlier forecasts")
                       : store_snapshot_put(writer, kind, buf->data, buf->len, err);
}

/* The whole runs, oldest first, then the newest steps that fit. */
static enum fw_status write_runs(struct store_snapshot_writer *writer, const struct past_runs *runs,
                                 const struct named *names, size_t n, size_t bytes_max,
                                 struct fw_error *err)
{
    struct fw_buf buf;
    size_t bytes = 0, first = runs->count;
    enum fw_status status = FW_OK;
    fw_buf_init(&buf, STORE_SNAPSHOT_BLOCK_MAX);
    for (size_t i = OUTLOOK_PAST_RUNS; i-- > 0 && status == FW_OK;)
        if (runs->whole[i] != NULL && bytes + runs->whole[i]->bytes <= bytes_max) {
            bytes += runs->whole[i]->bytes;
            status = write_run(writer, KIND_WHOLE, runs->whole[i], names, n, &buf, err);
        }
    while (first > 0 && bytes + runs->steps[first - 1]->bytes <= bytes_max)
        bytes += runs->steps[--first]->bytes;
    for (size_t i = first; i < runs->count && status == FW_OK; i++)
        status = write_run(writer, KIND_STEP, runs->steps[i], names, n, &buf, err);
    fw_buf_fini(&buf);
    return status;
}

static void put_metadata(struct fw_buf *out, const struct schema *schema, uint32_t step_s)
{
    const uint32_t head[3] = {VERSION, step_s, (uint32_t)schema->count};
    put(out, head, sizeof head);
    for (size_t i = 0; i < schema->count; i++)
        put_name(out, schema->metrics[i].name);
}

enum fw_status outlook_past_save(struct outlook_past *past, const struct fleet *fleet,
                                 const char *dir, size_t bytes_max, struct fw_error *err)
{
    const struct past_runs runs = past_runs(past);
    const struct fleet_options *options = fleet_options(fleet);
    struct store_snapshot_writer *writer = NULL;
    struct fw_buf names, metadata;
    size_t n;
    if (runs.count == 0)
        return FW_OK;
    fw_buf_init(&names, STORE_SNAPSHOT_BLOCK_MAX);
    fw_buf_init(&metadata, STORE_SNAPSHOT_METADATA_MAX);
    struct named *named = gather_names(fleet, &names, &n);
    put_metadata(&metadata, options->schema, options->step_s);
    enum fw_status status = named == NULL || names.failed || metadata.failed
                                ? fw_fail(err, FW_ENOMEM, "no memory for earlier forecasts")
                                : FW_OK;
    if (status == FW_OK)
        status = store_snapshot_begin(dir, NULL, options->clock,
                                      (uint64_t)runs.steps[runs.count - 1]->step, metadata.data,
                                      metadata.len, &writer, err);
    if (status == FW_OK)
        status = store_snapshot_put(writer, KIND_NAMES, names.data, names.len, err);
    if (status == FW_OK)
        status = write_runs(writer, &runs, named, n, bytes_max, err);
    if (status == FW_OK)
        status = store_snapshot_commit(writer, NULL, err);
    else
        store_snapshot_abort(writer);
    fw_free(named);
    fw_buf_fini(&names);
    fw_buf_fini(&metadata);
    return status;
}

/* ---- reading ---- */

struct loading {
    struct outlook_past *past;
    const struct schema *schema;
    uint32_t step_s;
    size_t metric_count;
    uint16_t metrics[UINT8_MAX + 1]; /* of the file: its place in the schema, or PAST_NO_METRIC */
    uint64_t *keys;                  /* of the file's servers */
    size_t key_count;
    bool named;
};
#define PAST_NO_METRIC UINT16_MAX

/* The next name of a list; false: it ends there or is cut. */
static bool next_name(const unsigned char **at, const unsigned char *end, const char **name,
                      size_t *len)
{
    if (*at == end || (size_t)(end - *at) < (size_t) * *at + 1)
        return false;
    *len = *(*at)++;
    *name = (const char *)*at;
    *at += *len;
    return true;
}

static enum fw_status start(void *ctx, uint64_t sequence, const void *metadata, size_t len)
{
    struct loading *l = ctx;
    const unsigned char *at = metadata, *end = at + len;
    uint32_t head[3];
    const char *name;
    size_t name_len;
    (void)sequence;
    fw_free(l->keys);
    l->keys = NULL;
    l->named = false;
    if (len < sizeof head)
        return FW_ECORRUPT;
    memcpy(head, at, sizeof head);
    if (head[0] != VERSION)
        return FW_EVERSION;
    if (head[1] != l->step_s || head[2] > COUNT(l->metrics))
        return FW_ECORRUPT;
    at += sizeof head;
    for (l->metric_count = 0; l->metric_count < head[2]; l->metric_count++) {
        if (!next_name(&at, end, &name, &name_len))
            return FW_ECORRUPT;
        const int metric = schema_find(l->schema, name, name_len);
        l->metrics[l->metric_count] = metric >= 0 ? (uint16_t)metric : PAST_NO_METRIC;
    }
    return FW_OK;
}

static enum fw_status read_names(struct loading *l, const struct store_snapshot_block *block)
{
    const unsigned char *at = block->data, *end = at + block->len;
    const char *name;
    char text[SERVER_NAME_MAX + 1];
    size_t len;
    if (l->named)
        return FW_ECORRUPT;
    l->keys = fw_calloc(block->len / 2 + 1, sizeof *l->keys);
    if (l->keys == NULL)
        return FW_ENOMEM;
    for (l->key_count = 0; next_name(&at, end, &name, &len); l->key_count++) {
        if (!server_name_valid(name, len))
            return FW_ECORRUPT;
        memcpy(text, name, len);
        text[len] = '\0';
        l->keys[l->key_count] = past_key(text);
    }
    l->named = at == end;
    return l->named ? FW_OK : FW_ECORRUPT;
}

static bool read_servers(const struct loading *l, const unsigned char *at, struct past_run *run)
{
    for (size_t i = 0; i < run->server_count; i++, at += SERVER_BYTES) {
        uint32_t numbers[4];
        struct past_server *server = &run->servers[i];
        memcpy(numbers, at, sizeof numbers);
        memcpy(&server->score, at + sizeof numbers, sizeof server->score);
        server->first = numbers[1];
        server->count = numbers[2];
        server->late = numbers[3];
        if (numbers[0] >= l->key_count ||
            (uint64_t)server->first + server->count > run->path_count || !isfinite(server->score) ||
            server->late > PAST_LATE_LIMIT)
            return false;
        server->key = l->keys[numbers[0]];
    }
    qsort(run->servers, run->server_count, sizeof *run->servers, by_server_key);
    return true;
}

/* A path that would give a number that is none is left out, and so is one of a metric that the
 * schema no longer has. */
static void know_paths(const struct loading *l, struct past_run *run)
{
    for (size_t path = 0; path < run->path_count; path++) {
        struct past_path *p = &run->paths[path];
        bool good = p->metric < l->metric_count;
        for (size_t k = 0; good && k < run->point_count * OUTLOOK_PAST_QUANTILES; k++)
            good = isfinite(
                past_run_value(run, path, k / OUTLOOK_PAST_QUANTILES, k % OUTLOOK_PAST_QUANTILES));
        p->metric = good ? l->metrics[p->metric] : PAST_NO_METRIC;
    }
}

static enum fw_status read_run(struct loading *l, const struct store_snapshot_block *block)
{
    const unsigned char *at = block->data;
    const size_t points = block->kind == KIND_WHOLE ? OUTLOOK_PAST_POINTS : OUTLOOK_PAST_LEADS;
    int64_t times[2];
    uint32_t counts[4]; /* step_s, points, servers, paths */
    if (!l->named || block->len < HEAD_BYTES)
        return FW_ECORRUPT;
    memcpy(times, at, sizeof times);
    memcpy(counts, at + sizeof times, sizeof counts);
    const uint64_t values = (uint64_t)counts[3] * points * OUTLOOK_PAST_QUANTILES;
    if (counts[0] != l->step_s || counts[1] != points ||
        block->len != HEAD_BYTES + (uint64_t)counts[2] * SERVER_BYTES +
                          (uint64_t)counts[3] * PATH_BYTES + values * sizeof(uint16_t))
        return FW_ECORRUPT;
    struct past_run *run = past_run_blank(counts[2], counts[3], points);
    if (run == NULL)
        return FW_ENOMEM;
    run->step = times[0];
    run->made_ms = times[1];
    run->step_s = counts[0];
    run->server_count = counts[2];
    run->path_count = counts[3];
    at += HEAD_BYTES;
    if (run->step < 0 || !read_servers(l, at, run)) {
        fw_free(run);
        return FW_ECORRUPT;
    }
    at += run->server_count * SERVER_BYTES;
    memcpy(run->paths, at, run->path_count * PATH_BYTES);
    memcpy(run->values, at + run->path_count * PATH_BYTES, values * sizeof(uint16_t));
    know_paths(l, run);
    past_restore(l->past, run, block->kind == KIND_WHOLE);
    return FW_OK;
}

static enum fw_status visit(void *ctx, const struct store_snapshot_block *block)
{
    static_assert(sizeof(struct past_path) == PATH_BYTES, "paths are written as they stand");
    switch (block->kind) {
    case KIND_NAMES:
        return read_names(ctx, block);
    case KIND_STEP:
    case KIND_WHOLE:
        return read_run(ctx, block);
    default:
        return FW_ECORRUPT;
    }
}

enum fw_status outlook_past_load(struct outlook_past *past, const struct schema *schema,
                                 uint32_t step_s, const char *dir, const char *quarantine_dir,
                                 struct fw_error *err)
{
    struct loading loading = {.past = past, .schema = schema, .step_s = step_s};
    const struct store_snapshot_load_options options = {.start = start,
                                                        .quarantine_dir = quarantine_dir};
    const enum fw_status status =
        store_snapshot_load(dir, NULL, &options, visit, &loading, NULL, err);
    fw_free(loading.keys);
    return status;
}
