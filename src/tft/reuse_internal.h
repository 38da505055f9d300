/* For the selection stage of a plan. */
#ifndef FW_TFT_REUSE_INTERNAL_H
#define FW_TFT_REUSE_INTERNAL_H

#include "tft/plan_internal.h"
#include "tft/reuse.h"

/* Whether a plan's series may use it: it was made for this plan. */
bool tft_reuse_is_for(const struct tft_reuse *reuse, const struct tft_plan *plan);
/* Whether vectors of this side are kept. */
bool tft_reuse_keeps(const struct tft_reuse *reuse, enum tft_side side);

/* Copies what is kept of the series' steps to y (steps, width), and appends the places of the
 * others among the pack's (s->at and following) to `changed`; returns how many. */
size_t tft_reuse_take(struct tft_reuse *reuse, const struct tft_plan *plan,
                      const struct tft_plan_series *s, enum tft_side side, float *y,
                      uint32_t *changed);
/* Keeps a step's vector (width). */
void tft_reuse_put(struct tft_reuse *reuse, const struct tft_plan *plan,
                   const struct tft_plan_series *s, enum tft_side side, size_t step,
                   const float *selected);

#endif
