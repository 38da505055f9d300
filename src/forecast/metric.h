/* One metric of one server: which forecasters can serve it, and the path that comes of them.
 *
 *   576 steps (two days)     the blend of what its track has learned (track.h), the model's opinion
 *                            among it where a model serves; a ramp that is too new for that
 * (ramp.h) less                     the model where it serves, else the best of four
 * (statistical.h)
 *
 * Private to this folder. */
#ifndef FW_FORECAST_METRIC_H
#define FW_FORECAST_METRIC_H

#include "forecast/block.h"
#include "forecast/combine.h"
#include "forecast/ladder.h"
#include "forecast/ramp.h"

/* Where one server's forecast is being made. */
struct metric_work {
    const struct block_job *job;
    struct arena scratch; /* metric_scratch_bytes() */
    const struct fleet_view *view;
    struct block_track *track;
    size_t model_history;      /* steps the model would be given; 0 without a model */
    const float *predicted;    /* (targets, 3, FORECAST_HORIZON), NULL: the model was not run */
    struct block_bench *bench; /* whose stages are timed */
};

/* For windows of `steps` of a schema of so many metrics. */
size_t metric_scratch_bytes(size_t steps, size_t metrics);

/* A metric's blend between its two halves: what the model is to be asked, and what came. */
struct metric_blend {
    size_t metric;
    struct forecast_path *path;
    struct track *track;
    struct forecast_candidate candidate;
    const float *model; /* (3, FORECAST_HORIZON) its opinion; NULL: none */
    bool asks;          /* the ladder is for a model by metric */
    bool ramps;
    struct ramp ramp;
    struct track_words words;
    struct ladder ladder;
};

/* Index of the metric's newest value in the view, -1: it has none. */
int64_t metric_newest(const struct metric_work *work, size_t metric);

/* Fills the path, or leaves a blend to be finished: *pending says which. newest: as above, not
 * negative. FW_ENOMEM: the path is not whole. */
FW_MUST_CHECK enum fw_status metric_begin(const struct metric_work *work, size_t metric,
                                          int64_t newest, struct forecast_path *path,
                                          struct metric_blend *blend, bool *pending);
/* The second half, blend->model set where a model was asked. */
void metric_finish(const struct metric_work *work, struct metric_blend *blend);

#endif
