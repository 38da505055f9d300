/* A block of servers through the forecasters: windows are read, the model runs once for those that
 * it serves, everything else is statistical. One worker at a time has a bench (its arrays and
 * scratch); blocks share nothing else, so results do not depend on who does which. Private to this
 * folder. */
#ifndef FW_FORECAST_BLOCK_H
#define FW_FORECAST_BLOCK_H

#include "fleet/fleet.h"
#include "forecast/forecaster.h"
#include "forecast/model.h"
#include "forecast/statistical.h"
#include "forecast/track.h"

#include <stdatomic.h>

enum { BLOCK_SERVERS = 16, STUDY_PERIOD_STEPS = 12 };

/* What is kept of a server between runs. Studies are a pure function of the window up to a step
 * that is a multiple of the period (shifted by the name, so that a fleet's studies spread over the
 * steps); keeping them saves time and changes nothing. What was learned (track.h) goes beyond the
 * window, and is kept over restarts (learned.h). */
struct block_track {
    uint64_t name_hash;
    int64_t first_seen_ms;
    struct block_study *studies[SCHEMA_METRICS_MAX]; /* NULL until needed */
    struct track *learned[SCHEMA_METRICS_MAX];       /* NULL until 576 steps are held */
    struct tft_reuse *reuse; /* of the job's model; NULL: none, or beyond the budget */
};
struct block_study {
    int64_t step;  /* the last one it saw */
    uint32_t held; /* steps that the server held then */
    struct statistical_study study;
};
void block_track_free(struct block_track *track); /* NULL does nothing */

/* The same for all blocks of a run. */
struct block_job {
    const struct schema *schema;
    const struct fleet *fleet;
    uint32_t step_s;
    uint32_t steps; /* of the windows that are read */
    enum forecaster_kind kind;
    const struct forecast_model *model; /* NULL: none */
    bool share;                         /* whether `previous` may be used */
    bool look;                          /* at the silence of servers whose windows did not change */
    size_t slots;
    const struct forecast *const *previous; /* (slots) NULL: none; */
    const uint64_t *revisions;              /* theirs: a walk that finds nothing new reads these */
    const bool *waits;             /* (slots) keep the forecast before; NULL: nobody does */
    struct block_track **tracks;   /* (slots) */
    size_t reuse_bytes, reuse_max; /* of one server; of all together */
    atomic_size_t *reuse_used;
    const struct forecast **results; /* (slots) written: NULL where the slot is empty, else that of
                                        `previous` as it is, or one with a reference of its own */
};

struct block_bench {
    float *values;        /* (BLOCK_SERVERS, schema count, steps) */
    uint8_t *statuses;    /* (BLOCK_SERVERS, steps) */
    uint32_t *offsets_ms; /* (BLOCK_SERVERS, steps) */
    float *predicted;     /* (BLOCK_SERVERS, targets, 3, FORECAST_HORIZON) */
    void *scratch;
    size_t scratch_bytes;
    size_t computed;                   /* forecasts made since it was last set to 0 */
    int64_t stage_ns[FORECAST_STAGES]; /* since they were last set to 0: the worker's own time */
    int64_t mark_ns;                   /* the newest stage's end */
    size_t values_count, steps_count, predicted_count; /* what the arrays hold */
};

/* Makes room for the job; keeps what is large enough. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status block_bench_fit(struct block_bench *bench,
                                             const struct block_job *job);
void block_bench_fini(struct block_bench *bench);

/* Forecasts slots first .. first + BLOCK_SERVERS - 1 (fewer at the end). FW_ENOMEM: some of the
 * results are there. */
FW_MUST_CHECK enum fw_status block_forecast(const struct block_job *job, struct block_bench *bench,
                                            size_t first);

#endif
