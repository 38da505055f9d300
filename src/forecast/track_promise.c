/* What a track learns from the forecasts that were issued: how wide the band must be, what a model
 * and the mode are worth, and the quality that is shown. */
#include "forecast/track_internal.h"

#include "base/half.h"

#include <math.h>

static const float score_decay = 0.995f; /* per promise of a block */
static const float stretch_rate = 0.006f, stretch_least = 0.3f, stretch_most = 3.0f;
/* Aimed at beyond each edge. More than a tenth, because what rests on an edge is inside: over the
 * metrics of a fleet four fifths are. */
static const float missed_share = 0.11f;

static struct track_promise *promise_at(struct track *t, int64_t origin)
{
    const int64_t at = origin / FORECAST_KEPT_STEPS % TRACK_PROMISES;
    return &t->promise[at < 0 ? at + TRACK_PROMISES : at];
}

/* Adaptive conformal inference (Gibbs and Candes 2021), in the logarithm of the width. */
static void adapt(float *stretch, bool missed)
{
    const float a = *stretch * expf(stretch_rate * ((missed ? 1.0f : 0.0f) - missed_share));
    *stretch = fminf(fmaxf(a, stretch_least), stretch_most);
}

static void decay_into(float sum[3], const float add[3])
{
    for (size_t q = 0; q < 3; q++)
        sum[q] = score_decay * sum[q] + add[q];
}

/* Pinball losses of kept quantiles (or of one value for all); false: NaN among them. */
static bool losses(const struct track *t, const uint16_t said[3], float seen, float out[3])
{
    for (size_t q = 0; q < 3; q++)
        out[q] = track_pinball(q, seen, track_back(t, daybook_value(&t->book, said[q])));
    return said[0] != FW_HALF_NAN && said[1] != FW_HALF_NAN && said[2] != FW_HALF_NAN;
}

/* Of what was made at the mode: whether holding it there would have been better. */
static void score_mode(struct track *t, struct track_score *score, const uint16_t unheld[3],
                       float seen)
{
    const float bound = (float)t->map.bound;
    float loss[3];
    score->mode_count = score_decay * score->mode_count + 1.0f;
    for (size_t q = 0; q < 3; q++)
        loss[q] = track_pinball(q, seen, track_back(t, t->mode));
    decay_into(score->mode, loss);
    for (size_t q = 0; q < 3; q++) {
        const float said = track_back(t, daybook_value(&t->book, unheld[q]));
        const float low = t->map.scale == SERIES_LOG ? bound : -INFINITY;
        const float high = t->map.scale == SERIES_LOG_MIRRORED ? bound : INFINITY;
        loss[q] = track_pinball(q, seen, fminf(fmaxf(said, low), high));
    }
    decay_into(score->unheld, loss);
}

static void point_losses(float said, float seen, float out[3])
{
    for (size_t q = 0; q < 3; q++)
        out[q] = track_pinball(q, seen, said);
}

static void score_naive(struct track_score *score, const struct series_sums *sums, int64_t index,
                        int knot)
{
    const float seen = sums->plain[index];
    const int64_t before = index - (int64_t)sums->day;
    const int32_t newest = index >= knot ? sums->newest[index - knot] : -1;
    const float last = newest < 0 ? seen : sums->plain[newest];
    float loss[3];
    point_losses(last, seen, loss);
    decay_into(score->persistence, loss);
    point_losses(before < 0 || isnan(sums->plain[before]) ? last : sums->plain[before], seen, loss);
    decay_into(score->day, loss);
}

static void score_promise(struct track *t, const struct track_promise *promise, size_t k,
                          const struct track_view *view, int64_t index)
{
    const float mapped = view->sums.mapped[index], plain = view->sums.plain[index];
    const size_t b = (size_t)track_knot_block[track_promise_knot[k]];
    struct track_score *score = &t->score[b];
    const float low = daybook_value(&t->book, promise->issued[k][0]);
    const float high = daybook_value(&t->book, promise->issued[k][2]);
    /* Kept values are rounded to eleven bits. */
    const float slack = 5e-4f * (fabsf(mapped - t->book.center) + t->book.unit);
    const bool below = mapped<low - slack, above = mapped> high + slack;
    float loss[3], other[3];
    adapt(&t->stretch[b][0], below);
    adapt(&t->stretch[b][1], above);
    score->count = score_decay * score->count + 1.0f;
    score->inside = score_decay * score->inside + (below || above ? 0.0f : 1.0f);
    (void)losses(t, promise->issued[k], plain, loss);
    decay_into(score->issued, loss);
    score_naive(score, &view->sums, index, track_knot[track_promise_knot[k]]);
    if (losses(t, promise->model[k], plain, loss) && losses(t, promise->blend[k], plain, other)) {
        score->model_count = score_decay * score->model_count + 1.0f;
        decay_into(score->model, loss);
        decay_into(score->blend, other);
    }
    if (promise->at_mode != 0)
        score_mode(t, score, promise->unheld[k], plain);
}

