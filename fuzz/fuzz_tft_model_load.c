/* Bytes become a pair of files: a model that is accepted must give a finite forecast for any finite
 * window. The first two bytes say how many of the rest are the spec; the others are the weights. */
#include "base/alloc.h"
#include "base/rng.h"
#include "tft/forward.h"
#include "tft/model_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FLOATS_MAX = 1 << 18, SCRATCH_MAX = 1 << 26 };

static void forecast(const struct tft_model *m, uint64_t seed)
{
    const struct tft_net *net = m->net;
    const size_t e = m->spec->history_min < 64 ? m->spec->history_min : 64;
    const size_t d = m->spec->horizon < 64 ? m->spec->horizon : 64, steps = e + d;
    const size_t bytes = tft_forward_scratch_bytes(m, e, d);
    if (steps * (net->n_reals + net->n_categoricals) > FLOATS_MAX ||
        d * net->output.n_out > FLOATS_MAX || bytes > SCRATCH_MAX)
        return; /* sound, only too large for this loop */
    int32_t *codes = fw_calloc(steps * net->n_categoricals + 1, sizeof *codes);
    float *reals = fw_calloc(steps * net->n_reals + 1, sizeof *reals);
    float *out = fw_calloc(d * net->output.n_out, sizeof *out);
    float scale[2 * TFT_TARGETS_MAX];
    void *scratch = fw_malloc(bytes);
    struct fw_rng rng;
    if (codes == NULL || reals == NULL || out == NULL || scratch == NULL)
        abort();
    fw_rng_init(&rng, seed);
    for (size_t i = 0; i < steps * net->n_categoricals; i++)
        codes[i] = (int32_t)fw_rng_below(&rng, net->classes[i % net->n_categoricals]);
    for (size_t i = 0; i < steps * net->n_reals; i++)
        reals[i] = (float)(4.0 * fw_rng_normal(&rng));
    for (size_t i = 0; i < COUNT(scale); i++)
        scale[i] = 1.0f + (float)i;
    const struct tft_input in = {.n = 1,
                                 .history_steps = e,
                                 .horizon_steps = d,
                                 .history_codes = codes,
                                 .horizon_codes = codes + e * net->n_categoricals,
                                 .history_reals = reals,
                                 .horizon_reals = reals + e * net->n_reals,
                                 .history_lengths = &e,
                                 .horizon_lengths = &d,
                                 .output_scale = scale};
    const struct tft_output to = {.prediction = out};
    tft_forward(m, &in, &to, arena_over(scratch, bytes));
    for (size_t i = 0; i < d * net->output.n_out; i++) {
        if (!isfinite(out[i]))
            abort();
    }
    fw_free(codes);
    fw_free(reals);
    fw_free(out);
    fw_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tft_model *m;
    if (size < 2)
        return 0;
    const size_t said = (size_t)data[0] | (size_t)data[1] << 8;
    const size_t spec = said < size - 2 ? said : size - 2;
    const size_t rest = size - 2 - spec;
    unsigned char *weights = fw_malloc(rest + 1);
    if (weights == NULL)
        abort();
    memcpy(weights, data + 2 + spec, rest);
    if (tft_model_load(weights, rest, (const char *)data + 2, spec, NULL, &m, NULL) == FW_OK) {
        forecast(m, size);
        tft_model_close(m);
    }
    return 0;
}
