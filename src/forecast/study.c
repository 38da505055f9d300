#include "forecast/study.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const int study_horizons[STUDY_KNOTS] = {1, 2, 4, 8, 16, 32, 64, FORECAST_HORIZON};
static const double levels[3] = {0.1, 0.5, 0.9};

enum {
    ORIGINS_MAX = 96, /* more measured no better on any of the public sets */
    ORIGINS_MIN = 8,
    ORIGINS_MIN_YOUNG = 6,
    WARM_UP_STEPS = 12, /* origins begin so late, or after a quarter of a short window */
    /* Steps averaged for the level now: bursts count less, turns are seen a little later. */
    SEASONAL_LEVEL_STEPS = 3,
    CLIMATOLOGY_LEVEL_STEPS = 2,
    YOUNG_LEVEL_STEPS = 3,
    /* A young window measures horizons that it holds so many times: longer ones see its one drift
     * and take it for noise. */
    YOUNG_STRETCHES = 5,
};

enum forecast_method study_method(size_t index)
{
    static const enum forecast_method methods[STUDY_METHODS] = {
        FORECAST_PERSISTENCE, FORECAST_SEASONAL, FORECAST_CLIMATOLOGY, FORECAST_TREND};
    assert(index < STUDY_METHODS);
    return methods[index];
}

static bool seasonal_parts(const struct series_sums *sums, int64_t origin, int horizon,
                           struct study_parts *parts)
{
    const int64_t day = (int64_t)sums->day;
    if (origin < day)
        return false;
    parts->base = series_day_before(sums, origin + horizon);
    parts->signal = series_level(sums, origin, SEASONAL_LEVEL_STEPS) -
                    series_level(sums, origin - day, SEASONAL_LEVEL_STEPS);
    return !isnan(parts->base) && !isnan(parts->signal);
}

/* The level now or, where the horizon was seen a day before, what was seen then. Neither is bent
 * towards the mean of the window or along its drift: of a few hours both mostly are the rhythm of
 * a day that is not yet known. Drift lost on all four public sets; the mean lost on two and won
 * on one whose servers have little rhythm. */
static bool young_parts(const struct series_sums *sums, size_t index, int64_t origin, int horizon,
                        struct study_parts *parts)
{
    *parts = (struct study_parts){series_level(sums, origin, YOUNG_LEVEL_STEPS), 0.0};
    if (index == STUDY_SEASONAL && origin + horizon >= (int64_t)sums->day) {
        const double before = series_day_before(sums, origin + horizon);
        parts->base = isnan(before) ? parts->base : before;
    }
    return true;
}

bool study_parts(const struct series_sums *sums, size_t index, int64_t origin, int horizon,
                 struct study_parts *parts)
{
    const int32_t newest = sums->newest[origin];
    if (newest < 0)
        return false;
    if (sums->young && index != STUDY_TREND)
        return young_parts(sums, index, origin, horizon, parts);
    switch (index) {
    case STUDY_PERSISTENCE:
        *parts = (struct study_parts){(double)sums->mapped[newest], 0.0};
        return true;
    case STUDY_SEASONAL:
        return seasonal_parts(sums, origin, horizon, parts);
    case STUDY_CLIMATOLOGY:
        parts->base = series_time_of_day(sums, origin + horizon);
        parts->signal =
            series_level(sums, origin, CLIMATOLOGY_LEVEL_STEPS) - series_time_of_day(sums, origin);
        return true;
    default:
        /* The newest value may be some steps old: the line goes on from where it was seen. */
        *parts =
            (struct study_parts){(double)sums->plain[newest],
                                 series_slope(sums, origin) * (double)(origin + horizon - newest)};
        return true;
    }
}

/* One candidate at one horizon: what was seen, and what could be said, at n past origins. */
struct replay {
    size_t n;
    int horizon;
    double independent;       /* stretches of `horizon` steps that do not overlap, about */
    float value[ORIGINS_MAX]; /* what was seen, in the metric's unit */
    float seen[ORIGINS_MAX], base[ORIGINS_MAX], signal[ORIGINS_MAX]; /* on the candidate's scale */
};

