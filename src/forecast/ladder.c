#include "forecast/ladder.h"

#include "forecast/kernels/rows.h"
#include "tft/kernels/vecmath.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const int ladder_past[LADDER_PAST] = {48, 48, 48, 24, 24, 24, 12, 12, 12, 12, 12, 6, 4, 2};
const int ladder_ahead[LADDER_AHEAD] = {2, 4, 6, 12, 12, 12, 24, 24};

enum { PAST_STEPS = 288, USUAL_DAYS = 7, USUAL_STRIDE = 6 };
#define MOST 8.0
static const float place_most = 20.0f;
static const double least_spread = 1e-6, least_width = 0.02; /* width: in spreads */

static float squash(double x)
{
    const double inside = x < MOST ? (x > -MOST ? x : -MOST) : MOST;
    return fabs(x) <= DBL_MAX ? (float)inside : 0.0f;
}

static double log_of(double x)
{
    return (double)tft_log((float)x);
}

/* What the series does, on the map. */
struct habit {
    double spread;      /* mean distance from the mean */
    double noise;       /* mean change between neighbours */
    double floor_share; /* of values at the least */
    double now, hour, level;
};

static struct habit habit_of(const struct series_sums *s)
{
    const struct row_kernels *kernels = row_kernels_best();
    const double mean = series_mean(s, 0, (int64_t)s->n);
    const int64_t origin = (int64_t)s->n - 1;
    const size_t n = s->observed, changes = n > 1 ? n - 1 : 1;
    const double spread = kernels->distance(n, s->observed_mapped, mean) / (double)n;
    return (struct habit){
        .spread = fmax(spread, least_spread),
        .noise = kernels->change(n, s->observed_mapped) / (double)changes,
        .floor_share = (double)kernels->least(n, s->observed_mapped) / (double)n,
        .now = series_level(s, origin, 3),
        .hour = series_level(s, origin, 12),
        .level = series_level(s, origin, (int64_t)s->day),
    };
}

static void build_band(const struct track_words *w, const struct habit *habit, struct ladder *out)
{
    memcpy(out->center, w->blend[1], sizeof out->center);
    row_kernels_best()->widths(FORECAST_HORIZON, w->blend[0], (float)(least_width * habit->spread),
                               out->below, out->above);
}

static void build_fixed(const struct track *t, const struct track_words *w,
                        const struct habit *habit, struct ladder *out)
{
    const struct row_kernels *kernels = row_kernels_best();
    const double width = 0.5 *
                         (kernels->distance(FORECAST_HORIZON, out->below, 0.0) +
                          kernels->distance(FORECAST_HORIZON, out->above, 0.0)) /
                         FORECAST_HORIZON;
    size_t k = 0;
    out->fixed[k++] = squash(log1p((double)t->book.filled / (double)t->book.per_day));
    out->fixed[k++] = squash(log_of(habit->spread) + 1.0);
    out->fixed[k++] = squash(4.0 * habit->noise / habit->spread);
    out->fixed[k++] = squash(4.0 * habit->floor_share);
    out->fixed[k++] = squash(log_of(width / habit->spread));
    out->fixed[k++] = squash((habit->now - habit->hour) / habit->spread);
    out->fixed[k++] = squash((habit->hour - habit->level) / habit->spread);
    for (size_t e = 0; e < EXPERT_COUNT; e++)
        out->fixed[k++] = squash(4.0 * (double)w->weight[1][0][e]);
    for (size_t e = 0; e < EXPERT_COUNT; e++)
        out->fixed[k++] = squash(4.0 * (double)w->weight[1][TRACK_BLOCKS - 1][e]);

    assert(k == LADDER_FIXED_INPUTS);
}

/* What is usual in each rung: mean of the book at some of its steps on the days before, NaN when it
 * has none. */
static void usual_of(const struct track *t, const struct track_view *v, double usual[LADDER_PAST])
{
    enum { POINTS_MAX = PAST_STEPS / USUAL_STRIDE + LADDER_PAST, BINS_MAX = PAST_STEPS + 8 };
    int64_t step[POINTS_MAX], bin[POINTS_MAX];
    size_t points[LADDER_PAST], n = 0, p = 0;
    float sums[4][BINS_MAX] ROW_UNSET;
    const struct row_days days = {sums[0], sums[1], sums[2], sums[3]};
    int64_t from = v->newest_step + 1 - PAST_STEPS;
    for (size_t r = 0; r < LADDER_PAST; from += ladder_past[r], r++) {
        for (int i = 1; i < ladder_past[r]; i += USUAL_STRIDE)
            step[n++] = from + i;
        points[r] = n;
    }
    assert(n > 0 && n <= POINTS_MAX);
    daybook_bins(v->expert.step_s, step, n, bin);
    const size_t bins = ((size_t)(bin[n - 1] - bin[0]) + 8) / 8 * 8; /* whole registers */
    assert(bins <= BINS_MAX);                                        /* a step is a bin, or less */
    for (size_t i = 0; i < 4; i++)
        memset(sums[i], 0, bins * sizeof sums[i][0]);
    daybook_sum_days(&t->book, bin[0], bins, USUAL_DAYS, 1.0f, t->book.newest, &days);
    for (size_t r = 0; r < LADDER_PAST; r++) {
        double sum = 0.0, count = 0.0;
        for (; p < points[r]; p++) {
            sum += (double)days.plain[bin[p] - bin[0]];
            count += (double)days.count[bin[p] - bin[0]];
        }
        usual[r] = count > 0.0 ? sum / count : (double)NAN;
    }
}

