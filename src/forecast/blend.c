#include "forecast/blend.h"

#include "tft/kernels/lanes.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const float sharpness = 12.0f;
static const float worst = 20.0f; /* times the least, less one: any loss beyond counts the same */
static const float second_odds = 0.5f;

/* One column a lane. Who says nothing goes to the end of the order, with no weight. */
struct voices {
    fv value[BLEND_MAX], weight[BLEND_MAX];
};

static void load(const float *value, const float *weight, size_t n, size_t stride,
                 struct voices *out)
{
    for (size_t e = 0; e < n; e++) {
        const fv v = fv_load(value + e * stride), w = fv_load(weight + e * stride);
        const iv says = (v == v) & (w > fv_all(0.0f));
        out->value[e] = fv_select(says, v, fv_all(INFINITY));
        out->weight[e] = fv_select(says, w, fv_all(0.0f));
    }
}

/* By exchange of neighbours, which leaves the order of equals. */
static void sort(struct voices *x, size_t n)
{
    for (size_t end = n; end > 1; end--)
        for (size_t e = 1; e < end; e++) {
            const fv v = x->value[e - 1], next = x->value[e];
            const fv w = x->weight[e - 1], next_w = x->weight[e];
            /* a ^ (a ^ b) is b: what differs goes both ways, or none. */
            const iv exchange = v > next;
            const iv value = exchange & ((iv)v ^ (iv)next),
                     weight = exchange & ((iv)w ^ (iv)next_w);
            x->value[e - 1] = (fv)((iv)v ^ value);
            x->value[e] = (fv)((iv)next ^ value);
            x->weight[e - 1] = (fv)((iv)w ^ weight);
            x->weight[e] = (fv)((iv)next_w ^ weight);
        }
}

/* Each value stands at the middle of its weight. */
static fv walk(const struct voices *x, size_t n)
{
    fv half = fv_all(0.0f), before = fv_all(0.0f), at = fv_all(0.5f) * x->weight[0];
    for (size_t e = 0; e < n; e++)
        half += fv_all(0.5f) * x->weight[e];
    fv out = fv_select(half > fv_all(0.0f), x->value[0], fv_all(NAN));
    for (size_t e = 1; e < n; e++) {
        before += x->weight[e - 1];
        const fv next = before + fv_all(0.5f) * x->weight[e];
        const fv part = fv_most((half - at) / (next - at), 1.0f);
        const fv low = x->value[e - 1], there = low + (x->value[e] - low) * part;
        out = fv_select((half > at) & (x->weight[e] > fv_all(0.0f)), there, out);
        at = next;
    }
    return out;
}

static fv medians(const float *value, const float *weight, size_t n, size_t stride)
{
    struct voices voices;
    load(value, weight, n, stride, &voices);
    sort(&voices, n);
    return walk(&voices, n);
}

/* The last columns, fewer than a register holds. */
static void last_medians(const float *value, const float *weight, size_t n, size_t stride,
                         size_t lanes, float *out)
{
    float v[BLEND_MAX * LANES] = {0}, w[BLEND_MAX * LANES] = {0};
    for (size_t e = 0; e < n; e++)
        for (size_t l = 0; l < lanes; l++) {
            v[e * LANES + l] = value[e * stride + l];
            w[e * LANES + l] = weight[e * stride + l];
        }
    const fv median = medians(v, w, n, LANES);
    memcpy(out, &median, lanes * sizeof *out);
}

void blend_medians(const float *value, const float *weight, size_t n, size_t count, float *out)
{
    assert(n >= 1 && n <= BLEND_MAX);
    size_t at = 0;
    for (; at + LANES <= count; at += LANES)
        fv_store(out + at, medians(value + at, weight + at, n, count));
    if (at < count)
        last_medians(value + at, weight + at, n, count, count - at, out + at);
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
