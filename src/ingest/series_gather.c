#include "ingest/series_gather.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <math.h>
#include <string.h>

/* Texts that outlive their line: names that were put together. */
enum { KEPT_BYTES = 16384 };
struct series_kept {
    struct series_kept *next;
    size_t used;
    char bytes[KEPT_BYTES];
};

void series_gather_init(struct series_gather *gather, const struct series_rules *rules,
                        const struct schema *schema, struct sample_batch *batch)
{
    memset(gather, 0, sizeof *gather);
    gather->rules = rules;
    gather->schema = schema;
    gather->batch = batch;
    gather->newest_ms = BATCH_TIME_END_MS;
    fw_buf_init(&gather->body, REMOTE_WRITE_UNPACKED_MAX);
}

void series_gather_fini(struct series_gather *gather)
{
    fw_free(gather->samples);
    fw_free(gather->servers);
    fw_free(gather->unknown);
    fw_buf_fini(&gather->body);
    while (gather->kept != NULL) {
        struct series_kept *next = gather->kept->next;
        fw_free(gather->kept);
        gather->kept = next;
    }
    memset(gather, 0, sizeof *gather);
}

/* Room for one element more. */
static bool grow(void **array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return true;
    const size_t wanted = *cap == 0 ? 64 : *cap * 2;
    void *more = fw_realloc_array(*array, wanted, size);
    if (more == NULL)
        return false;
    *array = more;
    *cap = wanted;
    return true;
}

void series_server_of(const char *instance, size_t len, const char **name, size_t *name_len)
{
    *name = instance;
    *name_len = len;
    const char *colon = len > 0 ? memchr(instance, ':', len) : NULL;
    if (len > 2 && instance[0] == '[') {
        const char *close = memchr(instance, ']', len);
        if (close != NULL) {
            *name = instance + 1;
            *name_len = (size_t)(close - instance - 1);
        }
        return;
    }
    if (colon == NULL)
        return;
    const size_t host = (size_t)(colon - instance);
    if (host > 0 && memchr(colon + 1, ':', len - host - 1) == NULL)
        *name_len = host; /* one colon only; more of them are an address of version 6 */
}

/* Labels of the target itself, beside which a scrape's series differ. Replicas of Prometheus that
 * watch the same targets are told apart, or their counters would be taken for one. */
static uint64_t target_of(const struct raw_series *series, const char *server, size_t len)
{
    static const char *const labels[] = {"instance",           "job",     "prometheus",
                                         "prometheus_replica", "replica", "__replica__"};
    uint64_t hashes[COUNT(labels) + 1] = {fw_hash_keyed(server, len)};
    for (size_t i = 0; i < COUNT(labels); i++) {
        const struct raw_label *label = raw_series_label(series, labels[i]);
        if (label != NULL)
            hashes[i + 1] = fw_hash_keyed(label->value, label->value_len);
    }
    return fw_hash_keyed(hashes, sizeof hashes);
}

static uint64_t part_of(const struct raw_series *series, const struct series_rule *rule)
{
    uint64_t hashes[SERIES_KEYS_MAX + 1] = {0};
    /* Series of several names may add up to one metric; what belongs to one file system must not
     * differ by name. */
    if (rule->role >= SERIES_SUM && rule->role <= SERIES_WHOLE)
        hashes[SERIES_KEYS_MAX] = fw_hash_keyed(series->name, series->name_len);
    for (size_t i = 0; i < SERIES_KEYS_MAX && rule->keys[i] != NULL; i++) {
        const struct raw_label *label = raw_series_label(series, rule->keys[i]);
        if (label != NULL)
            hashes[i] = fw_hash_keyed(label->value, label->value_len);
    }
    return fw_hash_keyed(hashes, sizeof hashes);
}

/* The label that names the server. NULL: none does. */
static const char *server_of(const struct raw_series *series, size_t *len)
{
    const char *name = NULL;
    const struct raw_label *label = raw_series_label(series, "instance");
    if (label != NULL && label->value_len > 0) {
        series_server_of(label->value, label->value_len, &name, len);
    } else if ((label = raw_series_label(series, "host")) != NULL) {
        name = label->value;
        *len = label->value_len;
    }
    return name != NULL && server_name_valid(name, *len) ? name : NULL;
}

/* Whether the server of the source is the one that server_index() would find. */
static bool known_server(const struct series_gather *g, const struct series_source *source)
{
    const struct series_text *last = g->server_count > 0 ? &g->servers[g->server_count - 1] : NULL;
    return last != NULL && last->len == source->server_len &&
           memcmp(last->text, source->server, last->len) == 0;
}

