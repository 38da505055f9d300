#include "base/rng.h"

#include <math.h>
#include <sys/random.h>
#include <time.h>

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void fw_rng_init(struct fw_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->state[i] = splitmix(&seed);
}

static uint64_t rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

uint64_t fw_rng_next(struct fw_rng *rng)
{
    uint64_t *s = rng->state;
    const uint64_t result = rotate(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double fw_rng_uniform(struct fw_rng *rng)
{
    return (double)(fw_rng_next(rng) >> 11) * 0x1.0p-53;
}

uint64_t fw_rng_below(struct fw_rng *rng, uint64_t n)
{
    const uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t x;
    do
        x = fw_rng_next(rng);
    while (x >= limit);
    return x % n;
}

double fw_rng_normal(struct fw_rng *rng)
{
    const double radius = sqrt(-2.0 * log(1.0 - fw_rng_uniform(rng)));
    return radius * cos(6.283185307179586 * fw_rng_uniform(rng));
}

uint64_t fw_rng_entropy(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed)
        return seed;
    struct timespec now; /* an early boot without entropy: hash seeds only, never keys */
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u ^ (uint64_t)now.tv_sec;
}
