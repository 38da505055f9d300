#include "forecast/track_internal.h"

#include "base/half.h"
#include "forecast/kernels/rows.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const float gain_decay = 0.999f, fit_decay = 0.999f; /* per sample of a knot */
static const float loss_decay = 0.995f, score_decay = 0.995f;
static const float stretch_rate = 0.006f, stretch_least = 0.3f, stretch_most = 3.0f;
/* Aimed at beyond each edge. More than a tenth, because what rests on an edge is inside: over the
 * metrics of a fleet four fifths are. */
static const float missed_share = 0.11f;
static const float huber = 3.0f; /* spreads beyond which a sample teaches `linear` less */
enum { FIT_SAMPLES_MIN = 100, BIN_STEPS_MAX = 64, VOTES_MAX = 100 };

static void set_up_book(struct track *t, const struct series *series)
{
    double low = (double)INFINITY, high = -(double)INFINITY;
    for (size_t i = 0; i < series->steps; i++)
        if (!isnan(series->values[i])) {
            const double z = series_to(&t->map, (double)series->values[i]);
            low = fmin(low, z);
            high = fmax(high, z);
        }
    daybook_init(&t->book, series->step_s, (float)(0.5 * (low + high)),
                 high > low ? (float)((high - low) / 16.0) : 1.0f);
}

void track_init(struct track *t, const struct series *series, uint64_t key)
{
    memset(t, 0, sizeof *t);
    t->learned = t->scored = INT64_MIN;
    t->phase = (uint8_t)(key % TRACK_PERIOD);
    t->map = series_map_for(series);
    set_up_book(t, series);
    for (size_t b = 0; b < TRACK_BLOCKS; b++)
        t->stretch[b][0] = t->stretch[b][1] = 1.0f;
    for (size_t i = 0; i < TRACK_PROMISES; i++)
        t->promise[i].origin = INT64_MIN;
}

bool track_outgrown(const struct track *t, const struct series *series)
{
    const double center = (double)t->book.center;
    return t->map.scale == SERIES_PLAIN &&
           (center == series->metric->min || center == series->metric->max) &&
           series_map_for(series).scale != SERIES_PLAIN;
}

void track_view(const struct track *t, const struct series *series, int64_t newest_step,
                struct arena *arena, struct track_view *view)
{
    series_prepare(series, &t->map, arena, &view->sums);
    const size_t n = view->sums.observed;
    assert(n > 0);
    view->scale =
        (float)(row_kernels_best()->distance(n, view->sums.observed_plain, 0.0) / (double)n);
    view->newest_step = newest_step;
    view->expert = (struct expert_view){.sums = &view->sums,
                                        .map = &t->map,
                                        .book = &t->book,
                                        .first_step = newest_step - (int64_t)series->steps + 1,
                                        .step_s = series->step_s};
}

/* ---- the book ---- */

static float median_of(const struct series_sums *sums, int64_t from, int64_t to)
{
    float v[BIN_STEPS_MAX];
    size_t n = 0;
    const int64_t stride = (to - from + BIN_STEPS_MAX - 1) / BIN_STEPS_MAX;
    for (int64_t i = from; i < to; i += stride)
        if (!isnan(sums->plain[i]))
            v[n++] = sums->mapped[i];
    if (n == 0)
        return NAN;
    series_sort(v, n);
    return (float)series_quantile(v, n, 0.5);
}

/* Enters the bins that ended by `step`. */
static void write_book(struct track *t, const struct expert_view *v, int64_t step)
{
    const int64_t bin_s = daybook_bin_s(v->step_s), step_s = v->step_s;
    const int64_t ended = (step + 1) * step_s / bin_s - 1;
    const int64_t oldest = (v->first_step * step_s + bin_s - 1) / bin_s;
    int64_t bin = t->book.newest + 1 > oldest ? t->book.newest + 1 : oldest;
    for (bin = bin > 0 ? bin : 0; bin <= ended; bin++) {
        const int64_t from = (bin * bin_s + step_s - 1) / step_s - v->first_step;
        const int64_t to = ((bin + 1) * bin_s + step_s - 1) / step_s - v->first_step;
        assert(from >= 0 && to <= (int64_t)v->sums->n);
        if (to > from)
            daybook_put(&t->book, bin, median_of(v->sums, from, to));
    }
}

/* ---- learning from one step ---- */

/* What is compared: one value, and what was said of it from one knot's distance. */
struct sample {
    size_t knot, block;
    float base[EXPERT_POINTS], signal[EXPERT_POINTS];
    float feature[RIDGE_FEATURES], linear; /* and what comes of them */
};

/* One value, and all that was said of it. */
struct lesson {
    float mapped, plain;
    size_t n;
    struct sample sample[TRACK_KNOTS];
    float said[TRACK_KNOTS][3][EXPERT_COUNT]; /* on the map, then in the metric's unit */
    float plainly[TRACK_KNOTS][3][EXPERT_COUNT];
};

