/* What learning and speaking share. Private to track*.c. */
#ifndef FW_FORECAST_TRACK_INTERNAL_H
#define FW_FORECAST_TRACK_INTERNAL_H

#include "forecast/track.h"

extern const int track_knot[TRACK_KNOTS];       /* ascending, the last is FORECAST_HORIZON */
extern const int track_knot_block[TRACK_KNOTS]; /* that a knot teaches */
extern const size_t track_promise_knot[TRACK_PROMISE_KNOTS];

/* Coefficients of `linear` for every block. */
struct track_fit {
    float coefficient[TRACK_BLOCKS][RIDGE_FEATURES];
};
void track_fit_all(const struct track *track, struct track_fit *fit);

/* A horizon between two knots: (1 - part) * knot + part * the next. */
struct track_place {
    size_t knot, next;
    float part;
};

float track_gain(const struct track *track, size_t expert, size_t knot);
/* What `linear` adds to its base, at row i of the parts. */
float track_linear(const struct track_fit *fit, struct track_place place,
                   const struct expert_parts *parts, size_t i);

/* Quantiles of every expert on the map for the step at row i of the parts. */
void track_say(const struct track *track, const struct track_fit *fit,
               const struct expert_view *view, const struct expert_parts *parts, size_t i,
               int64_t step, struct track_place place, float out[3][EXPERT_COUNT]);

struct track_weights {
    float of[TRACK_BLOCKS][3][EXPERT_COUNT];
};
void track_weigh(const struct track *track, float scale, struct track_weights *out);
/* Of one block and quantile. */
void track_weigh_one(const struct track *track, float scale, size_t block, size_t quantile,
                     float weight[EXPERT_COUNT]);

/* The weighted medians, ordered. False: nobody says anything. */
bool track_mix(float said[3][EXPERT_COUNT], float weight[3][EXPERT_COUNT], float out[3]);

/* The model's share in a block and quantile. */
float track_share(const struct track *track, size_t block, size_t quantile);
/* Blend and model into one (model NaN: the blend), the band stretched. */
void track_calibrate(const struct track *track, size_t block, float out[3]);

float track_pinball(size_t quantile, float seen, float said);

#endif