/* Series of one target stand together, so looking at the last one finds nearly all. */
static bool server_index(struct series_gather *g, const char *name, size_t len, uint32_t *index)
{
    if (g->server_count > 0) {
        const struct series_text *last = &g->servers[g->server_count - 1];
        if (last->len == len && memcmp(last->text, name, len) == 0) {
            *index = (uint32_t)(g->server_count - 1);
            return true;
        }
    }
    void *array = g->servers;
    if (!grow(&array, g->server_count, &g->server_cap, sizeof *g->servers))
        return false;
    g->servers = array;
    g->servers[g->server_count] = (struct series_text){name, (uint32_t)len, 0};
    *index = (uint32_t)g->server_count++;
    return true;
}

/* A copy that lives as long as the gather; NULL when out of memory. */
static const char *keep(struct series_gather *g, const char *text, size_t len)
{
    if (len > KEPT_BYTES)
        len = KEPT_BYTES;
    if (g->kept == NULL || KEPT_BYTES - g->kept->used < len) {
        struct series_kept *more = fw_malloc(sizeof *more);
        if (more == NULL)
            return NULL;
        more->next = g->kept;
        more->used = 0;
        g->kept = more;
    }
    char *to = g->kept->bytes + g->kept->used;
    memcpy(to, text, len);
    g->kept->used += len;
    return to;
}

/* Beyond the limit only the total counts. `lives`: the name is part of the body. */
static bool count_unknown(struct series_gather *g, const struct raw_series *series, size_t samples,
                          bool lives)
{
    g->unmapped += samples;
    uint16_t *cached =
        &g->unknown_cache[fw_hash_keyed(series->name, series->name_len) % SERIES_NAMES_CACHE];
    if (*cached > 0) {
        struct series_text *last = &g->unknown[*cached - 1];
        if (last->len == series->name_len && memcmp(last->text, series->name, last->len) == 0) {
            last->count += (uint32_t)samples;
            return true;
        }
    }
    if (g->unknown_count == SERIES_NAMES_SEEN_MAX || series->name_len > SERIES_NAME_SEEN_MAX)
        return true;
    void *array = g->unknown;
    if (!grow(&array, g->unknown_count, &g->unknown_cap, sizeof *g->unknown))
        return false;
    g->unknown = array;
    const char *name = lives ? series->name : keep(g, series->name, series->name_len);
    if (name == NULL)
        return false;
    g->unknown[g->unknown_count++] =
        (struct series_text){name, series->name_len, (uint32_t)samples};
    *cached = (uint16_t)g->unknown_count;
    return true;
}

/* ---- samples ---- */

struct reading {
    const struct series_meaning *meaning;
    struct series_sample sample; /* what all samples of the series have in common */
    const char *server;
    size_t server_len;
};

static void refuse(struct series_gather *g, const struct reading *r, enum batch_reason reason,
                   const char *what)
{
    batch_reject(g->batch, g->batch->records, reason, NULL, r->server, r->server_len, "%.64s: %s",
                 r->meaning->direct ? g->schema->metrics[r->meaning->metric].name
                                    : r->meaning->rule->series,
                 what);
    g->batch->records++;
}

static bool time_fits(struct series_gather *g, const struct reading *r, int64_t time_ms)
{
    if (time_ms < 0 || time_ms >= BATCH_TIME_END_MS)
        refuse(g, r, BATCH_BAD_TIME, "a time before 1970 or after 9999");
    else if (time_ms < g->oldest_ms)
        refuse(g, r, BATCH_TOO_OLD, "older than what is kept");
    else if (time_ms > g->newest_ms)
        refuse(g, r, BATCH_IN_FUTURE, "too far ahead of this clock");
    else
        return true;
    return false;
}

/* False: nothing to keep, and counted. */
static bool value_fits(struct series_gather *g, const struct reading *r, double value,
                       struct series_sample *out)
{
    out->stale = remote_write_is_stale(value);
    out->value = value * r->meaning->scale + r->meaning->offset;
    if (out->stale) {
        g->stale++;
        return out->role != SERIES_GAUGE; /* a gauge has nothing that could end */
    }
    if (!isfinite(out->value)) {
        g->not_finite++;
        return false;
    }
    if (out->role == SERIES_GAUGE &&
        !schema_accept(&g->schema->metrics[out->metric], &out->value)) {
        refuse(g, r, BATCH_BAD_VALUE, "outside the metric's bounds");
        return false;
    }
    return true;
}

static enum fw_status take_sample(struct series_gather *g, const struct reading *r, int64_t time_ms,
                                  double value)
{
    struct series_sample out = r->sample;
    if (!time_fits(g, r, time_ms) || !value_fits(g, r, value, &out))
        return FW_OK;
    if (g->sample_count == SERIES_SAMPLES_MAX)
        return FW_ELIMIT;
    void *array = g->samples;
    if (!grow(&array, g->sample_count, &g->sample_cap, sizeof *g->samples))
        return FW_ENOMEM;
    g->samples = array;
    out.time_ms = time_ms;
    out.order = (uint32_t)g->sample_count;
    g->samples[g->sample_count++] = out;
    return FW_OK;
}

