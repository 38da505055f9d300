/* What was forecast: for each step of the past few days, what earlier runs said about it 1, 6, 12
 * and 96 steps ahead, and the risk scores. So a chart can put yesterday's forecast beside what
 * happened. In memory only, and never more than it was given: the oldest steps go first. A restart
 * begins anew.
 *
 * Threads: the publisher of outlooks takes; any others read. */
#ifndef FW_OUTLOOK_PAST_H
#define FW_OUTLOOK_PAST_H

#include "outlook/outlook.h"

enum { OUTLOOK_PAST_LEADS = 4, OUTLOOK_PAST_QUANTILES = 3 };

struct outlook_past;

struct outlook_past *outlook_past_new(size_t bytes_max); /* NULL when out of memory */
void outlook_past_free(struct outlook_past *past);       /* NULL does nothing */

/* A board's listener. Of several runs with one origin the last one stays. */
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

struct outlook_past_counts {
    size_t bytes, bytes_max;
    size_t steps;      /* origins kept */
    int64_t oldest_s;  /* where the oldest of them begins; -1: there is none */
    uint64_t failures; /* runs that were not kept for lack of memory */
};
void outlook_past_counts(struct outlook_past *past, struct outlook_past_counts *counts);

#endif