static float back(const struct track *t, float mapped)
{
    return (float)series_back(&t->map, (double)mapped);
}

static void learn_loss(struct track *t, const struct lesson *lesson, size_t i)
{
    const size_t b = lesson->sample[i].block;
    for (size_t e = 0; e < EXPERT_COUNT; e++) {
        if (isnan(lesson->said[i][1][e]))
            continue;
        t->loss_count[e][b] = loss_decay * t->loss_count[e][b] + 1.0f;
        for (size_t q = 0; q < 3; q++)
            t->loss[e][b][q] = loss_decay * t->loss[e][b][q] +
                               track_pinball(q, lesson->plain, lesson->plainly[i][q][e]);
    }
}

static void learn_points(struct track *t, const struct sample *s, float mapped,
                         const struct track_fit *fit)
{
    const size_t k = s->knot;
    for (size_t e = 0; e < EXPERT_POINTS; e++) {
        const bool young = t->residual[EXPERT_PERSISTENCE][k].seen <= FIT_SAMPLES_MIN;
        if (isnan(s->base[e]) || (e == EXPERT_LINEAR && young))
            continue;
        const float signal = s->signal[e];
        float off = mapped - s->base[e];
        if (e == EXPERT_LINEAR)
            off -= s->linear;
        const float left = off - fit->gain[e][k] * signal;
        t->gain_product[e][k] = gain_decay * t->gain_product[e][k] + off * signal;
        t->gain_square[e][k] = gain_decay * t->gain_square[e][k] + signal * signal;
        tracker_add(&t->residual[e][k], left);
    }
}

static void learn_fit(struct track *t, const struct sample *s, float mapped)
{
    const size_t k = s->knot;
    const float off = mapped - s->base[EXPERT_LINEAR];
    const float left = fabsf(off - s->linear);
    const float most = huber * t->residual[EXPERT_LINEAR][k].spread;
    const float weight = most > 0.0f && left > most ? most / left : 1.0f;
    ridge_add(&t->ridge[s->block], s->feature, off, weight, fit_decay);
}

/* The value of the majority, if there is one, by Boyer and Moore's vote (1991). */
static void vote(struct track *t, float mapped)
{
    if (t->mode_votes == 0 && mapped != t->mode) {
        t->mode = mapped;
        for (size_t b = 0; b < TRACK_BLOCKS; b++) {
            struct track_score *s = &t->score[b];
            s->mode_count = 0.0f;
            memset(s->mode, 0, sizeof s->mode);
            memset(s->unheld, 0, sizeof s->unheld);
        }
    }
    if (mapped != t->mode)
        t->mode_votes--;
    else if (t->mode_votes < VOTES_MAX)
        t->mode_votes++;
}

/* What was said from a knot's distance. */
static void take_sample(const struct track *t, const struct track_fit *fit, size_t k,
                        const struct expert_parts *parts, struct lesson *lesson)
{
    struct sample *s = &lesson->sample[lesson->n];
    s->knot = k;
    s->block = (size_t)track_knot_block[k];
    for (size_t e = 0; e < EXPERT_POINTS; e++) {
        s->base[e] = parts->base[e][0];
        s->signal[e] = parts->signal[e][0];
    }
    for (size_t f = 0; f < RIDGE_FEATURES; f++)
        s->feature[f] = parts->feature[f][0];
    s->linear = ridge_predict(fit->coefficient[s->block], s->feature);
    track_say(t, fit, parts, k, s->linear, lesson->said[lesson->n]);
    lesson->n++;
}

/* First all is asked, from far to near as the shelf has it, and mapped back at once; what a sample
 * teaches does not change what the others were told. */
static void learn_step(struct track *t, const struct track_view *v, int64_t index,
                       struct expert_parts *parts, struct track_fit *fit)
{
    struct lesson lesson ROW_UNSET;
    vote(t, v->sums.mapped[index]);
    lesson.mapped = v->sums.mapped[index];
    lesson.plain = v->sums.plain[index];
    lesson.n = 0;
    for (size_t k = TRACK_KNOTS; k-- > 0;) {
        const int64_t origin = index - track_knot[k];
        if (origin < 0 || v->sums.newest[origin] < 0)
            continue;
        expert_parts(&v->expert, origin, track_knot[k], track_knot[k], parts);
        take_sample(t, fit, k, parts, &lesson);
    }
    series_back_all(&t->map, lesson.n * 3 * EXPERT_COUNT, lesson.said[0][0], lesson.plainly[0][0]);
    for (size_t i = lesson.n; i-- > 0;) {
        learn_loss(t, &lesson, i);
        learn_points(t, &lesson.sample[i], lesson.mapped, fit);
        learn_fit(t, &lesson.sample[i], lesson.mapped);
    }
    track_fit_all(t, fit);
}

