/* The simple forecasters that a blend is made of. Each says, from what is known at an origin, a
 * base for the value some steps later and a signal of which a learned share (its gain) is added:
 *
 *   persistence  mean of the last quarter of an hour
 *   level        mean of the last day              + gain * (last hour - last day)
 *   day          mean of three days at that time   + gain * (last hour - the same on those days)
 *   week         the value a week before           + gain * (last hour - the same a week before)
 *   recent       mean of 14 days at that time,     + gain * (last hour - the same mean now)
 *                each day counting 0.8 of the next
 *   trend        mean of the last quarter of an hour + gain * (slope * steps)
 *   linear       plain mean of 14 days at that time  + coefficients * features (below)
 *   yesterday    the value a day before, to the step + gain * (last hour - the same a day before)
 *   climate      quantiles of 14 days at that time (daybook.h); no base
 *
 * Means of days blunt what takes one step at its time, a job at ten past two: yesterday does not.
 * Everything is on the series' map. Private to this folder. */
#ifndef FW_FORECAST_EXPERT_H
#define FW_FORECAST_EXPERT_H

#include "forecast/daybook.h"
#include "forecast/forecast.h"
#include "forecast/ridge.h"
#include "forecast/series.h"

enum expert {
    EXPERT_PERSISTENCE,
    EXPERT_LEVEL,
    EXPERT_DAY,
    EXPERT_WEEK,
    EXPERT_RECENT,
    EXPERT_TREND,
    EXPERT_LINEAR,
    EXPERT_YESTERDAY,
    EXPERT_POINTS,                  /* those with a base */
    EXPERT_CLIMATE = EXPERT_POINTS, /* quantiles of its own */
    EXPERT_COUNT,
};
/* "persistence", "level", ... */
const char *expert_name(enum expert expert);

/* What experts look at. */
struct expert_view {
    const struct series_sums *sums;
    const struct series_map *map;
    const struct daybook *book;
    int64_t first_step; /* of the sums' index 0, on the grid */
    uint32_t step_s;
};

enum { EXPERT_BINS_MAX = FORECAST_HORIZON + 8 };

/* The book at some bins in a row, from what was whole at an origin: mean of all days, of recent
 * days, a week before, and the quantiles. Kept from one question to the next: eight origins ask
 * about one step. */
struct expert_shelf {
    const struct daybook *book; /* what it was filled from; NULL: nothing yet */
    int64_t newest, first, known;
    size_t n;
    float usual[EXPERT_BINS_MAX], recent[EXPERT_BINS_MAX], week[EXPERT_BINS_MAX];
    float climate[3][EXPERT_BINS_MAX];
};

/* Rows begin at the first horizon asked for. Before the first question: expert_parts_init(). */
struct expert_parts {
    float base[EXPERT_POINTS][FORECAST_HORIZON]; /* NaN: cannot be said */
    float signal[EXPERT_POINTS][FORECAST_HORIZON];
    float climate[3][FORECAST_HORIZON];              /* quantiles; NaN: cannot be said */
    float feature[RIDGE_FEATURES][FORECAST_HORIZON]; /* finite: 0 where nothing is known */
    struct {
        struct expert_shelf shelf;
        int32_t
            bin[FORECAST_HORIZON];    /* where each horizon stands in the book, from the first's: */
        float part[FORECAST_HORIZON]; /* so much of the way to the next */
        float usual[FORECAST_HORIZON];
        float wide[FORECAST_HORIZON]; /* mean of days, half an hour either way */
        /* One step that was asked for alone: where what depends on it alone was read, in the window
         * and in the book; 0: nowhere. */
        int64_t day_at, book_at;
    } room;
};

/* For a new question: nothing is kept yet. Rows are left as they are. */
void expert_parts_init(struct expert_parts *parts);

/* For the horizons `from` to `to` (1 .. FORECAST_HORIZON). `origin` is an index of the sums with a
 * value at or before it (asserted). Nothing after the origin is looked at. */
void expert_parts(const struct expert_view *view, int64_t origin, int from, int to,
                  struct expert_parts *parts);

#endif
