#include "ingest/otlp_internal.h"

#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    struct otlp_reader *reader;
    const char *wrong; /* a member whose value is of the wrong type */
};

/* The elements of a member that is an array; absent and null are empty ones. */
static struct fw_json_iter elements(struct walk *w, struct fw_json_value object, const char *name)
{
    struct fw_json_value list;
    static const struct fw_json_iter none;
    if (!fw_json_get(object, name, &list) || fw_json_type(list) == FW_JSON_NULL)
        return none;
    if (fw_json_type(list) != FW_JSON_ARRAY)
        w->wrong = name;
    return fw_json_type(list) == FW_JSON_ARRAY ? fw_json_walk(list) : none;
}

/* Like fw_json_next(), for none as well. */
static bool next(struct walk *w, struct fw_json_iter *iter, struct fw_json_value *value)
{
    return w->wrong == NULL && iter->here.doc != NULL && fw_json_next(iter, value);
}

/* 64-bit integers are texts, and numbers by some. */
static bool get_integer(struct fw_json_value value, int64_t *out)
{
    size_t len;
    char *end;
    const char *text = fw_json_string(value, &len);
    if (text == NULL)
        return fw_json_int64(value, out);
    errno = 0;
    *out = strtoll(text, &end, 10);
    return len > 0 && end == text + len && errno == 0 &&
           (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'));
}

/* Numbers; "NaN", "Infinity" and "-Infinity" as proto3 has them. */
static bool get_double(struct fw_json_value value, double *out)
{
    size_t len;
    const char *text = fw_json_string(value, &len);
    if (text == NULL)
        return fw_json_number(value, out);
    if (strcmp(text, "NaN") != 0 && strcmp(text, "Infinity") != 0 && strcmp(text, "-Infinity") != 0)
        return false;
    *out = (double)NAN; /* dropped, all three of them */
    return true;
}

/* {"key":...,"value":{"stringValue"|"boolValue"|"intValue"|"doubleValue":...}} */
static void read_attribute(struct walk *w, struct fw_json_value attribute,
                           struct otlp_labels *labels)
{
    struct fw_json_value member, value;
    size_t key_len, len;
    bool flag;
    int64_t integer;
    double number;
    const char *key = NULL, *text;
    if (fw_json_get(attribute, "key", &member))
        key = fw_json_string(member, &key_len);
    if (key == NULL) {
        w->wrong = "key";
        return;
    }
    if (!fw_json_get(attribute, "value", &value))
        return;
    if (fw_json_get(value, "stringValue", &member) && (text = fw_json_string(member, &len)) != NULL)
        otlp_add_text(labels, key, key_len, text, len);
    else if (fw_json_get(value, "boolValue", &member) && fw_json_bool(member, &flag))
        otlp_add_bool(labels, key, key_len, flag);
    else if (fw_json_get(value, "intValue", &member) && get_integer(member, &integer))
        otlp_add_int(labels, key, key_len, integer);
    else if (fw_json_get(value, "doubleValue", &member) && fw_json_number(member, &number))
        otlp_add_double(labels, key, key_len, number);
}

static void read_attributes(struct walk *w, struct fw_json_value object, struct otlp_labels *labels)
{
    struct fw_json_value attribute;
    struct fw_json_iter iter = elements(w, object, "attributes");
    labels->count = 0;
    while (next(w, &iter, &attribute))
        read_attribute(w, attribute, labels);
}

static enum fw_status read_point(struct walk *w, struct fw_json_value object)
{
    struct otlp_point point = {.no_value = true};
    struct fw_json_value member;
    int64_t integer;
    read_attributes(w, object, &w->reader->point);
    if (fw_json_get(object, "timeUnixNano", &member)) {
        if (!get_integer(member, &integer) || integer < 0)
            w->wrong = "timeUnixNano";
        else
            point.time_ns = (uint64_t)integer;
    }
    if (fw_json_get(object, "asDouble", &member)) {
        point.no_value = false;
        if (!get_double(member, &point.value))
            w->wrong = "asDouble";
    } else if (fw_json_get(object, "asInt", &member)) {
        point.no_value = false;
        if (!get_integer(member, &integer))
            w->wrong = "asInt";
        else
            point.value = (double)integer;
    }
    if (fw_json_get(object, "flags", &member) && get_integer(member, &integer) && (integer & 1))
        point.no_value = true;
    return w->wrong == NULL ? otlp_put(w->reader, &point) : FW_OK;
}

static enum otlp_temporality get_temporality(struct fw_json_value sum)
{
    struct fw_json_value member;
    int64_t number = OTLP_UNSPECIFIED;
    size_t len;
    if (!fw_json_get(sum, "aggregationTemporality", &member))
        return OTLP_UNSPECIFIED;
    const char *text = fw_json_string(member, &len);
    if (text != NULL && strcmp(text, "AGGREGATION_TEMPORALITY_DELTA") == 0)
        return OTLP_DELTA;
    if (text != NULL && strcmp(text, "AGGREGATION_TEMPORALITY_CUMULATIVE") == 0)
        return OTLP_CUMULATIVE;
    return fw_json_int64(member, &number) && (number == OTLP_DELTA || number == OTLP_CUMULATIVE)
               ? (enum otlp_temporality)number
               : OTLP_UNSPECIFIED;
}

static enum fw_status read_points(struct walk *w, struct fw_json_value list, bool is_sum)
{
    struct fw_json_value point;
    struct fw_json_iter iter = elements(w, list, "dataPoints");
    enum fw_status status = FW_OK;
    w->reader->is_sum = is_sum;
    if (is_sum)
        w->reader->temporality = get_temporality(list);
    while (status == FW_OK && next(w, &iter, &point))
        status = read_point(w, point);
    return status;
}

static enum fw_status read_metric(struct walk *w, struct fw_json_value metric)
{
    static const char *const others[] = {"histogram", "exponentialHistogram", "summary"};
    struct fw_json_value member;
    size_t len = 0;
    const char *name = NULL;
    if (fw_json_get(metric, "name", &member))
        name = fw_json_string(member, &len);
    otlp_begin_metric(w->reader, name != NULL ? name : "", len);
    if (fw_json_get(metric, "gauge", &member))
        return read_points(w, member, false);
    if (fw_json_get(metric, "sum", &member))
        return read_points(w, member, true);
    for (size_t i = 0; i < COUNT(others); i++) {
        struct fw_json_value points;
        if (fw_json_get(metric, others[i], &member) && fw_json_get(member, "dataPoints", &points))
            return series_gather_unknown(w->reader->gather, &w->reader->series,
                                         fw_json_count(points));
    }
    return FW_OK;
}

static enum fw_status read_scopes(struct walk *w, struct fw_json_value resource_metrics)
{
    struct fw_json_value scope, metric;
    struct fw_json_iter scopes = elements(w, resource_metrics, "scopeMetrics");
    enum fw_status status = FW_OK;
    while (status == FW_OK && next(w, &scopes, &scope)) {
        struct fw_json_iter metrics = elements(w, scope, "metrics");
        while (status == FW_OK && next(w, &metrics, &metric))
            status = read_metric(w, metric);
    }
    return status;
}

static enum fw_status read_root(struct walk *w, struct fw_json_value root)
{
    struct fw_json_value item, resource;
    struct fw_json_iter iter = elements(w, root, "resourceMetrics");
    enum fw_status status = FW_OK;
    while (status == FW_OK && next(w, &iter, &item)) {
        w->reader->resource.count = 0;
        if (fw_json_get(item, "resource", &resource))
            read_attributes(w, resource, &w->reader->resource);
        otlp_end_resource(w->reader);
        status = read_scopes(w, item);
    }
    return status;
}

enum fw_status otlp_read_json(struct series_gather *gather, const char *body, size_t len,
                              const char *peer, struct fw_error *err)
{
    struct fw_json_value root = {0};
    struct fw_json_parser *parser = fw_json_parser_new(OTLP_JSON_BYTES_MAX, OTLP_JSON_DEPTH_MAX);
    struct walk w = {.reader = otlp_reader_new(gather, peer)};
    enum fw_status status = FW_ENOMEM;
    if (parser != NULL && w.reader != NULL)
        status = fw_json_parse(parser, body, len, &root, err);
    else
        (void)series_gather_explain(status, err);
    if (status == FW_OK && fw_json_type(root) != FW_JSON_OBJECT)
        status = fw_fail(err, FW_EINVAL, "expected a JSON object");
    else if (status == FW_OK)
        status = series_gather_explain(read_root(&w, root), err);
    if (status == FW_OK && w.wrong != NULL)
        status = fw_fail(err, FW_EINVAL, "\"%s\" has a value of the wrong type", w.wrong);
    otlp_reader_free(w.reader);
    fw_json_parser_free(parser);
    return status;
}
