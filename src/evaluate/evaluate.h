/* Measures forecasts of a set: ours, replayed as the daemon would have made them, and the
 * baselines, at the same origins and against the same truth. */
#ifndef FW_EVALUATE_EVALUATE_H
#define FW_EVALUATE_EVALUATE_H

#include "evaluate/ett.h"
#include "evaluate/score.h"
#include "forecast/forecast.h"

struct evaluate_options {
    const char *model; /* path; NULL: the statistical forecasters alone */
    unsigned threads;  /* 0: one per core */
    bool baselines_only;
    /* May be NULL. `doing`: "baselines" or "forecasts". */
    void (*progress)(void *ctx, const char *set, const char *doing, size_t done, size_t of);
    void *progress_ctx;
};

struct evaluate_metric {
    char name[HISTORY_COLUMN_NAME_MAX + 1];
    bool complement; /* scored as 100 - value: p10 and p90 change places */
};

/* Everything that was found, independent of the set it came from. */
struct evaluate_result {
    char set[EVALUATE_NAME_MAX + 1];
    uint32_t step_s;
    bool ours; /* our forecasts were made */
    char **servers;
    struct evaluate_metric *metrics;
    struct evaluate_scores scores;
    size_t origins;         /* server and origin, over all servers */
    size_t servers_without; /* servers without any origin */
    size_t forecasts;       /* server, metric and origin, where ours were scored */
    size_t left_out;        /* where ours was missing and there was something to score */
    size_t methods[FORECAST_METHOD_COUNT]; /* by which forecasts were made */
    uint64_t refused;         /* values outside their metric's bounds, taken as missing */
    struct evaluate_ett *ett; /* (servers) of an ETT set; NULL for others */
};

/* On success *out is the caller's, released with evaluate_result_free(); the set is not kept.
 * FW_EINVAL: no server has an origin in its test part; else the statuses of replay_new(). */
FW_MUST_CHECK enum fw_status evaluate_run(const struct evaluate_set *set,
                                          const struct evaluate_options *options,
                                          struct evaluate_result **out, struct fw_error *err);
void evaluate_result_free(struct evaluate_result *result); /* NULL does nothing */

#endif
