/* Adam (Kingma and Ba 2015, algorithm 1) and clipping by the global norm, as FORWARD.md 7 has them.
 */
#ifndef FW_TFT_ADAM_H
#define FW_TFT_ADAM_H

#include <stddef.h>
#include <stdint.h>

struct tft_adam {
    double rate, beta1, beta2, epsilon;
};

/* 0.9, 0.999, 1e-8. */
struct tft_adam tft_adam_default(double rate);

/* One step, the first being step 1. All arrays (n); m and v are the moments, zero before step 1. */
void tft_adam_step(const struct tft_adam *adam, uint64_t step, size_t n, const float *grads,
                   float *m, float *v, float *params);

/* grads *= min(1, max / (norm + 1e-6)); returns the norm before. */
double tft_adam_clip(size_t n, double max, float *grads);

#endif
