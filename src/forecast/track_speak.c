/* What a track says: weights, medians, the calibrated band. */
#include "forecast/track_internal.h"

#include "forecast/blend.h"
#include "forecast/job.h"
#include "forecast/kernels/rows.h"

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
    _Static_assert((int)TRACK_BLOCKS == (int)ROW_RIDGES, "a fit a block");
    row_kernels_best()->solve(t->ridge, fit->coefficient);
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

/* What is learned at a knot is a line up to the next: at horizons 0 to FORECAST_HORIZON - 1. */
static struct row_pieces knot_pieces(void)
{
    struct row_pieces pieces = {.per_step = {0.0f}};
    _Static_assert((int)TRACK_KNOTS <= (int)ROW_PIECES, "a line has a piece a knot");
    for (size_t k = 0; k < ROW_PIECES; k++)
        pieces.at[k] = k < TRACK_KNOTS ? (float)(track_knot[k] - 1) : INFINITY;
    for (size_t k = 0; k + 1 < TRACK_KNOTS; k++)
        pieces.per_step[k] = 1.0f / (float)(track_knot[k + 1] - track_knot[k]);
    return pieces;
}

/* Everything that is learned, for every horizon. */
enum { GAINS = 0, RESIDUALS = EXPERT_POINTS, FITS = 4 * EXPERT_POINTS };
struct learned_rows {
    float gain[EXPERT_POINTS][FORECAST_HORIZON];
    float residual[EXPERT_POINTS][3][FORECAST_HORIZON];
    float coefficient[RIDGE_FEATURES][FORECAST_HORIZON];
};

static void draw_rows(const struct track *t, const struct track_fit *fit, struct learned_rows *rows)
{
    const struct row_pieces pieces = knot_pieces();
    struct row_line line[FITS + RIDGE_FEATURES] ROW_UNSET;
    for (size_t k = 0; k <= TRACK_KNOTS; k++) { /* once more the last: it goes on as it is */
        const size_t knot = k < TRACK_KNOTS ? k : TRACK_KNOTS - 1;
        const float *coefficient = fit->coefficient[track_knot_block[knot]];
        for (size_t e = 0; e < EXPERT_POINTS; e++) {
            const struct tracker *residual = &t->residual[e][knot];
            line[GAINS + e].value[k] = fit->gain[e][knot];
            for (size_t q = 0; q < 3; q++) /* known at both ends, or not at all */
                line[RESIDUALS + 3 * e + q].value[k] =
                    residual->seen > 0 ? residual->quantile[q] : NAN;
        }
        for (size_t f = 0; f < RIDGE_FEATURES; f++)
            line[FITS + f].value[k] = coefficient[f];
    }
    row_kernels_best()->lines(&pieces, COUNT(line), line, FORECAST_HORIZON, rows->gain[0]);
}

static void say_all(const struct track *t, const struct track_fit *fit,
                    const struct expert_parts *parts, struct track_words *words)
{
    const struct row_kernels *kernels = row_kernels_best();
    struct learned_rows rows ROW_UNSET;
    draw_rows(t, fit, &rows);
    for (size_t e = 0; e < EXPERT_POINTS; e++) {
        float *const said[3] = {words->said[0][e], words->said[1][e], words->said[2][e]};
        const bool fitted = e == EXPERT_LINEAR;
        kernels->say(&(struct row_saying){.n = FORECAST_HORIZON,
                                          .base = parts->base[e],
                                          .signal = parts->signal[e],
                                          .gain = rows.gain[e],
                                          .off = rows.residual[e][0],
                                          .features = fitted ? RIDGE_FEATURES : 0,
                                          .feature = parts->feature[0],
                                          .coefficient = rows.coefficient[0]},
                     said);
    }
}

/* ---- weights ---- */

/* Logarithms of a block's weights. */
static void weigh(const struct track *t, float scale, size_t b, float exponent[3][EXPERT_COUNT])
{
    float mean[3][EXPERT_COUNT], most = 0.0f;
    for (size_t e = 0; e < EXPERT_COUNT; e++) {
        const float n = t->loss_count[e][b], per = n > 0.0f ? 1.0f / n : NAN;
        for (size_t q = 0; q < 3; q++)
            mean[q][e] = t->loss[e][b][q] * per;
        most = n > most ? n : most;
    }
    for (size_t q = 0; q < 3; q++)
        blend_exponents(mean[q], EXPERT_COUNT, most / (most + trusted),
                        floor_share * scale + 1e-12f, exponent[q]);
}

void track_weigh_one(const struct track *t, float scale, size_t b, size_t q,
                     float weight[EXPERT_COUNT])
{
    float exponent[3][EXPERT_COUNT];
    weigh(t, scale, b, exponent);
    row_kernels_best()->exp(EXPERT_COUNT, exponent[q], weight);
}