static bool replay(const struct series_sums *sums, size_t index, int horizon, struct replay *out)
{
    const int64_t n = (int64_t)sums->n;
    int64_t first = n / 4 < WARM_UP_STEPS ? n / 4 : WARM_UP_STEPS;
    if (index == STUDY_SEASONAL && !sums->young)
        first = (int64_t)sums->day;
    if (sums->young && index != STUDY_TREND && (int64_t)YOUNG_STRETCHES * horizon > n)
        return false;
    const int64_t last = n - 1 - horizon;
    const int64_t least = sums->young ? ORIGINS_MIN_YOUNG : ORIGINS_MIN;
    if (last - first + 1 < least)
        return false;
    const int64_t stride = (last - first) / ORIGINS_MAX + 1;
    out->n = 0;
    out->horizon = horizon;
    for (int64_t o = last; o >= first; o -= stride) {
        struct study_parts parts;
        if (isnan(sums->plain[o + horizon]) || !study_parts(sums, index, o, horizon, &parts))
            continue;
        out->seen[out->n] =
            index == STUDY_TREND ? sums->plain[o + horizon] : sums->mapped[o + horizon];
        out->value[out->n] = sums->plain[o + horizon];
        out->base[out->n] = (float)parts.base;
        out->signal[out->n] = (float)parts.signal;
        out->n++;
    }
    out->independent = (double)(last - first + 1) / (double)horizon + 1.0;
    return (int64_t)out->n >= least;
}

/* Least squares through the origin, shrunk where few independent stretches stand behind it. */
static double fit_level_gain(const struct replay *r)
{
    double product = 0.0, square = 0.0;
    for (size_t i = 0; i < r->n; i++) {
        product += ((double)r->seen[i] - (double)r->base[i]) * (double)r->signal[i];
        square += (double)r->signal[i] * (double)r->signal[i];
    }
    if (!(square > 1e-30))
        return 0.0;
    return fmin(fmax(product / square, 0.0), 1.0) * r->independent / (r->independent + 2.0);
}

struct weighted {
    float value, weight;
};

static void sort_weighted(struct weighted *v, size_t n)
{
    static const size_t gaps[] = {57, 23, 10, 4, 1};
    for (size_t g = 0; g < COUNT(gaps); g++)
        for (size_t i = gaps[g]; i < n; i++) {
            const struct weighted x = v[i];
            size_t j = i;
            for (; j >= gaps[g] && v[j - gaps[g]].value > x.value; j -= gaps[g])
                v[j] = v[j - gaps[g]];
            v[j] = x;
        }
}

/* Least absolute deviations through the origin: the weighted median of the ratios. Unlike least
 * squares it does not see a counter's reset, and an exact line gets gain 1 exactly. */
static double fit_slope_gain(const struct replay *r)
{
    struct weighted ratio[ORIGINS_MAX];
    size_t n = 0;
    double total = 0.0, below = 0.0;
    for (size_t i = 0; i < r->n; i++)
        if (fabsf(r->signal[i]) > 1e-12f) {
            ratio[n].value = (r->seen[i] - r->base[i]) / r->signal[i];
            ratio[n].weight = fabsf(r->signal[i]);
            total += (double)ratio[n++].weight;
        }
    if (2 * n < r->n)
        return 0.0; /* flat most of the time */
    sort_weighted(ratio, n);
    for (size_t i = 0; i < n; i++) {
        below += (double)ratio[i].weight;
        if (2.0 * below >= total)
            return fmin(fmax((double)ratio[i].value, 0.0), 1.0);
    }
    return 0.0;
}

/* Residual quantiles, moved outwards by how few independent errors they rest on: quantiles of
 * overlapping errors are narrower than those of the errors to come. */
static void measure_residuals(const struct replay *r, struct study_knot *knot)
{
    float residual[ORIGINS_MAX];
    for (size_t i = 0; i < r->n; i++)
        residual[i] = r->seen[i] - r->base[i] - knot->gain * r->signal[i];
    series_sort(residual, r->n);
    const double few = 1.0 / r->independent;
    const double out = fmin(0.2 * few, 0.08);
    const double wider = 1.0 + 0.3 * few + 2.0 * few * few;
    const double middle = series_quantile(residual, r->n, 0.5);
    const double low = series_quantile(residual, r->n, 0.1 - out);
    const double high = series_quantile(residual, r->n, 0.9 + out);
    knot->residual[0] = (float)(middle + wider * (low - middle));
    knot->residual[1] = (float)(middle * r->independent / (r->independent + 2.0));
    knot->residual[2] = (float)(middle + wider * (high - middle));
}

/* The same for a young window: no drift, and few independent errors make a band as wide on one
 * side as on the other, because which side they fell on is chance. */
