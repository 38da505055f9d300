/* What a network costs: operations, the time of a plan's stages, and what the processor could do at
 * most. For benches; nothing here is on the way of a forecast. */
#ifndef FW_TFT_MEASURE_H
#define FW_TFT_MEASURE_H

#include "base/status.h"
#include "tft/forward.h"
#include "tft/kernels/set.h"
#include "tft/model.h"
#include "tft/net.h"
#include "tft/plan.h"

#include <stdint.h>

/* Random inputs for `n` series at a model's full lengths: independent normal numbers, which is the
 * worst case for a plan's tables. */
struct tft_made_input {
    struct tft_input in;
    void *memory[4];
};
FW_MUST_CHECK enum fw_status tft_input_make(const struct tft_model *model, size_t n, uint64_t seed,
                                            struct tft_made_input *out, struct fw_error *err);
/* All windows move on by one step: the oldest falls away on both sides, a new one is drawn, static
 * variables stand. */
struct fw_rng;
void tft_input_advance(const struct tft_model *model, struct fw_rng *rng,
                       struct tft_made_input *made);
void tft_input_drop(struct tft_made_input *made);

enum { TFT_STAGES = 6 };

/* One stage of a plan, of one series at the model's full lengths. */
struct tft_stage {
    const char *name;    /* for people */
    const char *key;     /* for programs */
    double flop;         /* of the products, as done: a table's value is four products a unit */
    double exponentials; /* likewise */
    double seconds;      /* the best of the rounds; 0 before they were timed */
};

/* Names, and the operations of each stage. */
void tft_stages_count(const struct tft_plan *plan, struct tft_stage stages[TFT_STAGES]);
/* The same with the time of each stage, on one thread, the best of `rounds`. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status tft_stages_time(const struct tft_plan *plan, size_t rounds,
                                             struct tft_stage stages[TFT_STAGES],
                                             struct fw_error *err);

/* Operations of the products of one series as the paper has the network, nothing folded: what
 * tft_forward() does. */
double tft_flop_as_written(const struct tft_net *net, size_t history_steps, size_t horizon_steps);
double tft_model_flop(const struct tft_model *model); /* at the model's full lengths */

/* Fused multiply-adds of one core with the registers of one set, measured for some tens of
 * milliseconds, in operations a second; NaN for plain C, where the compiler chooses. */
double tft_peak_flops(enum tft_set set);

#endif