void track_learn_promises(struct track *t, const struct track_view *view)
{
    const int64_t first = view->expert.first_step;
    for (int64_t step = t->scored < first ? first : t->scored + 1; step <= track_newest_whole(view);
         step++)
        for (size_t k = 0; k < TRACK_PROMISE_KNOTS; k++) {
            const int64_t origin = step - track_knot[track_promise_knot[k]];
            if (origin % FORECAST_KEPT_STEPS != 0 || isnan(view->sums.plain[step - first]))
                continue;
            const struct track_promise *promise = promise_at(t, origin);
            if (promise->origin == origin)
                score_promise(t, promise, k, view, step - first);
        }
    t->scored = track_newest_whole(view) > t->scored ? track_newest_whole(view) : t->scored;
}

static uint16_t keep(const struct track *t, float value)
{
    return daybook_half(&t->book, (float)series_to(&t->map, (double)value));
}

void track_remember(struct track *t, int64_t step, const struct track_words *words,
                    const float *issued, const float *model)
{
    if (step % FORECAST_KEPT_STEPS != 0)
        return;
    struct track_promise *promise = promise_at(t, step);
    promise->origin = step;
    promise->at_mode = words->at_mode ? 1 : 0;
    for (size_t k = 0; k < TRACK_PROMISE_KNOTS; k++)
        for (size_t q = 0; q < 3; q++) {
            const size_t h = (size_t)track_knot[track_promise_knot[k]] - 1;
            const float theirs = model == NULL ? NAN : model[q * FORECAST_HORIZON + h];
            promise->issued[k][q] = keep(t, issued[q * FORECAST_HORIZON + h]);
            promise->unheld[k][q] = daybook_half(&t->book, words->unheld[q][h]);
            promise->blend[k][q] = daybook_half(&t->book, words->blend[q][h]);
            promise->model[k][q] = isnan(theirs) ? FW_HALF_NAN : keep(t, theirs);
        }
}

/* Who has never been measured has not spoken (a week before, in the first week), whatever weight
 * waits for it. Before the first measurement the priors stand. */
static float weigh_heard(const struct track *t, size_t b, float weight[EXPERT_COUNT])
{
    float all = 0.0f, heard = 0.0f;
    track_weigh_one(t, 0.0f, b, 1, weight);
    for (size_t e = 0; e < EXPERT_COUNT; e++) {
        all += weight[e];
        heard += t->loss_count[e][b] > 0.0f ? weight[e] : 0.0f;
    }
    if (heard <= 0.0f)
        return all;
    for (size_t e = 0; e < EXPERT_COUNT; e++)
        if (t->loss_count[e][b] <= 0.0f)
            weight[e] = 0.0f;
    return heard;
}

void track_report(const struct track *t, struct forecast_quality quality[TRACK_BLOCKS])
{
    for (size_t b = 0; b < TRACK_BLOCKS; b++) {
        const struct track_score *score = &t->score[b];
        struct forecast_quality *out = &quality[b];
        float weight[EXPERT_COUNT];
        out->tracks++;
        out->scored += (double)score->count;
        out->inside += (double)score->inside;
        for (size_t q = 0; q < 3; q++) {
            out->issued[q] += (double)score->issued[q];
            out->persistence[q] += (double)score->persistence[q];
            out->day[q] += (double)score->day[q];
        }
        const float sum = weigh_heard(t, b, weight);
        const float model = score->model_count > 0.0f ? track_share(t, b, 1) : 0.0f;
        for (size_t e = 0; e < EXPERT_COUNT; e++)
            out->weight[e] += (double)((1.0f - model) * weight[e] / sum);
        out->weight[EXPERT_COUNT] += (double)model;
    }
}
