/* Training samples: windows of the data, assembled the moment they are needed, exactly as the
 * daemon assembles a server's window (steps without any sample are no rows; what is missing
 * repeats). */
#ifndef FW_TRAIN_SAMPLE_H
#define FW_TRAIN_SAMPLE_H

#include "base/status.h"
#include "tft/gradient.h"
#include "history/history.h"

#include <stdbool.h>

/* Which steps may be learned from: a training window ends before `validation_from`, a validation
 * window's horizon begins at or after it. */
struct train_split {
    int64_t first, last; /* steps of the data */
    int64_t validation_from;
};

/* The last `share` of the time, but at least room for one horizon. */
struct train_split train_split_of(const struct history *data, double share, size_t horizon);

struct train_window {
    size_t series, origin; /* index of the history's last step */
    size_t history;        /* steps at most */
};

struct train_sampler; /* opaque; immutable once made, but for the workers' rooms */

/* Ties a spec to the data: targets and plain reals are columns of the data or calendar values, or
 * the column is missing throughout; categoricals are profile and status. *out keeps spec and data.
 * FW_EINVAL: the spec wants another input; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status train_sampler_new(const struct history *data,
                                               const struct tft_spec *spec,
                                               const struct train_split *split, size_t workers,
                                               struct train_sampler **out, struct fw_error *err);
void train_sampler_free(struct train_sampler *sampler);

/* Windows that training may draw. */
uint64_t train_sampler_windows(const struct train_sampler *sampler);
/* Draws one from random bits; some are given a shorter history. Only when there are windows. */
struct train_window train_sampler_draw(const struct train_sampler *sampler, uint64_t random);
/* Every `every`-th validation window of every series, at most `max` of them, evenly thinned out.
 * Returns their number; *windows is the caller's (fw_free), NULL when there is none. */
FW_MUST_CHECK enum fw_status train_sampler_validation(const struct train_sampler *sampler,
                                                      size_t every, size_t max,
                                                      struct train_window **windows, size_t *n,
                                                      struct fw_error *err);

/* Typical scale of each target (targets): what the loss is weighed with, beside a window's own. */
void train_sampler_set_scales(struct train_sampler *sampler, const double *scales);

/* Assembles a window in the worker's room. `share`: the weight of an observation before it is
 * divided by its target's scale. A target without any history gets no weight. */
void train_sampler_fetch(struct train_sampler *sampler, const struct train_window *window,
                         size_t worker, double share, struct tft_gradient_series *out);

#endif
