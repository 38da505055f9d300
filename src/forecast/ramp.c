#include "forecast/ramp.h"

#include "forecast/kernels/rows.h"

#include <math.h>

/* Stretches that are tried. */
static const int widths[] = {6, 8, 12, 16, 24, 36, 48, 72, 96, 144, 216, 288, 432};
enum { WIDTHS = COUNT(widths), PAST_STEPS_MIN = 24, STALE_STEPS = 2 };

static const double persistence_filling = 0.18, persistence_unknown = 1.0;
/* The slope in its standard errors. Noise that hangs together makes such lines, too; what they are
 * not is unheard of, which is tested besides. */
static const double slope_errors_min = 8.0;
static const double rise_noises_min = 8.0;
static const double steeper_than_ever = 1.5;
/* One that is hardly as steep as others is new if it leads where nothing was before: this share of
 * the steepest rise, and */
static const double as_steep = 0.5;
/* this share of its own rise beyond every value before. */
static const double new_ground = 0.25;
static const double straight_min = 0.6;
/* A line that bends is believed less: persistence is divided by its straightness to this power. */
static const double bend_weight = 3.0;
/* A reading is rounded and no ramp is exact: a line leaves at least this share of its rise. */
static const double noise_share = 0.02;

struct fit {
    bool made;
    double slope, level, noise, slope_sd, rise;
};

struct sums_back {
    double n, x, xx, y, xy, yy;
};

/* x counts back from the origin, so the slope's sign is turned. */
static struct fit fit_line(const struct sums_back *s, int width)
{
    struct fit fit = {0};
    const double spread = s->xx - s->x * s->x / s->n;
    if (s->n < 5.0 || s->n < 0.6 * (double)width || !(spread > 0.0))
        return fit;
    const double product = s->xy - s->x * s->y / s->n;
    const double total = s->yy - s->y * s->y / s->n;
    const double back = product / spread;
    const double left = fmax(total - back * product, 0.0) / (s->n - 2.0);
    fit.made = true;
    fit.slope = -back;
    fit.level = (s->y - back * s->x) / s->n;
    fit.rise = fit.slope * (double)(width - 1);
    const double least = noise_share * fit.rise;
    fit.noise = sqrt(left + least * least);
    fit.slope_sd = fit.noise / sqrt(spread);
    return fit;
}

/* Adds the steps [from, to) before the origin: x counts back from it. */
static void add_steps(const struct series_sums *sums, int64_t from, int64_t to, double reference,
                      struct sums_back *s)
{
    const int64_t origin = (int64_t)sums->n - 1, oldest = origin - (to - 1);
    const double n = (double)(to - from);
    if (sums->seen[origin - from + 1] - sums->seen[oldest] == to - from) { /* no gap */
        const struct row_moments m =
            row_kernels_best()->moments((size_t)(to - from), sums->plain + oldest, reference);
        const double farthest = (double)(to - 1), nearest = (double)from;
        s->n += n;
        s->x += 0.5 * n * (farthest + nearest);
        s->xx += n * (farthest * farthest + farthest * nearest + nearest * nearest) / 3.0 +
                 n * (farthest - nearest) / 6.0;
        s->y += m.y;
        s->xy += farthest * m.y - m.xy;
        s->yy += m.yy;
        return;
    }
    for (int64_t back = from; back < to; back++) {
        if (isnan(sums->plain[origin - back]))
            continue;
        const double x = (double)back, y = (double)sums->plain[origin - back] - reference;
        s->n += 1.0;
        s->x += x;
        s->xx += x * x;
        s->y += y;
        s->xy += x * y;
        s->yy += y * y;
    }
}

/* One fit a width, from one walk back. Levels are relative to the newest value. */
static void fit_all(const struct series_sums *sums, int64_t newest, struct fit fits[WIDTHS])
{
    const double reference = (double)sums->plain[newest];
    struct sums_back s = {0};
    int64_t from = 0;
    for (size_t k = 0; k < WIDTHS && widths[k] <= (int64_t)sums->n; from = widths[k++]) {
        add_steps(sums, from, widths[k], reference, &s);
        fits[k] = fit_line(&s, widths[k]);
    }
}

/* The width that the slope stands out of most, or -1. */
static int clearest(const struct fit fits[WIDTHS])
{
    int best = -1;
    double most = slope_errors_min;
    for (int k = 0; k < WIDTHS; k++) {
        const struct fit *f = &fits[k];
        if (!f->made || !(f->slope_sd > 0.0) || fabs(f->rise) < rise_noises_min * f->noise)
            continue;
        const double errors = fabs(f->slope) / f->slope_sd;
        if (errors > most) {
            most = errors;
            best = k;
        }
    }
    return best;
}

/* The slope of the newest third as a share of the whole's: what was filled by a job flattens out
 * when the job has what it needs. */
