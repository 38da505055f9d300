/* From the raw rows of one series to the model's inputs (FORWARD.md 5). Scaling is done in double
 * and rounded to float once, so that the result is that of pytorch-forecasting to the bit. */
#ifndef FW_TFT_ASSEMBLE_H
#define FW_TFT_ASSEMBLE_H

#include "base/status.h"
#include "tft/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A column of raw values, one a row, in one of two types; the other pointer is NULL. Rows at or
 * beyond `rows` have no value, so a column of one row is a constant. NaN and infinities are
 * missing. */
struct tft_column {
    const double *f64;
    const float *f32;
    size_t rows;
};

/* The same for a categorical, as codes of its vocabulary (tft_vocabulary_code()). Negative is
 * missing. */
struct tft_codes {
    const int32_t *code;
    size_t rows;
};

/* One series, a view of the caller's arrays: history first, then exactly the steps to forecast,
 * whose known inputs must be there. Missing values:
 *   - a step between two rows that has no row repeats the row before it, every column, calendar
 * included;
 *   - a single missing value repeats the column's last one; before the first it is the scaler's
 * mean (a target: its center), that is 0 after scaling; a missing code before the first is the
 * vocabulary's unknown one, or 0;
 *   - unknown inputs on the horizon are not used and become 0 where their column has ended. */
struct tft_series {
    size_t rows;
    const int64_t *step;            /* (rows), rising; NULL: 0, 1, 2, ... */
    const struct tft_column *reals; /* (spec->n_reals); those of automatic inputs are not read */
    const struct tft_codes *codes;  /* (spec->n_categoricals) */
};

/* The scales of a series, per target. `own` normalises its history; `used` turns the prediction
 * back. They differ for models of pytorch-forecasting (spec->output_scale_shifted): its look-up of
 * `used` is off by one server in sorted order, and such a model has learned to live with it. Not
 * set for TFT_PER_SAMPLE normalisers: assembling sets them. */
struct tft_scales {
    struct tft_pair own[TFT_TARGETS_MAX], used[TFT_TARGETS_MAX];
};

/* By the group's id in training (tft_spec_group()). A group unknown to training gets the medians;
 * the one of them that sorts first in the whole set of a run (first_new) gets the last training
 * server's pair as `used`. */
void tft_scales_of(const struct tft_spec *spec, const char *group, bool first_new,
                   struct tft_scales *out);

/* For a whole set, with first_new where it is due. */
void tft_scales_of_set(const struct tft_spec *spec, size_t n, const char *const *groups,
                       struct tft_scales *out);

/* Where the inputs of one series go: its part of the arrays of struct tft_input. */
struct tft_assembled {
    int32_t *history_codes; /* (history_max, C); codes and reals beyond the length become 0 */
    int32_t *horizon_codes; /* (horizon, C) */
    float *history_reals;   /* (history_max, R) */
    float *horizon_reals;   /* (horizon, R) */
    float *output_scale;    /* (targets, 2) */
    size_t history_length;  /* out */
};

/* FW_EINVAL: fewer than history_min steps before the horizon, steps that do not rise, or no row at
 * all. Scaled values are finite: beyond +-1e6 they are cut. Thread-safe, allocates nothing. */
FW_MUST_CHECK enum fw_status tft_assemble(const struct tft_spec *spec,
                                          const struct tft_series *series,
                                          const struct tft_scales *scales,
                                          struct tft_assembled *out, struct fw_error *err);

#endif