static void build_past(const struct track *t, const struct track_view *v, const struct habit *habit,
                       struct ladder *out)
{
    const struct series_sums *s = &v->sums;
    const int64_t n = (int64_t)s->n, day = (int64_t)s->day;
    int64_t from = n - PAST_STEPS;
    double usual[LADDER_PAST];
    usual_of(t, v, usual);
    for (size_t r = 0; r < LADDER_PAST; r++) {
        const int64_t to = from + ladder_past[r];
        const int32_t first = s->seen[from < 0 ? 0 : from], end = s->seen[to < 0 ? 0 : to];
        float high, low;
        row_kernels_best()->extremes((size_t)(end - first), s->observed_mapped + first, &low,
                                     &high);
        const double mean = series_mean(s, from, to);
        float *x = out->past[r];
        x[0] = squash((mean - habit->level) / habit->spread);
        x[1] = squash(((double)high - mean) / habit->spread);
        x[2] = squash((mean - (double)low) / habit->spread);
        x[3] = squash((mean - usual[r]) / habit->spread);
        x[4] = squash((mean - series_mean(s, from - day, to - day)) / habit->spread);
        x[5] = (float)(end - first) / (float)ladder_past[r];
        from = to;
    }
}

/* What is said of every step, relative to the blend and its width, and its mean in each rung. */
static void build_ahead(const struct track_words *w, const struct habit *habit, struct ladder *out)
{
    const struct row_kernels *kernels = row_kernels_best();
    float row[LADDER_AHEAD_INPUTS][FORECAST_HORIZON] ROW_UNSET;
    float per_width[FORECAST_HORIZON] ROW_UNSET;
    const struct row_band band = {.n = FORECAST_HORIZON,
                                  .center = out->center,
                                  .below = out->below,
                                  .above = out->above,
                                  .persistence = w->said[1][EXPERT_PERSISTENCE],
                                  .spread = (float)habit->spread,
                                  .now = (float)habit->now,
                                  .level = (float)habit->level};
    _Static_assert(LADDER_AHEAD_INPUTS == EXPERT_COUNT + 2 + 6, "what is said, and the band");
    kernels->band(&band, per_width, row[EXPERT_COUNT + 2]);
    for (size_t e = 0; e < EXPERT_COUNT + 2; e++) {
        const float *said =
            e < EXPERT_COUNT ? w->said[1][e] : w->said[2 * (e - EXPERT_COUNT)][EXPERT_CLIMATE];
        kernels->relative(FORECAST_HORIZON, said, out->center, per_width, row[e]);
    }
    kernels->stretch_means(LADDER_AHEAD_INPUTS, FORECAST_HORIZON, row[0], LADDER_AHEAD,
                           ladder_ahead, out->ahead[0]);
}

void ladder_build(const struct track *t, const struct track_view *v, const struct track_words *w,
                  struct ladder *out)
{
    const struct habit habit = habit_of(&v->sums);
    build_band(w, &habit, out);
    build_fixed(t, w, &habit, out);
    build_past(t, v, &habit, out);
    build_ahead(w, &habit, out);
}

/* ---- places in the band ---- */

float ladder_place(const struct ladder *ladder, size_t h, float mapped)
{
    const float off = mapped - ladder->center[h];
    const float place = off / (off < 0.0f ? ladder->below[h] : ladder->above[h]);
    return fminf(fmaxf(place, -place_most), place_most);
}

float ladder_mapped(const struct ladder *ladder, size_t h, float place)
{
    return ladder->center[h] + place * (place < 0.0f ? ladder->below[h] : ladder->above[h]);
}

size_t ladder_rung(size_t h)
{
    size_t r = 0;
    for (size_t end = (size_t)ladder_ahead[0]; end <= h; end += (size_t)ladder_ahead[r])
        r++;
    return r;
}

/* ---- the network's form ---- */

void ladder_input_name(size_t i, char name[LADDER_NAME_SIZE])
{
    static const char *const parts[3] = {"fixed", "past", "ahead"};
    static const size_t counts[3] = {LADDER_FIXED_INPUTS, LADDER_PAST_INPUTS, LADDER_AHEAD_INPUTS};
    size_t part = 0;
    for (; i >= counts[part]; part++)
        i -= counts[part];
    snprintf(name, LADDER_NAME_SIZE, "%s_%zu", parts[part], i);
}

