/* Samples as CSV, the layout that all commands read:
 * `timestamp,server_name,status,profile,<metric>...`, ISO 8601 UTC, one line per row, an empty
 * field for a missing value. */
#ifndef FW_SIMULATE_CSV_H
#define FW_SIMULATE_CSV_H

#include "base/status.h"
#include "domain/batch.h"
#include "simulate/fleet.h"

struct simulate_csv;

/* Opens for writing and puts the heading: "-" is standard output, a name that ends in ".gz" is
 * gzipped (without a time stamp, so that equal content gives equal bytes). Columns are the 14
 * canonical metrics. FW_EIO; FW_ENOMEM. *out is the caller's, and only simulate_csv_close() tells
 * whether everything was written. */
FW_MUST_CHECK enum fw_status simulate_csv_open(const char *path, struct simulate_csv **out,
                                               struct fw_error *err);
/* FW_EIO: the disk is full, or the reader went away; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status
simulate_csv_rows(struct simulate_csv *csv, const struct sample_batch *batch, struct fw_error *err);
/* Closes in any case; NULL gives FW_OK. */
FW_MUST_CHECK enum fw_status simulate_csv_close(struct simulate_csv *csv, struct fw_error *err);

/* The fleet's incidents as `server_name,start,end,metrics,kind`, both ends inclusive, metrics
 * separated by ';', an empty end where an incident lasts beyond the last step. Written as
 * simulate_csv_open() would. */
FW_MUST_CHECK enum fw_status
simulate_csv_labels(const char *path, const struct simulate_fleet *fleet, struct fw_error *err);

#endif
