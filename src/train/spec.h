/* Writes the spec.json of forewarn's own model form for a set of targets (docs/training.md). */
#ifndef FW_TRAIN_SPEC_H
#define FW_TRAIN_SPEC_H

#include "base/buf.h"
#include "tft/spec.h"

#include <stdbool.h>
#include <stddef.h>

struct train_form {
    size_t n_targets;
    const char *targets[TFT_TARGETS_MAX];
    bool level[TFT_TARGETS_MAX];          /* whether its center and scale are inputs of their own */
    size_t center_steps[TFT_TARGETS_MAX]; /* 0: the whole history's mean */
    bool weekly; /* whether the days of the week are inputs: only where each was seen twice */
    bool status; /* whether the data tells the servers' status */
    /* Whether every target has one pair for all servers and times, instead of its window's own. No
     * level is then an input. */
    bool pooled;
    struct tft_pair pair[TFT_TARGETS_MAX];
    size_t history, history_min, horizon;
    /* Of the windows' own centers and scales, which are inputs where level[] says so. */
    struct tft_scaler center[TFT_TARGETS_MAX], scale[TFT_TARGETS_MAX];
};

/* Appends the file to buf; check buf->failed. */
void train_spec_write(const struct train_form *form, struct fw_buf *buf);

#endif
