#include "ingest/series_book.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "ingest/series_target.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A bucket for every 16 KiB of targets, the smallest of which take four. */
enum { BUCKET_BYTES = 16384, BUCKETS_MIN = 64, BUCKETS_MAX = 16384 };

struct series_book {
    struct series_book_options options;
    pthread_mutex_t lock;
    size_t buckets; /* a power of two */
    struct series_target **targets;
    struct series_server **servers;
    struct series_target *newest, *oldest; /* by when they were heard */
    struct series_counts counts;
    struct series_names names;
};

/* One row of the batch in the making. */
struct row {
    const struct schema *schema;
    struct sample_batch *batch;
    const struct series_text *server;
    int64_t time_ms;
    uint64_t mask;
    struct sample_value values[SCHEMA_METRICS_MAX];
    size_t count;
};

struct series_book *series_book_new(const struct series_book_options *options)
{
    struct series_book *book = fw_calloc(1, sizeof *book);
    if (book == NULL)
        return NULL;
    book->options = *options;
    if (book->options.bytes_max == 0)
        book->options.bytes_max = (size_t)256 << 20;
    if (book->options.idle_ms == 0)
        book->options.idle_ms = INT64_C(15) * 60 * 1000;
    if (book->options.forget_ms == 0)
        book->options.forget_ms = INT64_C(2) * 3600 * 1000;
    book->buckets = BUCKETS_MIN;
    while (book->buckets < BUCKETS_MAX && book->buckets * BUCKET_BYTES < book->options.bytes_max)
        book->buckets *= 2;
    book->targets = fw_calloc(book->buckets, sizeof(struct series_target *));
    book->servers = fw_calloc(book->buckets, sizeof(struct series_server *));
    if (book->targets == NULL || book->servers == NULL) {
        fw_free(book->targets);
        fw_free(book->servers);
        fw_free(book);
        return NULL;
    }
    pthread_mutex_init(&book->lock, NULL);
    return book;
}

/* ---- targets, by key and by age ---- */

static void unlink_age(struct series_book *book, struct series_target *target)
{
    *(target->newer != NULL ? &target->newer->older : &book->newest) = target->older;
    *(target->older != NULL ? &target->older->newer : &book->oldest) = target->newer;
}

static void link_newest(struct series_book *book, struct series_target *target)
{
    target->newer = NULL;
    target->older = book->newest;
    if (book->newest != NULL)
        book->newest->newer = target;
    book->newest = target;
    if (book->oldest == NULL)
        book->oldest = target;
}

static void leave_server(struct series_book *book, struct series_server *server)
{
    if (--server->targets > 0)
        return;
    struct series_server **link = &book->servers[server->key % book->buckets];
    while (*link != server)
        link = &(*link)->next;
    *link = server->next;
    book->counts.bytes -= sizeof *server;
    fw_free(server);
}

static void drop_target(struct series_book *book, struct series_target *target)
{
    struct series_target **link = &book->targets[target->key % book->buckets];
    while (*link != target)
        link = &(*link)->next;
    *link = target->next;
    unlink_age(book, target);
    book->counts.bytes -= sizeof *target + series_target_bytes(target);
    book->counts.targets--;
    leave_server(book, target->server);
    series_target_fini(target);
    fw_free(target);
}

void series_book_forget(struct series_book *book)
{
    pthread_mutex_lock(&book->lock);
    while (book->oldest != NULL)
        drop_target(book, book->oldest);
    pthread_mutex_unlock(&book->lock);
}

void series_book_free(struct series_book *book)
{
    if (book == NULL)
        return;
    series_book_forget(book);
    pthread_mutex_destroy(&book->lock);
    fw_free(book->targets);
    fw_free(book->servers);
    fw_free(book);
}

static struct series_server *join_server(struct series_book *book, const struct series_text *name)
{
    const uint64_t key = fw_hash_keyed(name->text, name->len);
    struct series_server *server = book->servers[key % book->buckets];
    while (server != NULL && server->key != key)
        server = server->next;
    if (server == NULL) {
        server = fw_calloc(1, sizeof *server);
        if (server == NULL)
            return NULL;
        server->key = key;
        server->next = book->servers[key % book->buckets];
        book->servers[key % book->buckets] = server;
        book->counts.bytes += sizeof *server;
    }
    server->targets++;
    return server;
}

