/* The part of `bench forecast` about what runs leave for the next ones (tft/reuse.h). */
#ifndef FW_CLI_BENCH_REUSE_H
#define FW_CLI_BENCH_REUSE_H

#include "cli/bench.h"
#include "tft/plan.h"

struct tft_model;

/* A run of all servers after one new step of each, with and without, by turns. Reports nothing of a
 * model that has nothing to keep. */
FW_MUST_CHECK enum fw_status bench_reuse(const struct bench_options *options, const char *name,
                                         const struct tft_model *model, const struct tft_plan *plan,
                                         struct fw_error *err);

#endif
