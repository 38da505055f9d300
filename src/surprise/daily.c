#include "surprise/surprise_internal.h"

#include <math.h>

static const float keep = 0.7f; /* of what was usual, from a day to the next */

/* The bin ahead still has yesterday's maximum under `today`; it becomes what is usual. Today's own
 * last bins do not, or an alarm would silence itself. */
static void enter(struct surprise_daily *daily, int64_t bin)
{
    const size_t ahead = (size_t)((bin + 1) % SURPRISE_BINS);
    daily->usual[ahead] = fmaxf(keep * daily->usual[ahead], daily->today[ahead]);
    daily->today[ahead] = 0.0f;
    daily->bin = bin;
}

double surprise_daily_expected(struct surprise_daily *daily, int64_t bin)
{
    const bool far = daily->bin < 0 || bin - daily->bin > SURPRISE_BINS;
    for (int64_t b = far ? bin - SURPRISE_BINS + 1 : daily->bin + 1; b <= bin; b++)
        enter(daily, b);
    const size_t at = (size_t)(bin % SURPRISE_BINS);
    const float before = daily->usual[(at + SURPRISE_BINS - 1) % SURPRISE_BINS],
                after = daily->usual[(at + 1) % SURPRISE_BINS];
    return (double)fmaxf(daily->usual[at], fmaxf(before, after));
}

void surprise_daily_add(struct surprise_daily *daily, double score)
{
    float *most = &daily->today[daily->bin % SURPRISE_BINS];
    *most = fmaxf(*most, (float)score);
}
