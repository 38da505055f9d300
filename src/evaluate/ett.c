#include "evaluate/ett.h"

#include "evaluate/origins.h"

#include <math.h>

void evaluate_ett_fit(const struct evaluate_server *server, size_t n_columns,
                      struct evaluate_ett *out)
{
    for (size_t c = 0; c < n_columns; c++) {
        const double *x = server->series->exact[c];
        double sum = 0.0, squares = 0.0, n = 0.0;
        for (size_t t = 0; x != NULL && t < server->training && t < server->steps; t++) {
            sum += isnan(x[t]) ? 0.0 : x[t];
            n += isnan(x[t]) ? 0.0 : 1.0;
        }
        out->mean[c] = n > 0.0 ? sum / n : 0.0;
        for (size_t t = 0; x != NULL && t < server->training && t < server->steps; t++) {
            const double d = isnan(x[t]) ? 0.0 : x[t] - out->mean[c];
            squares += d * d;
        }
        out->inverse[c] = squares > 0.0 ? 1.0 / sqrt(squares / n) : 1.0;
    }
}

void evaluate_ett_add(const struct evaluate_ett *ett, size_t column, const double *truth,
                      const double *forecast, size_t stride, struct evaluate_points *points)
{
    for (size_t h = 0; h < EVALUATE_HORIZON; h++) {
        const double error = (truth[h] - forecast[h * stride]) * ett->inverse[column];
        if (isnan(error))
            continue;
        points->square += error * error;
        points->absolute += fabs(error);
        points->count++;
    }
}

void evaluate_ett_persistence(const struct evaluate_server *server, size_t n_columns,
                              const struct evaluate_origins *origins, struct evaluate_ett *ett)
{
    for (size_t c = 0; c < n_columns; c++) {
        const double *x = server->series->exact[c];
        double last = (double)NAN;
        size_t next = 0; /* the origin that the walk comes to */
        for (size_t t = 0; x != NULL && next < origins->n; t++) {
            if (t == origins->at[next]) {
                evaluate_ett_add(ett, c, &x[t], &last, 0, &ett->persistence);
                next++;
            }
            last = isnan(x[t]) ? last : x[t];
        }
    }
}
