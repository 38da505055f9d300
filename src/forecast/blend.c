#include "forecast/blend.h"

#include <assert.h>
#include <math.h>

static const float sharpness = 12.0f;
static const float worst = 20.0f; /* times the least, less one: any loss beyond counts the same */
static const float second_odds = 0.5f;

float blend_median(const float *value, const float *weight, size_t n)
{
    float v[BLEND_MAX], w[BLEND_MAX], total = 0.0f;
    size_t count = 0;
    assert(n <= BLEND_MAX);
    for (size_t e = 0; e < n; e++) {
        if (isnan(value[e]) || !(weight[e] > 0.0f))
            continue;
        size_t i = count++;
        for (; i > 0 && v[i - 1] > value[e]; i--) {
            v[i] = v[i - 1];
            w[i] = w[i - 1];
        }
        v[i] = value[e];
        w[i] = weight[e];
        total += weight[e];
    }
    if (count == 0)
        return NAN;
    /* Each value stands at the middle of its weight. */
    const float half = 0.5f * total;
    float before = 0.0f, at = 0.5f * w[0];
    if (half <= at)
        return v[0];
    for (size_t i = 1; i < count; i++) {
        before += w[i - 1];
        const float next = before + 0.5f * w[i];
        if (half <= next)
            return v[i - 1] + (v[i] - v[i - 1]) * ((half - at) / (next - at));
        at = next;
    }
    return v[count - 1];
}

void blend_weights(const float *loss, const float *prior, size_t n, float trust, float floor,
                   float *weight)
{
    float least = INFINITY;
    for (size_t e = 0; e < n; e++)
        least = loss[e] < least ? loss[e] : least;
    for (size_t e = 0; e < n; e++) {
        const float more = isnan(loss[e]) ? 0.0f : (loss[e] + floor) / (least + floor) - 1.0f;
        weight[e] = prior[e] * expf(-sharpness * trust * fminf(more, worst));
    }
}

float blend_share(float ratio, float trust)
{
    const float more = fminf(fmaxf(ratio - 1.0f, -1.0f), worst);
    const float odds = second_odds * expf(-sharpness * trust * more);
    return odds / (1.0f + odds);
}
