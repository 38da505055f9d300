/* Taking a model directory into the registry. */
#ifndef FW_TFT_IMPORT_H
#define FW_TFT_IMPORT_H

#include "base/status.h"
#include "tft/model.h"

/* Checks the model of directory `source` (model.safetensors; its spec from `spec_path`, or
 * source/spec.json when that is NULL) as tft_model_open() does, and copies both files into the
 * directory `target`, which is made if it is not there and must not hold a model yet. The copies
 * are the checked bytes, not a second reading. */
FW_MUST_CHECK enum fw_status tft_import(const char *source, const char *spec_path,
                                        const char *target, const struct tft_report *report,
                                        struct fw_error *err);

#endif
