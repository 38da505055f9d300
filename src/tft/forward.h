/* The forward pass on assembled inputs (FORWARD.md 3 and 6). */
#ifndef FW_TFT_FORWARD_H
#define FW_TFT_FORWARD_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tft_model;
struct tft_reuse; /* reuse.h */

/* What a plan may keep of a series from one run to the next. */
struct tft_kept {
    struct tft_reuse *reuse; /* NULL: nothing. In one series of a batch only */
    int64_t first_step; /* of the history, as its memory counts steps: one more for every step that
                           the history moved on. A wrong one costs time, not bits */
};

/* A batch of n series in arrays padded to the same lengths: history steps come first in each,
 * unused steps at its end; what stands in unused steps is not read. E = history_steps, D =
 * horizon_steps, C and R the numbers of categorical and real inputs (in the spec's order). */
struct tft_input {
    size_t n, history_steps, horizon_steps;
    const int32_t *history_codes;  /* (n, E, C): each in its vocabulary's range (asserted) */
    const int32_t *horizon_codes;  /* (n, D, C) */
    const float *history_reals;    /* (n, E, R), scaled, finite */
    const float *horizon_reals;    /* (n, D, R); reals not known ahead are not read */
    const size_t *history_lengths; /* (n): 1 to E */
    const size_t *horizon_lengths; /* (n): 1 to D */
    const float *output_scale;     /* (n, targets, 2): center, scale */
    const struct tft_kept *kept;   /* (n), or NULL; read by tft_plan_run() alone */
};

/* Arrays to fill; what lies beyond a series' own lengths becomes 0. A NULL is not computed. */
struct tft_output {
    float *prediction; /* (n, D, targets, quantiles), in the targets' units; quantiles may cross */
    float *static_weights;  /* (n, static variables) */
    float *history_weights; /* (n, E, encoder variables) */
    float *horizon_weights; /* (n, D, decoder variables) */
    float *attention;       /* (n, D, heads, E + D); the horizon's steps begin at E */
    /* Variable weights of unused steps as well, from whatever codes and values stand there:
     * pytorch-forecasting's output has them, and parity with it is all they are good for. */
    bool weigh_unused;
};

/* Bytes of scratch that tft_forward() needs for batches of up to these lengths, however many
 * series; the second one where out->attention is wanted. Lengths beyond the model's own are
 * allowed. */
size_t tft_forward_scratch_bytes(const struct tft_model *model, size_t history_steps,
                                 size_t horizon_steps);
size_t tft_forward_attention_scratch_bytes(const struct tft_model *model, size_t history_steps,
                                           size_t horizon_steps);

/* Computes `out` for every series of `in`. Cannot fail: sizes are asserted, the scratch among them.
 * Allocates nothing; any number of threads may share a model, each with its own scratch. A series'
 * result does not depend on the others in the batch, on the padding, or on how the batch was cut.
 */
void tft_forward(const struct tft_model *model, const struct tft_input *in,
                 const struct tft_output *out, struct arena scratch);

#endif
