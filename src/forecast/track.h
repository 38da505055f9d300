/* What is remembered of one metric of one server beyond its window, so that it is forecast by what
 * has worked on it: a book of fourteen days, how far each expert's words were off, how each has
 * done, how wide the band must be, and the forecasts that were issued and have still to prove
 * themselves. 6.1 KiB.
 *
 * Learning is causal and incremental: every seventh step what came is compared with what each
 * expert says from origins 1 to 96 steps before. Gains and coefficients are fitted by least
 * squares, the quantiles of what is left are followed by small steps (tracker.h), losses are means
 * that forget within some days. Of every thirteenth step the forecast itself is kept and scored
 * when its time has come, so that the quality that is shown is that of forecasts as they were
 * issued, and a model is trusted by what it said before.
 *
 * A series that is at one value exactly most of the time, its mode (zero restarts, no swap, 50 %),
 * is forecast by smooth means a little beside it. While it is at its mode, a quantile whose kept
 * forecasts lost more than the mode itself would have lost is held there.
 *
 * A track learns what it has not seen yet as long as it is in the window: being asked late, or
 * after a restart, changes nothing as long as windows reach back.
 *
 * The constants were chosen on the validation parts of public sets, all near flat optima
 * (docs/model.md). Pure but for its own memory; no allocation. Private to this folder. */
#ifndef FW_FORECAST_TRACK_H
#define FW_FORECAST_TRACK_H

#include "base/arena.h"
#include "forecast/expert.h"
#include "forecast/tracker.h"

enum {
    TRACK_KNOTS = 8,         /* horizons that are learned: 1 to 96 steps */
    TRACK_PROMISE_KNOTS = 5, /* those at which forecasts are kept */
    TRACK_BLOCKS = FORECAST_BLOCKS,
    /* Steps between learnings. No day has a multiple of them, so that every time of day is learned
     * from in turn: every sixth step never saw a job that ran between them. */
    TRACK_PERIOD = 7,
    TRACK_PROMISES = FORECAST_HORIZON / FORECAST_KEPT_STEPS + 1,
};

/* A forecast that was issued, on the map, as the book keeps values. */
struct track_promise {
    int64_t origin;                          /* step; INT64_MIN: none */
    uint16_t issued[TRACK_PROMISE_KNOTS][3]; /* ordered and bounded */
    uint16_t blend[TRACK_PROMISE_KNOTS][3];  /* what it was made of: the experts' ... */
    uint16_t model[TRACK_PROMISE_KNOTS][3];  /* ... and the model's opinion; NaN: it had none */
    uint16_t unheld[TRACK_PROMISE_KNOTS][3]; /* as issued, but not held at the mode */
    uint8_t at_mode;                         /* whether the series was there */
};

/* Sums over promises whose time came, each counting a little less than the next; losses are pinball
 * losses in the metric's unit, by quantile. */
struct track_score {
    float count, inside; /* inside: of p10 to p90 */
    float issued[3];
    float persistence[3], day[3];          /* of the newest value, and of that a day before */
    float model_count, model[3], blend[3]; /* where the model had an opinion */
    float mode_count, mode[3],
        unheld[3]; /* issued at the mode: of the mode, of what was not held */
};

struct track {
    int64_t learned; /* the last step that was learned from; INT64_MIN: none */
    int64_t scored;  /* the last step that promises were compared with; likewise */
    uint8_t phase;   /* 0 .. TRACK_PERIOD - 1: spreads a fleet's learning over the steps */
    uint16_t behind; /* values in the two days up to `learned` when that was learned from */
    struct series_map map;
    float mode;         /* on the map: the value of most steps, if any is */
    uint8_t mode_votes; /* how clearly: steps there less steps elsewhere, bounded */
    struct daybook book;
    struct ridge ridge[TRACK_BLOCKS];
    float gain_product[EXPERT_POINTS][TRACK_KNOTS], gain_square[EXPERT_POINTS][TRACK_KNOTS];
    struct tracker residual[EXPERT_POINTS][TRACK_KNOTS];
    float loss[EXPERT_COUNT][TRACK_BLOCKS][3];    /* decaying sums, */
    float loss_count[EXPERT_COUNT][TRACK_BLOCKS]; /* of so many values */
    float stretch[TRACK_BLOCKS][2]; /* of the lower and the upper half of the band: conformal */
    struct track_promise promise[TRACK_PROMISES];
    struct track_score score[TRACK_BLOCKS];
};

/* `series` is what the map and the book's unit are made from, once. `key`: of server and metric. */
void track_init(struct track *track, const struct series *series, uint64_t key);

/* Whether the track began on a series that never left its bound, and that has left it: the map that
 * was chosen for a constant does not fit, and the track should begin again. */
bool track_outgrown(const struct track *track, const struct series *series);

/* A window, ready to be learned from and asked. */
struct track_view {
    struct series_sums sums;
    struct expert_view expert;
    int64_t newest_step;
    float scale; /* mean size of the values */
};
/* The arena holds what series_scratch_bytes() says. At least one value is observed (asserted).
 * Valid while track, series and the arena's memory are. */
void track_view(const struct track *track, const struct series *series, int64_t newest_step,
                struct arena *arena, struct track_view *view);

/* Whether the two days up to what was learned from were nearly empty then and have been filled in
 * since (late data, an import): what was learned from it is worth less than to begin again. */
bool track_refilled(const struct track *track, const struct track_view *view);

/* Learns from the view's steps up to its newest. */
void track_learn(struct track *track, const struct track_view *view);

/* What is said about the next FORECAST_HORIZON steps, on the map. */
struct track_words {
    float said[3][EXPERT_COUNT][FORECAST_HORIZON]; /* NaN: cannot be said */
    float weight[3][TRACK_BLOCKS][EXPERT_COUNT];   /* sum up to 1 */
    float blend[3][FORECAST_HORIZON];              /* ordered */
    float unheld[3][FORECAST_HORIZON]; /* track_finish(): the forecast, before it is held */
    bool at_mode;
};
void track_speak(const struct track *track, const struct track_view *view,
                 struct track_words *words);

/* The forecast: the blend, with a model's opinion where there is one, its band calibrated, held at
 * the mode where that has been better. Fills words->unheld.
 *   model      (3, FORECAST_HORIZON) in the metric's unit; NULL: none; NaN: has no say there
 *   quantiles  (3, FORECAST_HORIZON) in the metric's unit: finite, not yet ordered or bounded */
void track_finish(const struct track *track, struct track_words *words, const float *model,
                  float *quantiles);
/* Share of the model in the median, mean over the blocks. */
float track_model_share(const struct track *track);

/* Remembers what was issued from the step, if it is one whose forecasts are kept: `issued` and
 * `model` as above, ordered and bounded. */
void track_remember(struct track *track, int64_t step, const struct track_words *words,
                    const float *issued, const float *model);

/* Adds the track's scores and weights to a metric's. */
void track_report(const struct track *track, struct forecast_quality quality[TRACK_BLOCKS]);

/* Whether bytes that were stored can be a track of this grid: every number in its range, so that
 * nothing that is done with it can go wrong. */
bool track_sane(const struct track *track, uint32_t step_s);

#endif
