#include "forecast/blend.h"

#include "forecast/kernels/rows.h"

#include <assert.h>
#include <math.h>

static const float sharpness = 12.0f;
static const float worst = 20.0f; /* times the least, less one: any loss beyond counts the same */
static const float second_odds = 0.5f;

void blend_medians(const float *value, const float *weight, size_t n, size_t count, float *out)
{
    assert(n >= 1 && n <= BLEND_MAX);
    row_kernels_best()->medians(n, count, value, weight, out);
}

float blend_median(const float *value, const float *weight, size_t n)
{
    float median;
    blend_medians(value, weight, n, 1, &median);
    return median;
}

void blend_exponents(const float *loss, size_t n, float trust, float floor, float *exponent)
{
    float least = INFINITY;
    for (size_t e = 0; e < n; e++)
        least = loss[e] < least ? loss[e] : least;
    const float per_least = 1.0f / (least + floor);
    for (size_t e = 0; e < n; e++) {
        const float more = (loss[e] + floor) * per_least - 1.0f;
        const float counted = more < worst ? more : worst;
        exponent[e] = isnan(loss[e]) ? 0.0f : -sharpness * trust * counted;
    }
}

void blend_weights(const float *loss, const float *prior, size_t n, float trust, float floor,
                   float *weight)
{
    assert(n <= BLEND_MAX);
    float exponent[BLEND_MAX];
    blend_exponents(loss, n, trust, floor, exponent);
    row_kernels_best()->exp(n, exponent, weight);
    for (size_t e = 0; e < n; e++)
        weight[e] *= prior[e];
}

float blend_share(float ratio, float trust)
{
    const float more = fminf(fmaxf(ratio - 1.0f, -1.0f), worst);
    const float odds = second_odds * expf(-sharpness * trust * more);
    return odds / (1.0f + odds);
}
