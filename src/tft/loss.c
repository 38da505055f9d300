#include "tft/loss.h"

#include <math.h>

double tft_loss_quantile(size_t n, size_t targets, size_t nq, const double *q, const float *y,
                         const float *yhat, const float *weight, float *dyhat)
{
    double loss = 0.0;
    for (size_t i = 0; i < n * targets; i++) {
        const double share = 2.0 * (double)weight[i % targets] / (double)nq;
        for (size_t k = 0; k < nq; k++) {
            const double e = (double)y[i] - (double)yhat[i * nq + k];
            const double slope = e > 0.0 ? q[k] : e < 0.0 ? q[k] - 1.0 : q[k] - 0.5;
            const int seen = !isnan(y[i]);
            if (seen)
                loss += share * slope * e;
            if (dyhat != NULL)
                dyhat[i * nq + k] = seen ? (float)(-share * slope) : 0.0f;
        }
    }
    return loss;
}
