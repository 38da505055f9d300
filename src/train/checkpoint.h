/* Where training stands, in one file that is replaced in one step (docs/formats/checkpoint.md). */
#ifndef FW_TRAIN_CHECKPOINT_H
#define FW_TRAIN_CHECKPOINT_H

#include "base/status.h"
#include "tft/learner.h"

#include <stdint.h>

#define TRAIN_CHECKPOINT_NAME "checkpoint.safetensors"

struct train_state {
    uint64_t seed;
    uint64_t batch; /* samples a step */
    uint64_t steps_per_epoch;
    uint64_t epoch, step; /* epochs done; steps done of the next one */
    uint64_t bad_epochs;  /* without an improvement, for the rate */
    uint64_t cooldown;    /* epochs until the rate may fall again */
    uint64_t since_best;  /* epochs since the best */
    uint64_t best_epoch;  /* from 1; 0: none yet */
    uint64_t spec_hash;
    double rate, best, epoch_loss; /* epoch_loss: sum over the steps of the epoch under way */
    double scales[TFT_TARGETS_MAX];
};

/* Writes state, the learner's parameters and moments, and the best parameters so far. */
FW_MUST_CHECK enum fw_status train_checkpoint_write(int dir_fd, const struct train_state *state,
                                                    struct tft_learner *learner, const float *best,
                                                    struct fw_error *err);

/* Reads it back into a learner of the same spec. FW_ENOTFOUND: there is none; FW_ECORRUPT: not such
 * a file, or of another model; FW_EVERSION. */
FW_MUST_CHECK enum fw_status train_checkpoint_read(int dir_fd, struct train_state *state,
                                                   struct tft_learner *learner, float *best,
                                                   struct fw_error *err);

#endif
