/* A model that has been checked: its spec, its weights, ready for tft_forward() (forward.h). A
 * model lives in a directory with model.safetensors and spec.json (docs/formats/model.md). */
#ifndef FW_TFT_MODEL_H
#define FW_TFT_MODEL_H

#include "base/status.h"
#include "tft/kernels/kernels.h"
#include "tft/spec.h"

#include <stdbool.h>
#include <stddef.h>

#define TFT_WEIGHTS_NAME "model.safetensors"
#define TFT_SPEC_NAME "spec.json"
#define TFT_WEIGHT_MAX 1e4f /* the largest absolute value a weight may have */

struct tft_model; /* opaque; immutable once open, so threads may share one */

/* Told every reason why a model is refused, in the order found. */
struct tft_report {
    void (*reason)(void *ctx, const char *text);
    void *ctx;
};

/* Opens `path`: a directory, or the .safetensors file in one (its spec.json lies beside it). Files
 * are copied, never mapped; the weights are checked one by one, and a probe forecast on made-up
 * windows must be finite. On success *out is the caller's, to be released with tft_model_close().
 * On failure *out is NULL and `err` (may be NULL) holds the first reason, `report` (may be NULL) is
 * told all: FW_ENOTFOUND, FW_EIO  a file is missing or cannot be read FW_EINVAL             a file
 * is no regular file, or a link FW_ECORRUPT           the bytes are wrong, or the two files do not
 * belong together FW_EVERSION           something this program does not implement FW_ELIMIT,
 * FW_ENOMEM  too large */
FW_MUST_CHECK enum fw_status tft_model_open(const char *path, const struct tft_report *report,
                                            struct tft_model **out, struct fw_error *err);

/* The same for a name that may come from the network: a directory below `root`, as
 * tft_file_open_dir_beneath() takes it. Files with a second hard link are refused as well. */
FW_MUST_CHECK enum fw_status tft_model_open_beneath(const char *root, const char *name,
                                                    const struct tft_report *report,
                                                    struct tft_model **out, struct fw_error *err);

/* The same from memory. Takes over `weights` (from fw_malloc) in every case; keeps nothing of
 * `spec_json`. */
FW_MUST_CHECK enum fw_status tft_model_load(unsigned char *weights, size_t weights_size,
                                            const char *spec_json, size_t spec_size,
                                            const struct tft_report *report, struct tft_model **out,
                                            struct fw_error *err);

void tft_model_close(struct tft_model *model);

/* Valid as long as the model. */
const struct tft_spec *tft_model_spec(const struct tft_model *model);

struct tft_model_info {
    size_t hidden, heads, lstm_layers;
    size_t parameters;     /* distinct floats */
    size_t weights_bytes;  /* of the file */
    size_t resident_bytes; /* of the weights in memory */
    char sha256[65];       /* of the weights' file, hexadecimal */
    const char *kernels;   /* the table in use */
};
struct tft_model_info tft_model_info(const struct tft_model *model);

/* Uses another table; before the model is shared (tests, benches). The one chosen at open is the
 * best. */
void tft_model_use_kernels(struct tft_model *model, const struct tft_kernels *kernels);

#endif
