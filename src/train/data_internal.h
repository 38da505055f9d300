/* How the reader of CSV files fills a struct train_data. Internal to the folder. */
#ifndef FW_TRAIN_DATA_INTERNAL_H
#define FW_TRAIN_DATA_INTERNAL_H

#include "train/data.h"

/* The series of that name, made when it is new. NULL and err: no memory, or too many. */
struct train_series *train_data_series(struct train_data *data, const char *name, size_t len,
                                       struct fw_error *err);

/* Makes the series reach a step; *at is its index. */
FW_MUST_CHECK enum fw_status train_series_reach(struct train_series *series, int64_t step,
                                                size_t *at, struct fw_error *err);
FW_MUST_CHECK enum fw_status train_series_add(struct train_series *series, size_t column, size_t at,
                                              double value, struct fw_error *err);
FW_MUST_CHECK enum fw_status train_series_status(struct train_series *series, size_t at,
                                                 uint8_t status, struct fw_error *err);

/* After the last row. */
void train_data_finish(struct train_data *data);

#endif
