#include "evaluate/quantile.h"

#include "evaluate/score.h"

#include <math.h>

static double middle_of(double a, double b, double c)
{
    const double low = fmin(a, b), high = fmax(a, b);
    return fmax(low, fmin(high, c));
}

/* Puts the k-th smallest of a[low..high] into a[k], none larger before it, none smaller behind it
 * (Hoare's selection). */
static void select_kth(double *a, ptrdiff_t low, ptrdiff_t high, ptrdiff_t k)
{
    while (low < high) {
        const double pivot = middle_of(a[low], a[low + (high - low) / 2], a[high]);
        ptrdiff_t i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i > j)
                break;
            const double swap = a[i];
            a[i++] = a[j];
            a[j--] = swap;
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            return; /* between the two parts all equal the pivot */
    }
}

static double smallest(const double *a, size_t n)
{
    double least = a[0];
    for (size_t i = 1; i < n; i++)
        least = a[i] < least ? a[i] : least;
    return least;
}

/* numpy measures from the nearer end. */
static double between(double a, double b, double part)
{
    const double span = b - a;
    return part < 0.5 ? a + span * part : b - span * (1.0 - part);
}

void evaluate_quantile(size_t n, double *values, double out[EVALUATE_QUANTILES])
{
    size_t from = 0; /* what stands before it is no larger than what follows */
    for (size_t q = 0; q < EVALUATE_QUANTILES; q++) {
        if (n == 0) {
            out[q] = (double)NAN;
            continue;
        }
        const double place = (double)(n - 1) * evaluate_score_levels[q];
        const size_t k = (size_t)place;
        select_kth(values, (ptrdiff_t)from, (ptrdiff_t)n - 1, (ptrdiff_t)k);
        out[q] = values[k];
        if (k + 1 < n)
            out[q] = between(values[k], smallest(values + k + 1, n - k - 1), place - (double)k);
        from = k;
    }
}
