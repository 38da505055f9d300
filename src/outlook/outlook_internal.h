/* What the files of src/outlook share. */
#ifndef FW_OUTLOOK_OUTLOOK_INTERNAL_H
#define FW_OUTLOOK_OUTLOOK_INTERNAL_H

#include "base/buf.h"
#include "outlook/outlook.h"

#include <pthread.h>

struct outlook_board {
    pthread_mutex_t lock; /* of `current` */
    const struct outlook *current;
    size_t listener_count;
    struct {
        outlook_listener_fn call;
        void *ctx;
        bool after; /* the swap */
    } listeners[OUTLOOK_LISTENERS_MAX];
    struct fw_histogram run;
    _Atomic uint64_t runs, failures, history_failures;
    _Atomic bool failing;

    /* The publisher's own. */
    bool history_known, history_failing;
    int64_t history_ms; /* time of the newest snapshot in the history */
    int64_t pruned_ms;
};

/* Takes over `set` in every case. What `previous` (may be NULL) has too is taken over from it.
 * `now_ms` is the run's time, `model_name` that of the model it was made with. */
FW_MUST_CHECK enum fw_status outlook_build(const struct outlook_runner_options *options,
                                           const struct forecast_set *set,
                                           const struct outlook *previous, const char *model_name,
                                           int64_t now_ms, const struct outlook **out,
                                           struct fw_error *err);

/* The risks of outlook->set, with their drivers. Those of forecasts that `previous` (may be NULL)
 * has too are taken over, and the drivers of a block of servers that are all the same are shared.
 * FW_ENOMEM. */
FW_MUST_CHECK enum fw_status outlook_score(const struct outlook_runner_options *options,
                                           const struct outlook *previous, struct outlook *outlook,
                                           struct fw_error *err);
/* As far as they are there. */
void outlook_scores_free(struct outlook *outlook);

enum { OUTLOOK_HISTORY_INTERVAL_MS = 60 * 1000 };
#define OUTLOOK_ENVIRONMENT_KIND "environment"

/* The snapshot of API contract 7.3 as JSON, without `id` and `timestamp`. */
void outlook_environment_encode(const struct outlook *outlook, struct fw_buf *out);
/* Appends the outlook's snapshot to the history when a minute has passed since the last one, and
 * once an hour removes what is too old. Failures are counted and logged once. */
void outlook_history_sample(const struct outlook_runner_options *options,
                            const struct outlook *outlook, int64_t now_ms);

/* When to run: a pure function of two clocks and of what has happened. */
struct outlook_schedule {
    int64_t step_ms, min_interval_ms, settle_ms;
    bool woken; /* since the last run */
    int64_t woken_ms;
    /* Of the time that runs may take: what is left, as of credit_at_ms. */
    int64_t credit_ms, credit_at_ms;
    bool ran, failed;  /* failed: the last one */
    int64_t last_step; /* the last run began in */
    int64_t last_begin_ms, last_end_ms;
    int64_t last_check_ms;
};
enum outlook_action { OUTLOOK_WAIT, OUTLOOK_RUN, OUTLOOK_CHECK };
/* Times are monotonic, but for wall_ms. */
void outlook_schedule_init(struct outlook_schedule *schedule,
                           const struct outlook_runner_options *options, int64_t mono_ms);
void outlook_schedule_wake(struct outlook_schedule *schedule, int64_t mono_ms);
/* cost_ms: what the run is charged with, its length at most. */
void outlook_schedule_ran(struct outlook_schedule *schedule, bool good, int64_t wall_ms,
                          int64_t begin_ms, int64_t end_ms, int64_t cost_ms);
/* What to do now; *wait_ms: when to ask again, if nothing happens before. */
enum outlook_action outlook_schedule_next(struct outlook_schedule *schedule, int64_t wall_ms,
                                          int64_t mono_ms, int64_t *wait_ms);

#endif
