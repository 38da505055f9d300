#include "tft/adam.h"

#include <math.h>

struct tft_adam tft_adam_default(double rate)
{
    return (struct tft_adam){rate, 0.9, 0.999, 1e-8};
}

void tft_adam_step(const struct tft_adam *adam, uint64_t step, size_t n,
                   const float *restrict grads, float *restrict m, float *restrict v,
                   float *restrict params)
{
    const float b1 = (float)adam->beta1, b2 = (float)adam->beta2;
    const float c1 = (float)(1.0 - adam->beta1), c2 = (float)(1.0 - adam->beta2);
    const float size = (float)(adam->rate / (1.0 - pow(adam->beta1, (double)step)));
    const float root = (float)sqrt(1.0 - pow(adam->beta2, (double)step));
    const float epsilon = (float)adam->epsilon;
    for (size_t i = 0; i < n; i++) {
        m[i] = m[i] * b1 + grads[i] * c1;
        v[i] = v[i] * b2 + grads[i] * grads[i] * c2;
        params[i] -= size * m[i] / (sqrtf(v[i]) / root + epsilon);
    }
}

double tft_adam_clip(size_t n, double max, float *grads)
{
    double squares = 0.0;
    for (size_t i = 0; i < n; i++)
        squares += (double)grads[i] * (double)grads[i];
    const double norm = sqrt(squares), factor = max / (norm + 1e-6);
    for (size_t i = 0; factor < 1.0 && i < n; i++)
        grads[i] *= (float)factor;
    return norm;
}
