/* What a track says: weights, medians, the calibrated band. */
#include "forecast/track_internal.h"

#include "forecast/blend.h"

#include <assert.h>
#include <math.h>

const int track_knot[TRACK_KNOTS] = {1, 4, 12, 24, 36, 48, 72, 96};
const int track_knot_block[TRACK_KNOTS] = {0, 0, 0, 1, 1, 2, 3, 3};
const size_t track_promise_knot[TRACK_PROMISE_KNOTS] = {1, 2, 4, 5,
                                                        7}; /* 4, 12, 36, 48, 96 steps */
static const int block_middle[TRACK_BLOCKS] = {6, 24, 48, 78};

static const float trusted = 30.0f;     /* values after which losses count half */
static const float floor_share = 1e-5f; /* of the size of values: what losses do not tell apart */

/* ---- the experts ---- */

float track_gain(const struct track *t, size_t e, size_t k)
{
    const float gain = t->gain_product[e][k] / (t->gain_square[e][k] + 1e-6f);
    return fminf(fmaxf(gain, 0.0f), 1.0f);
}

void track_fit_all(const struct track *t, struct track_fit *fit)
{
    for (size_t b = 0; b < TRACK_BLOCKS; b++)
        ridge_solve(&t->ridge[b], fit->coefficient[b]);
}

float track_linear(const struct track_fit *fit, struct track_place place,
                   const struct expert_parts *parts, size_t i)
{
    const float here =
        ridge_predict(fit->coefficient[track_knot_block[place.knot]], parts->feature[i]);
    if (place.part == 0.0f)
        return here;
    const float next =
        ridge_predict(fit->coefficient[track_knot_block[place.next]], parts->feature[i]);
    return here + place.part * (next - here);
}

void track_say(const struct track *t, const struct track_fit *fit, const struct expert_view *view,
               const struct expert_parts *parts, size_t i, int64_t step, struct track_place place,
               float out[3][EXPERT_COUNT])
{
    const size_t k = place.knot, next = place.next;
    for (size_t e = 0; e < EXPERT_POINTS; e++) {
        const struct tracker *here = &t->residual[e][k], *there = &t->residual[e][next];
        float gain = track_gain(t, e, k);
        gain += place.part * (track_gain(t, e, next) - gain);
        float point = parts->base[e][i] + gain * parts->signal[e][i];
        if (e == EXPERT_LINEAR)
            point += track_linear(fit, place, parts, i);
        const bool known = here->seen > 0 && there->seen > 0;
        for (size_t q = 0; q < 3; q++)
            out[q][e] = known ? point + here->quantile[q] +
                                    place.part * (there->quantile[q] - here->quantile[q])
                              : NAN;
    }
    float climate[3];
    daybook_quantiles(&t->book, daybook_place(view->step_s, step), climate);
    for (size_t q = 0; q < 3; q++)
        out[q][EXPERT_CLIMATE] = climate[q];
}

/* ---- weights ---- */

void track_weigh_one(const struct track *t, float scale, size_t b, size_t q,
                     float weight[EXPERT_COUNT])
{
    static const float prior[EXPERT_COUNT] = {1, 1, 1, 1, 1, 1, 1, 1};
    float mean[EXPERT_COUNT], most = 0.0f;
    for (size_t e = 0; e < EXPERT_COUNT; e++) {
        const float n = t->loss_count[e][b];
        mean[e] = n > 0.0f ? t->loss[e][b][q] / n : NAN;
        most = fmaxf(n, most);
    }
    blend_weights(mean, prior, EXPERT_COUNT, most / (most + trusted), floor_share * scale + 1e-12f,
                  weight);
}

void track_weigh(const struct track *t, float scale, struct track_weights *out)
{
    for (size_t b = 0; b < TRACK_BLOCKS; b++)
        for (size_t q = 0; q < 3; q++)
            track_weigh_one(t, scale, b, q, out->of[b][q]);
}

bool track_mix(float said[3][EXPERT_COUNT], float weight[3][EXPERT_COUNT], float out[3])
{
    for (size_t q = 0; q < 3; q++) {
        out[q] = blend_median(said[q], weight[q], EXPERT_COUNT);
        if (isnan(out[q]))
            return false;
    }
    out[0] = fminf(out[0], out[1]);
    out[2] = fmaxf(out[2], out[1]);
    return true;
}

float track_share(const struct track *t, size_t b, size_t q)
{
    const struct track_score *s = &t->score[b];
    const float n = s->model_count;
    const float ratio = n > 0.0f ? (s->model[q] + 1e-12f) / (s->blend[q] + 1e-12f) : 1.0f;
    return blend_share(ratio, n / (n + trusted));
}

