#include "forecast/tracker.h"

#include <math.h>

static const float levels[3] = {0.1f, 0.5f, 0.9f};
static const float slowest = 0.002f, early = 0.3f, stride = 3.0f;

static float larger(float a, float b)
{
    return a > b ? a : b;
}

void tracker_add(struct tracker *t, float value)
{
    t->seen = t->seen < UINT16_MAX ? (uint16_t)(t->seen + 1) : UINT16_MAX;
    const float n = (float)t->seen;
    const float share = 1.0f / n;
    t->spread += larger(share, 0.5f * slowest) * (fabsf(value) - t->spread);
    if (t->seen == 1) {
        t->quantile[0] = t->quantile[1] = t->quantile[2] = value;
        return;
    }
    const float rate = larger(larger(share, early / sqrtf(n)), slowest);
    for (int i = 0; i < 3; i++)
        t->quantile[i] +=
            stride * rate * t->spread * (levels[i] - (value < t->quantile[i] ? 1.0f : 0.0f));
    t->quantile[0] = -larger(-t->quantile[0], -t->quantile[1]);
    t->quantile[2] = larger(t->quantile[2], t->quantile[1]);
}
