#include "forecast/job.h"

#include <math.h>

enum { HALF_STEPS_MIN = 3, BESIDE = 1 }; /* a job may smear into the next step */

/* The step less the mean of the half hours around it; NaN: one of them is not known. */
static float stands_out(const struct series_sums *s, int64_t at)
{
    const int64_t half = (int64_t)s->half;
    if (at - half < 0 || isnan(s->plain[at]))
        return NAN;
    const double before = series_mean(s, at - half, at - BESIDE);
    const double after = series_mean(s, at + 1 + BESIDE, at + 1 + half);
    return s->mapped[at] - (float)(0.5 * (before + after));
}

static void sort(float *values, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && values[j] < values[j - 1]; j--) {
            const float value = values[j];
            values[j] = values[j - 1];
            values[j - 1] = value;
        }
}

float job_stands_out(const struct series_sums *s, int64_t ahead, float sign, float least)
{
    float out[JOB_DAYS];
    size_t n = 0;
    if (s->half < HALF_STEPS_MIN)
        return 0.0f;
    for (int64_t days = 1; days <= JOB_DAYS; days++) {
        const int64_t at = (int64_t)s->n - 1 + ahead - days * (int64_t)s->day;
        const float by = at < 0 ? NAN : sign * stands_out(s, at);
        if (isnan(by))
            break;
        if (by <= least)
            return 0.0f;
        out[n++] = by;
    }
    if (n < 2)
        return 0.0f;
    sort(out, n);
    return out[n / 2];
}
