#include "forecast/forecast.h"

#include "base/alloc.h"
#include "forecast/expert.h"

#include <assert.h>

const int forecast_block_end[FORECAST_BLOCKS] = {12, 36, 60, FORECAST_HORIZON};

const char *forecast_stage_name(enum forecast_stage stage)
{
    static const char *const names[FORECAST_STAGES] = {"gather", "experts", "network", "combine"};
    return names[stage];
}

const char *forecast_voice_name(size_t voice)
{
    _Static_assert(FORECAST_VOICES == EXPERT_COUNT + 1, "every expert has a voice, and the model");
    return voice == EXPERT_COUNT ? "tft" : expert_name((enum expert)voice);
}

const char *forecast_method_name(enum forecast_method method)
{
    static const char *const names[FORECAST_METHOD_COUNT] = {
        "none", "tft", "persistence", "seasonal", "climatology", "trend", "argus", "blend",
    };
    assert((unsigned)method < FORECAST_METHOD_COUNT);
    return names[method];
}

const char *forecast_reason_text(enum forecast_reason reason)
{
    static const char *const texts[FORECAST_REASON_COUNT] = {
        [FORECAST_BY_CHOICE] = "by_choice",         [FORECAST_NO_MODEL] = "no_model",
        [FORECAST_SHORT_HISTORY] = "short_history", [FORECAST_METRIC_UNKNOWN] = "metric_unknown",
        [FORECAST_NOT_FINITE] = "not_finite",       [FORECAST_STEP_MISMATCH] = "step_mismatch",
    };
    assert((unsigned)reason < FORECAST_REASON_COUNT);
    return texts[reason];
}

bool forecast_path_by_model(const struct forecast_path *path)
{
    return path->model_share > 0.0f;
}

/* Everything but the count of references is immutable, so sharing casts const away for that alone.
 */
struct forecast *forecast_retain(const struct forecast *forecast)
{
    struct forecast *shared = (struct forecast *)(uintptr_t)forecast;
    const unsigned before = atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return shared;
}

void forecast_release(const struct forecast *forecast)
{
    if (forecast == NULL)
        return;
    struct forecast *shared = (struct forecast *)(uintptr_t)forecast;
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1)
        fw_free(shared);
}

const struct forecast_path *forecast_path(const struct forecast *forecast, int metric)
{
    for (size_t i = 0; i < forecast->path_count; i++)
        if ((int)forecast->paths[i].metric == metric)
            return &forecast->paths[i];
    return NULL;
}
