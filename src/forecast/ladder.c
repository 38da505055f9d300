#include "forecast/ladder.h"

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
static const float half_horizon = 0.5f * FORECAST_HORIZON;
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
    const double mean = series_mean(s, 0, (int64_t)s->n);
    const int64_t origin = (int64_t)s->n - 1;
    double distance = 0.0, change = 0.0;
    size_t n = 0, changes = 0, low = 0;
    float last = NAN, least = INFINITY;
    for (size_t t = 0; t < s->n; t++) {
        const float z = s->mapped[t];
        if (isnan(s->plain[t]))
            continue;
        distance += fabs((double)z - mean);
        n++;
        if (!isnan(last)) {
            change += fabs((double)(z - last));
            changes++;
        }
        low = z < least ? 1 : low + (z <= least);
        least = z < least ? z : least;
        last = z;
    }
    const double spread = distance / (double)(n > 0 ? n : 1);
    return (struct habit){.spread = fmax(spread, least_spread),
                          .noise = change / (double)(changes > 0 ? changes : 1),
                          .floor_share = (double)low / (double)(n > 0 ? n : 1),
                          .now = series_level(s, origin, 3),
                          .hour = series_level(s, origin, 12),
                          .level = series_level(s, origin, (int64_t)s->day)};
}

static void build_band(const struct track_words *w, const struct habit *habit, struct ladder *out)
{
    const float floor = (float)(least_width * habit->spread);
    for (size_t h = 0; h < FORECAST_HORIZON; h++) {
        out->center[h] = w->blend[1][h];
        const float below = w->blend[1][h] - w->blend[0][h];
        const float above = w->blend[2][h] - w->blend[1][h];
        out->below[h] = below > floor ? below : floor;
        out->above[h] = above > floor ? above : floor;
    }
}

