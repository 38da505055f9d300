/* What requests are judged by and a reload replaces: thresholds and bounds, the meaning of raw
 * series, the labels that are kept. Immutable and counted: a request holds the set that it began
 * with until its answer, so it never sees a half of one and a half of another. Private to this
 * folder. */
#ifndef FW_API_RULES_H
#define FW_API_RULES_H

#include "api/api_internal.h"
#include "api/decoders.h"
#include "domain/labels.h"
#include "ingest/series_rules.h"

struct api_rules {
    atomic_uint references;
    struct schema schema;
    struct label_rules labels;
    struct series_rules *series;
    struct api_decoders *decoders; /* of this schema */
};

/* The current ones, retained. Any thread. */
struct api_rules *api_rules_current(struct api *api);
struct api_rules *api_rules_retain(struct api_rules *rules);

#endif
