/* A compiled model: the same forecasts as tft_forward(), several times faster, for inference only.
 * compile.h makes one. */
#ifndef FW_TFT_PLAN_H
#define FW_TFT_PLAN_H

#include "base/arena.h"
#include "base/status.h"
#include "tft/forward.h"

#include <stddef.h>

struct tft_plan; /* opaque, immutable; threads may share one */

void tft_plan_free(struct tft_plan *plan); /* NULL does nothing */

/* Bytes of scratch for histories and horizons of up to these lengths, however many series. */
size_t tft_plan_scratch_bytes(const struct tft_plan *plan, size_t history_steps,
                              size_t horizon_steps);

/* Forecasts every series of `in`:  prediction (n, D, targets, quantiles), as tft_forward() writes
 * it. Agrees with it to 1e-4 of each target's scale. Cannot fail: sizes are asserted, the scratch
 * among them. Allocates nothing. A series' bits do not depend on the others in the batch, on the
 * padding, on how the batch was cut, on the number of threads, or on in->kept, whose memories it
 * reads and fills (reuse.h). */
void tft_plan_run(const struct tft_plan *plan, const struct tft_input *in, float *prediction,
                  struct arena scratch);

/* The same over `threads` threads (1 to TFT_THREADS_MAX), the caller's among them; scratch is taken
 * from the heap for the call. FW_ENOMEM; a thread that cannot be started leaves its share to the
 * others. For tools; the daemon has workers of its own. */
FW_MUST_CHECK enum fw_status tft_plan_run_parallel(const struct tft_plan *plan,
                                                   const struct tft_input *in, size_t threads,
                                                   float *prediction, struct fw_error *err);

struct tft_plan_info {
    size_t bytes;          /* resident */
    size_t curves, direct; /* variables' networks: tabulated, and those left to be computed */
    size_t cells;          /* of all tables */
    double curve_error;    /* the largest of any table, against the network itself */
    double check_error;    /* against the plain path, in units of a target's scale */
    const char *kernels;
};
struct tft_plan_info tft_plan_info(const struct tft_plan *plan);

#endif
