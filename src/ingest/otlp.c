#include "ingest/otlp_internal.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct otlp_reader *otlp_reader_new(struct series_gather *gather, const char *peer)
{
    struct otlp_reader *reader = fw_calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->gather = gather;
    reader->peer = peer;
    return reader;
}

void otlp_reader_free(struct otlp_reader *reader)
{
    fw_free(reader);
}

/* ---- attributes ---- */

void otlp_add_text(struct otlp_labels *labels, const char *key, size_t key_len, const char *value,
                   size_t value_len)
{
    if (labels->count == RAW_SERIES_LABELS_MAX || key_len > UINT32_MAX || value_len > UINT32_MAX)
        return;
    labels->labels[labels->count++] =
        (struct raw_label){key, value, (uint32_t)key_len, (uint32_t)value_len};
}

static void add_printed(struct otlp_labels *labels, const char *key, size_t key_len, int len)
{
    if (len > 0)
        otlp_add_text(labels, key, key_len, labels->texts[labels->count], (size_t)len);
}

void otlp_add_int(struct otlp_labels *labels, const char *key, size_t key_len, int64_t value)
{
    if (labels->count < RAW_SERIES_LABELS_MAX)
        add_printed(
            labels, key, key_len,
            snprintf(labels->texts[labels->count], sizeof labels->texts[0], "%" PRId64, value));
}

void otlp_add_double(struct otlp_labels *labels, const char *key, size_t key_len, double value)
{
    if (labels->count < RAW_SERIES_LABELS_MAX)
        add_printed(
            labels, key, key_len,
            snprintf(labels->texts[labels->count], sizeof labels->texts[0], "%.17g", value));
}

void otlp_add_bool(struct otlp_labels *labels, const char *key, size_t key_len, bool value)
{
    otlp_add_text(labels, key, key_len, value ? "true" : "false", value ? 4 : 5);
}

static const struct raw_label *find(const struct otlp_labels *labels, const char *name)
{
    const size_t len = strlen(name);
    for (size_t i = 0; i < labels->count; i++)
        if (labels->labels[i].name_len == len && memcmp(labels->labels[i].name, name, len) == 0)
            return &labels->labels[i];
    return NULL;
}

/* ---- resources, metrics, points ---- */

static uint64_t hash_of(const struct raw_label *label)
{
    return label != NULL ? fw_hash_keyed(label->value, label->value_len) : 0;
}

void otlp_end_resource(struct otlp_reader *reader)
{
    static const char *const names[] = {"host.name", "host.id", "k8s.node.name",
                                        "service.instance.id"};
    reader->source.server = reader->peer;
    reader->source.server_len = strlen(reader->peer);
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct raw_label *label = find(&reader->resource, names[i]);
        if (label == NULL || !server_name_valid(label->value, label->value_len))
            continue;
        reader->source.server = label->value;
        reader->source.server_len = label->value_len;
        break;
    }
    const uint64_t hashes[2] = {hash_of(find(&reader->resource, "service.instance.id")),
                                hash_of(find(&reader->resource, "service.name"))};
    reader->identity = fw_hash_keyed(hashes, sizeof hashes);
}

/* The points of a metric carry one time; those of different metrics may differ by the milliseconds
 * that the collector took, so each is a target of its own. */
void otlp_begin_metric(struct otlp_reader *reader, const char *name, size_t len)
{
    reader->series.name = name;
    reader->series.name_len = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
    const uint64_t hashes[2] = {reader->identity, fw_hash_keyed(name, len)};
    reader->source.target = fw_hash_keyed(hashes, sizeof hashes);
    reader->is_sum = false;
    reader->temporality = OTLP_UNSPECIFIED;
}

static void set_labels(struct otlp_reader *reader)
{
    struct raw_series *series = &reader->series;
    size_t n = reader->point.count, more = reader->resource.count;
    memcpy(series->labels, reader->point.labels, n * sizeof series->labels[0]);
    if (more > RAW_SERIES_LABELS_MAX - n)
        more = RAW_SERIES_LABELS_MAX - n;
    memcpy(series->labels + n, reader->resource.labels, more * sizeof series->labels[0]);
    series->label_count = n + more;
}

enum fw_status otlp_put(struct otlp_reader *reader, const struct otlp_point *point)
{
    static const uint64_t stale_bits = REMOTE_WRITE_STALE;
    struct sample_batch *batch = reader->gather->batch;
    double value = point->value;
    if (point->no_value)
        memcpy(&value, &stale_bits, sizeof value);
    if (reader->is_sum && reader->temporality == OTLP_UNSPECIFIED) {
        batch_reject(batch, batch->records, BATCH_BAD_RECORD, NULL, NULL, 0,
                     "a sum without an aggregation temporality");
        batch->records++;
        return FW_OK;
    }
    set_labels(reader);
    return series_gather_put(
        reader->gather, &reader->series, &reader->source, (int64_t)(point->time_ns / 1000000),
        value,
        reader->is_sum && reader->temporality == OTLP_DELTA ? SERIES_DELTA : SERIES_CUMULATIVE);
}