static bool lists(const struct tft_variables *v, size_t first, size_t n)
{
    bool same = v->n == n && v->n_categoricals == 0;
    for (size_t i = 0; same && i < n; i++)
        same = v->item[i].column == first + i;
    return same;
}

bool ladder_spec_fits(const struct tft_spec *spec)
{
    static const double levels[LADDER_QUANTILES] = {0.1, 0.5, 0.9};
    bool fits =
        spec->n_targets == 1 && strcmp(spec->targets[0], LADDER_TARGET) == 0 &&
        spec->history_max == LADDER_PAST && spec->horizon == LADDER_AHEAD &&
        spec->n_quantiles == LADDER_QUANTILES && spec->n_categoricals == 0 &&
        spec->n_reals == LADDER_INPUTS && lists(&spec->stat, 0, LADDER_FIXED_INPUTS) &&
        lists(&spec->encoder, LADDER_FIXED_INPUTS, LADDER_PAST_INPUTS) &&
        lists(&spec->decoder, LADDER_FIXED_INPUTS + LADDER_PAST_INPUTS, LADDER_AHEAD_INPUTS);
    for (size_t q = 0; fits && q < LADDER_QUANTILES; q++)
        fits = fabs(spec->quantiles[q] - levels[q]) < 1e-9;
    for (size_t i = 0; fits && i < LADDER_INPUTS; i++) {
        char name[LADDER_NAME_SIZE];
        ladder_input_name(i, name);
        fits = strcmp(spec->reals[i].name, name) == 0 && spec->reals[i].scaler.mean == 0.0 &&
               spec->reals[i].scaler.scale == 1.0;
    }
    return fits;
}

void ladder_fill(const struct ladder *ladder, float *history_reals, float *horizon_reals)
{
    for (size_t r = 0; r < LADDER_PAST; r++) {
        float *x = history_reals + r * LADDER_INPUTS;
        memset(x, 0, LADDER_INPUTS * sizeof *x);
        memcpy(x, ladder->fixed, sizeof ladder->fixed);
        memcpy(x + LADDER_FIXED_INPUTS, ladder->past[r], sizeof ladder->past[r]);
    }
    for (size_t r = 0; r < LADDER_AHEAD; r++) {
        float *x = horizon_reals + r * LADDER_INPUTS;
        memset(x, 0, LADDER_INPUTS * sizeof *x);
        memcpy(x, ladder->fixed, sizeof ladder->fixed);
        memcpy(x + LADDER_FIXED_INPUTS + LADDER_PAST_INPUTS, ladder->ahead[r],
               sizeof ladder->ahead[r]);
    }
}

/* Steps (from 0) of the middle of a rung. */
static float middle_of(size_t rung)
{
    int before = 0;
    for (size_t r = 0; r < rung; r++)
        before += ladder_ahead[r];
    return (float)before + 0.5f * (float)(ladder_ahead[rung] - 1);
}

void ladder_quantiles(const struct ladder *ladder, const struct series_map *map,
                      const float *answer, float *quantiles)
{
    const struct row_kernels *kernels = row_kernels_best();
    float place[FORECAST_HORIZON] ROW_UNSET, mapped[LADDER_QUANTILES][FORECAST_HORIZON] ROW_UNSET;
    struct row_pieces pieces = {.per_step = {0.0f}};
    bool finite = true;
    for (size_t i = 0; i < (size_t)LADDER_AHEAD * LADDER_QUANTILES; i++)
        finite = finite && isfinite(answer[i]);
    _Static_assert((int)LADDER_AHEAD == (int)ROW_PIECES, "a line has a piece a rung");
    for (size_t r = 0; r < LADDER_AHEAD; r++)
        pieces.at[r] = middle_of(r);
    for (size_t r = 0; r + 1 < LADDER_AHEAD; r++)
        pieces.per_step[r] = 1.0f / (pieces.at[r + 1] - pieces.at[r]);
    for (size_t q = 0; q < LADDER_QUANTILES; q++) {
        struct row_line line;
        for (size_t r = 0; r <= LADDER_AHEAD; r++) {
            const size_t rung = r < LADDER_AHEAD ? r : r - 1;
            line.value[r] = finite ? answer[rung * LADDER_QUANTILES + q] : NAN;
        }
        kernels->lines(&pieces, 1, &line, FORECAST_HORIZON, place);
        kernels->places(FORECAST_HORIZON, ladder->center, ladder->below, ladder->above, place,
                        mapped[q]);
    }
    series_back_all(map, (size_t)LADDER_QUANTILES * FORECAST_HORIZON, mapped[0], quantiles);
}
