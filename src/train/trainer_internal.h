/* What the files of the trainer share: one run of training. */
#ifndef FW_TRAIN_TRAINER_INTERNAL_H
#define FW_TRAIN_TRAINER_INTERNAL_H

#include "base/buf.h"
#include "history/history.h"
#include "tft/learner.h"
#include "train/checkpoint.h"
#include "train/pool.h"
#include "train/sample.h"
#include "train/spec.h"
#include "train/trainer.h"

struct trainer {
    const struct train_options *o;
    const struct train_hooks *hooks;
    struct history *data;
    struct train_form form;
    struct train_split split;
    struct fw_buf spec;
    struct tft_learner *learner;
    struct train_sampler *sampler; /* of TRAIN_FLEET, with its windows; */
    struct train_window *validation, *drawn;
    struct train_pool *pool; /* or the pool of TRAIN_METRIC, with what was drawn from it */
    struct train_pick *picks;
    double *losses;
    size_t n_validation;
    float *best;
    int dir;
    struct train_state state;
    int64_t started_ns;
    uint64_t sequences;
    struct fw_error *err;
};

/* Tells whoever runs it. */
void trainer_note(const struct trainer *trainer, const char *format, ...) FW_PRINTF(2, 3);

/* trainer_form.c: what is learned, and the learner of it. Fills form, split, spec and learner from
 * the options, or from the model that they name. */
FW_MUST_CHECK enum fw_status trainer_make_form(struct trainer *trainer);
/* Refuses data without a single window to learn from. */
FW_MUST_CHECK enum fw_status trainer_need_windows(const struct trainer *trainer,
                                                  const struct train_sampler *sampler);
/* Scales of the targets from windows drawn by `sampler`, into state.scales; misses (targets): how
 * far what came next lay from the center, in scales. */
void trainer_fit_scales(struct trainer *trainer, struct train_sampler *sampler, size_t targets,
                        double *misses);

/* trainer_setup.c: from options to everything that the loop needs; trainer_close() in every case.
 */
FW_MUST_CHECK enum fw_status trainer_open(struct trainer *trainer);
void trainer_close(struct trainer *trainer);
/* Windows, or samples of the pool, that there are to learn from. */
uint64_t trainer_windows(const struct trainer *trainer);

#endif
