/* The raw forward pass from file to file, for parity with other implementations: reads the tensors
 * of a golden input.safetensors, writes those of its output.safetensors (docs/formats/model.md). */
#ifndef FW_TFT_RUN_FILE_H
#define FW_TFT_RUN_FILE_H

#include "base/status.h"
#include "tft/forward.h"

#include <stddef.h>

struct tft_plan;
struct tft_safetensors;

/* A batch read from a file, with room for all its outputs. */
struct tft_batch {
    struct tft_input in;
    struct tft_output out;
    float *mean_first,
        *mean_last; /* (n, E + D): attention of the first and last horizon step, heads averaged */
    void *memory;
};

/* Checks every tensor against the model: shapes, codes in range, lengths, finite values in the used
 * steps. On success the caller releases *out with tft_batch_fini(). FW_EINVAL: the file does not
 * fit the model; FW_ELIMIT; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status tft_batch_read(const struct tft_model *model,
                                            const struct tft_safetensors *file,
                                            struct tft_batch *out, struct fw_error *err);
void tft_batch_fini(struct tft_batch *batch);

/* Fills the outputs. */
FW_MUST_CHECK enum fw_status tft_batch_run(const struct tft_model *model, struct tft_batch *batch,
                                           size_t threads, struct fw_error *err);

/* Fills the prediction by the compiled path, and nothing else. */
FW_MUST_CHECK enum fw_status tft_batch_run_compiled(const struct tft_plan *plan,
                                                    struct tft_batch *batch, size_t threads,
                                                    struct fw_error *err);

/* Reads `input_path`, runs, writes `output_path` (replaced in one step). */
FW_MUST_CHECK enum fw_status tft_run_file(const struct tft_model *model, const char *input_path,
                                          const char *output_path, size_t threads,
                                          struct fw_error *err);
/* The same with the compiled path's prediction; variable weights and attention, which a plan keeps
 * to itself, are the plain path's. */
FW_MUST_CHECK enum fw_status tft_run_file_compiled(const struct tft_model *model,
                                                   const struct tft_plan *plan,
                                                   const char *input_path, const char *output_path,
                                                   size_t threads, struct fw_error *err);

#endif
