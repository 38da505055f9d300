/* From a model to a plan: what is linear is folded, what depends on one number is tabulated, and
 * matrices are laid out for the kernels. */
#ifndef FW_TFT_COMPILE_H
#define FW_TFT_COMPILE_H

#include "base/status.h"
#include "tft/model.h"
#include "tft/plan.h"

#define TFT_PLAN_TOLERANCE                                                                         \
    1e-4 /* of a target's scale: what a plan may differ from the plain path */

/* Compiles `model`, which must outlive the plan, and compares the two on made-up windows. On
 * success *out is the caller's, released with tft_plan_free(). On failure *out is NULL, and the
 * caller goes on with tft_forward(); err->text says why:
 *   FW_ELIMIT   a shape that no kernel takes, or tables beyond 256 MiB
 *   FW_EINVAL   the plan differs from the plain path by more than TFT_PLAN_TOLERANCE
 *   FW_ENOMEM
 * Takes a fifth of a second for a model of the usual size. */
FW_MUST_CHECK enum fw_status tft_compile(const struct tft_model *model, struct tft_plan **out,
                                         struct fw_error *err);

struct tft_tiles;
/* The same with kernels of the caller's choice, and without the comparison: for tests and benches.
 */
FW_MUST_CHECK enum fw_status tft_compile_with(const struct tft_model *model,
                                              const struct tft_tiles *tiles, struct tft_plan **out,
                                              struct fw_error *err);

#endif
