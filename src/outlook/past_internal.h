/* Inside outlook: what runs said of many servers at chosen points of the horizon. A path is kept as
 * half-precision distances from its first median, in a power of two of the metric's unit: exact
 * where it is flat, within 1/2048 of the distance elsewhere, whatever the unit. */
#ifndef FW_OUTLOOK_PAST_INTERNAL_H
#define FW_OUTLOOK_PAST_INTERNAL_H

#include "outlook/past.h"

struct past_points { /* indices of the horizon, ascending */
    size_t count;
    const uint8_t *at;
};

/* One server's share of a run. */
struct past_entry {
    uint64_t key;   /* past_key() of the name */
    int64_t origin; /* in steps since the epoch */
    const struct forecast *forecast;
    float score;
};
uint64_t past_key(const char *server);

struct past_server {
    uint64_t key;
    uint32_t first, count; /* paths */
    uint32_t late;         /* steps from its origin to the run's */
    float score;
};

struct past_path {
    float anchor;
    int16_t exponent;
    uint16_t metric;
};

/* Immutable. One allocation, released with fw_free(). */
struct past_run {
    int64_t step; /* the newest origin */
    int64_t made_ms;
    uint32_t step_s;
    size_t bytes, server_count, path_count, point_count;
    struct past_server *servers; /* ascending by key */
    struct past_path *paths;
    uint16_t *values; /* (paths, points, OUTLOOK_PAST_QUANTILES) halves */
};

/* What a run with so many servers and paths takes. */
size_t past_run_bytes(size_t servers, size_t paths, size_t points);

/* `entries` (n), ascending by key, and of `old`, which has the same step and points (or is NULL),
 * the servers that are not among them. NULL: no memory. */
struct past_run *past_run_new(const struct outlook *outlook, int64_t step,
                              const struct past_points *points, const struct past_run *old,
                              const struct past_entry *entries, size_t n);

/* Room for a run that is read from disk: its counts are 0. NULL: no memory. */
struct past_run *past_run_blank(size_t servers, size_t paths, size_t points);

/* What there is, for the publisher, who alone changes it. */
struct past_runs {
    size_t count;
    struct past_run *const *steps, *const *whole;
};
struct past_runs past_runs(const struct outlook_past *past);
/* Takes over a run from disk; whole ones come oldest first. */
enum { PAST_LATE_LIMIT = 1 << 20 };
void past_restore(struct outlook_past *past, struct past_run *run, bool is_whole);

const struct past_server *past_run_server(const struct past_run *run, uint64_t key); /* or NULL */
/* The place of a server's path; false: there is none, or no server. */
bool past_run_path(const struct past_run *run, const struct past_server *server, int metric,
                   size_t *path);
float past_run_value(const struct past_run *run, size_t path, size_t point, size_t quantile);

#endif