float track_model_share(const struct track *t)
{
    float sum = 0.0f;
    for (size_t b = 0; b < TRACK_BLOCKS; b++)
        sum += track_share(t, b, 1);
    return sum / TRACK_BLOCKS;
}

void track_calibrate(const struct track *t, size_t b, float out[3])
{
    out[0] = out[1] - t->stretch[b][0] * (out[1] - out[0]);
    out[2] = out[1] + t->stretch[b][1] * (out[2] - out[1]);
}

/* ---- the path ---- */

/* A horizon between the middles of two blocks. */
struct block_place {
    size_t block, next;
    float part;
};

static struct block_place place_of(int horizon)
{
    size_t b = 0;
    while (b + 1 < TRACK_BLOCKS && block_middle[b + 1] <= horizon)
        b++;
    const size_t next = b + 1 < TRACK_BLOCKS ? b + 1 : b;
    const float part = next == b ? 0.0f
                                 : (float)(horizon - block_middle[b]) /
                                       (float)(block_middle[next] - block_middle[b]);
    return (struct block_place){b, next, fmaxf(part, 0.0f)};
}

static struct track_place knot_of(int horizon)
{
    size_t k = 0;
    while (k + 1 < TRACK_KNOTS && track_knot[k + 1] <= horizon)
        k++;
    if (k + 1 == TRACK_KNOTS)
        return (struct track_place){k, k, 0.0f};
    return (struct track_place){
        k, k + 1, (float)(horizon - track_knot[k]) / (float)(track_knot[k + 1] - track_knot[k])};
}

static void normalise(const struct track_weights *weights, struct track_words *words)
{
    for (size_t q = 0; q < 3; q++)
        for (size_t b = 0; b < TRACK_BLOCKS; b++) {
            float sum = 0.0f;
            for (size_t e = 0; e < EXPERT_COUNT; e++)
                sum += weights->of[b][q][e];
            for (size_t e = 0; e < EXPERT_COUNT; e++)
                words->weight[q][b][e] = weights->of[b][q][e] / sum;
        }
}

void track_speak(const struct track *t, const struct track_view *view, struct track_words *words)
{
    struct expert_parts parts;
    struct track_fit fit;
    struct track_weights weights;
    expert_parts(&view->expert, (int64_t)view->sums.n - 1, 1, FORECAST_HORIZON, &parts);
    track_fit_all(t, &fit);
    track_weigh(t, view->scale, &weights);
    normalise(&weights, words);
    for (int h = 1; h <= FORECAST_HORIZON; h++) {
        float said[3][EXPERT_COUNT], weight[3][EXPERT_COUNT], out[3];
        const struct block_place at = place_of(h);
        track_say(t, &fit, &view->expert, &parts, (size_t)h - 1, view->newest_step + h, knot_of(h),
                  said);
        for (size_t q = 0; q < 3; q++)
            for (size_t e = 0; e < EXPERT_COUNT; e++) {
                const float here = words->weight[q][at.block][e];
                weight[q][e] = here + at.part * (words->weight[q][at.next][e] - here);
                words->said[q][e][h - 1] = said[q][e];
            }
        if (!track_mix(said, weight, out)) /* has not learned anything yet */
            out[0] = out[1] = out[2] = parts.base[EXPERT_PERSISTENCE][0];
        for (size_t q = 0; q < 3; q++)
            words->blend[q][h - 1] = out[q];
    }
}

static size_t block_of(int horizon)
{
    size_t b = 0;
    while (forecast_block_end[b] < horizon)
        b++;
    return b;
}

void track_finish(const struct track *t, const struct track_words *words, const float *model,
                  float *quantiles)
{
    for (int h = 1; h <= FORECAST_HORIZON; h++) {
        const struct block_place at = place_of(h);
        float out[3];
        for (size_t q = 0; q < 3; q++) {
            const float theirs = model == NULL ? NAN : model[q * FORECAST_HORIZON + (size_t)h - 1];
            out[q] = words->blend[q][h - 1];
            if (isnan(theirs))
                continue;
            const float share = (1.0f - at.part) * track_share(t, at.block, q) +
                                at.part * track_share(t, at.next, q);
            out[q] += share * ((float)series_to(&t->map, (double)theirs) - out[q]);
        }
        track_calibrate(t, block_of(h), out);
        for (size_t q = 0; q < 3; q++)
            quantiles[q * FORECAST_HORIZON + (size_t)h - 1] =
                (float)fmin(fmax(series_back(&t->map, (double)out[q]), -1e30), 1e30);
    }
}
