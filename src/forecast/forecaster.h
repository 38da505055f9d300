/* Runs forecasts: windows -> statistical forecasters and, where one serves, the TFT -> quantile
 * paths.
 *
 * One thread at a time calls forecaster_run(); it spreads servers over the forecaster's own worker
 * threads (niced below ingest). Models are swapped from any thread between or during runs: a run
 * keeps the model that it began with. */
#ifndef FW_FORECAST_FORECASTER_H
#define FW_FORECAST_FORECASTER_H

#include "fleet/fleet.h"
#include "forecast/forecast.h"
#include "store/io.h"

struct forecaster;
struct forecast_model; /* a loaded TFT and what ties it to the schema: forecast/model.h */

enum forecaster_kind {
    FORECASTER_AUTO,  /* by what each server's metrics have shown to be best: a blend */
    FORECASTER_ARGUS, /* the reference's straight line for everything */
};

#define FORECASTER_REUSE_BYTES ((size_t)128 << 20) /* unless somebody wants another budget */

struct forecaster_options {
    const struct schema *schema; /* copied */
    const struct fw_clock *clock;
    uint32_t step_s;
    unsigned threads; /* 0: one per core */
    enum forecaster_kind kind;
    bool in_parts; /* a run that has a set before it makes an eighth of the forecasts, and at least
                      64; the servers that it leaves are counted in its set */
    size_t reuse_bytes_max; /* for what runs leave for the next ones, where the model has such a
                               thing; servers beyond are computed in full. 0: nothing is kept */
};

FW_MUST_CHECK enum fw_status forecaster_new(const struct forecaster_options *options,
                                            struct forecaster **out, struct fw_error *err);
void forecaster_free(struct forecaster *forecaster);

/* Takes over the model (NULL: none) for the next run; the last one goes when no run uses it. */
void forecaster_set_model(struct forecaster *forecaster, struct forecast_model *model);
/* The current model, retained (forecast_model_release), or NULL. */
struct forecast_model *forecaster_model(struct forecaster *forecaster);

/* Other units, bounds and directions of the same metrics, for the next run; forecasts that shall
 * not be shared with earlier ones are made without `previous`. On the thread that calls
 * forecaster_run(), between runs. */
void forecaster_set_schema(struct forecaster *forecaster, const struct schema *schema);

/* Forecasts every server of the fleet, but for `in_parts`. Servers whose window, model and
 * staleness (looked at ten times a step) are as in `previous` (may be NULL) share its forecast.
 * *out is the caller's (forecast_set_release). FW_ENOMEM: *out is NULL, nothing has changed. */
FW_MUST_CHECK enum fw_status forecaster_run(struct forecaster *forecaster,
                                            const struct fleet *fleet,
                                            const struct forecast_set *previous,
                                            const struct forecast_set **out, struct fw_error *err);

/* Calls work(ctx, i) for i = 0 .. n - 1, begun in this order, on the worker threads; returns when
 * all is done. On the thread that calls forecaster_run(), between runs. */
typedef void (*forecaster_work_fn)(void *ctx, size_t i);
void forecaster_spread(struct forecaster *forecaster, size_t n, forecaster_work_fn work, void *ctx);

/* What was learned of every server (which metric is best forecast how, and how well it went) to and
 * from snapshots in `dir` (docs/formats/learned.md). Both between runs, on the thread that calls
 * forecaster_run(). Loading comes before the first run and after the fleet's windows are whole:
 * servers are found by name and by when they were first seen, damaged ones are left out. Failures
 * cost nothing but what was learned: as store_snapshot_begin() and store_snapshot_load(),
 * FW_EVERSION when another version wrote it, FW_EINVAL when its steps are others. io NULL: the
 * system's. */
FW_MUST_CHECK enum fw_status forecaster_save(struct forecaster *forecaster, const char *dir,
                                             const struct store_io *io, uint64_t *bytes,
                                             struct fw_error *err);
FW_MUST_CHECK enum fw_status forecaster_load(struct forecaster *forecaster,
                                             const struct fleet *fleet, const char *dir,
                                             const struct store_io *io, const char *quarantine_dir,
                                             size_t *servers, struct fw_error *err);

#endif
