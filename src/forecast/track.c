#include "forecast/track_internal.h"

#include "base/half.h"
#include "forecast/kernels/rows.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const float gain_decay = 0.999f, fit_decay = 0.999f; /* per sample of a knot */
static const float loss_decay = 0.995f;
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

/* Values in the two days up to the last step that was learned from. */
static size_t values_behind(const struct track *t, const struct track_view *view)
{
    const int64_t newest = t->learned - view->expert.first_step, days = 2 * (int64_t)view->sums.day;
    if (newest < 0)
        return 0;
    const int64_t from = newest >= days ? newest + 1 - days : 0;
    return (size_t)(view->sums.seen[newest + 1] - view->sums.seen[from]);
}

bool track_refilled(const struct track *t, const struct track_view *view)
{
    return t->learned >= view->expert.first_step && t->learned <= view->newest_step &&
           values_behind(t, view) > 2 * (size_t)t->behind + view->sums.day / 2;
}

static void learn_experts(struct track *t, const struct track_view *view)
{
    const int64_t first = view->expert.first_step;
    int64_t step = t->learned < first ? first : t->learned + 1;
    const int64_t past = (step + t->phase) % TRACK_PERIOD;
    step += past == 0 ? 0 : TRACK_PERIOD - past;
    if (step > track_newest_whole(view))
        return;
    struct track_fit fit ROW_UNSET;
    struct expert_parts parts ROW_UNSET;
    track_fit_all(t, &fit);
    expert_parts_init(&parts);
    for (; step <= track_newest_whole(view); step += TRACK_PERIOD) {
        if (!isnan(view->sums.plain[step - first]))
            learn_step(t, view, step - first, &parts, &fit);
        write_book(t, &view->expert, step);
        t->learned = step;
    }
    t->behind = (uint16_t)values_behind(t, view);
}

void track_learn(struct track *t, const struct track_view *view)
{
    /* First what was issued: its band is judged before anything adapts to the same values. */
    track_learn_promises(t, view);
    learn_experts(t, view);
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
