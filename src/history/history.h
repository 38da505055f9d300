/* What happened: the history of a fleet from CSV files or from a daemon's data directory, on a grid
 * of steps, one column of floats for every metric of a server. Training draws its samples from it,
 * evaluation and backtest replay it. */
#ifndef FW_HISTORY_HISTORY_H
#define FW_HISTORY_HISTORY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HISTORY_COLUMNS_MAX = 256,
    HISTORY_COLUMN_NAME_MAX = 63,
    HISTORY_SERIES_MAX = 100000,
    HISTORY_STEPS_MAX = 1 << 22, /* from a server's first step to its last: 39 years of 5 minutes */
    HISTORY_LINE_MAX = 1 << 16,
    HISTORY_STEP_S = 300,
};

struct history_options {
    uint32_t step_s;        /* of the grid, 1 to 86400 */
    bool exact;             /* keep the means as doubles too */
    const char *complement; /* a column in percent whose exact means are those of 100 - value; NULL:
                               none */
};

struct history_series {
    char *name;
    uint8_t profile;    /* enum profile */
    bool profile_given; /* by the data; else it comes from the name */
    int64_t first;      /* step: seconds since 1970 / step_s, rounded down */
    size_t steps;       /* up to and with the last one that has a row */
    float
        *value[HISTORY_COLUMNS_MAX]; /* (steps), NaN = missing; NULL: the server has none at all */
    double *exact[HISTORY_COLUMNS_MAX];   /* (steps) the same unrounded, where that was asked for */
    double *carry[HISTORY_COLUMNS_MAX];   /* what a sum lost to rounding; while reading only */
    uint16_t *count[HISTORY_COLUMNS_MAX]; /* samples in each step; while reading only */
    uint8_t *status;                      /* (steps) enum server_status; NULL: the data has none */
    size_t capacity;
};

struct history {
    uint32_t step_s;
    bool exact;
    size_t n_columns;
    char column[HISTORY_COLUMNS_MAX][HISTORY_COLUMN_NAME_MAX + 1];
    size_t n_series;
    struct history_series *series; /* in order of name */
    bool has_status;
    uint64_t rows, values;
    uint64_t refused;                /* values outside their metric's bounds, taken as missing */
    size_t files, files_skipped;     /* in directories: without a timestamp column first */
    uint64_t blocks, blocks_damaged; /* of data directories; the damaged are passed over */
    size_t capacity;
    size_t *bucket; /* hash table of names while reading */
    size_t n_buckets;
};

/* Reads paths, each a CSV file, plain or gzip, a directory of them (not its subdirectories), or a
 * daemon's data directory. A CSV file has a header
 * "timestamp,server_name[,status][,profile],<metric>...", then rows in any order. Empty fields are
 * missing; several rows of one server in one step are averaged. Values of metrics that the default
 * schema knows must lie within their bounds. A header "date,<metric>..." is taken as well: its file
 * is one server, named by the file.
 *
 * Of a data directory, which may be in use, the long history is read, and the newest snapshot of
 * the windows where that has nothing: what came in since then is missing, an hour of samples as a
 * rule. Damaged blocks are passed over, told in the log and counted. On success *out is the
 * caller's, released with history_free(). Errors name file and line (err->offset is the line), or
 * file, server and time: FW_EINVAL not such a file; FW_ECORRUPT the database itself is damaged;
 * FW_ELIMIT beyond the limits above; FW_ENOTFOUND, FW_EIO, FW_ENOMEM. */
FW_MUST_CHECK enum fw_status history_read(const struct history_options *options, size_t n,
                                          const char *const *paths, struct history **out,
                                          struct fw_error *err);
void history_free(struct history *data);

/* Whether history_read() takes a file of that name when it reads a directory. */
bool history_file_named(const char *name);

/* The column's place, or -1. */
int history_column(const struct history *data, const char *name);

#endif
