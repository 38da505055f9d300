#include "ingest/otlp_internal.h"
#include "ingest/protobuf.h"

/* A message under way: its bytes. */
struct span {
    const unsigned char *at, *end;
};

struct walk {
    struct otlp_reader *reader;
    const unsigned char *wrong; /* where the bytes are no field */
};

/* The next field; false at the end, and when there is none (w->wrong is then set). */
static bool next(struct walk *w, struct span *span, struct pb_field *field, struct span *inner)
{
    if (w->wrong != NULL || span->at == span->end)
        return false;
    if (!pb_get_field(&span->at, span->end, field)) {
        w->wrong = span->at;
        return false;
    }
    if (field->wire == PB_BYTES)
        *inner = (struct span){field->bytes, span->at};
    return true;
}

static size_t length(const struct span *span)
{
    return (size_t)(span->end - span->at);
}

static double as_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* AnyValue: string 1, bool 2, int 3, double 4; lists and bytes are no labels. */
static void read_value(struct walk *w, struct span span, struct otlp_labels *labels,
                       const struct span *key)
{
    struct pb_field field;
    struct span inner;
    const char *name = (const char *)key->at;
    while (next(w, &span, &field, &inner)) {
        if (pb_is_bytes(&field, 1))
            otlp_add_text(labels, name, length(key), (const char *)inner.at, length(&inner));
        else if (field.number == 2 && field.wire == PB_VARINT)
            otlp_add_bool(labels, name, length(key), field.value != 0);
        else if (field.number == 3 && field.wire == PB_VARINT)
            otlp_add_int(labels, name, length(key), (int64_t)field.value);
        else if (field.number == 4 && field.wire == PB_FIXED64)
            otlp_add_double(labels, name, length(key), as_double(field.value));
    }
}

/* KeyValue: key 1, value 2. */
static void read_attribute(struct walk *w, struct span span, struct otlp_labels *labels)
{
    struct pb_field field;
    struct span inner, key = {(const unsigned char *)"", (const unsigned char *)""};
    struct span value = key;
    while (next(w, &span, &field, &inner)) {
        if (pb_is_bytes(&field, 1))
            key = inner;
        else if (pb_is_bytes(&field, 2))
            value = inner;
    }
    read_value(w, value, labels, &key);
}

/* NumberDataPoint: time 3, double 4, int 6, attributes 7, flags 8. */
static enum fw_status read_point(struct walk *w, struct span span)
{
    struct otlp_point point = {0};
    struct pb_field field;
    struct span inner;
    bool has_value = false;
    w->reader->point.count = 0;
    while (next(w, &span, &field, &inner)) {
        if (field.number == 3 && field.wire == PB_FIXED64) {
            point.time_ns = field.value;
        } else if (field.number == 4 && field.wire == PB_FIXED64) {
            point.value = as_double(field.value);
            has_value = true;
        } else if (field.number == 6 && field.wire == PB_FIXED64) {
            point.value = (double)(int64_t)field.value;
            has_value = true;
        } else if (pb_is_bytes(&field, 7)) {
            read_attribute(w, inner, &w->reader->point);
        } else if (field.number == 8 && field.wire == PB_VARINT) {
            point.no_value = field.value & 1;
        }
    }
    point.no_value = point.no_value || !has_value;
    return w->wrong == NULL ? otlp_put(w->reader, &point) : FW_OK;
}

/* Gauge and Sum: data points 1; Sum: temporality 2, which may stand behind the points. */
static enum fw_status read_points(struct walk *w, struct span span, bool is_sum)
{
    struct pb_field field;
    struct span inner, again = span;
    enum fw_status status = FW_OK;
    w->reader->is_sum = is_sum;
    while (is_sum && next(w, &again, &field, &inner))
        if (field.number == 2 && field.wire == PB_VARINT)
            w->reader->temporality = field.value <= OTLP_CUMULATIVE
                                         ? (enum otlp_temporality)field.value
                                         : OTLP_UNSPECIFIED;
    while (status == FW_OK && next(w, &span, &field, &inner))
        if (pb_is_bytes(&field, 1))
            status = read_point(w, inner);
    return status;
}

