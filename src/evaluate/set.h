/* What is evaluated: a set of servers with their past, and from which step on each is tested. */
#ifndef FW_EVALUATE_SET_H
#define FW_EVALUATE_SET_H

#include "evaluate/sources.h"
#include "history/history.h"

enum { EVALUATE_ETT_STEP_S = 3600 };

struct evaluate_server {
    const struct history_series *series;
    size_t steps;    /* that count: ETT files go on for longer */
    size_t test;     /* index of the first step of the test part; >= steps: it has none */
    size_t training; /* ETT only: index of the first step behind the training part */
};

struct evaluate_set {
    char name[EVALUATE_NAME_MAX + 1];
    bool ett;
    struct history *history; /* exact; cpu_idle_pct's exact means are those of what it leaves of
                                100 */
    size_t n_servers;
    struct evaluate_server *servers; /* in the order of servers.csv, else by name */
};

struct evaluate_set_options {
    uint32_t step_s;      /* of the grid; 0: 3600 for ETT, else 300 */
    int64_t test_from_ms; /* of all servers; -1: as servers.csv or the ETT papers have it, else the
                             last fifth of the time, at least one horizon */
};

/* Reads a set. On success *out is the caller's, released with evaluate_set_free(). FW_EINVAL: a
 * split or a file is not as it should be, err names file and line; FW_ENOTFOUND: a server of
 * servers.csv has no file or no rows; else as history_read(). */
FW_MUST_CHECK enum fw_status evaluate_set_read(const struct evaluate_source *source,
                                               const struct evaluate_set_options *options,
                                               struct evaluate_set **out, struct fw_error *err);
void evaluate_set_free(struct evaluate_set *set); /* NULL does nothing */

/* The name under which a column is scored: cpu_idle_pct as cpu_used_pct, 100 - idle, because an
 * error relative to some 97 % would hide everything. *complement: so it is. */
const char *evaluate_set_metric(const struct evaluate_set *set, size_t column, bool *complement);

#endif
