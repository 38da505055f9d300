/* The history that a model is trained on: CSV files on a grid of steps, one column of floats for
 * every metric of a server. Nothing else of the data is ever in memory: samples are drawn from it.
 */
#ifndef FW_TRAIN_DATA_H
#define FW_TRAIN_DATA_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRAIN_COLUMNS_MAX = 64,
    TRAIN_COLUMN_NAME_MAX = 63,
    TRAIN_SERIES_MAX = 100000,
    TRAIN_STEPS_MAX = 1 << 22, /* from a server's first step to its last: 39 years of 5 minutes */
    TRAIN_LINE_MAX = 1 << 16,
    TRAIN_STEP_S = 300,
};

struct train_series {
    char *name;
    uint8_t profile;                 /* enum profile */
    bool profile_given;              /* by the data; else it comes from the name */
    int64_t first;                   /* step: seconds since 1970 / step_s, rounded down */
    size_t steps;                    /* up to and with the last one that has a row */
    float *value[TRAIN_COLUMNS_MAX]; /* (steps), NaN = missing; NULL: the server has none at all */
    uint8_t *count[TRAIN_COLUMNS_MAX]; /* samples in each step; while reading only */
    uint8_t *status;                   /* (steps) enum server_status; NULL: the data has none */
    size_t capacity;
};

struct train_data {
    size_t n_columns;
    char column[TRAIN_COLUMNS_MAX][TRAIN_COLUMN_NAME_MAX + 1];
    size_t n_series;
    struct train_series *series; /* in order of name */
    bool has_status;
    uint64_t rows, values;
    uint64_t refused;            /* values outside their metric's bounds, taken as missing */
    size_t files, files_skipped; /* in directories: without a timestamp column first */
    size_t capacity;
    size_t *bucket; /* hash table of names while reading */
    size_t n_buckets;
};

/* Reads CSV files, plain or gzip, and directories of them (not their subdirectories): a header
 * "timestamp,server_name[,status][,profile],<metric>...", then rows in any order. Empty fields are
 * missing; several rows of one server in one step are averaged. Values of metrics that the default
 * schema knows must lie within their bounds. On success *out is the caller's, released with
 * train_data_free(). Errors name file and line (err->offset is the line): FW_EINVAL not such a
 * file; FW_ELIMIT beyond the limits above; FW_ENOTFOUND, FW_EIO, FW_ENOMEM. */
FW_MUST_CHECK enum fw_status train_data_read(size_t n, const char *const *paths,
                                             struct train_data **out, struct fw_error *err);
void train_data_free(struct train_data *data);

/* The column's place, or -1. */
int train_data_column(const struct train_data *data, const char *name);

#endif