static double bend(const struct fit fits[WIDTHS], int chosen)
{
    int k = 0;
    while (k + 1 < chosen && 3 * widths[k + 1] <= widths[chosen])
        k++;
    if (!fits[k].made)
        return 0.0;
    const double sign = fits[chosen].slope > 0.0 ? 1.0 : -1.0;
    return (sign * fits[k].slope + 0.5 * fits[k].slope_sd) / fabs(fits[chosen].slope);
}

/* Whether one step makes up much of it. */
static bool jumps(const struct series_sums *sums, const struct fit *fit, int64_t first)
{
    const double noise = fmin(fit->noise, 1.25 * sums->step_mean);
    const double limit = 0.35 * fabs(fit->rise) + 3.0 * noise;
    for (int64_t t = first + 1; t < (int64_t)sums->n; t++) {
        const int32_t before = sums->newest[t - 1];
        if (before >= 0 && !isnan(sums->plain[t]) &&
            fabs((double)sums->plain[t] - (double)sums->plain[before]) > limit)
            return true;
    }
    return false;
}

/* Whether the window held nothing like it before: neither so steep a rise over as many steps nor,
 * for one that is only as steep as others, so high a level. The ramp's own beginning may lie a
 * third further back than the stretch that was fitted. */
static bool unheard_of(const struct series_sums *sums, const struct fit *fit, int64_t width)
{
    const int64_t stride = width / 4 > 1 ? width / 4 : 1;
    const int64_t newest = sums->newest[sums->n - 1];
    const double sign = fit->slope > 0.0 ? 1.0 : -1.0, rise = fabs(fit->rise);
    double steepest = 0.0, ground = (double)INFINITY;
    for (int64_t t = (int64_t)sums->n - 1 - width - width / 3; t >= width; t -= stride) {
        const int32_t to = sums->newest[t], from = sums->newest[t - width];
        if (from >= 0)
            steepest = fmax(steepest, sign * ((double)sums->plain[to] - (double)sums->plain[from]));
    }
    if (rise >= steeper_than_ever * steepest)
        return true;
    if (rise < as_steep * steepest)
        return false;
    for (int64_t t = (int64_t)sums->n - 1 - width - width / 3; t >= 0; t--)
        if (!isnan(sums->plain[t]))
            ground = fmin(ground, sign * ((double)sums->plain[newest] - (double)sums->plain[t]));
    return ground >= new_ground * rise;
}

bool ramp_find(const struct series_sums *sums, const struct schema_metric *metric,
               struct ramp *ramp)
{
    const int64_t n = (int64_t)sums->n, newest = sums->newest[n - 1];
    struct fit fits[WIDTHS] = {0};
    if (!metric->accumulates || newest < 0 || n - 1 - newest > STALE_STEPS)
        return false;
    fit_all(sums, newest, fits);
    const int chosen = clearest(fits);
    if (chosen < 0)
        return false;
    const double straight = bend(fits, chosen);
    if (straight < straight_min)
        return false;
    const struct fit *fit = &fits[chosen];
    const int64_t width = widths[chosen], past = n - width - width / 3;
    if (past < PAST_STEPS_MIN || past < width || jumps(sums, fit, n - width))
        return false;
    const enum metric_worse way = fit->slope > 0.0 ? METRIC_WORSE_HIGH : METRIC_WORSE_LOW;
    if (metric->worse != way || !unheard_of(sums, fit, width))
        return false;
    const bool known = past >= (int64_t)sums->day;
    /* Noise draws a short line now and then, and a few hours do not show how rarely: the rise must
     * stand out of the whole window's noise, not only of what it leaves itself. */
    const double noise = 1.25 * sums->step_mean / sqrt(2.0);
    if (!known && fabs(fit->rise) < rise_noises_min * noise)
        return false;
    *ramp = (struct ramp){
        .age = width,
        .level = (double)sums->plain[newest] + fit->level,
        .slope = fit->slope * fmin(straight, 1.0),
        .slope_sd = fit->slope_sd,
        .noise = fit->noise,
        .persistence = known ? persistence_filling / pow(fmin(straight, 1.0), bend_weight)
                             : persistence_unknown,
    };
    return true;
}

void ramp_path(const struct ramp *ramp, float *quantiles)
{
    static const double longer[3] = {0.9, 0.5, 0.1}; /* share of ramps that outlast the quantile */
    static const double z[3] = {-1.2816, 0.0, 1.2816};
    const double age = (double)ramp->age;
    for (int q = 0; q < 3; q++) {
        /* For a falling slope the longest life gives the lowest value. */
        const int side = ramp->slope > 0.0 ? q : 2 - q;
        const double rest = age * (pow(longer[side], -1.0 / ramp->persistence) - 1.0);
        for (int i = 0; i < FORECAST_HORIZON; i++) {
            const double steps = fmin((double)(i + 1), rest);
            const double turn = fmax(ramp->slope_sd, 0.05 * fabs(ramp->slope)) * steps;
            const double spread = sqrt(ramp->noise * ramp->noise + turn * turn);
            const double value = ramp->level + ramp->slope * steps + z[q] * spread;
            quantiles[q * FORECAST_HORIZON + i] = (float)fmin(fmax(value, -1e30), 1e30);
        }
    }
}
