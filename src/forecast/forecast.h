/* Forecasts: per server and metric, 96 steps ahead as three quantiles. Immutable once made,
 * reference-counted, shared by every outlook until the server's window changes. */
#ifndef FW_FORECAST_FORECAST_H
#define FW_FORECAST_FORECAST_H

#include "domain/identity.h"
#include "domain/schema.h"

#include <stdatomic.h>

enum {
    FORECAST_HORIZON = 96,
    /* Forecasts from origins at a multiple of so many steps are kept until their time comes, so
     * that a run at each of these learns all that a run at every step would. No day has a multiple
     * of it: in turn they begin at every time of day. */
    FORECAST_KEPT_STEPS = 13,
    FORECAST_BLOCKS = 4,  /* of the horizon: quality and weights are kept by block */
    FORECAST_VOICES = 10, /* in a blend: nine simple forecasters, and last the TFT */
};
extern const int forecast_block_end[FORECAST_BLOCKS]; /* the last step of each: 12, 36, 60, 96 */

enum forecast_method {
    FORECAST_NONE,
    FORECAST_TFT,
    FORECAST_PERSISTENCE,
    FORECAST_SEASONAL,    /* the same time a day before */
    FORECAST_CLIMATOLOGY, /* by hour of day over the window */
    FORECAST_TREND,       /* damped */
    FORECAST_ARGUS,       /* the reference's straight line (API contract 13.6) */
    FORECAST_BLEND, /* of several, the TFT among them where it serves, by what they were worth */
    FORECAST_METHOD_COUNT,
};
/* "tft", "persistence", ...: the `forecaster` of the API. */
const char *forecast_method_name(enum forecast_method method);

/* Why the method is not the TFT; FORECAST_BY_CHOICE when nothing stood in the way. */
enum forecast_reason {
    FORECAST_BY_CHOICE,
    FORECAST_NO_MODEL,       /* none is loaded */
    FORECAST_SHORT_HISTORY,  /* fewer than the model's minimum of steps */
    FORECAST_METRIC_UNKNOWN, /* the model has no such target */
    FORECAST_NOT_FINITE,     /* the model gave a number we cannot stand behind */
    FORECAST_STEP_MISMATCH,  /* the model was trained on another step */
    FORECAST_REASON_COUNT,
};
const char *forecast_reason_text(enum forecast_reason reason);

struct forecast_path {
    uint16_t metric; /* index in the schema */
    uint8_t method;  /* enum forecast_method */
    uint8_t reason;  /* enum forecast_reason */
    float current;   /* newest value held */
    float trend;     /* change per step */
    float pinball;   /* mean pinball loss of the method on the recent window, in the metric's unit;
                        NaN: not measured */
    float coverage;  /* share of recent observations inside p10..p90; NaN: not measured */
    uint32_t scored; /* forecasts behind the two */
    float model_share; /* of the TFT in the median, mean over the blocks: 1 for FORECAST_TFT */
    int64_t last_seen_ms;
    float p10[FORECAST_HORIZON]; /* finite, p10 <= p50 <= p90, within the metric's bounds */
    float p50[FORECAST_HORIZON];
    float p90[FORECAST_HORIZON];
};

struct forecast {
    atomic_uint references;
    uint32_t slot; /* the fleet's */
    uint32_t steps_held;
    uint64_t revision; /* the window it was made from */
    char name[SERVER_NAME_MAX + 1];
    enum profile profile;
    enum server_status status;
    bool stale;
    int64_t origin_ms; /* end of the newest step: path index i is about [origin + i * step, origin +
                          (i + 1) * step) */
    int64_t last_seen_ms;
    size_t path_count;
    struct forecast_path paths[]; /* ascending by metric */
};

/* Whether the TFT had a say in it. */
bool forecast_path_by_model(const struct forecast_path *path);

struct forecast *forecast_retain(const struct forecast *forecast);
void forecast_release(const struct forecast *forecast); /* NULL does nothing */
const struct forecast_path *forecast_path(const struct forecast *forecast,
                                          int metric); /* NULL: none */

/* What the forecasts of one metric, as they were issued, were worth when their time came; sums over
 * the fleet, the newest of each server counting most. Losses are pinball losses in the metric's
 * unit, by quantile. */
struct forecast_quality {
    double scored, inside;                    /* values, and those of them inside p10..p90 */
    double issued[3], persistence[3], day[3]; /* ours; of the newest value; of that a day before */
    size_t tracks;                            /* servers */
    double weight[FORECAST_VOICES];           /* in the median, summed over the servers */
};
/* "persistence", ..., "tft". */
const char *forecast_voice_name(size_t voice);

/* Where a run's processor time goes. */
enum forecast_stage {
    FORECAST_GATHER,  /* windows copied out of the fleet */
    FORECAST_EXPERTS, /* learning, what the simple forecasters say, a network's inputs by metric */
    FORECAST_NETWORK, /* the model; of one with targets by name its inputs too */
    FORECAST_COMBINE, /* blend, bands, ramps, order and bounds */
    FORECAST_STAGES
};
const char *forecast_stage_name(enum forecast_stage stage); /* "gather", ... */

/* Every server's forecast as of one run, sorted by name. */
struct forecast_set {
    atomic_uint references;
    uint64_t run;    /* counts up from 1 within a process */
    int64_t made_ms; /* wall clock */
    uint32_t step_s;
    size_t computed;                 /* forecasts made anew in this run */
    size_t waiting;                  /* servers whose window changed, left for another run */
    double seconds;                  /* the run's duration */
    double stage_s[FORECAST_STAGES]; /* processor time, of all workers */
    size_t reuse_bytes; /* held for the next run: what models make of steps that do not change */
    uint64_t basis;     /* of forecaster and model: only forecasts of the same basis are shared */
    struct forecast_quality (*quality)[FORECAST_BLOCKS]; /* (schema's metrics) NULL: nothing is
                                                            measured yet */
    uint64_t roster; /* the same number: the same servers in the same places; 0: not known */
    struct forecast_share **shares; /* (share_count) hold the references to the items, those in a
                                       row together; NULL: not the set's to release */
    size_t share_count, count;
    const struct forecast *items[];
};
const struct forecast_set *forecast_set_retain(const struct forecast_set *set);
void forecast_set_release(const struct forecast_set *set);
/* Whether item i of the one is of the same server as item i of the other, and there are no others.
 */
bool forecast_set_same_servers(const struct forecast_set *a, const struct forecast_set *b);
/* Index of the first whose name is not less; the count: none. */
size_t forecast_set_from(const struct forecast_set *set, const char *name);
/* By name; NULL: none. */
const struct forecast *forecast_set_find(const struct forecast_set *set, const char *name);

#endif