static void build_fixed(const struct track *t, const struct track_words *w,
                        const struct habit *habit, struct ladder *out)
{
    double width = 0.0;
    size_t k = 0;
    for (size_t h = 0; h < FORECAST_HORIZON; h++)
        width += 0.5 * (double)(out->below[h] + out->above[h]) / FORECAST_HORIZON;
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

/* What is usual at these steps: the book of the days before, NaN when it has none. */
static double usual_at(const struct track *t, const struct track_view *v, int64_t from, int64_t to)
{
    double sum = 0.0;
    size_t n = 0;
    for (int64_t i = from + 1; i < to; i += USUAL_STRIDE) {
        const struct daybook_place place =
            daybook_place(v->expert.step_s, v->expert.first_step + i);
        float days[USUAL_DAYS];
        daybook_days(&t->book, place.bin, USUAL_DAYS, days);
        for (size_t day = 0; day < USUAL_DAYS; day++)
            if (!isnan(days[day])) {
                sum += (double)days[day];
                n++;
            }
    }
    return n > 0 ? sum / (double)n : (double)NAN;
}

static void build_past(const struct track *t, const struct track_view *v, const struct habit *habit,
                       struct ladder *out)
{
    const struct series_sums *s = &v->sums;
    const int64_t n = (int64_t)s->n, day = (int64_t)s->day;
    int64_t from = n - PAST_STEPS;
    for (size_t r = 0; r < LADDER_PAST; r++) {
        const int64_t to = from + ladder_past[r];
        float high = -INFINITY, low = INFINITY, seen = 0.0f;
        for (int64_t i = from < 0 ? 0 : from; i < to; i++)
            if (!isnan(s->plain[i])) {
                high = s->mapped[i] > high ? s->mapped[i] : high;
                low = s->mapped[i] < low ? s->mapped[i] : low;
                seen += 1.0f;
            }
        const double mean = series_mean(s, from, to);
        float *x = out->past[r];
        x[0] = squash((mean - habit->level) / habit->spread);
        x[1] = squash(((double)high - mean) / habit->spread);
        x[2] = squash((mean - (double)low) / habit->spread);
        x[3] = squash((mean - usual_at(t, v, from, to)) / habit->spread);
        x[4] = squash((mean - series_mean(s, from - day, to - day)) / habit->spread);
        x[5] = seen / (float)ladder_past[r];
        from = to;
    }
}

/* What is said of every step, relative to the blend and its width; one row an input. */
struct outlook {
    float row[LADDER_AHEAD_INPUTS][FORECAST_HORIZON];
};

static void say_relative(const float *said, const struct ladder *out, const double *per_width,
                         float *row)
{
    for (size_t h = 0; h < FORECAST_HORIZON; h++)
        row[h] = squash(((double)said[h] - (double)out->center[h]) * per_width[h]);
}

static void build_outlook(const struct track_words *w, const struct habit *habit,
                          const struct ladder *out, struct outlook *ahead)
{
    const double per_spread = 1.0 / habit->spread;
    const float *persistence = w->said[1][EXPERT_PERSISTENCE];
    double per_width[FORECAST_HORIZON];
    float(*row)[FORECAST_HORIZON] = ahead->row;
    for (size_t h = 0; h < FORECAST_HORIZON; h++)
        per_width[h] = 1.0 / (0.5 * (double)(out->below[h] + out->above[h]));
    for (size_t e = 0; e < EXPERT_COUNT; e++)
        say_relative(w->said[1][e], out, per_width, *row++);
    say_relative(w->said[0][EXPERT_CLIMATE], out, per_width, *row++);
    say_relative(w->said[2][EXPERT_CLIMATE], out, per_width, *row++);
    for (size_t h = 0; h < FORECAST_HORIZON; h++) {
        const double center = (double)out->center[h];
        row[0][h] = squash(-log_of(habit->spread * per_width[h]));
        row[1][h] = squash(log_of((double)(out->above[h] / out->below[h])));
        row[2][h] = squash((center - habit->now) * per_spread);
        row[3][h] = squash((center - habit->level) * per_spread);
        row[4][h] = (float)(int)(h + 1) / half_horizon - 1.0f;
        row[5][h] = squash(((double)persistence[h] - habit->now) * per_width[h]);
    }
    assert(row + 6 == ahead->row + LADDER_AHEAD_INPUTS);
}

static void build_ahead(const struct track_words *w, const struct habit *habit, struct ladder *out)
{
    struct outlook ahead;
    build_outlook(w, habit, out, &ahead);
    for (size_t k = 0; k < LADDER_AHEAD_INPUTS; k++)
        for (size_t r = 0, h = 0; r < LADDER_AHEAD; r++) {
            const size_t end = h + (size_t)ladder_ahead[r];
            double sum = 0.0;
            for (; h < end; h++)
                sum += (double)ahead.row[k][h];
            out->ahead[r][k] = (float)(sum / ladder_ahead[r]);
        }
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
    bool finite = true;
    for (size_t i = 0; i < (size_t)LADDER_AHEAD * LADDER_QUANTILES; i++)
        finite = finite && isfinite(answer[i]);
    float middle[LADDER_AHEAD];
    for (size_t r = 0; r < LADDER_AHEAD; r++)
        middle[r] = middle_of(r);
    for (size_t h = 0, r = 0; h < FORECAST_HORIZON; h++) {
        while (r + 1 < LADDER_AHEAD && middle[r + 1] <= (float)h)
            r++;
        const size_t next = r + 1 < LADDER_AHEAD ? r + 1 : r;
        const float past = (float)h - middle[r];
        const float part = next == r || past < 0.0f ? 0.0f : past / (middle[next] - middle[r]);
        for (size_t q = 0; q < LADDER_QUANTILES; q++) {
            const float here = answer[r * LADDER_QUANTILES + q];
            const float place = here + part * (answer[next * LADDER_QUANTILES + q] - here);
            quantiles[q * FORECAST_HORIZON + h] = finite ? ladder_mapped(ladder, h, place) : NAN;
        }
    }
    series_back_all(map, (size_t)LADDER_QUANTILES * FORECAST_HORIZON, quantiles, quantiles);
}
