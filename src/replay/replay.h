/* A history through the daemon's own windows and forecasters: what would have been forecast, had
 * the daemon run then. Strictly in order of time: a forecast has seen every sample up to its origin
 * and none after it. Time is the history's, so months take minutes.
 *
 * The schema is the default one; columns that it lacks become metrics of their own, bounded below
 * by zero where nothing negative was seen before the first origin. */
#ifndef FW_REPLAY_REPLAY_H
#define FW_REPLAY_REPLAY_H

#include "forecast/forecaster.h"
#include "history/history.h"

struct replay; /* one thread uses it */

struct replay_options {
    const char *model; /* path, or "shipped"; NULL: the simple forecasters alone */
    unsigned threads;  /* 0: one per core */
    const int64_t
        *origins; /* (n_origins) ascending steps of the history's grid: the last one seen */
    size_t n_origins;
};

/* Keeps history and origins. FW_EINVAL: a column cannot be a metric, or the model does not fit;
 * FW_ELIMIT: more metrics than a schema holds; else the statuses of forecast_model_open(). */
FW_MUST_CHECK enum fw_status replay_new(const struct history *history,
                                        const struct replay_options *options, struct replay **out,
                                        struct fw_error *err);
void replay_free(struct replay *replay); /* NULL does nothing */

const struct schema *replay_schema(const struct replay *replay);

/* Called at each origin with every server's forecast; `set` lives for the call. False ends the
 * replay early, which is no failure. */
typedef bool (*replay_visit_fn)(void *ctx, int64_t origin, const struct forecast_set *set);

/* Once per replay. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status replay_run(struct replay *replay, replay_visit_fn visit, void *ctx,
                                        struct fw_error *err);

/* The path's quantiles on the steps origin + 1 .. origin + FORECAST_HORIZON, levels 0.1, 0.5, 0.9:
 * a server without data at the origin itself was forecast from its newest step, and what that does
 * not reach repeats its last step. */
void replay_quantiles(const struct forecast *forecast, const struct forecast_path *path,
                      uint32_t step_s, int64_t origin, float quantiles[3][FORECAST_HORIZON]);

#endif
