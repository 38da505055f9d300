/* What learning and speaking share. Private to track*.c. */
#ifndef FW_FORECAST_TRACK_INTERNAL_H
#define FW_FORECAST_TRACK_INTERNAL_H

#include "forecast/track.h"

extern const int track_knot[TRACK_KNOTS];       /* ascending, the last is FORECAST_HORIZON */
extern const int track_knot_block[TRACK_KNOTS]; /* that a knot teaches */
extern const size_t track_promise_knot[TRACK_PROMISE_KNOTS];

/* What speaking and learning at one time have in common: the coefficients of `linear`, and the
 * share of its signal that each expert adds. */
struct track_fit {
    float coefficient[TRACK_BLOCKS][RIDGE_FEATURES];
    float gain[EXPERT_POINTS][TRACK_KNOTS];
};
void track_fit_all(const struct track *track, struct track_fit *fit);

/* Quantiles of every expert on the map at a knot, from row 0 of the parts. `linear`:
 * what that one adds to its base. */
void track_say(const struct track *track, const struct track_fit *fit,
               const struct expert_parts *parts, size_t knot, float linear,
               float out[3][EXPERT_COUNT]);

struct track_weights {
    float of[TRACK_BLOCKS][3][EXPERT_COUNT];
};
void track_weigh(const struct track *track, float scale, struct track_weights *out);
/* Of one block and quantile. */
void track_weigh_one(const struct track *track, float scale, size_t block, size_t quantile,
                     float weight[EXPERT_COUNT]);

/* The model's share in a block and quantile. */
float track_share(const struct track *track, size_t block, size_t quantile);

/* Judges the promises whose time has come. */
void track_learn_promises(struct track *track, const struct track_view *view);

/* The newest step may still be open: its value is whole when the next one has begun. */
static inline int64_t track_newest_whole(const struct track_view *view)
{
    return view->newest_step - 1;
}

static inline float track_back(const struct track *track, float mapped)
{
    return (float)series_back(&track->map, (double)mapped);
}

static inline float track_pinball(size_t quantile, float seen, float said)
{
    static const float level[3] = {0.1f, 0.5f, 0.9f};
    const float under = seen - said;
    return (under > 0.0f ? level[quantile] : level[quantile] - 1.0f) * under;
}

#endif
