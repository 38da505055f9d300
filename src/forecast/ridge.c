#include "forecast/ridge.h"

#include "forecast/kernels/rows.h"

#include <string.h>

void ridge_add(struct ridge *ridge, const float x[RIDGE_FEATURES], float y, float weight,
               float decay)
{
    row_kernels_best()->add_sample(ridge, x, y, weight, decay);
}

void ridge_solve(const struct ridge *ridge, float coefficient[RIDGE_FEATURES])
{
    struct ridge ridges[ROW_RIDGES] = {*ridge};
    float all[ROW_RIDGES][RIDGE_FEATURES];
    row_kernels_best()->solve(ridges, all);
    memcpy(coefficient, all[0], sizeof all[0]);
}

float ridge_predict(const float coefficient[RIDGE_FEATURES], const float x[RIDGE_FEATURES])
{
    float sum = 0.0f;
    for (size_t i = 0; i < RIDGE_FEATURES; i++)
        sum += coefficient[i] * x[i];
    return sum;
}
