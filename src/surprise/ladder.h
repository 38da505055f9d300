/* How often each of 64 thresholds would have raised an alarm, counted while the scores come in:
 * what the threshold for a wanted rate of alarms is taken from. Firings less than an hour apart are
 * one alarm. Old counts fade with a time constant of thirty days. */
#ifndef FW_SURPRISE_LADDER_H
#define FW_SURPRISE_LADDER_H

#include <stddef.h>
#include <stdint.h>

enum { SURPRISE_LEVELS = 64 };
/* A step long ago: a difference to it, in seconds, is far from what 64 bits hold. */
#define SURPRISE_LONG_AGO (-(INT64_C(1) << 40))

/* A server's; all zero but `last`, which surprise_ladder_init() sets. */
struct surprise_ladder {
    int64_t last[SURPRISE_LEVELS]; /* the newest step whose score was above the level */
    float alarms[SURPRISE_LEVELS]; /* faded */
    float days;                    /* watched, faded the same way */
};

void surprise_ladder_init(struct surprise_ladder *ladder);

/* The score of a level: 0.01 to 5, each 1.1 times the one below. */
double surprise_ladder_level(size_t level);

/* One step's score. Steps ascend. */
void surprise_ladder_add(struct surprise_ladder *ladder, int64_t step, uint32_t step_s,
                         double score);

/* Counts of one or more ladders, added up. */
struct surprise_counts {
    double alarms[SURPRISE_LEVELS];
    double days;
};
/* `ceiling`: no level of the ladder counts for more alarms; INFINITY: none. */
void surprise_counts_add(struct surprise_counts *counts, const struct surprise_ladder *ladder,
                         double ceiling);

/* The lowest threshold that, and above which every one, would have raised at most `per_day` alarms
 * a day, interpolated between levels. `unseen` alarms are reckoned with beyond those that were
 * seen: with 1, what has not happened in ten days may still come once in ten. Levels so low that
 * alarms flow together count for nothing. INFINITY while no level can be vouched for. */
double surprise_counts_threshold(const struct surprise_counts *counts, double per_day,
                                 double unseen);

#endif
