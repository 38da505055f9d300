#include "forecast/argus.h"

#include <math.h>
#include <string.h>

#define UNBOUNDED ((double)INFINITY)

enum { RECENT_VALUES = 5 };

/* What the reference does by a metric's name. */
struct rule {
    bool truncated;      /* p50 is cut to an integer */
    double ceiling;      /* of p50 */
    double cap10, cap90; /* of the band */
};

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

static struct rule rule_of(const char *metric)
{
    if (ends_with(metric, "_pct"))
        return (struct rule){false, 100.0, 100.0, 100.0};
    if (strncmp(metric, "net_", 4) == 0)
        return (struct rule){false, 200.0, UNBOUNDED, 200.0};
    if (ends_with(metric, "_close_wait"))
        return (struct rule){true, UNBOUNDED, UNBOUNDED, UNBOUNDED};
    if (strcmp(metric, "uptime_days") == 0)
        return (struct rule){true, 30.0, UNBOUNDED, UNBOUNDED};
    if (strcmp(metric, "load_average") == 0)
        return (struct rule){false, 16.0, UNBOUNDED, 16.0};
    return (struct rule){false, UNBOUNDED, UNBOUNDED, UNBOUNDED};
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* The least-squares slope over 0, 1, 2, ..., by the singular values of the scaled matrix [x 1]: two
 * columns, so one rotation makes them orthogonal. The reference fits that way, and its truncation
 * to integers shows the last bits: 5, 6, ... 10 has a slope just below 1 here as there, where the
 * textbook formula gives exactly 1 and another forecast. */
static double slope_of(const double *y, size_t n)
{
    double x[ARGUS_VALUES], one[ARGUS_VALUES];
    if (n < 2)
        return 0.0;
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)i;
        one[i] = 1.0;
    }
    const double x_size = sqrt(dot(x, x, n)), one_size = sqrt(dot(one, one, n));
    for (size_t i = 0; i < n; i++) {
        x[i] /= x_size;
        one[i] /= one_size;
    }
    double v[2] = {1.0, 0.0}; /* the row of the rotation that belongs to x */
    for (int sweep = 0; sweep < 5; sweep++) {
        const double both = dot(x, one, n);
        if (fabs(both) < 1e-300)
            break;
        const double zeta = (dot(one, one, n) - dot(x, x, n)) / (2.0 * both);
        const double t = (zeta >= 0.0 ? 1.0 : -1.0) / (fabs(zeta) + sqrt(1.0 + zeta * zeta));
        const double c = 1.0 / sqrt(1.0 + t * t), s = c * t;
        for (size_t i = 0; i < n; i++) {
            const double was = x[i];
            x[i] = c * was - s * one[i];
            one[i] = s * was + c * one[i];
        }
        const double was = v[0];
        v[0] = c * was - s * v[1];
        v[1] = s * was + c * v[1];
    }
    return (v[0] * dot(x, y, n) / dot(x, x, n) + v[1] * dot(one, y, n) / dot(one, one, n)) / x_size;
}

static double spread_of(const double *y, size_t n)
{
    if (n <= 2)
        return 1.0;
    double mean = 0.0, square = 0.0;
    for (size_t i = 0; i < n; i++)
        mean += y[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        square += (y[i] - mean) * (y[i] - mean);
    return sqrt(square / (double)n);
}

/* The newest observed values, oldest first; returns how many. */
static size_t newest_values(const float *values, size_t steps, double out[ARGUS_VALUES])
{
    size_t n = 0;
    for (size_t t = steps; t > 0 && n < ARGUS_VALUES; t--)
        if (isfinite(values[t - 1]))
            out[n++] = (double)values[t - 1];
    for (size_t i = 0; i < n / 2; i++) {
        const double swap = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = swap;
    }
    return n;
}

bool argus_forecast(const char *metric, const float *values, size_t steps, struct argus_line *out)
{
    double y[ARGUS_VALUES];
    const size_t n = newest_values(values, steps, y);
    if (n == 0)
        return false;
    out->current = y[n - 1];
    out->noise = spread_of(y, n);
    out->trend = slope_of(y, n);
    if (n > RECENT_VALUES)
        out->trend = 0.7 * out->trend + 0.3 * slope_of(y + n - RECENT_VALUES, RECENT_VALUES);
    const struct rule rule = rule_of(metric);
    for (int i = 0; i < FORECAST_HORIZON; i++) {
        double p50 = out->current + out->trend * (i + 1);
        if (rule.truncated)
            p50 = trunc(p50);
        p50 = fmin(fmax(p50, 0.0), rule.ceiling);
        const double reach = 1.28 * out->noise * sqrt(i + 1);
        out->p50[i] = p50;
        out->p10[i] = fmin(fmax(p50 - reach, 0.0), rule.cap10);
        out->p90[i] = fmin(p50 + reach, rule.cap90);
    }
    return true;
}
