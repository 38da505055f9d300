/* Reproducible random numbers (splitmix64 seeding xoshiro256**; Blackman and Vigna 2018). Not for
 * secrets. */
#ifndef FW_BASE_RNG_H
#define FW_BASE_RNG_H

#include <stdint.h>

struct fw_rng {
    uint64_t state[4];
};

void fw_rng_init(struct fw_rng *rng, uint64_t seed);
uint64_t fw_rng_next(struct fw_rng *rng);
/* Uniform in [0, 1). */
double fw_rng_uniform(struct fw_rng *rng);
/* Uniform in [0, n), n > 0. */
uint64_t fw_rng_below(struct fw_rng *rng, uint64_t n);
/* Standard normal. */
double fw_rng_normal(struct fw_rng *rng);

/* 64 bits from the operating system. */
uint64_t fw_rng_entropy(void);

#endif
