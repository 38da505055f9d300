#include "evaluate/baseline.h"

#include "base/alloc.h"
#include "evaluate/quantile.h"

#include <math.h>
#include <string.h>

enum { LINE = 24, HOURS = 24, HOUR_S = 3600, DAY_S = 86400, RESIDUALS = 2 };

/* One metric of one server. */
struct column {
    const double *truth; /* (steps) NaN = missing */
    double *filled;      /* (steps) carried forward, what is before the first one backward */
    const uint8_t *hour; /* (steps) of the day */
    double *gathered;    /* (steps) scratch */
    size_t steps, test, season;
    bool alone; /* the set's only metric */
    double hourly[HOURS][EVALUATE_QUANTILES];
    double spread[RESIDUALS][EVALUATE_HORIZON][EVALUATE_QUANTILES]; /* of errors, by step */
};

static void fill(struct column *c)
{
    double last = 0.0;
    for (size_t t = 0; t < c->steps; t++) {
        if (!isnan(c->truth[t])) {
            last = c->truth[t];
            break;
        }
    }
    for (size_t t = 0; t < c->steps; t++) {
        last = isnan(c->truth[t]) ? last : c->truth[t];
        c->filled[t] = last;
    }
}

static void quantiles_or_zero(size_t n, double *values, double out[EVALUATE_QUANTILES])
{
    evaluate_quantile(n, values, out);
    for (size_t q = 0; q < EVALUATE_QUANTILES && n == 0; q++)
        out[q] = 0.0;
}

static void fit_hours(struct column *c)
{
    for (size_t hour = 0; hour < HOURS; hour++) {
        size_t n = 0;
        for (size_t t = 0; t < c->test; t++) {
            if (c->hour[t] == hour && !isnan(c->truth[t]))
                c->gathered[n++] = c->truth[t];
        }
        quantiles_or_zero(n, c->gathered, c->hourly[hour]);
    }
}

static double persistence(const struct column *c, size_t origin, size_t h)
{
    (void)h;
    return c->filled[origin - 1];
}

/* Where the data does not reach back a day (steps of under five minutes), its first value. */
static double seasonal(const struct column *c, size_t origin, size_t h)
{
    const size_t at = origin + h % c->season;
    return c->filled[at < c->season ? 0 : at - c->season];
}

static double (*const points[RESIDUALS])(const struct column *, size_t, size_t) = {persistence,
                                                                                   seasonal};

static void fit_residuals(struct column *c, const struct evaluate_origins *past)
{
    for (size_t r = 0; r < RESIDUALS; r++) {
        for (size_t h = 0; h < EVALUATE_HORIZON; h++) {
            size_t n = 0;
            for (size_t i = 0; i < past->n; i++) {
                const double seen = c->truth[past->at[i] + h];
                if (!isnan(seen))
                    c->gathered[n++] = seen - points[r](c, past->at[i], h);
            }
            quantiles_or_zero(n, c->gathered, c->spread[r][h]);
        }
    }
}

static bool needs_errors(enum evaluate_method method)
{
    return method == EVALUATE_PERSISTENCE_RESIDUAL || method == EVALUATE_SEASONAL_RESIDUAL;
}

/* numpy adds a contiguous axis in eight lanes, any other in order; a set's only metric is
 * contiguous. */
