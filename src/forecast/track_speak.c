/* What a track says: weights, medians, the calibrated band. */
#include "forecast/track_internal.h"

#include "forecast/blend.h"
#include "forecast/job.h"

#include <math.h>
#include <string.h>

const int track_knot[TRACK_KNOTS] = {1, 4, 12, 24, 36, 48, 72, 96};
const int track_knot_block[TRACK_KNOTS] = {0, 0, 0, 1, 1, 2, 3, 3};
const size_t track_promise_knot[TRACK_PROMISE_KNOTS] = {1, 2, 4, 5,
                                                        7}; /* 4, 12, 36, 48, 96 steps */
static const int block_middle[TRACK_BLOCKS] = {6, 24, 48, 78};

static const float trusted = 30.0f; /* values after which losses count half */
enum { MODE_VOTES_MIN = 30, MODE_SCORED_MIN = 20 };
static const float floor_share = 1e-5f; /* of the size of values: what losses do not tell apart */

/* ---- the experts ---- */

static float gain_of(const struct track *t, size_t e, size_t k)
{
    const float gain = t->gain_product[e][k] / (t->gain_square[e][k] + 1e-6f);
    return gain > 0.0f ? (gain < 1.0f ? gain : 1.0f) : 0.0f;
}

void track_fit_all(const struct track *t, struct track_fit *fit)
{
    for (size_t b = 0; b < TRACK_BLOCKS; b++)
        ridge_solve(&t->ridge[b], fit->coefficient[b]);
    for (size_t e = 0; e < EXPERT_POINTS; e++)
        for (size_t k = 0; k < TRACK_KNOTS; k++)
            fit->gain[e][k] = gain_of(t, e, k);
}

void track_say(const struct track *t, const struct track_fit *fit, const struct expert_parts *parts,
               size_t k, float linear, float out[3][EXPERT_COUNT])
{
    for (size_t e = 0; e < EXPERT_POINTS; e++) {
        const struct tracker *residual = &t->residual[e][k];
        const float point = parts->base[e][0] + fit->gain[e][k] * parts->signal[e][0] +
                            (e == EXPERT_LINEAR ? linear : 0.0f);
        for (size_t q = 0; q < 3; q++)
            out[q][e] = residual->seen > 0 ? point + residual->quantile[q] : NAN;
    }
    for (size_t q = 0; q < 3; q++)
        out[q][EXPERT_CLIMATE] = parts->climate[q][0];
}

/* The horizons from one knot up to the next: everything learned is a line between them. */
struct stretch {
    size_t knot, next;
    size_t first, n; /* rows of the parts */
    float per_step;
};

static struct stretch stretch_from(size_t k)
{
    if (k + 1 == TRACK_KNOTS)
        return (struct stretch){k, k, FORECAST_HORIZON - 1, 1, 0.0f};
    const int n = track_knot[k + 1] - track_knot[k];
    return (struct stretch){k, k + 1, (size_t)track_knot[k] - 1, (size_t)n, 1.0f / (float)n};
}

static void add_linear(const struct track_fit *fit, struct stretch s,
                       const struct expert_parts *parts, float *point)
{
    const float *here = fit->coefficient[track_knot_block[s.knot]];
    const float *next = fit->coefficient[track_knot_block[s.next]];
    for (size_t f = 0; f < RIDGE_FEATURES; f++) {
        const float *x = parts->feature[f] + s.first, first = here[f];
        const float change = (next[f] - first) * s.per_step;
        for (size_t i = 0; i < s.n; i++)
            point[i] += (first + (float)(int)i * change) * x[i];
    }
}

static void say_stretch(const struct track *t, const struct track_fit *fit, struct stretch s,
                        const struct expert_parts *parts, struct track_words *words)
{
    for (size_t e = 0; e < EXPERT_POINTS; e++) {
        const struct tracker *here = &t->residual[e][s.knot], *next = &t->residual[e][s.next];
        const float *base = parts->base[e] + s.first, *signal = parts->signal[e] + s.first;
        const float gain = fit->gain[e][s.knot];
        const float gain_change = (fit->gain[e][s.next] - gain) * s.per_step;
        const bool known = here->seen > 0 && next->seen > 0;
        float point[FORECAST_HORIZON];
        for (size_t i = 0; i < s.n; i++)
            point[i] = base[i] + (gain + (float)(int)i * gain_change) * signal[i];
        if (e == EXPERT_LINEAR)
            add_linear(fit, s, parts, point);
        for (size_t q = 0; q < 3; q++) {
            float *said = words->said[q][e] + s.first;
            const float first = known ? here->quantile[q] : NAN;
            const float change = (next->quantile[q] - first) * s.per_step;
            for (size_t i = 0; i < s.n; i++)
                said[i] = point[i] + (first + (float)(int)i * change);
        }
    }
}

/* ---- weights ---- */

