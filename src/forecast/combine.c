#include "forecast/combine.h"

#include "forecast/kernels/rows.h"

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
    float *const out[3] = {path->p10, path->p50, path->p90};
    row_kernels_best()->admit(FORECAST_HORIZON, chosen->quantiles, (float)metric->min,
                              (float)metric->max, metric->integer, out);
    path->trend = (path->p50[FORECAST_HORIZON - 1] - path->current) / (float)FORECAST_HORIZON;
}
