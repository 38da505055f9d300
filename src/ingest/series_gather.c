#include "ingest/series_gather.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <math.h>
#include <string.h>

void series_gather_init(struct series_gather *gather, const struct series_rules *rules,
                        const struct schema *schema, struct sample_batch *batch)
{
    memset(gather, 0, sizeof *gather);
    gather->rules = rules;
    gather->schema = schema;
    gather->batch = batch;
    gather->newest_ms = BATCH_TIME_END_MS;
}

void series_gather_fini(struct series_gather *gather)
{
    fw_free(gather->samples);
    fw_free(gather->servers);
    fw_free(gather->unknown);
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
static uint64_t target_of(const struct remote_write_series *series, const char *server, size_t len)
{
    static const char *const labels[] = {"instance",           "job",     "prometheus",
                                         "prometheus_replica", "replica", "__replica__"};
    uint64_t hashes[COUNT(labels) + 1] = {fw_hash_keyed(server, len)};
    for (size_t i = 0; i < COUNT(labels); i++) {
        const struct remote_write_label *label = remote_write_label(series, labels[i]);
        if (label != NULL)
            hashes[i + 1] = fw_hash_keyed(label->value, label->value_len);
    }
    return fw_hash_keyed(hashes, sizeof hashes);
}

static uint64_t part_of(const struct remote_write_series *series, const struct series_rule *rule)
{
    uint64_t hashes[SERIES_KEYS_MAX] = {0};
    for (size_t i = 0; i < SERIES_KEYS_MAX && rule->keys[i] != NULL; i++) {
        const struct remote_write_label *label = remote_write_label(series, rule->keys[i]);
        if (label != NULL)
            hashes[i] = fw_hash_keyed(label->value, label->value_len);
    }
    return fw_hash_keyed(hashes, sizeof hashes);
}

/* The label that names the server. NULL: none does. */
static const char *server_of(const struct remote_write_series *series, size_t *len)
{
    const char *name = NULL;
    const struct remote_write_label *label = remote_write_label(series, "instance");
    if (label != NULL && label->value_len > 0) {
        series_server_of(label->value, label->value_len, &name, len);
    } else if ((label = remote_write_label(series, "host")) != NULL) {
        name = label->value;
        *len = label->value_len;
    }
    return name != NULL && server_name_valid(name, *len) ? name : NULL;
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

/* Beyond the limit only the total counts. */
static bool count_unknown(struct series_gather *g, const struct remote_write_series *series)
{
    g->unmapped += series->sample_count;
    if (g->unknown_count > 0) {
        struct series_text *last = &g->unknown[g->unknown_count - 1];
        if (last->len == series->name_len && memcmp(last->text, series->name, last->len) == 0) {
            last->count += (uint32_t)series->sample_count;
            return true;
        }
    }
    if (g->unknown_count == SERIES_NAMES_SEEN_MAX)
        return true;
    void *array = g->unknown;
    if (!grow(&array, g->unknown_count, &g->unknown_cap, sizeof *g->unknown))
        return false;
    g->unknown = array;
    g->unknown[g->unknown_count++] =
        (struct series_text){series->name, series->name_len, (uint32_t)series->sample_count};
    return true;
}

/* ---- samples ---- */

struct reading {
    const struct remote_write_series *series;
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
static bool value_fits(struct series_gather *g, const struct reading *r,
                       const struct remote_write_sample *in, struct series_sample *out)
{
    out->stale = remote_write_is_stale(in->value);
    out->value = in->value * r->meaning->scale;
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

static enum fw_status take_samples(struct series_gather *g, struct reading *r)
{
    struct remote_write_sample in;
    for (const unsigned char *at = NULL; remote_write_next(r->series, &at, &in);) {
        struct series_sample out = r->sample;
        if (!time_fits(g, r, in.time_ms) || !value_fits(g, r, &in, &out))
            continue;
        if (g->sample_count == SERIES_SAMPLES_MAX)
            return FW_ELIMIT;
        void *array = g->samples;
        if (!grow(&array, g->sample_count, &g->sample_cap, sizeof *g->samples))
            return FW_ENOMEM;
        g->samples = array;
        out.time_ms = in.time_ms;
        out.order = (uint32_t)g->sample_count;
        g->samples[g->sample_count++] = out;
    }
    return FW_OK;
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
    if (series->fault != REMOTE_WRITE_FINE)
        return refuse_series(g, series);
    if (!series_rules_find(g->rules, series, &meaning))
        return count_unknown(g, series) ? FW_OK : FW_ENOMEM;
    if (meaning.role == SERIES_IGNORED) {
        g->ignored += series->sample_count;
        return FW_OK;
    }
    struct reading r = {.series = series, .meaning = &meaning};
    r.server = server_of(series, &r.server_len);
    if (r.server == NULL) {
        g->no_server += series->sample_count;
        return FW_OK;
    }
    r.sample.role = (uint8_t)meaning.role;
    if (!server_index(g, r.server, r.server_len, &r.sample.server))
        return FW_ENOMEM;
    r.sample.target = target_of(series, r.server, r.server_len);
    if (meaning.role == SERIES_GAUGE)
        r.sample.metric = (uint16_t)meaning.metric;
    else
        r.sample.part = part_of(series, meaning.rule);
    return take_samples(g, &r);
}

enum fw_status series_gather_read(struct series_gather *gather, const void *body, size_t len,
                                  struct fw_error *err)
{
    const enum fw_status status = remote_write_read(body, len, take_series, gather, err);
    if (status == FW_ELIMIT)
        return fw_fail(err, status, "more than %d samples of known series in one request",
                       SERIES_SAMPLES_MAX);
    if (status == FW_ENOMEM)
        return fw_fail(err, status, "out of memory for this request");
    return status;
}