static void measure_young(const struct replay *r, struct study_knot *knot)
{
    float residual[ORIGINS_MAX];
    for (size_t i = 0; i < r->n; i++)
        residual[i] = r->seen[i] - r->base[i] - knot->gain * r->signal[i];
    series_sort(residual, r->n);
    const double few = 1.0 / r->independent;
    const double out = fmin(0.2 * few, 0.08), wider = 1.0 + 0.3 * few;
    const double low = series_quantile(residual, r->n, 0.1 - out);
    const double high = series_quantile(residual, r->n, 0.9 + out);
    for (size_t i = 0; i < r->n; i++)
        residual[i] = fabsf(residual[i]);
    series_sort(residual, r->n);
    const double either = series_quantile(residual, r->n, 0.8 + 2.0 * out);
    const double own = (r->independent - 1.0) / (r->independent + 2.0);
    knot->residual[0] = (float)fmin(wider * (own * low - (1.0 - own) * either), 0.0);
    knot->residual[1] = 0.0f;
    knot->residual[2] = (float)fmax(wider * (own * high + (1.0 - own) * either), 0.0);
}

struct tally {
    double loss;
    uint32_t scored, inside;
};

static double clip(const struct schema_metric *metric, double value)
{
    value = value < metric->min ? metric->min : value;
    return value > metric->max ? metric->max : value;
}

static double tally_one(const struct series *series, const struct series_map *map,
                        const struct replay *r, size_t i, const struct study_knot *knot,
                        struct tally *tally)
{
    const double seen = (double)r->value[i];
    const double point = (double)r->base[i] + (double)knot->gain * (double)r->signal[i];
    double loss = 0.0, quantile[3];
    for (int k = 0; k < 3; k++) {
        quantile[k] = clip(series->metric, series_back(map, point + (double)knot->residual[k]));
        const double under = seen - quantile[k];
        loss += (under > 0.0 ? levels[k] : levels[k] - 1.0) * under;
    }
    /* A value equal to the edge is inside; the way there and back through the map rounds. */
    const double slack = 1e-5 * (fabs(seen) + map->shift);
    tally->inside += seen >= quantile[0] - slack && seen <= quantile[2] + slack;
    tally->scored++;
    return loss / 3.0;
}

/* How wide one step of a hardly known metric is: 1 % of the range of a bounded one, else a
 * twentieth of its value and a tenth of the unit (counts: half a one), counted as four
 * observations beside the changes that were seen. */
static double prior_step(const struct series *series, const struct series_sums *sums)
{
    const struct schema_metric *metric = series->metric;
    const double value = (double)sums->plain[sums->newest[sums->n - 1]];
    double prior = 0.05 * fabs(value) + (metric->integer ? 0.5 : 0.1);
    if (isfinite(metric->max) && isfinite(metric->min))
        prior = 0.01 * (metric->max - metric->min);
    const double seen = (double)sums->seen[sums->n] - 1.0;
    /* 1.25: from the mean absolute to the standard deviation of a normal error. */
    return (4.0 * prior + seen * 1.25 * sums->step_mean) / (4.0 + seen);
}

/* Horizons beyond the replayed ones: residuals grow with the square root, gains of a slope fall
 * with it (a trend is believed about as far ahead as it was seen to hold), and the band reaches at
 * least to where the undamped line would lead. `measured` knots are there; 0: the prior alone. */
static void extend(const struct series *series, const struct series_sums *sums, size_t index,
                   size_t measured, struct study_knot *knots)
{
    const double step = 1.2816 * prior_step(series, sums);
    for (size_t k = measured; k < STUDY_KNOTS; k++) {
        const double h = (double)study_horizons[k];
        knots[k] = (struct study_knot){0};
        if (measured == 0) {
            knots[k].residual[0] = (float)(-step * sqrt(h));
            knots[k].residual[2] = (float)(step * sqrt(h));
            continue;
        }
        const struct study_knot *last = &knots[measured - 1];
        const double growth = h / (double)study_horizons[measured - 1], root = sqrt(growth);
        const double middle = (double)last->residual[1];
        knots[k].gain = (float)((double)last->gain / (index == STUDY_TREND ? root : 1.0));
        for (int q = 0; q < 3; q++)
            knots[k].residual[q] = (float)(middle + root * ((double)last->residual[q] - middle));
        if (index == STUDY_TREND) {
            const double slope = series_slope(sums, (int64_t)sums->n - 1);
            const double rest = ((double)last->gain - (double)knots[k].gain) * slope * h;
            const int side = rest > 0.0 ? 2 : 0;
            if (fabs(rest) > fabs((double)knots[k].residual[side]))
                knots[k].residual[side] = (float)rest;
            const double least = step * sqrt(h) / growth;
            knots[k].residual[0] = fminf(knots[k].residual[0], (float)-least);
            knots[k].residual[2] = fmaxf(knots[k].residual[2], (float)least);
        }
    }
}

