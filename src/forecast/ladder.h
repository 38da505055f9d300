/* What forewarn's own network sees of one metric of one server: a ladder of rungs that grow longer
 * with their distance from the origin, a day back and eight hours ahead. One network serves every
 * metric, known or not: everything is relative to what the track (track.h) makes of it.
 *
 *   past     each rung's mean, extremes, and how far it was from what is usual and from the day
 *            before; how much of it was seen
 *   ahead    what every expert says about the rung, relative to the blend and its width
 *   fixed    how long the series is known, how it varies, whom the blend believes
 *
 * What the network forecasts is where in the blend's band the value will lie: 0 its median, -1 and
 * +1 its edges, so -1, 0, 1 as p10, p50, p90 repeat the blend, and a network adds what it knows.
 * docs/model.md says how it was arrived at. */
#ifndef FW_FORECAST_LADDER_H
#define FW_FORECAST_LADDER_H

#include "forecast/track.h"
#include "tft/spec.h"

enum {
    LADDER_PAST = 14, /* rungs */
    LADDER_AHEAD = 8,
    LADDER_FIXED_INPUTS = 25,
    LADDER_PAST_INPUTS = 6,
    LADDER_AHEAD_INPUTS = 17,
    LADDER_INPUTS = LADDER_FIXED_INPUTS + LADDER_PAST_INPUTS + LADDER_AHEAD_INPUTS,
    LADDER_NAME_SIZE = 32,
    LADDER_QUANTILES = 3,
};
extern const int ladder_past[LADDER_PAST];   /* steps of each rung, oldest first: 288 */
extern const int ladder_ahead[LADDER_AHEAD]; /* nearest first: 96 */
#define LADDER_TARGET "place"

/* Every input is finite, of order 1, and at most 8 in size. */
struct ladder {
    float fixed[LADDER_FIXED_INPUTS];
    float past[LADDER_PAST][LADDER_PAST_INPUTS];
    float ahead[LADDER_AHEAD][LADDER_AHEAD_INPUTS];
    float center[FORECAST_HORIZON];                         /* on the map: the blend's median, */
    float below[FORECAST_HORIZON], above[FORECAST_HORIZON]; /* and the widths of its halves, > 0 */
};

void ladder_build(const struct track *track, const struct track_view *view,
                  const struct track_words *words, struct ladder *ladder);

/* Where a value on the map lies in the band of step h (from 0), clipped to +-20, and back. */
float ladder_place(const struct ladder *ladder, size_t h, float mapped);
float ladder_mapped(const struct ladder *ladder, size_t h, float place);

/* The rung of step h (from 0). */
size_t ladder_rung(size_t h);

/* The name of input i, in the order fixed, past, ahead: how a spec lists them. */
void ladder_input_name(size_t i, char name[LADDER_NAME_SIZE]);
/* Whether a model's spec is of this form, all names, lengths and quantiles being the ladder's. */
bool ladder_spec_fits(const struct tft_spec *spec);

/* The network's arrays for one ladder, LADDER_INPUTS reals a step: history (LADDER_PAST), horizon
 * (LADDER_AHEAD). */
void ladder_fill(const struct ladder *ladder, float *history_reals, float *horizon_reals);

/* A network's answer (LADDER_AHEAD, LADDER_QUANTILES), between the rungs' middles in lines, as
 * quantiles (3, FORECAST_HORIZON) in the metric's unit; all NaN when a number is not finite. */
void ladder_quantiles(const struct ladder *ladder, const struct series_map *map,
                      const float *answer, float *quantiles);

#endif
