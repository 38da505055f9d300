#include "forecast/job.h"

#include "forecast/kernels/rows.h"

#include <assert.h>
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

/* The n steps from `at` on: one after the other where the window has a gap or an end. */
static void all_stand_out(const struct series_sums *s, int64_t at, size_t n, float *out)
{
    const int64_t half = (int64_t)s->half, end = at + (int64_t)n;
    size_t i = 0;
    for (; i < n && at + (int64_t)i < half; i++)
        out[i] = NAN;
    const int64_t first = at + (int64_t)i - half, last = end + half;
    if (i < n && last <= (int64_t)s->n && s->seen[last] - s->seen[first] == last - first) {
        row_kernels_best()->stand_out(n - i, s->half, s->sum + first, s->mapped + first + half,
                                      out + i);
        return;
    }
    for (; i < n; i++)
        out[i] = stands_out(s, at + (int64_t)i);
}

bool jobs_stand_out(const struct series_sums *s, size_t n, const float *least, float *up,
                    float *down)
{
    float out[JOB_DAYS][JOB_STEPS_MAX] ROW_UNSET;
    assert(n <= JOB_STEPS_MAX);
    if (s->half < HALF_STEPS_MIN)
        return false;
    for (int64_t days = 1; days <= JOB_DAYS; days++)
        all_stand_out(s, (int64_t)s->n - days * (int64_t)s->day, n, out[days - 1]);
    const float *const days[JOB_DAYS] = {out[0], out[1], out[2]};
    row_kernels_best()->agree(n, days, 1.0f, least, up);
    row_kernels_best()->agree(n, days, -1.0f, least, down);
    return true;
}