/* What all samples of a series have in common; the target is the caller's. */
static bool begin_reading(struct series_gather *g, const struct raw_series *id,
                          const struct series_meaning *meaning, const char *server,
                          size_t server_len, struct reading *r)
{
    *r = (struct reading){.meaning = meaning, .server = server, .server_len = server_len};
    r->sample.role = (uint8_t)meaning->role;
    r->sample.kind = meaning->level ? SERIES_LEVEL : SERIES_CUMULATIVE;
    if (meaning->metric >= 0)
        r->sample.metric = (uint16_t)meaning->metric;
    if (meaning->role != SERIES_GAUGE)
        r->sample.part = part_of(id, meaning->rule);
    return server_index(g, server, server_len, &r->sample.server);
}

/* Series of one target stand together and share its labels: one of them is looked at. */
static void take_labels(struct series_gather *g, const struct raw_series *id,
                        const struct reading *r)
{
    if (r->sample.target == g->labelled)
        return;
    g->labelled = r->sample.target;
    if (!batch_labels_begin(g->batch, r->server, r->server_len))
        return;
    for (size_t i = 0; i < id->label_count; i++) {
        const struct raw_label *label = &id->labels[i];
        batch_label(g->batch, label->name, label->name_len, label->value, label->value_len);
    }
    batch_labels_end(g->batch);
}

static enum fw_status refuse_series(struct series_gather *g,
                                    const struct remote_write_series *series)
{
    batch_reject(g->batch, g->batch->records, BATCH_BAD_RECORD, NULL, NULL, 0, "%s",
                 remote_write_fault_text(series->fault));
    g->batch->records++;
    return FW_OK;
}

static enum fw_status take_series(void *ctx, const struct remote_write_series *series)
{
    struct series_gather *g = ctx;
    struct series_meaning meaning;
    struct reading r;
    size_t server_len;
    enum fw_status status = FW_OK;
    if (series->fault != REMOTE_WRITE_FINE)
        return refuse_series(g, series);
    if (!series_rules_find(g->rules, &series->id, &meaning))
        return count_unknown(g, &series->id, series->sample_count, true) ? FW_OK : FW_ENOMEM;
    if (meaning.role == SERIES_IGNORED) {
        g->ignored += series->sample_count;
        return FW_OK;
    }
    const char *server = server_of(&series->id, &server_len);
    if (server == NULL) {
        g->no_server += series->sample_count;
        return FW_OK;
    }
    if (!begin_reading(g, &series->id, &meaning, server, server_len, &r))
        return FW_ENOMEM;
    r.sample.target = target_of(&series->id, server, server_len);
    take_labels(g, &series->id, &r);
    struct remote_write_sample in;
    for (const unsigned char *at = NULL; status == FW_OK && remote_write_next(series, &at, &in);)
        status = take_sample(g, &r, in.time_ms, in.value);
    return status;
}

enum fw_status series_gather_explain(enum fw_status status, struct fw_error *err)
{
    if (status == FW_ELIMIT)
        return fw_fail(err, status, "more than %d samples of known series in one request",
                       SERIES_SAMPLES_MAX);
    if (status == FW_ENOMEM)
        return fw_fail(err, status, "out of memory for this request");
    return status;
}

enum fw_status series_gather_unknown(struct series_gather *gather, const struct raw_series *id,
                                     size_t samples)
{
    return count_unknown(gather, id, samples, false) ? FW_OK : FW_ENOMEM;
}

enum fw_status series_gather_put(struct series_gather *gather, const struct raw_series *id,
                                 const struct series_source *source, int64_t time_ms, double value,
                                 enum series_kind kind)
{
    struct series_meaning meaning;
    struct reading r;
    if (!series_rules_find(gather->rules, id, &meaning))
        return count_unknown(gather, id, 1, false) ? FW_OK : FW_ENOMEM;
    if (meaning.role == SERIES_IGNORED) {
        gather->ignored++;
        return FW_OK;
    }
    if (source->server == NULL || !server_name_valid(source->server, source->server_len)) {
        gather->no_server++;
        return FW_OK;
    }
    const char *server = source->server;
    if (!known_server(gather, source) &&
        (server = keep(gather, source->server, source->server_len)) == NULL)
        return FW_ENOMEM;
    if (!begin_reading(gather, id, &meaning, server, source->server_len, &r))
        return FW_ENOMEM;
    if (kind != SERIES_CUMULATIVE && !meaning.level)
        r.sample.kind = (uint8_t)kind;
    r.sample.loose = source->loose;
    const uint64_t both[2] = {fw_hash_keyed(server, source->server_len), source->target};
    r.sample.target = fw_hash_keyed(both, sizeof both);
    take_labels(gather, id, &r);
    return take_sample(gather, &r, time_ms, value);
}

enum fw_status series_gather_read(struct series_gather *gather, const void *body, size_t len,
                                  struct fw_error *err)
{
    const enum fw_status status = remote_write_read(body, len, take_series, gather, err);
    return series_gather_explain(status, err);
}
