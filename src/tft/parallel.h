/* A batch over several threads. */
#ifndef FW_TFT_PARALLEL_H
#define FW_TFT_PARALLEL_H

#include "base/status.h"
#include "tft/forward.h"

enum { TFT_THREADS_MAX = 256 };

/* tft_forward() with the batch cut over `threads` threads (1 to TFT_THREADS_MAX), the caller's
 * among them; scratch is taken from the heap for the call. The same bits for every number of
 * threads. FW_ENOMEM; a thread that cannot be started leaves its share to the others. For tools;
 * the daemon has workers of its own. */
FW_MUST_CHECK enum fw_status tft_forward_parallel(const struct tft_model *model,
                                                  const struct tft_input *in,
                                                  const struct tft_output *out, size_t threads,
                                                  struct fw_error *err);

#endif
