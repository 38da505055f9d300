#include "forecast/tracker.h"

#include <math.h>

static const float levels[3] = {0.1f, 0.5f, 0.9f};
static const float slowest = 0.002f, early = 0.3f, stride = 3.0f;

void tracker_add(struct tracker *t, float value)
{
    t->seen = t->seen < UINT16_MAX ? (uint16_t)(t->seen + 1) : UINT16_MAX;
    const float n = (float)t->seen;
    t->spread += fmaxf(1.0f / n, 0.5f * slowest) * (fabsf(value) - t->spread);
    if (t->seen == 1) {
        t->quantile[0] = t->quantile[1] = t->quantile[2] = value;
        return;
    }
    const float rate = fmaxf(fmaxf(1.0f / n, early / sqrtf(n)), slowest);
    for (int i = 0; i < 3; i++)
        t->quantile[i] +=
            stride * rate * t->spread * (levels[i] - (value < t->quantile[i] ? 1.0f : 0.0f));
    t->quantile[0] = fminf(t->quantile[0], t->quantile[1]);
    t->quantile[2] = fmaxf(t->quantile[2], t->quantile[1]);
}
