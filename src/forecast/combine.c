#include "forecast/combine.h"

#include <assert.h>
#include <math.h>

static size_t choose(const struct forecast_candidate *candidates, size_t count)
{
    size_t best = 0;
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].method == FORECAST_TFT)
            return i;
        const float loss = candidates[i].pinball, least = candidates[best].pinball;
        if (!isnan(loss) && (isnan(least) || loss < least))
            best = i;
    }
    return best;
}

static float admit(const struct schema_metric *metric, float value)
{
    double inside = (double)value < metric->min ? metric->min : (double)value;
    inside = inside > metric->max ? metric->max : inside;
    return (float)(metric->integer ? nearbyint(inside) : inside);
}

static void order(float *low, float *middle, float *high)
{
    const float a = *low < *middle ? *low : *middle, b = *low < *middle ? *middle : *low;
    const float c = *high;
    *low = a < c ? a : c;
    *high = b > c ? b : c;
    *middle = c < a ? a : c < b ? c : b;
}

void forecast_combine(const struct forecast_candidate *candidates, size_t count,
                      const struct schema_metric *metric, struct forecast_path *path)
{
    assert(count > 0);
    const struct forecast_candidate *chosen = &candidates[choose(candidates, count)];
    path->method = (uint8_t)chosen->method;
    path->reason = (uint8_t)chosen->reason;
    path->pinball = chosen->pinball;
    path->coverage = chosen->coverage;
    path->scored = chosen->scored;
    path->model_share = chosen->model_share;
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        float q[3];
        for (size_t k = 0; k < 3; k++)
            q[k] = admit(metric, chosen->quantiles[k * FORECAST_HORIZON + i]);
        order(&q[0], &q[1], &q[2]);
        path->p10[i] = q[0];
        path->p50[i] = q[1];
        path->p90[i] = q[2];
    }
    path->trend = (path->p50[FORECAST_HORIZON - 1] - path->current) / (float)FORECAST_HORIZON;
}
