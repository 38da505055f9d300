#include "tft/initialise.h"

#include "base/hash.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

size_t tft_initialise_embedding_size(size_t k, size_t hidden)
{
    const double size = k <= 2 ? 1.0 : fmin(round(1.6 * pow((double)k, 0.56)), 100.0);
    return (size_t)fmin(size, (double)hidden);
}

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static bool begins_with(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

static void fill_uniform(struct fw_rng *rng, double bound, size_t n, float *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(bound * (2.0 * fw_rng_uniform(rng) - 1.0));
}

static void fill_normal(struct fw_rng *rng, double deviation, size_t n, float *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(deviation * fw_rng_normal(rng));
}

static void fill_one(const struct tft_net *net, const struct tft_param *p, const char *name,
                     struct fw_rng *rng, float *x)
{
    const double fan_out = (double)p->shape[0], fan_in = p->rank == 2 ? (double)p->shape[1] : 1.0;
    const double hidden = 1.0 / sqrt((double)net->hidden);
    const bool weight = p->rank == 2;
    if (begins_with(name, "input_embeddings."))
        fill_normal(rng, 1.0, p->count, x);
    else if (begins_with(name, "prescalers."))
        fill_uniform(rng, 1.0, p->count, x); /* one input */
    else if (begins_with(name, "lstm_") || begins_with(name, "output_layer"))
        fill_uniform(rng, hidden, p->count, x);
    else if (weight && (ends_with(name, ".fc1.weight") || ends_with(name, ".fc2.weight")))
        fill_normal(rng, sqrt(2.0 / fan_in), p->count, x);
    else if (weight)
        fill_uniform(rng, sqrt(6.0 / (fan_in + fan_out)), p->count, x);
    else if (ends_with(name, "norm.weight"))
        for (size_t i = 0; i < p->count; i++)
            x[i] = 1.0f;
}

void tft_initialise(const struct tft_spec *spec, const struct tft_net *net, uint64_t seed,
                    float *params)
{
    memset(params, 0, net->n_floats * sizeof *params);
    for (size_t i = 0; i < net->n_params; i++) {
        const struct tft_param *p = &net->params[i];
        const char *name = tft_net_param_name(net, i);
        struct fw_rng rng;
        fw_rng_init(&rng, seed ^ fw_hash_stable(name, strlen(name)));
        fill_one(net, p, name, &rng, params + p->offset);
    }
    for (size_t i = 0; i < net->n_categoricals; i++) {
        const int32_t unknown = spec->categoricals[i].unknown_index;
        if (unknown >= 0)
            memset(params + net->embedding[i] + (size_t)unknown * net->embedding_size[i], 0,
                   net->embedding_size[i] * sizeof *params);
    }
}
