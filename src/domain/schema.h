/* What is measured: the metrics, their units, bounds and thresholds. The schema is data: the
 * default one holds the 14 canonical metrics and the optional cascade_impact; configuration may add
 * metrics before the daemon starts, and change what is said of them at any time: then whoever
 * judges by a schema is given another copy. A copy in use is never written, so threads share it;
 * names and their places are the same in all copies of one process. */
#ifndef FW_DOMAIN_SCHEMA_H
#define FW_DOMAIN_SCHEMA_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCHEMA_METRICS_MAX = 64,
    SCHEMA_METRIC_NAME_MAX = 63, /* bytes: [a-zA-Z_][a-zA-Z0-9_]* */
    SCHEMA_UNIT_MAX = 15,
};

/* The canonical metrics' places in the default schema; a schema may hold more behind them, never
 * other ones here. */
enum metric_index {
    METRIC_CPU_USER,
    METRIC_CPU_SYS,
    METRIC_CPU_IOWAIT,
    METRIC_CPU_IDLE,
    METRIC_JAVA_CPU,
    METRIC_MEM_USED,
    METRIC_SWAP_USED,
    METRIC_DISK_USAGE,
    METRIC_NET_IN,
    METRIC_NET_OUT,
    METRIC_BACK_CLOSE_WAIT,
    METRIC_FRONT_CLOSE_WAIT,
    METRIC_LOAD_AVERAGE,
    METRIC_UPTIME_DAYS,
    METRIC_CANONICAL_COUNT,
    METRIC_CASCADE_IMPACT = METRIC_CANONICAL_COUNT,
    METRIC_DEFAULT_COUNT,
};

enum metric_worse { METRIC_WORSE_NONE, METRIC_WORSE_HIGH, METRIC_WORSE_LOW };

struct schema_metric {
    char name[SCHEMA_METRIC_NAME_MAX + 1];
    char unit[SCHEMA_UNIT_MAX + 1]; /* "%", "MB/s", "days", "" */
    double min, max;                /* bounds of a possible value; infinite where there are none */
    bool integer;                   /* counts: shown rounded */
    bool accumulates; /* fills up and stays full (disk, memory, swap): judged by time to full */
    enum metric_worse worse;
    double warning, critical; /* thresholds in the metric's unit; NaN where there are none */
};

struct schema {
    size_t count;
    struct schema_metric metrics[SCHEMA_METRICS_MAX];
};

/* Fills *schema with the default. */
void schema_default(struct schema *schema);

/* 1 to SCHEMA_METRIC_NAME_MAX bytes of [a-zA-Z_][a-zA-Z0-9_]*. */
bool schema_name_valid(const char *name, size_t len);

/* The metric's index, or -1. `name` need not be terminated. */
int schema_find(const struct schema *schema, const char *name, size_t len);

/* Appends a metric, or changes the thresholds, bounds and direction of the one that has its name.
 * FW_EINVAL: bad name, min >= max, thresholds outside the bounds or on the wrong side of each
 * other; FW_ELIMIT: the schema is full. */
FW_MUST_CHECK enum fw_status schema_set(struct schema *schema, const struct schema_metric *metric,
                                        struct fw_error *err);

/* Takes over what `fresh` says (units, bounds, directions, thresholds) of metrics that both have;
 * the others stay as they are, and nothing changes its place. */
void schema_take_over(struct schema *schema, const struct schema *fresh);

/* Whether a reading of a percentage-like metric may be believed: finite and, for bounded metrics,
 * within the bounds with a tolerance of 0.5 % of the range (collectors round); *value is clamped
 * into them. */
bool schema_accept(const struct schema_metric *metric, double *value);

#endif