/* Room for a target of the usual size; silent ones make way, the longest silent first. */
static bool make_room(struct series_book *book, int64_t now_ns)
{
    const size_t wanted = sizeof(struct series_target) + SERIES_SLOTS * sizeof(struct series_slot) +
                          64 * sizeof(struct series_part);
    while (book->counts.bytes + wanted > book->options.bytes_max) {
        if (book->oldest == NULL ||
            now_ns - book->oldest->heard_ns < book->options.idle_ms * 1000000)
            return false;
        drop_target(book, book->oldest);
    }
    return true;
}

static struct series_target *find_target(struct series_book *book, uint64_t key)
{
    struct series_target *target = book->targets[key % book->buckets];
    while (target != NULL && target->key != key)
        target = target->next;
    return target;
}

static struct series_target *add_target(struct series_book *book, uint64_t key,
                                        const struct series_text *server, int64_t now_ns)
{
    if (!make_room(book, now_ns))
        return NULL;
    struct series_target *target = fw_calloc(1, sizeof *target);
    if (target == NULL)
        return NULL;
    target->server = join_server(book, server);
    if (target->server == NULL) {
        fw_free(target);
        return NULL;
    }
    target->key = key;
    target->next = book->targets[key % book->buckets];
    book->targets[key % book->buckets] = target;
    link_newest(book, target);
    book->counts.targets++;
    book->counts.bytes += sizeof *target;
    return target;
}

static void forget_silent(struct series_book *book, int64_t now_ns)
{
    while (book->oldest != NULL &&
           now_ns - book->oldest->heard_ns > book->options.forget_ms * 1000000)
        drop_target(book, book->oldest);
}

/* ---- rows ---- */

static bool end_row(struct row *row)
{
    uint32_t name;
    if (row->count == 0)
        return true;
    if (batch_name(row->batch, row->server->text, row->server->len, &name) != FW_OK)
        return false;
    const struct sample_row head = {.name = name,
                                    .record = (uint32_t)row->batch->records,
                                    .time_ms = row->time_ms,
                                    .status = STATUS_UNKNOWN,
                                    .profile = PROFILE_UNKNOWN};
    if (batch_row_put(row->batch, &head, row->values, row->count) != FW_OK)
        return false;
    row->batch->records++;
    row->count = 0;
    row->mask = 0;
    return true;
}

static bool add_value(void *ctx, int64_t time_ms, int metric, double value)
{
    struct row *row = ctx;
    if (!schema_accept(&row->schema->metrics[metric], &value))
        return true;
    const uint64_t bit = (uint64_t)1 << metric;
    if ((row->time_ms != time_ms || (row->mask & bit)) && !end_row(row))
        return false;
    row->time_ms = time_ms;
    row->mask |= bit;
    row->values[row->count++] =
        (struct sample_value){.metric = (uint16_t)metric, .value = (float)value};
    return true;
}

/* ---- a request ---- */