/* Histograms and summaries: how many points. */
static enum fw_status count_points(struct walk *w, struct span span)
{
    struct pb_field field;
    struct span inner;
    size_t n = 0;
    while (next(w, &span, &field, &inner))
        n += pb_is_bytes(&field, 1);
    return series_gather_unknown(w->reader->gather, &w->reader->series, n);
}

/* Metric: name 1, gauge 5, sum 7, histogram 9, exponential histogram 10, summary 11. */
static enum fw_status read_metric(struct walk *w, struct span span)
{
    struct pb_field field;
    struct span inner, again = span, name = {(const unsigned char *)"", (const unsigned char *)""};
    enum fw_status status = FW_OK;
    while (next(w, &again, &field, &inner))
        if (pb_is_bytes(&field, 1))
            name = inner;
    otlp_begin_metric(w->reader, (const char *)name.at, length(&name));
    while (status == FW_OK && next(w, &span, &field, &inner)) {
        if (pb_is_bytes(&field, 5))
            status = read_points(w, inner, false);
        else if (pb_is_bytes(&field, 7))
            status = read_points(w, inner, true);
        else if (pb_is_bytes(&field, 9) || pb_is_bytes(&field, 10) || pb_is_bytes(&field, 11))
            status = count_points(w, inner);
    }
    return status;
}

/* ScopeMetrics: metrics 2. */
static enum fw_status read_scope(struct walk *w, struct span span)
{
    struct pb_field field;
    struct span inner;
    enum fw_status status = FW_OK;
    while (status == FW_OK && next(w, &span, &field, &inner))
        if (pb_is_bytes(&field, 2))
            status = read_metric(w, inner);
    return status;
}

/* Resource: attributes 1. */
static void read_resource(struct walk *w, struct span span)
{
    struct pb_field field;
    struct span inner;
    while (next(w, &span, &field, &inner))
        if (pb_is_bytes(&field, 1))
            read_attribute(w, inner, &w->reader->resource);
}

/* ResourceMetrics: resource 1, scope metrics 2, in any order. */
static enum fw_status read_resource_metrics(struct walk *w, struct span span)
{
    struct pb_field field;
    struct span inner, again = span;
    enum fw_status status = FW_OK;
    w->reader->resource.count = 0;
    while (next(w, &again, &field, &inner))
        if (pb_is_bytes(&field, 1))
            read_resource(w, inner);
    otlp_end_resource(w->reader);
    while (status == FW_OK && next(w, &span, &field, &inner))
        if (pb_is_bytes(&field, 2))
            status = read_scope(w, inner);
    return status;
}

enum fw_status otlp_read_protobuf(struct series_gather *gather, const char *body, size_t len,
                                  const char *peer, struct fw_error *err)
{
    struct pb_field field;
    struct span inner;
    enum fw_status status = FW_OK;
    if (len == 0)
        return FW_OK; /* `body` may be NULL */
    const unsigned char *begin = (const unsigned char *)body;
    struct span span = {begin, begin + len};
    struct walk w = {.reader = otlp_reader_new(gather, peer)};
    if (w.reader == NULL)
        return series_gather_explain(FW_ENOMEM, err);
    while (status == FW_OK && next(&w, &span, &field, &inner))
        if (pb_is_bytes(&field, 1))
            status = read_resource_metrics(&w, inner);
    otlp_reader_free(w.reader);
    if (w.wrong != NULL)
        return fw_fail_at(err, FW_EINVAL, (uint64_t)(w.wrong - begin),
                          "no protobuf field at byte %td of the body", w.wrong - begin);
    return series_gather_explain(status, err);
}