/* Measures one candidate; returns how many horizons, from the first on, could be replayed. */
static size_t measure(const struct series *series, const struct series_sums *sums, size_t index,
                      struct statistical_study *study, double losses[STUDY_KNOTS])
{
    static const struct series_map plain = {.scale = SERIES_PLAIN};
    const struct series_map *map = index == STUDY_TREND ? &plain : &study->map;
    struct study_knot *knots = study->knot[index];
    struct tally tally = {0};
    size_t k = 0;
    for (; k < STUDY_KNOTS; k++) {
        struct replay r;
        if (!replay(sums, index, study_horizons[k], &r))
            break;
        const bool level = index == STUDY_PERSISTENCE || (sums->young && index != STUDY_TREND);
        knots[k].gain = (float)(level                  ? 0.0
                                : index == STUDY_TREND ? fit_slope_gain(&r)
                                                       : fit_level_gain(&r));
        (sums->young ? measure_young : measure_residuals)(&r, &knots[k]);
        double loss = 0.0;
        for (size_t i = 0; i < r.n; i++)
            loss += tally_one(series, map, &r, i, &knots[k], &tally);
        losses[k] = loss / (double)r.n;
    }
    extend(series, sums, index, k, knots);
    study->scored[index] = tally.scored;
    study->coverage[index] =
        tally.scored > 0 ? (float)tally.inside / (float)tally.scored : (float)NAN;
    return k;
}

/* Near ties. When the newest value is the window's first burst, no origin has seen what follows
 * one: all forecasters lose the same, and the one that does not carry the burst on is right. */
static const float handicap[STUDY_METHODS] = {1.005f, 1.0f, 1.0f, 1.01f};
/* Every rhythm of a day is a line for some hours: while no day was seen twice, a trend must leave a
 * third of the loss. */
static const float handicap_young_trend = 3.0f;

/* From a day and a third on, all horizons can be replayed against the day before. */
static bool is_young(const struct series_sums *sums)
{
    return sums->n < sums->day + sums->day / 3;
}

/* By what can be known, for losses of a few hours hardly tell forecasters apart. */
static uint8_t choose_young(const struct series_sums *sums, const struct statistical_study *study)
{
    const bool yesterday = sums->n + FORECAST_HORIZON > sums->day;
    const uint8_t level = yesterday ? STUDY_SEASONAL : STUDY_PERSISTENCE;
    const float trend = handicap_young_trend * study->loss[STUDY_TREND];
    if (!(study->loss[STUDY_PERSISTENCE] > 0.0f))
        return STUDY_PERSISTENCE; /* not measured, or constant */
    return trend < study->loss[level] ? STUDY_TREND : level;
}

void statistical_study(const struct series *series, struct arena scratch,
                       struct statistical_study *study)
{
    struct series_sums sums;
    memset(study, 0, sizeof *study);
    study->map = series_map_for(series);
    struct arena first = scratch;
    series_prepare(series, &study->map, &first, &sums);
    study->young = is_young(&sums);
    if (study->young) {
        study->map = series_map_young(series);
        series_prepare(series, &study->map, &scratch, &sums);
        sums.young = true;
    }
    assert(sums.newest[sums.n - 1] >= 0);
    size_t common = 0;
    for (size_t c = 0; c < STUDY_METHODS; c++) {
        double losses[STUDY_KNOTS], sum = 0.0;
        const size_t measured = measure(series, &sums, c, study, losses);
        if (c == STUDY_PERSISTENCE)
            common = measured;
        study->loss[c] = (float)NAN;
        /* Nobody is compared on horizons that only others were tried on; and a young window
         * has no mean by time of day. */
        if (common == 0 || measured < common || (c == STUDY_CLIMATOLOGY && sums.young))
            continue;
        for (size_t k = 0; k < common; k++)
            sum += losses[k];
        study->loss[c] = (float)(sum / (double)common);
        if (handicap[c] * study->loss[c] < handicap[study->chosen] * study->loss[study->chosen])
            study->chosen = (uint8_t)c;
    }
    if (sums.young)
        study->chosen = choose_young(&sums, study);
}