void track_weigh_one(const struct track *t, float scale, size_t b, size_t q,
                     float weight[EXPERT_COUNT])
{
    static const float prior[EXPERT_COUNT] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
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

/* ---- the path ---- */

/* Values of the blocks, in lines between their middles. */
static void between_blocks(const float of[TRACK_BLOCKS], float row[FORECAST_HORIZON])
{
    float *to = row;
    for (int h = 1; h < block_middle[0]; h++)
        *to++ = of[0];
    for (size_t b = 0; b < TRACK_BLOCKS; b++) {
        const bool last = b + 1 == TRACK_BLOCKS;
        const int n = (last ? FORECAST_HORIZON + 1 : block_middle[b + 1]) - block_middle[b];
        const float first = of[b], change = last ? 0.0f : (of[b + 1] - first) / (float)n;
        for (int i = 0; i < n; i++)
            to[i] = first + (float)i * change;
        to += n;
    }
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

/* The weighted medians, ordered; `otherwise` where nobody has learned anything yet. */
static void mix(struct track_words *words, const float otherwise[FORECAST_HORIZON])
{
    float weight[EXPERT_COUNT][FORECAST_HORIZON];
    for (size_t q = 0; q < 3; q++) {
        for (size_t e = 0; e < EXPERT_COUNT; e++) {
            float of[TRACK_BLOCKS];
            for (size_t b = 0; b < TRACK_BLOCKS; b++)
                of[b] = words->weight[q][b][e];
            between_blocks(of, weight[e]);
        }
        blend_medians(words->said[q][0], weight[0], EXPERT_COUNT, FORECAST_HORIZON,
                      words->blend[q]);
    }
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        const float low = words->blend[0][i], middle = words->blend[1][i];
        const float high = words->blend[2][i];
        const bool silent = isnan(low) || isnan(middle) || isnan(high);
        words->blend[0][i] = silent ? otherwise[i] : low < middle ? low : middle;
        words->blend[1][i] = silent ? otherwise[i] : middle;
        words->blend[2][i] = silent ? otherwise[i] : high > middle ? high : middle;
    }
}

/* Jobs, where they stand out by more than the band is wide: away from the bound, where there is
 * one.
 */
static void expect_jobs(const struct track *t, const struct track_view *view,
                        struct track_words *words)
{
    float *low = words->blend[0], *high = words->blend[2];
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        const float width = high[i] - low[i], middle = words->blend[1][i];
        const int64_t ahead = (int64_t)i + 1;
        if (t->map.scale != SERIES_LOG_MIRRORED)
            high[i] = fmaxf(high[i], middle + job_stands_out(&view->sums, ahead, 1.0f, width));
        if (t->map.scale != SERIES_LOG)
            low[i] = fminf(low[i], middle - job_stands_out(&view->sums, ahead, -1.0f, width));
    }
}

void track_speak(const struct track *t, const struct track_view *view, struct track_words *words)
{
    struct expert_parts parts = {0};
    struct track_fit fit = {0};
    struct track_weights weights = {0};
    expert_parts(&view->expert, (int64_t)view->sums.n - 1, 1, FORECAST_HORIZON, &parts);
    track_fit_all(t, &fit);
    for (size_t k = 0; k < TRACK_KNOTS; k++)
        say_stretch(t, &fit, stretch_from(k), &parts, words);
    for (size_t q = 0; q < 3; q++)
        memcpy(words->said[q][EXPERT_CLIMATE], parts.climate[q], sizeof parts.climate[q]);
    track_weigh(t, view->scale, &weights);
    normalise(&weights, words);
    mix(words, parts.base[EXPERT_PERSISTENCE]);
    expect_jobs(t, view, words);
    memcpy(words->unheld, words->blend, sizeof words->unheld);
    words->at_mode = t->mode_votes >= MODE_VOTES_MIN &&
                     view->sums.mapped[view->sums.newest[view->sums.n - 1]] == t->mode;
}

/* Draws each quantile of the blend towards the model's by its share; NaN: it says nothing. */
static void add_model(const struct track *t, const float *model, float out[3][FORECAST_HORIZON])
{
    float said[FORECAST_HORIZON], share[FORECAST_HORIZON];
    for (size_t q = 0; q < 3; q++) {
        float of[TRACK_BLOCKS];
        for (size_t b = 0; b < TRACK_BLOCKS; b++)
            of[b] = track_share(t, b, q);
        between_blocks(of, share);
        series_to_all(&t->map, FORECAST_HORIZON, model + q * FORECAST_HORIZON, said);
        for (size_t i = 0; i < FORECAST_HORIZON; i++)
            out[q][i] += isnan(said[i]) ? 0.0f : share[i] * (said[i] - out[q][i]);
    }
}

static void calibrate(const struct track *t, float out[3][FORECAST_HORIZON])
{
    size_t i = 0;
    for (size_t b = 0; b < TRACK_BLOCKS; b++)
        for (; i < (size_t)forecast_block_end[b]; i++) {
            const float middle = out[1][i];
            out[0][i] = middle - t->stretch[b][0] * (middle - out[0][i]);
            out[2][i] = middle + t->stretch[b][1] * (out[2][i] - middle);
        }
}

static void hold(const struct track *t, float out[3][FORECAST_HORIZON])
{
    size_t i = 0;
    for (size_t b = 0; b < TRACK_BLOCKS; b++) {
        const struct track_score *s = &t->score[b];
        const size_t from = i, to = (size_t)forecast_block_end[b];
        for (size_t q = 0; q < 3 && s->mode_count >= MODE_SCORED_MIN; q++)
            for (i = from; i < to && s->mode[q] <= s->unheld[q]; i++)
                out[q][i] = t->mode;
        i = to;
    }
}

void track_finish(const struct track *t, struct track_words *words, const float *model,
                  float *quantiles)
{
    static const float most = 1e30f;
    float out[3][FORECAST_HORIZON];
    memcpy(out, words->blend, sizeof out);
    if (model != NULL)
        add_model(t, model, out);
    calibrate(t, out);
    memcpy(words->unheld, out, sizeof out);
    if (words->at_mode)
        hold(t, out);
    series_back_all(&t->map, (size_t)3 * FORECAST_HORIZON, out[0], quantiles);
    for (size_t i = 0; i < (size_t)3 * FORECAST_HORIZON; i++) {
        const float value = quantiles[i];
        quantiles[i] = value > -most ? (value < most ? value : most) : -most;
    }
}
