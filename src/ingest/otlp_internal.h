/* What both forms of OTLP do with a point once they have found it. Private to this folder. */
#ifndef FW_INGEST_OTLP_INTERNAL_H
#define FW_INGEST_OTLP_INTERNAL_H

#include "ingest/otlp.h"

/* Attributes beyond RAW_SERIES_LABELS_MAX are left out; the points' own come first. */
struct otlp_labels {
    size_t count;
    struct raw_label labels[RAW_SERIES_LABELS_MAX];
    char texts[RAW_SERIES_LABELS_MAX][32]; /* of numbers and booleans */
};

enum otlp_temporality { OTLP_UNSPECIFIED, OTLP_DELTA, OTLP_CUMULATIVE };

struct otlp_point {
    uint64_t time_ns;
    double value;
    bool no_value;
};

struct otlp_reader {
    struct series_gather *gather;
    const char *peer;
    struct otlp_labels resource, point;
    struct series_source source;
    uint64_t identity; /* of the resource, beside its server */
    struct raw_series series;
    bool is_sum;
    enum otlp_temporality temporality;
};

/* NULL when out of memory: it is large. */
struct otlp_reader *otlp_reader_new(struct series_gather *gather, const char *peer);
void otlp_reader_free(struct otlp_reader *reader);

void otlp_add_text(struct otlp_labels *labels, const char *key, size_t key_len, const char *value,
                   size_t value_len);
void otlp_add_int(struct otlp_labels *labels, const char *key, size_t key_len, int64_t value);
void otlp_add_double(struct otlp_labels *labels, const char *key, size_t key_len, double value);
void otlp_add_bool(struct otlp_labels *labels, const char *key, size_t key_len, bool value);

/* All attributes of the resource are there: who it is. */
void otlp_end_resource(struct otlp_reader *reader);
void otlp_begin_metric(struct otlp_reader *reader, const char *name, size_t len);
/* A point whose attributes are in reader->point. */
FW_MUST_CHECK enum fw_status otlp_put(struct otlp_reader *reader, const struct otlp_point *point);

#endif
