/* How the readers of CSV files and of data directories fill a struct history. Internal to the
 * folder. */
#ifndef FW_HISTORY_HISTORY_INTERNAL_H
#define FW_HISTORY_HISTORY_INTERNAL_H

#include "history/history.h"

/* The series of that name, made when it is new. NULL and err: no memory, or too many. */
struct history_series *history_series_of(struct history *data, const char *name, size_t len,
                                         struct fw_error *err);

/* Makes the series reach a step; *at is its index. */
FW_MUST_CHECK enum fw_status history_series_reach(struct history_series *series, int64_t step,
                                                  size_t *at, struct fw_error *err);
/* `exact`: what its exact mean is made of; NULL: none is kept. */
FW_MUST_CHECK enum fw_status history_series_add(struct history_series *series, size_t column,
                                                size_t at, double value, const double *exact,
                                                struct fw_error *err);
FW_MUST_CHECK enum fw_status history_series_status(struct history_series *series, size_t at,
                                                   uint8_t status, struct fw_error *err);

/* The place of the column of that name (1 to HISTORY_COLUMN_NAME_MAX bytes), made when it is new.
 * FW_ELIMIT. */
FW_MUST_CHECK enum fw_status history_column_of(struct history *data, const char *name, int *column,
                                               struct fw_error *err);

/* Adds what a daemon's data directory holds. *is_one: `path` is such a directory; otherwise nothing
 * is done. Errors as history_read(). */
struct schema;
FW_MUST_CHECK enum fw_status history_read_datadir(struct history *data,
                                                  const struct history_options *options,
                                                  const struct schema *schema, const char *path,
                                                  bool *is_one, struct fw_error *err);

/* After the last row. */
void history_finish(struct history *data);

#endif
