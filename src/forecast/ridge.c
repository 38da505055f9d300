#include "forecast/ridge.h"

#include <math.h>

/* Of every feature's own sum of squares, and of their mean. */
static const double own_ridge = 0.05, mean_ridge = 0.05;

void ridge_add(struct ridge *ridge, const float x[RIDGE_FEATURES], float y, float weight,
               float decay)
{
    for (size_t i = 0, at = 0; i < RIDGE_FEATURES; i++) {
        for (size_t j = 0; j <= i; j++, at++)
            ridge->normal[at] = decay * ridge->normal[at] + weight * x[i] * x[j];
        ridge->moment[i] = decay * ridge->moment[i] + weight * x[i] * y;
    }
}

/* Cholesky in place: the lower triangle, and the inverses of its diagonal. */
static void factor(double a[RIDGE_FEATURES][RIDGE_FEATURES], double inverse[RIDGE_FEATURES])
{
    for (size_t j = 0; j < RIDGE_FEATURES; j++) {
        for (size_t m = 0; m < j; m++)
            a[j][j] -= a[j][m] * a[j][m];
        inverse[j] = 1.0 / sqrt(fmax(a[j][j], 1e-12));
        for (size_t i = j + 1; i < RIDGE_FEATURES; i++) {
            for (size_t m = 0; m < j; m++)
                a[i][j] -= a[i][m] * a[j][m];
            a[i][j] *= inverse[j];
        }
    }
}

void ridge_solve(const struct ridge *ridge, float coefficient[RIDGE_FEATURES])
{
    double a[RIDGE_FEATURES][RIDGE_FEATURES], b[RIDGE_FEATURES], mean = 0.0;
    double inverse[RIDGE_FEATURES];
    for (size_t i = 0, at = 0; i < RIDGE_FEATURES; i++) {
        for (size_t j = 0; j <= i; j++, at++)
            a[i][j] = (double)ridge->normal[at];
        mean += a[i][i] / RIDGE_FEATURES;
        b[i] = (double)ridge->moment[i];
    }
    for (size_t i = 0; i < RIDGE_FEATURES; i++)
        a[i][i] += own_ridge * a[i][i] + mean_ridge * mean + 1e-9;
    factor(a, inverse);
    for (size_t i = 0; i < RIDGE_FEATURES; i++) {
        for (size_t m = 0; m < i; m++)
            b[i] -= a[i][m] * b[m];
        b[i] *= inverse[i];
    }
    for (size_t i = RIDGE_FEATURES; i-- > 0;) {
        for (size_t m = i + 1; m < RIDGE_FEATURES; m++)
            b[i] -= a[m][i] * b[m];
        b[i] *= inverse[i];
        coefficient[i] = isfinite(b[i]) ? (float)b[i] : 0.0f;
    }
}

float ridge_predict(const float coefficient[RIDGE_FEATURES], const float x[RIDGE_FEATURES])
{
    float sum = 0.0f;
    for (size_t i = 0; i < RIDGE_FEATURES; i++)
        sum += coefficient[i] * x[i];
    return sum;
}
