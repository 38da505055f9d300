#include "surprise/ladder.h"

#include <math.h>

enum { APART_S = 3600, FADE_DAYS = 30, DAY_S = 86400 };
static const double lowest = 0.01, highest = 5.0;

void surprise_ladder_init(struct surprise_ladder *ladder)
{
    *ladder = (struct surprise_ladder){0};
    for (size_t i = 0; i < SURPRISE_LEVELS; i++)
        ladder->last[i] = SURPRISE_LONG_AGO;
}

double surprise_ladder_level(size_t level)
{
    return lowest * pow(highest / lowest, (double)level / (SURPRISE_LEVELS - 1));
}

void surprise_ladder_add(struct surprise_ladder *ladder, int64_t step, uint32_t step_s,
                         double score)
{
    const double day = (double)step_s / DAY_S;
    const float keep = (float)exp(-day / FADE_DAYS);
    ladder->days = ladder->days * keep + (float)day;
    for (size_t i = 0; i < SURPRISE_LEVELS; i++)
        ladder->alarms[i] *= keep;
    /* Levels ascend: the first one not passed ends it. */
    for (size_t i = 0; i < SURPRISE_LEVELS && score > surprise_ladder_level(i); i++) {
        if ((step - ladder->last[i]) * (int64_t)step_s > APART_S)
            ladder->alarms[i] += 1.0f;
        ladder->last[i] = step;
    }
}

void surprise_counts_add(struct surprise_counts *counts, const struct surprise_ladder *ladder,
                         double ceiling)
{
    for (size_t i = 0; i < SURPRISE_LEVELS; i++)
        counts->alarms[i] += fmin((double)ladder->alarms[i], ceiling);
    counts->days += (double)ladder->days;
}

double surprise_counts_threshold(const struct surprise_counts *counts, double per_day,
                                 double unseen)
{
    const double allowed = per_day * counts->days;
    /* From above, and no further than where alarms become fewer again: a level that is passed all
     * the time would count as one long alarm. */
    size_t good = SURPRISE_LEVELS;
    double most = 0.0;
    for (; good > 0 && counts->alarms[good - 1] + unseen <= allowed; good--) {
        if (counts->alarms[good - 1] < 0.5 * most)
            return surprise_ladder_level(good);
        most = fmax(most, counts->alarms[good - 1]);
    }
    if (good == SURPRISE_LEVELS)
        return (double)INFINITY;
    if (good == 0)
        return surprise_ladder_level(0);
    const double more = log(counts->alarms[good - 1] + unseen),
                 fewer = log(counts->alarms[good] + unseen);
    const double share = (more - log(allowed)) / (more - fewer); /* more > log(allowed) >= fewer */
    return surprise_ladder_level(good - 1) *
           pow(surprise_ladder_level(good) / surprise_ladder_level(good - 1), share);
}
