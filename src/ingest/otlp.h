/* OTLP metrics (opentelemetry-proto, metrics/v1), as protobuf or as its JSON: each number data
 * point is a sample of a raw series named like its metric, with its attributes and its resource's
 * as labels. Histograms and summaries are counted and dropped.
 *
 * The server is the resource's host.name, else host.id, k8s.node.name, service.instance.id, else
 * the peer's address. Delta sums are added up in the series book; a point flagged as without a
 * value ends its series. Pure functions over bytes from the network; any thread. */
#ifndef FW_INGEST_OTLP_H
#define FW_INGEST_OTLP_H

#include "ingest/series_gather.h"

enum {
    OTLP_JSON_DEPTH_MAX = 32,
    OTLP_JSON_BYTES_MAX = 8 << 20 /* a parsed one takes a dozen times as much */
};

/* Reads an ExportMetricsServiceRequest. A point with an impossible time or value, or of a sum whose
 * temporality is not said, is a refusal in the gather's batch; others are taken all the same.
 * FW_EINVAL: the bytes are none, err->offset says where, nothing of them counts; FW_ELIMIT: more
 * than SERIES_SAMPLES_MAX samples (JSON: too long or too deep as well); FW_ENOMEM. */
FW_MUST_CHECK enum fw_status otlp_read_protobuf(struct series_gather *gather, const char *body,
                                                size_t len, const char *peer, struct fw_error *err);
FW_MUST_CHECK enum fw_status otlp_read_json(struct series_gather *gather, const char *body,
                                            size_t len, const char *peer, struct fw_error *err);

#endif
