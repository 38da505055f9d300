/* Writes the spec.json of a model of forewarn's own form (forecast/ladder.h, docs/model.md). */
#ifndef FW_TRAIN_LADDER_FORM_H
#define FW_TRAIN_LADDER_FORM_H

#include "base/buf.h"
#include "tft/learner.h"

/* Appends the file to buf; check buf->failed. */
void train_ladder_write_spec(struct fw_buf *buf);

/* Sets the network's output to the blend itself: places -1, 0, 1. */
void train_ladder_begin(struct tft_learner *learner);

#endif
