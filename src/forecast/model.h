/* A loaded TFT and what ties it to this fleet: which of its inputs and targets are which metrics of
 * the schema, the step it was trained on, how much history it wants.
 *
 * Inputs by name: a metric of the schema is its column; "hour", "day_of_week", "month" and
 * "is_weekend" are the calendar in UTC; "status" and "profile" are the categoricals. Anything else
 * is refused when the model is opened, as are targets that the schema lacks, another horizon than
 * FORECAST_HORIZON and quantiles that do not reach from 0.1 to 0.9.
 *
 * History. A server is served from max(12, the model's own minimum) steps on: pytorch-forecasting
 * trains on no shorter histories, so what such a model says about them means nothing. Models of our
 * own have a minimum of 12.
 *
 * Scales. pytorch-forecasting gives the first unknown server of a prediction set the scale of the
 * last training server. Here every unknown server gets the medians, as all others do there: a
 * forecast must not depend on which other servers are in the fleet. */
#ifndef FW_FORECAST_MODEL_H
#define FW_FORECAST_MODEL_H

#include "base/arena.h"
#include "domain/identity.h"
#include "domain/schema.h"
#include "forecast/forecast.h"

struct forecast_model; /* reference-counted, immutable, shared by threads */
struct tft_model;
struct tft_report;
struct tft_reuse; /* tft/reuse.h */

enum {
    FORECAST_HISTORY_MIN = 12,
    FORECAST_MODEL_STEP_S = 300,
    FORECAST_TRACK_STEPS = 864, /* that a model by metric looks back */
};

struct forecast_model_info {
    const char *name;   /* the spec's, else the directory's; valid as long as the model */
    const char *path;   /* as opened */
    const char *sha256; /* of the weights, hexadecimal */
    uint32_t step_s;    /* that it was trained on: specs do not say, all of them are 300 */
    size_t history_min, history_max; /* steps */
    size_t parameters, resident_bytes;
    size_t target_count, quantile_count; /* targets: 0 for a model by metric */
    bool serves;                         /* its step is the grid's */
    const char *plain_reason; /* why the plain path forecasts, some ten times slower and the same to
                                 1e-4 of a scale; NULL when the compiled one does */
};

/* Opens and checks a model (tft/model.h has the files and the checks, `report` may be NULL), then
 * makes a probe forecast on a made-up window, which must be finite and inside each metric's range
 * (widened by a tenth). A model of another step than step_s opens, but serves nothing. On success
 * *out is the caller's (forecast_model_release). On failure *out is NULL: the statuses of
 * tft_model_open(), FW_EINVAL for a model that does not fit schema, horizon or quantiles,
 * FW_ENOMEM.
 */
FW_MUST_CHECK enum fw_status forecast_model_open(const char *path, const struct schema *schema,
                                                 uint32_t step_s, const struct tft_report *report,
                                                 struct forecast_model **out, struct fw_error *err);
/* The same for a model that is open already; takes it over in every case. */
FW_MUST_CHECK enum fw_status forecast_model_adopt(struct tft_model *tft, const char *path,
                                                  const struct schema *schema, uint32_t step_s,
                                                  struct forecast_model **out,
                                                  struct fw_error *err);

/* Gives up the compiled path (tft/compile.h), which a model gets when it is opened and fits. Before
 * the model is shared, and before its scratch is sized. */
void forecast_model_use_plain(struct forecast_model *model);

struct forecast_model *forecast_model_retain(struct forecast_model *model);
void forecast_model_release(struct forecast_model *model); /* NULL does nothing */

struct forecast_model_info forecast_model_info(const struct forecast_model *model);
/* The network itself, for what looks inside it; valid as long as the model. */
const struct tft_model *forecast_model_network(const struct forecast_model *model);
/* The place of a schema's metric among the targets, or -1. */
int forecast_model_target(const struct forecast_model *model, int metric);

/* Whether the model is of forewarn's own form (ladder.h): it serves every metric, of whatever name,
 * through forecast_model_run_ladders(); it has no targets by name, and what follows up to there is
 * not for it. */
bool forecast_model_by_metric(const struct forecast_model *model);

/* One server's newest steps. */
struct forecast_window {
    const char *name;
    enum profile profile;
    int64_t newest_step; /* of the step grid: the last of `values` */
    size_t steps;
    const float *values;     /* (schema count, steps), oldest first; NaN = missing */
    const uint8_t *statuses; /* (steps) enum server_status */
    struct tft_reuse *reuse; /* what this server's last runs left, or NULL; changes no bit */
};

/* Steps from the first observed one (among the newest history_max) to the end: what the model would
 * be given. 0 when nothing is observed. */
size_t forecast_model_history(const struct forecast_model *model,
                              const struct forecast_window *window);

/* What a server's run may leave for its next one, so that a new step costs less (tft/reuse.h):
 * bytes, 0 where the model has nothing to keep; and one, NULL without memory. */
size_t forecast_model_reuse_bytes(const struct forecast_model *model);
struct tft_reuse *forecast_model_reuse_new(const struct forecast_model *model);

size_t forecast_model_scratch_bytes(const struct forecast_model *model, size_t n);

/* Forecasts n windows whose history is long enough (asserted) in one batch.
 *   out  (n, targets, 3, FORECAST_HORIZON)  p10, p50, p90 in the metrics' units: neither ordered
 *                                           nor bounded yet; NaN where the network gave none
 * A server's numbers do not depend on the others in the batch. Allocates nothing, cannot fail:
 * `scratch` holds forecast_model_scratch_bytes(model, n), asserted. Thread-safe. */
void forecast_model_run(const struct forecast_model *model, size_t n,
                        const struct forecast_window *windows, struct arena scratch, float *out);

struct ladder;
struct series_map;

/* Scratch for n ladders. */
size_t forecast_model_ladder_scratch_bytes(const struct forecast_model *model, size_t n);
/* Forecasts n ladders in one batch:
 *   out  (n, 3, FORECAST_HORIZON)  p10, p50, p90 in the metrics' units: neither ordered nor bounded
 *                                  yet; all NaN where the network gave a number that is not finite
 * Each comes with the map that it was made on. As forecast_model_run() otherwise. */
void forecast_model_run_ladders(const struct forecast_model *model, size_t n,
                                const struct ladder *const *ladders,
                                const struct series_map *const *maps, struct arena scratch,
                                float *out);

#endif
