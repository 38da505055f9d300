/* Small CSV files with named columns, such as servers.csv: a header, then rows, whose fields hold
 * no commas. */
#ifndef FW_HISTORY_TABLE_H
#define FW_HISTORY_TABLE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { HISTORY_TABLE_LINE_MAX = 4096 };

struct history_table {
    const char *path; /* the caller's */
    FILE *file;
    char line[HISTORY_TABLE_LINE_MAX];
    size_t number; /* of the line, from 1 */
    struct fw_error *err;
};

struct history_field {
    const char *text; /* in the line */
    size_t len;
};

/* Opens a file and finds the places of `n` columns by their names; all must be there. Failures here
 * and below name file and line (err->offset): FW_EINVAL, FW_ELIMIT (a line is too long),
 * FW_ENOTFOUND, FW_EIO. To be closed in any case. */
FW_MUST_CHECK enum fw_status history_table_open(const char *path, size_t n,
                                                const char *const *names, int *places,
                                                struct history_table *table, struct fw_error *err);
void history_table_close(struct history_table *table);

/* The next row that is not empty; false at the end, or when it cannot be read: *status says. */
bool history_table_next(struct history_table *table, enum fw_status *status);
/* Without quotes; empty where the row has fewer. */
struct history_field history_table_field(const struct history_table *table, int place);
/* Fails with what is wrong with a field of the row. */
enum fw_status history_table_wrong(const struct history_table *table, enum fw_status status,
                                   const char *why, struct history_field what);

#endif