/* The newest step may still be open: its value is whole when the next one has begun. */
static int64_t newest_whole(const struct track_view *view)
{
    return view->newest_step - 1;
}

static void learn_experts(struct track *t, const struct track_view *view)
{
    const int64_t first = view->expert.first_step;
    int64_t step = t->learned < first ? first : t->learned + 1;
    const int64_t past = (step + t->phase) % TRACK_PERIOD;
    step += past == 0 ? 0 : TRACK_PERIOD - past;
    if (step > newest_whole(view))
        return;
    struct track_fit fit ROW_UNSET;
    struct expert_parts parts ROW_UNSET;
    track_fit_all(t, &fit);
    expert_parts_init(&parts);
    for (; step <= newest_whole(view); step += TRACK_PERIOD) {
        if (!isnan(view->sums.plain[step - first]))
            learn_step(t, view, step - first, &parts, &fit);
        write_book(t, &view->expert, step);
        t->learned = step;
    }
}

/* ---- learning from what was issued ---- */

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
        out[q] = track_pinball(q, seen, back(t, daybook_value(&t->book, said[q])));
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
        loss[q] = track_pinball(q, seen, back(t, t->mode));
    decay_into(score->mode, loss);
    for (size_t q = 0; q < 3; q++) {
        const float said = back(t, daybook_value(&t->book, unheld[q]));
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

static void learn_promises(struct track *t, const struct track_view *view)
{
    const int64_t first = view->expert.first_step;
    for (int64_t step = t->scored < first ? first : t->scored + 1; step <= newest_whole(view);
         step++)
        for (size_t k = 0; k < TRACK_PROMISE_KNOTS; k++) {
            const int64_t origin = step - track_knot[track_promise_knot[k]];
            if (origin % FORECAST_KEPT_STEPS != 0 || isnan(view->sums.plain[step - first]))
                continue;
            const struct track_promise *promise = promise_at(t, origin);
            if (promise->origin == origin)
                score_promise(t, promise, k, view, step - first);
        }
    t->scored = newest_whole(view) > t->scored ? newest_whole(view) : t->scored;
}

void track_learn(struct track *t, const struct track_view *view)
{
    /* First what was issued: its band is judged before anything adapts to the same values. */
    learn_promises(t, view);
    learn_experts(t, view);
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

/* ---- what was stored ---- */

static bool all_finite(const float *values, size_t n)
{
    float sum = 0.0f;
    for (size_t i = 0; i < n; i++)
        sum += values[i] * 0.0f; /* NaN from then on */
    return sum == 0.0f;
}

#define FINITE(array) all_finite((const float *)(array), sizeof(array) / sizeof(float))

static bool book_sane(const struct daybook *book, uint32_t step_s)
{
    return book->newest >= -1 && book->newest < INT64_C(1) << 40 &&
           book->per_day == 86400 / daybook_bin_s(step_s) &&
           book->filled <= book->per_day * DAYBOOK_DAYS && isfinite(book->center) &&
           isfinite(book->unit) && book->unit > 0.0f;
}

static bool map_sane(const struct series_map *map)
{
    return (map->scale == SERIES_PLAIN || map->scale == SERIES_LOG ||
            map->scale == SERIES_LOG_MIRRORED) &&
           isfinite(map->bound) && isfinite(map->shift) && !isnan(map->limit) &&
           (map->scale == SERIES_PLAIN || map->shift > 0.0);
}

bool track_sane(const struct track *t, uint32_t step_s)
{
    const int64_t last = INT64_C(1) << 40;
    if (t->learned > last || t->scored > last || t->phase >= TRACK_PERIOD || !map_sane(&t->map) ||
        !isfinite(t->mode) || t->mode_votes > VOTES_MAX || !book_sane(&t->book, step_s))
        return false;
    for (size_t i = 0; i < TRACK_PROMISES; i++)
        if (t->promise[i].origin > last)
            return false;
    for (size_t e = 0; e < EXPERT_POINTS; e++)
        for (size_t k = 0; k < TRACK_KNOTS; k++) {
            const struct tracker *r = &t->residual[e][k];
            if (!FINITE(r->quantile) || !isfinite(r->spread))
                return false;
        }
    for (size_t b = 0; b < TRACK_BLOCKS; b++) {
        const struct track_score *s = &t->score[b];
        if (!FINITE(t->ridge[b].normal) || !FINITE(t->ridge[b].moment) || !isfinite(s->count) ||
            !isfinite(s->inside) || !FINITE(s->issued) || !FINITE(s->persistence) ||
            !FINITE(s->day) || !isfinite(s->model_count) || !FINITE(s->model) ||
            !FINITE(s->blend) || !isfinite(s->mode_count) || !FINITE(s->mode) || !FINITE(s->unheld))
            return false;
    }
    return FINITE(t->gain_product) && FINITE(t->gain_square) && FINITE(t->loss) &&
           FINITE(t->loss_count) && FINITE(t->stretch);
}
