#include "forecast/blend.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static const float sharpness = 12.0f;
static const float worst = 20.0f; /* times the least, less one: any loss beyond counts the same */
static const float second_odds = 0.5f;

/* What is sorted side by side; loops over lanes become vector code. */
enum { LANES = 8 };
struct lanes {
    float value[BLEND_MAX][LANES], weight[BLEND_MAX][LANES];
};

/* Who says nothing goes to the end of the order, with no weight. */
static void load(const float *value, const float *weight, size_t n, size_t stride, size_t lanes,
                 struct lanes *out)
{
    for (size_t e = 0; e < n; e++)
        for (size_t l = 0; l < LANES; l++) {
            const size_t from = e * stride + (l < lanes ? l : 0);
            const bool says = !isnan(value[from]) && weight[from] > 0.0f;
            out->value[e][l] = says ? value[from] : INFINITY;
            out->weight[e][l] = says ? weight[from] : 0.0f;
        }
}

/* By exchange of neighbours, which leaves the order of equals. */
static void sort(struct lanes *x, size_t n)
{
    for (size_t end = n; end > 1; end--)
        for (size_t e = 1; e < end; e++)
            for (size_t l = 0; l < LANES; l++) {
                const float v = x->value[e - 1][l], next = x->value[e][l];
                const float w = x->weight[e - 1][l], next_w = x->weight[e][l];
                const bool exchange = v > next;
                x->value[e - 1][l] = exchange ? next : v;
                x->value[e][l] = exchange ? v : next;
                x->weight[e - 1][l] = exchange ? next_w : w;
                x->weight[e][l] = exchange ? w : next_w;
            }
}

/* Each value stands at the middle of its weight. */
static void walk(const struct lanes *x, size_t n, float out[LANES])
{
    float half[LANES] = {0}, before[LANES] = {0}, at[LANES];
    for (size_t e = 0; e < n; e++)
        for (size_t l = 0; l < LANES; l++)
            half[l] += 0.5f * x->weight[e][l];
    for (size_t l = 0; l < LANES; l++) {
        out[l] = half[l] > 0.0f ? x->value[0][l] : NAN;
        at[l] = 0.5f * x->weight[0][l];
    }
    for (size_t e = 1; e < n; e++)
        for (size_t l = 0; l < LANES; l++) {
            before[l] += x->weight[e - 1][l];
            const float next = before[l] + 0.5f * x->weight[e][l];
            const float part = (half[l] - at[l]) / (next - at[l]);
            const float low = x->value[e - 1][l], high = x->value[e][l];
            const float there = low + (high - low) * (part < 1.0f ? part : 1.0f);
            out[l] = half[l] > at[l] && x->weight[e][l] > 0.0f ? there : out[l];
            at[l] = next;
        }
}

void blend_medians(const float *value, const float *weight, size_t n, size_t count, float *out)
{
    assert(n >= 1 && n <= BLEND_MAX);
    for (size_t at = 0; at < count; at += LANES) {
        const size_t lanes = count - at < LANES ? count - at : LANES;
        struct lanes x;
        float median[LANES];
        load(value + at, weight + at, n, count, lanes, &x);
        sort(&x, n);
        walk(&x, n, median);
        memcpy(out + at, median, lanes * sizeof *out);
    }
}

float blend_median(const float *value, const float *weight, size_t n)
{
    float median;
    blend_medians(value, weight, n, 1, &median);
    return median;
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
