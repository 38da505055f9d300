/* One record of a JSON body to one row of a batch. */
#ifndef FW_INGEST_RECORD_H
#define FW_INGEST_RECORD_H

#include "base/json.h"
#include "domain/batch.h"
#include "ingest/fields.h"

/* Adds the record's row to the batch, or counts its refusal there; `index` is its place in the
 * request. FW_ENOMEM only. */
FW_MUST_CHECK enum fw_status ingest_record(const struct ingest_fields *fields,
                                           struct fw_json_value record, size_t index,
                                           struct sample_batch *batch);

/* A text that is one decimal number and nothing else, finite. */
bool ingest_number_text(const char *text, size_t len, double *value);

#endif
