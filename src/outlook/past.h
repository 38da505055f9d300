/* What was forecast, in two forms. For each step of the past few days what earlier runs said about
 * it 1, 6, 12 and 96 steps ahead, and the risk scores: so a chart can put yesterday's forecast
 * beside what happened. And of four runs of the last 96 steps the whole paths, every eighth step of
 * them: so a forecast can be laid over what came.
 *
 * In memory only, 32 bytes a path at the leads and 86 of a whole one, and never more than it was
 * given: the oldest steps go first. A run whose whole paths would take more than an eighth of that
 * is kept at its leads alone. Over a restart goes what outlook_past_save() wrote.
 *
 * Threads: the publisher of outlooks takes; any others read. */
#ifndef FW_OUTLOOK_PAST_H
#define FW_OUTLOOK_PAST_H

#include "outlook/outlook.h"

enum {
    OUTLOOK_PAST_LEADS = 4,
    OUTLOOK_PAST_QUANTILES = 3,
    OUTLOOK_PAST_RUNS = 4, /* kept whole */
    OUTLOOK_PAST_POINTS = 13,
};

struct outlook_past;

struct outlook_past *outlook_past_new(size_t bytes_max); /* NULL when out of memory */
void outlook_past_free(struct outlook_past *past);       /* NULL does nothing */

/* A board's follower: each outlook, in the order of publication. Of several runs with one origin
 * the last one stays. A run is kept whole when a quarter of the horizon has gone by since the last
 * one that was. */
void outlook_past_take(void *past, const struct outlook *outlook);

/* How many steps ahead: ascending, the first is 1. */
unsigned outlook_past_lead(size_t index);

/* What was said `outlook_past_lead(lead)` steps ahead of steps first .. first + n - 1 (step k
 * begins at k * step_s seconds): p10, p50 or p90 (quantile 0 to 2) into out (n); NaN where nothing
 * was. */
void outlook_past_read(struct outlook_past *past, const char *server, int metric, size_t lead,
                       size_t quantile, int64_t first, size_t n, float *out);
/* The scores of the runs whose first forecast step was first .. first + n - 1. */
void outlook_past_risk(struct outlook_past *past, const char *server, int64_t first, size_t n,
                       float *out);

/* Point i of a whole path is about this step of it: 0, 8, ... and the last one. */
unsigned outlook_past_point(size_t index);

struct outlook_past_path {
    int64_t made_ms, origin_ms;
    uint32_t step_s;
    float quantiles[OUTLOOK_PAST_QUANTILES][OUTLOOK_PAST_POINTS]; /* p10, p50, p90 */
};
/* The whole paths of a server's metric, newest first; returns how many. */
size_t outlook_past_paths(struct outlook_past *past, const char *server, int metric,
                          struct outlook_past_path out[OUTLOOK_PAST_RUNS]);

/* Writes the newest of it, at most `bytes_max` bytes of memory, as a snapshot into `dir`
 * (docs/formats/past.md). By the publisher, or while nobody publishes. Nothing to write is FW_OK.
 */
struct fleet;
FW_MUST_CHECK enum fw_status outlook_past_save(struct outlook_past *past, const struct fleet *fleet,
                                               const char *dir, size_t bytes_max,
                                               struct fw_error *err);
/* Before the first outlook: what was saved, of metrics that the schema has, if the step is the
 * same. Damaged blocks are passed over; no file is FW_OK. */
FW_MUST_CHECK enum fw_status outlook_past_load(struct outlook_past *past,
                                               const struct schema *schema, uint32_t step_s,
                                               const char *dir, const char *quarantine_dir,
                                               struct fw_error *err);

struct outlook_past_counts {
    size_t bytes, bytes_max;
    size_t steps;      /* origins kept */
    int64_t oldest_s;  /* where the oldest of them begins; -1: there is none */
    uint64_t failures; /* runs that were not kept, at the leads or whole, for lack of memory */
};
void outlook_past_counts(struct outlook_past *past, struct outlook_past_counts *counts);

#endif
