/* What one series' runs leave for its next ones. The vector that variable selection makes of a step
 * depends on that step's inputs and on the static inputs alone; where both are what they were, to
 * the bit, the vector is taken from here instead of being computed. So nothing has to be told that
 * something changed: a late sample costs the steps that it touches, other statics all of them, and
 * a forecast has the same bits with and without.
 *
 * Worth it only where a step's inputs stand once they are there: not where one of them is the place
 * in the history (relative_time_idx), or is scaled by the window's own mean and deviation. */
#ifndef FW_TFT_REUSE_H
#define FW_TFT_REUSE_H

#include "tft/plan.h"

struct tft_reuse; /* opaque; of one series, one thread at a time */

/* Bytes of one series' memory; 0 where everything changes with every step. */
size_t tft_reuse_bytes(const struct tft_plan *plan);

/* For series of `plan`; any other plan passes it over. NULL when there is nothing to keep, or no
 * memory. Released with tft_reuse_free() (NULL does nothing); does not need the plan any more. */
struct tft_reuse *tft_reuse_new(const struct tft_plan *plan);
void tft_reuse_free(struct tft_reuse *reuse);

/* Steps of both sides that were taken, and computed, since it was made. */
struct tft_reuse_counts {
    size_t taken, computed;
};
struct tft_reuse_counts tft_reuse_counts(const struct tft_reuse *reuse);

#endif
