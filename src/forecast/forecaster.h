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

struct forecaster;
struct forecast_model; /* a loaded TFT and what ties it to the schema: forecast/model.h */

enum forecaster_kind {
    FORECASTER_AUTO,  /* the model where it serves, else the best statistical forecaster */
    FORECASTER_ARGUS, /* the reference's straight line for everything */
};

struct forecaster_options {
    const struct schema *schema;
    const struct fw_clock *clock;
    uint32_t step_s;
    unsigned threads; /* 0: one per core */
    enum forecaster_kind kind;
};

FW_MUST_CHECK enum fw_status forecaster_new(const struct forecaster_options *options,
                                            struct forecaster **out, struct fw_error *err);
void forecaster_free(struct forecaster *forecaster);

/* Takes over the model (NULL: none) for the next run; the last one goes when no run uses it. */
void forecaster_set_model(struct forecaster *forecaster, struct forecast_model *model);
/* The current model, retained (forecast_model_release), or NULL. */
struct forecast_model *forecaster_model(struct forecaster *forecaster);

/* Forecasts every server of the fleet. Servers whose window, model and staleness are as in
 * `previous` (may be NULL) share its forecast. *out is the caller's (forecast_set_release).
 * FW_ENOMEM: *out is NULL, nothing has changed. */
FW_MUST_CHECK enum fw_status forecaster_run(struct forecaster *forecaster,
                                            const struct fleet *fleet,
                                            const struct forecast_set *previous,
                                            const struct forecast_set **out, struct fw_error *err);

#endif