void track_weigh(const struct track *t, float scale, struct track_weights *out)
{
    float exponent[TRACK_BLOCKS][3][EXPERT_COUNT];
    for (size_t b = 0; b < TRACK_BLOCKS; b++)
        weigh(t, scale, b, exponent[b]);
    row_kernels_best()->exp((size_t)TRACK_BLOCKS * 3 * EXPERT_COUNT, exponent[0][0], out->of[0][0]);
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
static struct row_pieces block_pieces(void)
{
    struct row_pieces pieces = {.at = {0.0f}};
    _Static_assert((int)TRACK_BLOCKS < (int)ROW_PIECES, "a piece before the first block's middle");
    for (size_t k = 1; k < ROW_PIECES; k++)
        pieces.at[k] = k <= TRACK_BLOCKS ? (float)(block_middle[k - 1] - 1) : INFINITY;
    for (size_t k = 1; k < TRACK_BLOCKS; k++)
        pieces.per_step[k] = 1.0f / (float)(block_middle[k] - block_middle[k - 1]);
    return pieces;
}

/* The first before its middle, the last behind its own. */
static struct row_line between_blocks(const float of[TRACK_BLOCKS])
{
    struct row_line line;
    for (size_t k = 0; k <= ROW_PIECES; k++)
        line.value[k] = of[k < 1 ? 0 : k <= TRACK_BLOCKS ? k - 1 : TRACK_BLOCKS - 1];
    return line;
}

static void normalise(const struct track_weights *weights, struct track_words *words)
{
    for (size_t q = 0; q < 3; q++)
        for (size_t b = 0; b < TRACK_BLOCKS; b++) {
            float sum = 0.0f;
            for (size_t e = 0; e < EXPERT_COUNT; e++)
                sum += weights->of[b][q][e];
            const float share = 1.0f / sum;
            for (size_t e = 0; e < EXPERT_COUNT; e++)
                words->weight[q][b][e] = weights->of[b][q][e] * share;
        }
}

/* The weighted medians, ordered; `otherwise` where nobody has learned anything yet. */
static void mix(struct track_words *words, const float otherwise[FORECAST_HORIZON])
{
    const struct row_pieces pieces = block_pieces();
    struct row_line line[3][EXPERT_COUNT];
    float weight[3][EXPERT_COUNT][FORECAST_HORIZON] ROW_UNSET;
    for (size_t q = 0; q < 3; q++)
        for (size_t e = 0; e < EXPERT_COUNT; e++) {
            float of[TRACK_BLOCKS];
            for (size_t b = 0; b < TRACK_BLOCKS; b++)
                of[b] = words->weight[q][b][e];
            line[q][e] = between_blocks(of);
        }
    row_kernels_best()->lines(&pieces, (size_t)3 * EXPERT_COUNT, line[0], FORECAST_HORIZON,
                              weight[0][0]);
    for (size_t q = 0; q < 3; q++)
        blend_medians(words->said[q][0], weight[q][0], EXPERT_COUNT, FORECAST_HORIZON,
                      words->blend[q]);
    row_kernels_best()->settle(FORECAST_HORIZON, otherwise, words->blend[0]);
}

/* Jobs, where they stand out by more than the band is wide: away from the bound, where there is
 * one.
 */
static void expect_jobs(const struct track *t, const struct track_view *view,
                        struct track_words *words)
{
    float up[FORECAST_HORIZON] ROW_UNSET, down[FORECAST_HORIZON] ROW_UNSET;
    float width[FORECAST_HORIZON] ROW_UNSET;
    float *low = words->blend[0], *middle = words->blend[1], *high = words->blend[2];
    for (size_t i = 0; i < FORECAST_HORIZON; i++)
        width[i] = high[i] - low[i];
    if (!jobs_stand_out(&view->sums, FORECAST_HORIZON, width, up, down))
        return;
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        if (t->map.scale != SERIES_LOG_MIRRORED)
            high[i] = fmaxf(high[i], middle[i] + up[i]);
        if (t->map.scale != SERIES_LOG)
            low[i] = fminf(low[i], middle[i] - down[i]);
    }
}

void track_speak(const struct track *t, const struct track_view *view, struct track_words *words)
{
    struct expert_parts parts ROW_UNSET;
    struct track_fit fit ROW_UNSET;
    struct track_weights weights ROW_UNSET;
    expert_parts_init(&parts);
    expert_parts(&view->expert, (int64_t)view->sums.n - 1, 1, FORECAST_HORIZON, &parts);
    track_fit_all(t, &fit);
    say_all(t, &fit, &parts, words);
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
    const struct row_pieces pieces = block_pieces();
    struct row_line line[3];
    float said[3][FORECAST_HORIZON] ROW_UNSET, share[3][FORECAST_HORIZON] ROW_UNSET;
    for (size_t q = 0; q < 3; q++) {
        float of[TRACK_BLOCKS];
        for (size_t b = 0; b < TRACK_BLOCKS; b++)
            of[b] = track_share(t, b, q);
        line[q] = between_blocks(of);
    }
    row_kernels_best()->lines(&pieces, 3, line, FORECAST_HORIZON, share[0]);
    series_to_all(&t->map, (size_t)3 * FORECAST_HORIZON, model, said[0]);
    row_kernels_best()->towards((size_t)3 * FORECAST_HORIZON, said[0], share[0], out[0]);
}

static void calibrate(const struct track *t, float out[3][FORECAST_HORIZON])
{
    int from = 0;
    for (size_t b = 0; b < TRACK_BLOCKS; b++) {
        float *const path[3] = {out[0] + from, out[1] + from, out[2] + from};
        row_kernels_best()->widen((size_t)(forecast_block_end[b] - from), t->stretch[b][0],
                                  t->stretch[b][1], path);
        from = forecast_block_end[b];
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
    float out[3][FORECAST_HORIZON] ROW_UNSET;
    memcpy(out, words->blend, sizeof out);
    if (model != NULL)
        add_model(t, model, out);
    calibrate(t, out);
    memcpy(words->unheld, out, sizeof out);
    if (words->at_mode)
        hold(t, out);
    series_back_all(&t->map, (size_t)3 * FORECAST_HORIZON, out[0], quantiles);
    row_kernels_best()->limit((size_t)3 * FORECAST_HORIZON, most, quantiles);
}