static double sum_of_line(const double *x, bool lanes)
{
    double sum = 0.0, lane[8] = {0};
    for (size_t i = 0; i < LINE; i++) {
        sum += x[i];
        lane[i % 8] += x[i];
    }
    return !lanes ? sum
                  : ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
                        ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

/* Least squares through the last LINE values: its height in their middle, and its slope. */
static void fit_line(const struct column *c, size_t origin, double *mean, double *slope)
{
    const double *recent = &c->filled[origin - LINE];
    double product[LINE], squares = 0.0;
    *mean = sum_of_line(recent, c->alone) / LINE;
    for (size_t i = 0; i < LINE; i++) {
        const double x = (double)i - (LINE - 1) / 2.0;
        product[i] = x * (recent[i] - *mean);
        squares += x * x;
    }
    *slope = sum_of_line(product, c->alone) / squares;
}

typedef double paths[EVALUATE_QUANTILES];

static void by_line(const struct column *c, size_t origin, paths *out)
{
    double mean, slope;
    fit_line(c, origin, &mean, &slope);
    for (size_t h = 0; h < EVALUATE_HORIZON; h++)
        out[h][0] = out[h][1] = out[h][2] = mean + slope * ((double)h + 1.0 + (LINE - 1) / 2.0);
}

static void by_hour(const struct column *c, size_t origin, paths *out)
{
    for (size_t h = 0; h < EVALUATE_HORIZON; h++)
        memcpy(out[h], c->hourly[c->hour[origin + h]], sizeof out[h]);
}

static void by_point(const struct column *c, size_t origin, size_t kind, bool spread, paths *out)
{
    for (size_t h = 0; h < EVALUATE_HORIZON; h++) {
        const double point = points[kind](c, origin, h);
        for (size_t q = 0; q < EVALUATE_QUANTILES; q++)
            out[h][q] = spread ? point + c->spread[kind][h][q] : point;
    }
}

static void forecast(const struct column *c, enum evaluate_method method, size_t origin, paths *out)
{
    if (method == EVALUATE_LINE)
        by_line(c, origin, out);
    else if (method == EVALUATE_CLIMATOLOGY)
        by_hour(c, origin, out);
    else
        by_point(c, origin,
                 method == EVALUATE_SEASONAL || method == EVALUATE_SEASONAL_RESIDUAL ? 1 : 0,
                 needs_errors(method), out);
}

static void score_column(struct column *c, const struct evaluate_timeline *timeline,
                         struct evaluate_sums *sums)
{
    paths out[EVALUATE_HORIZON];
    const bool studied = timeline->past.n >= EVALUATE_FIT_MINIMUM;
    fill(c);
    fit_hours(c);
    if (studied)
        fit_residuals(c, &timeline->past);
    for (size_t i = 0; i < EVALUATE_BASELINES; i++) {
        const enum evaluate_method method = (enum evaluate_method)i;
        for (size_t o = 0; o < timeline->test.n && (studied || !needs_errors(method)); o++) {
            const size_t origin = timeline->test.at[o];
            forecast(c, method, origin, out);
            evaluate_score_add(&sums[i * EVALUATE_SPANS], &c->truth[origin], out);
        }
    }
}

/* The hour of day at which each step begins. */
static void find_hours(const struct evaluate_set *set, const struct evaluate_server *s,
                       uint8_t *hour)
{
    for (size_t t = 0; t < s->steps; t++) {
        const int64_t at = (s->series->first + (int64_t)t) * (int64_t)set->history->step_s;
        hour[t] = (uint8_t)(at / HOUR_S % HOURS);
    }
}

enum fw_status evaluate_baseline_score(const struct evaluate_set *set, size_t server,
                                       const struct evaluate_timeline *timeline,
                                       struct evaluate_scores *scores, struct fw_error *err)
{
    const struct evaluate_server *s = &set->servers[server];
    if (timeline->test.n == 0)
        return FW_OK;
    struct column *c = fw_calloc(1, sizeof *c);
    double *room = fw_calloc(2 * s->steps, sizeof *room);
    uint8_t *hour = fw_calloc(s->steps, 1);
    const bool made = c != NULL && room != NULL && hour != NULL;
    if (made) {
        find_hours(set, s, hour);
        c->filled = room;
        c->gathered = room + s->steps;
        c->hour = hour;
        c->steps = s->steps;
        c->test = s->test;
        c->season = DAY_S / set->history->step_s;
        c->alone = set->history->n_columns == 1;
    }
    for (size_t m = 0; made && m < set->history->n_columns; m++) {
        c->truth = s->series->exact[m];
        if (c->truth != NULL)
            score_column(c, timeline, evaluate_score_at(scores, server, m, EVALUATE_PERSISTENCE));
    }
    fw_free(hour);
    fw_free(room);
    fw_free(c);
    return made ? FW_OK : fw_fail(err, FW_ENOMEM, "no memory for the baselines");
}
