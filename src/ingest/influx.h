/* Line protocol's points as raw series: each numeric field of a line is one, named
 * MEASUREMENT.FIELD, with the line's tags as labels, of the server that the tag `host` names.
 * Fields of the measurement `forewarn` have their own name alone, so that they can be metrics of
 * the schema. Booleans are 0 and 1; texts are passed over. */
#ifndef FW_INGEST_INFLUX_H
#define FW_INGEST_INFLUX_H

#include "ingest/line_protocol.h"
#include "ingest/series_gather.h"

/* The first thing that was refused. */
struct influx_refusal {
    size_t line; /* 0: nothing was */
    char text[160];
};

/* Reads a body. A line with a fault, and a sample with an impossible time or value, is a refusal in
 * the gather's batch; others are taken all the same. FW_ELIMIT: more than SERIES_SAMPLES_MAX
 * samples; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status influx_read(struct series_gather *gather, const char *body, size_t len,
                                         enum line_precision precision, int64_t now_ms,
                                         struct influx_refusal *first, struct fw_error *err);

#endif