static int by_target_and_time(const void *a, const void *b)
{
    const struct series_sample *x = a, *y = b;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void count_put(struct series_book *book, enum series_put put)
{
    book->counts.mapped += put == SERIES_TAKEN;
    book->counts.repeated += put == SERIES_REPEATED;
    book->counts.late += put == SERIES_LATE;
    book->counts.full += put == SERIES_FULL;
}

/* Samples of one target and time, gauges left out. False: out of memory. */
static bool take_parts(struct series_book *book, struct series_target *target,
                       const struct series_sample *samples, size_t n, struct row *row)
{
    bool failed = false, asked = false;
    struct series_slot *slot = NULL, *joined;
    for (size_t i = 0; i < n; i++) {
        const struct series_sample *sample = &samples[i];
        if (sample->role == SERIES_GAUGE)
            continue;
        if (sample->stale) {
            series_target_end(target, sample);
            continue;
        }
        if (sample->loose && (joined = series_target_join(target, sample)) != NULL) {
            count_put(book, series_target_put(target, joined, sample));
            continue;
        }
        if (!asked)
            slot = series_target_slot(target, sample->time_ms, add_value, row, &failed);
        asked = true;
        if (failed)
            return false;
        count_put(book, slot == NULL ? SERIES_LATE : series_target_put(target, slot, sample));
    }
    return true;
}

static bool take_gauges(struct series_book *book, const struct series_sample *samples, size_t n,
                        struct row *row)
{
    for (size_t i = 0; i < n; i++) {
        if (samples[i].role != SERIES_GAUGE)
            continue;
        book->counts.mapped++;
        if (!add_value(row, samples[i].time_ms, samples[i].metric, samples[i].value))
            return false;
    }
    return true;
}

static size_t count_parts(const struct series_sample *samples, size_t n)
{
    size_t parts = 0;
    for (size_t i = 0; i < n; i++)
        parts += samples[i].role != SERIES_GAUGE;
    return parts;
}

static size_t count_same_time(const struct series_sample *samples, size_t n)
{
    size_t same = 1;
    while (same < n && samples[same].time_ms == samples[0].time_ms)
        same++;
    return same;
}

/* Samples of one target, by time. */
static bool take_target(struct series_book *book, const struct series_sample *samples, size_t n,
                        int64_t now_ns, struct row *row)
{
    struct series_target *target = NULL;
    const size_t parts = count_parts(samples, n);
    if (parts > 0) {
        target = find_target(book, samples[0].target);
        if (target == NULL)
            target = add_target(book, samples[0].target, row->server, now_ns);
        if (target == NULL)
            book->counts.full += parts;
    }
    const size_t bytes = target != NULL ? series_target_bytes(target) : 0;
    if (target != NULL) /* what it has may stay, but its table grows no more when memory is out */
        target->parts_max =
            book->counts.bytes < book->options.bytes_max ? SERIES_PARTS_MAX : target->part_cap / 2;
    bool good = true;
    for (size_t i = 0, same; i < n && good; i += same) {
        same = count_same_time(samples + i, n - i);
        good = (target == NULL || take_parts(book, target, samples + i, same, row)) &&
               take_gauges(book, samples + i, same, row);
    }
    if (target == NULL)
        return good && end_row(row);
    book->counts.bytes += series_target_bytes(target) - bytes;
    target->heard_ns = now_ns;
    unlink_age(book, target);
    link_newest(book, target);
    const bool over = target->part_count == 0;
    good = good && series_target_settle(target, over, add_value, row) && end_row(row);
    if (over)
        drop_target(book, target);
    return good;
}

static enum fw_status take_all(struct series_book *book, struct series_gather *gather,
                               int64_t now_ns, struct sample_batch *batch)
{
    struct row row = {.schema = gather->schema, .batch = batch};
    const struct series_sample *samples = gather->samples;
    for (size_t i = 0, n; i < gather->sample_count; i += n) {
        for (n = 1; i + n < gather->sample_count && samples[i + n].target == samples[i].target;)
            n++;
        row.server = &gather->servers[samples[i].server];
        row.count = 0;
        row.mask = 0;
        if (!take_target(book, samples + i, n, now_ns, &row))
            return FW_ENOMEM;
    }
    return FW_OK;
}

static void count_rest(struct series_book *book, const struct series_gather *gather)
{
    struct series_counts *counts = &book->counts;
    uint64_t named = 0;
    counts->ignored += gather->ignored;
    counts->unmapped += gather->unmapped;
    counts->stale += gather->stale;
    counts->not_finite += gather->not_finite;
    counts->no_server += gather->no_server;
    for (size_t i = 0; i < gather->unknown_count; i++) {
        const struct series_text *name = &gather->unknown[i];
        series_names_add(&book->names, name->text, name->len, name->count);
        named += name->count;
    }
    book->names.other += gather->unmapped - named;
}

enum fw_status series_book_take(struct series_book *book, struct series_gather *gather,
                                int64_t now_ns, struct sample_batch *batch)
{
    if (gather->sample_count > 1)
        qsort(gather->samples, gather->sample_count, sizeof gather->samples[0], by_target_and_time);
    pthread_mutex_lock(&book->lock);
    const uint64_t repeated = book->counts.repeated;
    forget_silent(book, now_ns);
    count_rest(book, gather);
    const enum fw_status status = take_all(book, gather, now_ns, batch);
    gather->repeated = book->counts.repeated - repeated;
    pthread_mutex_unlock(&book->lock);
    return status;
}

void series_book_counts(struct series_book *book, struct series_counts *counts)
{
    pthread_mutex_lock(&book->lock);
    *counts = book->counts;
    pthread_mutex_unlock(&book->lock);
}

size_t series_book_unmapped(struct series_book *book, struct series_name *out, size_t n,
                            uint64_t *other)
{
    pthread_mutex_lock(&book->lock);
    const size_t held = series_names_top(&book->names, out, n);
    *other = book->names.other;
    pthread_mutex_unlock(&book->lock);
    return held;
}
